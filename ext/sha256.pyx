"""Digest a stream with SHA-256."""
cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t

from sha256 cimport *
from sole_use cimport occy_leave, take

# Below this, giving the GIL away and taking it back costs more than the digest.
cdef enum:
    WORTH_RELEASING = 4096


def variants():
    return tuple(
        [occy_sha256_name(<occy_sha256_variant>i).decode() for i in range(<int>OCCY_SHA256_VARIANTS)
         if occy_sha256_available(<occy_sha256_variant>i)]
    )


@cython.final
cdef class Sha256:
    """Sha256(*, variant=None)
--

"""
    cdef occy_sha256 state
    cdef occy_sha256_variant chosen
    cdef unsigned char in_use

    def __cinit__(self, *, variant=None):
        cdef int i
        self.in_use = 0
        self.chosen = occy_sha256_chosen()
        if variant is not None:
            self.chosen = OCCY_SHA256_VARIANTS
            for i in range(<int>OCCY_SHA256_VARIANTS):
                if occy_sha256_name(<occy_sha256_variant>i).decode() == variant:
                    self.chosen = <occy_sha256_variant>i
        if occy_sha256_init_variant(&self.state, self.chosen) != 0:
            raise ValueError(f"variant: expected one of {', '.join(variants())}, found {variant}")

    def __init__(self, *, variant=None):
        pass  # the docstring's first line is its signature, for help() and for what checks the stub

    @property
    def variant(self):
        return occy_sha256_name(self.chosen).decode()

    def update(self, const uint8_t[::1] data not None):
        cdef size_t size = data.shape[0]
        cdef const uint8_t* at = &data[0] if size else NULL
        take(&self.in_use)
        if size < WORTH_RELEASING:
            occy_sha256_update(&self.state, at, size)
        else:
            with nogil:
                occy_sha256_update(&self.state, at, size)
        occy_leave(&self.in_use)

    def digest(self):
        cdef occy_sha256 last
        cdef uint8_t result[32]
        take(&self.in_use)
        last = self.state
        occy_leave(&self.in_use)
        occy_sha256_final(&last, result)
        return PyBytes_FromStringAndSize(<char*>result, 32)

    def hexdigest(self):
        return self.digest().hex()

    def copy(self):
        cdef Sha256 twin = Sha256.__new__(Sha256)
        take(&self.in_use)
        twin.state = self.state
        twin.chosen = self.chosen
        occy_leave(&self.in_use)
        return twin


def sha256(const uint8_t[::1] data not None):
    cdef occy_sha256 state
    cdef uint8_t result[32]
    cdef size_t size = data.shape[0]
    cdef const uint8_t* at = &data[0] if size else NULL
    with nogil:
        occy_sha256_init(&state)
        occy_sha256_update(&state, at, size)
        occy_sha256_final(&state, result)
    return PyBytes_FromStringAndSize(<char*>result, 32)
