/* Encode the same pieces under conditions that must not matter, and count the outputs that differ.
 *
 *     sameness vary CODEC LEVEL FILE LENGTHS RUNS SEED    pieces of FILE, RUNS times, each under other conditions
 *     sameness aim LEVEL FILE                             gzip, the stream where its address is a hash that matters
 *     sameness age LEVEL FILE JOBS                        zstd, an encoder that has made JOBS pieces before
 *
 * LENGTHS is a list as in 700,32768.  What varies: where the encoder, its tables, the input and the output lie, and how
 * they are aligned; what is in memory that the encoder was given and has not written, in the stack below it, in the
 * vector registers and in the bytes around the input; which pieces the same encoder made before; and the order.  Memory is
 * handed out by the functions below that stand in for malloc: link with --wrap.  Prints one line of "name value" pairs, and
 * one for each of the first few differences; the exit code is 1 where there are any. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpu.h"
#include "gzip_segments.h"
#include "zstd_jobs.h"

/* --------------------------------------------------------------------------------------------- chances */

static uint64_t chance_state = 1;

static uint64_t chance(void)
{
    chance_state ^= chance_state << 13;
    chance_state ^= chance_state >> 7;
    chance_state ^= chance_state << 17;
    return chance_state * 2685821657736338717u;
}

static uint64_t below(uint64_t limit)
{
    return (chance() >> 11) % limit;
}

static void die(const char *what)
{
    fprintf(stderr, "sameness: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* ---------------------------------------------------------------------------------------------- memory */

/* One mapping at a time, handed out from the front; nothing is given back before the whole of it. */
static struct {
    uint8_t *start;
    size_t size, used;
    int poison;          /* what fresh memory holds; -1: noise */
    size_t alignment;    /* beyond 16: what malloc promises */
    int varied;
} arena;

static void fill(uint8_t *memory, size_t size, int poison)
{
    if (poison >= 0) {
        memset(memory, poison, size);
        return;
    }
    uint64_t noise = chance() | 1;
    for (size_t i = 0; i + 8 <= size; i += 8) {
        noise = noise * 6364136223846793005u + 1442695040888963407u;
        memcpy(memory + i, &noise, 8);
    }
}

static uint8_t *map_at(uintptr_t address, size_t size)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (address ? MAP_FIXED_NOREPLACE : 0);
    void *found = mmap((void *)address, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    return found == MAP_FAILED ? NULL : found;
}

/* A mapping at a random address of the lower half, where programs live. */
static uint8_t *map_anywhere(size_t size)
{
    for (int tries = 0; tries < 100; tries++) {
        uint8_t *found = map_at((uintptr_t)0x10000000000u + ((uintptr_t)below(0x7e0000000u) << 12), size);
        if (found)
            return found;
    }
    die("mmap");
    return NULL;
}

static void arena_open(uint8_t *start, size_t size, int poison, size_t alignment, int varied)
{
    arena.start = start;
    arena.size = size;
    arena.used = 0;
    arena.poison = poison;
    arena.alignment = alignment;
    arena.varied = varied;
}

static void arena_close(void)
{
    munmap(arena.start, arena.size);
    arena.start = NULL;
}

static uint8_t *hand_out(size_t size, int zeroed)
{
    if (!arena.start || size > arena.size - arena.used - 8192)
        return NULL;
    size_t gap = arena.varied && arena.used ? 64 + 16 * (size_t)below(250) : 0;
    size_t at = (arena.used + gap + 63) / 64 * 64 + arena.alignment;
    if (at + size > arena.size)
        return NULL;
    if (arena.varied)
        fill(arena.start + arena.used, at - arena.used, arena.poison);
    if (!zeroed)        /* fresh pages are zero: what calloc promises */
        fill(arena.start + at, size, arena.poison);
    arena.used = at + size;
    return arena.start + at;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void __wrap_free(void *memory);

void *__wrap_malloc(size_t size)
{
    return arena.start ? hand_out(size, 0) : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return arena.start ? hand_out(count * size, 1) : __real_calloc(count, size);
}

void __wrap_free(void *memory)
{
    if (!arena.start || (uint8_t *)memory < arena.start || (uint8_t *)memory >= arena.start + arena.size)
        __real_free(memory);
}

/* ------------------------------------------------------------------------------- stack and registers */

__attribute__((noinline)) static void poison_stack(int poison)
{
    volatile uint8_t below_us[96 << 10];
    for (size_t i = 0; i < sizeof below_us; i++)
        below_us[i] = (uint8_t)(poison < 0 ? (int)(chance() >> 56) : poison);
}

#if defined(__x86_64__)
__attribute__((target("avx"), noinline)) static void poison_wide(const uint8_t noise[32])
{
    __asm__ volatile("vmovdqu (%0), %%ymm0\n\tvmovdqa %%ymm0, %%ymm1\n\tvmovdqa %%ymm0, %%ymm2\n\t"
                     "vmovdqa %%ymm0, %%ymm3\n\tvmovdqa %%ymm0, %%ymm4\n\tvmovdqa %%ymm0, %%ymm5\n\t"
                     "vmovdqa %%ymm0, %%ymm6\n\tvmovdqa %%ymm0, %%ymm7\n\tvmovdqa %%ymm0, %%ymm8\n\t"
                     "vmovdqa %%ymm0, %%ymm9\n\tvmovdqa %%ymm0, %%ymm10\n\tvmovdqa %%ymm0, %%ymm11\n\t"
                     "vmovdqa %%ymm0, %%ymm12\n\tvmovdqa %%ymm0, %%ymm13\n\tvmovdqa %%ymm0, %%ymm14\n\t"
                     "vmovdqa %%ymm0, %%ymm15"
                     :
                     : "r"(noise)
                     : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                       "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

/* Registers that a function may use without saving them, and that pass no argument of ours. */
static void poison_registers(void)
{
    uint8_t noise[32];
    fill(noise, sizeof noise, -1);
    if (occy_cpu() & OCCY_CPU_AVX)
        poison_wide(noise);
    __asm__ volatile("mov %0, %%r10\n\tmov %1, %%r11" : : "r"(chance()), "r"(chance()) : "r10", "r11");
}
#else
static void poison_registers(void) {}
#endif

/* --------------------------------------------------------------------------------------------- encoders */

struct piece {
    size_t start, length, history;
    int first, last;
    uint8_t *expected;
    size_t expected_size;
};

struct encoder {
    int gzip, level;
    struct occy_gzip_encoder *segments;
    struct occy_zstd_encoder *jobs;
};

static size_t bound_of(const struct encoder *encoder, size_t length)
{
    return encoder->gzip ? occy_gzip_bound(length) : occy_zstd_bound(length);
}

static void encoder_open(struct encoder *encoder)
{
    if (encoder->gzip)
        encoder->segments = occy_gzip_encoder_create(encoder->level);
    else
        encoder->jobs = occy_zstd_encoder_create(encoder->level);
    if (!encoder->segments && !encoder->jobs)
        die("no encoder");
}

static void encoder_close(struct encoder *encoder)
{
    occy_gzip_encoder_free(encoder->segments);
    occy_zstd_encoder_free(encoder->jobs);
    encoder->segments = NULL;
    encoder->jobs = NULL;
}

static size_t encode(struct encoder *encoder, const uint8_t *at, const struct piece *piece, uint8_t *target)
{
    size_t written = 0;
    uint32_t crc;
    size_t room = bound_of(encoder, piece->length);
    int status = encoder->gzip ? occy_gzip_segment(encoder->segments, at, piece->length, target, room, &written, &crc)
                               : occy_zstd_job(encoder->jobs, at, piece->history, piece->length, piece->first,
                                               piece->last, target, room, &written);
    if (status) {
        fprintf(stderr, "sameness: an encoder fails with status %d\n", status);
        exit(2);
    }
    return written;
}

/* ------------------------------------------------------------------------------------------- the content */

static uint8_t *content;
static size_t content_size;

static void read_content(const char *path)
{
    struct stat about;
    int file = open(path, O_RDONLY);
    if (file < 0 || fstat(file, &about))
        die(path);
    content_size = (size_t)about.st_size;
    content = mmap(NULL, content_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (content == MAP_FAILED)
        die(path);
    close(file);
}

/* Pieces of one length that lie side by side, as a layer is cut. */
static size_t cut(struct piece *pieces, size_t most, size_t length, const struct encoder *encoder)
{
    size_t count = 0;
    for (size_t start = 0; start < content_size && count < most; start += length, count++) {
        struct piece *piece = &pieces[count];
        memset(piece, 0, sizeof *piece);
        piece->start = start;
        piece->length = length < content_size - start ? length : content_size - start;
        if (!encoder->gzip) {
            piece->history = start < OCCY_ZSTD_HISTORY ? start : OCCY_ZSTD_HISTORY;
            piece->first = start == 0;
            piece->last = start + piece->length == content_size;
        }
    }
    return count;
}

static void expect(struct encoder *encoder, struct piece *piece)
{
    uint8_t *target = __real_malloc(bound_of(encoder, piece->length));
    encoder_open(encoder);
    piece->expected_size = encode(encoder, content + piece->start, piece, target);
    encoder_close(encoder);
    piece->expected = realloc(target, piece->expected_size + 1);
    if (!piece->expected)
        die("memory");
}

static unsigned long compared, differing;

static void compare(const struct piece *piece, const uint8_t *found, size_t size, const char *how)
{
    compared++;
    if (size == piece->expected_size && !memcmp(found, piece->expected, size))
        return;
    size_t at = 0, least = size < piece->expected_size ? size : piece->expected_size;
    while (at < least && found[at] == piece->expected[at])
        at++;
    if (differing++ < 5)
        printf("differs at %zu of %zu bytes, expected %zu: piece of %zu at %zu, %s\n", at, size, piece->expected_size,
               piece->length, piece->start, how);
}

static int report(void)
{
    printf("compared %lu differing %lu\n", compared, differing);
    return differing != 0;
}

/* ------------------------------------------------------------------------------------------------- vary */

#define MOST_PIECES 4096

/* A copy of the piece and its history with other bytes around it, at an odd address. */
static const uint8_t *placed(const struct piece *piece, uint8_t *room, int poison)
{
    size_t margin = 512 + (size_t)below(128);
    size_t whole = piece->history + piece->length;
    fill(room, margin, poison);
    memcpy(room + margin, content + piece->start - piece->history, whole);
    fill(room + margin + whole, 1024, poison);
    return room + margin + piece->history;
}

static int vary(struct encoder *encoder, char *lengths, unsigned long runs)
{
    static const int poisons[] = {0, 0xff, 0xa5, -1};
    static struct piece pieces[MOST_PIECES];
    size_t count = 0;
    for (char *word = strtok(lengths, ","); word; word = strtok(NULL, ",")) {
        size_t length = strtoull(word, NULL, 10);
        size_t share = length < 65536 ? 200 : MOST_PIECES;
        count += cut(pieces + count, MOST_PIECES - count < share ? MOST_PIECES - count : share, length, encoder);
    }
    size_t longest = 0;
    for (size_t i = 0; i < count; i++) {
        expect(encoder, &pieces[i]);
        if (pieces[i].length + pieces[i].history > longest)
            longest = pieces[i].length + pieces[i].history;
    }
    uint8_t *in = map_anywhere(longest + 4096), *out = map_anywhere(bound_of(encoder, longest) + 4096);
    /* a level's tables are of one size, and grow by nothing but what is handed out once more when parameters change */
    size_t size = encoder->gzip ? (size_t)1 << 20 : 3 * occy_zstd_encoder_size(encoder->level) + (8u << 20);
    for (unsigned long run = 0; run < runs;) {
        int poison = poisons[below(4)];
        char how[160];
        arena_open(map_anywhere(size), size, poison, 16 * (size_t)below(4), 1);
        poison_stack(poison);
        encoder_open(encoder);
        /* up to four pieces by one encoder: what it has done before is one of the conditions */
        for (unsigned long turn = 0, turns = 1 + below(4); turn < turns && run < runs; turn++, run++) {
            const struct piece *piece = &pieces[below(count)];
            const uint8_t *at = placed(piece, in, poison);
            uint8_t *target = out + below(128);
            fill(target, bound_of(encoder, piece->length), poison);
            poison_stack(poison);
            poison_registers();
            size_t written = encode(encoder, at, piece, target);
            snprintf(how, sizeof how, "run %lu, turn %lu, poison %d, encoder in %p, input %p", run, turn, poison,
                     (void *)arena.start, (const void *)at);
            compare(piece, target, written, how);
        }
        encoder_close(encoder);
        arena_close();
    }
    return report();
}

/* -------------------------------------------------------------------------------------------------- aim */

#if defined(__x86_64__)
/* ISA-L's hash of four bytes at levels 1 and 2 (igzip_checksums.h: crc32 of SSE4.2, masked). */
__attribute__((target("sse4.2"))) static uint32_t slot_of(uint32_t bytes, int level)
{
    return __builtin_ia32_crc32si(0, bytes) & (level == 1 ? 0x1fff : 0x7fff);
}

/* Put the stream where the hash of its address, from the 17th bit on, is that of the piece's first four bytes, forty times;
 * and forty times elsewhere. */
static int aim(struct encoder *encoder)
{
    struct piece piece = {.length = content_size < OCCY_GZIP_PIECE ? content_size : OCCY_GZIP_PIECE};
    uint8_t *target = __real_malloc(occy_gzip_bound(piece.length));
    uint32_t first;
    unsigned aimed = 0, elsewhere = 0;
    memcpy(&first, content, sizeof first);
    expect(encoder, &piece);
    for (uintptr_t high = 0x100; high < 0x7000000 && (aimed < 40 || elsewhere < 40); high++) {
        int hits = slot_of((uint32_t)high, encoder->level) == slot_of(first, encoder->level);
        unsigned *count = hits ? &aimed : &elsewhere;
        if (*count == 40)
            continue;
        uint8_t *start = map_at(high << 16, 1 << 20);
        if (!start)
            continue;
        arena_open(start, 1 << 20, 0, 0, 0);
        encoder_open(encoder);
        compare(&piece, target, encode(encoder, content, &piece, target), hits ? "aimed" : "elsewhere");
        encoder_close(encoder);
        arena_close();
        ++*count;
    }
    printf("aimed %u elsewhere %u ", aimed, elsewhere);
    return report();
}
#endif

/* -------------------------------------------------------------------------------------------------- age */

/* libzstd numbers the bytes an encoder has seen, and begins anew before the numbers end, at 3.5 GB. */
static int age(struct encoder *encoder, unsigned long jobs)
{
    static struct piece pieces[MOST_PIECES];
    size_t count = cut(pieces, MOST_PIECES, OCCY_ZSTD_PIECE, encoder);
    uint8_t *zeros = map_anywhere(OCCY_ZSTD_PIECE), *target = map_anywhere(occy_zstd_bound(OCCY_ZSTD_PIECE));
    const struct piece filler = {.length = OCCY_ZSTD_PIECE, .first = 1};
    for (size_t i = 0; i < count; i++)
        expect(encoder, &pieces[i]);
    encoder_open(encoder);
    for (unsigned long job = 0; job < jobs; job++) {
        if (job % 10) {
            encode(encoder, zeros, &filler, target);
            continue;
        }
        const struct piece *piece = &pieces[job / 10 % count];
        char how[64];
        snprintf(how, sizeof how, "after %lu pieces", job);
        compare(piece, target, encode(encoder, content + piece->start, piece, target), how);
    }
    encoder_close(encoder);
    return report();
}

int main(int count, char **words)
{
    struct encoder encoder = {0};
    if (count == 8 && !strcmp(words[1], "vary")) {
        encoder.gzip = !strcmp(words[2], "gzip");
        encoder.level = atoi(words[3]);
        read_content(words[4]);
        chance_state = strtoull(words[7], NULL, 10) * 2654435761u + 88172645463325252u;
        return vary(&encoder, words[5], strtoul(words[6], NULL, 10));
    }
#if defined(__x86_64__)
    if (count == 4 && !strcmp(words[1], "aim")) {
        encoder.gzip = 1;
        encoder.level = atoi(words[2]);
        read_content(words[3]);
        return aim(&encoder);
    }
#endif
    if (count == 5 && !strcmp(words[1], "age")) {
        encoder.level = atoi(words[2]);
        read_content(words[3]);
        return age(&encoder, strtoul(words[4], NULL, 10));
    }
    fprintf(stderr, "usage: see the head of sameness.c\n");
    return 2;
}
