/* Streaming SHA-256 (FIPS 180-4, section 6.2).
 *
 * A state is plain memory: it needs no release, may be copied by assignment, and belongs to one thread.
 * sha256_scalar.c defines the function; sha256_ni.c and sha256_arm.c give the same bits faster. */
#ifndef OCCY_SHA256_H
#define OCCY_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum occy_sha256_variant {
    OCCY_SHA256_SCALAR = 0,
    OCCY_SHA256_NI = 1,
    OCCY_SHA256_ARM = 2,
    OCCY_SHA256_VARIANTS = 3
};

/* Fold *count* blocks of 64 bytes into *h*. */
typedef void occy_sha256_blocks(uint32_t h[8], const uint8_t *data, size_t count);

struct occy_sha256 {
    uint32_t h[8];
    uint64_t length;            /* bytes so far */
    occy_sha256_blocks *blocks; /* the variant this state was begun with */
    uint8_t block[64];          /* the unfinished block */
    unsigned used;              /* bytes of it that are set */
};

/* Begin with the variant that OCCY_FAST_KERNELS=sha256:NAME demands, else the fastest this processor has. */
void occy_sha256_init(struct occy_sha256 *state);

/* Begin with *variant*; return 0, or -1 with *state* untouched where the processor or the build lacks it. */
int occy_sha256_init_variant(struct occy_sha256 *state, enum occy_sha256_variant variant);

void occy_sha256_update(struct occy_sha256 *state, const void *data, size_t size);

/* Write the digest; *state* is spent until the next init. */
void occy_sha256_final(struct occy_sha256 *state, uint8_t digest[32]);

/* The variant occy_sha256_init chooses, whether *variant* can run here, and its name ("scalar", "ni", "arm"). */
enum occy_sha256_variant occy_sha256_chosen(void);
int occy_sha256_available(enum occy_sha256_variant variant);
const char *occy_sha256_name(enum occy_sha256_variant variant);

/* The round constants, aligned for vector loads. */
extern const uint32_t occy_sha256_k[64];

/* The variants themselves; those a build lacks are NULL. */
extern occy_sha256_blocks *const occy_sha256_blocks_scalar;
extern occy_sha256_blocks *const occy_sha256_blocks_ni;
extern occy_sha256_blocks *const occy_sha256_blocks_arm;

#endif
