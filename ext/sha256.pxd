from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from "sha256.h" nogil:
    enum occy_sha256_variant:
        OCCY_SHA256_SCALAR
        OCCY_SHA256_NI
        OCCY_SHA256_ARM
        OCCY_SHA256_VARIANTS
    struct occy_sha256:
        uint64_t length
    void occy_sha256_init(occy_sha256* state) noexcept
    int occy_sha256_init_variant(occy_sha256* state, occy_sha256_variant variant) noexcept
    void occy_sha256_update(occy_sha256* state, const void* data, size_t size) noexcept
    void occy_sha256_final(occy_sha256* state, uint8_t* digest) noexcept
    occy_sha256_variant occy_sha256_chosen() noexcept
    int occy_sha256_available(occy_sha256_variant variant) noexcept
    const char* occy_sha256_name(occy_sha256_variant variant) noexcept
