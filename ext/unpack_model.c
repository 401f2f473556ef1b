/* unpack_model.h: entries of layers, one after the other. */
#include "unpack_state.h"

#include <stdlib.h>

enum { NAME_LONGEST = 255, PATH_LONGEST = 4095, PATH_LONG = 3800, ENTRY_SIZE = 32, TOLD_MOST = 100 };

/* Components that may be visited, and names that may be known: for each entry that is allowed, and beside. */
enum { STEPS_EACH = 32, STEPS_BESIDE = 1 << 20, NAMES_EACH = 2, NAMES_BESIDE = 1 << 12 };

struct occy_unpack_model {
    struct occy_unpack_tree tree;
    struct occy_unpack_problem problems[OCCY_UNPACK_KINDS];
    struct occy_unpack_entry entry;
    struct text *parts; /* of the entry's name, inside */
    size_t part_count, part_room;
    uint8_t *path;      /* room for a path of them */
    size_t path_room;
    uint64_t left;      /* entries */
    uint64_t room;      /* bytes of links' targets */
    uint64_t steps_left, names_most;
    uint32_t step, begin;
    uint16_t layer;
    bool exceeded, short_of_memory;
    bool may_have_removed; /* a directory of the layer itself */
};

/* ---- what is told ---------------------------------------------------------------------------- */

static void forget_problems(struct occy_unpack_model *model)
{
    for (int kind = 0; kind < OCCY_UNPACK_KINDS; kind++)
        free((void *)(uintptr_t)model->problems[kind].name);
    memset(model->problems, 0, sizeof model->problems);
}

/* The texts are kept in one piece of memory: the name, then the other. */
static void tell(struct occy_unpack_model *model, enum occy_unpack_kind kind, struct text other)
{
    struct occy_unpack_problem *problem = &model->problems[kind];
    size_t size = model->entry.name.size;
    uint8_t *texts;

    if (problem->count++ != 0)
        return;
    texts = malloc(size + other.size + 1);
    if (texts == NULL) {
        model->short_of_memory = true;
        return;
    }
    if (size != 0)
        memcpy(texts, model->entry.name.at, size);
    if (other.size != 0)
        memcpy(texts + size, other.at, other.size);
    *problem = (struct occy_unpack_problem){1, model->entry.offset, texts, texts + size, size, other.size};
}

static const struct text none = {NULL, 0};

static struct text at_most(struct text text)
{
    return (struct text){text.at, text.size < TOLD_MOST ? text.size : TOLD_MOST};
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool add_part(struct occy_unpack_model *model, struct text part)
{
    if (model->part_count == model->part_room) {
        size_t room = model->part_room == 0 ? 64 : model->part_room * 2;
        struct text *parts = realloc(model->parts, room * sizeof *parts);

        if (parts == NULL) {
            model->short_of_memory = true;
            return false;
        }
        model->parts = parts;
        model->part_room = room;
    }
    model->parts[model->part_count++] = part;
    return true;
}

/* Split a name into its components below the root, where what leads out stays at the top; and see to it that there is
 * room to join them. */
static bool prepare(struct occy_unpack_model *model, struct text name)
{
    struct text part;

    if (name.size > model->path_room || model->path == NULL) {
        size_t room = name.size + name.size / 2 + 256;
        uint8_t *path = realloc(model->path, room);

        if (path == NULL) {
            model->short_of_memory = true;
            return false;
        }
        model->path = path;
        model->path_room = room;
    }
    model->part_count = 0;
    while (next_part(&name, &part)) {
        if (is_up(part))
            model->part_count -= model->part_count != 0;
        else if (!add_part(model, part))
            return false;
    }
    return true;
}

/* Count components that are looked at. */
static void visit(struct occy_unpack_model *model, uint64_t count)
{
    if (model->steps_left < count)
        model->exceeded = true;
    model->steps_left -= model->steps_left < count ? model->steps_left : count;
}

static bool is_whiteout(struct text part) { return BEGINS_WITH(part, ".wh."); }

static bool is_named_again(struct occy_unpack_model *model)
{
    bool from_root = model->entry.name.size != 0 && model->entry.name.at[0] == '/', again;
    uint8_t spelling = from_root ? 1 : 2;
    uint32_t at = ROOT;
    struct node *node;

    for (size_t i = 0; i < model->part_count; i++) {
        at = occy_unpack_child(&model->tree, at, model->parts[i], true);
        if (at == 0) {
            model->short_of_memory = true;
            return false;
        }
    }
    node = &model->tree.nodes[at];
    again = node->named == model->layer && (node->spelt & spelling) != 0;
    node->spelt = (uint8_t)(node->named == model->layer ? node->spelt | spelling : spelling);
    node->named = model->layer;
    return again;
}

/* False for a name that is too long to be followed any further. */
static bool check_name(struct occy_unpack_model *model)
{
    size_t longest = 0, length = model->part_count;

    for (size_t i = 0; i < model->part_count; i++) {
        size_t size = model->parts[i].size;

        length += size;
        if (i + 1 == model->part_count && is_whiteout(model->parts[i]))
            size -= 4; /* it is the name behind the prefix that is made */
        longest = size > longest ? size : longest;
    }
    if (model->entry.name.size == 0)
        tell(model, OCCY_UNPACK_EMPTY_NAME, none);
    if (length > PATH_LONGEST) {
        tell(model, OCCY_UNPACK_PATH_TOO_LONG, none);
        return false;
    }
    visit(model, model->part_count);
    if (is_named_again(model))
        tell(model, OCCY_UNPACK_DUPLICATE_NAME, none);
    if (longest > NAME_LONGEST)
        tell(model, OCCY_UNPACK_NAME_TOO_LONG, none);
    if (length > PATH_LONG)
        tell(model, OCCY_UNPACK_PATH_LONG, none);
    return true;
}

static void check_xattr(struct occy_unpack_model *model, struct text key)
{
    uint8_t type = model->entry.type;

    if (key.size > NAME_LONGEST || IS_TEXT(key, "user.") || IS_TEXT(key, "trusted.") || IS_TEXT(key, "security.") ||
        IS_TEXT(key, "system.posix_acl_"))
        tell(model, OCCY_UNPACK_XATTR_NAME, at_most(key));
    else if (!BEGINS_WITH(key, "user.") && !BEGINS_WITH(key, "trusted.") && !BEGINS_WITH(key, "security.") &&
             !BEGINS_WITH(key, "system.posix_acl_"))
        tell(model, OCCY_UNPACK_XATTR_NAMESPACE, key);
    else if (BEGINS_WITH(key, "user.") && (type == '2' || type == '3' || type == '4' || type == '6'))
        tell(model, OCCY_UNPACK_XATTR_ON_SPECIAL, key);
}

static void check_xattrs(struct occy_unpack_model *model)
{
    struct text keys = model->entry.xattrs;

    while (keys.size != 0) {
        const uint8_t *end = memchr(keys.at, 0, keys.size);
        size_t size = end == NULL ? keys.size : (size_t)(end - keys.at);

        check_xattr(model, (struct text){keys.at, size});
        if (end != NULL && size + 1 == keys.size)
            check_xattr(model, none); /* the last one is empty */
        keys.at += size + (end != NULL);
        keys.size -= size + (end != NULL);
    }
}

/* ---- the tree -------------------------------------------------------------------------------- */

static struct node *node_at(struct occy_unpack_model *model, uint32_t at) { return &model->tree.nodes[at]; }

/* Up to which entry what is below a directory is gone. */
static uint32_t cleared_of(struct occy_unpack_model *model, uint32_t directory)
{
    uint32_t cleared = 0;

    for (; directory != 0; directory = node_at(model, directory)->parent)
        if (node_at(model, directory)->cleared > cleared)
            cleared = node_at(model, directory)->cleared;
    return cleared;
}

static enum node_kind kind_below(struct occy_unpack_model *model, uint32_t at, uint32_t cleared)
{
    const struct node *node = node_at(model, at);

    if (at == ROOT)
        return DIRECTORY;
    if (node->made <= cleared)
        return NOTHING;
    return node->kind == REMOVED && node->layer != model->layer ? NOTHING : (enum node_kind)node->kind;
}

/* What a name is now; nothing where a directory above was removed or replaced since it was made. */
static enum node_kind kind_of(struct occy_unpack_model *model, uint32_t at)
{
    return kind_below(model, at, cleared_of(model, node_at(model, at)->parent));
}

static void set(struct occy_unpack_model *model, uint32_t at, enum node_kind kind, uint32_t target)
{
    struct node *node = node_at(model, at);
    enum node_kind was = kind_of(model, at);

    if (kind != DIRECTORY && (was == SYMLINK || (was == DIRECTORY && node->layer == model->layer)))
        model->may_have_removed = true; /* of a link, what was put where it leads */
    if (kind != DIRECTORY || was != DIRECTORY)
        node->cleared = kind == DIRECTORY ? model->step - 1 : model->step; /* what is unpacked below comes later */
    node->kind = (uint8_t)kind;
    node->target = target;
    node->layer = model->layer;
    node->made = model->step;
}

/* Go on where a symbolic link leads; false after too many. */
static bool follow(struct occy_unpack_model *model, struct walk *walk, uint32_t link)
{
    struct text target = occy_unpack_target(&model->tree, node_at(model, link));

    if (++walk->links > LINKS_MOST)
        return false;
    if (target.size != 0 && target.at[0] == '/') {
        walk->node = ROOT;
        walk->cleared = node_at(model, ROOT)->cleared;
    }
    walk->paths[walk->depth++] = target;
    return true;
}

static void go_up(struct occy_unpack_model *model, struct walk *walk)
{
    uint32_t parent = node_at(model, walk->node)->parent;

    walk->node = parent == 0 ? walk->node : parent;
    walk->cleared = cleared_of(model, walk->node);
}

static void go_into(struct occy_unpack_model *model, struct walk *walk, uint32_t child)
{
    uint32_t cleared = node_at(model, child)->cleared;

    walk->node = child;
    walk->cleared = cleared > walk->cleared ? cleared : walk->cleared;
}

/* Which links a path to a directory has led through. */
struct through {
    bool own, lower;
};

/* Go into the child *at* of the directory, which is made where it is missing: 1; -1 where a link is to be followed;
 * 0 where no file can be put. */
static int enter(struct occy_unpack_model *model, struct walk *walk, uint32_t at, struct through *through,
                 bool whiteout)
{
    enum node_kind kind = kind_below(model, at, walk->cleared);
    bool own = node_at(model, at)->layer == model->layer;

    switch (kind) {
    case REMOVED:
        tell(model, whiteout ? OCCY_UNPACK_WHITEOUT_BELOW_WHITEOUT : OCCY_UNPACK_BELOW_WHITEOUT, none);
        set(model, at, DIRECTORY, 0);
        return 1;
    case NOTHING:
        if (walk->of_link && through->own)
            tell(model, OCCY_UNPACK_PARENT_LINK_TO_NOTHING, none);
        else if (walk->of_link && !whiteout) /* of a whiteout, there is nothing to be removed */
            tell(model, OCCY_UNPACK_PARENT_IS_LOWER_FILE, none);
        if (walk->of_link)
            return 0;
        set(model, at, DIRECTORY, 0);
        return 1;
    case SYMLINK:
        if (!follow(model, walk, at)) {
            tell(model, own ? OCCY_UNPACK_PARENT_LINK_LOOP : OCCY_UNPACK_PARENT_LOWER_LINK_LOOP,
                 occy_unpack_target(&model->tree, node_at(model, at)));
            return 0;
        }
        through->own |= own;
        through->lower |= !own;
        return -1;
    case DIRECTORY:
        if (!own && through->own && walk->of_link && !has_more(walk, 1))
            tell(model, OCCY_UNPACK_PARENT_LINK_TO_LOWER, none);
        node_at(model, at)->layer = model->layer; /* beside the lower layers, it is made anew */
        return 1;
    default:
        if (own)
            tell(model, whiteout ? OCCY_UNPACK_WHITEOUT_BELOW_FILE : OCCY_UNPACK_PARENT_IS_FILE, none);
        else if (through->own)
            tell(model, OCCY_UNPACK_PARENT_LINK_TO_NOTHING, none);
        else
            tell(model, !walk->of_link && has_more(walk, 0) ? OCCY_UNPACK_DEEP_BELOW_LOWER_FILE
                                                            : OCCY_UNPACK_PARENT_IS_LOWER_FILE,
                 none);
        return 0;
    }
}

/* The path of the first *count* components, as one text. */
static struct text joined(struct occy_unpack_model *model, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++) {
        if (i != 0)
            model->path[size++] = '/';
        memcpy(model->path + size, model->parts[i].at, model->parts[i].size);
        size += model->parts[i].size;
    }
    return (struct text){model->path, size};
}

/* The next component of a walk that leads down; false at its end, and where there were too many steps. */
static bool next_name(struct occy_unpack_model *model, struct walk *walk, struct text *part)
{
    while (next_of(walk, part)) {
        visit(model, 1);
        if (model->exceeded)
            return false;
        if (!is_up(*part))
            return true;
        go_up(model, walk);
    }
    return false;
}

static struct walk walk_of(struct occy_unpack_model *model, size_t count)
{
    return (struct walk){
        .node = ROOT, .cleared = node_at(model, ROOT)->cleared, .depth = 1, .paths = {joined(model, count)}};
}

/* The directory that all components but the last lead to; 0 where no file can be put. */
static uint32_t parent_of(struct occy_unpack_model *model, bool whiteout)
{
    struct walk walk = walk_of(model, model->part_count - 1);
    struct through through = {false, false};
    struct text part;

    while (next_name(model, &walk, &part)) {
        uint32_t child = occy_unpack_child(&model->tree, walk.node, part, true);
        int entered;

        if (child == 0) {
            model->short_of_memory = true;
            return 0;
        }
        entered = enter(model, &walk, child, &through, whiteout);
        if (entered == 0)
            return 0;
        if (entered > 0)
            go_into(model, &walk, child);
    }
    return model->exceeded ? 0 : walk.node;
}

/* What all *count* components lead to, links on the way followed, the last one not; 0 where there is nothing. */
static uint32_t find(struct occy_unpack_model *model, size_t count)
{
    struct walk walk = walk_of(model, count);
    struct text part;

    while (next_name(model, &walk, &part)) {
        uint32_t child = occy_unpack_child(&model->tree, walk.node, part, false);
        enum node_kind kind = child == 0 ? NOTHING : kind_below(model, child, walk.cleared);

        if (kind == NOTHING)
            return 0;
        if (has_more(&walk, 0)) {
            if (kind == SYMLINK) {
                if (!follow(model, &walk, child))
                    return 0;
                continue;
            }
            if (kind != DIRECTORY)
                return 0;
        }
        go_into(model, &walk, child);
    }
    return model->exceeded ? 0 : walk.node;
}

/* ---- entries --------------------------------------------------------------------------------- */

/* Whether *target* is what is removed before *node* is made: itself, or below it. */
static bool is_in(struct occy_unpack_model *model, uint32_t target, uint32_t node)
{
    while (target != 0 && target != node)
        target = node_at(model, target)->parent;
    return target != 0;
}

/* What a hard link in the place of *node* is; 0: it has none. */
static enum node_kind linked(struct occy_unpack_model *model, uint32_t node)
{
    struct text linkname = model->entry.linkname;
    enum node_kind kind;
    uint32_t target;

    if (!prepare(model, linkname))
        return PLAIN_FILE;
    target = find(model, model->part_count);
    if (target == 0 || (node != 0 && is_in(model, target, node))) {
        tell(model, OCCY_UNPACK_LINK_TARGET_MISSING, linkname);
        return PLAIN_FILE;
    }
    kind = kind_of(model, target);
    if (kind == DIRECTORY) {
        tell(model, OCCY_UNPACK_LINK_TARGET_DIRECTORY, linkname);
        return PLAIN_FILE;
    }
    if (kind == REMOVED) {
        tell(model, OCCY_UNPACK_LINK_TARGET_REMOVED, linkname);
        return SPECIAL;
    }
    if (node_at(model, target)->layer != model->layer)
        tell(model, OCCY_UNPACK_LINK_TARGET_LOWER, linkname);
    return kind == SYMLINK ? PLAIN_FILE : kind;
}

static void unpack_whiteout(struct occy_unpack_model *model, struct text last)
{
    struct text name = {last.at + 4, last.size - 4};
    uint32_t parent, node;
    enum node_kind kind;

    if (last.size == sizeof ".wh..wh..opq" - 1 && BEGINS_WITH(last, ".wh..wh..opq")) {
        uint32_t at = find(model, model->part_count - 1);

        enum node_kind found = at == 0 ? NOTHING : kind_of(model, at);

        if (found == REMOVED)
            tell(model, OCCY_UNPACK_OPAQUE_BELOW_WHITEOUT, none);
        if (found == DIRECTORY) {
            struct node *node = node_at(model, at);

            node->cleared = node->cleared < model->begin ? model->begin : node->cleared;
            node->layer = model->layer; /* beside the lower layers, it is made anew */
        }
        return;
    }
    if (BEGINS_WITH(last, ".wh..wh."))
        return;
    if (name.size == 0 || IS_TEXT(name, ".") || is_up(name)) {
        bool at_top = is_up(name) || model->part_count == 1;

        tell(model, at_top ? OCCY_UNPACK_WHITEOUT_OF_NOTHING_NAMED : OCCY_UNPACK_WHITEOUT_OF_ITS_DIRECTORY, none);
        return;
    }
    parent = parent_of(model, true);
    node = parent == 0 ? 0 : occy_unpack_child(&model->tree, parent, name, true);
    if (node == 0) {
        model->short_of_memory |= parent != 0;
        return;
    }
    kind = kind_of(model, node);
    if (node_at(model, node)->layer == model->layer && kind != NOTHING) {
        tell(model, OCCY_UNPACK_WHITEOUT_OF_OWN, none);
        model->may_have_removed = true;
    }
    set(model, node, REMOVED, 0);
}

/* Keep where a symbolic link leads; 0 for one that leads nowhere. */
static uint32_t keep_target(struct occy_unpack_model *model)
{
    struct text target = model->entry.linkname;
    uint32_t kept;

    if (target.size > model->room)
        model->exceeded = true;
    model->room -= target.size < model->room ? target.size : model->room;
    if (target.size == 0)
        tell(model, OCCY_UNPACK_EMPTY_LINK, none);
    if (target.size > PATH_LONGEST)
        tell(model, OCCY_UNPACK_LINK_TOO_LONG, at_most(target));
    if (target.size == 0 || target.size > PATH_LONGEST || model->exceeded)
        return 0;
    kept = occy_unpack_keep_target(&model->tree, target);
    model->short_of_memory |= kept == 0;
    return kept;
}

static void unpack_file(struct occy_unpack_model *model, struct text last)
{
    uint32_t parent = parent_of(model, false), node, target = 0;
    enum node_kind kind = PLAIN_FILE;

    node = parent == 0 ? 0 : occy_unpack_child(&model->tree, parent, last, true);
    if (node == 0) {
        model->short_of_memory |= parent != 0;
        if (parent == 0 && model->entry.type == '1')
            (void)linked(model, 0); /* who has no trouble with the parent may have some with that */
        return;
    }
    switch (model->entry.type) {
    case '1':
        kind = linked(model, node);
        break;
    case '2':
        kind = SYMLINK;
        target = keep_target(model);
        break;
    case '3':
    case '4':
    case '6':
        kind = SPECIAL;
        break;
    case '5':
        kind = DIRECTORY;
        break;
    default:
        break;
    }
    set(model, node, kind, target);
}

static void unpack(struct occy_unpack_model *model)
{
    struct text last;

    if (!prepare(model, model->entry.name))
        return;
    check_xattrs(model);
    if (!check_name(model))
        return;
    if (model->entry.type < '0' || model->entry.type > '6') {
        tell(model, OCCY_UNPACK_ENTRY_TYPE, (struct text){&model->entry.type, 1});
        return;
    }
    if (model->part_count == 0) {
        bool slash = model->entry.name.size != 0 && model->entry.name.at[0] == '/';

        if (model->entry.type != '5')
            tell(model, slash ? OCCY_UNPACK_ROOT_REPLACED : OCCY_UNPACK_TOP_REPLACED, none);
        return;
    }
    last = model->parts[model->part_count - 1];
    if (is_whiteout(last))
        unpack_whiteout(model, last);
    else
        unpack_file(model, last);
}

/* Tell of directories that their own layer took away again: their times are set at the very end. */
static void look_for_removed(struct occy_unpack_model *model)
{
    struct text last;
    uint32_t node;

    if (model->entry.type != '5' || !prepare(model, model->entry.name) || model->part_count == 0)
        return;
    last = model->parts[model->part_count - 1];
    if (is_whiteout(last))
        return;
    node = find(model, model->part_count);
    if (node == 0 || kind_of(model, node) == REMOVED)
        tell(model, OCCY_UNPACK_DIRECTORY_REMOVED, none);
    else if (kind_of(model, node) == SYMLINK) /* which is followed to set them */
        tell(model, OCCY_UNPACK_DIRECTORY_BECAME_LINK, none);
}

/* ---- layers ---------------------------------------------------------------------------------- */

struct occy_unpack_model *occy_unpack_model_create(uint32_t max_entries)
{
    struct occy_unpack_model *model = calloc(1, sizeof *model);

    if (model == NULL || !occy_unpack_tree_begin(&model->tree)) {
        occy_unpack_model_free(model);
        return NULL;
    }
    model->left = max_entries;
    model->room = (uint64_t)max_entries * ENTRY_SIZE;
    model->steps_left = (uint64_t)max_entries * STEPS_EACH + STEPS_BESIDE;
    model->names_most = (uint64_t)max_entries * NAMES_EACH + NAMES_BESIDE;
    return model;
}

void occy_unpack_model_free(struct occy_unpack_model *model)
{
    if (model == NULL)
        return;
    forget_problems(model);
    occy_unpack_tree_end(&model->tree);
    free(model->parts);
    free(model->path);
    free(model);
}

static int apply_entries(struct occy_unpack_model *model, const uint8_t *entries, size_t size,
                         struct occy_unpack_reader *reader)
{
    int status;

    *reader = (struct occy_unpack_reader){.at = entries, .end = entries + size};
    while (occy_unpack_read(reader, &model->entry, &status)) {
        if (model->left == 0)
            model->exceeded = true;
        if (model->exceeded)
            return OCCY_OK;
        model->left--;
        model->step++;
        if (model->entry.type != 'g')
            unpack(model);
        if (model->tree.count - ROOT - 1 > model->names_most)
            model->exceeded = true;
        if (model->short_of_memory)
            return OCCY_NO_MEMORY;
    }
    return status;
}

int occy_unpack_model_apply(struct occy_unpack_model *model, const uint8_t *entries, size_t size)
{
    struct occy_unpack_reader reader;
    int status;

    forget_problems(model);
    if (model->layer == UINT16_MAX)
        model->exceeded = true;
    else
        model->layer++;
    model->begin = model->step;
    model->may_have_removed = false;
    status = apply_entries(model, entries, size, &reader);
    if (status == OCCY_OK && !model->exceeded && model->may_have_removed) {
        free(reader.name);
        reader = (struct occy_unpack_reader){.at = entries, .end = entries + size};
        while (!model->short_of_memory && occy_unpack_read(&reader, &model->entry, &status))
            look_for_removed(model);
        status = model->short_of_memory ? OCCY_NO_MEMORY : status;
    }
    free(reader.name);
    if (model->exceeded)
        forget_problems(model);
    return status;
}

bool occy_unpack_model_exceeded(const struct occy_unpack_model *model) { return model->exceeded; }

const struct occy_unpack_problem *occy_unpack_model_problems(const struct occy_unpack_model *model)
{
    return model->problems;
}
