/* pass_state.h: output to files, through the cache or past it. */
#define _GNU_SOURCE
#include "pass_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Write-back is started this often, so that the fsync which ends a blob finds little left to do. */
#define WRITE_BACK ((uint64_t)8 << 20)

/* Pages of the output need no place in the cache: the file is synced before it gets its name, and where pages are dear
 * (a virtual machine whose host takes free memory back) filling them costs more than compressing does: a gigabyte is
 * written and synced in 1.5 to 2.5 s this way, with 0.4 to 0.9 s of processor time, and in 3.5 to 4.7 s with 2.4 to 3.8 s
 * through the cache (Sapphire Rapids, Firecracker, ext4).  Whole blocks go past the cache, the ends through it; the
 * two never share a page. */
#define WORTH_IT ((size_t)64 << 10)

/* Write all of *bytes*; false, with the error in *result*, where that fails. */
static bool write_at(int fd, const uint8_t *bytes, size_t length, int64_t position, struct stage_result *result)
{
    while (length > 0) {
        ssize_t put = pwrite(fd, bytes, length, position);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            result->status = OCCY_WRITE;
            result->error_number = put < 0 ? errno : ENOSPC;
            result->offset = position;
            return false;
        }
        bytes += put;
        length -= (size_t)put;
        position += put;
    }
    return true;
}

/* Add as much of *bytes* as the buffer that is being filled has room for; how much. */
static size_t fill_buffer(struct occy_pass *pass, const uint8_t *bytes, size_t length, int64_t position)
{
    struct write_buffer *buffer = &pass->buffers[pass->buffer];
    size_t room = ENCODED_MAX - buffer->length, more = room < length ? room : length;

    if (buffer->length == 0)
        buffer->position = position;
    memcpy(buffer->bytes + buffer->length, bytes, more);
    buffer->length += more;
    if (buffer->length == ENCODED_MAX) {
        buffer->full = true;
        pass->buffer = 1 - pass->buffer;
    }
    return more;
}

/* Collect *bytes* for the writer; that there is room was seen before. */
static void collect(struct occy_pass *pass, const uint8_t *bytes, size_t length, struct stage_result *result)
{
    int64_t position = pass->options.sink_offset + (int64_t)pass->sink_position;

    result->amount = length;
    while (length > 0) {
        size_t past_block = (size_t)position % BLOCK, more;
        if (pass->buffers[pass->buffer].length == 0 && past_block != 0) {
            more = BLOCK - past_block < length ? BLOCK - past_block : length;
            if (!write_at(pass->options.sink_fd, bytes, more, position, result))
                return;
        } else {
            more = fill_buffer(pass, bytes, length, position);
        }
        bytes += more;
        length -= more;
        position += (int64_t)more;
    }
}

void occy_pass_write(struct occy_pass *pass, const uint8_t *bytes, size_t length, struct stage_result *result)
{
    int64_t position = pass->options.sink_offset + (int64_t)pass->sink_position;
    uint64_t reached = pass->sink_position + length;

    if (pass->direct_fd >= 0) {
        collect(pass, bytes, length, result);
        return;
    }
    if (!write_at(pass->options.sink_fd, bytes, length, position, result))
        return;
    result->amount = length;
    if (reached - pass->written_back >= WRITE_BACK) {
        /* a hint: where the file system has no such thing, fsync does all the work */
        (void)sync_file_range(pass->options.sink_fd, pass->options.sink_offset + (int64_t)pass->written_back,
                              (int64_t)(reached - pass->written_back), SYNC_FILE_RANGE_WRITE);
        pass->written_back = reached;
    }
}

void occy_pass_write_buffer(struct occy_pass *pass, const struct write_buffer *buffer, struct stage_result *result)
{
    size_t whole = buffer->length / BLOCK * BLOCK, put = 0;

    while (whole >= WORTH_IT && put < whole) {
        ssize_t got = pwrite(pass->direct_fd, buffer->bytes + put, whole - put, buffer->position + (int64_t)put);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || (size_t)got % BLOCK != 0)
            break; /* whatever is wrong, the cache can take the rest, or says what it is */
        put += (size_t)got;
    }
    (void)write_at(pass->options.sink_fd, buffer->bytes + put, buffer->length - put, buffer->position + (int64_t)put,
                   result);
}

/* ---- the write buffers ------------------------------------------------------------------------- */

/* Open the sink a second time, past the cache, where its file system says that this works in blocks of ours. */
static int open_direct(int fd)
{
#ifdef STATX_DIOALIGN
    char path[32];
    struct statx status;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) != 0 || !(status.stx_mask & STATX_DIOALIGN) ||
        status.stx_dio_offset_align == 0 || BLOCK % status.stx_dio_offset_align != 0 ||
        status.stx_dio_mem_align == 0 || BLOCK % status.stx_dio_mem_align != 0)
        return -1;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);
#else
    (void)fd;
    return -1;
#endif
}

void occy_pass_prepare_writing(struct occy_pass *pass)
{
    uint8_t *memory;

    pass->direct_fd = -1;
    if (pass->options.sink_fd < 0 || pass->options.output == OCCY_OUTPUT_NOTHING)
        return;
    pass->direct_fd = open_direct(pass->options.sink_fd);
    if (pass->direct_fd < 0)
        return;
    memory = mmap(NULL, 2 * ENCODED_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        close(pass->direct_fd);
        pass->direct_fd = -1;
        return;
    }
    pass->buffers[0].bytes = memory;
    pass->buffers[1].bytes = memory + ENCODED_MAX;
}

void occy_pass_release_writing(struct occy_pass *pass)
{
    if (pass->direct_fd < 0)
        return;
    munmap(pass->buffers[0].bytes, 2 * ENCODED_MAX);
    close(pass->direct_fd);
    pass->direct_fd = -1;
}

bool occy_pass_has_room(const struct occy_pass *pass, size_t length)
{
    const struct write_buffer *now = &pass->buffers[pass->buffer], *other = &pass->buffers[1 - pass->buffer];
    if (pass->direct_fd < 0)
        return true;
    return !now->ready && (ENCODED_MAX - now->length > length || !other->ready);
}

void occy_pass_give_to_writer(struct occy_pool *pool, struct occy_pass *pass)
{
    int i;
    for (i = 0; i < 2; i++) {
        if (pass->buffers[i].full) {
            pass->buffers[i].full = false;
            pass->buffers[i].ready = true;
            pthread_cond_signal(&pool->to_write);
        }
    }
}

bool occy_pass_is_written(struct occy_pool *pool, struct occy_pass *pass)
{
    struct write_buffer *rest = &pass->buffers[pass->buffer];
    if (pass->direct_fd < 0)
        return true;
    if (rest->length > 0 && !rest->ready) {
        rest->ready = true;
        pthread_cond_signal(&pool->to_write);
    }
    return !pass->buffers[0].ready && !pass->buffers[1].ready;
}
