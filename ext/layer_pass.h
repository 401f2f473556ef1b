/* The fused pass: one read of a layer feeds every stage it needs, on a fixed set of threads.
 *
 * A pool owns its workers and all buffers.  A pass is one layer: its source bytes come in chunks
 * (when they must be decoded) or straight in pieces; pieces of the tar are digested in order,
 * encoded in any order and written in order.  Whichever worker is free takes the stage that is
 * ready, so every core is busy as long as any stage is, and no stage owns a thread.  Several
 * passes may be under way; earlier ones go first.
 *
 * Who may call what.  From any thread, at any time between start and free: occy_pass_start, occy_pass_cancel,
 * occy_pass_ended, occy_pass_counters, and occy_pass_result_of once the pass has ended.  From one thread at a time, the
 * caller of that pass: occy_pass_feed, occy_pass_end_feed, occy_pass_drainable, occy_pass_drain; other passes of the pool
 * do not matter.  Once, by whoever made it, with nothing else under way on that pass or pool: occy_pass_free,
 * occy_pool_free.  occy_pool_stop is the exception: once, but beside anything that other threads do with its passes.
 *
 * Nothing here touches Python. */
#ifndef OCCY_LAYER_PASS_H
#define OCCY_LAYER_PASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum occy_codec { OCCY_CODEC_NONE = 0, OCCY_CODEC_GZIP = 1, OCCY_CODEC_ZSTD = 2 };
#define OCCY_CODECS 3

/* What a pass writes: nothing, the source as it came, the tar, or the tar encoded. */
enum occy_output {
    OCCY_OUTPUT_NOTHING = 0,
    OCCY_OUTPUT_SOURCE = 1,
    OCCY_OUTPUT_TAR = 2,
    OCCY_OUTPUT_ENCODED = 3
};

struct occy_pass_options {
    enum occy_codec decode;
    enum occy_codec encode; /* with OCCY_OUTPUT_ENCODED */
    enum occy_output output;
    int level;
    int source_fd;         /* a regular file, read with pread; -1: occy_pass_feed gives the bytes */
    int64_t source_offset;
    int64_t source_size;   /* -1: to the end of the file */
    int sink_fd;           /* written with pwrite; -1: occy_pass_drain takes the bytes */
    int64_t sink_offset;
    int scan_tar;          /* read the tar's headers on the way: 0 not at all, 1 as Go does, 2 strictly */
    uint64_t max_tar;      /* bytes of tar allowed; 0: any */
    uint64_t max_ratio;    /* tar bytes for one source byte, once the tar is past ratio_floor; 0: any */
    uint64_t ratio_floor;
    int window_log_max;    /* of a zstd source: 10 to 31 */
    uint32_t max_header;   /* of a gzip source: as struct occy_inflate_limits has it */
    uint32_t max_extension, max_sparse_map, max_extensions, max_entries; /* as struct occy_tar_options has them */
};

struct occy_pass_result {
    int status;            /* of status.h; the fields below hold for OCCY_OK */
    int error_number;      /* errno of OCCY_READ, OCCY_WRITE */
    int64_t offset;        /* where: of the source for decoders and reads, of the tar for its headers, of the sink for writes */
    int problem;           /* enum occy_tar_problem, beside the status of a tar header */
    uint64_t allowed, value; /* of a limit */
    uint8_t tar_digest[32], source_digest[32], output_digest[32];
    uint64_t source_size, tar_size, output_size;
};

struct occy_pool;
struct occy_pass;

/* Start *workers* threads (1 to OCCY_POOL_MAX_WORKERS).  NULL with errno set when it cannot. */
#define OCCY_POOL_MAX_WORKERS 256
struct occy_pool *occy_pool_create(int workers);
/* Bytes of buffers that so many workers share. */
size_t occy_pool_buffer_size(int workers);
/* Stop every pass, end and join every thread, release the buffers and the eventfd.  Passes stay readable until they
 * are freed. */
void occy_pool_stop(struct occy_pool *pool);
/* After occy_pool_stop and after every pass of it is freed. */
void occy_pool_free(struct occy_pool *pool);
/* An eventfd: readable when a pass has ended, wants bytes or has bytes, since it was last read. */
int occy_pool_event_fd(const struct occy_pool *pool);

/* NULL when memory ends. */
struct occy_pass *occy_pass_start(struct occy_pool *pool, const struct occy_pass_options *options);
/* Stop it, wait for its stages to return, release it. */
void occy_pass_free(struct occy_pass *pass);
/* The pass ends with OCCY_CANCELLED unless it has ended already. */
void occy_pass_cancel(struct occy_pass *pass);
int occy_pass_ended(struct occy_pass *pass);
/* Only after it has ended. */
const struct occy_pass_result *occy_pass_result_of(const struct occy_pass *pass);
/* Only after it has ended: the list of the tar's entries; false where none was asked for, or it became too long. */
bool occy_pass_entries(const struct occy_pass *pass, const uint8_t **bytes, size_t *size);
void occy_pass_drop_entries(struct occy_pass *pass);
/* Bytes of source, tar and output so far: plain counters, may be polled. */
void occy_pass_counters(const struct occy_pass *pass, uint64_t counters[3]);

/* Take as much of *bytes* as there is room for, without waiting; how much it was.  An ended pass takes none. */
size_t occy_pass_feed(struct occy_pass *pass, const uint8_t *bytes, size_t length);
/* There is no more to feed.  Returns 0 when a buffer must come free first: call again after the next event. */
int occy_pass_end_feed(struct occy_pass *pass);
/* Bytes that occy_pass_drain could give now. */
size_t occy_pass_drainable(struct occy_pass *pass);
/* Copy up to *room* bytes of output, in order, without waiting; how many. */
size_t occy_pass_drain(struct occy_pass *pass, uint8_t *target, size_t room);

#endif
