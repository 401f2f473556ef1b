/* Streaming zstd decoder across frames (RFC 8878): only a finished frame proves an end.
 *
 * One object belongs to one thread at a time.  Skippable frames are skipped, dictionaries and the formats
 * before 0.8 are refused.  Memory follows the window a frame asks for, never its content size. */
#ifndef OCCY_UNZSTD_H
#define OCCY_UNZSTD_H

#include <stddef.h>
#include <stdint.h>

struct occy_unzstd;

struct occy_unzstd_limits {
    uint32_t window_log_max; /* 10 to 31 */
};

/* What a stream has shown so far.  After an error, *offset* is where in the input:
 * OCCY_TRUNCATED: where the input ended; everything else: the first byte of the frame that is wrong. */
struct occy_unzstd_progress {
    uint64_t total_in;
    uint64_t total_out;
    uint64_t frames;  /* that ended, without the skippable ones */
    uint64_t skipped; /* skippable frames that ended */
    uint64_t offset;
    uint64_t window; /* the largest window a frame asked for, in bytes, also where it was refused; at most INT64_MAX */
};

/* NULL limits are the defaults (window log 27).  Returns NULL when memory is short. */
struct occy_unzstd *occy_unzstd_create(const struct occy_unzstd_limits *limits);
void occy_unzstd_free(struct occy_unzstd *unzstd); /* NULL is allowed */
const struct occy_unzstd_progress *occy_unzstd_progress(const struct occy_unzstd *unzstd);

/* Decode until the input is used up or the output is full, moving both pointers and both lengths along.
 *
 * Returns OCCY_OK or an error of status.h; an error is final.  Where output is still
 * pending, *dst_len is 0 on return: a call that leaves room has nothing more to give for this input. */
int occy_unzstd_step(struct occy_unzstd *unzstd, const uint8_t **src, size_t *src_len, uint8_t **dst,
                     size_t *dst_len);

/* Say that the input is over: OCCY_OK when at least one frame was seen and the last one is whole. */
int occy_unzstd_finish(struct occy_unzstd *unzstd);

#endif
