from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from "unzstd.h" nogil:
    struct occy_unzstd:
        pass
    struct occy_unzstd_limits:
        uint32_t window_log_max
    struct occy_unzstd_progress_t "occy_unzstd_progress":
        uint64_t total_in
        uint64_t total_out
        uint64_t frames
        uint64_t skipped
        uint64_t offset
        uint64_t window
    occy_unzstd* occy_unzstd_create(const occy_unzstd_limits* limits) noexcept
    void occy_unzstd_free(occy_unzstd* unzstd) noexcept
    const occy_unzstd_progress_t* occy_unzstd_progress(const occy_unzstd* unzstd) noexcept
    int occy_unzstd_step(occy_unzstd* unzstd, const uint8_t** src, size_t* src_len, uint8_t** dst,
                         size_t* dst_len) noexcept
    int occy_unzstd_finish(occy_unzstd* unzstd) noexcept
