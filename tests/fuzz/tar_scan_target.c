/* Tar headers: a tar says the same in one window and in any number of them, shown whole or passed over. */
#include "target.h"

#include "status.h"
#include "tar_scan.h"

enum { BLOCK = 512, RECORDS_ARE_CLEARED = 1, CONTENT_IS_SKIPPED = 2 };

struct found {
    struct occy_tar_progress progress;
    size_t records, text_size;
    struct occy_tar_record *record;
    uint8_t *text;
    bool listed;
    size_t list_size;
    uint8_t *list;
};

static void add(void **all, size_t *have, const void *more, size_t size)
{
    *all = realloc(*all, *have + size + 1);
    DEMAND(*all != NULL);
    if (size != 0)
        memcpy((uint8_t *)*all + *have, more, size);
    *have += size;
}

/* Take over what was collected, as a caller who clears between windows would. */
static void collect(struct occy_tar_scan *scan, struct found *found)
{
    const struct occy_tar_record *records;
    const uint8_t *texts;
    size_t count = occy_tar_scan_records(scan, &records), size = occy_tar_scan_texts(scan, &texts);
    size_t have = found->records * sizeof *records, from = found->records;

    add((void **)&found->record, &have, records, count * sizeof *records);
    found->records += count;
    for (size_t i = from; i < found->records; i++) {
        struct occy_tar_record *record = &found->record[i];
        uint64_t length = (uint64_t)record->name + record->linkname + record->uname + record->gname + record->pax;

        length += (uint64_t)record->regions * 2 * sizeof(int64_t);
        DEMAND(record->text <= size && length <= size - record->text);
        record->text += found->text_size; /* as if nothing had been cleared */
    }
    add((void **)&found->text, &found->text_size, texts, size);
    occy_tar_scan_clear(scan);
}

/* The list of entries, which is never longer than may be. */
static void collect_entries(const struct occy_tar_scan *scan, const struct occy_tar_options *options,
                            struct found *found)
{
    const uint8_t *list;
    size_t size;

    found->listed = occy_tar_scan_entries(scan, &list, &size);
    DEMAND(found->listed ? size <= 32 * (size_t)options->max_entries : size == 0);
    if (found->listed)
        add((void **)&found->list, &found->list_size, list, size);
}

static struct found scanned(const uint8_t *bytes, size_t size, const struct occy_tar_options *options, int how,
                            struct choices *choices)
{
    struct occy_tar_scan *scan = occy_tar_scan_open(options);
    struct found found = {.records = 0};
    int status = OCCY_OK;

    DEMAND(scan != NULL);
    for (size_t at = 0; at < size && status == OCCY_OK;) {
        size_t window = choices == NULL ? size - at : choose_length(choices, size - at);
        uint64_t skippable = occy_tar_scan_skippable(scan);

        if (how & CONTENT_IS_SKIPPED && skippable > 0) {
            window = skippable < window ? (size_t)skippable : window;
            occy_tar_scan_skip(scan, window);
        } else {
            status = occy_tar_scan_feed(scan, bytes + at, window);
        }
        at += window;
        if (how & RECORDS_ARE_CLEARED)
            collect(scan, &found);
    }
    if (status == OCCY_OK)
        status = occy_tar_scan_finish(scan);
    DEMAND(status == occy_tar_scan_feed(scan, bytes, 0)); /* final */
    collect(scan, &found);
    found.progress = *occy_tar_scan_progress(scan);
    collect_entries(scan, options, &found);
    DEMAND(found.progress.status == status);
    DEMAND((status == OCCY_OK) == (found.progress.problem == OCCY_TAR_PROBLEM_NONE));
    DEMAND(found.progress.offset <= size && found.progress.error_offset <= (int64_t)size);
    occy_tar_scan_free(scan);
    return found;
}

static void release(struct found *found)
{
    free(found->record);
    free(found->text);
    free(found->list);
}

static void demand_same(const struct found *one, const struct found *other)
{
    DEMAND(one->progress.status == other->progress.status);
    DEMAND(one->progress.problem == other->progress.problem);
    DEMAND(one->progress.error_offset == other->progress.error_offset);
    DEMAND(one->progress.allowed == other->progress.allowed && one->progress.value == other->progress.value);
    DEMAND(one->progress.members == other->progress.members);
    DEMAND(one->progress.closed == other->progress.closed);
    DEMAND(one->progress.ended == other->progress.ended);
    DEMAND(one->progress.hidden == other->progress.hidden);
    DEMAND(one->records == other->records && one->text_size == other->text_size);
    DEMAND(memcmp(one->record, other->record, one->records * sizeof *one->record) == 0);
    DEMAND(memcmp(one->text, other->text, one->text_size) == 0);
    DEMAND(one->listed == other->listed && one->list_size == other->list_size);
    DEMAND(one->list_size == 0 || memcmp(one->list, other->list, one->list_size) == 0);
}

/* What a record says must be what the header in the tar says. */
static void demand_true(const uint8_t *bytes, size_t size, const struct found *found)
{
    int64_t after = 0, value;

    for (size_t i = 0; i < found->records; i++) {
        const struct occy_tar_record *record = &found->record[i];
        const uint8_t *header = bytes + record->header_offset;

        DEMAND(record->start >= after && record->header_offset >= record->start);
        DEMAND(record->header_offset % BLOCK == 0 && record->header_offset + BLOCK <= (int64_t)size);
        DEMAND(record->data_offset > record->header_offset && record->data_offset % BLOCK == 0);
        DEMAND(record->stored >= 0 && record->reserved == 0);
        DEMAND(record->size >= 0 || record->stored == 0); /* Go shows a size below zero where there is no content */
        after = record->data_offset;
        if (record->type == 'g') /* shows its name and its records alone */
            continue;
        DEMAND(occy_tar_number(header + 100, 8, &value) && value == record->mode);
        if (!(record->flags & OCCY_TAR_HAS_PAX)) {
            DEMAND(occy_tar_number(header + 108, 8, &value) && value == record->uid);
            DEMAND(occy_tar_number(header + 136, 12, &value) && value == record->mtime && record->mtime_ns == 0);
        }
        for (uint32_t region = 0; region < record->regions; region++) {
            int64_t pair[2], last = 0;
            const uint8_t *at = found->text + record->text + record->name + record->linkname + record->uname;
            memcpy(pair, at + record->gname + record->pax + region * sizeof pair, sizeof pair);
            DEMAND(pair[0] >= last && pair[1] >= 0 && pair[1] <= record->size - pair[0]);
            last = pair[0] + pair[1];
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct guarded area;
    struct choices choices = choices_of(bytes, size);
    uint8_t *tar = guarded(&area, size);
    struct found lenient = {.records = 0};

    if (size != 0)
        memcpy(tar, bytes, size);
    for (int strict = 0; strict < 2; strict++) {
        struct occy_tar_options options = {strict, 1, 1 << 20, 1 << 20, 16, 1 << 16}, checking;
        struct found whole, split, skipped, checked;

        if (choose(&choices) % 8 == 0) {
            options.max_extension = (uint32_t)(choose(&choices) % 2048);
            options.max_sparse_map = (uint32_t)(choose(&choices) % 2048);
            options.max_extensions = (uint32_t)(choose(&choices) % 4);
            options.max_entries = (uint32_t)(choose(&choices) % 8);
        }
        checking = options;
        checking.keep = 0;
        whole = scanned(tar, size, &options, 0, NULL);
        split = scanned(tar, size, &options, RECORDS_ARE_CLEARED, &choices);
        demand_same(&whole, &split);
        demand_true(tar, size, &whole);
        if (whole.progress.hidden < 0) { /* what is passed over is not looked at */
            skipped = scanned(tar, size, &options, CONTENT_IS_SKIPPED, &choices);
            demand_same(&whole, &skipped);
            release(&skipped);
        }
        checked = scanned(tar, size, &checking, 0, &choices);
        DEMAND(checked.records == 0 && checked.progress.status == whole.progress.status);
        DEMAND(checked.progress.problem == whole.progress.problem);
        DEMAND(checked.progress.error_offset == whole.progress.error_offset);
        DEMAND(checked.progress.members == whole.progress.members);
        release(&checked);
        release(&split);
        if (strict)
            release(&whole);
        else
            lenient = whole;
    }
    release(&lenient);
    return 0;
}

#ifdef OCCY_FUZZ
/* Most damage must be behind a checksum that is right, or it is never looked at. */

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t most, unsigned seed);

static int looks_like_header(const uint8_t *block)
{
    int digits = 0;
    for (int i = 148; i < 156; i++) {
        if (block[i] >= '0' && block[i] <= '7')
            digits++;
        else if (block[i] != 0 && block[i] != ' ')
            return memcmp(block + 257, "ustar", 5) == 0;
    }
    return digits > 2 || memcmp(block + 257, "ustar", 5) == 0;
}

static void seal(uint8_t *block)
{
    unsigned sum = 8 * ' ';
    char field[8];

    for (int i = 0; i < BLOCK; i++)
        sum += i >= 148 && i < 156 ? 0 : block[i];
    (void)snprintf(field, sizeof field, "%06o", sum);
    memcpy(block + 148, field, 7);
    block[155] = ' ';
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t most, unsigned seed)
{
    struct choices choices = {((uint64_t)seed << 1) | 1};
    size_t block;

    switch (choose(&choices) % 8) {
    case 0: /* a block twice, moved, or lost: entries and their extensions in new company */
        if (size >= 2 * BLOCK && size + BLOCK <= most) {
            size_t from = (size_t)(choose(&choices) % (size / BLOCK)) * BLOCK;
            size_t to = (size_t)(choose(&choices) % (size / BLOCK)) * BLOCK;
            uint8_t copy[BLOCK];
            memcpy(copy, bytes + from, BLOCK);
            if (choose(&choices) % 2) {
                memmove(bytes + to + BLOCK, bytes + to, size - to);
                size += BLOCK;
            }
            memcpy(bytes + to, copy, BLOCK);
            break;
        }
        /* fall through */
    case 1: /* a number where a header keeps one */
        if (size >= BLOCK) {
            static const uint8_t fields[] = {100, 108, 116, 124, 136, 156, 157};
            static const char *const numbers[] = {"7777777", "0000000", "0001000", "\x80\0\0\0\0\0\2", "\xff\xff\xff\xff\xff\xff\xff"};
            uint8_t *at = bytes + (size_t)(choose(&choices) % (size / BLOCK)) * BLOCK;
            memcpy(at + fields[choose(&choices) % sizeof fields], numbers[choose(&choices) % 5], 7);
            break;
        }
        /* fall through */
    case 2: /* another type */
        if (size >= BLOCK) {
            static const char types[] = "0123457xgLKSXDV\0";
            bytes[(size_t)(choose(&choices) % (size / BLOCK)) * BLOCK + 156] = (uint8_t)types[choose(&choices) % sizeof types];
            break;
        }
        /* fall through */
    default:
        size = LLVMFuzzerMutate(bytes, size, most);
    }
    if (choose(&choices) % 16 != 0)
        for (block = 0; block + BLOCK <= size; block += BLOCK)
            if (looks_like_header(bytes + block))
                seal(bytes + block);
    return size;
}
#endif
