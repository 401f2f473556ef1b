/* The fused pass: fed and drained in any pieces, it says what its kernels say one after the other. */
#include "target.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "inflate.h"
#include "layer_pass.h"
#include "sha256.h"
#include "status.h"
#include "tar_scan.h"
#include "unzstd.h"

enum { MOST = 4 << 20, PATIENCE = 8000 };

struct expected {
    int status, problem;
    int64_t offset;
    size_t length;
};

static int decode(enum occy_codec codec, const uint8_t *bytes, size_t size, uint8_t *tar, struct expected *expected)
{
    uint8_t *to = tar;
    size_t left = size, room = MOST;
    int status;

    if (codec == OCCY_CODEC_GZIP) {
        struct occy_inflate *inflate = occy_inflate_create(NULL);
        status = occy_inflate_step(inflate, &bytes, &left, &to, &room);
        if (status == OCCY_OK && room > 0)
            status = occy_inflate_finish(inflate);
        expected->offset = (int64_t)occy_inflate_progress(inflate)->offset;
        occy_inflate_free(inflate);
    } else {
        struct occy_unzstd_limits limits = {23};
        struct occy_unzstd *unzstd = occy_unzstd_create(&limits);
        status = occy_unzstd_step(unzstd, &bytes, &left, &to, &room);
        if (status == OCCY_OK && room > 0)
            status = occy_unzstd_finish(unzstd);
        expected->offset = (int64_t)occy_unzstd_progress(unzstd)->offset;
        occy_unzstd_free(unzstd);
    }
    expected->length = MOST - room;
    return room > 0 ? status : OCCY_BOMB; /* more than is looked at here */
}

static enum occy_codec sniffed(const uint8_t *bytes, size_t size)
{
    if (size > 1 && bytes[0] == 0x1f && bytes[1] == 0x8b)
        return OCCY_CODEC_GZIP;
    if (size > 3 && (memcmp(bytes, "\x28\xb5\x2f\xfd", 4) == 0 || memcmp(bytes + 1, "\x2a\x4d\x18", 3) == 0))
        return OCCY_CODEC_ZSTD;
    return OCCY_CODEC_NONE;
}

/* Feed and drain until it ends; how many bytes came out. */
static size_t drive(struct occy_pool *pool, struct occy_pass *pass, const uint8_t *bytes, size_t size, uint8_t *output,
                    size_t room, struct choices *choices)
{
    size_t at = 0, length = 0;
    int over = 0;

    while (!occy_pass_ended(pass)) {
        struct pollfd event = {occy_pool_event_fd(pool), POLLIN, 0};
        size_t moved = 0, more;
        uint64_t events;

        if (at < size) {
            moved = occy_pass_feed(pass, bytes + at, choose_length(choices, size - at));
            at += moved;
        } else if (!over) {
            over = occy_pass_end_feed(pass);
            moved = (size_t)over;
        }
        while ((more = occy_pass_drain(pass, output + length, choose_length(choices, room - length))) > 0) {
            length += more;
            moved += more;
            DEMAND(length < room);
        }
        if (moved == 0 && !occy_pass_ended(pass)) {
            int ready;
            do
                ready = poll(&event, 1, PATIENCE);
            while (ready < 0 && errno == EINTR); /* the fuzzer has an alarm */
            DEMAND(ready == 1); /* else nothing happens any more */
            if (read(event.fd, &events, sizeof events) < 0)
                continue;
        }
    }
    return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct occy_pool *pool;
    static uint8_t *tar, *output, *again;
    struct choices choices = choices_of(bytes, size);
    struct occy_pass_options options = {.decode = sniffed(bytes, size), .source_fd = -1, .source_size = -1};
    struct expected expected = {.status = OCCY_OK}, unread = {.status = OCCY_OK};
    const struct occy_pass_result *result;
    struct occy_pass *pass;
    size_t length;

    if (pool == NULL) {
        pool = occy_pool_create(2);
        tar = malloc(MOST);
        output = malloc(MOST + (MOST >> 3) + 4096);
        again = malloc(MOST);
        DEMAND(pool != NULL && tar != NULL && output != NULL && again != NULL);
    }
    if (size > MOST / 2)
        return 0;
    options.sink_fd = -1;
    options.window_log_max = 23;
    options.max_tar = MOST - 1;
    options.max_header = 64 << 10;
    options.max_extension = options.max_sparse_map = 1 << 20;
    options.max_extensions = 16;
    options.scan_tar = (int)(choose(&choices) % 3);
    options.output = (enum occy_output)(choose(&choices) % 4);
    if (options.output == OCCY_OUTPUT_ENCODED) {
        options.encode = OCCY_CODEC_GZIP;
        options.level = 1 + (int)(choose(&choices) % 2);
    }
    pass = occy_pass_start(pool, &options);
    DEMAND(pass != NULL);
    if (choose(&choices) % 64 == 0) { /* given up half way */
        (void)occy_pass_feed(pass, bytes, size / 2);
        if (choose(&choices) % 2)
            occy_pass_cancel(pass);
        occy_pass_free(pass);
        return 0;
    }
    length = drive(pool, pass, bytes, size, output, MOST + (MOST >> 3) + 4096, &choices);
    result = occy_pass_result_of(pass);

    if (options.decode == OCCY_CODEC_NONE) {
        memcpy(tar, bytes, size);
        expected.length = size;
    } else {
        expected.status = decode(options.decode, bytes, size, tar, &expected);
    }
    if (expected.status == OCCY_OK && options.scan_tar) {
        struct occy_tar_scan *scan = occy_tar_scan_create(options.scan_tar > 1);
        expected.status = occy_tar_scan_check(scan, tar, expected.length, 1, &expected.offset);
        expected.problem = occy_tar_scan_progress(scan)->problem;
        occy_tar_scan_free(scan);
    }
    DEMAND(result->status == expected.status || expected.status == OCCY_BOMB);
    if (expected.status == OCCY_OK) {
        struct occy_sha256 sha;
        uint8_t digest[32];

        DEMAND(result->tar_size == expected.length && result->source_size == size);
        occy_sha256_init(&sha);
        occy_sha256_update(&sha, tar, expected.length);
        occy_sha256_final(&sha, digest);
        DEMAND(memcmp(digest, result->tar_digest, sizeof digest) == 0);
        if (options.output == OCCY_OUTPUT_SOURCE)
            DEMAND(length == size && memcmp(output, bytes, size) == 0);
        if (options.output == OCCY_OUTPUT_TAR)
            DEMAND(length == expected.length && memcmp(output, tar, length) == 0);
        if (options.output == OCCY_OUTPUT_ENCODED) {
            DEMAND(length == result->output_size);
            DEMAND(decode(OCCY_CODEC_GZIP, output, length, again, &unread) == OCCY_OK);
            DEMAND(unread.length == expected.length && memcmp(again, tar, unread.length) == 0);
        }
    } else if (expected.status != OCCY_BOMB) {
        DEMAND(result->offset == expected.offset && result->problem == expected.problem);
    }
    occy_pass_free(pass);
    return 0;
}
