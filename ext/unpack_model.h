/* Follow the layers of an image as an unpacker does, and tell what it would stumble over.
 *
 * src/occy_fast/kernels/pure/unpack_model.py defines what is told.  A model belongs to one thread at a time.  It knows
 * each name by a hash of its path (128 bits of SHA-256), so that a million names take some 60 MB whatever they are
 * called; every list that grows is bounded by *max_entries*. */
#ifndef OCCY_UNPACK_MODEL_H
#define OCCY_UNPACK_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers of UnpackFact in src/occy_fast/kernels/unpack_facts.py, which says what they are. */
enum occy_unpack_kind {
    OCCY_UNPACK_LINK_TARGET_MISSING = 1,
    OCCY_UNPACK_LINK_TARGET_LOWER = 2,
    OCCY_UNPACK_LINK_TARGET_REMOVED = 3,
    OCCY_UNPACK_LINK_TARGET_DIRECTORY = 4,
    OCCY_UNPACK_DUPLICATE_NAME = 5,
    OCCY_UNPACK_ROOT_REPLACED = 6,
    OCCY_UNPACK_TOP_REPLACED = 7,
    OCCY_UNPACK_PARENT_IS_FILE = 8,
    OCCY_UNPACK_PARENT_IS_LOWER_FILE = 9,
    OCCY_UNPACK_PARENT_LINK_TO_LOWER = 10,
    OCCY_UNPACK_PARENT_LINK_TO_NOTHING = 11,
    OCCY_UNPACK_PARENT_LINK_LOOP = 12,
    OCCY_UNPACK_PARENT_LOWER_LINK_LOOP = 13,
    OCCY_UNPACK_BELOW_WHITEOUT = 14,
    OCCY_UNPACK_WHITEOUT_BELOW_WHITEOUT = 15,
    OCCY_UNPACK_WHITEOUT_OF_OWN = 16,
    OCCY_UNPACK_WHITEOUT_OF_NOTHING_NAMED = 17,
    OCCY_UNPACK_ENTRY_TYPE = 18,
    OCCY_UNPACK_EMPTY_NAME = 19,
    OCCY_UNPACK_EMPTY_LINK = 20,
    OCCY_UNPACK_NAME_TOO_LONG = 21,
    OCCY_UNPACK_PATH_TOO_LONG = 22,
    OCCY_UNPACK_PATH_LONG = 23,
    OCCY_UNPACK_LINK_TOO_LONG = 24,
    OCCY_UNPACK_XATTR_NAMESPACE = 25,
    OCCY_UNPACK_XATTR_ON_SPECIAL = 26,
    OCCY_UNPACK_XATTR_NAME = 27,
    OCCY_UNPACK_DIRECTORY_REMOVED = 28,
    OCCY_UNPACK_WHITEOUT_BELOW_FILE = 29,
    OCCY_UNPACK_WHITEOUT_OF_ITS_DIRECTORY = 30,
    OCCY_UNPACK_OPAQUE_BELOW_WHITEOUT = 31,
    OCCY_UNPACK_DEEP_BELOW_LOWER_FILE = 32,
    OCCY_UNPACK_DIRECTORY_BECAME_LINK = 33
};
#define OCCY_UNPACK_KINDS 34

/* The first entry of a layer of which one kind is true, and how many there are; none while *count* is 0.  The texts are
 * the model's, valid until the next call. */
struct occy_unpack_problem {
    uint64_t count;
    int64_t offset;
    const uint8_t *name, *other;
    size_t name_size, other_size;
};

struct occy_unpack_model;

/* NULL when memory is short. */
struct occy_unpack_model *occy_unpack_model_create(uint32_t max_entries);
void occy_unpack_model_free(struct occy_unpack_model *model); /* NULL is allowed */

/* Unpack the next layer, by its list of entries (kernels/entry_list.py).  OCCY_OK, OCCY_CORRUPT for what is no such
 * list, OCCY_NO_MEMORY; after an error the model is of no use. */
int occy_unpack_model_apply(struct occy_unpack_model *model, const uint8_t *entries, size_t size);

/* Whether there were more entries than allowed, so that nothing is known. */
bool occy_unpack_model_exceeded(const struct occy_unpack_model *model);

/* What the last layer had: OCCY_UNPACK_KINDS problems, by kind. */
const struct occy_unpack_problem *occy_unpack_model_problems(const struct occy_unpack_model *model);

#endif
