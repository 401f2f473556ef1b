/* One gzip member (RFC 1952) made of independent deflate segments.
 *
 * The content is cut every OCCY_GZIP_PIECE bytes.  A segment ends byte-aligned with an empty stored
 * block and refers to nothing before it, so segments are made on any thread and laid end to end:
 * header, segments, trailer.  The bytes depend on the level and on ISA-L's version alone, because
 * the piece size and the sizes of every buffer that ISA-L sees are fixed here, and because the
 * pinned source is patched where it used an address as data (setup.py).  With
 * -DOCCY_SYSTEM_CODECS they also depend on where the encoder lies in memory, unless the system's
 * ISA-L has that mended: nobody can tell, so OCCY_GZIP_REPRODUCIBLE is 0. */
#ifndef OCCY_GZIP_SEGMENTS_H
#define OCCY_GZIP_SEGMENTS_H

#include <stddef.h>
#include <stdint.h>

/* 1 MiB: smaller pieces cost size (128 KiB: 0.5 %), larger ones leave the cache. */
#define OCCY_GZIP_PIECE ((size_t)1 << 20)

#ifdef OCCY_SYSTEM_CODECS
#define OCCY_GZIP_REPRODUCIBLE 0
#else
#define OCCY_GZIP_REPRODUCIBLE 1
#endif

#define OCCY_GZIP_HEADER_SIZE 10
#define OCCY_GZIP_TRAILER_SIZE 10

struct occy_gzip_encoder;

/* *level* is 1 or 2: level 3's bytes depend on the processor.  One encoder belongs to one thread. */
struct occy_gzip_encoder *occy_gzip_encoder_create(int level);
void occy_gzip_encoder_free(struct occy_gzip_encoder *encoder);

/* Room that one segment of *length* bytes needs in the worst case. */
size_t occy_gzip_bound(size_t length);

/* Compress *length* bytes into one segment; *crc* is theirs alone.  Returns a status. */
int occy_gzip_segment(struct occy_gzip_encoder *encoder, const uint8_t *piece, size_t length, uint8_t *target,
                      size_t capacity, size_t *written, uint32_t *crc);

/* No name, no time, no system: nothing in a header may differ between two runs. */
void occy_gzip_header(uint8_t target[OCCY_GZIP_HEADER_SIZE]);

/* An empty last block, the CRC of everything and its length modulo 2**32. */
void occy_gzip_trailer(uint8_t target[OCCY_GZIP_TRAILER_SIZE], uint32_t crc, uint64_t length);

/* "x86_64": what the bytes depend on of the processor.  ISA-L hashes with the CRC-32 instruction where there is one, with
 * a multiplication where there is none, and finds other matches.  Intel's have it since Nehalem, AMD's since Bulldozer
 * and Jaguar; a virtual machine of QEMU's default model has not.  With it the bytes are the same on Nehalem, Westmere, Sandy Bridge, Haswell and
 * Skylake (under QEMU) and on a Sapphire Rapids. */
const char *occy_gzip_architecture(void);

/* "2.32.1+first-byte": the library's version, and what is patched in it */
const char *occy_isal_version(void);

#endif
