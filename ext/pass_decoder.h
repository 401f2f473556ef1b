/* The decoders of the pass, each a row of one table: the stage that decodes knows no codec by name. */
#ifndef OCCY_PASS_DECODER_H
#define OCCY_PASS_DECODER_H

#include <stddef.h>
#include <stdint.h>

#include "layer_pass.h"

struct occy_decoder_progress {
    uint64_t total_in, total_out;
    uint64_t offset;         /* of an error, in the source */
    uint64_t allowed, value; /* of a limit that was exceeded */
};

struct occy_decoder_kind {
    void *(*create)(const struct occy_pass_options *options); /* NULL when memory ends */
    void (*free)(void *decoder);                              /* NULL is allowed */
    /* Both as occy_inflate_step and occy_inflate_finish do it. */
    int (*step)(void *decoder, const uint8_t **src, size_t *src_len, uint8_t **dst, size_t *dst_len);
    int (*finish)(void *decoder);
    /* *status*: what step or finish returned last. */
    struct occy_decoder_progress (*progress)(const void *decoder, const struct occy_pass_options *options, int status);
};

/* NULL for OCCY_CODEC_NONE. */
const struct occy_decoder_kind *occy_decoder_kind_of(enum occy_codec codec);

#endif
