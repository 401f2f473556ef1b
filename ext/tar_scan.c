#include "tar_scan.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "status.h"

enum { BLOCK = 512, STEP = 1 << 16 };

static_assert(sizeof(struct occy_tar_record) == 152, "tar_records.py unpacks this layout");

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

#define NAMED(text) {text, sizeof(text) - 1}

static const struct {
    const char *name;
    size_t size;
} key_names[KEYS] = {
    [PATH] = NAMED("path"),
    [LINKPATH] = NAMED("linkpath"),
    [UNAME] = NAMED("uname"),
    [GNAME] = NAMED("gname"),
    [UID] = NAMED("uid"),
    [GID] = NAMED("gid"),
    [SIZE] = NAMED("size"),
    [MTIME] = NAMED("mtime"),
    [ATIME] = NAMED("atime"),
    [CTIME] = NAMED("ctime"),
    [SPARSE_MAJOR] = NAMED("GNU.sparse.major"),
    [SPARSE_MINOR] = NAMED("GNU.sparse.minor"),
    [SPARSE_MAP_KEY] = NAMED("GNU.sparse.map"),
    [SPARSE_NAME] = NAMED("GNU.sparse.name"),
    [SPARSE_NUMBLOCKS] = NAMED("GNU.sparse.numblocks"),
    [SPARSE_SIZE] = NAMED("GNU.sparse.size"),
    [SPARSE_REALSIZE] = NAMED("GNU.sparse.realsize"),
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
    uint8_t block[BLOCK];
    uint8_t header[BLOCK]; /* of the sparse entry */
};

/* ------------------------------------------------------------------------------------------------------ errors */

static int status_of(int problem)
{
    switch (problem) {
    case OCCY_TAR_PROBLEM_NONE:
        return OCCY_OK;
    case OCCY_TAR_CUT_HEADER:
    case OCCY_TAR_CUT_EXTENSION:
    case OCCY_TAR_CUT_SPARSE_MAP:
    case OCCY_TAR_CUT_CONTENT:
    case OCCY_TAR_CUT_PADDING:
    case OCCY_TAR_SPARSE_PAST_ENTRY:
        return OCCY_TAR_TRUNCATED;
    case OCCY_TAR_BAD_CHECKSUM:
        return OCCY_TAR_CHECKSUM;
    case OCCY_TAR_LONE_ZERO_BLOCK:
    case OCCY_TAR_SPARSE_DIALECT:
    case OCCY_TAR_DANGLING_EXTENSION:
        return OCCY_TAR_FORMAT;
    case OCCY_TAR_RECORD_LENGTH:
    case OCCY_TAR_RECORD_END:
    case OCCY_TAR_RECORD_EQUALS:
    case OCCY_TAR_RECORD_KEY:
    case OCCY_TAR_RECORD_NUL:
    case OCCY_TAR_RECORD_SPARSE_ORDER:
    case OCCY_TAR_PAX_UID:
    case OCCY_TAR_PAX_GID:
    case OCCY_TAR_PAX_TIME:
    case OCCY_TAR_PAX_SPARSE_SIZE:
    case OCCY_TAR_PAX_SPARSE_COUNT:
    case OCCY_TAR_PAX_SPARSE_NUMBER:
    case OCCY_TAR_PAX_NUMBER_SIGN:
        return OCCY_TAR_PAX;
    case OCCY_TAR_LIMIT_EXTENSION:
    case OCCY_TAR_LIMIT_SPARSE_MAP:
    case OCCY_TAR_LIMIT_EXTENSIONS:
        return OCCY_TAR_LIMIT;
    case OCCY_TAR_SPARSE_UNREFERENCED:
    case OCCY_TAR_TWO_EXTENSIONS:
    case OCCY_TAR_TWO_NAMES:
    case OCCY_TAR_TWO_LINKNAMES:
    case OCCY_TAR_TWO_RECORDS:
    case OCCY_TAR_GLOBAL_RECORD:
    case OCCY_TAR_DROPPED_EXTENSION:
    case OCCY_TAR_SIZE_WITHOUT_CONTENT:
    case OCCY_TAR_GNU_PREFIX:
    case OCCY_TAR_USTAR_VERSION:
    case OCCY_TAR_SOLARIS_HEADER:
    case OCCY_TAR_NUMBER_TAIL:
    case OCCY_TAR_SPARSE_VERSION:
    case OCCY_TAR_GNU_TIMES:
    case OCCY_TAR_VOLUME_LABEL:
    case OCCY_TAR_NOT_UTF8:
    case OCCY_TAR_EMPTY_RECORD:
    case OCCY_TAR_SIZE_BEFORE_NAME:
    case OCCY_TAR_HIDDEN_BYTES:
        return OCCY_TAR_AMBIGUOUS;
    default:
        return OCCY_TAR_HEADER;
    }
}

static int fail(struct occy_tar_scan *scan, int problem, int64_t offset)
{
    scan->progress.problem = problem;
    scan->progress.error_offset = offset;
    return scan->progress.status = status_of(problem);
}

static int over_limit(struct occy_tar_scan *scan, int problem, int64_t offset, int64_t allowed, int64_t value)
{
    scan->progress.allowed = allowed;
    scan->progress.value = value;
    return fail(scan, problem, offset);
}

static int no_memory(struct occy_tar_scan *scan)
{
    scan->progress.error_offset = (int64_t)scan->progress.offset;
    return scan->progress.status = OCCY_NO_MEMORY;
}

/* ----------------------------------------------------------------------------------------------------- buffers */

static bool reserve(struct buffer *buffer, size_t more, size_t most_ahead)
{
    size_t needed = buffer->length + more, capacity, ahead;
    uint8_t *bytes;

    if (needed <= buffer->capacity)
        return true;
    ahead = buffer->capacity < most_ahead ? buffer->capacity : most_ahead;
    capacity = buffer->capacity + ahead;
    if (capacity < needed)
        capacity = needed;
    capacity = (capacity + 4095) & ~(size_t)4095;
    bytes = realloc(buffer->bytes, capacity);
    if (bytes == NULL)
        return false;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return true;
}

static bool append(struct buffer *buffer, const void *bytes, size_t size)
{
    if (!reserve(buffer, size, STEP))
        return false;
    if (size != 0)
        memcpy(buffer->bytes + buffer->length, bytes, size);
    buffer->length += size;
    return true;
}

/* ----------------------------------------------------------------------------------------------------- numbers */

static size_t c_length(const uint8_t *field, size_t size)
{
    const uint8_t *end = memchr(field, 0, size);

    return end == NULL ? size : (size_t)(end - field);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == 0;
}

/* The number between blanks and NULs; *tail* is set where bytes follow its own end. */
static bool octal(const uint8_t *field, size_t size, int64_t *value, bool *tail)
{
    uint64_t number = 0;
    size_t digits;

    while (size != 0 && is_blank(field[0])) {
        field++;
        size--;
    }
    while (size != 0 && is_blank(field[size - 1]))
        size--;
    digits = size == 0 ? 0 : c_length(field, size);
    *tail = digits != size;
    for (size_t i = 0; i < digits; i++) {
        unsigned digit = field[i] - (unsigned)'0';

        if (digit > 7 || number >> 61 != 0)
            return false;
        number = number << 3 | digit;
    }
    *value = (int64_t)number;
    return true;
}

static bool base_256(const uint8_t *field, size_t size, int64_t *value)
{
    uint8_t inverted = field[0] & 0x40 ? 0xff : 0;
    uint64_t number = 0;

    for (size_t i = 0; i < size; i++) {
        uint8_t c = field[i] ^ inverted;

        if (i == 0)
            c &= 0x7f;
        if (number >> 56 != 0)
            return false;
        number = number << 8 | c;
    }
    if (number >> 63 != 0)
        return false;
    *value = inverted ? -1 - (int64_t)number : (int64_t)number;
    return true;
}

static bool number_and_tail(const uint8_t *field, size_t size, int64_t *value, bool *tail)
{
    *tail = false;
    if (size != 0 && field[0] & 0x80)
        return base_256(field, size, value);
    return octal(field, size, value, tail);
}

int occy_tar_number(const uint8_t *field, size_t size, int64_t *value)
{
    bool tail;

    return number_and_tail(field, size, value, &tail);
}

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define DIGITS_AT_ONCE 1

/* Eight octal digits, the first in the lowest byte: neighbours join into pairs, pairs into fours, fours into one. */
static uint64_t joined(uint64_t digits)
{
    digits = ((digits << 3) + (digits >> 8)) & 0x00ff00ff00ff00ffu;
    digits = ((digits << 6) + (digits >> 16)) & 0x0000ffff0000ffffu;
    return ((digits << 12) + (digits >> 32)) & 0xffffffffu;
}

static uint64_t loaded(const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return word ^ 0x3030303030303030u;
}
#endif

/* A field of 8 bytes; nearly all are seven digits and a terminator. */
static bool number_8(const uint8_t *field, int64_t *value, bool *tail)
{
#ifdef DIGITS_AT_ONCE
    uint64_t digits = loaded(field) << 8;

    if ((digits & 0xf8f8f8f8f8f8f8f8u) == 0 && is_blank(field[7])) {
        *value = (int64_t)joined(digits);
        *tail = false;
        return true;
    }
#endif
    return number_and_tail(field, 8, value, tail);
}

/* A field of 12 bytes; nearly all are eleven digits and a terminator. */
static bool number_12(const uint8_t *field, int64_t *value, bool *tail)
{
#ifdef DIGITS_AT_ONCE
    uint64_t first = loaded(field), last = loaded(field + 3);

    if (((first | last) & 0xf8f8f8f8f8f8f8f8u) == 0 && is_blank(field[11])) {
        *value = (int64_t)(joined(first) << 9 | (joined(last) & 0777));
        *tail = false;
        return true;
    }
#endif
    return number_and_tail(field, 12, value, tail);
}

int occy_tar_decimal(const uint8_t *text, size_t size, int64_t *value)
{
    bool negative = size != 0 && text[0] == '-';
    uint64_t number = 0, most = negative ? (uint64_t)1 << 63 : INT64_MAX;
    size_t i = size != 0 && (text[0] == '-' || text[0] == '+');

    if (i == size)
        return 0;
    for (; i < size; i++) {
        unsigned digit = text[i] - (unsigned)'0';

        if (digit > 9 || number > (most - digit) / 10)
            return 0;
        number = number * 10 + digit;
    }
    *value = (int64_t)(negative ? 0 - number : number);
    return 1;
}

int occy_tar_time(const uint8_t *text, size_t size, int64_t *seconds, int32_t *nanoseconds)
{
    const uint8_t *point = size == 0 ? NULL : memchr(text, '.', size);
    size_t whole = point == NULL ? size : (size_t)(point - text);
    int32_t fraction = 0;

    if (!occy_tar_decimal(text, whole, seconds))
        return 0;
    for (size_t i = whole + 1; i < size; i++)
        if (text[i] < '0' || text[i] > '9')
            return 0;
    for (size_t i = 1; i <= 9; i++)
        fraction = fraction * 10 + (whole + i < size ? text[whole + i] - '0' : 0);
    if (text[0] == '-' && fraction != 0) {
        *seconds = (int64_t)((uint64_t)*seconds - 1);
        fraction = 1000000000 - fraction;
    }
    *nanoseconds = fraction;
    return 1;
}

/* ------------------------------------------------------------------------------------------------- PAX records */

static bool is(struct text text, const char *wanted, size_t size)
{
    return text.length == size && memcmp(text.at, wanted, size) == 0;
}

static bool begins(struct text text, const char *wanted, size_t size)
{
    return text.length >= size && memcmp(text.at, wanted, size) == 0;
}

#define IS(text, literal) is(text, literal, sizeof(literal) - 1)
#define BEGINS(text, literal) begins(text, literal, sizeof(literal) - 1)

static enum key key_of(struct text text)
{
    enum key key = PATH;

    while (key < KEYS && !is(text, key_names[key].name, key_names[key].size))
        key++;
    return key;
}

int occy_tar_pax_next(const uint8_t *body, size_t size, size_t *at, struct occy_tar_pax_record *record,
                      uint32_t *numbers)
{
    const uint8_t *begin = body + *at;
    size_t left = size - *at;
    const uint8_t *space = memchr(begin, ' ', left), *equals, *end;
    struct text key, value, checked;
    int64_t length;
    bool offset, bytes;

    record->at = *at;
    if (space == NULL || !occy_tar_decimal(begin, (size_t)(space - begin), &length) || length < 5 ||
        (uint64_t)length > left || length <= space - begin + 1)
        return OCCY_TAR_RECORD_LENGTH;
    end = begin + length - 1;
    if (*end != '\n')
        return OCCY_TAR_RECORD_END;
    equals = memchr(space + 1, '=', (size_t)(end - space - 1));
    if (equals == NULL)
        return OCCY_TAR_RECORD_EQUALS;
    key = (struct text){space + 1, (size_t)(equals - space - 1)};
    value = (struct text){equals + 1, (size_t)(end - equals - 1)};
    if (key.length == 0)
        return OCCY_TAR_RECORD_KEY;
    checked = key_of(key) <= GNAME ? value : key;
    if (memchr(checked.at, 0, checked.length) != NULL)
        return OCCY_TAR_RECORD_NUL;
    offset = IS(key, "GNU.sparse.offset");
    bytes = IS(key, "GNU.sparse.numbytes");
    if (offset || bytes) {
        if (bytes != (*numbers % 2 != 0) || memchr(value.at, ',', value.length) != NULL)
            return OCCY_TAR_RECORD_SPARSE_ORDER;
        ++*numbers;
    }
    record->key = key.at;
    record->key_size = key.length;
    record->value = value.at;
    record->value_size = value.length;
    *at += (size_t)length;
    return OCCY_TAR_PROBLEM_NONE;
}

static bool is_sparse_number(struct text key)
{
    return IS(key, "GNU.sparse.offset") || IS(key, "GNU.sparse.numbytes");
}

/* What other readers take from a global header into the entries behind it. */
static bool is_applied(struct text key, enum key known)
{
    return known <= CTIME || IS(key, "hdrcharset") || BEGINS(key, "GNU.sparse.") || BEGINS(key, "SCHILY.xattr.") ||
           BEGINS(key, "LIBARCHIVE.xattr.");
}

/* How many bytes the UTF-8 sequence at the begin of *text* has; 0 where there is none.  (RFC 3629, section 4) */
static size_t utf8_length(struct text text)
{
    uint8_t first = text.at[0], least = 0x80, most = 0xbf;
    size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;

    if (length > text.length)
        return 0;
    if (first == 0xe0)
        least = 0xa0;
    if (first == 0xed) /* surrogates */
        most = 0x9f;
    if (first == 0xf0)
        least = 0x90;
    if (first == 0xf4)
        most = 0x8f;
    for (size_t i = 1; i < length; i++) {
        if (text.at[i] < least || text.at[i] > most)
            return 0;
        least = 0x80;
        most = 0xbf;
    }
    return length;
}

static bool is_utf8(struct text text)
{
    while (text.length != 0) {
        size_t length = utf8_length(text);

        if (length == 0)
            return false;
        text.at += length;
        text.length -= length;
    }
    return true;
}

/* Whether a record says that names are bytes in no encoding.  (POSIX pax, "hdrcharset") */
static bool names_are_binary(const struct occy_tar_scan *scan)
{
    struct occy_tar_pax_record record;
    uint32_t numbers = 0;

    for (size_t at = 0; at < scan->pax.length;) {
        (void)occy_tar_pax_next(scan->pax.bytes, scan->pax.length, &at, &record, &numbers);
        if (IS(((struct text){record.key, record.key_size}), "hdrcharset") &&
            IS(((struct text){record.value, record.value_size}), "BINARY"))
            return true;
    }
    return false;
}

static int check_records(struct occy_tar_scan *scan, uint64_t base)
{
    struct occy_tar_pax_record record;
    bool binary = names_are_binary(scan);
    uint32_t numbers = 0;
    unsigned seen = 0;

    for (size_t at = 0; at < scan->pax.length;) {
        struct text key;
        enum key known;

        (void)occy_tar_pax_next(scan->pax.bytes, scan->pax.length, &at, &record, &numbers);
        key = (struct text){record.key, record.key_size};
        known = key_of(key);
        if (known < KEYS && seen & 1u << known)
            return fail(scan, OCCY_TAR_TWO_RECORDS, (int64_t)(base + record.at));
        if (known < KEYS)
            seen |= 1u << known;
        if (scan->extension == 'g' && is_applied(key, known))
            return fail(scan, OCCY_TAR_GLOBAL_RECORD, (int64_t)(base + record.at));
        if (known <= CTIME && record.value_size == 0)
            return fail(scan, OCCY_TAR_EMPTY_RECORD, (int64_t)(base + record.at));
        if (known <= GNAME && !binary && !is_utf8((struct text){record.value, record.value_size}))
            return fail(scan, OCCY_TAR_NOT_UTF8, (int64_t)(base + record.at));
    }
    return OCCY_OK;
}

static int take_records(struct occy_tar_scan *scan)
{
    uint64_t base = (uint64_t)scan->extension_at + BLOCK;
    struct occy_tar_pax_record record;

    scan->has_pax = true;
    scan->has_sparse_key = false;
    scan->numbers = 0;
    scan->numbers_are_one_empty = false;
    memset(scan->slots, 0, sizeof scan->slots);
    for (size_t at = 0; at < scan->pax.length;) {
        int problem = occy_tar_pax_next(scan->pax.bytes, scan->pax.length, &at, &record, &scan->numbers);
        struct text key;
        enum key known;

        if (problem != OCCY_TAR_PROBLEM_NONE)
            return fail(scan, problem, (int64_t)(base + record.at));
        key = (struct text){record.key, record.key_size};
        scan->has_sparse_key |= BEGINS(key, "GNU.sparse.");
        if (scan->numbers <= 2 && is_sparse_number(key))
            scan->numbers_are_one_empty = scan->numbers == 1 && record.value_size == 0;
        known = key_of(key);
        if (known < KEYS)
            scan->slots[known] = (struct slot){{record.value, record.value_size}, base + record.at};
    }
    return scan->options.strict ? check_records(scan, base) : OCCY_OK;
}

/* ------------------------------------------------------------------------------------------------------ output */

static void forget_extensions(struct occy_tar_scan *scan)
{
    scan->start = -1;
    scan->extensions = 0;
    scan->kinds = 0;
    scan->format = OCCY_TAR_USTAR | OCCY_TAR_PAX_FORMAT | OCCY_TAR_GNU;
    if (scan->has_pax) {
        scan->has_pax = scan->has_sparse_key = scan->numbers_are_one_empty = false;
        scan->numbers = 0;
        memset(scan->slots, 0, sizeof scan->slots);
    }
    scan->pax.length = scan->longname.length = scan->longlink.length = 0;
    scan->map.length = scan->regions.length = 0;
    scan->map_blocks = scan->map_lines = 0;
    scan->map_count = -1;
    scan->region_count = 0;
    scan->region_end = scan->region_total = 0;
    scan->regions_wrong = false;
}

static uint8_t *put(uint8_t *to, const void *bytes, size_t size)
{
    if (size != 0)
        memcpy(to, bytes, size);
    return to + size;
}

static bool keep_record(struct occy_tar_scan *scan, const struct member *member, int64_t data_offset, uint64_t stored,
                        bool sparse)
{
    size_t prefix = member->prefix.length == 0 ? 0 : member->prefix.length + 1;
    size_t total = prefix + member->name.length + member->linkname.length + member->uname.length +
                   member->gname.length + scan->pax.length + scan->regions.length;
    struct occy_tar_record *record;
    uint8_t *to;

    if (!reserve(&scan->records, sizeof *record, SIZE_MAX / 4) || !reserve(&scan->texts, total, SIZE_MAX / 4))
        return false;
    record = (struct occy_tar_record *)(void *)(scan->records.bytes + scan->records.length);
    *record = (struct occy_tar_record){
        .start = scan->start,
        .header_offset = member->at,
        .data_offset = data_offset,
        .size = member->size,
        .stored = (int64_t)stored,
        .mode = member->mode,
        .uid = member->uid,
        .gid = member->gid,
        .mtime = member->mtime,
        .atime = member->atime,
        .ctime = member->ctime,
        .devmajor = member->devmajor,
        .devminor = member->devminor,
        .text = scan->texts.length,
        .name = (uint32_t)(prefix + member->name.length),
        .linkname = (uint32_t)member->linkname.length,
        .uname = (uint32_t)member->uname.length,
        .gname = (uint32_t)member->gname.length,
        .pax = (uint32_t)scan->pax.length,
        .regions = (uint32_t)scan->region_count,
        .mtime_ns = member->mtime_ns,
        .atime_ns = member->atime_ns,
        .ctime_ns = member->ctime_ns,
        .type = member->type,
        .format = scan->format & OCCY_TAR_USTAR ? OCCY_TAR_USTAR : scan->format,
        .flags = (uint8_t)(member->flags | (sparse ? OCCY_TAR_HAS_SPARSE : 0) | (scan->has_pax ? OCCY_TAR_HAS_PAX : 0)),
    };
    scan->records.length += sizeof *record;
    to = scan->texts.bytes + scan->texts.length;
    if (prefix != 0) {
        to = put(to, member->prefix.at, member->prefix.length);
        *to++ = '/';
    }
    to = put(to, member->name.at, member->name.length);
    to = put(to, member->linkname.at, member->linkname.length);
    to = put(to, member->uname.at, member->uname.length);
    to = put(to, member->gname.at, member->gname.length);
    to = put(to, scan->pax.bytes, scan->pax.length);
    (void)put(to, scan->regions.bytes, scan->regions.length);
    scan->texts.length += total;
    return true;
}

static int hand_out(struct occy_tar_scan *scan, const struct member *member, int64_t data_offset, uint64_t stored,
                    bool sparse)
{
    if (scan->options.keep && !keep_record(scan, member, data_offset, stored, sparse))
        return no_memory(scan);
    scan->progress.members++;
    forget_extensions(scan);
    return OCCY_OK;
}

/* ------------------------------------------------------------------------------------------------------ sparse */

static bool has_content(uint8_t type)
{
    return type < '1' || type > '6';
}

static void set_content(struct occy_tar_scan *scan, uint64_t stored)
{
    scan->content = stored;
    scan->padding = (uint32_t)(0 - stored) % BLOCK;
}

static int count_map_block(struct occy_tar_scan *scan)
{
    uint64_t bytes = ++scan->map_blocks * BLOCK;

    if (bytes > scan->options.max_sparse_map)
        return over_limit(scan, OCCY_TAR_LIMIT_SPARSE_MAP, (int64_t)scan->progress.offset,
                          scan->options.max_sparse_map, (int64_t)bytes);
    return OCCY_OK;
}

/* Take the next region of the map; all of them are judged together, behind the last. */
static bool add_region(struct occy_tar_scan *scan, int64_t offset, int64_t length)
{
    int64_t region[2] = {offset, length};

    if (offset < scan->region_end || length < 0 || offset > INT64_MAX - length || offset + length > scan->member.size) {
        scan->regions_wrong = true;
    } else {
        scan->region_end = offset + length;
        scan->region_total += length;
    }
    scan->region_count++;
    return !scan->options.keep || append(&scan->regions, region, sizeof region);
}

static int hand_out_sparse(struct occy_tar_scan *scan)
{
    int64_t at = scan->member.at;

    if (!has_content(scan->member.type))
        return fail(scan, OCCY_TAR_SPARSE_WITHOUT_CONTENT, at);
    if (scan->regions_wrong || scan->member.size < 0)
        return fail(scan, OCCY_TAR_SPARSE_REGIONS, at);
    if ((uint64_t)scan->region_total > scan->stored)
        return fail(scan, OCCY_TAR_SPARSE_MISSING, at);
    if (scan->options.strict && (uint64_t)scan->region_total < scan->stored)
        return fail(scan, OCCY_TAR_SPARSE_UNREFERENCED, at);
    scan->awaits = HEADER;
    set_content(scan, scan->stored);
    return hand_out(scan, &scan->member, (int64_t)scan->progress.offset, scan->stored, true);
}

static int take_old_sparse(struct occy_tar_scan *scan, const uint8_t *regions, unsigned most, bool extended)
{
    for (unsigned i = 0; i < most; i++) {
        const uint8_t *field = regions + 24 * i;
        int64_t offset, length;

        if (field[0] == 0)
            break;
        if (!occy_tar_number(field, 12, &offset) || !occy_tar_number(field + 12, 12, &length))
            return fail(scan, OCCY_TAR_SPARSE_NUMBER, (int64_t)scan->progress.offset - BLOCK);
        if (!add_region(scan, offset, length))
            return no_memory(scan);
    }
    if (!extended)
        return hand_out_sparse(scan);
    scan->awaits = OLD_SPARSE_BLOCK;
    return count_map_block(scan);
}

static int begin_old_sparse(struct occy_tar_scan *scan)
{
    const uint8_t *header = scan->header;

    if (!scan->member.gnu)
        return fail(scan, OCCY_TAR_SPARSE_DIALECT, scan->member.at);
    if (!occy_tar_number(header + 483, 12, &scan->member.size))
        return fail(scan, OCCY_TAR_SPARSE_SIZE, scan->member.at);
    return take_old_sparse(scan, header + 386, 4, header[482] != 0);
}

static int await_map_block(struct occy_tar_scan *scan)
{
    int status = count_map_block(scan);

    if (status != OCCY_OK)
        return status;
    if (scan->stored < BLOCK)
        return fail(scan, OCCY_TAR_SPARSE_PAST_ENTRY, (int64_t)scan->progress.offset);
    scan->stored -= BLOCK;
    scan->awaits = SPARSE_MAP;
    return OCCY_OK;
}

/* The next line of the map, which has one; *at* moves behind its newline. */
static struct text next_line(const struct buffer *map, size_t *at)
{
    const uint8_t *begin = map->bytes + *at;
    const uint8_t *end = memchr(begin, '\n', map->length - *at);
    struct text line = {begin, (size_t)(end - begin)};

    *at += line.length + 1;
    return line;
}

static int take_sparse_map(struct occy_tar_scan *scan, const uint8_t *block)
{
    size_t at = 0;

    if (!append(&scan->map, block, BLOCK))
        return no_memory(scan);
    for (unsigned i = 0; i < BLOCK; i++)
        scan->map_lines += block[i] == '\n';
    if (scan->map_lines != 0 && scan->map_count < 0) {
        struct text line = next_line(&scan->map, &at);

        if (!occy_tar_decimal(line.at, line.length, &scan->map_count) || scan->map_count < 0 ||
            scan->map_count >= (int64_t)1 << 62)
            return fail(scan, OCCY_TAR_SPARSE_COUNT, scan->member.at);
    }
    if (scan->map_count < 0 || scan->map_lines <= 2 * (uint64_t)scan->map_count)
        return await_map_block(scan);
    at = 0;
    (void)next_line(&scan->map, &at);
    for (int64_t i = 0; i < scan->map_count; i++) {
        struct text first = next_line(&scan->map, &at), second = next_line(&scan->map, &at);
        int64_t offset, length;

        if (!occy_tar_decimal(first.at, first.length, &offset) || !occy_tar_decimal(second.at, second.length, &length))
            return fail(scan, OCCY_TAR_SPARSE_NUMBER, scan->member.at);
        if (!add_region(scan, offset, length))
            return no_memory(scan);
    }
    return hand_out_sparse(scan);
}

/* The numbers of a map in PAX records: one list with commas, or a record for each. */
struct numbers {
    struct text list; /* what is left of it */
    bool is_list;
    const struct buffer *pax;
    size_t at;
    uint32_t passed;
};

static struct text next_number(struct numbers *numbers)
{
    struct occy_tar_pax_record record;
    struct text key, number;

    if (numbers->is_list) {
        const uint8_t *comma = memchr(numbers->list.at, ',', numbers->list.length);

        number = numbers->list;
        if (comma != NULL) {
            number.length = (size_t)(comma - number.at);
            numbers->list.at = comma + 1;
            numbers->list.length -= number.length + 1;
        }
        return number;
    }
    do {
        (void)occy_tar_pax_next(numbers->pax->bytes, numbers->pax->length, &numbers->at, &record, &numbers->passed);
        key = (struct text){record.key, record.key_size};
    } while (!is_sparse_number(key));
    return (struct text){record.value, record.value_size};
}

static int read_pax_map(struct occy_tar_scan *scan)
{
    struct text list = scan->slots[SPARSE_MAP_KEY].value, announced = scan->slots[SPARSE_NUMBLOCKS].value;
    struct numbers numbers = {list, scan->numbers == 0, &scan->pax, 0, 0};
    uint64_t found = scan->numbers_are_one_empty ? 0 : scan->numbers;
    int64_t count;

    if (numbers.is_list && list.length != 0) {
        found = 1;
        for (size_t i = 0; i < list.length; i++)
            found += list.at[i] == ',';
    }
    if (!occy_tar_decimal(announced.at, announced.length, &count) || count < 0 || count > (int64_t)1 << 32 ||
        found != 2 * (uint64_t)count)
        return fail(scan, OCCY_TAR_PAX_SPARSE_COUNT, scan->member.at);
    for (int64_t i = 0; i < count; i++) {
        struct text first = next_number(&numbers), second = next_number(&numbers);
        int64_t offset, length;

        if (!occy_tar_decimal(first.at, first.length, &offset) || !occy_tar_decimal(second.at, second.length, &length))
            return fail(scan, OCCY_TAR_PAX_SPARSE_NUMBER, scan->member.at);
        if (!add_region(scan, offset, length))
            return no_memory(scan);
    }
    return hand_out_sparse(scan);
}

/* ----------------------------------------------------------------------------------------------------- headers */

struct sum {
    uint32_t total;
    bool high; /* a byte above 127 is among them */
};

static struct sum sum_of(const uint8_t *block)
{
#if defined(__x86_64__)
    __m128i zero = _mm_setzero_si128(), first = zero, second = zero, all = zero;

    for (unsigned i = 0; i < BLOCK; i += 32) {
        __m128i a = _mm_loadu_si128((const __m128i *)(const void *)(block + i));
        __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(block + i + 16));

        all = _mm_or_si128(all, _mm_or_si128(a, b));
        first = _mm_add_epi64(first, _mm_sad_epu8(a, zero));
        second = _mm_add_epi64(second, _mm_sad_epu8(b, zero));
    }
    first = _mm_add_epi64(first, second);
    first = _mm_add_epi64(first, _mm_unpackhi_epi64(first, first));
    return (struct sum){(uint32_t)_mm_cvtsi128_si32(first), _mm_movemask_epi8(all) != 0};
#elif defined(__aarch64__)
    uint16x8_t total = vdupq_n_u16(0); /* a lane sums 64 bytes: 16,320 at most */
    uint8x16_t all = vdupq_n_u8(0);

    for (unsigned i = 0; i < BLOCK; i += 16) {
        uint8x16_t bytes = vld1q_u8(block + i);

        all = vorrq_u8(all, bytes);
        total = vpadalq_u8(total, bytes);
    }
    return (struct sum){vaddlvq_u16(total), vmaxvq_u8(all) > 127};
#else
    struct sum sum = {0, false};
    uint8_t all = 0;

    for (unsigned i = 0; i < BLOCK; i++) {
        sum.total += block[i];
        all |= block[i];
    }
    sum.high = all > 127;
    return sum;
#endif
}

static int check_checksum(struct occy_tar_scan *scan, const uint8_t *block, struct sum sum, int64_t at)
{
    const uint8_t *field = block + 148;
    int64_t expected, found = sum.total + 8 * ' ';
    bool tail, is_number = octal(field, 8, &expected, &tail);

    for (unsigned i = 0; i < 8; i++)
        found -= field[i];
    if (is_number && expected == found)
        return OCCY_OK;
    /* Old Sun systems summed up signed characters. */
    for (unsigned i = 0; i < BLOCK; i++)
        if (block[i] > 127 && (i < 148 || i >= 156))
            found -= 256;
    if (is_number && expected == found)
        return OCCY_OK;
    /* Neither a checksum nor a magic: no header at all. */
    if ((is_number ? expected == 0 : field[0] < 0x80) && memcmp(block + 257, "ustar", 5) != 0)
        return fail(scan, OCCY_TAR_NO_HEADER, at);
    return fail(scan, OCCY_TAR_BAD_CHECKSUM, at);
}

static struct text text_field(const uint8_t *field, size_t size)
{
    return (struct text){field, c_length(field, size)};
}

static bool is_ascii(struct text text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.at[i] > 127)
            return false;
    return true;
}

/* Whether some readers put a prefix in front of the name of such an entry even where the header is GNU's. */
static bool takes_prefix(uint8_t type)
{
    return type != 'L' && type != 'K' && type != 'S' && type != 'x' && type != 'g';
}

/* GNU's own times; where they are none, writers of Go before 1.8 put a ustar prefix over them. */
static int read_gnu_times(struct occy_tar_scan *scan, const uint8_t *block, struct member *member)
{
    const uint8_t *atime = block + 345, *ctime = block + 357;

    member->format = OCCY_TAR_GNU;
    if ((atime[0] == 0 || occy_tar_number(atime, 12, &member->atime)) &&
        (ctime[0] == 0 || occy_tar_number(ctime, 12, &member->ctime))) {
        member->flags |= (atime[0] ? OCCY_TAR_HAS_ATIME : 0) | (ctime[0] ? OCCY_TAR_HAS_CTIME : 0);
        if (scan->options.strict && atime[0] != 0 && takes_prefix(member->type))
            return fail(scan, OCCY_TAR_GNU_TIMES, member->at);
        return OCCY_OK;
    }
    member->atime = member->ctime = 0;
    member->format = 0;
    member->prefix = text_field(block + 345, 155);
    if (!is_ascii(member->prefix))
        member->prefix.length = 0;
    return scan->options.strict ? fail(scan, OCCY_TAR_GNU_PREFIX, member->at) : OCCY_OK;
}

/* The dialect is named only where the header is what that dialect's rules let a writer write. */
static uint8_t ustar_format(const uint8_t *block, struct sum sum)
{
    if (sum.high || (block[107] | block[115] | block[123] | block[135] | block[147] | block[336] | block[344]) != 0)
        return 0;
    return OCCY_TAR_USTAR | OCCY_TAR_PAX_FORMAT;
}

#define READ(reader, at_byte, field, problem)                                     \
    do {                                                                          \
        bool tail;                                                                \
        if (!reader(block + (at_byte), &member->field, &tail))                    \
            return fail(scan, problem, member->at);                               \
        if (tail && scan->options.strict)                                         \
            return fail(scan, OCCY_TAR_NUMBER_TAIL, member->at);                  \
    } while (0)

static int read_header(struct occy_tar_scan *scan, const uint8_t *block, struct sum sum, struct member *member)
{
    bool ustar = memcmp(block + 257, "ustar\0", 6) == 0;
    bool star = ustar && memcmp(block + 508, "tar\0", 4) == 0;

    member->gnu = memcmp(block + 257, "ustar  \0", 8) == 0;
    member->type = block[156];
    member->flags = OCCY_TAR_HAS_MTIME;
    READ(number_12, 124, size, OCCY_TAR_SIZE);
    READ(number_8, 100, mode, OCCY_TAR_MODE);
    READ(number_8, 108, uid, OCCY_TAR_UID);
    READ(number_8, 116, gid, OCCY_TAR_GID);
    READ(number_12, 136, mtime, OCCY_TAR_MTIME);
    member->name = text_field(block, 100);
    member->linkname = text_field(block + 157, 100);
    if (!ustar && !member->gnu)
        return OCCY_OK;
    member->uname = text_field(block + 265, 32);
    member->gname = text_field(block + 297, 32);
    READ(number_8, 329, devmajor, OCCY_TAR_DEVICE);
    READ(number_8, 337, devminor, OCCY_TAR_DEVICE);
    if (member->gnu)
        return read_gnu_times(scan, block, member);
    if (star) {
        member->prefix = text_field(block + 345, 131);
        READ(number_12, 476, atime, OCCY_TAR_STAR_TIME);
        READ(number_12, 488, ctime, OCCY_TAR_STAR_TIME);
        member->flags |= OCCY_TAR_HAS_ATIME | OCCY_TAR_HAS_CTIME;
        return OCCY_OK;
    }
    member->prefix = text_field(block + 345, 155);
    member->format = ustar_format(block, sum);
    if (scan->options.strict && memcmp(block + 263, "00", 2) != 0)
        return fail(scan, OCCY_TAR_USTAR_VERSION, member->at);
    return OCCY_OK;
}

/* -------------------------------------------------------------------------------------------------- extensions */

static int take_extension(struct occy_tar_scan *scan)
{
    int status;

    scan->awaits = HEADER;
    scan->padding = (0 - scan->extension_size) % BLOCK;
    if (scan->extension == 'L') {
        scan->longname.length = scan->longname.length == 0 ? 0 : c_length(scan->longname.bytes, scan->longname.length);
        return OCCY_OK;
    }
    if (scan->extension == 'K') {
        scan->longlink.length = scan->longlink.length == 0 ? 0 : c_length(scan->longlink.bytes, scan->longlink.length);
        return OCCY_OK;
    }
    status = take_records(scan);
    if (status == OCCY_OK && scan->extension == 'g') {
        struct member shown = {.at = scan->extension_at, .type = 'g', .prefix = scan->member.prefix, .name = scan->member.name};

        if (scan->slots[PATH].value.length != 0) {
            shown.prefix.length = 0;
            shown.name = scan->slots[PATH].value;
        }
        status = hand_out(scan, &shown, scan->extension_at + BLOCK, scan->extension_size, false);
        if (scan->lone_global < 0)
            scan->lone_global = scan->extension_at;
    }
    return status;
}

static struct buffer *extension_body(struct occy_tar_scan *scan)
{
    return scan->extension == 'L' ? &scan->longname : scan->extension == 'K' ? &scan->longlink : &scan->pax;
}

static int begin_extension(struct occy_tar_scan *scan, const uint8_t *block, const struct member *member)
{
    unsigned kind = member->type == 'x' ? KIND_X : member->type == 'L' ? KIND_L : KIND_K;

    scan->format &= member->type == 'x' || member->type == 'g' ? OCCY_TAR_PAX_FORMAT : OCCY_TAR_GNU;
    if (member->size > scan->options.max_extension)
        return over_limit(scan, OCCY_TAR_LIMIT_EXTENSION, member->at, scan->options.max_extension, member->size);
    if (member->type == 'g') {
        if (scan->options.strict && scan->kinds != 0)
            return fail(scan, OCCY_TAR_DROPPED_EXTENSION, scan->start);
        /* Its own name is shown where no record has another. */
        if (block != scan->header)
            memcpy(scan->header, block, BLOCK);
        scan->member = *member;
        scan->member.name.at = scan->header + (member->name.at - block);
        if (member->prefix.length != 0)
            scan->member.prefix.at = scan->header + (member->prefix.at - block);
    } else {
        if (++scan->extensions > scan->options.max_extensions)
            return over_limit(scan, OCCY_TAR_LIMIT_EXTENSIONS, member->at, scan->options.max_extensions,
                              scan->extensions);
        if (scan->options.strict && scan->kinds & kind)
            return fail(scan, OCCY_TAR_TWO_EXTENSIONS, member->at);
        if (scan->options.strict && kind != KIND_X && scan->slots[SIZE].value.length != 0)
            return fail(scan, OCCY_TAR_SIZE_BEFORE_NAME, member->at);
        scan->kinds |= kind;
    }
    scan->extension = member->type;
    scan->extension_at = member->at;
    scan->extension_size = (uint32_t)member->size;
    extension_body(scan)->length = 0;
    scan->awaits = EXTENSION;
    return scan->extension_size == 0 ? take_extension(scan) : OCCY_OK;
}

/* ----------------------------------------------------------------------------------------------------- entries */

static int merge_number(struct occy_tar_scan *scan, enum key key, int problem, int64_t *value)
{
    const struct slot *slot = &scan->slots[key];

    if (slot->value.length == 0)
        return OCCY_OK;
    if (!occy_tar_decimal(slot->value.at, slot->value.length, value))
        return fail(scan, problem, (int64_t)slot->at);
    if (scan->options.strict && (slot->value.at[0] == '+' || slot->value.at[0] == '-'))
        return fail(scan, OCCY_TAR_PAX_NUMBER_SIGN, (int64_t)slot->at);
    return OCCY_OK;
}

static int merge_time(struct occy_tar_scan *scan, enum key key, int64_t *seconds, int32_t *nanoseconds)
{
    const struct slot *slot = &scan->slots[key];

    if (slot->value.length != 0 && !occy_tar_time(slot->value.at, slot->value.length, seconds, nanoseconds))
        return fail(scan, OCCY_TAR_PAX_TIME, (int64_t)slot->at);
    return OCCY_OK;
}

static void merge_text(const struct occy_tar_scan *scan, enum key key, struct text *text)
{
    if (scan->slots[key].value.length != 0)
        *text = scan->slots[key].value;
}

static int merge_fields(struct occy_tar_scan *scan, struct member *member)
{
    int status;

    merge_text(scan, LINKPATH, &member->linkname);
    merge_text(scan, UNAME, &member->uname);
    merge_text(scan, GNAME, &member->gname);
    if (scan->slots[PATH].value.length != 0) {
        member->prefix.length = 0;
        member->name = scan->slots[PATH].value;
    }
    if ((status = merge_number(scan, UID, OCCY_TAR_PAX_UID, &member->uid)) != OCCY_OK ||
        (status = merge_number(scan, GID, OCCY_TAR_PAX_GID, &member->gid)) != OCCY_OK ||
        (status = merge_number(scan, SIZE, OCCY_TAR_PAX_SIZE, &member->size)) != OCCY_OK ||
        (status = merge_time(scan, MTIME, &member->mtime, &member->mtime_ns)) != OCCY_OK ||
        (status = merge_time(scan, ATIME, &member->atime, &member->atime_ns)) != OCCY_OK ||
        (status = merge_time(scan, CTIME, &member->ctime, &member->ctime_ns)) != OCCY_OK)
        return status;
    if (scan->slots[ATIME].value.length != 0)
        member->flags |= OCCY_TAR_HAS_ATIME;
    if (scan->slots[CTIME].value.length != 0)
        member->flags |= OCCY_TAR_HAS_CTIME;
    return OCCY_OK;
}

static int merge_extensions(struct occy_tar_scan *scan, struct member *member)
{
    int status;

    if (scan->options.strict) {
        if (scan->longname.length != 0 && scan->slots[PATH].value.length != 0)
            return fail(scan, OCCY_TAR_TWO_NAMES, member->at);
        if (scan->longlink.length != 0 && scan->slots[LINKPATH].value.length != 0)
            return fail(scan, OCCY_TAR_TWO_LINKNAMES, member->at);
        if (member->type == 'X' || member->type == 'A')
            return fail(scan, OCCY_TAR_SOLARIS_HEADER, member->at);
        if (member->type == 'V')
            return fail(scan, OCCY_TAR_VOLUME_LABEL, member->at);
    }
    if (scan->has_pax && (status = merge_fields(scan, member)) != OCCY_OK)
        return status;
    if (scan->longname.length != 0) {
        member->prefix.length = 0;
        member->name = (struct text){scan->longname.bytes, scan->longname.length};
    }
    if (scan->longlink.length != 0)
        member->linkname = (struct text){scan->longlink.bytes, scan->longlink.length};
    return OCCY_OK;
}

static bool ends_in_slash(const struct member *member)
{
    if (member->name.length != 0)
        return member->name.at[member->name.length - 1] == '/';
    return member->prefix.length != 0;
}

static int check_entry(struct occy_tar_scan *scan, const struct member *member)
{
    if (member->name.length == 0 && member->prefix.length == 0)
        return fail(scan, OCCY_TAR_EMPTY_NAME, member->at);
    if (member->size != 0 && (!has_content(member->type) || (member->type == '0' && ends_in_slash(member))))
        return fail(scan, OCCY_TAR_SIZE_WITHOUT_CONTENT, member->at);
    return OCCY_OK;
}

enum sparse_version { NOT_SPARSE, SPARSE_IN_PAX, SPARSE_IN_CONTENT };

static enum sparse_version sparse_version(const struct occy_tar_scan *scan)
{
    struct text major = scan->slots[SPARSE_MAJOR].value, minor = scan->slots[SPARSE_MINOR].value;

    if (IS(major, "0") && (IS(minor, "0") || IS(minor, "1")))
        return SPARSE_IN_PAX;
    if (IS(major, "1") && IS(minor, "0"))
        return SPARSE_IN_CONTENT;
    /* Before 0.1 records did not tell the version. */
    if (major.length == 0 && minor.length == 0 &&
        (scan->numbers != 0 ? !scan->numbers_are_one_empty : scan->slots[SPARSE_MAP_KEY].value.length != 0))
        return SPARSE_IN_PAX;
    return NOT_SPARSE;
}

static int begin_pax_sparse(struct occy_tar_scan *scan, enum sparse_version version)
{
    enum key key = scan->slots[SPARSE_SIZE].value.length != 0 ? SPARSE_SIZE : SPARSE_REALSIZE;
    struct text name = scan->slots[SPARSE_NAME].value;
    int status;

    if (name.length != 0) {
        scan->member.prefix.length = 0;
        scan->member.name = name;
    }
    status = merge_number(scan, key, OCCY_TAR_PAX_SPARSE_SIZE, &scan->member.size);
    if (status != OCCY_OK)
        return status;
    return version == SPARSE_IN_CONTENT ? await_map_block(scan) : read_pax_map(scan);
}

static int begin_entry(struct occy_tar_scan *scan, struct member *member)
{
    int status = merge_extensions(scan, member);
    enum sparse_version version;
    uint64_t stored;

    scan->lone_global = -1;
    if (status != OCCY_OK)
        return status;
    if (member->type == 0) /* before ustar, a directory is a file whose name ends in a slash */
        member->type = ends_in_slash(member) ? '5' : '0';
    stored = has_content(member->type) ? (uint64_t)member->size : 0;
    if (stored > INT64_MAX)
        return fail(scan, OCCY_TAR_NEGATIVE_SIZE, member->at);
    if (scan->options.strict && (status = check_entry(scan, member)) != OCCY_OK)
        return status;
    version = scan->has_sparse_key ? sparse_version(scan) : NOT_SPARSE;
    if (scan->options.strict && scan->has_sparse_key && (version == NOT_SPARSE || member->type == 'S'))
        return fail(scan, OCCY_TAR_SPARSE_VERSION, member->at);
    if (member->type == 'S' || version != NOT_SPARSE) {
        scan->member = *member;
        scan->stored = stored;
        return member->type == 'S' ? begin_old_sparse(scan) : begin_pax_sparse(scan, version);
    }
    set_content(scan, stored);
    return hand_out(scan, member, (int64_t)scan->progress.offset, stored, false);
}

static int check_dangling(struct occy_tar_scan *scan)
{
    if (scan->options.strict && scan->kinds != 0)
        return fail(scan, OCCY_TAR_DANGLING_EXTENSION, scan->start);
    if (scan->options.strict && scan->lone_global >= 0)
        return fail(scan, OCCY_TAR_DANGLING_EXTENSION, scan->lone_global);
    return OCCY_OK;
}

static int take_zero_block(struct occy_tar_scan *scan)
{
    int status = OCCY_OK;

    if (scan->progress.closed && (status = check_dangling(scan)) == OCCY_OK)
        scan->progress.ended = 1;
    scan->progress.closed = 1;
    return status;
}

static int take_header(struct occy_tar_scan *scan, const uint8_t *block)
{
    struct member member = {.at = (int64_t)scan->progress.offset - BLOCK};
    struct sum sum = sum_of(block);
    int status;

    if (sum.total == 0)
        return take_zero_block(scan);
    if (scan->progress.closed)
        return fail(scan, OCCY_TAR_LONE_ZERO_BLOCK, member.at);
    status = check_checksum(scan, block, sum, member.at);
    if (status != OCCY_OK)
        return status;
    if (block[156] == 'S' || scan->has_sparse_key) {
        /* The map may come in later windows: what the header says must stay. */
        if (block != scan->header)
            memcpy(scan->header, block, BLOCK);
        block = scan->header;
    }
    status = read_header(scan, block, sum, &member);
    if (status != OCCY_OK)
        return status;
    if (member.size < 0 && has_content(member.type))
        return fail(scan, OCCY_TAR_NEGATIVE_SIZE, member.at);
    if (scan->start < 0)
        scan->start = member.at;
    scan->format &= member.format;
    if (member.type == 'x' || member.type == 'g' || member.type == 'L' || member.type == 'K')
        return begin_extension(scan, block, &member);
    return begin_entry(scan, &member);
}

/* ------------------------------------------------------------------------------------------------------ stream */

struct occy_tar_scan *occy_tar_scan_open(const struct occy_tar_options *options)
{
    static const struct occy_tar_options defaults = {0, 0, 1 << 20, 1 << 20, 16};
    struct occy_tar_scan *scan = calloc(1, sizeof *scan);

    if (scan == NULL)
        return NULL;
    scan->options = options == NULL ? defaults : *options;
    scan->progress.hidden = -1;
    scan->lone_global = -1;
    forget_extensions(scan);
    return scan;
}

struct occy_tar_scan *occy_tar_scan_create(int strict)
{
    struct occy_tar_options options = {strict, 0, 1 << 20, 1 << 20, 16};

    return occy_tar_scan_open(&options);
}

void occy_tar_scan_free(struct occy_tar_scan *scan)
{
    if (scan == NULL)
        return;
    free(scan->pax.bytes);
    free(scan->longname.bytes);
    free(scan->longlink.bytes);
    free(scan->map.bytes);
    free(scan->regions.bytes);
    free(scan->records.bytes);
    free(scan->texts.bytes);
    free(scan);
}

const struct occy_tar_progress *occy_tar_scan_progress(const struct occy_tar_scan *scan)
{
    return &scan->progress;
}

uint64_t occy_tar_scan_skippable(const struct occy_tar_scan *scan)
{
    return scan->progress.status == OCCY_OK ? scan->content + scan->padding : 0;
}

void occy_tar_scan_skip(struct occy_tar_scan *scan, uint64_t count)
{
    uint64_t content = count < scan->content ? count : scan->content;

    scan->content -= content;
    scan->padding -= (uint32_t)(count - content);
    scan->progress.offset += count;
}

static int take_block(struct occy_tar_scan *scan, const uint8_t *block)
{
    scan->have = 0;
    switch (scan->awaits) {
    case OLD_SPARSE_BLOCK:
        return take_old_sparse(scan, block, 21, block[504] != 0);
    case SPARSE_MAP:
        return take_sparse_map(scan, block);
    default:
        return take_header(scan, block);
    }
}

static void look_for_hidden(struct occy_tar_scan *scan, const uint8_t *bytes, size_t size)
{
    size_t i = 0;
    uint64_t word;

    if (scan->progress.hidden >= 0)
        return;
    for (; size - i >= sizeof word; i += sizeof word) {
        memcpy(&word, bytes + i, sizeof word);
        if (word != 0)
            break;
    }
    while (i < size && bytes[i] == 0)
        i++;
    if (i < size)
        scan->progress.hidden = (int64_t)(scan->progress.offset + i);
}

static size_t least(uint64_t a, size_t b)
{
    return a < b ? (size_t)a : b;
}

/* Take what the next step needs of *size* bytes, at least one of them; *step* tells how many that were. */
static int take(struct occy_tar_scan *scan, const uint8_t *bytes, size_t size, size_t *step)
{
    uint64_t skip = scan->content + scan->padding;

    if (scan->progress.ended) {
        look_for_hidden(scan, bytes, size);
        *step = size;
        scan->progress.offset += size;
        if (scan->options.strict && scan->progress.hidden >= 0)
            return fail(scan, OCCY_TAR_HIDDEN_BYTES, scan->progress.hidden);
        return OCCY_OK;
    }
    if (skip != 0) {
        *step = least(skip, size);
        occy_tar_scan_skip(scan, *step);
        return OCCY_OK;
    }
    if (scan->awaits == EXTENSION) {
        struct buffer *body = extension_body(scan);

        *step = least(scan->extension_size - body->length, size);
        *step = least(STEP, *step);
        if (!append(body, bytes, *step))
            return no_memory(scan);
        scan->progress.offset += *step;
        return body->length == scan->extension_size ? take_extension(scan) : OCCY_OK;
    }
    *step = least(BLOCK - scan->have, size);
    scan->progress.offset += *step;
    if (*step == BLOCK)
        return take_block(scan, bytes);
    memcpy(scan->block + scan->have, bytes, *step);
    scan->have += *step;
    return scan->have == BLOCK ? take_block(scan, scan->block) : OCCY_OK;
}

int occy_tar_scan_feed(struct occy_tar_scan *scan, const uint8_t *bytes, size_t size)
{
    size_t step;

    for (size_t at = 0; at < size && scan->progress.status == OCCY_OK; at += step)
        (void)take(scan, bytes + at, size - at, &step);
    return scan->progress.status;
}

int occy_tar_scan_finish(struct occy_tar_scan *scan)
{
    int64_t offset = (int64_t)scan->progress.offset;

    if (scan->progress.status != OCCY_OK)
        return scan->progress.status;
    if (scan->content != 0)
        return fail(scan, OCCY_TAR_CUT_CONTENT, offset);
    if (scan->padding != 0 && scan->options.strict)
        return fail(scan, OCCY_TAR_CUT_PADDING, offset);
    if (scan->awaits == EXTENSION)
        return fail(scan, OCCY_TAR_CUT_EXTENSION, offset);
    if (scan->awaits != HEADER)
        return fail(scan, OCCY_TAR_CUT_SPARSE_MAP, offset);
    if (scan->have != 0)
        return fail(scan, OCCY_TAR_CUT_HEADER, offset);
    return check_dangling(scan);
}

int occy_tar_scan_check(struct occy_tar_scan *scan, const uint8_t *bytes, size_t size, int last, int64_t *offset)
{
    int status = occy_tar_scan_feed(scan, bytes, size);

    if (last && status == OCCY_OK)
        status = occy_tar_scan_finish(scan);
    *offset = status == OCCY_OK ? (int64_t)scan->progress.offset : scan->progress.error_offset;
    return status;
}

size_t occy_tar_scan_records(const struct occy_tar_scan *scan, const struct occy_tar_record **records)
{
    *records = (const struct occy_tar_record *)(const void *)scan->records.bytes;
    return scan->records.length / sizeof **records;
}

size_t occy_tar_scan_texts(const struct occy_tar_scan *scan, const uint8_t **texts)
{
    *texts = scan->texts.bytes;
    return scan->texts.length;
}

void occy_tar_scan_clear(struct occy_tar_scan *scan)
{
    scan->records.length = scan->texts.length = 0;
}
