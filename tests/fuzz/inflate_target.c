/* gzip: a stream says the same in one piece and in any number of them, into any room, and nothing beyond is touched. */
#include "target.h"

#include <isa-l/igzip_lib.h>

#include "crc.h"
#include "inflate.h"
#include "status.h"

enum { MOST = 1 << 20 };

struct decoded {
    int status;
    struct occy_inflate_progress progress;
    size_t length;
};

static struct decoded decode(const uint8_t *bytes, size_t size, uint8_t *output, const struct occy_inflate_limits *limits,
                             struct choices *choices)
{
    static struct guarded source_area, target_area;
    struct occy_inflate *inflate = occy_inflate_create(limits);
    struct decoded found = {.status = OCCY_OK};
    size_t at = 0, steps = 0;

    DEMAND(inflate != NULL);
    while (found.length < MOST) {
        size_t given = choices == NULL ? size - at : choose_length(choices, size - at), left = given;
        size_t room = choices == NULL ? MOST - found.length : choose_length(choices, MOST - found.length), over = room;
        uint8_t *target = guarded(&target_area, room), *to = target;
        uint8_t *source = guarded(&source_area, given);
        const uint8_t *from = source;

        if (given != 0)
            memcpy(source, bytes + at, given);
        found.status = occy_inflate_step(inflate, &from, &left, &to, &over);
        DEMAND(from == source + given - left && to == target + room - over);
        memcpy(output + found.length, target, room - over);
        found.length += room - over;
        at += given - left;
        if (found.status != OCCY_OK)
            break;
        DEMAND(left == 0 || over == 0);
        DEMAND(++steps <= 4 * (size + MOST) + 64);
        if (at == size && over > 0) {
            found.status = occy_inflate_finish(inflate);
            break;
        }
    }
    found.progress = *occy_inflate_progress(inflate);
    DEMAND(found.progress.total_out == found.length && found.progress.total_in <= size);
    if (found.length == MOST && found.status == OCCY_OK)
        found.status = OCCY_BOMB; /* more than is looked at here */
    else
        DEMAND(found.status != OCCY_OK || found.progress.total_in == size);
    DEMAND(found.status == OCCY_OK || found.status == OCCY_BOMB || found.progress.offset <= size);
    occy_inflate_free(inflate);
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static uint8_t *one, *other;
    struct choices choices = choices_of(bytes, size);
    struct occy_inflate_limits limits = {choose(&choices) % 4 ? OCCY_INFLATE_MAX_HEADER : 10 + (uint32_t)choose(&choices) % 64};
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
    DEMAND(whole.progress.members == split.progress.members);
    if (whole.status == OCCY_OK)
        DEMAND(whole.length == split.length && whole.progress.padding == split.progress.padding);
    else
        DEMAND(whole.progress.offset == split.progress.offset);
    return 0;
}

#ifdef OCCY_FUZZ
/* Most damage must be before a trailer that is right, or nothing behind it is looked at. */

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t most, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t most, unsigned seed)
{
    static uint8_t *made;
    static struct inflate_state state;
    struct choices choices = {((uint64_t)seed << 1) | 1};
    size_t end;

    if (made == NULL)
        made = malloc(MOST);
    DEMAND(made != NULL);
    size = LLVMFuzzerMutate(bytes, size, most);
    if (size < 12 || choose(&choices) % 4 == 0)
        return size;
    memcpy(bytes, "\x1f\x8b\x08", 3);
    if (bytes[3] != 0) {
        bytes[3] &= 0x1f;
        return size;
    }
    isal_inflate_init(&state);
    state.next_in = bytes + 10;
    state.avail_in = (uint32_t)(size - 10);
    state.next_out = made;
    state.avail_out = MOST;
    if (isal_inflate(&state) != ISAL_DECOMP_OK || state.block_state != ISAL_BLOCK_FINISH)
        return size;
    end = (size_t)(state.next_in - bytes);
    if (end + 8 > most)
        return size;
    for (int i = 0; i < 4; i++) {
        bytes[end + (size_t)i] = (uint8_t)(occy_crc32(0, made, MOST - state.avail_out) >> (8 * i));
        bytes[end + 4 + (size_t)i] = (uint8_t)((MOST - state.avail_out) >> (8 * i));
    }
    return size > end + 8 ? size : end + 8;
}
#endif
