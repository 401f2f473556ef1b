/* tar_scan.h, tar_state.h: PAX records, and what they change of an entry. */
#include "tar_state.h"

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

bool occy_tar_is_sparse_number(struct text key)
{
    return IS(key, "GNU.sparse.offset") || IS(key, "GNU.sparse.numbytes");
}

/* What other readers take from a global header into the entries behind it. */
static bool is_applied(struct text key, enum key known)
{
    return known <= CTIME || IS(key, "hdrcharset") || BEGINS(key, "GNU.sparse.") || BEGINS(key, "SCHILY.xattr.") ||
           BEGINS(key, "LIBARCHIVE.xattr.");
}

/* How many bytes the UTF-8 sequence at the start of *text* has; 0 where there is none.  (RFC 3629, section 4) */
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
            return occy_tar_fail(scan, OCCY_TAR_TWO_RECORDS, (int64_t)(base + record.at));
        if (known < KEYS)
            seen |= 1u << known;
        if (scan->extension == 'g' && is_applied(key, known))
            return occy_tar_fail(scan, OCCY_TAR_GLOBAL_RECORD, (int64_t)(base + record.at));
        if (known <= CTIME && record.value_size == 0)
            return occy_tar_fail(scan, OCCY_TAR_EMPTY_RECORD, (int64_t)(base + record.at));
        if (known <= GNAME && !binary && !is_utf8((struct text){record.value, record.value_size}))
            return occy_tar_fail(scan, OCCY_TAR_NOT_UTF8, (int64_t)(base + record.at));
    }
    return OCCY_OK;
}

int occy_tar_take_records(struct occy_tar_scan *scan)
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
            return occy_tar_fail(scan, problem, (int64_t)(base + record.at));
        key = (struct text){record.key, record.key_size};
        scan->has_sparse_key |= BEGINS(key, "GNU.sparse.");
        if (scan->numbers <= 2 && occy_tar_is_sparse_number(key))
            scan->numbers_are_one_empty = scan->numbers == 1 && record.value_size == 0;
        known = key_of(key);
        if (known < KEYS)
            scan->slots[known] = (struct slot){{record.value, record.value_size}, base + record.at};
    }
    return scan->options.strict ? check_records(scan, base) : OCCY_OK;
}

/* ---- an entry as its records have it -------------------------------------------------------- */

int occy_tar_merge_number(struct occy_tar_scan *scan, enum key key, int problem, int64_t *value)
{
    const struct slot *slot = &scan->slots[key];

    if (slot->value.length == 0)
        return OCCY_OK;
    if (!occy_tar_decimal(slot->value.at, slot->value.length, value))
        return occy_tar_fail(scan, problem, (int64_t)slot->at);
    if (scan->options.strict && (slot->value.at[0] == '+' || slot->value.at[0] == '-'))
        return occy_tar_fail(scan, OCCY_TAR_PAX_NUMBER_SIGN, (int64_t)slot->at);
    return OCCY_OK;
}

static int merge_time(struct occy_tar_scan *scan, enum key key, int64_t *seconds, int32_t *nanoseconds)
{
    const struct slot *slot = &scan->slots[key];

    if (slot->value.length != 0 && !occy_tar_time(slot->value.at, slot->value.length, seconds, nanoseconds))
        return occy_tar_fail(scan, OCCY_TAR_PAX_TIME, (int64_t)slot->at);
    return OCCY_OK;
}

static void merge_text(const struct occy_tar_scan *scan, enum key key, struct text *text)
{
    if (scan->slots[key].value.length != 0)
        *text = scan->slots[key].value;
}

int occy_tar_merge_fields(struct occy_tar_scan *scan, struct member *member)
{
    int status;

    merge_text(scan, LINKPATH, &member->linkname);
    merge_text(scan, UNAME, &member->uname);
    merge_text(scan, GNAME, &member->gname);
    if (scan->slots[PATH].value.length != 0) {
        member->prefix.length = 0;
        member->name = scan->slots[PATH].value;
    }
    if ((status = occy_tar_merge_number(scan, UID, OCCY_TAR_PAX_UID, &member->uid)) != OCCY_OK ||
        (status = occy_tar_merge_number(scan, GID, OCCY_TAR_PAX_GID, &member->gid)) != OCCY_OK ||
        (status = occy_tar_merge_number(scan, SIZE, OCCY_TAR_PAX_SIZE, &member->size)) != OCCY_OK ||
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
