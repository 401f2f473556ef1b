/* One zstd frame made by independent jobs (RFC 8878 section 3.1.1).
 *
 * A frame is cut at fixed offsets.  Each job compresses its piece with the bytes before it as
 * history, so jobs run on any thread in any order and their outputs, laid end to end, are one
 * frame: job 0 writes the frame header, the last job sets the last-block bit, and
 * occy_zstd_checksum_final() of the whole content follows.  The bytes depend on the level and what
 * zstd_jobs.c makes of it, the library version, the piece size and the history size alone.
 *
 * With -DOCCY_SYSTEM_CODECS the shared libzstd does not offer what jobs need; then
 * OCCY_ZSTD_HAVE_JOBS is 0 and the stream calls below make the frame on one thread. */
#ifndef OCCY_ZSTD_JOBS_H
#define OCCY_ZSTD_JOBS_H

#include <stddef.h>
#include <stdint.h>

#ifdef OCCY_SYSTEM_CODECS
#define OCCY_ZSTD_HAVE_JOBS 0
#else
#define OCCY_ZSTD_HAVE_JOBS 1
#endif

/* Why 4 MiB pieces with 1 MiB of history: see the table in zstd_jobs.c. */
#define OCCY_ZSTD_PIECE ((size_t)4 << 20)
#define OCCY_ZSTD_HISTORY ((size_t)1 << 20)

/* RFC 8878 3.1.1.1.2, RFC 9659: decoders need not accept more than 8 MiB. */
#define OCCY_ZSTD_WINDOW_LOG_MAX 23

struct occy_zstd_encoder;

/* One encoder belongs to one thread.  NULL when memory ends. */
struct occy_zstd_encoder *occy_zstd_encoder_create(int level);
void occy_zstd_encoder_free(struct occy_zstd_encoder *encoder);

/* Room that one piece of *length* bytes needs in the worst case, header included. */
size_t occy_zstd_bound(size_t length);

/* Bytes one encoder allocates at *level*, beside the pieces. */
size_t occy_zstd_encoder_size(int level);

#if OCCY_ZSTD_HAVE_JOBS
/* Compress the *length* bytes at *piece*; the *history* bytes right before them are already in the
 * frame.  Returns a status; *written says how much of *target* is used. */
int occy_zstd_job(struct occy_zstd_encoder *encoder, const uint8_t *piece, size_t history, size_t length,
                  int first, int last, uint8_t *target, size_t capacity, size_t *written);
#else
/* Compress the next *length* bytes of the frame, in order; *target* holds occy_zstd_bound(length). */
int occy_zstd_stream(struct occy_zstd_encoder *encoder, const uint8_t *piece, size_t length, int last,
                     uint8_t *target, size_t capacity, size_t *written);
#endif

/* The content checksum: the low 32 bits of XXH64 of everything in the frame. */
struct occy_zstd_checksum {
    uint64_t opaque[12];
};
#if OCCY_ZSTD_HAVE_JOBS
void occy_zstd_checksum_init(struct occy_zstd_checksum *checksum);
void occy_zstd_checksum_update(struct occy_zstd_checksum *checksum, const uint8_t *bytes, size_t length);
uint32_t occy_zstd_checksum_final(const struct occy_zstd_checksum *checksum);
#endif

/* "1.5.7" */
const char *occy_zstd_version(void);

#endif
