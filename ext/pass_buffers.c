/* pass_state.h: the pieces and chunks of a pool, and who may take one. */
#include "pass_state.h"

#include <string.h>
#include <unistd.h>

/* Each worker encodes one piece while the next one is filled; one more is written, one more digested.  With its history
 * and what is made of it a piece takes 9.07 MiB: the buffers of two workers come to 56.9 MiB, and 18.6 MiB for each
 * worker more.  Only pages that are touched count. */
int occy_pass_pieces_for(int workers) { return 2 * workers + 2; }

/* As many, and a piece's worth of chunks, so that a decoder finds its next one read. */
int occy_pass_chunks_for(int workers) { return 2 * workers + 6; }

size_t occy_pool_buffer_size(int workers)
{
    return (size_t)occy_pass_pieces_for(workers) * (OCCY_HISTORY_MAX + OCCY_PIECE_MAX + ENCODED_MAX) +
           (size_t)occy_pass_chunks_for(workers) * CHUNK;
}

void occy_pass_lay_out(struct occy_pool *pool)
{
    uint8_t *memory = pool->memory;
    int i;
    for (i = 0; i < pool->piece_count; i++) {
        struct piece *piece = &pool->pieces[i];
        piece->bytes = memory + OCCY_HISTORY_MAX;
        piece->encoded = piece->bytes + OCCY_PIECE_MAX;
        memory += OCCY_HISTORY_MAX + OCCY_PIECE_MAX + ENCODED_MAX;
        piece->next_free = pool->free_pieces;
        pool->free_pieces = piece;
    }
    for (i = 0; i < pool->chunk_count; i++) {
        struct chunk *chunk = &pool->chunks[i];
        chunk->bytes = memory;
        memory += CHUNK;
        chunk->next_free = pool->free_chunks;
        pool->free_chunks = chunk;
    }
    pool->free_piece_count = pool->piece_count;
    pool->free_chunk_count = pool->chunk_count;
}

void occy_pass_signal_event(struct occy_pool *pool)
{
    uint64_t one = 1;
    if (pool->event_fd >= 0 && write(pool->event_fd, &one, sizeof one) < 0)
        return; /* full means readable: as good */
}

/* ---- taking and giving back -------------------------------------------------------------------- */

/* A pass that holds no buffer must find one, or it could wait for ever for passes that wait for it. */
static bool may_take(const struct occy_pool *pool, const struct occy_pass *pass, bool chunk)
{
    int available = chunk ? pool->free_chunk_count : pool->free_piece_count;
    int needy = 0, active = 0;
    bool runs = false; /* what no worker looks at yet must hold nothing */
    const struct occy_pass *other;

    if (available == 0)
        return false;
    for (other = pool->passes; other != NULL && active < pool->active_limit; other = other->next) {
        if (other->ended)
            continue;
        active++;
        if (other == pass)
            runs = true;
        else if ((chunk ? other->chunks_held : other->pieces_held) == 0)
            needy++;
    }
    if (!runs)
        return false;
    return (chunk ? pass->chunks_held : pass->pieces_held) == 0 || available > needy;
}

bool occy_pass_may_take_piece(const struct occy_pool *pool, const struct occy_pass *pass)
{
    return pass->piece_next - pass->piece_first < (uint64_t)pool->piece_count && may_take(pool, pass, false);
}

bool occy_pass_may_take_chunk(const struct occy_pool *pool, const struct occy_pass *pass)
{
    return pass->chunk_next - pass->chunk_first < (uint64_t)pool->chunk_count && may_take(pool, pass, true);
}

struct piece *occy_pass_take_piece(struct occy_pool *pool, struct occy_pass *pass)
{
    struct piece *piece = pool->free_pieces;
    pool->free_pieces = piece->next_free;
    pool->free_piece_count--;
    pass->pieces_held++;
    piece->history = piece->length = piece->encoded_length = piece->drained = 0;
    piece->last = piece->hashed = piece->scanned = false;
    piece->encode_done = piece->drainable = piece->out_done = false;
    return piece;
}

static void give_piece(struct occy_pool *pool, struct occy_pass *pass, struct piece *piece)
{
    piece->next_free = pool->free_pieces;
    pool->free_pieces = piece;
    pool->free_piece_count++;
    pass->pieces_held--;
}

struct chunk *occy_pass_take_chunk(struct occy_pool *pool, struct occy_pass *pass)
{
    struct chunk *chunk = pool->free_chunks;
    pool->free_chunks = chunk->next_free;
    pool->free_chunk_count--;
    pass->chunks_held++;
    chunk->length = chunk->decoded = chunk->drained = 0;
    chunk->hashed = chunk->decode_done = chunk->drainable = chunk->out_done = false;
    return chunk;
}

static void give_chunk(struct occy_pool *pool, struct occy_pass *pass, struct chunk *chunk)
{
    chunk->next_free = pool->free_chunks;
    pool->free_chunks = chunk;
    pool->free_chunk_count++;
    pass->chunks_held--;
}

/* ---- filling ----------------------------------------------------------------------------------- */

void occy_pass_start_piece(struct occy_pass *pass, struct piece *piece)
{
    if (pass->history_size == 0 || piece->history != 0 || piece->length != 0)
        return;
    memcpy(piece->bytes - pass->tail_length, pass->tail, pass->tail_length);
    piece->history = pass->tail_length;
}

void occy_pass_keep_tail(struct occy_pass *pass, const struct piece *piece, size_t length)
{
    if (pass->history_size == 0 || length < pass->history_size)
        return; /* a short piece is the last one: nothing follows */
    memcpy(pass->tail, piece->bytes + length - pass->history_size, pass->history_size);
    pass->tail_length = pass->history_size;
}

void occy_pass_close_piece(struct occy_pool *pool, struct occy_pass *pass)
{
    struct piece *piece = pass->filling;
    pass->filling = NULL;
    /* the last piece is the short one, even if that makes it empty: so it needs no look ahead */
    piece->last = piece->length < pass->piece_size;
    pass->pieces[pass->piece_next % (uint64_t)pool->piece_count] = piece;
    pass->piece_next++;
    pass->tar_total += piece->length;
    occy_pass_count(&pass->count_tar, piece->length);
    if (pass->options.output == OCCY_OUTPUT_ENCODED)
        pass->to_encode++;
    if (piece->last)
        pass->tar_ended = true;
}

void occy_pass_close_chunk(struct occy_pool *pool, struct occy_pass *pass)
{
    pass->chunks[pass->chunk_next % (uint64_t)pool->chunk_count] = pass->filling_chunk;
    pass->filling_chunk = NULL;
    pass->chunk_next++;
}

/* ---- releasing --------------------------------------------------------------------------------- */

static bool piece_is_finished(const struct occy_pass *pass, const struct piece *piece)
{
    return piece->hashed && (piece->scanned || !occy_pass_scans(pass)) &&
           (piece->out_done || !occy_pass_writes_pieces(pass));
}

static bool chunk_is_finished(const struct occy_pass *pass, const struct chunk *chunk)
{
    return chunk->hashed && chunk->decode_done && (chunk->out_done || pass->options.output != OCCY_OUTPUT_SOURCE);
}

/* Whoever feeds a pass may find room again. */
static void tell_feeders(struct occy_pool *pool)
{
    const struct occy_pass *pass;
    for (pass = pool->passes; pass != NULL; pass = pass->next) {
        if (!pass->ended && occy_pass_is_fed(pass) && !pass->feed_over) {
            occy_pass_signal_event(pool);
            return;
        }
    }
}

void occy_pass_release_finished(struct occy_pool *pool, struct occy_pass *pass)
{
    struct piece *piece;
    struct chunk *chunk;
    bool gave = false;

    while ((piece = occy_pass_piece_at(pass, pass->piece_first)) != NULL && piece_is_finished(pass, piece)) {
        pass->piece_first++;
        give_piece(pool, pass, piece);
        gave = true;
    }
    while ((chunk = occy_pass_chunk_at(pass, pass->chunk_first)) != NULL && chunk_is_finished(pass, chunk)) {
        pass->chunk_first++;
        give_chunk(pool, pass, chunk);
        gave = true;
    }
    if (gave)
        tell_feeders(pool);
}

void occy_pass_release_all(struct occy_pool *pool, struct occy_pass *pass)
{
    for (; pass->piece_first < pass->piece_next; pass->piece_first++)
        give_piece(pool, pass, occy_pass_piece_at(pass, pass->piece_first));
    if (pass->filling != NULL)
        give_piece(pool, pass, pass->filling);
    pass->filling = NULL;
    for (; pass->chunk_first < pass->chunk_next; pass->chunk_first++)
        give_chunk(pool, pass, occy_pass_chunk_at(pass, pass->chunk_first));
    if (pass->filling_chunk != NULL)
        give_chunk(pool, pass, pass->filling_chunk);
    pass->filling_chunk = NULL;
}
