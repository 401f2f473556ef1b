/* pass_decoder.h: gzip and zstd. */
#include "pass_decoder.h"

#include "inflate.h"
#include "status.h"
#include "unzstd.h"

static void *gzip_create(const struct occy_pass_options *options)
{
    struct occy_inflate_limits limits = {options->max_header};
    return occy_inflate_create(&limits);
}

static void gzip_free(void *decoder) { occy_inflate_free(decoder); }

static int gzip_step(void *decoder, const uint8_t **src, size_t *src_len, uint8_t **dst, size_t *dst_len)
{
    return occy_inflate_step(decoder, src, src_len, dst, dst_len);
}

static int gzip_finish(void *decoder) { return occy_inflate_finish(decoder); }

static struct occy_decoder_progress gzip_progress(const void *decoder, const struct occy_pass_options *options,
                                                  int status)
{
    const struct occy_inflate_progress *progress = occy_inflate_progress(decoder);
    struct occy_decoder_progress told = {progress->total_in, progress->total_out, progress->offset, 0, 0};
    if (status == OCCY_HEADER_LIMIT) {
        told.allowed = options->max_header;
        told.value = (uint64_t)options->max_header + 1;
    }
    return told;
}

static void *zstd_create(const struct occy_pass_options *options)
{
    struct occy_unzstd_limits limits = {(uint32_t)options->window_log_max};
    return occy_unzstd_create(&limits);
}

static void zstd_free(void *decoder) { occy_unzstd_free(decoder); }

static int zstd_step(void *decoder, const uint8_t **src, size_t *src_len, uint8_t **dst, size_t *dst_len)
{
    return occy_unzstd_step(decoder, src, src_len, dst, dst_len);
}

static int zstd_finish(void *decoder) { return occy_unzstd_finish(decoder); }

static struct occy_decoder_progress zstd_progress(const void *decoder, const struct occy_pass_options *options,
                                                  int status)
{
    const struct occy_unzstd_progress *progress = occy_unzstd_progress(decoder);
    struct occy_decoder_progress told = {progress->total_in, progress->total_out, progress->offset, 0, 0};
    if (status == OCCY_WINDOW) {
        told.allowed = (uint64_t)1 << options->window_log_max;
        told.value = progress->window;
    }
    return told;
}

const struct occy_decoder_kind *occy_decoder_kind_of(enum occy_codec codec)
{
    static const struct occy_decoder_kind kinds[OCCY_CODECS] = {
        [OCCY_CODEC_GZIP] = {gzip_create, gzip_free, gzip_step, gzip_finish, gzip_progress},
        [OCCY_CODEC_ZSTD] = {zstd_create, zstd_free, zstd_step, zstd_finish, zstd_progress},
    };
    return codec == OCCY_CODEC_NONE ? NULL : &kinds[codec];
}
