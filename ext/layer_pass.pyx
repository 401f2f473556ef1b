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

from occy_fast.kernels.tar_records import check_limits, tar_error

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

    def start(self, *, decode="none", encode="none", output="nothing", int level=0, int source_fd=-1,
              long long source_offset=0, long long source_size=-1, int sink_fd=-1, long long sink_offset=0,
              int scan_tar=0, unsigned long long max_tar=0, unsigned long long max_ratio=0,
              unsigned long long ratio_floor=0, int window_log_max=27, max_header=65536, max_extension=1048576,
              max_sparse_map=1048576, max_extensions=16):
        cdef occy_pass_options options
        memset(&options, 0, sizeof(options))
        options.decode = CODECS[decode]
        options.encode = CODECS[encode]
        options.output = OUTPUTS[output]
        options.level = level
        options.source_fd = source_fd
        options.source_offset = source_offset
        options.source_size = source_size
        options.sink_fd = sink_fd
        options.sink_offset = sink_offset
        options.scan_tar = scan_tar
        options.max_tar = max_tar
        options.max_ratio = max_ratio
        options.ratio_floor = ratio_floor
        options.window_log_max = window_log_max
        if (output == "encoded") != (encode != "none"):
            raise ValueError("output 'encoded' needs an encoder, and nothing else takes one")
        if encode == "gzip" and level not in (1, 2) or encode == "zstd" and not 1 <= level <= 19:
            raise ValueError(f"level: {encode} has no level {level}")
        if not 10 <= window_log_max <= 31:
            raise ValueError(f"window_log_max: expected 10 to 31, found {window_log_max}")
        if not 10 <= max_header < 1 << 32:
            raise ValueError(f"max_header: expected 10 to {(1 << 32) - 1}, found {max_header}")
        check_limits(max_extension, max_sparse_map, max_extensions)
        options.max_header = max_header
        options.max_extension = max_extension
        options.max_sparse_map = max_sparse_map
        options.max_extensions = max_extensions
        cdef Pass started = Pass(self)
        started.source_size = source_size
        with nogil:
            started.layer = occy_pass_start(self.pool, &options)
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

    def result(self):
        self.check()
        cdef const occy_pass_result *result = occy_pass_outcome(self.layer)
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
