/* What this processor can do: asked once, answered from memory afterwards. */
#ifndef OCCY_CPU_H
#define OCCY_CPU_H

enum occy_cpu_feature {
    OCCY_CPU_SHA_NI = 1,   /* x86: SHA extensions together with SSE4.1 and SSSE3 */
    OCCY_CPU_ARM_SHA2 = 2  /* ARMv8: SHA-256 instructions */
};

/* The set of features as a union of the bits above.  Safe from any thread. */
unsigned occy_cpu(void);

#endif
