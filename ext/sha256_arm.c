/* SHA-256 with the cryptography instructions of ARMv8 (Arm C Language Extensions, "SHA256"). */
#include "sha256.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#if defined(__clang__)
#define WITH_SHA2 __attribute__((target("sha2")))
#else
#define WITH_SHA2 __attribute__((target("+crypto")))
#endif

/* Four rounds: *words* are W[i..i+3].  The second instruction needs the state before the first. */
#define FOUR_ROUNDS(words, i)                                              \
    do {                                                                   \
        uint32x4_t sum = vaddq_u32(words, vld1q_u32(&occy_sha256_k[i]));   \
        uint32x4_t before = abcd;                                          \
        abcd = vsha256hq_u32(abcd, efgh, sum);                             \
        efgh = vsha256h2q_u32(efgh, before, sum);                          \
    } while (0)

/* W[i..i+3] replaces W[i-16..i-13] in *w0*; *w1*, *w2*, *w3* are the groups after it. */
#define SCHEDULE(w0, w1, w2, w3) (w0 = vsha256su1q_u32(vsha256su0q_u32(w0, w1), w2, w3))

WITH_SHA2 static void blocks(uint32_t h[8], const uint8_t *data, size_t count)
{
    uint32x4_t abcd = vld1q_u32(&h[0]), efgh = vld1q_u32(&h[4]);

    for (; count; count--, data += 64) {
        const uint32x4_t abcd_before = abcd, efgh_before = efgh;
        uint32x4_t w0 = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(data)));
        uint32x4_t w1 = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(data + 16)));
        uint32x4_t w2 = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(data + 32)));
        uint32x4_t w3 = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(data + 48)));

        FOUR_ROUNDS(w0, 0);
        FOUR_ROUNDS(w1, 4);
        FOUR_ROUNDS(w2, 8);
        FOUR_ROUNDS(w3, 12);
        for (int i = 16; i < 64; i += 16) {
            SCHEDULE(w0, w1, w2, w3);
            FOUR_ROUNDS(w0, i);
            SCHEDULE(w1, w2, w3, w0);
            FOUR_ROUNDS(w1, i + 4);
            SCHEDULE(w2, w3, w0, w1);
            FOUR_ROUNDS(w2, i + 8);
            SCHEDULE(w3, w0, w1, w2);
            FOUR_ROUNDS(w3, i + 12);
        }

        abcd = vaddq_u32(abcd, abcd_before);
        efgh = vaddq_u32(efgh, efgh_before);
    }

    vst1q_u32(&h[0], abcd);
    vst1q_u32(&h[4], efgh);
}

occy_sha256_blocks *const occy_sha256_blocks_arm = blocks;

#else

occy_sha256_blocks *const occy_sha256_blocks_arm = 0;

#endif
