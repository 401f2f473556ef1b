/* pass_state.h: which stage a free thread takes. */
#include "pass_state.h"

#include <string.h>

/* Each returns whether its stage is ready, and then has taken it: the task says what to do, and nobody else will. */
typedef bool pick_stage(struct occy_pool *pool, struct occy_pass *pass, struct task *task);

static bool is_ready_to_go(const struct occy_pass *pass, const struct piece *piece)
{
    if (pass->encoder_kind == NULL)
        return occy_pass_has_room(pass, piece->length);
    /* the trailer needs the sum of all that was digested */
    return piece->encode_done && (!piece->last || piece->hashed) &&
           occy_pass_has_room(pass, piece->encoded_length + OCCY_TRAILER_MAX);
}

static bool pick_out(struct occy_pool *pool, struct occy_pass *pass, struct task *task)
{
    struct piece *piece;
    (void)pool;
    if (!occy_pass_writes_pieces(pass) || pass->out_busy)
        return false;
    piece = occy_pass_piece_at(pass, pass->out_next);
    if (piece == NULL || !is_ready_to_go(pass, piece))
        return false;
    pass->out_busy = true;
    task->stage = STAGE_OUT;
    task->piece = piece;
    return true;
}

static bool pick_out_chunk(struct occy_pool *pool, struct occy_pass *pass, struct task *task)
{
    struct chunk *chunk;
    (void)pool;
    if (pass->options.output != OCCY_OUTPUT_SOURCE || pass->chunk_out_busy)
        return false;
    chunk = occy_pass_chunk_at(pass, pass->chunk_out_next);
    if (chunk == NULL || !occy_pass_has_room(pass, chunk->length))
        return false;
    pass->chunk_out_busy = true;
    task->stage = STAGE_OUT_CHUNK;
    task->chunk = chunk;
    return true;
}

static bool pick_hash(struct occy_pool *pool, struct occy_pass *pass, struct task *task)
{
    (void)pool;
    if (pass->hash_busy || (task->piece = occy_pass_piece_at(pass, pass->hash_next)) == NULL)
        return false;
    pass->hash_busy = true;
    task->stage = STAGE_HASH;
    return true;
}

static bool pick_decode(struct occy_pool *pool, struct occy_pass *pass, struct task *task)
{
    struct chunk *chunk;
    if (pass->decoder_kind == NULL || pass->decode_busy || pass->tar_ended || pass->to_encode > pool->workers ||
        (pass->filling == NULL && !occy_pass_may_take_piece(pool, pass)))
        return false;
    chunk = occy_pass_chunk_at(pass, pass->decode_next);
    if (chunk == NULL && !(pass->source_ended && pass->decode_next == pass->chunk_next))
        return false;
    if (pass->filling == NULL)
        pass->filling = occy_pass_take_piece(pool, pass);
    pass->decode_busy = true;
    task->stage = STAGE_DECODE;
    task->chunk = chunk;
    task->piece = pass->filling;
    task->last = chunk == NULL;
    return true;
}

static bool pick_hash_chunk(struct occy_pool *pool, struct occy_pass *pass, struct task *task)
{
    (void)pool;
    if (pass->decoder_kind == NULL || pass->chunk_hash_busy ||
        (task->chunk = occy_pass_chunk_at(pass, pass->chunk_hash_next)) == NULL)
        return false;
    pass->chunk_hash_busy = true;
    task->stage = STAGE_HASH_CHUNK;
    return true;
}

static bool pick_scan(struct occy_pool *pool, struct occy_pass *pass, struct task *task)
{
    (void)pool;
    if (!occy_pass_scans(pass) || pass->scan_busy ||
        (task->piece = occy_pass_piece_at(pass, pass->scan_next)) == NULL)
        return false;
    pass->scan_busy = true;
    task->stage = STAGE_SCAN;
    return true;
}

static bool pick_read_chunk(struct occy_pool *pool, struct occy_pass *pass, struct task *task)
{
    if (pass->decoder_kind == NULL || occy_pass_is_fed(pass) || pass->source_ended || pass->read_busy ||
        !occy_pass_may_take_chunk(pool, pass))
        return false;
    pass->read_busy = true;
    pass->filling_chunk = occy_pass_take_chunk(pool, pass);
    task->stage = STAGE_READ_CHUNK;
    task->chunk = pass->filling_chunk;
    return true;
}

static bool pick_read(struct occy_pool *pool, struct occy_pass *pass, struct task *task)
{
    /* no further ahead than the encoders need: what is read early leaves the cache */
    if (pass->decoder_kind != NULL || occy_pass_is_fed(pass) || pass->source_ended || pass->filling != NULL ||
        pass->to_encode > pool->workers || !occy_pass_may_take_piece(pool, pass))
        return false;
    pass->filling = occy_pass_take_piece(pool, pass);
    task->stage = STAGE_READ;
    task->piece = pass->filling;
    return true;
}

static bool pick_encode(struct occy_pool *pool, struct occy_pass *pass, struct task *task)
{
    struct piece *piece;
    (void)pool;
    if (pass->to_encode == 0 || (pass->encoder_kind->serial && pass->encode_busy))
        return false;
    /* every piece before encode_next is taken, and so the one at it is not */
    piece = occy_pass_piece_at(pass, pass->encode_next);
    if (piece == NULL)
        return false;
    task->stage = STAGE_ENCODE;
    task->piece = piece;
    task->first = pass->encode_next == 0;
    pass->encode_busy = true;
    pass->encode_next++;
    pass->to_encode--;
    return true;
}

static bool pick_from(struct occy_pool *pool, struct occy_pass *pass, struct task *task)
{
    static pick_stage *const order[] = {
        pick_out, pick_out_chunk, /* what frees buffers first */
        pick_hash,                /* then the stages of which a layer has only one */
        pick_decode,              /* the longest of them: keep it going while somebody else digests */
        pick_hash_chunk, pick_scan, pick_read_chunk, pick_read, pick_encode,
    };
    size_t i;

    memset(task, 0, sizeof *task);
    task->pass = pass;
    for (i = 0; i < sizeof order / sizeof *order; i++)
        if (order[i](pool, pass, task))
            return true;
    return false;
}

static bool pick(struct occy_pool *pool, struct task *task)
{
    struct occy_pass *pass;
    int active = 0;
    for (pass = pool->passes; pass != NULL && active < pool->active_limit; pass = pass->next) {
        if (pass->ended)
            continue;
        active++;
        if (pass->result.status != OCCY_OK || pass->cancelled)
            continue;
        if (pick_from(pool, pass, task))
            return true;
    }
    return false;
}

static bool pick_write(struct occy_pool *pool, struct task *task)
{
    struct occy_pass *pass;

    memset(task, 0, sizeof *task);
    task->stage = STAGE_WRITE;
    for (pass = pool->passes; pass != NULL; pass = pass->next) {
        if (pass->ended || pass->result.status != OCCY_OK || pass->cancelled)
            continue;
        task->pass = pass;
        task->buffer = pass->buffers[0].ready ? &pass->buffers[0] : pass->buffers[1].ready ? &pass->buffers[1] : NULL;
        if (task->buffer != NULL)
            return true;
    }
    return false;
}

/* Under the lock, which is let go while the stage runs. */
static void run_task(struct occy_pool *pool, struct worker *worker, const struct task *task)
{
    struct stage_result result;

    task->pass->running++;
    pthread_mutex_unlock(&pool->lock);
    occy_pass_run(worker, task, &result);
    pthread_mutex_lock(&pool->lock);
    occy_pass_note(pool, task, &result);
    task->pass->running--;
    occy_pass_end_if_complete(pool, task->pass);
}

void *occy_pass_work(void *argument)
{
    struct worker *worker = argument;
    struct occy_pool *pool = worker->pool;
    struct task task;

    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        if (!pick(pool, &task)) {
            pool->idle++;
            pthread_cond_wait(&pool->work, &pool->lock);
            pool->idle--;
            continue;
        }
        if (pool->idle > 0)
            pthread_cond_signal(&pool->work); /* what was picked may not be all there is */
        run_task(pool, worker, &task);
    }
    pthread_mutex_unlock(&pool->lock);
    occy_pass_free_encoders(worker);
    return NULL;
}

void *occy_pass_write_behind(void *argument)
{
    struct occy_pool *pool = argument;
    struct task task;

    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        if (pick_write(pool, &task))
            run_task(pool, NULL, &task);
        else
            pthread_cond_wait(&pool->to_write, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}
