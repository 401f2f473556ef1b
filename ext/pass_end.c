/* pass_state.h: what a stage changes of its pass, and the end of a pass. */
#include "pass_state.h"

#include <string.h>

void occy_pass_fail(struct occy_pass *pass, const struct stage_result *result)
{
    struct occy_pass_result *told = &pass->result;
    if (told->status != OCCY_OK)
        return;
    told->status = result->status;
    told->error_number = result->error_number;
    told->problem = result->problem;
    told->offset = result->offset;
    told->allowed = result->allowed;
    told->value = result->value;
}

/* ---- after a stage ----------------------------------------------------------------------------- */

static void note_read_bytes(struct occy_pass *pass, size_t amount)
{
    pass->read_position += amount;
    occy_pass_count(&pass->count_source, amount);
}

static void note_read(struct occy_pool *pool, struct occy_pass *pass, const struct stage_result *result)
{
    note_read_bytes(pass, result->amount);
    if (result->status != OCCY_OK)
        return;
    occy_pass_close_piece(pool, pass);
    pass->source_ended = pass->tar_ended;
}

static void note_read_chunk(struct occy_pool *pool, struct occy_pass *pass, const struct stage_result *result)
{
    pass->read_busy = false;
    note_read_bytes(pass, result->amount);
    if (result->status != OCCY_OK)
        return;
    occy_pass_close_chunk(pool, pass);
    if (result->ended)
        pass->source_ended = true;
}

static void note_scan(struct occy_pass *pass, struct piece *piece, const struct stage_result *result)
{
    pass->scan_busy = false;
    piece->scanned = true;
    pass->scan_next++;
    if (result->status != OCCY_OK)
        pass->scan_failure = *result;
}

static void note_decode(struct occy_pool *pool, const struct task *task, const struct stage_result *result)
{
    struct occy_pass *pass = task->pass;

    pass->decode_busy = false;
    if (result->status != OCCY_OK)
        return;
    if (result->full || task->last)
        occy_pass_close_piece(pool, pass);
    if (result->ended) {
        task->chunk->decode_done = true;
        pass->decode_next++;
    }
}

/* *drainable* and *done* are the flags of what went out. */
static void note_output(struct occy_pool *pool, struct occy_pass *pass, const struct stage_result *result,
                        bool *drainable, bool *done)
{
    occy_pass_give_to_writer(pool, pass);
    pass->sink_position += result->amount;
    occy_pass_count(&pass->count_output, result->amount);
    if (pass->options.sink_fd >= 0 || result->amount == 0) {
        *done = true;
    } else {
        *drainable = true;
        occy_pass_signal_event(pool);
    }
}

void occy_pass_note(struct occy_pool *pool, const struct task *task, const struct stage_result *result)
{
    struct occy_pass *pass = task->pass;

    if (result->status != OCCY_OK && task->stage != STAGE_SCAN)
        occy_pass_fail(pass, result);
    switch (task->stage) {
    case STAGE_READ:
        note_read(pool, pass, result);
        break;
    case STAGE_READ_CHUNK:
        note_read_chunk(pool, pass, result);
        break;
    case STAGE_HASH:
        pass->hash_busy = false;
        pass->hash_next++;
        task->piece->hashed = true;
        break;
    case STAGE_HASH_CHUNK:
        pass->chunk_hash_busy = false;
        pass->chunk_hash_next++;
        task->chunk->hashed = true;
        break;
    case STAGE_SCAN:
        note_scan(pass, task->piece, result);
        break;
    case STAGE_DECODE:
        note_decode(pool, task, result);
        break;
    case STAGE_ENCODE:
        pass->encode_busy = false;
        task->piece->encode_done = true;
        break;
    case STAGE_OUT:
        pass->out_busy = false;
        pass->out_next++;
        note_output(pool, pass, result, &task->piece->drainable, &task->piece->out_done);
        break;
    case STAGE_OUT_CHUNK:
        pass->chunk_out_busy = false;
        pass->chunk_out_next++;
        note_output(pool, pass, result, &task->chunk->drainable, &task->chunk->out_done);
        break;
    case STAGE_WRITE:
        task->buffer->length = 0;
        task->buffer->ready = false;
        if (pool->idle > 0)
            pthread_cond_signal(&pool->work); /* there is room again */
        break;
    case STAGE_NONE:
        break;
    }
}

/* ---- the end ----------------------------------------------------------------------------------- */

/* Whether every byte went through every stage; the tar's own failure counts then. */
static bool is_complete(struct occy_pool *pool, struct occy_pass *pass)
{
    if (!pass->tar_ended || pass->piece_first < pass->piece_next || pass->chunk_first < pass->chunk_next)
        return false;
    if (pass->scan_failure.status != OCCY_OK) {
        occy_pass_fail(pass, &pass->scan_failure);
        return true;
    }
    return occy_pass_is_written(pool, pass);
}

static void fill_result(struct occy_pass *pass)
{
    struct occy_pass_result *result = &pass->result;

    result->tar_size = pass->tar_total;
    result->source_size = pass->read_position;
    result->output_size = pass->sink_position;
    occy_sha256_final(&pass->tar_sha, result->tar_digest);
    if (pass->decoder_kind == NULL)
        memcpy(result->source_digest, result->tar_digest, 32);
    else
        occy_sha256_final(&pass->source_sha, result->source_digest);
    if (pass->options.output == OCCY_OUTPUT_ENCODED)
        occy_sha256_final(&pass->output_sha, result->output_digest);
    else if (pass->options.output == OCCY_OUTPUT_SOURCE)
        memcpy(result->output_digest, result->source_digest, 32);
    else
        memcpy(result->output_digest, result->tar_digest, 32);
}

void occy_pass_end_if_complete(struct occy_pool *pool, struct occy_pass *pass)
{
    static const struct stage_result cancelled = {.status = OCCY_CANCELLED};

    if (pass->ended)
        return;
    if (pass->cancelled)
        occy_pass_fail(pass, &cancelled);
    occy_pass_release_finished(pool, pass);
    if (pass->running > 0)
        return;
    if (pass->result.status == OCCY_OK && !is_complete(pool, pass))
        return;
    if (pass->result.status == OCCY_OK)
        fill_result(pass);
    else
        occy_pass_release_all(pool, pass);
    occy_pass_release_writing(pass);
    pass->ended = true;
    occy_pass_signal_event(pool);
    pthread_cond_broadcast(&pool->work); /* its buffers, and its place among the active */
    pthread_cond_broadcast(&pool->settled);
}
