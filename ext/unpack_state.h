/* What the files of the unpack model share: entries as a list has them, and the tree of names. */
#ifndef OCCY_UNPACK_STATE_H
#define OCCY_UNPACK_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "status.h"
#include "unpack_model.h"

struct text {
    const uint8_t *at;
    size_t size;
};

/* ---- unpack_list.c: the entries of a list ---------------------------------------------------- */

struct occy_unpack_entry {
    uint8_t type;
    int64_t offset;
    struct text name, linkname, xattrs; /* the name stands in the reader */
};

struct occy_unpack_reader {
    const uint8_t *at, *end;
    uint64_t block;
    uint8_t *name;
    size_t name_size, name_room;
};

/* Read the next entry: 1, 0 at the end; *status* is not OCCY_OK where neither is so. */
int occy_unpack_read(struct occy_unpack_reader *reader, struct occy_unpack_entry *entry, int *status);

/* ---- unpack_tree.c: names -------------------------------------------------------------------- */

enum node_kind { NOTHING, PLAIN_FILE, DIRECTORY, SYMLINK, SPECIAL, REMOVED };

/* A name in the tree: where it hangs, what it is, which layer and entry made it so, and up to which entry its children
 * are gone. */
struct node {
    uint8_t hash[16]; /* of the path */
    uint32_t next;    /* of the same bucket; 0: none */
    uint32_t parent;
    uint32_t made, cleared;
    uint32_t target;  /* of a symbolic link: where its text is in the tree */
    uint16_t layer;
    uint16_t named;   /* the last layer that has an entry of this very name */
    uint8_t kind;
    uint8_t spelt;    /* how entries of that layer spell it: 1 from the root, 2 not */
};

#define ROOT 1u

struct occy_unpack_tree {
    struct node *nodes; /* [0] is none */
    uint32_t count, room;
    uint32_t *buckets;
    uint32_t bucket_count; /* a power of two */
    uint8_t *targets;
    size_t targets_size, targets_room;
};

bool occy_unpack_tree_begin(struct occy_unpack_tree *tree);
void occy_unpack_tree_end(struct occy_unpack_tree *tree);
/* The node of *name* in *parent*; 0 where there is none and none is to be made, or no memory for it. */
uint32_t occy_unpack_child(struct occy_unpack_tree *tree, uint32_t parent, struct text name, bool make);
/* Where the text of a link is kept; 0 when memory is short. */
uint32_t occy_unpack_keep_target(struct occy_unpack_tree *tree, struct text target);
struct text occy_unpack_target(const struct occy_unpack_tree *tree, const struct node *node);

static inline bool begins_with(struct text text, const char *with, size_t size)
{
    return text.size >= size && memcmp(text.at, with, size) == 0;
}

#define BEGINS_WITH(text, literal) begins_with(text, literal, sizeof(literal) - 1)
#define IS_TEXT(text, literal) ((text).size == sizeof(literal) - 1 && BEGINS_WITH(text, literal))

/* The next component of a path that is neither empty nor '.', and past it; false where there is none. */
static inline bool next_part(struct text *path, struct text *part)
{
    while (path->size != 0) {
        const uint8_t *slash = memchr(path->at, '/', path->size);
        size_t size = slash == NULL ? path->size : (size_t)(slash - path->at);
        size_t past = slash == NULL ? size : size + 1;

        *part = (struct text){path->at, size};
        path->at += past;
        path->size -= past;
        if (size > 1 || (size == 1 && part->at[0] != '.'))
            return true;
    }
    return false;
}

static inline bool is_up(struct text part)
{
    return part.size == 2 && part.at[0] == '.' && part.at[1] == '.';
}

/* ---- a walk along a path ---------------------------------------------------------------------- */

enum { LINKS_MOST = 40 };

/* A walk along a path: the components still to come, those of links that were met first. */
struct walk {
    struct text paths[LINKS_MOST + 2];
    int depth, links;
    bool of_link; /* the last component came from one */
    uint32_t node, cleared; /* where it is, and up to which entry what is below is gone */
};

static inline bool next_of(struct walk *walk, struct text *part)
{
    while (walk->depth > 0) {
        if (next_part(&walk->paths[walk->depth - 1], part)) {
            walk->of_link = walk->depth > 1;
            return true;
        }
        walk->depth--;
    }
    return false;
}

/* Whether there are components left: of links, and of the path itself where *from* is 0. */
static inline bool has_more(const struct walk *walk, int from)
{
    for (int at = walk->depth; at > from; at--) {
        struct text path = walk->paths[at - 1], part;

        if (next_part(&path, &part))
            return true;
    }
    return false;
}

#endif
