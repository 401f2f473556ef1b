/* tar_scan.h: headers become entries, and windows become headers. */
#include "tar_state.h"

#include <stdlib.h>

#if defined(__x86_64__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/* ---- headers -------------------------------------------------------------------------------- */

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
    bool tail, is_number = occy_tar_octal(field, 8, &expected, &tail);

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
        return occy_tar_fail(scan, OCCY_TAR_NO_HEADER, at);
    return occy_tar_fail(scan, OCCY_TAR_BAD_CHECKSUM, at);
}

static struct text text_field(const uint8_t *field, size_t size)
{
    return (struct text){field, occy_tar_c_length(field, size)};
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
            return occy_tar_fail(scan, OCCY_TAR_GNU_TIMES, member->at);
        return OCCY_OK;
    }
    member->atime = member->ctime = 0;
    member->format = 0;
    member->prefix = text_field(block + 345, 155);
    if (!is_ascii(member->prefix))
        member->prefix.length = 0;
    return scan->options.strict ? occy_tar_fail(scan, OCCY_TAR_GNU_PREFIX, member->at) : OCCY_OK;
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
            return occy_tar_fail(scan, problem, member->at);                               \
        if (tail && scan->options.strict)                                         \
            return occy_tar_fail(scan, OCCY_TAR_NUMBER_TAIL, member->at);                  \
    } while (0)

static int read_header(struct occy_tar_scan *scan, const uint8_t *block, struct sum sum, struct member *member)
{
    bool ustar = memcmp(block + 257, "ustar\0", 6) == 0;
    bool star = ustar && memcmp(block + 508, "tar\0", 4) == 0;

    member->gnu = memcmp(block + 257, "ustar  \0", 8) == 0;
    member->type = block[156];
    member->flags = OCCY_TAR_HAS_MTIME;
    READ(occy_tar_number_12, 124, size, OCCY_TAR_SIZE);
    READ(occy_tar_number_8, 100, mode, OCCY_TAR_MODE);
    READ(occy_tar_number_8, 108, uid, OCCY_TAR_UID);
    READ(occy_tar_number_8, 116, gid, OCCY_TAR_GID);
    READ(occy_tar_number_12, 136, mtime, OCCY_TAR_MTIME);
    member->name = text_field(block, 100);
    member->linkname = text_field(block + 157, 100);
    if (!ustar && !member->gnu)
        return OCCY_OK;
    member->uname = text_field(block + 265, 32);
    member->gname = text_field(block + 297, 32);
    READ(occy_tar_number_8, 329, devmajor, OCCY_TAR_DEVICE);
    READ(occy_tar_number_8, 337, devminor, OCCY_TAR_DEVICE);
    if (member->gnu)
        return read_gnu_times(scan, block, member);
    if (star) {
        member->prefix = text_field(block + 345, 131);
        READ(occy_tar_number_12, 476, atime, OCCY_TAR_STAR_TIME);
        READ(occy_tar_number_12, 488, ctime, OCCY_TAR_STAR_TIME);
        member->flags |= OCCY_TAR_HAS_ATIME | OCCY_TAR_HAS_CTIME;
        return OCCY_OK;
    }
    member->prefix = text_field(block + 345, 155);
    member->format = ustar_format(block, sum);
    if (scan->options.strict && memcmp(block + 263, "00", 2) != 0)
        return occy_tar_fail(scan, OCCY_TAR_USTAR_VERSION, member->at);
    return OCCY_OK;
}

/* ---- extensions ----------------------------------------------------------------------------- */

static void end_at_nul(struct buffer *text)
{
    text->length = text->length == 0 ? 0 : occy_tar_c_length(text->bytes, text->length);
}

static int take_extension(struct occy_tar_scan *scan)
{
    int status;

    scan->awaits = HEADER;
    scan->padding = (0 - scan->extension_size) % BLOCK;
    if (scan->extension == 'L') {
        end_at_nul(&scan->longname);
        return OCCY_OK;
    }
    if (scan->extension == 'K') {
        end_at_nul(&scan->longlink);
        return OCCY_OK;
    }
    status = occy_tar_take_records(scan);
    if (status == OCCY_OK && scan->extension == 'g') {
        struct member shown = {.at = scan->extension_at, .type = 'g'};

        shown.prefix = scan->member.prefix;
        shown.name = scan->member.name;
        if (scan->slots[PATH].value.length != 0) {
            shown.prefix.length = 0;
            shown.name = scan->slots[PATH].value;
        }
        status = occy_tar_hand_out(scan, &shown, scan->extension_at + BLOCK, scan->extension_size, false);
        if (scan->lone_global < 0)
            scan->lone_global = scan->extension_at;
    }
    return status;
}

static struct buffer *extension_body(struct occy_tar_scan *scan)
{
    return scan->extension == 'L' ? &scan->longname : scan->extension == 'K' ? &scan->longlink : &scan->pax;
}

static int start_extension(struct occy_tar_scan *scan, const uint8_t *block, const struct member *member)
{
    unsigned kind = member->type == 'x' ? KIND_X : member->type == 'L' ? KIND_L : KIND_K;

    scan->format &= member->type == 'x' || member->type == 'g' ? OCCY_TAR_PAX_FORMAT : OCCY_TAR_GNU;
    if (member->size > scan->options.max_extension)
        return occy_tar_over_limit(scan, OCCY_TAR_LIMIT_EXTENSION, member->at, scan->options.max_extension,
                                   member->size);
    if (member->type == 'g') {
        if (scan->options.strict && scan->kinds != 0)
            return occy_tar_fail(scan, OCCY_TAR_DROPPED_EXTENSION, scan->start);
        /* Its own name is shown where no record has another. */
        if (block != scan->header)
            memcpy(scan->header, block, BLOCK);
        scan->member = *member;
        scan->member.name.at = scan->header + (member->name.at - block);
        if (member->prefix.length != 0)
            scan->member.prefix.at = scan->header + (member->prefix.at - block);
    } else {
        if (++scan->extensions > scan->options.max_extensions)
            return occy_tar_over_limit(scan, OCCY_TAR_LIMIT_EXTENSIONS, member->at, scan->options.max_extensions,
                                       scan->extensions);
        if (scan->options.strict && scan->kinds & kind)
            return occy_tar_fail(scan, OCCY_TAR_TWO_EXTENSIONS, member->at);
        if (scan->options.strict && kind != KIND_X && scan->slots[SIZE].value.length != 0)
            return occy_tar_fail(scan, OCCY_TAR_SIZE_BEFORE_NAME, member->at);
        scan->kinds |= kind;
    }
    scan->extension = member->type;
    scan->extension_at = member->at;
    scan->extension_size = (uint32_t)member->size;
    extension_body(scan)->length = 0;
    scan->awaits = EXTENSION;
    return scan->extension_size == 0 ? take_extension(scan) : OCCY_OK;
}

/* ---- entries -------------------------------------------------------------------------------- */

static int merge_extensions(struct occy_tar_scan *scan, struct member *member)
{
    int status;

    if (scan->options.strict) {
        if (scan->longname.length != 0 && scan->slots[PATH].value.length != 0)
            return occy_tar_fail(scan, OCCY_TAR_TWO_NAMES, member->at);
        if (scan->longlink.length != 0 && scan->slots[LINKPATH].value.length != 0)
            return occy_tar_fail(scan, OCCY_TAR_TWO_LINKNAMES, member->at);
        if (member->type == 'X' || member->type == 'A')
            return occy_tar_fail(scan, OCCY_TAR_SOLARIS_HEADER, member->at);
        if (member->type == 'V')
            return occy_tar_fail(scan, OCCY_TAR_VOLUME_LABEL, member->at);
    }
    if (scan->has_pax && (status = occy_tar_merge_fields(scan, member)) != OCCY_OK)
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
        return occy_tar_fail(scan, OCCY_TAR_EMPTY_NAME, member->at);
    if (member->size != 0 && (!occy_tar_has_content(member->type) || (member->type == '0' && ends_in_slash(member))))
        return occy_tar_fail(scan, OCCY_TAR_SIZE_WITHOUT_CONTENT, member->at);
    return OCCY_OK;
}

static int start_entry(struct occy_tar_scan *scan, struct member *member)
{
    int status = merge_extensions(scan, member);
    enum sparse_version version;
    uint64_t stored;

    scan->lone_global = -1;
    if (status != OCCY_OK)
        return status;
    if (member->type == 0) /* before ustar, a directory is a file whose name ends in a slash */
        member->type = ends_in_slash(member) ? '5' : '0';
    stored = occy_tar_has_content(member->type) ? (uint64_t)member->size : 0;
    if (stored > INT64_MAX)
        return occy_tar_fail(scan, OCCY_TAR_NEGATIVE_SIZE, member->at);
    if (scan->options.strict && (status = check_entry(scan, member)) != OCCY_OK)
        return status;
    version = scan->has_sparse_key ? occy_tar_sparse_version(scan) : NOT_SPARSE;
    if (scan->options.strict && scan->has_sparse_key && (version == NOT_SPARSE || member->type == 'S'))
        return occy_tar_fail(scan, OCCY_TAR_SPARSE_VERSION, member->at);
    if (member->type == 'S' || version != NOT_SPARSE) {
        scan->member = *member;
        scan->stored = stored;
        return member->type == 'S' ? occy_tar_start_old_sparse(scan) : occy_tar_start_pax_sparse(scan, version);
    }
    occy_tar_set_content(scan, stored);
    return occy_tar_hand_out(scan, member, (int64_t)scan->progress.offset, stored, false);
}

static int check_dangling(struct occy_tar_scan *scan)
{
    if (scan->options.strict && scan->kinds != 0)
        return occy_tar_fail(scan, OCCY_TAR_DANGLING_EXTENSION, scan->start);
    if (scan->options.strict && scan->lone_global >= 0)
        return occy_tar_fail(scan, OCCY_TAR_DANGLING_EXTENSION, scan->lone_global);
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
        return occy_tar_fail(scan, OCCY_TAR_LONE_ZERO_BLOCK, member.at);
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
    if (member.size < 0 && occy_tar_has_content(member.type))
        return occy_tar_fail(scan, OCCY_TAR_NEGATIVE_SIZE, member.at);
    if (scan->start < 0)
        scan->start = member.at;
    scan->format &= member.format;
    if (member.type == 'x' || member.type == 'g' || member.type == 'L' || member.type == 'K')
        return start_extension(scan, block, &member);
    return start_entry(scan, &member);
}

/* ---- stream --------------------------------------------------------------------------------- */

struct occy_tar_scan *occy_tar_scan_open(const struct occy_tar_options *options)
{
    static const struct occy_tar_options defaults = {0, 0, 1 << 20, 1 << 20, 16, 0};
    struct occy_tar_scan *scan = calloc(1, sizeof *scan);

    if (scan == NULL)
        return NULL;
    scan->options = options == NULL ? defaults : *options;
    scan->progress.hidden = -1;
    scan->lone_global = -1;
    occy_tar_forget_extensions(scan);
    return scan;
}

struct occy_tar_scan *occy_tar_scan_create(int strict)
{
    struct occy_tar_options options = {strict, 0, 1 << 20, 1 << 20, 16, 0};

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
    free(scan->entries.bytes);
    free(scan->entry_name.bytes);
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
        return occy_tar_take_old_sparse(scan, block, 21, block[504] != 0);
    case SPARSE_MAP:
        return occy_tar_take_sparse_map(scan, block);
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
            return occy_tar_fail(scan, OCCY_TAR_HIDDEN_BYTES, scan->progress.hidden);
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
        if (!occy_tar_append(body, bytes, *step))
            return occy_tar_no_memory(scan);
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
        return occy_tar_fail(scan, OCCY_TAR_CUT_CONTENT, offset);
    if (scan->padding != 0 && scan->options.strict)
        return occy_tar_fail(scan, OCCY_TAR_CUT_PADDING, offset);
    if (scan->awaits == EXTENSION)
        return occy_tar_fail(scan, OCCY_TAR_CUT_EXTENSION, offset);
    if (scan->awaits != HEADER)
        return occy_tar_fail(scan, OCCY_TAR_CUT_SPARSE_MAP, offset);
    if (scan->have != 0)
        return occy_tar_fail(scan, OCCY_TAR_CUT_HEADER, offset);
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
