/* What the parts of tar_scan.c share: an entry on its way, the state between two windows, and the small
 * things that every header needs. */
#ifndef OCCY_TAR_STATE_H
#define OCCY_TAR_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "status.h"
#include "tar_scan.h"

/* Of a tar; and the most that a buffer grows ahead, or takes, at once. */
enum { BLOCK = 512, STEP = 1 << 16 };

enum awaits { HEADER, EXTENSION, OLD_SPARSE_BLOCK, SPARSE_MAP };

enum kind_bit { KIND_X = 1, KIND_L = 2, KIND_K = 4 };

/* The PAX keys that change an entry; the first four hold names. */
enum key {
    PATH,
    LINKPATH,
    UNAME,
    GNAME,
    UID,
    GID,
    SIZE,
    MTIME,
    ATIME,
    CTIME,
    SPARSE_MAJOR,
    SPARSE_MINOR,
    SPARSE_MAP_KEY,
    SPARSE_NAME,
    SPARSE_NUMBLOCKS,
    SPARSE_SIZE,
    SPARSE_REALSIZE,
    KEYS
};

struct buffer {
    uint8_t *bytes;
    size_t length, capacity;
};

struct text {
    const uint8_t *at;
    size_t length;
};

/* The last record of a key. */
struct slot {
    struct text value;
    uint64_t at; /* of the record in the tar */
};

/* An entry as its own header tells it, then as its extensions have it. */
struct member {
    int64_t at;
    int64_t size, mode, uid, gid, mtime, atime, ctime, devmajor, devminor;
    int32_t mtime_ns, atime_ns, ctime_ns;
    struct text prefix, name, linkname, uname, gname;
    uint8_t type, format, flags;
    bool gnu;
};

struct occy_tar_scan {
    struct occy_tar_progress progress;
    struct occy_tar_options options;
    enum awaits awaits;
    size_t have; /* bytes of the block that is not complete yet */
    uint64_t content;
    uint32_t padding;

    /* of the entry to come */
    int64_t start;
    int64_t lone_global; /* the first global header since the last entry; -1: none */
    uint32_t extensions;
    unsigned kinds;
    uint8_t format;
    bool has_pax, has_sparse_key, numbers_are_one_empty;
    uint32_t numbers; /* records of a sparse map in version 0.0 */
    struct slot slots[KEYS];
    struct buffer pax, longname, longlink;
    uint8_t extension; /* type of the extension that is being read */
    uint32_t extension_size;
    int64_t extension_at;

    /* of the sparse entry whose map is being read */
    struct member member;
    uint64_t stored;
    uint64_t map_blocks, map_lines;
    int64_t map_count; /* -1: not known yet */
    struct buffer map;
    struct buffer regions;
    uint64_t region_count;
    int64_t region_end, region_total;
    bool regions_wrong;

    struct buffer records, texts;

    /* the list of entries: the last one's name and block, and whether it would have become too long */
    struct buffer entries, entry_name;
    uint64_t entry_block;
    bool entries_dropped;

    uint8_t block[BLOCK];
    uint8_t header[BLOCK]; /* of the sparse entry */
};

enum sparse_version { NOT_SPARSE, SPARSE_IN_PAX, SPARSE_IN_CONTENT };

/* ---- tar_record.c: errors, buffers, what is handed out.  A status is returned as it is kept. */

int occy_tar_fail(struct occy_tar_scan *scan, int problem, int64_t offset);
int occy_tar_over_limit(struct occy_tar_scan *scan, int problem, int64_t offset, int64_t allowed, int64_t value);
int occy_tar_no_memory(struct occy_tar_scan *scan);
/* Whether there is memory for *size* bytes more, which are copied. */
bool occy_tar_append(struct buffer *buffer, const void *bytes, size_t size);
/* Whether there is memory for *more* bytes; at most *most_ahead* are asked for beyond them. */
bool occy_tar_reserve(struct buffer *buffer, size_t more, size_t most_ahead);
void occy_tar_forget_extensions(struct occy_tar_scan *scan);
/* The entry is known: keep it if that is asked for, count it, and start with the next one. */
int occy_tar_hand_out(struct occy_tar_scan *scan, const struct member *member, int64_t data_offset, uint64_t stored,
                      bool sparse);

/* ---- tar_entries.c: the list of entries ------------------------------------------------------ */

/* Whether there is memory for one more, before it is counted. */
bool occy_tar_list_entry(struct occy_tar_scan *scan, const struct member *member);

/* ---- tar_number.c: numbers of headers; *tail* is set where bytes follow the number's own end */

bool occy_tar_octal(const uint8_t *field, size_t size, int64_t *value, bool *tail);
bool occy_tar_header_number(const uint8_t *field, size_t size, int64_t *value, bool *tail);

/* ---- tar_pax.c: records, and what they change of an entry ----------------------------------- */

bool occy_tar_is_sparse_number(struct text key);
/* Read the records of the extension header that has been collected. */
int occy_tar_take_records(struct occy_tar_scan *scan);
int occy_tar_merge_number(struct occy_tar_scan *scan, enum key key, int problem, int64_t *value);
int occy_tar_merge_fields(struct occy_tar_scan *scan, struct member *member);

/* ---- tar_sparse.c: maps, of scan->member ---------------------------------------------------- */

enum sparse_version occy_tar_sparse_version(const struct occy_tar_scan *scan);
int occy_tar_start_old_sparse(struct occy_tar_scan *scan);
int occy_tar_start_pax_sparse(struct occy_tar_scan *scan, enum sparse_version version);
/* Take the next block of a map: *most* regions in GNU's own form, or lines of text. */
int occy_tar_take_old_sparse(struct occy_tar_scan *scan, const uint8_t *regions, unsigned most, bool extended);
int occy_tar_take_sparse_map(struct occy_tar_scan *scan, const uint8_t *block);

/* ---- texts and content ---------------------------------------------------------------------- */

static inline bool is(struct text text, const char *wanted, size_t size)
{
    return text.length == size && memcmp(text.at, wanted, size) == 0;
}

static inline bool begins(struct text text, const char *wanted, size_t size)
{
    return text.length >= size && memcmp(text.at, wanted, size) == 0;
}

#define IS(text, literal) is(text, literal, sizeof(literal) - 1)
#define BEGINS(text, literal) begins(text, literal, sizeof(literal) - 1)

static inline bool occy_tar_has_content(uint8_t type)
{
    return type < '1' || type > '6';
}

static inline void occy_tar_set_content(struct occy_tar_scan *scan, uint64_t stored)
{
    scan->content = stored;
    scan->padding = (uint32_t)(0 - stored) % BLOCK;
}

/* ---- fields of a header: here, because reading them is most of what a scan does ------------- */

static inline size_t occy_tar_c_length(const uint8_t *field, size_t size)
{
    const uint8_t *end = memchr(field, 0, size);

    return end == NULL ? size : (size_t)(end - field);
}

static inline bool is_blank(uint8_t c)
{
    return c == ' ' || c == 0;
}

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define DIGITS_AT_ONCE 1

/* Eight octal digits, the first in the lowest byte: neighbours join into pairs, pairs into fours, fours into one. */
static inline uint64_t joined(uint64_t digits)
{
    digits = ((digits << 3) + (digits >> 8)) & 0x00ff00ff00ff00ffu;
    digits = ((digits << 6) + (digits >> 16)) & 0x0000ffff0000ffffu;
    return ((digits << 12) + (digits >> 32)) & 0xffffffffu;
}

static inline uint64_t loaded(const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return word ^ 0x3030303030303030u;
}
#endif

/* A field of 8 bytes; nearly all are seven digits and a terminator. */
static inline bool occy_tar_number_8(const uint8_t *field, int64_t *value, bool *tail)
{
#ifdef DIGITS_AT_ONCE
    uint64_t digits = loaded(field) << 8;

    if ((digits & 0xf8f8f8f8f8f8f8f8u) == 0 && is_blank(field[7])) {
        *value = (int64_t)joined(digits);
        *tail = false;
        return true;
    }
#endif
    return occy_tar_header_number(field, 8, value, tail);
}

/* A field of 12 bytes; nearly all are eleven digits and a terminator. */
static inline bool occy_tar_number_12(const uint8_t *field, int64_t *value, bool *tail)
{
#ifdef DIGITS_AT_ONCE
    uint64_t first = loaded(field), last = loaded(field + 3);

    if (((first | last) & 0xf8f8f8f8f8f8f8f8u) == 0 && is_blank(field[11])) {
        *value = (int64_t)(joined(first) << 9 | (joined(last) & 0777));
        *tail = false;
        return true;
    }
#endif
    return occy_tar_header_number(field, 12, value, tail);
}

#endif
