"""Decode zstd across frames."""
cimport cython
from libc.stdint cimport uint8_t, uint64_t

from sole_use cimport occy_leave, take
from status cimport check
from unzstd cimport *


@cython.final
cdef class Unzstd:
    """Unzstd(*, window_log_max=27)
--

"""
    cdef occy_unzstd* unzstd
    cdef uint64_t window_max
    cdef unsigned char in_use

    def __cinit__(self, *, window_log_max=27):
        cdef occy_unzstd_limits limits
        self.unzstd = NULL
        self.in_use = 0
        if not 10 <= window_log_max <= 31:
            raise ValueError(f"window_log_max: expected 10 to 31, found {window_log_max}")
        limits.window_log_max = window_log_max
        self.window_max = <uint64_t>1 << limits.window_log_max
        self.unzstd = occy_unzstd_create(&limits)
        if self.unzstd == NULL:
            raise MemoryError

    def __init__(self, *, window_log_max=27):
        pass  # the docstring's first line is its signature, for help() and for what checks the stub

    def __dealloc__(self):
        occy_unzstd_free(self.unzstd)

    cdef int check(self, int status) except -1:
        cdef const occy_unzstd_progress_t* progress = occy_unzstd_progress(self.unzstd)
        return check(status, progress.offset, self.window_max, progress.window)

    def feed(self, const uint8_t[::1] src not None, uint8_t[::1] dst not None):
        cdef size_t size = src.shape[0], room = dst.shape[0]
        cdef size_t left = size, free = room
        cdef const uint8_t* at = &src[0] if size else NULL
        cdef uint8_t* to = &dst[0] if room else NULL
        cdef int status
        take(&self.in_use)
        with nogil:
            status = occy_unzstd_step(self.unzstd, &at, &left, &to, &free)
        occy_leave(&self.in_use)
        self.check(status)
        return size - left, room - free

    def finish(self):
        take(&self.in_use)
        cdef int status = occy_unzstd_finish(self.unzstd)
        occy_leave(&self.in_use)
        self.check(status)

    @property
    def total_in(self):
        return occy_unzstd_progress(self.unzstd).total_in

    @property
    def total_out(self):
        return occy_unzstd_progress(self.unzstd).total_out

    @property
    def frames(self):
        return occy_unzstd_progress(self.unzstd).frames

    @property
    def skipped(self):
        return occy_unzstd_progress(self.unzstd).skipped
