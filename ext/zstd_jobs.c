/* zstd_jobs.h, and the one place that compiles libzstd.
 *
 * Jobs need two things libzstd keeps to itself: a frame header that can be dropped, and repeat
 * offsets that start invalid, since a piece cannot know the ones its predecessor left behind.  So
 * the pinned libzstd is compiled here, as part of this file.  libzstd's own workers do the same
 * behind a stream interface; jobs of ours copy no piece, bring no second pool of threads to compete
 * with the pass, and give every stage of the pass to whichever thread is free.
 *
 * Piece and history, at level 3 (162 MB out of a Debian with numpy and scipy; Sapphire Rapids, best of 3):
 *     2 MiB + 512 KiB    225 MB/s    31.00 %
 *     4 MiB + 512 KiB    200 MB/s    30.91 %
 *     4 MiB + 1 MiB      219 MB/s    30.67 %    as small as 8 MiB + 512 KiB, in half the memory
 */
#ifndef OCCY_SYSTEM_CODECS
#define ZSTD_STATIC_LINKING_ONLY
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#include "zstd.c"
#pragma GCC diagnostic pop
#else
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>
#endif

#include "zstd_jobs.h"

#include <stdlib.h>
#include <string.h>

#include "status.h"

struct occy_zstd_encoder {
    ZSTD_CCtx *context;
    int level;
#if OCCY_ZSTD_HAVE_JOBS
    ZSTD_CCtx_params params;
#else
    int started;
#endif
};

/* libzstd's levels, but for 2 and 3: their windows are smaller than what a piece can refer to, and level 2
 * wins both ways by a larger table.  A Debian with numpy, scipy and pandas, 1.1 GB; Sapphire Rapids, best of 2:
 *     level 3, window 22                     199 MB/s    29.47 %: taken
 *     level 3, window 22, hash 18            167 MB/s    28.91 %
 *     level 3, window 22, minMatch 6         206 MB/s    29.97 %
 *     level 2, window 22, hash 17            303 MB/s    30.41 %
 *     level 2, window 22, hash 17, match 7   330 MB/s    31.0 %: taken
 *     level 2, window 22, hash 17, match 5   232 MB/s    30.23 %
 *     level 2, window 22, hash 16, match 5   283 MB/s    31.37 %
 */
static ZSTD_compressionParameters level_params(int level)
{
    ZSTD_compressionParameters params = ZSTD_getCParams(level, ZSTD_CONTENTSIZE_UNKNOWN, 0);
    if (level == 3) {
        params.windowLog = 22;
    } else if (level == 2) {
        params.windowLog = 22;
        params.hashLog = 17;
        params.minMatch = 7;
    }
    if (params.windowLog > OCCY_ZSTD_WINDOW_LOG_MAX)
        params.windowLog = OCCY_ZSTD_WINDOW_LOG_MAX;
    return params;
}

size_t occy_zstd_bound(size_t length)
{
    /* a block header for each incompressible 128 KiB block, the frame header, the checksum */
    return ZSTD_compressBound(length) + 64;
}

const char *occy_zstd_version(void) { return ZSTD_versionString(); }

size_t occy_zstd_encoder_size(int level)
{
    return ZSTD_estimateCCtxSize_usingCParams(level_params(level));
}

void occy_zstd_encoder_free(struct occy_zstd_encoder *encoder)
{
    if (encoder == NULL)
        return;
    ZSTD_freeCCtx(encoder->context);
    free(encoder);
}

struct occy_zstd_encoder *occy_zstd_encoder_create(int level)
{
    struct occy_zstd_encoder *encoder = calloc(1, sizeof *encoder);
    if (encoder == NULL)
        return NULL;
    encoder->level = level;
    encoder->context = ZSTD_createCCtx();
    if (encoder->context == NULL) {
        free(encoder);
        return NULL;
    }
#if OCCY_ZSTD_HAVE_JOBS
    ZSTD_parameters params;
    memset(&params, 0, sizeof params);
    params.cParams = level_params(level);
    params.fParams.noDictIDFlag = 1;
    ZSTD_CCtxParams_init_internal(&encoder->params, &params, level);
#endif
    return encoder;
}

/* A context makes its tables when it begins a frame, which is where memory may be missing. */
static int status_of(size_t error)
{
    return ZSTD_getErrorCode(error) == ZSTD_error_memory_allocation ? OCCY_NO_MEMORY : OCCY_ENCODER;
}

#if OCCY_ZSTD_HAVE_JOBS
int occy_zstd_job(struct occy_zstd_encoder *encoder, const uint8_t *piece, size_t history, size_t length,
                  int first, int last, uint8_t *target, size_t capacity, size_t *written)
{
    ZSTD_CCtx *context = encoder->context;
    size_t size;

    *written = 0;
    /* history counts against the window as any other byte of the frame does */
    encoder->params.forceWindow = !first;
    /* raw content even when it begins like a dictionary: these are a layer's bytes */
    size = ZSTD_compressBegin_advanced_internal(context, piece - history, history, ZSTD_dct_rawContent,
                                                ZSTD_dtlm_fast, NULL, &encoder->params,
                                                ZSTD_CONTENTSIZE_UNKNOWN);
    if (ZSTD_isError(size))
        return status_of(size);
    if (!first) {
        /* makes the frame header, which the next call overwrites */
        size = ZSTD_compressContinue_public(context, target, capacity, piece, 0);
        if (ZSTD_isError(size))
            return status_of(size);
        ZSTD_invalidateRepCodes(context);
    }
    size = last ? ZSTD_compressEnd_public(context, target, capacity, piece, length)
                : ZSTD_compressContinue_public(context, target, capacity, piece, length);
    if (ZSTD_isError(size))
        return status_of(size);
    if (first)
        target[4] |= 4; /* Content_Checksum_flag (RFC 8878 3.1.1.1.1): the sum is appended by the caller */
    *written = size;
    return OCCY_OK;
}
#else
int occy_zstd_stream(struct occy_zstd_encoder *encoder, const uint8_t *piece, size_t length, int last,
                     uint8_t *target, size_t capacity, size_t *written)
{
    ZSTD_inBuffer in = {piece, length, 0};
    ZSTD_outBuffer out = {target, capacity, 0};
    size_t left;

    *written = 0;
    if (!encoder->started) {
        const ZSTD_compressionParameters own = level_params(encoder->level);
        ZSTD_CCtx_reset(encoder->context, ZSTD_reset_session_and_parameters);
        if (ZSTD_isError(ZSTD_CCtx_setParameter(encoder->context, ZSTD_c_compressionLevel, encoder->level)) ||
            ZSTD_isError(ZSTD_CCtx_setParameter(encoder->context, ZSTD_c_windowLog, (int)own.windowLog)) ||
            ZSTD_isError(ZSTD_CCtx_setParameter(encoder->context, ZSTD_c_hashLog, (int)own.hashLog)) ||
            ZSTD_isError(ZSTD_CCtx_setParameter(encoder->context, ZSTD_c_minMatch, (int)own.minMatch)) ||
            ZSTD_isError(ZSTD_CCtx_setParameter(encoder->context, ZSTD_c_contentSizeFlag, 0)) ||
            ZSTD_isError(ZSTD_CCtx_setParameter(encoder->context, ZSTD_c_checksumFlag, 1)))
            return OCCY_ENCODER;
        encoder->started = 1;
    }
    /* flushed piece by piece, so that what is written depends on the piece size alone */
    left = ZSTD_compressStream2(encoder->context, &out, &in, last ? ZSTD_e_end : ZSTD_e_flush);
    if (ZSTD_isError(left))
        return status_of(left);
    if (left != 0)
        return OCCY_ENCODER;
    if (last)
        encoder->started = 0;
    *written = out.pos;
    return OCCY_OK;
}
#endif

#if OCCY_ZSTD_HAVE_JOBS
void occy_zstd_checksum_init(struct occy_zstd_checksum *checksum)
{
    XXH64_state_t *state = (XXH64_state_t *)(void *)checksum;
    _Static_assert(sizeof(XXH64_state_t) <= sizeof *checksum, "the checksum state has outgrown its room");
    XXH64_reset(state, 0);
}

void occy_zstd_checksum_update(struct occy_zstd_checksum *checksum, const uint8_t *bytes, size_t length)
{
    XXH64_update((XXH64_state_t *)(void *)checksum, bytes, length);
}

uint32_t occy_zstd_checksum_final(const struct occy_zstd_checksum *checksum)
{
    return (uint32_t)XXH64_digest((const XXH64_state_t *)(const void *)checksum);
}
#endif
