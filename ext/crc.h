/* The CRC-32 of gzip (RFC 1952, section 8), in one piece or joined from several. */
#ifndef OCCY_CRC_H
#define OCCY_CRC_H

#include <stddef.h>
#include <stdint.h>

/* The CRC-32 of what gave *crc* (0 for nothing) followed by *data*. */
uint32_t occy_crc32(uint32_t crc, const void *data, size_t size);

/* The CRC-32 of A followed by B, from that of each and B's length in bytes (any 64-bit length). */
uint32_t occy_crc32_combine(uint32_t crc_a, uint32_t crc_b, uint64_t length_b);

#endif
