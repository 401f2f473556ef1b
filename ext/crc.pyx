"""Compute the CRC-32 of gzip, and join it from parts."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from crc cimport *


def crc32(const uint8_t[::1] data not None, uint32_t value=0):
    cdef size_t size = data.shape[0]
    cdef const uint8_t* at = &data[0] if size else NULL
    cdef uint32_t result
    with nogil:
        result = occy_crc32(value, at, size)
    return result


def crc32_combine(uint32_t crc1, uint32_t crc2, uint64_t len2):
    return occy_crc32_combine(crc1, crc2, len2)
