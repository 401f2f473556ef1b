/* The encoders of the pass, each a row of one table, which the stages ask.
 *
 * A row is an encoder that makes one stream of pieces of the tar, each but the last *piece* bytes long.  For a
 * further one of that sort no stage changes: it takes a row, its codec in layer_pass.h, its sums in the union, and
 * what of the maxima it exceeds.  An encoder whose pieces end where entries of the tar do (zstd:chunked, eStargz) is no row: pieces
 * are filled by number of bytes before anybody has scanned them, and no row learns of entries. */
#ifndef OCCY_PASS_ENCODER_H
#define OCCY_PASS_ENCODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gzip_segments.h"
#include "layer_pass.h"
#include "zstd_jobs.h"

/* The most that any row asks for. */
#define OCCY_PIECE_MAX OCCY_ZSTD_PIECE
#define OCCY_HISTORY_MAX OCCY_ZSTD_HISTORY
#define OCCY_TRAILER_MAX OCCY_GZIP_TRAILER_SIZE

/* Pieces of a tar that nobody encodes: as large as the smallest that are encoded, for the cache's sake. */
#define OCCY_TAR_PIECE OCCY_GZIP_PIECE

/* What a pass sums up in order, for the trailer. */
union occy_encoder_sums {
    struct {
        uint32_t crc;
        uint64_t length;
    } gzip;
    struct occy_zstd_checksum zstd;
};

struct piece;

/* Functions that are NULL have nothing to do. */
struct occy_encoder_kind {
    size_t piece;   /* bytes of tar in every piece but the last, which is shorter */
    size_t history; /* bytes of tar before a piece that *encode* reads; at most a piece */
    bool serial;    /* one encoder for the whole pass, which takes the pieces in order */

    void *(*create)(int level); /* NULL when memory ends */
    void (*free)(void *encoder); /* NULL is allowed */
    /* Encode the tar of *piece* into its *encoded*; *first*: of the layer.  Returns a status.  A row that is not serial
     * is called by any number of threads at once, each with an encoder of its own, in any order. */
    int (*encode)(void *encoder, struct piece *piece, bool first);

    void (*start)(union occy_encoder_sums *sums);
    void (*digest)(union occy_encoder_sums *sums, const struct piece *piece); /* in order, while its tar is in cache */
    void (*join)(union occy_encoder_sums *sums, const struct piece *piece);   /* in order, once it is encoded */
    /* Write what follows the last piece, when all are digested and joined; how many bytes. */
    size_t (*end)(const union occy_encoder_sums *sums, uint8_t *target);
};

/* NULL for OCCY_CODEC_NONE. */
const struct occy_encoder_kind *occy_encoder_kind_of(enum occy_codec codec);

#endif
