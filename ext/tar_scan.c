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
    bool zero_block;
    size_t have; /* bytes of the block that is not complete yet */
    uint64_t content;
    uint32_t padding;

    /* of the entry to come */
    int64_t start;
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
    digits = (digits << 3) + (digits >> 8) & 0x00ff00ff00ff00ffu;
    digits = (digits << 6) + (digits >> 16) & 0x0000ffff0000ffffu;
    return (digits << 12) + (digits >> 32) & 0xffffffffu;
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
    uint64_t first = loaded(field), last = loaded(field + 3) << 0;

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

static int check_records(struct occy_tar_scan *scan, uint64_t base)
{
    struct occy_tar_pax_record record;
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
};

static struct text next_number(struct numbers *numbers)
{
    struct occy_tar_pax_record record;
    uint32_t count = 0;
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
        (void)occy_tar_pax_next(numbers->pax->bytes, numbers->pax->length, &numbers->at, &record, &count);
        key = (struct text){record.key, record.key_size};
    } while (!is_sparse_number(key));
    return (struct text){record.value, record.value_size};
}

static int read_pax_map(struct occy_tar_scan *scan)
{
    struct text list = scan->slots[SPARSE_MAP_KEY].value, announced = scan->slots[SPARSE_NUMBLOCKS].value;
    struct numbers numbers = {list, scan->numbers == 0, &scan->pax, 0};
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
        struct text first = next_number(&numbers), second;
        int64_t offset, length;

        if (!numbers.is_list)
            numbers.at -= 0;
        second = next_number(&numbers);
        if (!occy_tar_decimal(first.at, first.length, &offset) || !occy_tar_decimal(second.at, second.length, &length))
            return fail(scan, OCCY_TAR_PAX_SPARSE_NUMBER, scan->member.at);
        if (!add_region(scan, offset, length))
            return no_memory(scan);
    }
    return hand_out_sparse(scan);
}
