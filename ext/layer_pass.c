/* layer_pass.h: pools, passes, and what feeds and drains them. */
#define _GNU_SOURCE
#include "layer_pass.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pass_state.h"

/* ---- pool -------------------------------------------------------------------------------------- */

static int start_workers(struct occy_pool *pool)
{
    sigset_t all, before;
    int error = 0;

    /* signals belong to the threads of whoever called */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool->started < pool->workers && error == 0) {
        struct worker *worker = &pool->worker[pool->started];
        worker->pool = pool;
        error = pthread_create(&worker->thread, NULL, occy_pass_work, worker);
        if (error == 0)
            pool->started++;
    }
    if (error == 0) {
        error = pthread_create(&pool->writer, NULL, occy_pass_write_behind, pool);
        pool->writing = error == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

struct occy_pool *occy_pool_create(int workers)
{
    struct occy_pool *pool;
    int error;

    if (workers < 1 || workers > OCCY_POOL_MAX_WORKERS) {
        errno = EINVAL;
        return NULL;
    }
    pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return NULL;
    pool->event_fd = -1;
    pool->memory = MAP_FAILED;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->settled, NULL);
    pthread_cond_init(&pool->to_write, NULL);
    pool->workers = workers;
    pool->piece_count = occy_pass_pieces_for(workers);
    pool->chunk_count = occy_pass_chunks_for(workers);
    /* a pass for every worker, and one to fill meanwhile: the pieces are two for each of these */
    pool->active_limit = workers + 1;
    pool->worker = calloc((size_t)workers, sizeof *pool->worker);
    pool->pieces = calloc((size_t)pool->piece_count, sizeof *pool->pieces);
    pool->chunks = calloc((size_t)pool->chunk_count, sizeof *pool->chunks);
    pool->memory_size = occy_pool_buffer_size(workers);
    /* pages that no stage touches cost nothing */
    pool->memory = mmap(NULL, pool->memory_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                        -1, 0);
    pool->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pool->worker == NULL || pool->pieces == NULL || pool->chunks == NULL || pool->memory == MAP_FAILED ||
        pool->event_fd < 0) {
        error = errno;
        occy_pool_free(pool);
        errno = error;
        return NULL;
    }
    occy_pass_lay_out(pool);
    error = start_workers(pool);
    if (error != 0) {
        occy_pool_stop(pool);
        occy_pool_free(pool);
        errno = error;
        return NULL;
    }
    return pool;
}

/* No stage runs any more, and none will. */
static void release_buffers(struct occy_pool *pool)
{
    if (pool->memory != MAP_FAILED)
        munmap(pool->memory, pool->memory_size);
    pool->memory = MAP_FAILED;
    if (pool->event_fd >= 0)
        close(pool->event_fd);
    pool->event_fd = -1;
}

void occy_pool_stop(struct occy_pool *pool)
{
    struct occy_pass *pass;
    int i;

    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_cond_broadcast(&pool->to_write);
    pthread_mutex_unlock(&pool->lock);
    for (i = 0; i < pool->started; i++)
        pthread_join(pool->worker[i].thread, NULL);
    pool->started = 0;
    if (pool->writing)
        pthread_join(pool->writer, NULL);
    pool->writing = false;
    pthread_mutex_lock(&pool->lock);
    /* whoever still feeds or drains leaves first: the buffers go */
    for (pass = pool->passes; pass != NULL;) {
        pass->cancelled = true;
        occy_pass_end_if_complete(pool, pass);
        if (pass->ended) {
            pass = pass->next;
        } else {
            pthread_cond_wait(&pool->settled, &pool->lock);
            pass = pool->passes; /* the list may have changed */
        }
    }
    release_buffers(pool);
    pthread_mutex_unlock(&pool->lock);
}

void occy_pool_free(struct occy_pool *pool)
{
    release_buffers(pool);
    free(pool->chunks);
    free(pool->pieces);
    free(pool->worker);
    pthread_cond_destroy(&pool->to_write);
    pthread_cond_destroy(&pool->settled);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

int occy_pool_event_fd(const struct occy_pool *pool) { return pool->event_fd; }

/* ---- passes ------------------------------------------------------------------------------------ */

static void release(struct occy_pass *pass)
{
    occy_pass_release_writing(pass);
    if (pass->decoder_kind != NULL)
        pass->decoder_kind->free(pass->decoder);
    if (pass->serial_encoder != NULL)
        pass->encoder_kind->free(pass->serial_encoder);
    occy_tar_scan_free(pass->scan);
    free(pass->tail);
    free(pass->chunks);
    free(pass->pieces);
    free(pass);
}

/* Whether there is memory for what encodes, or nothing does. */
static bool prepare_encoder(struct occy_pass *pass)
{
    const struct occy_encoder_kind *kind;

    pass->piece_size = OCCY_TAR_PIECE;
    if (pass->options.output != OCCY_OUTPUT_ENCODED)
        return true;
    kind = pass->encoder_kind = occy_encoder_kind_of(pass->options.encode);
    pass->piece_size = kind->piece;
    pass->history_size = kind->history;
    if (kind->history != 0 && (pass->tail = malloc(kind->history)) == NULL)
        return false;
    if (kind->serial && (pass->serial_encoder = kind->create(pass->options.level)) == NULL)
        return false;
    if (kind->start != NULL)
        kind->start(&pass->sums);
    return true;
}

/* Whether there is memory for what decodes, or nothing does. */
static bool prepare_decoder(struct occy_pass *pass)
{
    pass->decoder_kind = occy_decoder_kind_of(pass->options.decode);
    if (pass->decoder_kind == NULL)
        return true;
    pass->decoder = pass->decoder_kind->create(&pass->options);
    return pass->decoder != NULL;
}

/* Whether there is memory for what reads the tar's headers, or nothing does. */
static bool prepare_scan(struct occy_pass *pass)
{
    const struct occy_pass_options *options = &pass->options;
    struct occy_tar_options scanning = {options->scan_tar > 1, 0, options->max_extension, options->max_sparse_map,
                                        options->max_extensions, options->max_entries};
    if (options->scan_tar == 0)
        return true;
    pass->scan = occy_tar_scan_open(&scanning);
    return pass->scan != NULL;
}

static bool prepare(struct occy_pass *pass)
{
    pass->pieces = calloc((size_t)pass->pool->piece_count, sizeof *pass->pieces);
    pass->chunks = calloc((size_t)pass->pool->chunk_count, sizeof *pass->chunks);
    occy_sha256_init(&pass->tar_sha);
    occy_sha256_init(&pass->source_sha);
    occy_sha256_init(&pass->output_sha);
    return pass->pieces != NULL && pass->chunks != NULL && prepare_decoder(pass) && prepare_scan(pass) &&
           prepare_encoder(pass);
}

struct occy_pass *occy_pass_start(struct occy_pool *pool, const struct occy_pass_options *options)
{
    struct occy_pass *pass = calloc(1, sizeof *pass);
    struct occy_pass **end;

    if (pass == NULL)
        return NULL;
    pass->pool = pool;
    pass->options = *options;
    /* undecoded, the source is the tar */
    if (options->decode == OCCY_CODEC_NONE && options->output == OCCY_OUTPUT_SOURCE)
        pass->options.output = OCCY_OUTPUT_TAR;
    occy_pass_prepare_writing(pass);
    if (!prepare(pass)) {
        release(pass);
        return NULL;
    }
    pthread_mutex_lock(&pool->lock);
    for (end = &pool->passes; *end != NULL; end = &(*end)->next)
        ;
    *end = pass;
    if (pool->stopping) {
        pass->cancelled = true;
        occy_pass_end_if_complete(pool, pass);
    }
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    return pass;
}

void occy_pass_free(struct occy_pass *pass)
{
    struct occy_pool *pool = pass->pool;
    struct occy_pass **link;

    pthread_mutex_lock(&pool->lock);
    pass->cancelled = true;
    occy_pass_end_if_complete(pool, pass);
    while (!pass->ended)
        pthread_cond_wait(&pool->settled, &pool->lock);
    for (link = &pool->passes; *link != pass; link = &(*link)->next)
        ;
    *link = pass->next;
    /* an ended pass holds no buffer */
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    release(pass);
}

void occy_pass_cancel(struct occy_pass *pass)
{
    pthread_mutex_lock(&pass->pool->lock);
    pass->cancelled = true;
    occy_pass_end_if_complete(pass->pool, pass);
    pthread_mutex_unlock(&pass->pool->lock);
}

int occy_pass_ended(struct occy_pass *pass)
{
    int ended;
    pthread_mutex_lock(&pass->pool->lock);
    ended = pass->ended;
    pthread_mutex_unlock(&pass->pool->lock);
    return ended;
}

const struct occy_pass_result *occy_pass_result_of(const struct occy_pass *pass) { return &pass->result; }

bool occy_pass_entries(const struct occy_pass *pass, const uint8_t **bytes, size_t *size)
{
    return pass->scan != NULL && occy_tar_scan_entries(pass->scan, bytes, size);
}

void occy_pass_drop_entries(struct occy_pass *pass)
{
    if (pass->scan != NULL)
        occy_tar_scan_drop_entries(pass->scan);
}

void occy_pass_counters(const struct occy_pass *pass, uint64_t counters[3])
{
    counters[0] = __atomic_load_n(&pass->count_source, __ATOMIC_RELAXED);
    counters[1] = __atomic_load_n(&pass->count_tar, __ATOMIC_RELAXED);
    counters[2] = __atomic_load_n(&pass->count_output, __ATOMIC_RELAXED);
}

/* ---- feeding ----------------------------------------------------------------------------------- */

static bool takes_feed(const struct occy_pass *pass)
{
    return occy_pass_is_fed(pass) && !pass->feed_over && !pass->ended && !pass->cancelled &&
           pass->result.status == OCCY_OK;
}

/* Both are called under the lock, let it go while they copy, and return how much they took. */
static size_t feed_chunk(struct occy_pool *pool, struct occy_pass *pass, const uint8_t *bytes, size_t length)
{
    struct chunk *chunk;
    size_t more;

    if (pass->filling_chunk == NULL) {
        if (!occy_pass_may_take_chunk(pool, pass))
            return 0;
        pass->filling_chunk = occy_pass_take_chunk(pool, pass);
    }
    chunk = pass->filling_chunk;
    more = CHUNK - chunk->length < length ? CHUNK - chunk->length : length;
    pthread_mutex_unlock(&pool->lock);
    memcpy(chunk->bytes + chunk->length, bytes, more);
    chunk->length += more;
    pthread_mutex_lock(&pool->lock);
    if (chunk->length == CHUNK)
        occy_pass_close_chunk(pool, pass);
    return more;
}

static size_t feed_piece(struct occy_pool *pool, struct occy_pass *pass, const uint8_t *bytes, size_t length)
{
    struct stage_result result = {.status = OCCY_OK};
    struct piece *piece;
    size_t more;
    uint64_t tar;

    if (pass->filling == NULL) {
        if (pass->to_encode > pool->workers || !occy_pass_may_take_piece(pool, pass))
            return 0;
        pass->filling = occy_pass_take_piece(pool, pass);
    }
    piece = pass->filling;
    more = pass->piece_size - piece->length < length ? pass->piece_size - piece->length : length;
    pthread_mutex_unlock(&pool->lock);
    occy_pass_start_piece(pass, piece);
    memcpy(piece->bytes + piece->length, bytes, more);
    piece->length += more;
    if (piece->length == pass->piece_size)
        occy_pass_keep_tail(pass, piece, piece->length);
    pthread_mutex_lock(&pool->lock);
    tar = pass->tar_total + piece->length;
    occy_pass_check_limits(pass, tar, tar, &result);
    if (result.status != OCCY_OK)
        occy_pass_fail(pass, &result);
    else if (piece->length == pass->piece_size)
        occy_pass_close_piece(pool, pass);
    return more;
}

size_t occy_pass_feed(struct occy_pass *pass, const uint8_t *bytes, size_t length)
{
    struct occy_pool *pool = pass->pool;
    size_t taken = 0, more = 1;

    pthread_mutex_lock(&pool->lock);
    pass->running++;
    while (taken < length && more > 0 && takes_feed(pass)) {
        more = pass->decoder_kind != NULL ? feed_chunk(pool, pass, bytes + taken, length - taken)
                                          : feed_piece(pool, pass, bytes + taken, length - taken);
        taken += more;
        pass->read_position += more;
        occy_pass_count(&pass->count_source, more);
        if (more > 0)
            pthread_cond_broadcast(&pool->work);
    }
    pass->running--;
    occy_pass_end_if_complete(pool, pass);
    pthread_mutex_unlock(&pool->lock);
    return taken;
}

/* Under the lock: close what is half full; 0 when a buffer must come free first. */
static int end_feed(struct occy_pool *pool, struct occy_pass *pass)
{
    if (pass->decoder_kind != NULL) {
        if (pass->filling_chunk != NULL)
            occy_pass_close_chunk(pool, pass);
    } else {
        if (pass->filling == NULL) {
            if (!occy_pass_may_take_piece(pool, pass))
                return 0;
            pass->filling = occy_pass_take_piece(pool, pass);
            occy_pass_start_piece(pass, pass->filling);
        }
        occy_pass_close_piece(pool, pass);
    }
    pass->source_ended = true;
    pass->feed_over = true;
    return 1;
}

int occy_pass_end_feed(struct occy_pass *pass)
{
    struct occy_pool *pool = pass->pool;
    int ended = 1;

    pthread_mutex_lock(&pool->lock);
    if (takes_feed(pass)) {
        ended = end_feed(pool, pass);
        pthread_cond_broadcast(&pool->work);
        occy_pass_end_if_complete(pool, pass);
    }
    pthread_mutex_unlock(&pool->lock);
    return ended;
}

/* ---- draining ---------------------------------------------------------------------------------- */

/* What waits to be drained: the output of the oldest piece, or chunk, that has some left. */
struct waiting {
    const uint8_t *bytes;
    size_t length;
    size_t *drained; /* of its output, so far */
    bool *done;
};

/* Under the lock: the oldest piece that waits; empty ones never do. */
static bool find_piece(struct occy_pass *pass, struct waiting *waiting)
{
    struct piece *piece;
    if (pass->drain_next < pass->piece_first)
        pass->drain_next = pass->piece_first;
    while ((piece = occy_pass_piece_at(pass, pass->drain_next)) != NULL && piece->out_done)
        pass->drain_next++;
    if (piece == NULL || !piece->drainable)
        return false;
    waiting->bytes = occy_pass_output(pass, piece, &waiting->length);
    waiting->drained = &piece->drained;
    waiting->done = &piece->out_done;
    return true;
}

static bool find_chunk(struct occy_pass *pass, struct waiting *waiting)
{
    struct chunk *chunk;
    if (pass->chunk_drain_next < pass->chunk_first)
        pass->chunk_drain_next = pass->chunk_first;
    while ((chunk = occy_pass_chunk_at(pass, pass->chunk_drain_next)) != NULL && chunk->out_done)
        pass->chunk_drain_next++;
    if (chunk == NULL || !chunk->drainable)
        return false;
    waiting->bytes = chunk->bytes;
    waiting->length = chunk->length;
    waiting->drained = &chunk->drained;
    waiting->done = &chunk->out_done;
    return true;
}

static bool find_waiting(struct occy_pass *pass, struct waiting *waiting)
{
    if (pass->ended)
        return false;
    if (occy_pass_writes_pieces(pass))
        return find_piece(pass, waiting);
    return pass->options.output == OCCY_OUTPUT_SOURCE && find_chunk(pass, waiting);
}

size_t occy_pass_drainable(struct occy_pass *pass)
{
    struct waiting waiting;
    size_t size;

    pthread_mutex_lock(&pass->pool->lock);
    size = find_waiting(pass, &waiting) ? waiting.length - *waiting.drained : 0;
    pthread_mutex_unlock(&pass->pool->lock);
    return size;
}

size_t occy_pass_drain(struct occy_pass *pass, uint8_t *target, size_t room)
{
    struct occy_pool *pool = pass->pool;
    struct waiting waiting;
    size_t size = 0;

    pthread_mutex_lock(&pool->lock);
    if (find_waiting(pass, &waiting)) {
        size = waiting.length - *waiting.drained < room ? waiting.length - *waiting.drained : room;
        pass->running++;
        pthread_mutex_unlock(&pool->lock);
        memcpy(target, waiting.bytes + *waiting.drained, size);
        pthread_mutex_lock(&pool->lock);
        pass->running--;
        *waiting.drained += size;
        *waiting.done = *waiting.drained == waiting.length;
        occy_pass_end_if_complete(pool, pass);
        pthread_cond_broadcast(&pool->work);
    }
    pthread_mutex_unlock(&pool->lock);
    return size;
}
