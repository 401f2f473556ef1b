/* Kernel status codes: what code that holds no GIL says instead of raising.
 *
 * status.pxd turns a status and an offset into the one exception it stands for. */
#ifndef OCCY_STATUS_H
#define OCCY_STATUS_H

enum occy_status {
    OCCY_OK = 0,

    /* streams */
    OCCY_CORRUPT = 1,          /* the bytes break the format */
    OCCY_TRUNCATED = 2,        /* the stream ends before its verified end */
    OCCY_TRAILING = 3,         /* bytes after the end that are no part of the format */
    OCCY_CHECKSUM = 4,         /* a stored checksum or length does not match */
    OCCY_WINDOW = 5,           /* the window is larger than allowed */
    OCCY_DICTIONARY = 6,       /* a dictionary is needed */
    OCCY_HEADER_LIMIT = 7,     /* a stream header is longer than allowed */
    OCCY_BOMB = 8,             /* the output is larger than allowed */
    OCCY_RATIO = 9,            /* the output is larger in proportion than allowed */

    /* tar */
    OCCY_TAR_HEADER = 20,
    OCCY_TAR_CHECKSUM = 21,
    OCCY_TAR_PAX = 22,
    OCCY_TAR_TRUNCATED = 23,
    OCCY_TAR_FORMAT = 24,
    OCCY_TAR_AMBIGUOUS = 25,
    OCCY_TAR_LIMIT = 26,

    /* the world */
    OCCY_NO_MEMORY = 40,
    OCCY_READ = 41,            /* errno beside it */
    OCCY_WRITE = 42,           /* errno beside it */
    OCCY_CANCELLED = 43,
    OCCY_SHORT_READ = 44,      /* the file ended before the bytes it promised */
    OCCY_ENCODER = 45          /* the codec refused its own parameters: our mistake */
};

#endif
