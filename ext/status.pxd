# The one translation of kernel status codes into exceptions (occy_fast.errors).
from libc.stdint cimport int64_t

cdef extern from "status.h":
    enum occy_status:
        OCCY_OK
        OCCY_CORRUPT
        OCCY_TRUNCATED
        OCCY_TRAILING
        OCCY_CHECKSUM
        OCCY_WINDOW
        OCCY_DICTIONARY
        OCCY_HEADER_LIMIT
        OCCY_BOMB
        OCCY_RATIO
        OCCY_TAR_HEADER
        OCCY_TAR_CHECKSUM
        OCCY_TAR_PAX
        OCCY_TAR_TRUNCATED
        OCCY_TAR_FORMAT
        OCCY_TAR_AMBIGUOUS
        OCCY_TAR_LIMIT
        OCCY_NO_MEMORY
        OCCY_READ
        OCCY_WRITE
        OCCY_CANCELLED
        OCCY_SHORT_READ
        OCCY_ENCODER

cdef inline int check(int status, int64_t offset, int64_t allowed=0, int64_t value=0) except -1:
    """Raise what *status* stands for; *allowed* and *value* fill a limit's message."""
    if status == OCCY_OK:
        return 0
    from occy_fast.kernels.status import raise_status
    raise_status(status, offset, allowed, value)
    return -1
