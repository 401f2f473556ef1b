/* unpack_state.h: the tree of names, found by the hash of their paths. */
#include "unpack_state.h"

#include <stdlib.h>

#include "sha256.h"

enum { FIRST_BUCKETS = 1024, FIRST_NODES = 512 };

bool occy_unpack_tree_begin(struct occy_unpack_tree *tree)
{
    memset(tree, 0, sizeof *tree);
    tree->buckets = calloc(FIRST_BUCKETS, sizeof *tree->buckets);
    tree->nodes = calloc(FIRST_NODES, sizeof *tree->nodes);
    if (tree->buckets == NULL || tree->nodes == NULL)
        return false;
    tree->bucket_count = FIRST_BUCKETS;
    tree->room = FIRST_NODES;
    tree->count = ROOT + 1;
    tree->nodes[ROOT].kind = DIRECTORY;
    return true;
}

void occy_unpack_tree_end(struct occy_unpack_tree *tree)
{
    free(tree->nodes);
    free(tree->buckets);
    free(tree->targets);
    memset(tree, 0, sizeof *tree);
}

static uint32_t bucket_of(const struct occy_unpack_tree *tree, const uint8_t hash[16])
{
    uint32_t word;

    memcpy(&word, hash, sizeof word);
    return word & (tree->bucket_count - 1);
}

static bool grow_buckets(struct occy_unpack_tree *tree)
{
    uint32_t count = tree->bucket_count * 2;
    uint32_t *buckets = calloc(count, sizeof *buckets);

    if (buckets == NULL)
        return false;
    free(tree->buckets);
    tree->buckets = buckets;
    tree->bucket_count = count;
    for (uint32_t at = ROOT + 1; at < tree->count; at++) {
        uint32_t bucket = bucket_of(tree, tree->nodes[at].hash);

        tree->nodes[at].next = buckets[bucket];
        buckets[bucket] = at;
    }
    return true;
}

/* Room grows by an eighth, which realloc moves without copying once there is much. */
static bool grow_nodes(struct occy_unpack_tree *tree)
{
    uint32_t room = tree->room + tree->room / 8 + FIRST_NODES;
    struct node *nodes;

    if (room < tree->room)
        return false;
    nodes = realloc(tree->nodes, room * sizeof *nodes);
    if (nodes == NULL)
        return false;
    tree->nodes = nodes;
    tree->room = room;
    return true;
}

static void hash_path(const struct node *parent, struct text name, uint8_t hash[16])
{
    struct occy_sha256 state;
    uint8_t digest[32];

    occy_sha256_init(&state);
    occy_sha256_update(&state, parent->hash, sizeof parent->hash);
    occy_sha256_update(&state, name.at, name.size);
    occy_sha256_final(&state, digest);
    memcpy(hash, digest, 16);
}

uint32_t occy_unpack_child(struct occy_unpack_tree *tree, uint32_t parent, struct text name, bool make)
{
    uint8_t hash[16];
    uint32_t at, bucket;
    struct node *node;

    hash_path(&tree->nodes[parent], name, hash);
    bucket = bucket_of(tree, hash);
    for (at = tree->buckets[bucket]; at != 0; at = tree->nodes[at].next)
        if (memcmp(tree->nodes[at].hash, hash, sizeof hash) == 0)
            return at;
    if (!make || (tree->count == tree->room && !grow_nodes(tree)))
        return 0;
    if (tree->count > tree->bucket_count) {
        if (!grow_buckets(tree))
            return 0;
        bucket = bucket_of(tree, hash);
    }
    at = tree->count++;
    node = &tree->nodes[at];
    memset(node, 0, sizeof *node);
    memcpy(node->hash, hash, sizeof hash);
    node->parent = parent;
    node->next = tree->buckets[bucket];
    tree->buckets[bucket] = at;
    return at;
}

uint32_t occy_unpack_keep_target(struct occy_unpack_tree *tree, struct text target)
{
    uint32_t size = (uint32_t)target.size;
    size_t at = tree->targets_size == 0 ? 1 : tree->targets_size, needed = at + sizeof size + target.size;

    if (target.size > UINT32_MAX || needed > UINT32_MAX)
        return 0;
    if (needed > tree->targets_room) {
        size_t room = needed + needed / 2;
        uint8_t *targets = realloc(tree->targets, room);

        if (targets == NULL)
            return 0;
        tree->targets = targets;
        tree->targets_room = room;
    }
    memcpy(tree->targets + at, &size, sizeof size);
    if (size != 0)
        memcpy(tree->targets + at + sizeof size, target.at, size);
    tree->targets_size = needed;
    return (uint32_t)at;
}

struct text occy_unpack_target(const struct occy_unpack_tree *tree, const struct node *node)
{
    uint32_t size;

    if (node->target == 0)
        return (struct text){NULL, 0};
    memcpy(&size, tree->targets + node->target, sizeof size);
    return (struct text){tree->targets + node->target + sizeof size, size};
}
