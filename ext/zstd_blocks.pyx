"""Make one zstd frame out of jobs that may run in any order."""
cimport cython
from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t

from sole_use cimport occy_leave, take
from status cimport check

cdef extern from *:
    """
    #include "zstd_jobs.h"
    #if !OCCY_ZSTD_HAVE_JOBS
    struct occy_zstd_checksum { int unused; };
    static void occy_zstd_checksum_init(struct occy_zstd_checksum *c) { (void)c; }
    static void occy_zstd_checksum_update(struct occy_zstd_checksum *c, const uint8_t *b, size_t n) { (void)c; (void)b; (void)n; }
    static uint32_t occy_zstd_checksum_final(const struct occy_zstd_checksum *c) { (void)c; return 0; }
    static int occy_zstd_piece(struct occy_zstd_encoder *e, const uint8_t *p, size_t history, size_t n, int first, int last,
                               uint8_t *t, size_t c, size_t *w)
    { (void)history; (void)first; return occy_zstd_stream(e, p, n, last, t, c, w); }
    #else
    #define occy_zstd_piece occy_zstd_job
    #endif
    """
    enum: OCCY_ZSTD_HAVE_JOBS
    enum: OCCY_ZSTD_PIECE
    enum: OCCY_ZSTD_HISTORY
    struct occy_zstd_encoder
    struct occy_zstd_checksum:
        pass
    occy_zstd_encoder *occy_zstd_encoder_create(int level) noexcept nogil
    void occy_zstd_encoder_free(occy_zstd_encoder *encoder) noexcept nogil
    size_t occy_zstd_bound(size_t length) noexcept nogil
    size_t occy_zstd_encoder_size(int level) noexcept nogil
    int occy_zstd_piece(occy_zstd_encoder *encoder, const uint8_t *piece, size_t history, size_t length, int first,
                        int last, uint8_t *target, size_t capacity, size_t *written) noexcept nogil
    void occy_zstd_checksum_init(occy_zstd_checksum *checksum) noexcept nogil
    void occy_zstd_checksum_update(occy_zstd_checksum *checksum, const uint8_t *data, size_t length) noexcept nogil
    uint32_t occy_zstd_checksum_final(const occy_zstd_checksum *checksum) noexcept nogil
    const char *occy_zstd_version() noexcept nogil

PIECE = <object><unsigned long long>OCCY_ZSTD_PIECE
HISTORY = <object><unsigned long long>OCCY_ZSTD_HISTORY
JOBS = bool(OCCY_ZSTD_HAVE_JOBS)
CODEC = "libzstd" if OCCY_ZSTD_HAVE_JOBS else "libzstd (system)"


def version():
    return (<bytes>occy_zstd_version()).decode()


def encoder_size(int level):
    return occy_zstd_encoder_size(level)


@cython.final
cdef class ZstdPieces:
    """ZstdPieces(level)
--

"""
    cdef occy_zstd_encoder *encoder
    cdef occy_zstd_checksum checksum
    cdef readonly int level
    cdef unsigned char in_use

    def __cinit__(self, int level):
        self.encoder = NULL
        self.in_use = 0
        if not 1 <= level <= 19:
            raise ValueError(f"level: expected 1 to 19, found {level}")
        self.level = level
        self.encoder = occy_zstd_encoder_create(level)
        if self.encoder == NULL:
            raise MemoryError()
        occy_zstd_checksum_init(&self.checksum)

    def __init__(self, level):
        pass  # the docstring's first line is its signature, for help() and for what checks the stub

    def __dealloc__(self):
        occy_zstd_encoder_free(self.encoder)

    def piece(self, const uint8_t[::1] window not None, history, first, last):
        cdef size_t whole = window.shape[0]
        cdef size_t before = history
        if before > whole or before > <size_t>OCCY_ZSTD_HISTORY or whole - before > <size_t>OCCY_ZSTD_PIECE:
            raise ValueError("window: expected at most HISTORY bytes of history and PIECE bytes behind it")
        cdef size_t length = whole - before
        cdef int is_first = bool(first)
        cdef int is_last = bool(last)
        cdef size_t capacity = occy_zstd_bound(length)
        cdef bytes room = PyBytes_FromStringAndSize(NULL, capacity)
        cdef uint8_t *target = <uint8_t *>PyBytes_AsString(room)
        cdef uint8_t nothing = 0
        cdef const uint8_t *source = &nothing
        if whole > 0:
            source = &window[0] + before
        cdef size_t written = 0
        cdef int status
        take(&self.in_use)
        with nogil:
            status = occy_zstd_piece(self.encoder, source, before, length, is_first, is_last, target, capacity, &written)
        occy_leave(&self.in_use)
        check(status, 0)
        return room[:written]

    def add(self, const uint8_t[::1] piece not None):
        cdef size_t length = piece.shape[0]
        if length > 0:
            take(&self.in_use)
            with nogil:
                occy_zstd_checksum_update(&self.checksum, &piece[0], length)
            occy_leave(&self.in_use)

    def trailer(self):
        return (<unsigned int>occy_zstd_checksum_final(&self.checksum)).to_bytes(4, "little") if OCCY_ZSTD_HAVE_JOBS else b""
