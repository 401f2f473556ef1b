"""Make one gzip member out of independent deflate segments."""
cimport cython
from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from sole_use cimport occy_leave, take
from status cimport check

cdef extern from "gzip_segments.h" nogil:
    enum: OCCY_GZIP_PIECE
    enum: OCCY_GZIP_REPRODUCIBLE
    enum: OCCY_GZIP_HEADER_SIZE
    enum: OCCY_GZIP_TRAILER_SIZE
    struct occy_gzip_encoder
    occy_gzip_encoder *occy_gzip_encoder_create(int level) noexcept
    void occy_gzip_encoder_free(occy_gzip_encoder *encoder) noexcept
    size_t occy_gzip_bound(size_t length) noexcept
    int occy_gzip_segment(occy_gzip_encoder *encoder, const uint8_t *piece, size_t length, uint8_t *target,
                          size_t capacity, size_t *written, uint32_t *crc) noexcept
    void occy_gzip_header(uint8_t *target) noexcept
    void occy_gzip_trailer(uint8_t *target, uint32_t crc, uint64_t length) noexcept
    const char *occy_isal_version() noexcept
    const char *occy_gzip_architecture() noexcept

PIECE = <object><unsigned long long>OCCY_GZIP_PIECE
REPRODUCIBLE = bool(OCCY_GZIP_REPRODUCIBLE)
CODEC = "isal" if REPRODUCIBLE else "isal (system)"


def version():
    return (<bytes>occy_isal_version()).decode()


def architecture():
    return (<bytes>occy_gzip_architecture()).decode()


def header():
    cdef uint8_t target[OCCY_GZIP_HEADER_SIZE]
    occy_gzip_header(target)
    return target[:OCCY_GZIP_HEADER_SIZE]


def trailer(crc, length):
    cdef uint8_t target[OCCY_GZIP_TRAILER_SIZE]
    occy_gzip_trailer(target, crc, length)
    return target[:OCCY_GZIP_TRAILER_SIZE]


@cython.final
cdef class GzipSegments:
    """GzipSegments(level)
--

"""
    cdef occy_gzip_encoder *encoder
    cdef readonly int level
    cdef unsigned char in_use

    def __cinit__(self, int level):
        self.encoder = NULL
        self.in_use = 0
        if level not in (1, 2):
            raise ValueError(f"level: expected 1 or 2, found {level}")
        self.level = level
        self.encoder = occy_gzip_encoder_create(level)
        if self.encoder == NULL:
            raise MemoryError()

    def __init__(self, level):
        pass  # the docstring's first line is its signature, for help() and for what checks the stub

    def __dealloc__(self):
        occy_gzip_encoder_free(self.encoder)

    def segment(self, const uint8_t[::1] piece not None):
        cdef size_t length = piece.shape[0]
        if length > <size_t>OCCY_GZIP_PIECE:
            raise ValueError(f"piece: expected at most {PIECE} bytes, found {length}")
        cdef size_t capacity = occy_gzip_bound(length)
        cdef bytes room = PyBytes_FromStringAndSize(NULL, capacity)
        cdef uint8_t *target = <uint8_t *>PyBytes_AsString(room)
        cdef const uint8_t *source = NULL
        if length > 0:
            source = &piece[0]
        cdef size_t written = 0
        cdef uint32_t crc = 0
        cdef int status
        take(&self.in_use)
        with nogil:
            status = occy_gzip_segment(self.encoder, source, length, target, capacity, &written, &crc)
        occy_leave(&self.in_use)
        check(status, 0)
        return room[:written], crc
