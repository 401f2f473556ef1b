#include "unzstd.h"

#include <stdlib.h>
#include <string.h>

#include <zstd.h>
#include <zstd_errors.h>

#include "status.h"

/* libzstd decodes blocks; magic numbers, frame headers and skippable frames are read here.  So the limits hold
 * before anything is allocated, and a frame's header reaches libzstd in one piece however the input is split. */

enum state {
    MAGIC,
    DESCRIPTOR, /* the frame header's first byte after the magic number */
    HEADER,     /* the rest of it */
    BLOCKS,
    SKIP_SIZE,
    SKIP
};

struct occy_unzstd {
    struct occy_unzstd_progress progress;
    uint64_t window_max;
    uint32_t window_log_max;
    int error; /* the first one, or OCCY_OK */
    enum state state;
    uint64_t start; /* of the current frame in the input */
    unsigned have;  /* bytes of *header* that are set */
    unsigned need;  /* bytes until the next decision */
    uint8_t header[18];
    uint64_t skip_left;
    int sized; /* the frame tells the size of its content: */
    uint64_t content, made; /* that, and how much there was so far */
    ZSTD_DCtx *context;
};

static void begin_frame(struct occy_unzstd *s)
{
    s->state = MAGIC;
    s->start = s->progress.total_in;
    s->have = 0;
    s->need = 4;
}

static int fail(struct occy_unzstd *s, int status, uint64_t offset)
{
    s->error = status;
    s->progress.offset = offset;
    return status;
}

static void begin(struct occy_unzstd *s)
{
    memset(&s->progress, 0, sizeof s->progress);
    s->error = OCCY_OK;
    ZSTD_DCtx_reset(s->context, ZSTD_reset_session_only);
    begin_frame(s);
}

struct occy_unzstd *occy_unzstd_create(const struct occy_unzstd_limits *limits)
{
    struct occy_unzstd *s = malloc(sizeof *s);
    if (!s)
        return 0;
    s->window_log_max = limits ? limits->window_log_max : 27;
    s->window_max = (uint64_t)1 << s->window_log_max;
    s->context = ZSTD_createDCtx();
    if (!s->context || ZSTD_isError(ZSTD_DCtx_setParameter(s->context, ZSTD_d_windowLogMax, (int)s->window_log_max))) {
        occy_unzstd_free(s);
        return 0;
    }
    begin(s);
    return s;
}

void occy_unzstd_free(struct occy_unzstd *s)
{
    if (s) {
        ZSTD_freeDCtx(s->context);
        free(s);
    }
}

const struct occy_unzstd_progress *occy_unzstd_progress(const struct occy_unzstd *s)
{
    return &s->progress;
}

static uint64_t le(const uint8_t *p, unsigned size)
{
    uint64_t value = 0;
    while (size--)
        value = value << 8 | p[size];
    return value;
}

/* ------------------------------------------------------------------------------------------- header */

/* RFC 8878, section 3.1.1.1 */
static int read_descriptor(struct occy_unzstd *s)
{
    static const unsigned dictionary_size[4] = {0, 1, 2, 4}, content_size[4] = {0, 2, 4, 8};
    uint8_t descriptor = s->header[4];
    int single_segment = descriptor >> 5 & 1;
    if (descriptor & 8) /* reserved */
        return fail(s, OCCY_CORRUPT, s->start);
    s->need = 5 + !single_segment + dictionary_size[descriptor & 3] + content_size[descriptor >> 6];
    if (single_segment && !(descriptor >> 6))
        s->need++;
    s->state = HEADER;
    return OCCY_OK;
}

static int read_header(struct occy_unzstd *s)
{
    static const unsigned dictionary_size[4] = {0, 1, 2, 4};
    uint8_t descriptor = s->header[4];
    const uint8_t *p = s->header + 5;
    unsigned id_size = dictionary_size[descriptor & 3];
    int single_segment = descriptor >> 5 & 1;
    unsigned content_at = 5 + !single_segment + id_size, size = s->need - content_at;
    uint64_t window;
    s->sized = size != 0;
    s->content = le(s->header + content_at, size) + (size == 2 ? 256 : 0);
    s->made = 0;
    if (single_segment) {
        window = s->content;
    } else {
        uint64_t base = (uint64_t)1 << (10 + (*p >> 3));
        window = base + base / 8 * (*p & 7);
        p++;
    }
    if (window > s->progress.window)
        s->progress.window = window < INT64_MAX ? window : INT64_MAX;
    if (window > s->window_max)
        return fail(s, OCCY_WINDOW, s->start);
    if (le(p, id_size))
        return fail(s, OCCY_DICTIONARY, s->start);

    ZSTD_inBuffer in = {s->header, s->need, 0};
    ZSTD_outBuffer out = {0, 0, 0};
    size_t hint = ZSTD_decompressStream(s->context, &out, &in);
    if (ZSTD_isError(hint))
        return fail(s, ZSTD_getErrorCode(hint) == ZSTD_error_memory_allocation ? OCCY_NO_MEMORY : OCCY_CORRUPT, s->start);
    s->state = BLOCKS;
    return OCCY_OK;
}

/* Take one byte of a magic number: a wrong one is found before the next arrives, whatever the split. */
static int read_magic(struct occy_unzstd *s, uint8_t byte)
{
    static const uint8_t frame[4] = {0x28, 0xb5, 0x2f, 0xfd}, skippable[4] = {0x50, 0x2a, 0x4d, 0x18};
    unsigned i = s->have;
    int skips = i ? (s->header[0] & 0xf0) == 0x50 : (byte & 0xf0) == 0x50;
    if (i == 0 && skips)
        byte &= 0xf0;
    if (byte != (skips ? skippable : frame)[i])
        return fail(s, s->progress.frames + s->progress.skipped ? OCCY_TRAILING : OCCY_CORRUPT, s->start);
    if (i == 3) {
        s->state = skips ? SKIP_SIZE : DESCRIPTOR;
        s->need = skips ? 8 : 5;
    }
    return OCCY_OK;
}

static int read_frame_start(struct occy_unzstd *s, const uint8_t **src, size_t *src_len)
{
    while (*src_len && s->state != BLOCKS && s->state != SKIP) {
        uint8_t byte = **src;
        int status = s->state == MAGIC ? read_magic(s, byte) : OCCY_OK;
        if (status)
            return status;
        s->header[s->have++] = byte;
        ++*src, --*src_len, s->progress.total_in++;
        if (s->have < s->need)
            continue;
        switch (s->state) {
        case DESCRIPTOR:
            status = read_descriptor(s);
            break;
        case HEADER:
            status = read_header(s);
            break;
        default: /* SKIP_SIZE */
            s->skip_left = le(s->header + 4, 4);
            s->state = SKIP;
        }
        if (status)
            return status;
    }
    return OCCY_OK;
}

/* ------------------------------------------------------------------------------------------- blocks */

static int read_blocks(struct occy_unzstd *s, const uint8_t **src, size_t *src_len, uint8_t **dst, size_t *dst_len,
                       int *moved)
{
    ZSTD_inBuffer in = {*src, *src_len, 0};
    ZSTD_outBuffer out = {*dst, *dst_len, 0};
    size_t hint = ZSTD_decompressStream(s->context, &out, &in);
    *src += in.pos, *src_len -= in.pos, s->progress.total_in += in.pos;
    *dst += out.pos, *dst_len -= out.pos, s->progress.total_out += out.pos;
    s->made += out.pos;
    *moved = in.pos || out.pos;
    if (ZSTD_isError(hint)) {
        switch (ZSTD_getErrorCode(hint)) {
        case ZSTD_error_noForwardProgress_destFull:
        case ZSTD_error_noForwardProgress_inputEmpty: /* the caller offers the same nothing again and again */
            return OCCY_OK;
        case ZSTD_error_checksum_wrong:
            return fail(s, OCCY_CHECKSUM, s->start);
        case ZSTD_error_memory_allocation:
            return fail(s, OCCY_NO_MEMORY, s->start);
        default:
            return fail(s, OCCY_CORRUPT, s->start);
        }
    }
    if (hint == 0) {
        /* libzstd looks at this as well, unless the last block is empty */
        if (s->sized && s->made != s->content)
            return fail(s, OCCY_CORRUPT, s->start);
        s->progress.frames++;
        begin_frame(s);
        *moved = 1;
    }
    return OCCY_OK;
}

int occy_unzstd_step(struct occy_unzstd *s, const uint8_t **src, size_t *src_len, uint8_t **dst, size_t *dst_len)
{
    int status = s->error;
    for (int moved = 1; !status && moved;) {
        switch (s->state) {
        case BLOCKS:
            moved = 0;
            if (*dst_len)
                status = read_blocks(s, src, src_len, dst, dst_len, &moved);
            break;
        case SKIP: {
            size_t n = *src_len < s->skip_left ? *src_len : (size_t)s->skip_left;
            *src += n, *src_len -= n, s->progress.total_in += n;
            s->skip_left -= n;
            moved = !s->skip_left;
            if (moved) {
                s->progress.skipped++;
                begin_frame(s);
            }
            break;
        }
        default:
            moved = *src_len > 0;
            if (moved)
                status = read_frame_start(s, src, src_len);
        }
    }
    return status;
}

int occy_unzstd_finish(struct occy_unzstd *s)
{
    if (s->error)
        return s->error;
    if (s->state == MAGIC && !s->have && s->progress.frames + s->progress.skipped)
        return OCCY_OK;
    return fail(s, OCCY_TRUNCATED, s->progress.total_in);
}
