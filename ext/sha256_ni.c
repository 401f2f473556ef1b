/* SHA-256 with the SHA extensions of x86 (Intel Intrinsics Guide, family "SHA").
 *
 * The two-round instruction depends on its own result, four cycles each, 32 times a block: that chain is the
 * whole time, so everything else is written to run beside it.  State is kept as the instructions want it: two
 * registers, A B E F and C D G H from the highest lane down. */
#include "sha256.h"

#include "cpu.h"

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>

/* Four rounds: *words* are W[i..i+3]; each half of the sum with K feeds two rounds. */
#define FOUR_ROUNDS(words, i)                                                       \
    do {                                                                            \
        __m128i sum = _mm_add_epi32(words, _mm_load_si128((const __m128i *)&occy_sha256_k[i])); \
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);                              \
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));     \
    } while (0)

/* W[i..i+3] replaces W[i-16..i-13] in *w0*; *w1*, *w2*, *w3* are the groups after it. */
#define SCHEDULE(w0, w1, w2, w3)                                           \
    (w0 = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), \
                                             _mm_alignr_epi8(w3, w2, 4)),  \
                               w3))

__attribute__((target("sha,sse4.1,ssse3"))) static void blocks(uint32_t h[8], const uint8_t *data, size_t count)
{
    occy_vzeroupper();
    const __m128i big_endian = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);

    __m128i dcba = _mm_loadu_si128((const __m128i *)&h[0]);
    __m128i hgfe = _mm_loadu_si128((const __m128i *)&h[4]);
    __m128i abef = _mm_shuffle_epi32(_mm_unpacklo_epi64(hgfe, dcba), 0xb1);
    __m128i cdgh = _mm_shuffle_epi32(_mm_unpackhi_epi64(hgfe, dcba), 0xb1);

    for (; count; count--, data += 64) {
        const __m128i abef_before = abef, cdgh_before = cdgh;
        const __m128i *in = (const __m128i *)data;
        __m128i w0 = _mm_shuffle_epi8(_mm_loadu_si128(in + 0), big_endian);
        __m128i w1 = _mm_shuffle_epi8(_mm_loadu_si128(in + 1), big_endian);
        __m128i w2 = _mm_shuffle_epi8(_mm_loadu_si128(in + 2), big_endian);
        __m128i w3 = _mm_shuffle_epi8(_mm_loadu_si128(in + 3), big_endian);

        FOUR_ROUNDS(w0, 0);
        FOUR_ROUNDS(w1, 4);
        FOUR_ROUNDS(w2, 8);
        FOUR_ROUNDS(w3, 12);
        SCHEDULE(w0, w1, w2, w3);
        FOUR_ROUNDS(w0, 16);
        SCHEDULE(w1, w2, w3, w0);
        FOUR_ROUNDS(w1, 20);
        SCHEDULE(w2, w3, w0, w1);
        FOUR_ROUNDS(w2, 24);
        SCHEDULE(w3, w0, w1, w2);
        FOUR_ROUNDS(w3, 28);
        SCHEDULE(w0, w1, w2, w3);
        FOUR_ROUNDS(w0, 32);
        SCHEDULE(w1, w2, w3, w0);
        FOUR_ROUNDS(w1, 36);
        SCHEDULE(w2, w3, w0, w1);
        FOUR_ROUNDS(w2, 40);
        SCHEDULE(w3, w0, w1, w2);
        FOUR_ROUNDS(w3, 44);
        SCHEDULE(w0, w1, w2, w3);
        FOUR_ROUNDS(w0, 48);
        SCHEDULE(w1, w2, w3, w0);
        FOUR_ROUNDS(w1, 52);
        SCHEDULE(w2, w3, w0, w1);
        FOUR_ROUNDS(w2, 56);
        SCHEDULE(w3, w0, w1, w2);
        FOUR_ROUNDS(w3, 60);

        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }

    __m128i feba = _mm_shuffle_epi32(abef, 0x1b);
    __m128i hgdc = _mm_shuffle_epi32(cdgh, 0x1b);
    _mm_storeu_si128((__m128i *)&h[0], _mm_unpacklo_epi64(feba, hgdc));
    _mm_storeu_si128((__m128i *)&h[4], _mm_unpackhi_epi64(feba, hgdc));
}

occy_sha256_blocks *const occy_sha256_blocks_ni = blocks;

#else

occy_sha256_blocks *const occy_sha256_blocks_ni = 0;

#endif
