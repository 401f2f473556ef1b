/* zstd: a stream says the same in one piece and in any number of them, and what is accepted libzstd reads alike. */
#include "target.h"

#include <zstd.h>

#include "status.h"
#include "unzstd.h"

enum { MOST = 1 << 20 };

struct decoded {
    int status;
    struct occy_unzstd_progress progress;
    size_t length;
};

static struct decoded decode(const uint8_t *bytes, size_t size, uint8_t *output, const struct occy_unzstd_limits *limits,
                             struct choices *choices)
{
    static struct guarded source_area, target_area;
    struct occy_unzstd *unzstd = occy_unzstd_create(limits);
    struct decoded found = {.status = OCCY_OK};
    size_t at = 0, steps = 0;

    DEMAND(unzstd != NULL);
    while (found.length < MOST) {
        size_t given = choices == NULL ? size - at : choose_length(choices, size - at), left = given;
        size_t room = choices == NULL ? MOST - found.length : choose_length(choices, MOST - found.length), over = room;
        uint8_t *target = guarded(&target_area, room), *to = target;
        uint8_t *source = guarded(&source_area, given);
        const uint8_t *from = source;

        if (given != 0)
            memcpy(source, bytes + at, given);
        found.status = occy_unzstd_step(unzstd, &from, &left, &to, &over);
        DEMAND(from == source + given - left && to == target + room - over);
        memcpy(output + found.length, target, room - over);
        found.length += room - over;
        at += given - left;
        if (found.status != OCCY_OK)
            break;
        DEMAND(left == 0 || over == 0);
        DEMAND(++steps <= 4 * (size + MOST) + 64);
        if (at == size && over > 0) {
            found.status = occy_unzstd_finish(unzstd);
            break;
        }
    }
    found.progress = *occy_unzstd_progress(unzstd);
    DEMAND(found.progress.total_out == found.length && found.progress.total_in <= size);
    if (found.length == MOST && found.status == OCCY_OK)
        found.status = OCCY_BOMB; /* more than is looked at here */
    else
        DEMAND(found.status != OCCY_OK || found.progress.total_in == size);
    DEMAND(found.status == OCCY_OK || found.status == OCCY_BOMB || found.progress.offset <= size);
    occy_unzstd_free(unzstd);
    return found;
}

/* A compressed block of no bytes breaks the format; libzstd minds only where it decodes a whole buffer at once. */
static int has_an_empty_compressed_block(const uint8_t *bytes, size_t size)
{
    static const unsigned id_size[4] = {0, 1, 2, 4}, content_size[4] = {0, 2, 4, 8};
    size_t at = 0;

    while (at + 8 < size) {
        unsigned descriptor = bytes[at + 4], block, last = 0;

        if ((bytes[at] & 0xf0) == 0x50) {
            at += 8 + ((size_t)bytes[at + 4] | (size_t)bytes[at + 5] << 8 | (size_t)bytes[at + 6] << 16 |
                       (size_t)bytes[at + 7] << 24);
            continue;
        }
        at += 5 + !(descriptor & 32) + id_size[descriptor & 3] + content_size[descriptor >> 6];
        at += (descriptor & 32) && !(descriptor >> 6);
        for (; !last && at + 3 <= size; at += 3 + (block >> 1 == 1 ? 1 : block >> 3)) {
            block = (unsigned)bytes[at] | (unsigned)bytes[at + 1] << 8 | (unsigned)bytes[at + 2] << 16;
            if (block >> 1 == 2)
                return 1;
            last = block & 1;
            block = (block >> 1 & 3) == 1 ? 2 : block & ~7u;
        }
        at += descriptor & 4;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static uint8_t *one, *other;
    struct choices choices = choices_of(bytes, size);
    struct occy_unzstd_limits limits = {10 + (uint32_t)choose(&choices) % 14};
    struct decoded whole, split;
    size_t common;

    if (one == NULL) {
        one = malloc(MOST);
        other = malloc(MOST);
        DEMAND(one != NULL && other != NULL);
    }
    whole = decode(bytes, size, one, &limits, NULL);
    split = decode(bytes, size, other, &limits, &choices);
    common = whole.length < split.length ? whole.length : split.length;
    DEMAND(memcmp(one, other, common) == 0);
    if (whole.status == OCCY_BOMB || split.status == OCCY_BOMB)
        return 0; /* a step that sees what is wrong behind the limit keeps back all it has made */
    DEMAND(whole.status == split.status);
    DEMAND(whole.progress.frames == split.progress.frames && whole.progress.skipped == split.progress.skipped);
    DEMAND(whole.progress.window == split.progress.window);
    if (whole.status == OCCY_OK) {
        DEMAND(whole.length == split.length);
        if (!has_an_empty_compressed_block(bytes, size)) {
            DEMAND(ZSTD_decompress(other, MOST, bytes, size) == whole.length);
            DEMAND(memcmp(one, other, whole.length) == 0);
        }
    } else {
        DEMAND(whole.progress.offset == split.progress.offset);
    }
    return 0;
}
