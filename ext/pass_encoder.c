/* pass_encoder.h: gzip and zstd. */
#include "pass_encoder.h"

#include "crc.h"
#include "pass_state.h"

/* ---- gzip: segments, in any order; the CRC of each is joined to those before it ---------------- */

static void *gzip_create(int level) { return occy_gzip_encoder_create(level); }

static void gzip_free(void *encoder) { occy_gzip_encoder_free(encoder); }

static int gzip_encode(void *encoder, struct piece *piece, bool first)
{
    size_t header = first ? OCCY_GZIP_HEADER_SIZE : 0, size = 0;
    int status;

    if (first)
        occy_gzip_header(piece->encoded);
    status = occy_gzip_segment(encoder, piece->bytes, piece->length, piece->encoded + header, ENCODED_MAX - header,
                               &size, &piece->crc);
    piece->encoded_length = header + size;
    return status;
}

static void gzip_join(union occy_encoder_sums *sums, const struct piece *piece)
{
    sums->gzip.crc = occy_crc32_combine(sums->gzip.crc, piece->crc, piece->length);
    sums->gzip.length += piece->length;
}

static size_t gzip_end(const union occy_encoder_sums *sums, uint8_t *target)
{
    occy_gzip_trailer(target, sums->gzip.crc, sums->gzip.length);
    return OCCY_GZIP_TRAILER_SIZE;
}

static const struct occy_encoder_kind gzip = {
    .piece = OCCY_GZIP_PIECE,
    .create = gzip_create,
    .free = gzip_free,
    .encode = gzip_encode,
    .join = gzip_join,
    .end = gzip_end,
};

/* ---- zstd: jobs, in any order, each with the end of its predecessor as history ----------------- */

static void *zstd_create(int level) { return occy_zstd_encoder_create(level); }

static void zstd_free(void *encoder) { occy_zstd_encoder_free(encoder); }

#if OCCY_ZSTD_HAVE_JOBS
static int zstd_encode(void *encoder, struct piece *piece, bool first)
{
    return occy_zstd_job(encoder, piece->bytes, piece->history, piece->length, first, piece->last, piece->encoded,
                         ENCODED_MAX, &piece->encoded_length);
}

static void zstd_start(union occy_encoder_sums *sums) { occy_zstd_checksum_init(&sums->zstd); }

static void zstd_digest(union occy_encoder_sums *sums, const struct piece *piece)
{
    occy_zstd_checksum_update(&sums->zstd, piece->bytes, piece->length);
}

static size_t zstd_end(const union occy_encoder_sums *sums, uint8_t *target)
{
    uint32_t sum = occy_zstd_checksum_final(&sums->zstd);
    int i;
    for (i = 0; i < 4; i++)
        target[i] = (uint8_t)(sum >> (8 * i));
    return 4;
}

static const struct occy_encoder_kind zstd = {
    .piece = OCCY_ZSTD_PIECE,
    .history = OCCY_ZSTD_HISTORY,
    .create = zstd_create,
    .free = zstd_free,
    .encode = zstd_encode,
    .start = zstd_start,
    .digest = zstd_digest,
    .end = zstd_end,
};
#else
/* The system's libzstd makes no jobs: one stream, whose checksum it writes itself. */
static int zstd_encode(void *encoder, struct piece *piece, bool first)
{
    (void)first;
    return occy_zstd_stream(encoder, piece->bytes, piece->length, piece->last, piece->encoded, ENCODED_MAX,
                            &piece->encoded_length);
}

static const struct occy_encoder_kind zstd = {
    .piece = OCCY_ZSTD_PIECE,
    .serial = true,
    .create = zstd_create,
    .free = zstd_free,
    .encode = zstd_encode,
};
#endif

const struct occy_encoder_kind *occy_encoder_kind_of(enum occy_codec codec)
{
    static const struct occy_encoder_kind *const kinds[OCCY_CODECS] = {
        [OCCY_CODEC_GZIP] = &gzip,
        [OCCY_CODEC_ZSTD] = &zstd,
    };
    return kinds[codec];
}
