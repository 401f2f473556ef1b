/* Streaming gzip decoder across members (RFC 1952): an end without a verified trailer is an error.
 *
 * One object belongs to one thread at a time.  All counters are 64 bits wide and span the members. */
#ifndef OCCY_INFLATE_H
#define OCCY_INFLATE_H

#include <stddef.h>
#include <stdint.h>

struct occy_inflate;

/* The default: what gzip(1) writes is 10 bytes and a name. */
#define OCCY_INFLATE_MAX_HEADER 65536

struct occy_inflate_limits {
    uint32_t max_header; /* bytes of one member header, without the content of its extra field; at least 10 */
};

/* What a stream has shown so far.  After an error, *offset* is where in the input:
 * OCCY_TRUNCATED: where the input ended; OCCY_TRAILING: the first byte that belongs to nothing;
 * everything else: the first byte of the member that is wrong. */
struct occy_inflate_progress {
    uint64_t total_in;
    uint64_t total_out;
    uint64_t members; /* whose trailer was verified */
    uint64_t padding; /* zero bytes after the last member */
    uint64_t offset;
};

/* NULL limits are the defaults (64 KiB).  Returns NULL when memory is short. */
struct occy_inflate *occy_inflate_create(const struct occy_inflate_limits *limits);
void occy_inflate_free(struct occy_inflate *inflate); /* NULL is allowed */
const struct occy_inflate_progress *occy_inflate_progress(const struct occy_inflate *inflate);

/* Decode until the input is used up or the output is full, moving both pointers and both lengths along.
 *
 * Returns OCCY_OK or an error of status.h; an error is final.  Where output is still
 * pending, *dst_len is 0 on return: a call that leaves room has nothing more to give for this input. */
int occy_inflate_step(struct occy_inflate *inflate, const uint8_t **src, size_t *src_len, uint8_t **dst,
                      size_t *dst_len);

/* Say that the input is over: OCCY_OK when at least one member was seen and the last one verified. */
int occy_inflate_finish(struct occy_inflate *inflate);

#endif
