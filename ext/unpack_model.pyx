"""Follow layers as an unpacker does."""
cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t

from sole_use cimport occy_leave, take
from status cimport OCCY_NO_MEMORY, OCCY_OK
from unpack_model cimport *

from occy_fast.kernels.unpack_facts import UnpackFact, FoundFact


@cython.final
cdef class UnpackModel:
    """UnpackModel(max_entries)
--

"""
    cdef occy_unpack_model* model
    cdef unsigned char in_use

    def __cinit__(self, max_entries):
        self.model = NULL
        self.in_use = 0
        if not 0 <= max_entries < 1 << 31:
            raise ValueError(f"max_entries: expected 0 to {(1 << 31) - 1}, found {max_entries}")
        self.model = occy_unpack_model_create(max_entries)
        if self.model == NULL:
            raise MemoryError

    def __init__(self, max_entries):
        pass  # the docstring's first line is its signature, for help() and for what checks the stub

    def __dealloc__(self):
        occy_unpack_model_free(self.model)

    @property
    def exceeded(self):
        return bool(occy_unpack_model_exceeded(self.model))

    def apply(self, const uint8_t[::1] entries not None):
        cdef size_t size = entries.shape[0]
        cdef const uint8_t* at = &entries[0] if size else NULL
        cdef int status
        take(&self.in_use)
        try:
            with nogil:
                status = occy_unpack_model_apply(self.model, at, size)
            if status == OCCY_NO_MEMORY:
                raise MemoryError
            if status != OCCY_OK:
                raise ValueError("what is no list of entries")
            return self.problems()
        finally:
            occy_leave(&self.in_use)

    cdef list problems(self):
        cdef const occy_unpack_problem* found = occy_unpack_model_problems(self.model)
        cdef int kind
        told = []
        for kind in range(OCCY_UNPACK_KINDS):
            if found[kind].count:
                name = PyBytes_FromStringAndSize(<const char*>found[kind].name, found[kind].name_size)
                other = PyBytes_FromStringAndSize(<const char*>found[kind].other, found[kind].other_size)
                told.append(FoundFact(UnpackFact(kind), found[kind].offset, name, other, found[kind].count))
        told.sort(key=_place_of)
        return told


def _place_of(problem):
    return problem.offset, problem.fact
