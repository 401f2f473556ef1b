/* What the files of the layer pass share: the state of a pool and its passes, and who may touch which field.
 *
 * Every field names its guard in its comment:
 *     fixed    written before a second thread sees it, and at the end, when no stage runs: read by anybody
 *     lock     occy_pool.lock
 *     polled   relaxed atomics
 *     owner    the thread that made the pool
 *     thread   the worker's own
 * or the stage that may touch it without the lock.  Of a pass, at most one thread at a time is in each of them but
 * "encode", and in no two of different passes does it meet the same piece or chunk:
 *     fill     STAGE_READ, STAGE_READ_CHUNK, the feeder: whoever took the buffer that is being filled; for a piece that
 *              is decoded, STAGE_DECODE
 *     decode   STAGE_DECODE        hash     STAGE_HASH          hash chunk   STAGE_HASH_CHUNK
 *     scan     STAGE_SCAN          out      STAGE_OUT, STAGE_OUT_CHUNK
 *     encode   STAGE_ENCODE of that piece                       write        STAGE_WRITE of that buffer
 * What such a stage leaves behind is read by later ones: between them lies the lock. */
#ifndef OCCY_PASS_STATE_H
#define OCCY_PASS_STATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layer_pass.h"
#include "pass_decoder.h"
#include "pass_encoder.h"
#include "sha256.h"
#include "status.h"
#include "tar_scan.h"

/* Compressed source bytes are handed over in chunks of this size: a quarter of a piece, so that
 * digesting, copying and decoding the same bytes finds them in cache. */
#define CHUNK ((size_t)256 << 10)

/* Direct writes start and end at multiples of this. */
#define BLOCK ((size_t)4096)

#define ENCODED_MAX (OCCY_PIECE_MAX + (OCCY_PIECE_MAX >> 6) + BLOCK)

/* A piece of tar on its way through the stages.  *history* bytes before *bytes* repeat its predecessor's end. */
struct piece {
    struct piece *next_free;   /* lock */
    uint8_t *bytes;            /* fixed: OCCY_PIECE_MAX of them, and OCCY_HISTORY_MAX before; the content: fill */
    uint8_t *encoded;          /* fixed: ENCODED_MAX; the content: encode, out */
    size_t history, length;    /* fill */
    size_t encoded_length;     /* encode, out */
    size_t drained;            /* lock */
    uint32_t crc;              /* encode: of these bytes alone, where the encoder joins CRCs */
    bool last;                 /* lock */
    bool hashed, scanned;      /* lock */
    bool encode_done;          /* lock */
    bool drainable, out_done;  /* lock */
};

/* Source bytes that wait for a decoder. */
struct chunk {
    struct chunk *next_free;                      /* lock */
    uint8_t *bytes;                               /* fixed: CHUNK of them; the content: fill */
    size_t length;                                /* fill */
    size_t decoded;                               /* decode */
    size_t drained;                               /* lock */
    bool hashed, decode_done, drainable, out_done; /* lock */
};

/* Output that is collected until it is worth a write of its own; it starts at a block of the file. */
struct write_buffer {
    uint8_t *bytes;   /* fixed: ENCODED_MAX, any piece fits; the content: out */
    size_t length;    /* out; lock where no stage OUT runs */
    int64_t position; /* out */
    bool full;        /* out: nothing more is added; the stage that filled it has not returned yet */
    bool ready;       /* lock: it is the writer's */
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
    STAGE_WRITE        /* the writer's: one write buffer past the cache */
};

struct stage_result {
    int status, error_number, problem;
    int64_t offset;
    uint64_t allowed, value;
    size_t amount; /* bytes handled */
    bool ended;    /* reads: the source is at its end; decode: the chunk is used up */
    bool full;     /* decode: the piece is */
};

/* What a thread was given to do: a stage, and what it works on. */
struct task {
    enum stage stage;
    struct occy_pass *pass;
    struct piece *piece;
    struct chunk *chunk;
    struct write_buffer *buffer;
    bool last;  /* STAGE_DECODE: there is no chunk any more */
    bool first; /* STAGE_ENCODE: the layer's first piece */
};

struct occy_pass {
    struct occy_pool *pool;           /* fixed */
    struct occy_pass *next;           /* lock */
    struct occy_pass_options options; /* fixed */
    struct occy_pass_result result;   /* lock; fixed once *ended* */
    size_t piece_size, history_size;  /* fixed */
    bool cancelled, ended;            /* lock */
    int running;                      /* lock: stages and feeders inside this pass now */

    /* pieces [piece_first, piece_next) are alive, at index % piece_count */
    struct piece **pieces;            /* fixed; the content: lock */
    uint64_t piece_first, piece_next; /* lock */
    struct piece *filling;            /* lock: started, not filled: not among the pieces yet */
    int pieces_held;                  /* lock */
    int to_encode;                    /* lock: filled pieces whose encoding has not started */
    uint64_t hash_next, scan_next, encode_next, out_next, drain_next; /* lock */
    bool hash_busy, scan_busy, encode_busy, out_busy;                 /* lock */
    bool tar_ended;                   /* lock: the last piece is filled */

    struct chunk **chunks;            /* fixed; the content: lock */
    uint64_t chunk_first, chunk_next; /* lock */
    struct chunk *filling_chunk;      /* lock */
    int chunks_held;                  /* lock */
    uint64_t chunk_hash_next, decode_next, chunk_out_next, chunk_drain_next; /* lock */
    bool read_busy, chunk_hash_busy, decode_busy, chunk_out_busy;            /* lock */
    bool source_ended;                /* lock: every source byte is in a chunk (or, undecoded, in a piece) */
    bool feed_over;                   /* lock: occy_pass_end_feed was called */

    int direct_fd;                    /* fixed: the sink, past the cache; -1: there is no such thing */
    struct write_buffer buffers[2];   /* as it says */
    int buffer;                       /* out; lock where no stage OUT runs: the one that is being filled */
    uint8_t *tail;                    /* fixed; the content: fill: the last history_size bytes of tar so far */
    size_t tail_length;               /* fill */
    struct occy_sha256 tar_sha;       /* hash */
    struct occy_sha256 source_sha;    /* hash chunk */
    struct occy_sha256 output_sha;    /* out */
    const struct occy_decoder_kind *decoder_kind; /* fixed; NULL: the source is the tar */
    void *decoder;                    /* fixed; the object: decode */
    const struct occy_encoder_kind *encoder_kind; /* fixed; NULL: nothing is encoded */
    void *serial_encoder;             /* fixed; the object: encode, of which there is one at a time */
    union occy_encoder_sums sums;     /* hash for what is digested, out for what is joined */
    struct occy_tar_scan *scan;       /* fixed; the object: scan */
    struct stage_result scan_failure; /* lock: the tar's own; reported when the stream around it holds */
    uint64_t read_position;           /* lock; fill reads it: bytes of source read or fed */
    uint64_t sink_position;           /* lock; out reads it: bytes of output handed on, and written but by the writer */
    uint64_t written_back;            /* out: of those, how many were sent on their way to the disk */
    uint64_t tar_total;               /* lock; fill reads it: bytes of tar in pieces */
    uint64_t count_source, count_tar, count_output; /* polled */
};

/* An encoder that a worker keeps for the next piece. */
struct held_encoder {
    void *encoder; /* thread */
    int level;     /* thread */
};

struct worker {
    struct occy_pool *pool;                 /* fixed */
    pthread_t thread;                       /* owner */
    struct held_encoder held[OCCY_CODECS];  /* thread */
};

struct occy_pool {
    pthread_mutex_t lock;          /* fixed */
    pthread_cond_t work;           /* fixed: a stage may be ready, or the pool stops */
    pthread_cond_t settled;        /* fixed: a pass has ended */
    pthread_cond_t to_write;       /* fixed: a write buffer may be ready, or the pool stops */
    pthread_t writer;              /* owner: waits for the disk, so that no worker does */
    bool writing;                  /* owner: it was started */
    bool stopping;                 /* lock */
    int idle;                      /* lock */
    int event_fd;                  /* fixed */
    int workers;                   /* fixed */
    int started;                   /* owner */
    struct worker *worker;         /* fixed */
    struct occy_pass *passes;      /* lock: in the order of their start */
    struct piece *pieces;          /* fixed */
    struct chunk *chunks;          /* fixed */
    struct piece *free_pieces;     /* lock */
    struct chunk *free_chunks;     /* lock */
    int piece_count, chunk_count;  /* fixed */
    int free_piece_count, free_chunk_count; /* lock */
    int active_limit;              /* fixed: passes that workers look at */
    uint8_t *memory;               /* fixed */
    size_t memory_size;            /* fixed */
};

/* ---- what a pass is asked --------------------------------------------------------------------- */

static inline bool occy_pass_writes_pieces(const struct occy_pass *pass)
{
    return pass->options.output == OCCY_OUTPUT_TAR || pass->options.output == OCCY_OUTPUT_ENCODED;
}

static inline bool occy_pass_is_fed(const struct occy_pass *pass) { return pass->options.source_fd < 0; }

/* Under the lock.  A tar whose header is wrong is not read any further; whether its stream is whole still counts. */
static inline bool occy_pass_scans(const struct occy_pass *pass)
{
    return pass->scan != NULL && pass->scan_failure.status == OCCY_OK;
}

/* What goes out of a piece. */
static inline const uint8_t *occy_pass_output(const struct occy_pass *pass, const struct piece *piece, size_t *length)
{
    bool encoded = pass->options.output == OCCY_OUTPUT_ENCODED;
    *length = encoded ? piece->encoded_length : piece->length;
    return encoded ? piece->encoded : piece->bytes;
}

static inline void occy_pass_count(uint64_t *counter, uint64_t more)
{
    __atomic_fetch_add(counter, more, __ATOMIC_RELAXED);
}

/* Under the lock: NULL where that piece, that chunk, is not there yet. */
static inline struct piece *occy_pass_piece_at(const struct occy_pass *pass, uint64_t sequence)
{
    if (sequence < pass->piece_first || sequence >= pass->piece_next)
        return NULL;
    return pass->pieces[sequence % (uint64_t)pass->pool->piece_count];
}

static inline struct chunk *occy_pass_chunk_at(const struct occy_pass *pass, uint64_t sequence)
{
    if (sequence < pass->chunk_first || sequence >= pass->chunk_next)
        return NULL;
    return pass->chunks[sequence % (uint64_t)pass->pool->chunk_count];
}

/* ---- pass_buffers.c: pieces and chunks; under the lock, but for the two that say so ------------- */

int occy_pass_pieces_for(int workers);
int occy_pass_chunks_for(int workers);
void occy_pass_lay_out(struct occy_pool *pool);
void occy_pass_signal_event(struct occy_pool *pool);
bool occy_pass_may_take_piece(const struct occy_pool *pool, const struct occy_pass *pass);
bool occy_pass_may_take_chunk(const struct occy_pool *pool, const struct occy_pass *pass);
struct piece *occy_pass_take_piece(struct occy_pool *pool, struct occy_pass *pass);
struct chunk *occy_pass_take_chunk(struct occy_pool *pool, struct occy_pass *pass);
/* Without the lock: put the end of the tar so far before a piece that is empty. */
void occy_pass_start_piece(struct occy_pass *pass, struct piece *piece);
/* Without the lock: keep the end of the *length* bytes of *piece* for the next one. */
void occy_pass_keep_tail(struct occy_pass *pass, const struct piece *piece, size_t length);
/* The piece, the chunk, being filled is whole, and joins the others. */
void occy_pass_close_piece(struct occy_pool *pool, struct occy_pass *pass);
void occy_pass_close_chunk(struct occy_pool *pool, struct occy_pass *pass);
/* Give back what every stage has seen. */
void occy_pass_release_finished(struct occy_pool *pool, struct occy_pass *pass);
void occy_pass_release_all(struct occy_pool *pool, struct occy_pass *pass);

/* ---- pass_write.c: output to files ------------------------------------------------------------- */

/* Of a pass that no other thread sees.  Without memory for write buffers the cache does. */
void occy_pass_prepare_writing(struct occy_pass *pass);
void occy_pass_release_writing(struct occy_pass *pass);
/* Under the lock: whether the writer is not so far behind that *length* bytes find no place. */
bool occy_pass_has_room(const struct occy_pass *pass, size_t length);
/* Under the lock: buffers that are full are the writer's. */
void occy_pass_give_to_writer(struct occy_pool *pool, struct occy_pass *pass);
/* Under the lock, with no stage running: false while there is output the writer has not written. */
bool occy_pass_is_written(struct occy_pool *pool, struct occy_pass *pass);
/* In the stage OUT: write, or collect for the writer. */
void occy_pass_write(struct occy_pass *pass, const uint8_t *bytes, size_t length, struct stage_result *result);
/* In the stage WRITE. */
void occy_pass_write_buffer(struct occy_pass *pass, const struct write_buffer *buffer, struct stage_result *result);

/* ---- pass_stages.c: what the stages do, without the lock ---------------------------------------- */

/* *worker*: who runs it; NULL for the writer, who has no encoder. */
void occy_pass_run(struct worker *worker, const struct task *task, struct stage_result *result);
void occy_pass_check_limits(const struct occy_pass *pass, uint64_t tar, uint64_t source, struct stage_result *result);
void occy_pass_free_encoders(struct worker *worker);

/* ---- pass_schedule.c: what the threads of a pool do --------------------------------------------- */

void *occy_pass_work(void *worker);
void *occy_pass_write_behind(void *pool);

/* ---- pass_end.c: what a stage changes, and the end; under the lock ------------------------------ */

/* The first failure is the pass's. */
void occy_pass_fail(struct occy_pass *pass, const struct stage_result *result);
/* Note what a stage did. */
void occy_pass_note(struct occy_pool *pool, const struct task *task, const struct stage_result *result);
/* After any change: end the pass if nothing of it is left to do. */
void occy_pass_end_if_complete(struct occy_pool *pool, struct occy_pass *pass);

#endif
