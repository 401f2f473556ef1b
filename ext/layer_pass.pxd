# The C side of the fused pass.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "layer_pass.h" nogil:
    enum occy_codec:
        OCCY_CODEC_NONE
        OCCY_CODEC_GZIP
        OCCY_CODEC_ZSTD
    enum occy_output:
        OCCY_OUTPUT_NOTHING
        OCCY_OUTPUT_SOURCE
        OCCY_OUTPUT_TAR
        OCCY_OUTPUT_ENCODED
    struct occy_pass_options:
        occy_codec decode
        occy_codec encode
        occy_output output
        int level
        int source_fd
        int64_t source_offset
        int64_t source_size
        int sink_fd
        int64_t sink_offset
        int scan_tar
        uint64_t max_tar
        uint64_t max_ratio
        uint64_t ratio_floor
        int window_log_max
        uint32_t max_header, max_extension, max_sparse_map, max_extensions, max_entries
    struct occy_pass_result:
        int status
        int error_number
        int64_t offset
        int problem
        uint64_t allowed
        uint64_t value
        uint8_t tar_digest[32]
        uint8_t source_digest[32]
        uint8_t output_digest[32]
        uint64_t source_size
        uint64_t tar_size
        uint64_t output_size
    struct occy_pool
    struct occy_pass
    enum: OCCY_POOL_MAX_WORKERS
    occy_pool *occy_pool_create(int workers) noexcept
    void occy_pool_stop(occy_pool *pool) noexcept
    void occy_pool_free(occy_pool *pool) noexcept
    size_t occy_pool_buffer_size(int workers) noexcept
    int occy_pool_event_fd(const occy_pool *pool) noexcept
    occy_pass *occy_pass_start(occy_pool *pool, const occy_pass_options *options) noexcept
    void occy_pass_free(occy_pass *layer) noexcept
    void occy_pass_cancel(occy_pass *layer) noexcept
    int occy_pass_ended(occy_pass *layer) noexcept
    const occy_pass_result *occy_pass_result_of(const occy_pass *layer) noexcept
    bint occy_pass_entries(const occy_pass *layer, const uint8_t **bytes, size_t *size) noexcept
    void occy_pass_drop_entries(occy_pass *layer) noexcept
    void occy_pass_counters(const occy_pass *layer, uint64_t *counters) noexcept
    size_t occy_pass_feed(occy_pass *layer, const uint8_t *bytes, size_t length) noexcept
    int occy_pass_end_feed(occy_pass *layer) noexcept
    size_t occy_pass_drainable(occy_pass *layer) noexcept
    size_t occy_pass_drain(occy_pass *layer, uint8_t *target, size_t room) noexcept
