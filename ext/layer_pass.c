/* layer_pass.h: stages, and the workers that run whichever is ready. */
#define _GNU_SOURCE
#include "layer_pass.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <stdio.h>
#include <unistd.h>

#include "crc.h"
#include "gzip_segments.h"
#include "inflate.h"
#include "sha256.h"
#include "status.h"
#include "tar_scan.h"
#include "unzstd.h"
#include "zstd_jobs.h"

/* Compressed source bytes are handed over in chunks of this size: a quarter of a piece, so that
 * digesting, copying and decoding the same bytes finds them in cache. */
#define CHUNK ((size_t)256 << 10)

/* Write-back is started this often, so that the fsync which ends a blob finds little left to do. */
#define WRITE_BACK ((uint64_t)8 << 20)

/* Pages of the output need no place in the cache: the file is synced before it gets its name, and where pages are dear
 * (a virtual machine whose host takes free memory back) filling them costs more than compressing does: a gigabyte is
 * written and synced in 1.5 to 2.5 s this way, with 0.4 to 0.9 s of processor time, and in 3.5 to 4.7 s with 2.4 to 3.8 s
 * through the cache (Sapphire Rapids, Firecracker, ext4).  Whole blocks go past the cache, the ends through it; the
 * two never share a page. */
#define BLOCK ((size_t)4096)
#define WORTH_IT ((size_t)64 << 10)

#define PIECE_MAX OCCY_ZSTD_PIECE
#define ENCODED_MAX (PIECE_MAX + (PIECE_MAX >> 6) + BLOCK)

/* A piece of tar on its way through the stages.  *history* bytes before *bytes* repeat its predecessor's end. */
struct piece {
    struct piece *next_free;
    uint8_t *bytes;   /* PIECE_MAX, and OCCY_ZSTD_HISTORY before it */
    uint8_t *encoded; /* ENCODED_MAX */
    size_t history, length, encoded_length, drained;
    uint32_t crc;
    bool last, hashed, scanned, encoding, encode_done, drainable, out_done;
};

/* Source bytes that wait for a decoder. */
struct chunk {
    struct chunk *next_free;
    uint8_t *bytes;
    size_t length, decoded, drained;
    bool hashed, decode_done, drainable, out_done;
};

/* Output that is collected until it is worth a write of its own; it begins at a block of the file. */
struct batch {
    uint8_t *bytes; /* ENCODED_MAX: any piece fits */
    size_t length;
    int64_t position;
    bool full;  /* nothing more is added; the stage that filled it has not told yet */
    bool ready; /* the writer's */
};

enum stage {
    STAGE_NONE,
    STAGE_OUT,         /* write (and digest) one encoded piece, in order */
    STAGE_OUT_CHUNK,   /* write one source chunk, in order */
    STAGE_HASH,        /* digest one piece of tar, in order */
    STAGE_HASH_CHUNK,  /* digest one source chunk, in order */
    STAGE_SCAN,        /* read the tar headers of one piece, in order */
    STAGE_DECODE,      /* decode a chunk into the piece being filled, in order */
    STAGE_READ,        /* read the next piece */
    STAGE_READ_CHUNK,  /* read the next chunk */
    STAGE_ENCODE,      /* encode one piece, in any order */
    STAGE_WRITE        /* the writer's: one batch past the cache */
};

/* What a stage did. */
struct done {
    int status, error_number, problem;
    int64_t offset;
    uint64_t allowed, value;
    size_t amount; /* bytes handled */
    bool ended;    /* reads: the source is at its end; decode: the chunk is used up */
    bool full;     /* decode: the piece is */
};

struct occy_pass {
    struct occy_pool *pool;
    struct occy_pass *next;
    struct occy_pass_options options;
    struct occy_pass_result result;
    size_t piece_size, history_size;
    bool cancelled, ended;
    int running; /* stages and feeders inside this pass now */

    /* pieces [piece_first, piece_next) are alive, at index % piece_count */
    struct piece **pieces;
    uint64_t piece_first, piece_next;
    struct piece *filling; /* started, not filled: not among the pieces yet */
    int pieces_held;
    int to_encode; /* filled pieces whose encoding has not begun */
    uint64_t hash_next, scan_next, encode_next, out_next, drain_next;
    bool hash_busy, scan_busy, encode_busy, out_busy;
    bool tar_ended; /* the last piece is filled */

    struct chunk **chunks;
    uint64_t chunk_first, chunk_next;
    struct chunk *filling_chunk;
    int chunks_held;
    uint64_t chunk_hash_next, decode_next, chunk_out_next, chunk_drain_next;
    bool read_busy, chunk_hash_busy, decode_busy, chunk_out_busy;
    bool source_ended; /* every source byte is in a chunk (or, undecoded, in a piece) */
    bool feed_over;    /* occy_pass_end_feed was called */

    int direct_fd; /* the sink, past the cache; -1: there is no such thing */
    struct batch batches[2];
    int batch; /* the one that is being filled */
    uint8_t *tail; /* the last history_size bytes of tar so far */
    size_t tail_length;
    struct occy_sha256 tar_sha, source_sha, output_sha;
    struct occy_inflate *inflate;
    struct occy_unzstd *unzstd;
    struct occy_tar_scan *scan;
    struct done scan_failure; /* the tar's own: told when the stream around it holds */
    uint32_t crc;         /* of everything written out */
    uint64_t crc_length;
#if OCCY_ZSTD_HAVE_JOBS
    struct occy_zstd_checksum checksum;
#else
    struct occy_zstd_encoder *stream_encoder;
#endif
    uint64_t read_position;  /* bytes of source read or fed */
    uint64_t sink_position;  /* bytes of output handed on, and written where that is not the writer's */
    uint64_t written_back;   /* of those, how many were sent on their way to the disk */
    uint64_t tar_total;      /* bytes of tar in pieces */
    /* polled without the lock */
    uint64_t count_source, count_tar, count_output;
};

struct worker {
    struct occy_pool *pool;
    pthread_t thread;
    struct occy_gzip_encoder *gzip;
    struct occy_zstd_encoder *zstd;
    int gzip_level, zstd_level;
};

struct occy_pool {
    pthread_mutex_t lock;
    pthread_cond_t work;    /* a stage may be ready, or the pool stops */
    pthread_cond_t settled; /* a pass has no stage running */
    pthread_cond_t batches; /* a batch may be ready, or the pool stops */
    pthread_t writer;       /* waits for the disk, so that no worker does */
    bool writing;           /* it was started */
    bool stopping;
    int idle;
    int event_fd;
    int workers, started;
    struct worker *worker;
    struct occy_pass *passes; /* in the order of their start */
    struct piece *pieces, *free_pieces;
    struct chunk *chunks, *free_chunks;
    int piece_count, free_piece_count, chunk_count, free_chunk_count;
    int active_limit;
    uint8_t *memory;
    size_t memory_size;
};

static int pieces_for(int workers) { return 2 * workers + 2; }
static int chunks_for(int workers) { return 2 * workers + 6; }

size_t occy_pool_buffer_size(int workers)
{
    return (size_t)pieces_for(workers) * (OCCY_ZSTD_HISTORY + PIECE_MAX + ENCODED_MAX) +
           (size_t)chunks_for(workers) * CHUNK;
}

static void signal_event(struct occy_pool *pool)
{
    uint64_t one = 1;
    if (pool->event_fd >= 0 && write(pool->event_fd, &one, sizeof one) < 0)
        return; /* full means readable: as good */
}

static void count(uint64_t *counter, uint64_t more) { __atomic_fetch_add(counter, more, __ATOMIC_RELAXED); }

/* ---- buffers ---------------------------------------------------------------------------------- */

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

static bool may_take_piece(const struct occy_pool *pool, const struct occy_pass *pass)
{
    return pass->piece_next - pass->piece_first < (uint64_t)pool->piece_count && may_take(pool, pass, false);
}

static bool may_take_chunk(const struct occy_pool *pool, const struct occy_pass *pass)
{
    return pass->chunk_next - pass->chunk_first < (uint64_t)pool->chunk_count && may_take(pool, pass, true);
}

static struct piece *take_piece(struct occy_pool *pool, struct occy_pass *pass)
{
    struct piece *piece = pool->free_pieces;
    pool->free_pieces = piece->next_free;
    pool->free_piece_count--;
    pass->pieces_held++;
    piece->history = piece->length = piece->encoded_length = piece->drained = 0;
    piece->last = piece->hashed = piece->scanned = piece->encoding = false;
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

static struct chunk *take_chunk(struct occy_pool *pool, struct occy_pass *pass)
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

static struct piece *piece_at(const struct occy_pass *pass, uint64_t sequence)
{
    if (sequence < pass->piece_first || sequence >= pass->piece_next)
        return NULL;
    return pass->pieces[sequence % (uint64_t)pass->pool->piece_count];
}

static struct chunk *chunk_at(const struct occy_pass *pass, uint64_t sequence)
{
    if (sequence < pass->chunk_first || sequence >= pass->chunk_next)
        return NULL;
    return pass->chunks[sequence % (uint64_t)pass->pool->chunk_count];
}

static bool writes_pieces(const struct occy_pass *pass)
{
    return pass->options.output == OCCY_OUTPUT_TAR || pass->options.output == OCCY_OUTPUT_ENCODED;
}

/* A tar whose header is wrong is not read any further; whether its stream is whole still counts. */
static bool scans(const struct occy_pass *pass) { return pass->scan != NULL && pass->scan_failure.status == OCCY_OK; }

static bool fed(const struct occy_pass *pass) { return pass->options.source_fd < 0; }

/* Give back what every stage has seen. */
static void retire(struct occy_pool *pool, struct occy_pass *pass)
{
    bool gave = false;
    while (pass->piece_first < pass->piece_next) {
        struct piece *piece = piece_at(pass, pass->piece_first);
        if (!piece->hashed || (scans(pass) && !piece->scanned) || (writes_pieces(pass) && !piece->out_done))
            break;
        pass->piece_first++;
        give_piece(pool, pass, piece);
        gave = true;
    }
    while (pass->chunk_first < pass->chunk_next) {
        struct chunk *chunk = chunk_at(pass, pass->chunk_first);
        if (!chunk->hashed || !chunk->decode_done ||
            (pass->options.output == OCCY_OUTPUT_SOURCE && !chunk->out_done))
            break;
        pass->chunk_first++;
        give_chunk(pool, pass, chunk);
        gave = true;
    }
    if (gave) {
        const struct occy_pass *other;
        for (other = pool->passes; other != NULL; other = other->next)
            if (!other->ended && fed(other) && !other->feed_over) {
                signal_event(pool);
                break;
            }
    }
}

/* ---- the end of a pass ------------------------------------------------------------------------ */

/* Under the lock: the first failure is the pass's. */
static void fail(struct occy_pass *pass, const struct done *done)
{
    struct occy_pass_result *result = &pass->result;
    if (result->status != OCCY_OK)
        return;
    result->status = done->status;
    result->error_number = done->error_number;
    result->problem = done->problem;
    result->offset = done->offset;
    result->allowed = done->allowed;
    result->value = done->value;
}

static void give_all(struct occy_pool *pool, struct occy_pass *pass)
{
    while (pass->piece_first < pass->piece_next) {
        give_piece(pool, pass, piece_at(pass, pass->piece_first));
        pass->piece_first++;
    }
    if (pass->filling != NULL)
        give_piece(pool, pass, pass->filling);
    pass->filling = NULL;
    while (pass->chunk_first < pass->chunk_next) {
        give_chunk(pool, pass, chunk_at(pass, pass->chunk_first));
        pass->chunk_first++;
    }
    if (pass->filling_chunk != NULL)
        give_chunk(pool, pass, pass->filling_chunk);
    pass->filling_chunk = NULL;
}

static void release_batches(struct occy_pass *pass)
{
    if (pass->direct_fd < 0)
        return;
    munmap(pass->batches[0].bytes, 2 * ENCODED_MAX);
    close(pass->direct_fd);
    pass->direct_fd = -1;
}

/* Under the lock, after any change: has this pass come to its end? */
static void settle(struct occy_pool *pool, struct occy_pass *pass)
{
    struct occy_pass_result *result = &pass->result;

    if (pass->ended)
        return;
    if (result->status == OCCY_OK && pass->cancelled) {
        static const struct done cancelled = {.status = OCCY_CANCELLED};
        fail(pass, &cancelled);
    }
    retire(pool, pass);
    if (pass->running > 0)
        return;
    if (result->status == OCCY_OK) {
        if (!pass->tar_ended || pass->piece_first < pass->piece_next || pass->chunk_first < pass->chunk_next)
            return;
        if (pass->scan_failure.status != OCCY_OK)
            fail(pass, &pass->scan_failure);
    }
    if (result->status == OCCY_OK && pass->direct_fd >= 0) {
        struct batch *rest = &pass->batches[pass->batch];
        if (rest->length > 0 && !rest->ready) {
            rest->ready = true;
            pthread_cond_signal(&pool->batches);
        }
        if (pass->batches[0].ready || pass->batches[1].ready)
            return;
    }
    if (result->status == OCCY_OK) {
        occy_sha256_final(&pass->tar_sha, result->tar_digest);
        result->tar_size = pass->tar_total;
        result->source_size = pass->read_position;
        result->output_size = pass->sink_position;
        if (pass->options.decode == OCCY_CODEC_NONE)
            memcpy(result->source_digest, result->tar_digest, 32);
        else
            occy_sha256_final(&pass->source_sha, result->source_digest);
        if (pass->options.output == OCCY_OUTPUT_ENCODED)
            occy_sha256_final(&pass->output_sha, result->output_digest);
        else if (pass->options.output == OCCY_OUTPUT_SOURCE)
            memcpy(result->output_digest, result->source_digest, 32);
        else
            memcpy(result->output_digest, result->tar_digest, 32);
    } else {
        give_all(pool, pass);
    }
    release_batches(pass);
    pass->ended = true;
    signal_event(pool);
    pthread_cond_broadcast(&pool->work); /* its buffers, and its place among the active */
    pthread_cond_broadcast(&pool->settled);
}

/* ---- choosing --------------------------------------------------------------------------------- */

struct task {
    enum stage stage;
    struct occy_pass *pass;
    struct piece *piece;
    struct chunk *chunk;
    struct batch *batch;
    bool last;  /* STAGE_DECODE: there is no chunk any more */
    bool first; /* STAGE_ENCODE: the piece that carries the header */
};

/* Whether the writer is not so far behind that *length* bytes find no place. */
static bool room_for(const struct occy_pass *pass, size_t length)
{
    const struct batch *now = &pass->batches[pass->batch], *other = &pass->batches[1 - pass->batch];
    if (pass->direct_fd < 0)
        return true;
    return !now->ready && (ENCODED_MAX - now->length > length || !other->ready);
}

static size_t output_of(const struct occy_pass *pass, const struct piece *piece)
{
    if (pass->options.output == OCCY_OUTPUT_TAR)
        return piece->length;
    return piece->encoded_length + OCCY_GZIP_TRAILER_SIZE; /* the longest of what may follow the last piece */
}

static bool pick_from(struct occy_pool *pool, struct occy_pass *pass, struct task *task)
{
    struct piece *piece;
    struct chunk *chunk;
    uint64_t sequence;
    bool room;

    task->pass = pass;
    task->piece = NULL;
    task->chunk = NULL;
    task->last = task->first = false;

    /* what frees buffers first */
    if (writes_pieces(pass) && !pass->out_busy && (piece = piece_at(pass, pass->out_next)) != NULL &&
        (pass->options.output == OCCY_OUTPUT_TAR || (piece->encode_done && (!piece->last || piece->hashed))) &&
        room_for(pass, output_of(pass, piece))) {
        pass->out_busy = true;
        task->stage = STAGE_OUT;
        task->piece = piece;
        return true;
    }
    if (pass->options.output == OCCY_OUTPUT_SOURCE && !pass->chunk_out_busy &&
        (chunk = chunk_at(pass, pass->chunk_out_next)) != NULL && room_for(pass, chunk->length)) {
        pass->chunk_out_busy = true;
        task->stage = STAGE_OUT_CHUNK;
        task->chunk = chunk;
        return true;
    }
    /* then the stages of which a layer has only one */
    if (!pass->hash_busy && (piece = piece_at(pass, pass->hash_next)) != NULL) {
        pass->hash_busy = true;
        task->stage = STAGE_HASH;
        task->piece = piece;
        return true;
    }
    /* decoding is the longest of them: keep it going while somebody else digests */
    room = pass->filling != NULL || may_take_piece(pool, pass);
    if (pass->options.decode != OCCY_CODEC_NONE && !pass->decode_busy && !pass->tar_ended && room &&
        pass->to_encode <= pool->workers) {
        chunk = chunk_at(pass, pass->decode_next);
        if (chunk != NULL || (pass->source_ended && pass->decode_next == pass->chunk_next)) {
            pass->decode_busy = true;
            task->stage = STAGE_DECODE;
            task->chunk = chunk;
            task->last = chunk == NULL;
            if (pass->filling == NULL)
                pass->filling = take_piece(pool, pass);
            return true;
        }
    }
    if (pass->options.decode != OCCY_CODEC_NONE && !pass->chunk_hash_busy &&
        (chunk = chunk_at(pass, pass->chunk_hash_next)) != NULL) {
        pass->chunk_hash_busy = true;
        task->stage = STAGE_HASH_CHUNK;
        task->chunk = chunk;
        return true;
    }
    if (scans(pass) && !pass->scan_busy && (piece = piece_at(pass, pass->scan_next)) != NULL) {
        pass->scan_busy = true;
        task->stage = STAGE_SCAN;
        task->piece = piece;
        return true;
    }
    if (!fed(pass) && !pass->source_ended) {
        if (pass->options.decode != OCCY_CODEC_NONE) {
            if (!pass->read_busy && may_take_chunk(pool, pass)) {
                pass->read_busy = true;
                pass->filling_chunk = take_chunk(pool, pass);
                task->stage = STAGE_READ_CHUNK;
                task->chunk = pass->filling_chunk;
                return true;
            }
        } else if (pass->filling == NULL && room && pass->to_encode <= pool->workers) {
            /* no further ahead than the encoders need: what is read early leaves the cache */
            pass->filling = take_piece(pool, pass);
            task->stage = STAGE_READ;
            task->piece = pass->filling;
            return true;
        }
    }
    if (pass->to_encode > 0) {
#if OCCY_ZSTD_HAVE_JOBS
        bool serial = false;
#else
        bool serial = pass->options.encode == OCCY_CODEC_ZSTD;
#endif
        if (serial && pass->encode_busy)
            return false;
        for (sequence = pass->encode_next; sequence < pass->piece_next; sequence++) {
            piece = piece_at(pass, sequence);
            if (piece == NULL || piece->encoding)
                continue;
            piece->encoding = true;
            pass->encode_busy = true;
            pass->to_encode--;
            while ((piece = piece_at(pass, pass->encode_next)) != NULL && piece->encoding)
                pass->encode_next++;
            task->stage = STAGE_ENCODE;
            task->piece = piece_at(pass, sequence);
            task->first = sequence == 0;
            return true;
        }
    }
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

/* ---- the stages: without the lock ------------------------------------------------------------- */

/* Put the end of the tar so far before the piece that begins. */
static void begin_piece(struct occy_pass *pass, struct piece *piece)
{
    if (pass->history_size == 0 || piece->history != 0 || piece->length != 0)
        return;
    memcpy(piece->bytes - pass->tail_length, pass->tail, pass->tail_length);
    piece->history = pass->tail_length;
}

static void keep_tail(struct occy_pass *pass, const struct piece *piece)
{
    if (pass->history_size == 0 || piece->length < pass->history_size)
        return; /* a short piece is the last one: nothing follows */
    memcpy(pass->tail, piece->bytes + piece->length - pass->history_size, pass->history_size);
    pass->tail_length = pass->history_size;
}

/* Under the lock: the piece being filled is whole, and joins the others. */
static void close_piece(struct occy_pool *pool, struct occy_pass *pass)
{
    struct piece *piece = pass->filling;
    pass->filling = NULL;
    /* the last piece is the short one, even if that makes it empty: so it needs no look ahead */
    piece->last = piece->length < pass->piece_size;
    pass->pieces[pass->piece_next % (uint64_t)pool->piece_count] = piece;
    pass->piece_next++;
    pass->tar_total += piece->length;
    count(&pass->count_tar, piece->length);
    if (pass->options.output == OCCY_OUTPUT_ENCODED)
        pass->to_encode++;
    if (piece->last)
        pass->tar_ended = true;
}

static void check_limits(const struct occy_pass *pass, uint64_t tar, uint64_t source, struct done *done)
{
    const struct occy_pass_options *options = &pass->options;
    if (options->max_tar != 0 && tar > options->max_tar) {
        done->status = OCCY_BOMB;
        done->offset = (int64_t)tar;
        done->allowed = options->max_tar;
        done->value = tar;
    } else if (options->max_ratio != 0 && tar > options->ratio_floor && tar / options->max_ratio > source) {
        done->status = OCCY_RATIO;
        done->offset = (int64_t)tar;
        done->allowed = options->max_ratio;
        done->value = source == 0 ? tar : tar / source;
    }
}

static void read_bytes(struct occy_pass *pass, uint8_t *target, size_t room, struct done *done)
{
    int64_t size = pass->options.source_size;
    int64_t position = (int64_t)pass->read_position;

    if (size >= 0 && (uint64_t)(size - position) < room)
        room = (size_t)(size - position);
    while (done->amount < room) {
        ssize_t got = pread(pass->options.source_fd, target + done->amount, room - done->amount,
                            pass->options.source_offset + position + (int64_t)done->amount);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            done->status = OCCY_READ;
            done->error_number = errno;
            done->offset = position + (int64_t)done->amount;
            return;
        }
        if (got == 0) {
            if (size >= 0) {
                done->status = OCCY_SHORT_READ;
                done->offset = position + (int64_t)done->amount;
            }
            done->ended = true;
            return;
        }
        done->amount += (size_t)got;
    }
    if (size >= 0 && position + (int64_t)done->amount == size)
        done->ended = true;
}

/* Write all of *bytes*; false, with the error in *done*, where that fails. */
static bool write_at(int fd, const uint8_t *bytes, size_t length, int64_t position, struct done *done)
{
    while (length > 0) {
        ssize_t put = pwrite(fd, bytes, length, position);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            done->status = OCCY_WRITE;
            done->error_number = put < 0 ? errno : ENOSPC;
            done->offset = position;
            return false;
        }
        bytes += put;
        length -= (size_t)put;
        position += put;
    }
    return true;
}

/* Collect *bytes* for the writer.  pick_from has seen that there is room. */
static void batch_bytes(struct occy_pass *pass, const uint8_t *bytes, size_t length, struct done *done)
{
    int64_t position = pass->options.sink_offset + (int64_t)pass->sink_position;

    done->amount = length;
    while (length > 0) {
        struct batch *batch = &pass->batches[pass->batch];
        size_t more;
        if (batch->length == 0 && position % (int64_t)BLOCK != 0) {
            /* up to the next block */
            more = BLOCK - (size_t)(position % (int64_t)BLOCK);
            more = more < length ? more : length;
            if (!write_at(pass->options.sink_fd, bytes, more, position, done))
                return;
        } else {
            if (batch->length == 0)
                batch->position = position;
            more = ENCODED_MAX - batch->length < length ? ENCODED_MAX - batch->length : length;
            memcpy(batch->bytes + batch->length, bytes, more);
            batch->length += more;
            if (batch->length == ENCODED_MAX) {
                batch->full = true;
                pass->batch = 1 - pass->batch;
            }
        }
        bytes += more;
        length -= more;
        position += (int64_t)more;
    }
}

static void run_write(struct occy_pass *pass, const struct batch *batch, struct done *done)
{
    size_t whole = batch->length / BLOCK * BLOCK, put = 0;

    while (whole >= WORTH_IT && put < whole) {
        ssize_t got = pwrite(pass->direct_fd, batch->bytes + put, whole - put, batch->position + (int64_t)put);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || (size_t)got % BLOCK != 0)
            break; /* whatever is wrong, the cache can take the rest, or tells what it is */
        put += (size_t)got;
    }
    (void)write_at(pass->options.sink_fd, batch->bytes + put, batch->length - put, batch->position + (int64_t)put, done);
}

static void write_bytes(struct occy_pass *pass, const uint8_t *bytes, size_t length, struct done *done)
{
    int64_t position = pass->options.sink_offset + (int64_t)pass->sink_position;
    uint64_t reached = pass->sink_position + length;

    if (pass->direct_fd >= 0) {
        batch_bytes(pass, bytes, length, done);
        return;
    }
    if (!write_at(pass->options.sink_fd, bytes, length, position, done))
        return;
    done->amount = length;
    if (reached - pass->written_back >= WRITE_BACK) {
        /* a hint: where the file system has no such thing, fsync does all the work */
        (void)sync_file_range(pass->options.sink_fd, pass->options.sink_offset + (int64_t)pass->written_back,
                              (int64_t)(reached - pass->written_back), SYNC_FILE_RANGE_WRITE);
        pass->written_back = reached;
    }
}

static void run_decode(struct occy_pass *pass, const struct task *task, struct done *done)
{
    struct piece *piece = pass->filling;
    const uint8_t *source = task->last ? NULL : task->chunk->bytes + task->chunk->decoded;
    size_t left = task->last ? 0 : task->chunk->length - task->chunk->decoded;
    size_t before = left;
    uint8_t *target;
    size_t room;
    bool gzip = pass->options.decode == OCCY_CODEC_GZIP;

    begin_piece(pass, piece);
    target = piece->bytes + piece->length;
    room = pass->piece_size - piece->length;
    if (task->last) {
        done->status = gzip ? occy_inflate_finish(pass->inflate) : occy_unzstd_finish(pass->unzstd);
    } else {
        done->status = gzip ? occy_inflate_step(pass->inflate, &source, &left, &target, &room)
                            : occy_unzstd_step(pass->unzstd, &source, &left, &target, &room);
        piece->length = pass->piece_size - room;
        task->chunk->decoded += before - left;
        done->ended = left == 0 && room > 0;
        done->full = room == 0;
    }
    if (done->status != OCCY_OK) {
        done->offset = (int64_t)(gzip ? occy_inflate_progress(pass->inflate)->offset
                                      : occy_unzstd_progress(pass->unzstd)->offset);
        if (done->status == OCCY_HEADER_LIMIT) {
            done->allowed = pass->options.max_header;
            done->value = (uint64_t)pass->options.max_header + 1;
        }
        if (done->status == OCCY_WINDOW) {
            done->allowed = (uint64_t)1 << pass->options.window_log_max;
            done->value = occy_unzstd_progress(pass->unzstd)->window;
        }
        return;
    }
    if (gzip)
        check_limits(pass, occy_inflate_progress(pass->inflate)->total_out,
                     occy_inflate_progress(pass->inflate)->total_in, done);
    else
        check_limits(pass, occy_unzstd_progress(pass->unzstd)->total_out,
                     occy_unzstd_progress(pass->unzstd)->total_in, done);
    if (done->status == OCCY_OK && (done->full || task->last))
        keep_tail(pass, piece);
}

static int run_encode(struct worker *worker, struct occy_pass *pass, struct piece *piece, bool first)
{
    uint8_t *target = piece->encoded;
    size_t capacity = ENCODED_MAX, size = 0;
    int status;

    if (pass->options.encode == OCCY_CODEC_GZIP) {
        if (worker->gzip != NULL && worker->gzip_level != pass->options.level) {
            occy_gzip_encoder_free(worker->gzip);
            worker->gzip = NULL;
        }
        if (worker->gzip == NULL) {
            worker->gzip = occy_gzip_encoder_create(pass->options.level);
            worker->gzip_level = pass->options.level;
            if (worker->gzip == NULL)
                return OCCY_NO_MEMORY;
        }
        if (first) {
            occy_gzip_header(target);
            target += OCCY_GZIP_HEADER_SIZE;
            capacity -= OCCY_GZIP_HEADER_SIZE;
        }
        status = occy_gzip_segment(worker->gzip, piece->bytes, piece->length, target, capacity, &size, &piece->crc);
        piece->encoded_length = size + (first ? OCCY_GZIP_HEADER_SIZE : 0);
        return status;
    }
#if OCCY_ZSTD_HAVE_JOBS
    if (worker->zstd != NULL && worker->zstd_level != pass->options.level) {
        occy_zstd_encoder_free(worker->zstd);
        worker->zstd = NULL;
    }
    if (worker->zstd == NULL) {
        worker->zstd = occy_zstd_encoder_create(pass->options.level);
        worker->zstd_level = pass->options.level;
        if (worker->zstd == NULL)
            return OCCY_NO_MEMORY;
    }
    status = occy_zstd_job(worker->zstd, piece->bytes, piece->history, piece->length, first, piece->last, target,
                           capacity, &size);
#else
    (void)worker;
    status = occy_zstd_stream(pass->stream_encoder, piece->bytes, piece->length, piece->last, target, capacity, &size);
#endif
    piece->encoded_length = size;
    return status;
}

/* What ends an encoded layer goes behind its last piece. */
static void append_trailer(struct occy_pass *pass, struct piece *piece)
{
    uint8_t *end = piece->encoded + piece->encoded_length;
    if (pass->options.encode == OCCY_CODEC_GZIP) {
        occy_gzip_trailer(end, pass->crc, pass->crc_length);
        piece->encoded_length += OCCY_GZIP_TRAILER_SIZE;
        return;
    }
#if OCCY_ZSTD_HAVE_JOBS
    {
        uint32_t sum = occy_zstd_checksum_final(&pass->checksum);
        int i;
        for (i = 0; i < 4; i++)
            end[i] = (uint8_t)(sum >> (8 * i));
        piece->encoded_length += 4;
    }
#endif
}

static void run_out(struct occy_pass *pass, struct piece *piece, struct done *done)
{
    const uint8_t *bytes = piece->bytes;
    size_t length = piece->length;

    if (pass->options.output == OCCY_OUTPUT_ENCODED) {
        if (pass->options.encode == OCCY_CODEC_GZIP) {
            pass->crc = occy_crc32_combine(pass->crc, piece->crc, piece->length);
            pass->crc_length += piece->length;
        }
        if (piece->last)
            append_trailer(pass, piece);
        bytes = piece->encoded;
        length = piece->encoded_length;
        occy_sha256_update(&pass->output_sha, bytes, length);
    }
    if (pass->options.sink_fd >= 0)
        write_bytes(pass, bytes, length, done);
    else
        done->amount = length;
}

static void run(struct worker *worker, struct task *task, struct done *done)
{
    struct occy_pass *pass = task->pass;
    struct piece *piece = task->piece;

    memset(done, 0, sizeof *done);
    switch (task->stage) {
    case STAGE_READ:
        begin_piece(pass, piece);
        read_bytes(pass, piece->bytes, pass->piece_size, done);
        piece->length = done->amount;
        if (done->status == OCCY_OK)
            check_limits(pass, pass->tar_total + piece->length, pass->tar_total + piece->length, done);
        if (done->status == OCCY_OK)
            keep_tail(pass, piece);
        break;
    case STAGE_READ_CHUNK:
        read_bytes(pass, task->chunk->bytes, CHUNK, done);
        task->chunk->length = done->amount;
        break;
    case STAGE_HASH:
        occy_sha256_update(&pass->tar_sha, piece->bytes, piece->length);
#if OCCY_ZSTD_HAVE_JOBS
        if (pass->options.output == OCCY_OUTPUT_ENCODED && pass->options.encode == OCCY_CODEC_ZSTD)
            occy_zstd_checksum_update(&pass->checksum, piece->bytes, piece->length);
#endif
        break;
    case STAGE_HASH_CHUNK:
        occy_sha256_update(&pass->source_sha, task->chunk->bytes, task->chunk->length);
        break;
    case STAGE_SCAN:
        done->status = occy_tar_scan_check(pass->scan, piece->bytes, piece->length, piece->last, &done->offset);
        if (done->status != OCCY_OK) {
            done->problem = occy_tar_scan_progress(pass->scan)->problem;
            done->allowed = (uint64_t)occy_tar_scan_progress(pass->scan)->allowed;
            done->value = (uint64_t)occy_tar_scan_progress(pass->scan)->value;
        }
        break;
    case STAGE_DECODE:
        run_decode(pass, task, done);
        break;
    case STAGE_ENCODE:
        done->status = run_encode(worker, pass, piece, task->first);
        break;
    case STAGE_OUT:
        run_out(pass, piece, done);
        break;
    case STAGE_OUT_CHUNK:
        if (pass->options.sink_fd >= 0)
            write_bytes(pass, task->chunk->bytes, task->chunk->length, done);
        else
            done->amount = task->chunk->length;
        break;
    case STAGE_WRITE:
        run_write(pass, task->batch, done);
        break;
    case STAGE_NONE:
        break;
    }
}

/* Under the lock: batches that are full are the writer's. */
static void hand_on(struct occy_pool *pool, struct occy_pass *pass)
{
    int i;
    for (i = 0; i < 2; i++) {
        if (pass->batches[i].full) {
            pass->batches[i].full = false;
            pass->batches[i].ready = true;
            pthread_cond_signal(&pool->batches);
        }
    }
}

/* Under the lock: note what the stage did. */
static void finish(struct occy_pool *pool, struct task *task, const struct done *done)
{
    struct occy_pass *pass = task->pass;

    if (done->status != OCCY_OK && task->stage != STAGE_SCAN)
        fail(pass, done);
    switch (task->stage) {
    case STAGE_READ:
        pass->read_position += done->amount;
        count(&pass->count_source, done->amount);
        if (done->status != OCCY_OK)
            break;
        close_piece(pool, pass);
        pass->source_ended = pass->tar_ended;
        break;
    case STAGE_READ_CHUNK:
        pass->read_busy = false;
        pass->read_position += done->amount;
        count(&pass->count_source, done->amount);
        if (done->status != OCCY_OK)
            break;
        pass->chunks[pass->chunk_next % (uint64_t)pool->chunk_count] = task->chunk;
        pass->filling_chunk = NULL;
        pass->chunk_next++;
        if (done->ended)
            pass->source_ended = true;
        break;
    case STAGE_HASH:
        pass->hash_busy = false;
        task->piece->hashed = true;
        pass->hash_next++;
        break;
    case STAGE_HASH_CHUNK:
        pass->chunk_hash_busy = false;
        task->chunk->hashed = true;
        pass->chunk_hash_next++;
        break;
    case STAGE_SCAN:
        pass->scan_busy = false;
        task->piece->scanned = true;
        pass->scan_next++;
        if (done->status != OCCY_OK)
            pass->scan_failure = *done;
        break;
    case STAGE_DECODE:
        pass->decode_busy = false;
        if (done->status != OCCY_OK)
            break;
        if (done->full || task->last)
            close_piece(pool, pass);
        if (done->ended) {
            task->chunk->decode_done = true;
            pass->decode_next++;
        }
        break;
    case STAGE_ENCODE:
        pass->encode_busy = false;
        task->piece->encode_done = true;
        break;
    case STAGE_OUT:
        pass->out_busy = false;
        pass->out_next++;
        hand_on(pool, pass);
        pass->sink_position += done->amount;
        count(&pass->count_output, done->amount);
        if (pass->options.sink_fd >= 0 || done->amount == 0) {
            task->piece->out_done = true;
        } else {
            task->piece->drainable = true;
            signal_event(pool);
        }
        break;
    case STAGE_OUT_CHUNK:
        pass->chunk_out_busy = false;
        pass->chunk_out_next++;
        hand_on(pool, pass);
        pass->sink_position += done->amount;
        count(&pass->count_output, done->amount);
        if (pass->options.sink_fd >= 0 || done->amount == 0) {
            task->chunk->out_done = true;
        } else {
            task->chunk->drainable = true;
            signal_event(pool);
        }
        break;
    case STAGE_WRITE:
        task->batch->length = 0;
        task->batch->ready = false;
        if (pool->idle > 0)
            pthread_cond_signal(&pool->work); /* there is room again */
        break;
    case STAGE_NONE:
        break;
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct occy_pool *pool = worker->pool;
    struct task task;
    struct done done;

    memset(&task, 0, sizeof task);
    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        if (!pick(pool, &task)) {
            pool->idle++;
            pthread_cond_wait(&pool->work, &pool->lock);
            pool->idle--;
            continue;
        }
        task.pass->running++;
        if (pool->idle > 0)
            pthread_cond_signal(&pool->work); /* what was picked may not be all there is */
        pthread_mutex_unlock(&pool->lock);
        run(worker, &task, &done);
        pthread_mutex_lock(&pool->lock);
        finish(pool, &task, &done);
        task.pass->running--;
        settle(pool, task.pass);
    }
    pthread_mutex_unlock(&pool->lock);
    occy_gzip_encoder_free(worker->gzip);
    occy_zstd_encoder_free(worker->zstd);
    worker->gzip = NULL;
    worker->zstd = NULL;
    return NULL;
}

/* The writer: waits for the disk, so that no worker does. */
static void *write_batches(void *argument)
{
    struct occy_pool *pool = argument;
    struct task task;
    struct done done;

    memset(&task, 0, sizeof task);
    task.stage = STAGE_WRITE;
    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        struct occy_pass *pass;
        task.batch = NULL;
        for (pass = pool->passes; pass != NULL && task.batch == NULL; pass = pass->next) {
            if (pass->ended || pass->result.status != OCCY_OK || pass->cancelled)
                continue;
            task.pass = pass;
            if (pass->batches[0].ready)
                task.batch = &pass->batches[0];
            else if (pass->batches[1].ready)
                task.batch = &pass->batches[1];
        }
        if (task.batch == NULL) {
            pthread_cond_wait(&pool->batches, &pool->lock);
            continue;
        }
        task.pass->running++;
        pthread_mutex_unlock(&pool->lock);
        run(NULL, &task, &done);
        pthread_mutex_lock(&pool->lock);
        finish(pool, &task, &done);
        task.pass->running--;
        settle(pool, task.pass);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

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
        error = pthread_create(&worker->thread, NULL, work, worker);
        if (error == 0)
            pool->started++;
    }
    if (error == 0) {
        error = pthread_create(&pool->writer, NULL, write_batches, pool);
        pool->writing = error == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static void lay_out(struct occy_pool *pool)
{
    uint8_t *memory = pool->memory;
    int i;
    for (i = 0; i < pool->piece_count; i++) {
        struct piece *piece = &pool->pieces[i];
        piece->bytes = memory + OCCY_ZSTD_HISTORY;
        piece->encoded = piece->bytes + PIECE_MAX;
        memory += OCCY_ZSTD_HISTORY + PIECE_MAX + ENCODED_MAX;
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
    pthread_cond_init(&pool->batches, NULL);
    pool->workers = workers;
    pool->piece_count = pieces_for(workers);
    pool->chunk_count = chunks_for(workers);
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
    lay_out(pool);
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
    pthread_cond_broadcast(&pool->batches);
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
        settle(pool, pass);
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
    pthread_cond_destroy(&pool->batches);
    pthread_cond_destroy(&pool->settled);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

int occy_pool_event_fd(const struct occy_pool *pool) { return pool->event_fd; }

/* ---- passes ------------------------------------------------------------------------------------ */

/* Open the sink a second time, past the cache, where its file system says that this works in blocks of ours. */
static int open_direct(int fd)
{
#ifdef STATX_DIOALIGN
    char path[32];
    struct statx status;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) != 0 || !(status.stx_mask & STATX_DIOALIGN) ||
        status.stx_dio_offset_align == 0 || BLOCK % status.stx_dio_offset_align != 0 ||
        status.stx_dio_mem_align == 0 || BLOCK % status.stx_dio_mem_align != 0)
        return -1;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);
#else
    (void)fd;
    return -1;
#endif
}

/* Without memory for batches the cache does. */
static void prepare_batches(struct occy_pass *pass)
{
    uint8_t *memory;
    if (pass->options.sink_fd < 0 || pass->options.output == OCCY_OUTPUT_NOTHING)
        return;
    pass->direct_fd = open_direct(pass->options.sink_fd);
    if (pass->direct_fd < 0)
        return;
    memory = mmap(NULL, 2 * ENCODED_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        close(pass->direct_fd);
        pass->direct_fd = -1;
        return;
    }
    pass->batches[0].bytes = memory;
    pass->batches[1].bytes = memory + ENCODED_MAX;
}

static void release(struct occy_pass *pass)
{
    release_batches(pass);
    occy_inflate_free(pass->inflate);
    occy_unzstd_free(pass->unzstd);
    occy_tar_scan_free(pass->scan);
#if !OCCY_ZSTD_HAVE_JOBS
    occy_zstd_encoder_free(pass->stream_encoder);
#endif
    free(pass->tail);
    free(pass->chunks);
    free(pass->pieces);
    free(pass);
}

static bool prepare(struct occy_pass *pass)
{
    const struct occy_pass_options *options = &pass->options;
    bool ready = true;

    pass->pieces = calloc((size_t)pass->pool->piece_count, sizeof *pass->pieces);
    pass->chunks = calloc((size_t)pass->pool->chunk_count, sizeof *pass->chunks);
    ready = pass->pieces != NULL && pass->chunks != NULL;
    if (options->decode == OCCY_CODEC_GZIP) {
        struct occy_inflate_limits limits = {options->max_header};
        pass->inflate = occy_inflate_create(&limits);
        ready = ready && pass->inflate != NULL;
    } else if (options->decode == OCCY_CODEC_ZSTD) {
        struct occy_unzstd_limits limits = {(uint32_t)options->window_log_max};
        pass->unzstd = occy_unzstd_create(&limits);
        ready = ready && pass->unzstd != NULL;
    }
    if (options->scan_tar) {
        struct occy_tar_options scanning = {options->scan_tar > 1, 0, options->max_extension, options->max_sparse_map,
                                            options->max_extensions};
        pass->scan = occy_tar_scan_open(&scanning);
        ready = ready && pass->scan != NULL;
    }
    pass->piece_size = OCCY_GZIP_PIECE;
    if (options->output == OCCY_OUTPUT_ENCODED && options->encode == OCCY_CODEC_ZSTD) {
        pass->piece_size = OCCY_ZSTD_PIECE;
#if OCCY_ZSTD_HAVE_JOBS
        pass->history_size = OCCY_ZSTD_HISTORY;
        pass->tail = malloc(pass->history_size);
        ready = ready && pass->tail != NULL;
        occy_zstd_checksum_init(&pass->checksum);
#else
        pass->stream_encoder = occy_zstd_encoder_create(options->level);
        ready = ready && pass->stream_encoder != NULL;
#endif
    }
    occy_sha256_init(&pass->tar_sha);
    occy_sha256_init(&pass->source_sha);
    occy_sha256_init(&pass->output_sha);
    return ready;
}

struct occy_pass *occy_pass_start(struct occy_pool *pool, const struct occy_pass_options *options)
{
    struct occy_pass *pass = calloc(1, sizeof *pass);
    struct occy_pass **end;

    if (pass == NULL)
        return NULL;
    pass->pool = pool;
    pass->direct_fd = -1;
    pass->options = *options;
    /* undecoded, the source is the tar */
    if (options->decode == OCCY_CODEC_NONE && options->output == OCCY_OUTPUT_SOURCE)
        pass->options.output = OCCY_OUTPUT_TAR;
    prepare_batches(pass);
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
        settle(pool, pass);
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
    settle(pool, pass);
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
    settle(pass->pool, pass);
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

const struct occy_pass_result *occy_pass_outcome(const struct occy_pass *pass) { return &pass->result; }

void occy_pass_counters(const struct occy_pass *pass, uint64_t counters[3])
{
    counters[0] = __atomic_load_n(&pass->count_source, __ATOMIC_RELAXED);
    counters[1] = __atomic_load_n(&pass->count_tar, __ATOMIC_RELAXED);
    counters[2] = __atomic_load_n(&pass->count_output, __ATOMIC_RELAXED);
}

/* ---- feeding and draining ---------------------------------------------------------------------- */

static bool takes_feed(const struct occy_pass *pass)
{
    return fed(pass) && !pass->feed_over && !pass->ended && !pass->cancelled && pass->result.status == OCCY_OK;
}

static size_t feed_chunk(struct occy_pool *pool, struct occy_pass *pass, const uint8_t *bytes, size_t length)
{
    struct chunk *chunk;
    size_t more;

    if (pass->filling_chunk == NULL) {
        if (!may_take_chunk(pool, pass))
            return 0;
        pass->filling_chunk = take_chunk(pool, pass);
    }
    chunk = pass->filling_chunk;
    more = CHUNK - chunk->length < length ? CHUNK - chunk->length : length;
    pthread_mutex_unlock(&pool->lock);
    memcpy(chunk->bytes + chunk->length, bytes, more);
    pthread_mutex_lock(&pool->lock);
    chunk->length += more;
    if (chunk->length == CHUNK) {
        pass->filling_chunk = NULL;
        pass->chunks[pass->chunk_next % (uint64_t)pool->chunk_count] = chunk;
        pass->chunk_next++;
    }
    return more;
}

static size_t feed_piece(struct occy_pool *pool, struct occy_pass *pass, const uint8_t *bytes, size_t length)
{
    struct piece *piece;
    size_t more;
    struct done done = {.status = OCCY_OK};

    if (pass->filling == NULL) {
        if (pass->to_encode > pool->workers || !may_take_piece(pool, pass))
            return 0;
        pass->filling = take_piece(pool, pass);
    }
    piece = pass->filling;
    more = pass->piece_size - piece->length < length ? pass->piece_size - piece->length : length;
    pthread_mutex_unlock(&pool->lock);
    begin_piece(pass, piece);
    memcpy(piece->bytes + piece->length, bytes, more);
    if (piece->length + more == pass->piece_size) {
        piece->length += more;
        keep_tail(pass, piece);
        piece->length -= more;
    }
    pthread_mutex_lock(&pool->lock);
    piece->length += more;
    check_limits(pass, pass->tar_total + piece->length, pass->tar_total + piece->length, &done);
    if (done.status != OCCY_OK)
        fail(pass, &done);
    else if (piece->length == pass->piece_size)
        close_piece(pool, pass);
    return more;
}

size_t occy_pass_feed(struct occy_pass *pass, const uint8_t *bytes, size_t length)
{
    struct occy_pool *pool = pass->pool;
    size_t taken = 0, more = 1;

    pthread_mutex_lock(&pool->lock);
    pass->running++;
    while (taken < length && more > 0 && takes_feed(pass)) {
        more = pass->options.decode != OCCY_CODEC_NONE ? feed_chunk(pool, pass, bytes + taken, length - taken)
                                                       : feed_piece(pool, pass, bytes + taken, length - taken);
        taken += more;
        pass->read_position += more;
        count(&pass->count_source, more);
        if (more > 0)
            pthread_cond_broadcast(&pool->work);
    }
    pass->running--;
    settle(pool, pass);
    pthread_mutex_unlock(&pool->lock);
    return taken;
}

/* Close what is half full; 0 when a buffer must come free first. */
static int end_feed(struct occy_pool *pool, struct occy_pass *pass)
{
    if (pass->options.decode != OCCY_CODEC_NONE) {
        struct chunk *chunk = pass->filling_chunk;
        if (chunk != NULL) {
                pass->filling_chunk = NULL;
            pass->chunks[pass->chunk_next % (uint64_t)pool->chunk_count] = chunk;
            pass->chunk_next++;
        }
    } else {
        if (pass->filling == NULL) {
            if (!may_take_piece(pool, pass))
                return 0;
            pass->filling = take_piece(pool, pass);
            begin_piece(pass, pass->filling);
        }
        close_piece(pool, pass);
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
        settle(pool, pass);
    }
    pthread_mutex_unlock(&pool->lock);
    return ended;
}

/* The oldest piece that waits to be drained; empty ones never do. */
static struct piece *drain_piece(struct occy_pass *pass)
{
    struct piece *piece;
    if (!writes_pieces(pass))
        return NULL;
    if (pass->drain_next < pass->piece_first)
        pass->drain_next = pass->piece_first;
    while ((piece = piece_at(pass, pass->drain_next)) != NULL && piece->out_done)
        pass->drain_next++;
    return piece != NULL && piece->drainable ? piece : NULL;
}

static struct chunk *drain_chunk(struct occy_pass *pass)
{
    struct chunk *chunk;
    if (pass->options.output != OCCY_OUTPUT_SOURCE)
        return NULL;
    if (pass->chunk_drain_next < pass->chunk_first)
        pass->chunk_drain_next = pass->chunk_first;
    while ((chunk = chunk_at(pass, pass->chunk_drain_next)) != NULL && chunk->out_done)
        pass->chunk_drain_next++;
    return chunk != NULL && chunk->drainable ? chunk : NULL;
}

static size_t drainable(struct occy_pass *pass)
{
    struct piece *piece = drain_piece(pass);
    struct chunk *chunk = drain_chunk(pass);
    if (pass->ended)
        return 0;
    if (piece != NULL)
        return (pass->options.output == OCCY_OUTPUT_TAR ? piece->length : piece->encoded_length) - piece->drained;
    return chunk != NULL ? chunk->length - chunk->drained : 0;
}

size_t occy_pass_drainable(struct occy_pass *pass)
{
    size_t size;
    pthread_mutex_lock(&pass->pool->lock);
    size = drainable(pass);
    pthread_mutex_unlock(&pass->pool->lock);
    return size;
}

size_t occy_pass_drain(struct occy_pass *pass, uint8_t *target, size_t room)
{
    struct occy_pool *pool = pass->pool;
    struct piece *piece;
    struct chunk *chunk;
    const uint8_t *bytes;
    size_t size;

    pthread_mutex_lock(&pool->lock);
    size = drainable(pass);
    if (size > room)
        size = room;
    if (size == 0) {
        pthread_mutex_unlock(&pool->lock);
        return 0;
    }
    piece = drain_piece(pass);
    chunk = piece == NULL ? drain_chunk(pass) : NULL;
    bytes = piece == NULL ? chunk->bytes + chunk->drained
                          : (pass->options.output == OCCY_OUTPUT_TAR ? piece->bytes : piece->encoded) + piece->drained;
    pass->running++;
    pthread_mutex_unlock(&pool->lock);
    memcpy(target, bytes, size);
    pthread_mutex_lock(&pool->lock);
    pass->running--;
    if (piece != NULL) {
        piece->drained += size;
        if (piece->drained == (pass->options.output == OCCY_OUTPUT_TAR ? piece->length : piece->encoded_length)) {
            piece->out_done = true;
        }
    } else {
        chunk->drained += size;
        if (chunk->drained == chunk->length) {
            chunk->out_done = true;
        }
    }
    settle(pool, pass);
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    return size;
}
