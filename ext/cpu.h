/* What this processor can do: asked once, answered from memory afterwards. */
#ifndef OCCY_CPU_H
#define OCCY_CPU_H

enum occy_cpu_feature {
    OCCY_CPU_SHA_NI = 1,   /* x86: SHA extensions together with SSE4.1 and SSSE3 */
    OCCY_CPU_ARM_SHA2 = 2, /* ARMv8: SHA-256 instructions */
    OCCY_CPU_AVX = 4,      /* x86: AVX, in the processor and in the operating system */
    OCCY_CPU_CRC32 = 8     /* CRC-32 instructions: x86's are part of SSE4.2, ARMv8's an extension */
};

/* The set of features as a union of the bits above.  Safe from any thread. */
unsigned occy_cpu(void);

/* Clear the upper halves of the vector registers, where there are any (vzeroupper).
 *
 * ISA-L's deflate and CRC leave them dirty, and every legacy SSE instruction that follows then waits for the register it
 * writes: SHA-NI ran at 63 % of its speed (1,130 against 1,825 MB/s, Zen 4).  So this stands behind each call into ISA-L,
 * and in front of the SHA-256 kernel, for whatever else has run on the thread.  No effect on any result. */
void occy_vzeroupper(void);

#endif
