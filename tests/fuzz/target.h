/* What every fuzz target needs: choices that follow from the input, buffers that end at a page nobody may touch, demands.
 *
 * An input is a plain tar, PAX body, gzip or zstd stream, so that any file of that kind is a seed.  How it is split is
 * decided by a generator that starts from its hash: the same input always runs the same way. */
#ifndef OCCY_FUZZ_TARGET_H
#define OCCY_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define DEMAND(holds)                                                                                                  \
    do {                                                                                                               \
        if (!(holds)) {                                                                                                \
            fprintf(stderr, "%s:%d: this does not hold: %s\n", __FILE__, __LINE__, #holds);                            \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

struct choices {
    uint64_t state;
};

static inline struct choices choices_of(const uint8_t *bytes, size_t size)
{
    struct choices made = {1469598103934665603u};
    for (size_t i = 0; i < size; i++)
        made.state = (made.state ^ bytes[i]) * 1099511628211u;
    made.state |= 1;
    return made;
}

static inline uint64_t choose(struct choices *choices)
{
    choices->state ^= choices->state << 13;
    choices->state ^= choices->state >> 7;
    choices->state ^= choices->state << 17;
    return choices->state * 2685821657736338717u >> 11;
}

/* A length from 1 to *most*, small ones as likely as large ones. */
static inline size_t choose_length(struct choices *choices, size_t most)
{
    size_t limit = (size_t)1 << choose(choices) % 18;
    size_t length = 1 + (size_t)(choose(choices) % limit);
    return length < most ? length : most;
}

/* *size* bytes, the last of them right before a page that neither C nor assembly can touch. */
struct guarded {
    uint8_t *pages;
    size_t mapped;
};

static inline uint8_t *guarded(struct guarded *area, size_t size)
{
    enum { PAGE = 4096 };
    size_t room = (size + PAGE - 1) / PAGE * PAGE;

    if (room + PAGE > area->mapped) {
        if (area->pages != NULL)
            DEMAND(munmap(area->pages, area->mapped) == 0);
        area->mapped = 2 * room + PAGE;
        area->pages = mmap(NULL, area->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        DEMAND(area->pages != MAP_FAILED);
        DEMAND(mprotect(area->pages + area->mapped - PAGE, PAGE, PROT_NONE) == 0);
    }
    return area->pages + area->mapped - PAGE - size;
}

#endif
