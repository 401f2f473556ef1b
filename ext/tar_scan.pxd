from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "tar_scan.h" nogil:
    struct occy_tar_scan:
        pass
    struct occy_tar_options:
        int strict
        int keep
        uint32_t max_extension
        uint32_t max_sparse_map
        uint32_t max_extensions
        uint32_t max_entries
    struct occy_tar_record:
        int64_t start
    struct occy_tar_progress_t "occy_tar_progress":
        uint64_t offset
        uint64_t members
        int64_t hidden
        int closed
        int ended
        int status
        int problem
        int64_t error_offset
        int64_t allowed
        int64_t value
    struct occy_tar_pax_record:
        const uint8_t* key
        const uint8_t* value
        size_t key_size
        size_t value_size
        size_t at
    enum:
        OCCY_TAR_SIZE
        OCCY_TAR_PAX_TIME
    occy_tar_scan* occy_tar_scan_open(const occy_tar_options* options) noexcept
    occy_tar_scan* occy_tar_scan_create(int strict) noexcept
    void occy_tar_scan_free(occy_tar_scan* scan) noexcept
    const occy_tar_progress_t* occy_tar_scan_progress(const occy_tar_scan* scan) noexcept
    int occy_tar_scan_feed(occy_tar_scan* scan, const uint8_t* bytes, size_t size) noexcept
    uint64_t occy_tar_scan_skippable(const occy_tar_scan* scan) noexcept
    void occy_tar_scan_skip(occy_tar_scan* scan, uint64_t count) noexcept
    int occy_tar_scan_finish(occy_tar_scan* scan) noexcept
    int occy_tar_scan_check(occy_tar_scan* scan, const uint8_t* bytes, size_t size, int last, int64_t* offset) noexcept
    size_t occy_tar_scan_records(const occy_tar_scan* scan, const occy_tar_record** records) noexcept
    size_t occy_tar_scan_texts(const occy_tar_scan* scan, const uint8_t** texts) noexcept
    void occy_tar_scan_clear(occy_tar_scan* scan) noexcept
    bint occy_tar_scan_entries(const occy_tar_scan* scan, const uint8_t** bytes, size_t* size) noexcept
    int occy_tar_number(const uint8_t* field, size_t size, int64_t* value) noexcept
    int occy_tar_time(const uint8_t* text, size_t size, int64_t* seconds, int32_t* nanoseconds) noexcept
    int occy_tar_pax_next(const uint8_t* body, size_t size, size_t* at, occy_tar_pax_record* record,
                          uint32_t* numbers) noexcept
