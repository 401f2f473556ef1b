# The C side of the unpack model.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "unpack_model.h" nogil:
    struct occy_unpack_model:
        pass
    struct occy_unpack_problem:
        uint64_t count
        int64_t offset
        const uint8_t* name
        const uint8_t* other
        size_t name_size
        size_t other_size
    enum:
        OCCY_UNPACK_KINDS
    occy_unpack_model* occy_unpack_model_create(uint32_t max_entries) noexcept
    void occy_unpack_model_free(occy_unpack_model* model) noexcept
    int occy_unpack_model_apply(occy_unpack_model* model, const uint8_t* entries, size_t size) noexcept
    bint occy_unpack_model_exceeded(const occy_unpack_model* model) noexcept
    const occy_unpack_problem* occy_unpack_model_problems(const occy_unpack_model* model) noexcept
