"""Decode gzip across members."""
cimport cython
from libc.stdint cimport uint8_t

from inflate cimport *
from sole_use cimport occy_leave, take
from status cimport check


@cython.final
cdef class Inflate:
    """Inflate(*, max_header=65536)
--

"""
    cdef occy_inflate* inflate
    cdef unsigned max_header
    cdef unsigned char in_use

    def __cinit__(self, *, max_header=65536):
        cdef occy_inflate_limits limits
        self.inflate = NULL
        self.in_use = 0
        if not 10 <= max_header < 1 << 32:
            raise ValueError(f"max_header: expected 10 to {(1 << 32) - 1}, found {max_header}")
        limits.max_header = self.max_header = max_header
        self.inflate = occy_inflate_create(&limits)
        if self.inflate == NULL:
            raise MemoryError

    def __init__(self, *, max_header=65536):
        pass  # the docstring's first line is its signature, for help() and for what checks the stub

    def __dealloc__(self):
        occy_inflate_free(self.inflate)

    cdef int check(self, int status) except -1:
        return check(status, occy_inflate_progress(self.inflate).offset, self.max_header, <long long>self.max_header + 1)

    def feed(self, const uint8_t[::1] src not None, uint8_t[::1] dst not None):
        cdef size_t size = src.shape[0], room = dst.shape[0]
        cdef size_t left = size, free = room
        cdef const uint8_t* at = &src[0] if size else NULL
        cdef uint8_t* to = &dst[0] if room else NULL
        cdef int status
        take(&self.in_use)
        with nogil:
            status = occy_inflate_step(self.inflate, &at, &left, &to, &free)
        occy_leave(&self.in_use)
        self.check(status)
        return size - left, room - free

    def finish(self):
        take(&self.in_use)
        cdef int status = occy_inflate_finish(self.inflate)
        occy_leave(&self.in_use)
        self.check(status)

    @property
    def total_in(self):
        return occy_inflate_progress(self.inflate).total_in

    @property
    def total_out(self):
        return occy_inflate_progress(self.inflate).total_out

    @property
    def members(self):
        return occy_inflate_progress(self.inflate).members

    @property
    def padding(self):
        return occy_inflate_progress(self.inflate).padding
