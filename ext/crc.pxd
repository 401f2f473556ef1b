from libc.stdint cimport uint32_t, uint64_t

cdef extern from "crc.h" nogil:
    uint32_t occy_crc32(uint32_t crc, const void* data, size_t size) noexcept
    uint32_t occy_crc32_combine(uint32_t crc_a, uint32_t crc_b, uint64_t length_b) noexcept
