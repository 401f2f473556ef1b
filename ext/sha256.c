#include "sha256.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"

static const char *const names[OCCY_SHA256_VARIANTS] = {"scalar", "ni", "arm"};

static occy_sha256_blocks *blocks_of(enum occy_sha256_variant variant)
{
    switch (variant) {
    case OCCY_SHA256_SCALAR:
        return occy_sha256_blocks_scalar;
    case OCCY_SHA256_NI:
        return occy_cpu() & OCCY_CPU_SHA_NI ? occy_sha256_blocks_ni : 0;
    case OCCY_SHA256_ARM:
        return occy_cpu() & OCCY_CPU_ARM_SHA2 ? occy_sha256_blocks_arm : 0;
    default:
        return 0;
    }
}

int occy_sha256_available(enum occy_sha256_variant variant)
{
    return blocks_of(variant) != 0;
}

const char *occy_sha256_name(enum occy_sha256_variant variant)
{
    return (unsigned)variant < OCCY_SHA256_VARIANTS ? names[variant] : 0;
}

/* The variant that "sha256:NAME" demands, among words parted by commas or blanks, or OCCY_SHA256_VARIANTS. */
static enum occy_sha256_variant demanded(void)
{
    static const char kernel[] = "sha256:", between[] = ", \t\n";
    const char *word = getenv("OCCY_FAST_KERNELS");
    while (word && *(word += strspn(word, between))) {
        size_t length = strcspn(word, between);
        if (length > sizeof kernel - 1 && !memcmp(word, kernel, sizeof kernel - 1)) {
            const char *name = word + sizeof kernel - 1;
            size_t name_length = length - (sizeof kernel - 1);
            for (int i = 0; i < OCCY_SHA256_VARIANTS; i++)
                if (strlen(names[i]) == name_length && !memcmp(names[i], name, name_length) && blocks_of(i))
                    return i;
        }
        word += length;
    }
    return OCCY_SHA256_VARIANTS;
}

static enum occy_sha256_variant choose(void)
{
    /* A demand that cannot be met fails the import of the package, so here it only has to lose. */
    enum occy_sha256_variant variant = demanded();
    if (variant != OCCY_SHA256_VARIANTS)
        return variant;
    /* MB/s on a Sapphire Rapids core: ni 1650, scalar 330; OpenSSL 1650. */
    if (blocks_of(OCCY_SHA256_NI))
        return OCCY_SHA256_NI;
    if (blocks_of(OCCY_SHA256_ARM))
        return OCCY_SHA256_ARM;
    return OCCY_SHA256_SCALAR;
}

enum occy_sha256_variant occy_sha256_chosen(void)
{
    /* Zero is "not asked yet".  Threads that arrive together choose the same thing twice. */
    static atomic_int chosen;
    int variant = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (!variant) {
        variant = (int)choose() + 1;
        atomic_store_explicit(&chosen, variant, memory_order_relaxed);
    }
    return variant - 1;
}

int occy_sha256_init_variant(struct occy_sha256 *state, enum occy_sha256_variant variant)
{
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    occy_sha256_blocks *blocks = blocks_of(variant);
    if (!blocks)
        return -1;
    memcpy(state->h, start, sizeof start);
    state->length = 0;
    state->blocks = blocks;
    state->used = 0;
    return 0;
}

void occy_sha256_init(struct occy_sha256 *state)
{
    (void)occy_sha256_init_variant(state, occy_sha256_chosen());
}

void occy_sha256_update(struct occy_sha256 *state, const void *data, size_t size)
{
    const uint8_t *in = data;
    if (!size)
        return;
    state->length += size;
    if (state->used) {
        size_t take = sizeof state->block - state->used;
        if (take > size)
            take = size;
        memcpy(state->block + state->used, in, take);
        state->used += (unsigned)take;
        in += take;
        size -= take;
        if (state->used < sizeof state->block)
            return;
        state->blocks(state->h, state->block, 1);
        state->used = 0;
    }
    if (size >= 64) {
        state->blocks(state->h, in, size / 64);
        in += size & ~(size_t)63;
        size &= 63;
    }
    if (size) {
        memcpy(state->block, in, size);
        state->used = (unsigned)size;
    }
}

static void store_be32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24), p[1] = (uint8_t)(v >> 16), p[2] = (uint8_t)(v >> 8), p[3] = (uint8_t)v;
}

void occy_sha256_final(struct occy_sha256 *state, uint8_t digest[32])
{
    uint64_t bits = state->length << 3;
    state->block[state->used++] = 0x80;
    if (state->used > 56) {
        memset(state->block + state->used, 0, 64 - state->used);
        state->blocks(state->h, state->block, 1);
        state->used = 0;
    }
    memset(state->block + state->used, 0, 56 - state->used);
    store_be32(state->block + 56, (uint32_t)(bits >> 32));
    store_be32(state->block + 60, (uint32_t)bits);
    state->blocks(state->h, state->block, 1);
    for (int i = 0; i < 8; i++)
        store_be32(digest + 4 * i, state->h[i]);
}
