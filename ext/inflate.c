#include "inflate.h"

#include <stdlib.h>
#include <string.h>

#include <isa-l/igzip_lib.h>

#include "cpu.h"
#include "crc.h"
#include "status.h"

/* RFC 1952, section 2.3.1 */
enum flag { FHCRC = 2, FEXTRA = 4, FNAME = 8, FCOMMENT = 16, RESERVED = 0xe0 };

enum state {
    FIXED,         /* the ten bytes every header begins with */
    EXTRA_LENGTH,
    EXTRA,
    NAME,
    COMMENT,
    HEADER_CRC,
    BODY,
    TRAILER,
    PADDING
};

struct occy_inflate {
    struct occy_inflate_progress progress;
    uint32_t max_header;
    int error; /* the first one, or OCCY_OK */
    enum state state;
    uint64_t start;       /* of the current member in the input */
    uint32_t header_size; /* bytes of the current header so far, without its extra field */
    uint32_t header_crc;
    unsigned have;        /* bytes of the current fixed-size field */
    uint8_t field[10];
    uint8_t flags;
    uint32_t extra_left;
    uint32_t expected;    /* what FHCRC must hold: the CRC-16 of the header before it */
    uint32_t crc;         /* of the current member's output */
    uint32_t size;        /* of the same, modulo 2**32 as in the trailer */
    uint8_t recent[8];    /* the newest input given to the body, oldest first */
    struct inflate_state body;
};

static const uint8_t magic[2] = {0x1f, 0x8b};

static void begin_member(struct occy_inflate *s)
{
    s->state = FIXED;
    s->start = s->progress.total_in;
    s->header_size = 0;
    s->header_crc = 0;
    s->have = 0;
    s->crc = 0;
    s->size = 0;
    memset(s->recent, 0, sizeof s->recent);
}

static int fail(struct occy_inflate *s, int status, uint64_t offset)
{
    s->error = status;
    s->progress.offset = offset;
    return status;
}

static void begin(struct occy_inflate *s)
{
    memset(&s->progress, 0, sizeof s->progress);
    s->error = OCCY_OK;
    begin_member(s);
}

struct occy_inflate *occy_inflate_create(const struct occy_inflate_limits *limits)
{
    struct occy_inflate *s = malloc(sizeof *s);
    if (s) {
        s->max_header = limits ? limits->max_header : OCCY_INFLATE_MAX_HEADER;
        begin(s);
    }
    return s;
}

void occy_inflate_free(struct occy_inflate *s)
{
    free(s);
}

const struct occy_inflate_progress *occy_inflate_progress(const struct occy_inflate *s)
{
    return &s->progress;
}

/* ---------------------------------------------------------------------------------------------- input */

struct input {
    const uint8_t *at;
    size_t left;
};

static void take(struct occy_inflate *s, struct input *in, size_t size)
{
    in->at += size;
    in->left -= size;
    s->progress.total_in += size;
}

/* Move on over *size* bytes of a header, which do not count: the format itself bounds the extra field. */
static void pass_header(struct occy_inflate *s, struct input *in, size_t size)
{
    s->header_crc = occy_crc32(s->header_crc, in->at, size);
    take(s, in, size);
}

/* Move on over *size* bytes of a header. */
static int take_header(struct occy_inflate *s, struct input *in, size_t size)
{
    if (size > s->max_header - s->header_size) {
        take(s, in, s->max_header - s->header_size + 1);
        return fail(s, OCCY_HEADER_LIMIT, s->start);
    }
    s->header_size += (uint32_t)size;
    pass_header(s, in, size);
    return OCCY_OK;
}

/* Collect a field of *size* bytes; *done* says whether it is whole. */
static int take_field(struct occy_inflate *s, struct input *in, unsigned size, int *done)
{
    size_t n = size - s->have < in->left ? size - s->have : in->left;
    const uint8_t *from = in->at;
    int status = take_header(s, in, n);
    if (status)
        return status;
    memcpy(s->field + s->have, from, n);
    s->have += (unsigned)n;
    *done = s->have == size;
    return OCCY_OK;
}

static uint32_t le16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t le32(const uint8_t *p)
{
    return le16(p) | le16(p + 2) << 16;
}

/* --------------------------------------------------------------------------------------------- header */

static void begin_body(struct occy_inflate *s)
{
    isal_inflate_init(&s->body);
    s->state = BODY;
}

/* Go to the next part of the header that the flags announce, after the one that just ended. */
static void next_part(struct occy_inflate *s)
{
    s->have = 0;
    if (s->state < EXTRA_LENGTH && s->flags & FEXTRA)
        s->state = EXTRA_LENGTH;
    else if (s->state < NAME && s->flags & FNAME)
        s->state = NAME;
    else if (s->state < COMMENT && s->flags & FCOMMENT)
        s->state = COMMENT;
    else if (s->state < HEADER_CRC && s->flags & FHCRC) {
        s->expected = s->header_crc & 0xffff;
        s->state = HEADER_CRC;
    } else
        begin_body(s);
}

/* One byte at a time, so that a wrong one is found before the next arrives, whatever the split. */
static int read_fixed(struct occy_inflate *s, struct input *in)
{
    while (in->left) {
        uint8_t byte = *in->at;
        unsigned i = s->have;
        int later = s->progress.members > 0;
        if (i == 0 && later && byte == 0) {
            s->state = PADDING;
            return OCCY_OK;
        }
        if (i < 2 && byte != magic[i])
            return fail(s, later ? OCCY_TRAILING : OCCY_CORRUPT, s->start);
        if ((i == 2 && byte != 8) || (i == 3 && byte & RESERVED))
            return fail(s, OCCY_CORRUPT, s->start);
        int status = take_header(s, in, 1);
        if (status)
            return status;
        s->field[i] = byte;
        s->have++;
        if (s->have == 10) {
            s->flags = s->field[3];
            next_part(s);
            return OCCY_OK;
        }
    }
    return OCCY_OK;
}

static int read_text(struct occy_inflate *s, struct input *in)
{
    const uint8_t *end = memchr(in->at, 0, in->left);
    int status = take_header(s, in, end ? (size_t)(end - in->at) + 1 : in->left);
    if (!status && end)
        next_part(s);
    return status;
}

static int read_header(struct occy_inflate *s, struct input *in)
{
    int status, done = 0;
    switch (s->state) {
    case FIXED:
        return read_fixed(s, in);
    case EXTRA_LENGTH:
        status = take_field(s, in, 2, &done);
        if (!status && done) {
            s->extra_left = le16(s->field);
            s->state = EXTRA;
        }
        break;
    case EXTRA: {
        size_t n = s->extra_left < in->left ? s->extra_left : in->left;
        pass_header(s, in, n);
        s->extra_left -= (uint32_t)n;
        if (!s->extra_left)
            next_part(s);
        return OCCY_OK;
    }
    case NAME:
    case COMMENT:
        return read_text(s, in);
    default: /* HEADER_CRC */
        status = take_field(s, in, 2, &done);
        if (!status && done) {
            if (le16(s->field) != s->expected)
                return fail(s, OCCY_CHECKSUM, s->start);
            next_part(s);
        }
    }
    return status;
}

/* ----------------------------------------------------------------------------------- body and trailer */

/* The body's decoder reads up to eight bytes ahead, across calls.  Those past the body's end, it hands back by
 * moving next_in: to before this call's input where earlier calls brought them, hence *recent*. */
static int read_body(struct occy_inflate *s, struct input *in, uint8_t **dst, size_t *dst_len, int *moved)
{
    struct inflate_state *body = &s->body;
    uint32_t given = in->left < 1u << 30 ? (uint32_t)in->left : 1u << 30;
    uint32_t room = *dst_len < 1u << 30 ? (uint32_t)*dst_len : 1u << 30;
    body->next_in = (uint8_t *)in->at;
    body->avail_in = given;
    body->next_out = *dst;
    body->avail_out = room;
    int result = isal_inflate(body);
    occy_vzeroupper();
    int64_t used = (int64_t)given - (int64_t)body->avail_in;
    if (result < 0) { /* what it wrote is not counted: its last bytes may come from memory that was never set */
        take(s, in, used > 0 ? (size_t)used : 0);
        return fail(s, OCCY_CORRUPT, s->start);
    }

    uint32_t made = room - body->avail_out;
    s->crc = occy_crc32(s->crc, *dst, made);
    s->size += made;
    s->progress.total_out += made;
    *dst += made;
    *dst_len -= made;

    int ended = body->block_state == ISAL_BLOCK_FINISH;
    if (ended) {
        unsigned back = used < 0 ? (unsigned)-used : 0;
        if (back > sizeof s->recent)
            return fail(s, OCCY_CORRUPT, s->start);
        memcpy(s->field, s->recent + sizeof s->recent - back, back);
        s->have = back;
        s->state = TRAILER;
    } else if (used >= (int64_t)sizeof s->recent) {
        memcpy(s->recent, in->at + used - sizeof s->recent, sizeof s->recent);
    } else if (used > 0) {
        memmove(s->recent, s->recent + used, sizeof s->recent - (size_t)used);
        memcpy(s->recent + sizeof s->recent - (size_t)used, in->at, (size_t)used);
    }
    take(s, in, used > 0 ? (size_t)used : 0);
    *moved = ended || made || used;
    return OCCY_OK;
}

static int read_trailer(struct occy_inflate *s, struct input *in)
{
    size_t n = 8 - s->have < in->left ? 8 - s->have : in->left;
    memcpy(s->field + s->have, in->at, n);
    s->have += (unsigned)n;
    take(s, in, n);
    if (s->have < 8)
        return OCCY_OK;
    if (le32(s->field) != s->crc || le32(s->field + 4) != s->size)
        return fail(s, OCCY_CHECKSUM, s->start);
    s->progress.members++;
    begin_member(s);
    return OCCY_OK;
}

static int read_padding(struct occy_inflate *s, struct input *in)
{
    size_t n = 0;
    while (n < in->left && !in->at[n])
        n++;
    s->progress.padding += n;
    take(s, in, n);
    return in->left ? fail(s, OCCY_TRAILING, s->progress.total_in) : OCCY_OK;
}

/* ---------------------------------------------------------------------------------------------- calls */

int occy_inflate_step(struct occy_inflate *s, const uint8_t **src, size_t *src_len, uint8_t **dst, size_t *dst_len)
{
    struct input in = {*src, *src_len};
    int status = s->error;
    for (int moved = 1; !status && moved;) {
        switch (s->state) {
        case BODY:
            moved = 0;
            if (*dst_len)
                status = read_body(s, &in, dst, dst_len, &moved);
            break;
        case TRAILER:
            moved = in.left || s->have == 8;
            if (moved)
                status = read_trailer(s, &in);
            break;
        case PADDING:
            moved = 0;
            if (in.left)
                status = read_padding(s, &in);
            break;
        default:
            moved = in.left || (s->state == EXTRA && !s->extra_left);
            if (moved)
                status = read_header(s, &in);
        }
    }
    *src = in.at;
    *src_len = in.left;
    return status;
}

int occy_inflate_finish(struct occy_inflate *s)
{
    if (s->error)
        return s->error;
    if (s->progress.members && (s->state == PADDING || (s->state == FIXED && !s->have)))
        return OCCY_OK;
    return fail(s, OCCY_TRUNCATED, s->progress.total_in);
}
