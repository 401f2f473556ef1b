/* tar_state.h: how a scan ends, and what it hands out. */
#include "tar_state.h"

#include <assert.h>
#include <stdlib.h>

static_assert(sizeof(struct occy_tar_record) == 152, "tar_records.py unpacks this layout");

/* ---- errors --------------------------------------------------------------------------------- */

static int status_of(int problem)
{
    switch (problem) {
    case OCCY_TAR_PROBLEM_NONE:
        return OCCY_OK;
    case OCCY_TAR_CUT_HEADER:
    case OCCY_TAR_CUT_EXTENSION:
    case OCCY_TAR_CUT_SPARSE_MAP:
    case OCCY_TAR_CUT_CONTENT:
    case OCCY_TAR_CUT_PADDING:
    case OCCY_TAR_SPARSE_PAST_ENTRY:
        return OCCY_TAR_TRUNCATED;
    case OCCY_TAR_BAD_CHECKSUM:
        return OCCY_TAR_CHECKSUM;
    case OCCY_TAR_LONE_ZERO_BLOCK:
    case OCCY_TAR_SPARSE_DIALECT:
    case OCCY_TAR_DANGLING_EXTENSION:
        return OCCY_TAR_FORMAT;
    case OCCY_TAR_RECORD_LENGTH:
    case OCCY_TAR_RECORD_END:
    case OCCY_TAR_RECORD_EQUALS:
    case OCCY_TAR_RECORD_KEY:
    case OCCY_TAR_RECORD_NUL:
    case OCCY_TAR_RECORD_SPARSE_ORDER:
    case OCCY_TAR_PAX_UID:
    case OCCY_TAR_PAX_GID:
    case OCCY_TAR_PAX_TIME:
    case OCCY_TAR_PAX_SPARSE_SIZE:
    case OCCY_TAR_PAX_SPARSE_COUNT:
    case OCCY_TAR_PAX_SPARSE_NUMBER:
    case OCCY_TAR_PAX_NUMBER_SIGN:
        return OCCY_TAR_PAX;
    case OCCY_TAR_LIMIT_EXTENSION:
    case OCCY_TAR_LIMIT_SPARSE_MAP:
    case OCCY_TAR_LIMIT_EXTENSIONS:
        return OCCY_TAR_LIMIT;
    case OCCY_TAR_SPARSE_UNREFERENCED:
    case OCCY_TAR_TWO_EXTENSIONS:
    case OCCY_TAR_TWO_NAMES:
    case OCCY_TAR_TWO_LINKNAMES:
    case OCCY_TAR_TWO_RECORDS:
    case OCCY_TAR_GLOBAL_RECORD:
    case OCCY_TAR_DROPPED_EXTENSION:
    case OCCY_TAR_SIZE_WITHOUT_CONTENT:
    case OCCY_TAR_GNU_PREFIX:
    case OCCY_TAR_USTAR_VERSION:
    case OCCY_TAR_SOLARIS_HEADER:
    case OCCY_TAR_NUMBER_TAIL:
    case OCCY_TAR_SPARSE_VERSION:
    case OCCY_TAR_GNU_TIMES:
    case OCCY_TAR_VOLUME_LABEL:
    case OCCY_TAR_NOT_UTF8:
    case OCCY_TAR_EMPTY_RECORD:
    case OCCY_TAR_SIZE_BEFORE_NAME:
    case OCCY_TAR_HIDDEN_BYTES:
        return OCCY_TAR_AMBIGUOUS;
    default:
        return OCCY_TAR_HEADER;
    }
}

int occy_tar_fail(struct occy_tar_scan *scan, int problem, int64_t offset)
{
    scan->progress.problem = problem;
    scan->progress.error_offset = offset;
    return scan->progress.status = status_of(problem);
}

int occy_tar_over_limit(struct occy_tar_scan *scan, int problem, int64_t offset, int64_t allowed, int64_t value)
{
    scan->progress.allowed = allowed;
    scan->progress.value = value;
    return occy_tar_fail(scan, problem, offset);
}

int occy_tar_no_memory(struct occy_tar_scan *scan)
{
    scan->progress.error_offset = (int64_t)scan->progress.offset;
    return scan->progress.status = OCCY_NO_MEMORY;
}

/* ---- buffers -------------------------------------------------------------------------------- */

bool occy_tar_reserve(struct buffer *buffer, size_t more, size_t most_ahead)
{
    size_t needed = buffer->length + more, capacity, ahead;
    uint8_t *bytes;

    if (needed <= buffer->capacity)
        return true;
    ahead = buffer->capacity < most_ahead ? buffer->capacity : most_ahead;
    capacity = buffer->capacity + ahead;
    if (capacity < needed)
        capacity = needed;
    capacity = (capacity + 4095) & ~(size_t)4095;
    bytes = realloc(buffer->bytes, capacity);
    if (bytes == NULL)
        return false;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return true;
}

bool occy_tar_append(struct buffer *buffer, const void *bytes, size_t size)
{
    if (!occy_tar_reserve(buffer, size, STEP))
        return false;
    if (size != 0)
        memcpy(buffer->bytes + buffer->length, bytes, size);
    buffer->length += size;
    return true;
}

/* ---- entries -------------------------------------------------------------------------------- */

void occy_tar_forget_extensions(struct occy_tar_scan *scan)
{
    scan->start = -1;
    scan->extensions = 0;
    scan->kinds = 0;
    scan->format = OCCY_TAR_USTAR | OCCY_TAR_PAX_FORMAT | OCCY_TAR_GNU;
    if (scan->has_pax) {
        scan->has_pax = scan->has_sparse_key = scan->numbers_are_one_empty = false;
        scan->numbers = 0;
        memset(scan->slots, 0, sizeof scan->slots);
    }
    scan->pax.length = scan->longname.length = scan->longlink.length = 0;
    scan->map.length = scan->regions.length = 0;
    scan->map_blocks = scan->map_lines = 0;
    scan->map_count = -1;
    scan->region_count = 0;
    scan->region_end = scan->region_total = 0;
    scan->regions_wrong = false;
}

static uint8_t *put(uint8_t *to, const void *bytes, size_t size)
{
    if (size != 0)
        memcpy(to, bytes, size);
    return to + size;
}

static bool keep_record(struct occy_tar_scan *scan, const struct member *member, int64_t data_offset, uint64_t stored,
                        bool sparse)
{
    size_t prefix = member->prefix.length == 0 ? 0 : member->prefix.length + 1;
    size_t total = prefix + member->name.length + member->linkname.length + member->uname.length +
                   member->gname.length + scan->pax.length + scan->regions.length;
    struct occy_tar_record *record;
    uint8_t *to;

    if (!occy_tar_reserve(&scan->records, sizeof *record, SIZE_MAX / 4) || !occy_tar_reserve(&scan->texts, total, SIZE_MAX / 4))
        return false;
    record = (struct occy_tar_record *)(void *)(scan->records.bytes + scan->records.length);
    *record = (struct occy_tar_record){
        .start = scan->start,
        .header_offset = member->at,
        .data_offset = data_offset,
        .size = member->size,
        .stored = (int64_t)stored,
        .mode = member->mode,
        .uid = member->uid,
        .gid = member->gid,
        .mtime = member->mtime,
        .atime = member->atime,
        .ctime = member->ctime,
        .devmajor = member->devmajor,
        .devminor = member->devminor,
        .text = scan->texts.length,
        .name = (uint32_t)(prefix + member->name.length),
        .linkname = (uint32_t)member->linkname.length,
        .uname = (uint32_t)member->uname.length,
        .gname = (uint32_t)member->gname.length,
        .pax = (uint32_t)scan->pax.length,
        .regions = (uint32_t)scan->region_count,
        .mtime_ns = member->mtime_ns,
        .atime_ns = member->atime_ns,
        .ctime_ns = member->ctime_ns,
        .type = member->type,
        .format = scan->format & OCCY_TAR_USTAR ? OCCY_TAR_USTAR : scan->format,
        .flags = (uint8_t)(member->flags | (sparse ? OCCY_TAR_HAS_SPARSE : 0) | (scan->has_pax ? OCCY_TAR_HAS_PAX : 0)),
    };
    scan->records.length += sizeof *record;
    to = scan->texts.bytes + scan->texts.length;
    if (prefix != 0) {
        to = put(to, member->prefix.at, member->prefix.length);
        *to++ = '/';
    }
    to = put(to, member->name.at, member->name.length);
    to = put(to, member->linkname.at, member->linkname.length);
    to = put(to, member->uname.at, member->uname.length);
    to = put(to, member->gname.at, member->gname.length);
    to = put(to, scan->pax.bytes, scan->pax.length);
    (void)put(to, scan->regions.bytes, scan->regions.length);
    scan->texts.length += total;
    return true;
}

int occy_tar_hand_out(struct occy_tar_scan *scan, const struct member *member, int64_t data_offset, uint64_t stored,
                      bool sparse)
{
    if (scan->options.keep && !keep_record(scan, member, data_offset, stored, sparse))
        return occy_tar_no_memory(scan);
    if (scan->options.max_entries != 0 && !occy_tar_list_entry(scan, member))
        return occy_tar_no_memory(scan);
    scan->progress.members++;
    occy_tar_forget_extensions(scan);
    return OCCY_OK;
}
