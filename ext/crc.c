#include "crc.h"

#include <isa-l/crc.h>

#include "cpu.h"

uint32_t occy_crc32(uint32_t crc, const void *data, size_t size)
{
    if (size) {
        crc = crc32_gzip_refl(crc, data, size);
        occy_vzeroupper();
    }
    return crc;
}

/* CRCs are polynomials over GF(2) modulo the generator, the highest bit holding x^0: appending n zero bytes
 * multiplies by x^(8n), and the CRC of B, begun at zero, adds to that. */
#define GENERATOR 0xedb88320u
#define ONE 0x80000000u
#define X8 0x00800000u

static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (; a; a <<= 1) {
        if (a & ONE)
            product ^= b;
        b = b >> 1 ^ (GENERATOR & (0u - (b & 1)));
    }
    return product;
}

uint32_t occy_crc32_combine(uint32_t crc_a, uint32_t crc_b, uint64_t length_b)
{
    uint32_t shift = ONE;
    for (uint32_t power = X8; length_b; length_b >>= 1, power = multiply(power, power))
        if (length_b & 1)
            shift = multiply(shift, power);
    return multiply(shift, crc_a) ^ crc_b;
}
