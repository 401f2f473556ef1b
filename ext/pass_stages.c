/* pass_state.h: what each stage does, on whichever thread is free. */
#include "pass_state.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void occy_pass_check_limits(const struct occy_pass *pass, uint64_t tar, uint64_t source, struct stage_result *result)
{
    const struct occy_pass_options *options = &pass->options;
    if (options->max_tar != 0 && tar > options->max_tar) {
        result->status = OCCY_BOMB;
        result->offset = (int64_t)tar;
        result->allowed = options->max_tar;
        result->value = tar;
    } else if (options->max_ratio != 0 && tar > options->ratio_floor && tar / options->max_ratio > source) {
        result->status = OCCY_RATIO;
        result->offset = (int64_t)tar;
        result->allowed = options->max_ratio;
        result->value = source == 0 ? tar : tar / source;
    }
}

/* ---- reading ----------------------------------------------------------------------------------- */

static void read_bytes(struct occy_pass *pass, uint8_t *target, size_t room, struct stage_result *result)
{
    int64_t size = pass->options.source_size;
    int64_t position = (int64_t)pass->read_position;

    if (size >= 0 && (uint64_t)(size - position) < room)
        room = (size_t)(size - position);
    while (result->amount < room) {
        ssize_t got = pread(pass->options.source_fd, target + result->amount, room - result->amount,
                            pass->options.source_offset + position + (int64_t)result->amount);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            result->status = OCCY_READ;
            result->error_number = errno;
            result->offset = position + (int64_t)result->amount;
            return;
        }
        if (got == 0) {
            if (size >= 0) {
                result->status = OCCY_SHORT_READ;
                result->offset = position + (int64_t)result->amount;
            }
            result->ended = true;
            return;
        }
        result->amount += (size_t)got;
    }
    if (size >= 0 && position + (int64_t)result->amount == size)
        result->ended = true;
}

static void read_piece(struct occy_pass *pass, struct piece *piece, struct stage_result *result)
{
    uint64_t tar;

    occy_pass_start_piece(pass, piece);
    read_bytes(pass, piece->bytes, pass->piece_size, result);
    piece->length = result->amount;
    tar = pass->tar_total + piece->length;
    if (result->status == OCCY_OK)
        occy_pass_check_limits(pass, tar, tar, result);
    if (result->status == OCCY_OK)
        occy_pass_keep_tail(pass, piece, piece->length);
}

static void read_chunk(struct occy_pass *pass, struct chunk *chunk, struct stage_result *result)
{
    read_bytes(pass, chunk->bytes, CHUNK, result);
    chunk->length = result->amount;
}

/* ---- decoding ---------------------------------------------------------------------------------- */

static void decode_step(struct occy_pass *pass, struct piece *piece, struct chunk *chunk, struct stage_result *result)
{
    const uint8_t *source = chunk->bytes + chunk->decoded;
    size_t left = chunk->length - chunk->decoded;
    uint8_t *target = piece->bytes + piece->length;
    size_t room = pass->piece_size - piece->length;

    result->status = pass->decoder_kind->step(pass->decoder, &source, &left, &target, &room);
    piece->length = pass->piece_size - room;
    chunk->decoded = chunk->length - left;
    result->ended = left == 0 && room > 0;
    result->full = room == 0;
}

static void decode(struct occy_pass *pass, const struct task *task, struct stage_result *result)
{
    struct occy_decoder_progress progress;

    occy_pass_start_piece(pass, task->piece);
    if (task->last)
        result->status = pass->decoder_kind->finish(pass->decoder);
    else
        decode_step(pass, task->piece, task->chunk, result);
    progress = pass->decoder_kind->progress(pass->decoder, &pass->options, result->status);
    if (result->status != OCCY_OK) {
        result->offset = (int64_t)progress.offset;
        result->allowed = progress.allowed;
        result->value = progress.value;
        return;
    }
    occy_pass_check_limits(pass, progress.total_out, progress.total_in, result);
    if (result->status == OCCY_OK && (result->full || task->last))
        occy_pass_keep_tail(pass, task->piece, task->piece->length);
}

/* ---- the tar: digested, scanned, encoded ------------------------------------------------------- */

static void hash_piece(struct occy_pass *pass, const struct piece *piece)
{
    occy_sha256_update(&pass->tar_sha, piece->bytes, piece->length);
    if (pass->encoder_kind != NULL && pass->encoder_kind->digest != NULL)
        pass->encoder_kind->digest(&pass->sums, piece);
}

static void scan(struct occy_pass *pass, const struct piece *piece, struct stage_result *result)
{
    const struct occy_tar_progress *progress = occy_tar_scan_progress(pass->scan);

    result->status = occy_tar_scan_check(pass->scan, piece->bytes, piece->length, piece->last, &result->offset);
    if (result->status != OCCY_OK) {
        result->problem = progress->problem;
        result->allowed = (uint64_t)progress->allowed;
        result->value = (uint64_t)progress->value;
    }
}

/* The encoder of *worker* for this pass: the one it had for the last piece, if that was of the same level. */
static void *encoder_of(struct worker *worker, const struct occy_pass *pass)
{
    struct held_encoder *held = &worker->held[pass->options.encode];

    if (held->encoder != NULL && held->level != pass->options.level) {
        pass->encoder_kind->free(held->encoder);
        held->encoder = NULL;
    }
    if (held->encoder == NULL) {
        held->encoder = pass->encoder_kind->create(pass->options.level);
        held->level = pass->options.level;
    }
    return held->encoder;
}

void occy_pass_free_encoders(struct worker *worker)
{
    int codec;
    for (codec = 0; codec < OCCY_CODECS; codec++) {
        if (worker->held[codec].encoder != NULL)
            occy_encoder_kind_of((enum occy_codec)codec)->free(worker->held[codec].encoder);
        worker->held[codec].encoder = NULL;
    }
}

static int encode(struct worker *worker, struct occy_pass *pass, struct piece *piece, bool first)
{
    void *encoder = pass->encoder_kind->serial ? pass->serial_encoder : encoder_of(worker, pass);
    return encoder == NULL ? OCCY_NO_MEMORY : pass->encoder_kind->encode(encoder, piece, first);
}

/* ---- output ------------------------------------------------------------------------------------ */

static void emit(struct occy_pass *pass, const uint8_t *bytes, size_t length, struct stage_result *result)
{
    if (pass->options.sink_fd >= 0)
        occy_pass_write(pass, bytes, length, result);
    else
        result->amount = length; /* occy_pass_drain takes it */
}

static void emit_piece(struct occy_pass *pass, struct piece *piece, struct stage_result *result)
{
    const struct occy_encoder_kind *kind = pass->encoder_kind;
    const uint8_t *bytes;
    size_t length;

    if (kind != NULL && kind->join != NULL)
        kind->join(&pass->sums, piece);
    if (kind != NULL && kind->end != NULL && piece->last)
        piece->encoded_length += kind->end(&pass->sums, piece->encoded + piece->encoded_length);
    bytes = occy_pass_output(pass, piece, &length);
    if (kind != NULL)
        occy_sha256_update(&pass->output_sha, bytes, length);
    emit(pass, bytes, length, result);
}

void occy_pass_run(struct worker *worker, const struct task *task, struct stage_result *result)
{
    struct occy_pass *pass = task->pass;

    memset(result, 0, sizeof *result);
    switch (task->stage) {
    case STAGE_READ:
        read_piece(pass, task->piece, result);
        break;
    case STAGE_READ_CHUNK:
        read_chunk(pass, task->chunk, result);
        break;
    case STAGE_HASH:
        hash_piece(pass, task->piece);
        break;
    case STAGE_HASH_CHUNK:
        occy_sha256_update(&pass->source_sha, task->chunk->bytes, task->chunk->length);
        break;
    case STAGE_SCAN:
        scan(pass, task->piece, result);
        break;
    case STAGE_DECODE:
        decode(pass, task, result);
        break;
    case STAGE_ENCODE:
        result->status = encode(worker, pass, task->piece, task->first);
        break;
    case STAGE_OUT:
        emit_piece(pass, task->piece, result);
        break;
    case STAGE_OUT_CHUNK:
        emit(pass, task->chunk->bytes, task->chunk->length, result);
        break;
    case STAGE_WRITE:
        occy_pass_write_buffer(pass, task->buffer, result);
        break;
    case STAGE_NONE:
        break;
    }
}
