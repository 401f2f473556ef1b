# Guards a stateful kernel object while its C code runs without the GIL.
cdef extern from "sole_use.h" nogil:
    bint occy_take(unsigned char* mark) noexcept
    void occy_leave(unsigned char* mark) noexcept

cdef inline int take(unsigned char* mark) except -1:
    if not occy_take(mark):
        raise RuntimeError("the object is in use by another thread")
    return 0
