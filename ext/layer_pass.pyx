"""Run layers through the fused native pass."""
cimport cython
from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_SetFromErrno
from libc.string cimport memset
from libc.stdint cimport uint8_t, uint64_t

from layer_pass cimport *
from sole_use cimport occy_leave, occy_take, take
from status cimport (
    OCCY_OK,
    OCCY_READ,
    OCCY_SHORT_READ,
    OCCY_TAR_HEADER,
    OCCY_TAR_LIMIT,
    OCCY_WRITE,
    check,
)

from occy_fast.kernels.pass_options import PassOptions
from occy_fast.kernels.tar_problems import tar_error

cdef dict CODECS = {"none": OCCY_CODEC_NONE, "gzip": OCCY_CODEC_GZIP, "zstd": OCCY_CODEC_ZSTD}
cdef dict OUTPUTS = {
    "nothing": OCCY_OUTPUT_NOTHING,
    "source": OCCY_OUTPUT_SOURCE,
    "tar": OCCY_OUTPUT_TAR,
    "encoded": OCCY_OUTPUT_ENCODED,
}

MAX_WORKERS = OCCY_POOL_MAX_WORKERS


def buffer_size(int workers):
    """buffer_size(workers)
--

"""
    if not 1 <= workers <= OCCY_POOL_MAX_WORKERS:
        raise ValueError(f"workers: expected 1 to {OCCY_POOL_MAX_WORKERS}, found {workers}")
    return occy_pool_buffer_size(workers)


@cython.final
cdef class Pool:
    """Pool(workers)
--

"""
    cdef occy_pool *pool
    cdef unsigned char closed

    def __cinit__(self, int workers):
        self.pool = NULL
        self.closed = 0
        if not 1 <= workers <= OCCY_POOL_MAX_WORKERS:
            raise ValueError(f"workers: expected 1 to {OCCY_POOL_MAX_WORKERS}, found {workers}")
        with nogil:
            self.pool = occy_pool_create(workers)
        if self.pool == NULL:
            PyErr_SetFromErrno(OSError)

    def __init__(self, workers):
        pass  # the docstring's first line is its signature, for help() and for what checks the stub

    def __dealloc__(self):
        if self.pool != NULL:
            with nogil:
                occy_pool_stop(self.pool)
                occy_pool_free(self.pool)

    def fileno(self):
        return occy_pool_event_fd(self.pool)

    def start(self, options):
        cdef occy_pass_options wanted
        if not isinstance(options, PassOptions):
            raise TypeError(f"options: expected PassOptions, found {type(options).__name__}")
        memset(&wanted, 0, sizeof(wanted))
        wanted.decode = CODECS[options.decode]
        wanted.encode = CODECS[options.encode]
        wanted.output = OUTPUTS[options.output]
        wanted.level = options.level
        wanted.source_fd = options.source_fd
        wanted.source_offset = options.source_offset
        wanted.source_size = options.source_size
        wanted.sink_fd = options.sink_fd
        wanted.sink_offset = options.sink_offset
        wanted.scan_tar = options.scan_tar
        wanted.max_tar = options.max_tar
        wanted.max_ratio = options.max_ratio
        wanted.ratio_floor = options.ratio_floor
        wanted.window_log_max = options.window_log_max
        wanted.max_header = options.max_header
        wanted.max_extension = options.max_extension
        wanted.max_sparse_map = options.max_sparse_map
        wanted.max_extensions = options.max_extensions
        wanted.max_entries = options.max_entries
        cdef Pass started = Pass(self)
        started.source_size = wanted.source_size
        with nogil:
            started.layer = occy_pass_start(self.pool, &wanted)
        if started.layer == NULL:
            raise MemoryError()
        return started

    def close(self):
        if occy_take(&self.closed):
            with nogil:
                occy_pool_stop(self.pool)


@cython.final
@cython.no_gc_clear  # the pool must outlive the pass; no cycle leads through it
cdef class Pass:
    """Pass(pool)
--

"""
    cdef occy_pass *layer
    cdef Pool pool  # outlives the pass
    cdef long long source_size
    cdef unsigned char in_use

    def __cinit__(self, Pool pool not None):
        self.layer = NULL
        self.in_use = 0
        self.pool = pool

    def __init__(self, pool):
        pass  # the docstring's first line is its signature, for help() and for what checks the stub

    def __dealloc__(self):
        if self.layer != NULL:
            with nogil:
                occy_pass_free(self.layer)

    @property
    def ended(self):
        self.check()
        return bool(occy_pass_ended(self.layer))

    cdef int check(self) except -1:
        if self.layer == NULL:
            raise RuntimeError("Pool.start makes passes")
        return 0

    def cancel(self):
        self.check()
        with nogil:
            occy_pass_cancel(self.layer)

    def feed(self, const uint8_t[::1] chunk not None):
        self.check()
        cdef size_t length = chunk.shape[0]
        cdef size_t taken = 0
        if length > 0:
            take(&self.in_use)
            with nogil:
                taken = occy_pass_feed(self.layer, &chunk[0], length)
            occy_leave(&self.in_use)
        return taken

    def end_feed(self):
        self.check()
        cdef int ended
        take(&self.in_use)
        with nogil:
            ended = occy_pass_end_feed(self.layer)
        occy_leave(&self.in_use)
        return bool(ended)

    def drain(self):
        self.check()
        cdef size_t size = occy_pass_drainable(self.layer)
        if size == 0:
            return b""
        cdef bytes drained = PyBytes_FromStringAndSize(NULL, size)
        cdef uint8_t *target = <uint8_t *>PyBytes_AsString(drained)
        cdef size_t got
        take(&self.in_use)
        with nogil:
            got = occy_pass_drain(self.layer, target, size)
        occy_leave(&self.in_use)
        return drained if got == size else drained[:got]

    def counters(self):
        self.check()
        cdef uint64_t counted[3]
        occy_pass_counters(self.layer, counted)
        return counted[0], counted[1], counted[2]

    def entries(self):
        self.check()
        cdef const uint8_t *at
        cdef size_t size
        if not occy_pass_ended(self.layer):
            raise RuntimeError("the pass has not ended")
        if not occy_pass_entries(self.layer, &at, &size):
            return None
        listed = PyBytes_FromStringAndSize(<const char *>at, size)
        occy_pass_drop_entries(self.layer)
        return listed

    def result(self):
        self.check()
        cdef const occy_pass_result *result = occy_pass_result_of(self.layer)
        if not occy_pass_ended(self.layer):
            raise RuntimeError("the pass has not ended")
        if OCCY_TAR_HEADER <= result.status <= OCCY_TAR_LIMIT:
            raise tar_error(result.problem, result.offset, result.allowed, result.value)
        elif result.status in (OCCY_READ, OCCY_WRITE):
            check(result.status, result.offset, 0, result.error_number)
        elif result.status == OCCY_SHORT_READ:
            check(result.status, result.offset, self.source_size, result.offset)
        elif result.status != OCCY_OK:
            check(result.status, result.offset, result.allowed, result.value)
        return (result.tar_digest[:32], result.source_digest[:32], result.output_digest[:32],
                result.source_size, result.tar_size, result.output_size)
