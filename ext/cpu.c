#include "cpu.h"

#include <stdatomic.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

static unsigned detect(void)
{
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx))
        return 0;
    int vector = (ecx & bit_SSSE3) && (ecx & bit_SSE4_1);
    unsigned features = ecx & bit_SSE4_2 ? OCCY_CPU_CRC32 : 0;
    if ((ecx & bit_OSXSAVE) && (ecx & bit_AVX)) {
        /* what the operating system saves when it switches threads: bits 1 and 2, the lower and the upper halves */
        unsigned low, high;
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        if ((low & 6) == 6)
            features |= OCCY_CPU_AVX;
    }
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && vector && (ebx & (1u << 29)))
        features |= OCCY_CPU_SHA_NI;
    return features;
}

__attribute__((target("avx"))) static void zero_upper_halves(void)
{
    __asm__ volatile("vzeroupper" ::: "memory");
}

void occy_vzeroupper(void)
{
    if (occy_cpu() & OCCY_CPU_AVX)
        zero_upper_halves();
}

#else

void occy_vzeroupper(void) {}

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>

static unsigned detect(void)
{
    unsigned long found = getauxval(AT_HWCAP);
    return (found & HWCAP_SHA2 ? OCCY_CPU_ARM_SHA2 : 0) | (found & HWCAP_CRC32 ? OCCY_CPU_CRC32 : 0);
}

#elif defined(__aarch64__) && defined(__APPLE__)

static unsigned detect(void)
{
    return OCCY_CPU_ARM_SHA2 | OCCY_CPU_CRC32; /* every processor that runs this system has them */
}

#else

static unsigned detect(void)
{
    return 0;
}

#endif
#endif

#define KNOWN 0x80000000u

unsigned occy_cpu(void)
{
    /* Threads that arrive together detect the same thing twice: relaxed order is enough. */
    static atomic_uint known;
    unsigned features = atomic_load_explicit(&known, memory_order_relaxed);
    if (!(features & KNOWN)) {
        features = detect() | KNOWN;
        atomic_store_explicit(&known, features, memory_order_relaxed);
    }
    return features & ~KNOWN;
}
