"""Find the entries of a tar stream."""
cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from sole_use cimport occy_leave, take
from status cimport OCCY_NO_MEMORY, OCCY_OK
from tar_scan cimport *

from occy_fast.kernels.tar_problems import check_limits, tar_error
from occy_fast.kernels.tar_records import TarBatch


cdef int check_progress(const occy_tar_progress_t* progress) except -1:
    if progress.status == OCCY_OK:
        return 0
    if progress.status == OCCY_NO_MEMORY:
        raise MemoryError
    raise tar_error(progress.problem, progress.error_offset, progress.allowed, progress.value)


def parse_number(const uint8_t[::1] field not None):
    cdef int64_t value
    if not occy_tar_number(&field[0] if field.shape[0] else NULL, field.shape[0], &value):
        raise tar_error(OCCY_TAR_SIZE, 0)
    return value


def parse_time(const uint8_t[::1] text not None):
    cdef int64_t seconds
    cdef int32_t nanoseconds
    if not occy_tar_time(&text[0] if text.shape[0] else NULL, text.shape[0], &seconds, &nanoseconds):
        raise tar_error(OCCY_TAR_PAX_TIME, 0)
    return seconds * <object>1000000000 + nanoseconds


def parse_records(const uint8_t[::1] body not None):
    cdef size_t at = 0, size = body.shape[0]
    cdef uint32_t numbers = 0
    cdef occy_tar_pax_record record
    cdef int problem
    records = []
    while at < size:
        problem = occy_tar_pax_next(&body[0], size, &at, &record, &numbers)
        if problem:
            raise tar_error(problem, record.at)
        key = PyBytes_FromStringAndSize(<const char*>record.key, record.key_size)
        records.append((key, PyBytes_FromStringAndSize(<const char*>record.value, record.value_size)))
    return tuple(records)


@cython.final
cdef class TarScan:
    """TarScan(*, strict=False, max_extension=1048576, max_sparse_map=1048576, max_extensions=16, max_entries=0, keep=True)
--

"""
    cdef occy_tar_scan* scan
    cdef unsigned char in_use

    def __cinit__(
        self, *, strict=False, max_extension=1048576, max_sparse_map=1048576, max_extensions=16, max_entries=0, keep=True
    ):
        cdef occy_tar_options options
        self.scan = NULL
        self.in_use = 0
        check_limits(max_extension, max_sparse_map, max_extensions, max_entries)
        options.strict = bool(strict)
        options.keep = bool(keep)
        options.max_extension = max_extension
        options.max_sparse_map = max_sparse_map
        options.max_extensions = max_extensions
        options.max_entries = max_entries
        self.scan = occy_tar_scan_open(&options)
        if self.scan == NULL:
            raise MemoryError

    def __init__(
        self, *, strict=False, max_extension=1048576, max_sparse_map=1048576, max_extensions=16, max_entries=0, keep=True
    ):
        pass  # the docstring's first line is its signature, for help() and for what checks the stub

    def __dealloc__(self):
        occy_tar_scan_free(self.scan)

    cdef object batch(self):
        cdef const occy_tar_record* records
        cdef const uint8_t* texts
        cdef size_t count = occy_tar_scan_records(self.scan, &records)
        cdef size_t size = occy_tar_scan_texts(self.scan, &texts)
        packed = PyBytes_FromStringAndSize(<const char*>records, count * sizeof(occy_tar_record))
        return TarBatch(packed, PyBytes_FromStringAndSize(<const char*>texts, size))

    def feed(self, const uint8_t[::1] window not None):
        cdef size_t size = window.shape[0]
        cdef const uint8_t* at = &window[0] if size else NULL
        cdef const occy_tar_record* records
        take(&self.in_use)
        try:
            check_progress(occy_tar_scan_progress(self.scan))
            occy_tar_scan_clear(self.scan)
            with nogil:
                occy_tar_scan_feed(self.scan, at, size)
            if occy_tar_scan_records(self.scan, &records) == 0:
                check_progress(occy_tar_scan_progress(self.scan))
            return self.batch()
        finally:
            occy_leave(&self.in_use)

    def entries(self):
        cdef const uint8_t* at
        cdef size_t size
        take(&self.in_use)
        try:
            if not occy_tar_scan_entries(self.scan, &at, &size):
                return None
            return PyBytes_FromStringAndSize(<const char*>at, size)
        finally:
            occy_leave(&self.in_use)

    def skip(self, count):
        take(&self.in_use)
        try:
            check_progress(occy_tar_scan_progress(self.scan))
            if not 0 <= count <= occy_tar_scan_skippable(self.scan):
                raise ValueError(f"{count} bytes cannot be skipped, {self.skippable} can")
            occy_tar_scan_skip(self.scan, count)
        finally:
            occy_leave(&self.in_use)

    def finish(self):
        take(&self.in_use)
        try:
            occy_tar_scan_finish(self.scan)
            check_progress(occy_tar_scan_progress(self.scan))
        finally:
            occy_leave(&self.in_use)

    @property
    def offset(self):
        return occy_tar_scan_progress(self.scan).offset

    @property
    def members(self):
        return occy_tar_scan_progress(self.scan).members

    @property
    def skippable(self):
        return occy_tar_scan_skippable(self.scan)

    @property
    def closed(self):
        return bool(occy_tar_scan_progress(self.scan).closed)

    @property
    def ended(self):
        return bool(occy_tar_scan_progress(self.scan).ended)

    @property
    def hidden(self):
        return occy_tar_scan_progress(self.scan).hidden
