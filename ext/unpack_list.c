/* unpack_state.h: the entries of a list, in the form of kernels/entry_list.py. */
#include "unpack_state.h"

#include <stdlib.h>

enum { BLOCK = 512 };

static bool read_number(struct occy_unpack_reader *reader, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
        uint8_t byte = *reader->at++;

        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool read_text(struct occy_unpack_reader *reader, struct text *text)
{
    uint64_t size;

    if (!read_number(reader, &size) || size > (uint64_t)(reader->end - reader->at))
        return false;
    *text = (struct text){reader->at, (size_t)size};
    reader->at += size;
    return true;
}

/* The name is what it shares with the one before, and the rest; a list is never shorter than what it adds up to. */
static bool put_name(struct occy_unpack_reader *reader, size_t shared, struct text rest)
{
    size_t size = shared + rest.size;

    if (size > reader->name_room) {
        size_t room = size + size / 2;
        uint8_t *name = realloc(reader->name, room);

        if (name == NULL)
            return false;
        reader->name = name;
        reader->name_room = room;
    }
    if (rest.size != 0)
        memcpy(reader->name + shared, rest.at, rest.size);
    reader->name_size = size;
    return true;
}

int occy_unpack_read(struct occy_unpack_reader *reader, struct occy_unpack_entry *entry, int *status)
{
    uint64_t blocks, shared;
    struct text rest;

    *status = OCCY_OK;
    if (reader->at == reader->end)
        return 0;
    entry->type = *reader->at++;
    *status = OCCY_CORRUPT;
    if (!read_number(reader, &blocks) || !read_number(reader, &shared) || shared > reader->name_size ||
        !read_text(reader, &rest) || !read_text(reader, &entry->linkname) || !read_text(reader, &entry->xattrs))
        return 0;
    *status = OCCY_NO_MEMORY;
    if (!put_name(reader, (size_t)shared, rest))
        return 0;
    *status = OCCY_OK;
    reader->block += blocks;
    entry->offset = (int64_t)(reader->block * BLOCK);
    entry->name = (struct text){reader->name, reader->name_size};
    return 1;
}
