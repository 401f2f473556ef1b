from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from "inflate.h" nogil:
    struct occy_inflate:
        pass
    struct occy_inflate_limits:
        uint32_t max_header
    struct occy_inflate_progress_t "occy_inflate_progress":
        uint64_t total_in
        uint64_t total_out
        uint64_t members
        uint64_t padding
        uint64_t offset
    occy_inflate* occy_inflate_create(const occy_inflate_limits* limits) noexcept
    void occy_inflate_free(occy_inflate* inflate) noexcept
    const occy_inflate_progress_t* occy_inflate_progress(const occy_inflate* inflate) noexcept
    int occy_inflate_step(occy_inflate* inflate, const uint8_t** src, size_t* src_len, uint8_t** dst,
                          size_t* dst_len) noexcept
    int occy_inflate_finish(occy_inflate* inflate) noexcept
