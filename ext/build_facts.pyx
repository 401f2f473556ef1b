# What the native kernels are made of, as the compiler and the linked codecs say it.

cdef extern from *:
    """
    #ifdef __clang__
    #define OCCY_COMPILER "clang " __clang_version__
    #else
    #define OCCY_COMPILER "gcc " __VERSION__
    #endif
    #ifdef OCCY_SYSTEM_CODECS
    #define OCCY_LINKAGE "system"
    #else
    #define OCCY_LINKAGE "pinned"
    #endif
    #ifdef Py_LIMITED_API
    #define OCCY_ABI "abi3"
    #else
    #define OCCY_ABI "cpython"
    #endif
    #if defined(__SANITIZE_ADDRESS__)
    #define OCCY_SANITIZED "address,undefined"
    #else
    #define OCCY_SANITIZED ""
    #endif
    #ifdef OCCY_DEBUG
    #define OCCY_CHECKED 1
    #else
    #define OCCY_CHECKED 0
    #endif
    """
    const char* OCCY_COMPILER
    const char* OCCY_LINKAGE
    const char* OCCY_ABI
    const char* OCCY_SANITIZED
    const int OCCY_CHECKED

cdef extern from "cpu.h":
    enum:
        OCCY_CPU_SHA_NI
        OCCY_CPU_ARM_SHA2
    unsigned occy_cpu() nogil

cdef extern from "gzip_segments.h":
    const char* occy_isal_version() nogil

cdef extern from "zstd_jobs.h":
    const char* occy_zstd_version() nogil

FEATURES = ((OCCY_CPU_SHA_NI, "sha_ni"), (OCCY_CPU_ARM_SHA2, "arm_sha2"))


def facts():
    cdef unsigned cpu = occy_cpu()
    linkage = OCCY_LINKAGE.decode()
    return {
        "codecs": {
            "isa-l": (occy_isal_version().decode(), linkage),
            "libzstd": (occy_zstd_version().decode(), linkage),
        },
        "cpu": tuple(name for bit, name in FEATURES if cpu & bit),
        "compiler": OCCY_COMPILER.decode(),
        "abi": OCCY_ABI.decode(),
        "checked": bool(OCCY_CHECKED),
        "sanitized": OCCY_SANITIZED.decode(),
    }
