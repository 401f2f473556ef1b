/* PAX records and numbers: read alone and as the body of an extended header, a body says the same. */
#include "target.h"

#include "status.h"
#include "tar_scan.h"

enum { BLOCK = 512 };

static void header(uint8_t *block, uint8_t type, size_t size)
{
    unsigned sum = 0;

    memset(block, 0, BLOCK);
    memcpy(block, "name", 4);
    memcpy(block + 100, "0000644", 7);
    memcpy(block + 108, "0000000", 7);
    memcpy(block + 116, "0000000", 7);
    (void)snprintf((char *)block + 124, 12, "%011zo", size);
    memcpy(block + 136, "00000000000", 11);
    memset(block + 148, ' ', 8);
    block[156] = type;
    memcpy(block + 257, "ustar\0" "00", 8);
    for (int i = 0; i < BLOCK; i++)
        sum += block[i];
    (void)snprintf((char *)block + 148, 8, "%06o", sum);
}

/* The records of *body* until the first that is wrong; its problem. */
static int read_alone(const uint8_t *body, size_t size, size_t *wrong)
{
    struct occy_tar_pax_record record;
    uint32_t numbers = 0;
    int problem = OCCY_TAR_PROBLEM_NONE;

    for (size_t at = 0; at < size;) {
        size_t begin = at;

        problem = occy_tar_pax_next(body, size, &at, &record, &numbers);
        DEMAND(record.at == begin);
        if (problem) {
            *wrong = begin;
            return problem;
        }
        DEMAND(at > begin && at <= size && body[at - 1] == '\n');
        DEMAND(record.key > body + begin && record.key_size > 0 && record.key[record.key_size] == '=');
        DEMAND(record.value == record.key + record.key_size + 1 && record.value + record.value_size + 1 == body + at);
    }
    return problem;
}

static void check_numbers(const uint8_t *text, size_t size)
{
    int64_t value, again, seconds;
    int32_t nanoseconds;
    char printed[32];
    int is_decimal = occy_tar_decimal(text, size, &value);

    if (is_decimal) {
        int length = snprintf(printed, sizeof printed, "%lld", (long long)value);
        DEMAND(occy_tar_decimal((const uint8_t *)printed, (size_t)length, &again) && again == value);
    }
    if (occy_tar_time(text, size, &seconds, &nanoseconds)) {
        DEMAND(nanoseconds >= 0 && nanoseconds < 1000000000);
        DEMAND(!is_decimal || (seconds == value && nanoseconds == 0));
    } else {
        DEMAND(!is_decimal);
    }
    if (size <= 12 && occy_tar_number(text, size, &value) && value >= 0 && size > 1) {
        int length = snprintf(printed, sizeof printed, "%llo", (unsigned long long)value);
        DEMAND(occy_tar_number((const uint8_t *)printed, (size_t)length, &again) && again == value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct guarded area, body_area;
    struct choices choices = choices_of(bytes, size);
    size_t padded = (size + BLOCK - 1) / BLOCK * BLOCK, total = 2 * BLOCK + padded, wrong = 0;
    uint8_t *body = guarded(&body_area, size), *tar = guarded(&area, total);
    int problem;

    if (size > 1 << 20)
        return 0;
    if (size != 0)
        memcpy(body, bytes, size);
    problem = read_alone(body, size, &wrong);
    check_numbers(body, size < 40 ? size : 40);

    memset(tar, 0, total);
    header(tar, choose(&choices) % 4 == 0 ? 'g' : 'x', size);
    if (size != 0)
        memcpy(tar + BLOCK, bytes, size);
    header(tar + BLOCK + padded, '0', 0);
    for (int strict = 0; strict < 2; strict++) {
        struct occy_tar_options options = {strict, 1, 1 << 20, 1 << 20, 16, 0};
        struct occy_tar_scan *whole = occy_tar_scan_open(&options), *split = occy_tar_scan_open(&options);
        const struct occy_tar_progress *one = occy_tar_scan_progress(whole), *other = occy_tar_scan_progress(split);
        const struct occy_tar_record *record, *same;

        DEMAND(whole != NULL && split != NULL);
        if (occy_tar_scan_feed(whole, tar, total) == OCCY_OK)
            (void)occy_tar_scan_finish(whole);
        for (size_t at = 0; at < total && other->status == OCCY_OK;) {
            size_t window = choose_length(&choices, total - at);
            (void)occy_tar_scan_feed(split, tar + at, window);
            at += window;
        }
        (void)occy_tar_scan_finish(split);
        DEMAND(one->status == other->status && one->problem == other->problem);
        DEMAND(one->error_offset == other->error_offset && one->members == other->members);
        DEMAND(occy_tar_scan_records(whole, &record) == occy_tar_scan_records(split, &same));
        if (occy_tar_scan_records(whole, &record) != 0)
            DEMAND(memcmp(record, same, occy_tar_scan_records(whole, &record) * sizeof *record) == 0);
        if (problem) {
            DEMAND(one->problem == problem);
            DEMAND(one->error_offset == (int64_t)(BLOCK + wrong));
        }
        occy_tar_scan_free(whole);
        occy_tar_scan_free(split);
    }
    return 0;
}

#ifdef OCCY_FUZZ
/* A record tells its own length: damage inside it is looked at only where that is right. */

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t most, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t most, unsigned seed)
{
    struct choices choices = {((uint64_t)seed << 1) | 1};
    uint8_t *made;
    size_t length = 0;

    size = LLVMFuzzerMutate(bytes, size, most);
    if (choose(&choices) % 4 == 0 || size == 0)
        return size;
    made = malloc(2 * size + 64);
    DEMAND(made != NULL);
    for (size_t at = 0; at < size && length + 32 < most;) {
        const uint8_t *end = memchr(bytes + at, '\n', size - at);
        size_t stop = end == NULL ? size : (size_t)(end - bytes), digits = at, rest, told, width;
        char prefix[32];

        while (digits < stop && bytes[digits] >= '0' && bytes[digits] <= '9')
            digits++;
        if (digits < stop && bytes[digits] == ' ')
            digits++;
        rest = stop - digits + 2; /* the blank and the line's end */
        told = rest;
        do {
            width = (size_t)snprintf(prefix, sizeof prefix, "%zu", told);
            told = rest + width;
        } while ((size_t)snprintf(NULL, 0, "%zu", told) != width);
        width = (size_t)snprintf(prefix, sizeof prefix, "%zu ", told);
        if (length + told > most || length + told > 2 * size + 60)
            break;
        memcpy(made + length, prefix, width);
        memcpy(made + length + width, bytes + digits, stop - digits);
        length += told;
        made[length - 1] = '\n';
        at = stop + 1;
    }
    memcpy(bytes, made, length);
    free(made);
    return length;
}
#endif
