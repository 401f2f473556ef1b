/* tar_state.h: the list of a tar's entries, in the form of kernels/entry_list.py. */
#include "tar_state.h"

#include <stdlib.h>

/* Bytes of list for each entry that is allowed, as entry_list.py has it. */
enum { ENTRY_SIZE = 32 };

/* A list grows by an eighth, which realloc moves without copying once it is large. */
static bool append(struct buffer *list, const void *bytes, size_t size)
{
    if (!occy_tar_reserve(list, size, list->length / 8 + STEP))
        return false;
    if (size != 0)
        memcpy(list->bytes + list->length, bytes, size);
    list->length += size;
    return true;
}

static bool append_number(struct buffer *list, uint64_t value)
{
    uint8_t packed[10];
    size_t length = 0;

    while (value >= 0x80) {
        packed[length++] = (uint8_t)(value & 0x7f) | 0x80;
        value >>= 7;
    }
    packed[length++] = (uint8_t)value;
    return append(list, packed, length);
}

static bool append_text(struct buffer *list, struct text text)
{
    return append_number(list, text.length) && append(list, text.at, text.length);
}

static size_t common(const uint8_t *one, const uint8_t *other, size_t most)
{
    size_t at = 0;

    for (uint64_t left, right; most - at >= sizeof left; at += sizeof left) {
        memcpy(&left, one + at, sizeof left);
        memcpy(&right, other + at, sizeof right);
        if (left != right)
            break;
    }
    while (at < most && one[at] == other[at])
        at++;
    return at;
}

/* Put the whole name, prefix and all, into scan->name, and return how much of it the one before began with. */
static bool take_name(struct occy_tar_scan *scan, const struct member *member, size_t *shared)
{
    struct buffer *name = &scan->entry_name;
    size_t prefix = member->prefix.length == 0 ? 0 : member->prefix.length + 1;
    size_t length = prefix + member->name.length, before = name->length;

    if (length > before && !occy_tar_reserve(name, length - before, STEP))
        return false;
    *shared = 0;
    if (prefix != 0) {
        size_t most = before < prefix - 1 ? before : prefix - 1;

        *shared = most == 0 ? 0 : common(name->bytes, member->prefix.at, most);
        memcpy(name->bytes, member->prefix.at, prefix - 1);
        if (*shared == prefix - 1 && before >= prefix && name->bytes[prefix - 1] == '/')
            *shared = prefix;
        name->bytes[prefix - 1] = '/';
    }
    if (*shared == prefix && before > prefix) {
        size_t most = before < length ? before - prefix : member->name.length;

        *shared += most == 0 ? 0 : common(name->bytes + prefix, member->name.at, most);
    }
    if (member->name.length != 0)
        memcpy(name->bytes + prefix, member->name.at, member->name.length);
    name->length = length;
    return true;
}

static bool is_xattr(const struct occy_tar_pax_record *record)
{
    struct text key = {record->key, record->key_size};

    return BEGINS(key, "SCHILY.xattr.") && record->value_size != 0;
}

/* Append the keys of the entry's extended attributes, behind their length. */
static bool append_xattrs(struct occy_tar_scan *scan, const struct member *member)
{
    const size_t prefix = sizeof "SCHILY.xattr." - 1;
    struct occy_tar_pax_record record;
    uint32_t numbers = 0;
    size_t at = 0, total = 0, size = member->type == 'g' ? 0 : scan->pax.length;
    bool first = true;

    while (at < size && occy_tar_pax_next(scan->pax.bytes, size, &at, &record, &numbers) == OCCY_TAR_PROBLEM_NONE)
        if (is_xattr(&record))
            total += record.key_size - prefix + 1;
    if (!append_number(&scan->entries, total == 0 ? 0 : total - 1))
        return false;
    at = numbers = 0;
    while (total != 0 && at < size &&
           occy_tar_pax_next(scan->pax.bytes, size, &at, &record, &numbers) == OCCY_TAR_PROBLEM_NONE) {
        if (!is_xattr(&record))
            continue;
        if ((!first && !append(&scan->entries, "", 1)) ||
            !append(&scan->entries, record.key + prefix, record.key_size - prefix))
            return false;
        first = false;
    }
    return true;
}

void occy_tar_scan_drop_entries(struct occy_tar_scan *scan)
{
    free(scan->entries.bytes);
    scan->entries = (struct buffer){NULL, 0, 0};
    scan->entries_dropped = true;
}

bool occy_tar_list_entry(struct occy_tar_scan *scan, const struct member *member)
{
    struct buffer *list = &scan->entries;
    uint64_t block = (uint64_t)member->at / BLOCK;
    size_t shared;

    if (scan->entries_dropped)
        return true;
    if (scan->progress.members >= scan->options.max_entries) {
        occy_tar_scan_drop_entries(scan);
        return true;
    }
    if (!take_name(scan, member, &shared) || !append(list, &member->type, 1) ||
        !append_number(list, block - scan->entry_block) || !append_number(list, shared) ||
        !append_text(list, (struct text){scan->entry_name.bytes + shared, scan->entry_name.length - shared}) ||
        !append_text(list, member->linkname) || !append_xattrs(scan, member))
        return false;
    scan->entry_block = block;
    if (list->length > (uint64_t)scan->options.max_entries * ENTRY_SIZE)
        occy_tar_scan_drop_entries(scan);
    return true;
}

bool occy_tar_scan_entries(const struct occy_tar_scan *scan, const uint8_t **bytes, size_t *size)
{
    *bytes = scan->entries.bytes;
    *size = scan->entries.length;
    return scan->options.max_entries != 0 && !scan->entries_dropped;
}
