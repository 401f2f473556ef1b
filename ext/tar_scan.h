/* Streaming scan of tar headers: V7, ustar, PAX, GNU, star and every GNU sparse form, as Go's archive/tar reads them.
 *
 * src/occy_fast/kernels/pure/tar_scan.py defines what it finds.  A scan belongs to one thread at a time, takes
 * windows of any size, never recurses, and allocates nothing but the buffers of extension headers and of its output,
 * which grow with the bytes that really arrived. */
#ifndef OCCY_TAR_SCAN_H
#define OCCY_TAR_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct occy_tar_scan;

struct occy_tar_options {
    int strict;              /* refuse what readers are known to understand differently */
    int keep;                /* collect records; else only check */
    uint32_t max_extension;  /* bytes of one PAX header or GNU long name */
    uint32_t max_sparse_map; /* bytes of one sparse map */
    uint32_t max_extensions; /* extension headers on one entry */
    uint32_t max_entries;    /* of the list of entries; 0: there is none */
};

/* The numbers of Problem in src/occy_fast/kernels/tar_problems.py, which has the words. */
enum occy_tar_problem {
    OCCY_TAR_PROBLEM_NONE = 0,
    OCCY_TAR_CUT_HEADER = 1,
    OCCY_TAR_CUT_EXTENSION = 2,
    OCCY_TAR_CUT_SPARSE_MAP = 3,
    OCCY_TAR_CUT_CONTENT = 4,
    OCCY_TAR_NO_HEADER = 5,
    OCCY_TAR_BAD_CHECKSUM = 6,
    OCCY_TAR_LONE_ZERO_BLOCK = 7,
    OCCY_TAR_SIZE = 8,
    OCCY_TAR_MODE = 9,
    OCCY_TAR_UID = 10,
    OCCY_TAR_GID = 11,
    OCCY_TAR_MTIME = 12,
    OCCY_TAR_DEVICE = 13,
    OCCY_TAR_STAR_TIME = 14,
    OCCY_TAR_NEGATIVE_SIZE = 15,
    OCCY_TAR_RECORD_LENGTH = 16,
    OCCY_TAR_RECORD_END = 17,
    OCCY_TAR_RECORD_EQUALS = 18,
    OCCY_TAR_RECORD_KEY = 19,
    OCCY_TAR_RECORD_NUL = 20,
    OCCY_TAR_RECORD_SPARSE_ORDER = 21,
    OCCY_TAR_PAX_SIZE = 22,
    OCCY_TAR_PAX_UID = 23,
    OCCY_TAR_PAX_GID = 24,
    OCCY_TAR_PAX_TIME = 25,
    OCCY_TAR_PAX_SPARSE_SIZE = 26,
    OCCY_TAR_PAX_SPARSE_COUNT = 27,
    OCCY_TAR_PAX_SPARSE_NUMBER = 28,
    OCCY_TAR_SPARSE_DIALECT = 29,
    OCCY_TAR_SPARSE_SIZE = 30,
    OCCY_TAR_SPARSE_NUMBER = 31,
    OCCY_TAR_SPARSE_COUNT = 32,
    OCCY_TAR_SPARSE_PAST_ENTRY = 33,
    OCCY_TAR_SPARSE_WITHOUT_CONTENT = 34,
    OCCY_TAR_SPARSE_REGIONS = 35,
    OCCY_TAR_SPARSE_MISSING = 36,
    OCCY_TAR_SPARSE_UNREFERENCED = 37,
    OCCY_TAR_LIMIT_EXTENSION = 38,
    OCCY_TAR_LIMIT_SPARSE_MAP = 39,
    OCCY_TAR_LIMIT_EXTENSIONS = 40,
    OCCY_TAR_TWO_EXTENSIONS = 41,
    OCCY_TAR_TWO_NAMES = 42,
    OCCY_TAR_TWO_LINKNAMES = 43,
    OCCY_TAR_TWO_RECORDS = 44,
    OCCY_TAR_GLOBAL_RECORD = 45,
    OCCY_TAR_DROPPED_EXTENSION = 46,
    OCCY_TAR_SIZE_WITHOUT_CONTENT = 47,
    OCCY_TAR_GNU_PREFIX = 48,
    OCCY_TAR_USTAR_VERSION = 49,
    OCCY_TAR_SOLARIS_HEADER = 50,
    OCCY_TAR_NUMBER_TAIL = 51,
    OCCY_TAR_SPARSE_VERSION = 52,
    OCCY_TAR_PAX_NUMBER_SIGN = 53,
    OCCY_TAR_EMPTY_NAME = 54,
    OCCY_TAR_DANGLING_EXTENSION = 55,
    OCCY_TAR_GNU_TIMES = 56,
    OCCY_TAR_VOLUME_LABEL = 57,
    OCCY_TAR_NOT_UTF8 = 58,
    OCCY_TAR_EMPTY_RECORD = 59,
    OCCY_TAR_SIZE_BEFORE_NAME = 60,
    OCCY_TAR_CUT_PADDING = 61,
    OCCY_TAR_HIDDEN_BYTES = 62
};

enum occy_tar_format { OCCY_TAR_USTAR = 2, OCCY_TAR_PAX_FORMAT = 4, OCCY_TAR_GNU = 8 };

enum occy_tar_flag {
    OCCY_TAR_HAS_SPARSE = 1,
    OCCY_TAR_HAS_ATIME = 2,
    OCCY_TAR_HAS_CTIME = 4,
    OCCY_TAR_HAS_PAX = 8,
    OCCY_TAR_HAS_MTIME = 16
};

/* One entry.  Its texts stand one after the other at *text* of the arena: name, linkname, uname, gname, PAX body, and
 * *regions* pairs of int64_t (offset, length), the stored regions of a sparse file. */
struct occy_tar_record {
    int64_t start;         /* of the first header that belongs to the entry */
    int64_t header_offset; /* of its own header */
    int64_t data_offset;   /* of its stored content */
    int64_t size;          /* logical */
    int64_t stored;        /* bytes of content in the tar */
    int64_t mode, uid, gid;
    int64_t mtime, atime, ctime; /* seconds, rounded down */
    int64_t devmajor, devminor;
    uint64_t text;
    uint32_t name, linkname, uname, gname, pax; /* lengths */
    uint32_t regions;
    int32_t mtime_ns, atime_ns, ctime_ns;
    uint8_t type;
    uint8_t format;
    uint8_t flags;
    uint8_t reserved; /* 0 */
};

struct occy_tar_progress {
    uint64_t offset;  /* bytes seen or skipped */
    uint64_t members;
    int64_t hidden;   /* offset of the first byte behind the end of the archive that is not zero; -1: none so far */
    int closed;       /* a zero block, the first of the end of the archive, was seen */
    int ended;        /* the end of the archive, two zero blocks, was seen */
    int status;       /* of the first error; final */
    int problem;      /* enum occy_tar_problem: which */
    int64_t error_offset;
    int64_t allowed, value; /* of a limit */
};

/* NULL options are the defaults: lenient, checking only, 1 MiB, 1 MiB, 16.  NULL when memory is short. */
struct occy_tar_scan *occy_tar_scan_open(const struct occy_tar_options *options);
struct occy_tar_scan *occy_tar_scan_create(int strict); /* one that only checks */
void occy_tar_scan_free(struct occy_tar_scan *scan);    /* NULL is allowed */
const struct occy_tar_progress *occy_tar_scan_progress(const struct occy_tar_scan *scan);

/* Take the next *size* bytes of the tar.  After an error every call returns the same status. */
int occy_tar_scan_feed(struct occy_tar_scan *scan, const uint8_t *bytes, size_t size);

/* How many bytes from here on need not be shown, and passing over at most that many. */
uint64_t occy_tar_scan_skippable(const struct occy_tar_scan *scan);
void occy_tar_scan_skip(struct occy_tar_scan *scan, uint64_t count);

/* Say that the tar is over. */
int occy_tar_scan_finish(struct occy_tar_scan *scan);

/* Feed, and finish behind the *last* window; *offset* tells where an error is. */
int occy_tar_scan_check(struct occy_tar_scan *scan, const uint8_t *bytes, size_t size, int last, int64_t *offset);

/* What was collected since the last clear; valid until the next call. */
size_t occy_tar_scan_records(const struct occy_tar_scan *scan, const struct occy_tar_record **records);
size_t occy_tar_scan_texts(const struct occy_tar_scan *scan, const uint8_t **texts);
void occy_tar_scan_clear(struct occy_tar_scan *scan);
/* The list of all entries so far, as kernels/entry_list.py has it; false where there is none, or more than may be. */
bool occy_tar_scan_entries(const struct occy_tar_scan *scan, const uint8_t **bytes, size_t *size);
/* Release the list: there is none any more. */
void occy_tar_scan_drop_entries(struct occy_tar_scan *scan);

/* The parts, for tests and edits.  Numbers and times: 1 when it is one. */
int occy_tar_number(const uint8_t *field, size_t size, int64_t *value);
int occy_tar_decimal(const uint8_t *text, size_t size, int64_t *value);
int occy_tar_time(const uint8_t *text, size_t size, int64_t *seconds, int32_t *nanoseconds);

struct occy_tar_pax_record {
    const uint8_t *key, *value;
    size_t key_size, value_size;
    size_t at; /* of the record in its body */
};

/* Read the record at *at* of a PAX body, which is shorter than 4 GiB, and move *at* behind it; *numbers* counts the
 * numbers of a sparse map and starts at 0.  Returns an enum occy_tar_problem. */
int occy_tar_pax_next(const uint8_t *body, size_t size, size_t *at, struct occy_tar_pax_record *record,
                      uint32_t *numbers);

#endif
