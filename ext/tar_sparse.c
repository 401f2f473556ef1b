/* tar_state.h: the maps of sparse entries, in all their forms. */
#include "tar_state.h"

static int count_map_block(struct occy_tar_scan *scan)
{
    uint64_t bytes = ++scan->map_blocks * BLOCK;

    if (bytes > scan->options.max_sparse_map)
        return occy_tar_over_limit(scan, OCCY_TAR_LIMIT_SPARSE_MAP, (int64_t)scan->progress.offset,
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
    return !scan->options.keep || occy_tar_append(&scan->regions, region, sizeof region);
}

static int hand_out_sparse(struct occy_tar_scan *scan)
{
    int64_t at = scan->member.at;

    if (!occy_tar_has_content(scan->member.type))
        return occy_tar_fail(scan, OCCY_TAR_SPARSE_WITHOUT_CONTENT, at);
    if (scan->regions_wrong || scan->member.size < 0)
        return occy_tar_fail(scan, OCCY_TAR_SPARSE_REGIONS, at);
    if ((uint64_t)scan->region_total > scan->stored)
        return occy_tar_fail(scan, OCCY_TAR_SPARSE_MISSING, at);
    if (scan->options.strict && (uint64_t)scan->region_total < scan->stored)
        return occy_tar_fail(scan, OCCY_TAR_SPARSE_UNREFERENCED, at);
    scan->awaits = HEADER;
    occy_tar_set_content(scan, scan->stored);
    return occy_tar_hand_out(scan, &scan->member, (int64_t)scan->progress.offset, scan->stored, true);
}

int occy_tar_take_old_sparse(struct occy_tar_scan *scan, const uint8_t *regions, unsigned most, bool extended)
{
    for (unsigned i = 0; i < most; i++) {
        const uint8_t *field = regions + 24 * i;
        int64_t offset, length;

        if (field[0] == 0)
            break;
        if (!occy_tar_number(field, 12, &offset) || !occy_tar_number(field + 12, 12, &length))
            return occy_tar_fail(scan, OCCY_TAR_SPARSE_NUMBER, (int64_t)scan->progress.offset - BLOCK);
        if (!add_region(scan, offset, length))
            return occy_tar_no_memory(scan);
    }
    if (!extended)
        return hand_out_sparse(scan);
    scan->awaits = OLD_SPARSE_BLOCK;
    return count_map_block(scan);
}

int occy_tar_start_old_sparse(struct occy_tar_scan *scan)
{
    const uint8_t *header = scan->header;

    if (!scan->member.gnu)
        return occy_tar_fail(scan, OCCY_TAR_SPARSE_DIALECT, scan->member.at);
    if (!occy_tar_number(header + 483, 12, &scan->member.size))
        return occy_tar_fail(scan, OCCY_TAR_SPARSE_SIZE, scan->member.at);
    return occy_tar_take_old_sparse(scan, header + 386, 4, header[482] != 0);
}

static int await_map_block(struct occy_tar_scan *scan)
{
    int status = count_map_block(scan);

    if (status != OCCY_OK)
        return status;
    if (scan->stored < BLOCK)
        return occy_tar_fail(scan, OCCY_TAR_SPARSE_PAST_ENTRY, (int64_t)scan->progress.offset);
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

int occy_tar_take_sparse_map(struct occy_tar_scan *scan, const uint8_t *block)
{
    size_t at = 0;

    if (!occy_tar_append(&scan->map, block, BLOCK))
        return occy_tar_no_memory(scan);
    for (unsigned i = 0; i < BLOCK; i++)
        scan->map_lines += block[i] == '\n';
    if (scan->map_lines != 0 && scan->map_count < 0) {
        struct text line = next_line(&scan->map, &at);

        if (!occy_tar_decimal(line.at, line.length, &scan->map_count) || scan->map_count < 0 ||
            scan->map_count >= (int64_t)1 << 62)
            return occy_tar_fail(scan, OCCY_TAR_SPARSE_COUNT, scan->member.at);
    }
    if (scan->map_count < 0 || scan->map_lines <= 2 * (uint64_t)scan->map_count)
        return await_map_block(scan);
    at = 0;
    (void)next_line(&scan->map, &at);
    for (int64_t i = 0; i < scan->map_count; i++) {
        struct text first = next_line(&scan->map, &at), second = next_line(&scan->map, &at);
        int64_t offset, length;

        if (!occy_tar_decimal(first.at, first.length, &offset) || !occy_tar_decimal(second.at, second.length, &length))
            return occy_tar_fail(scan, OCCY_TAR_SPARSE_NUMBER, scan->member.at);
        if (!add_region(scan, offset, length))
            return occy_tar_no_memory(scan);
    }
    return hand_out_sparse(scan);
}

/* ---- maps in PAX records -------------------------------------------------------------------- */

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
    } while (!occy_tar_is_sparse_number(key));
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
        return occy_tar_fail(scan, OCCY_TAR_PAX_SPARSE_COUNT, scan->member.at);
    for (int64_t i = 0; i < count; i++) {
        struct text first = next_number(&numbers), second = next_number(&numbers);
        int64_t offset, length;

        if (!occy_tar_decimal(first.at, first.length, &offset) || !occy_tar_decimal(second.at, second.length, &length))
            return occy_tar_fail(scan, OCCY_TAR_PAX_SPARSE_NUMBER, scan->member.at);
        if (!add_region(scan, offset, length))
            return occy_tar_no_memory(scan);
    }
    return hand_out_sparse(scan);
}

enum sparse_version occy_tar_sparse_version(const struct occy_tar_scan *scan)
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

int occy_tar_start_pax_sparse(struct occy_tar_scan *scan, enum sparse_version version)
{
    enum key key = scan->slots[SPARSE_SIZE].value.length != 0 ? SPARSE_SIZE : SPARSE_REALSIZE;
    struct text name = scan->slots[SPARSE_NAME].value;
    int status;

    if (name.length != 0) {
        scan->member.prefix.length = 0;
        scan->member.name = name;
    }
    status = occy_tar_merge_number(scan, key, OCCY_TAR_PAX_SPARSE_SIZE, &scan->member.size);
    if (status != OCCY_OK)
        return status;
    return version == SPARSE_IN_CONTENT ? await_map_block(scan) : read_pax_map(scan);
}
