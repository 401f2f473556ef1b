/* Lists of entries: any bytes are followed or refused, the same way each time, and what is told can be read. */
#include "target.h"

#include "status.h"
#include "unpack_model.h"

enum { LAYERS = 4 };

static uint64_t summed(const struct occy_unpack_problem *problems)
{
    uint64_t sum = 1469598103934665603u;

    for (int kind = 0; kind < OCCY_UNPACK_KINDS; kind++) {
        const struct occy_unpack_problem *problem = &problems[kind];

        DEMAND(problem->count != 0 || (problem->name_size == 0 && problem->other_size == 0));
        DEMAND(problem->offset >= 0 || problem->count != 0);
        sum = (sum ^ problem->count ^ (uint64_t)problem->offset) * 1099511628211u;
        for (size_t i = 0; i < problem->name_size; i++)
            sum = (sum ^ problem->name[i]) * 1099511628211u;
        for (size_t i = 0; i < problem->other_size; i++)
            sum = (sum ^ problem->other[i]) * 1099511628211u;
    }
    return sum;
}

static uint64_t followed(const uint8_t *bytes, size_t size, struct choices choices)
{
    static struct guarded area;
    uint32_t most = choose(&choices) % 4 == 0 ? (uint32_t)(choose(&choices) % 8) : 1 << 16;
    struct occy_unpack_model *model = occy_unpack_model_create(most);
    uint64_t sum = most;
    bool exceeded = false;
    size_t at = 0;

    DEMAND(model != NULL);
    for (int layer = 0; layer < LAYERS; layer++) {
        size_t length = layer + 1 == LAYERS ? size - at : (size_t)(choose(&choices) % (size - at + 1));
        uint8_t *list = guarded(&area, length);
        int status;

        if (length != 0)
            memcpy(list, bytes + at, length);
        at += length;
        status = occy_unpack_model_apply(model, list, length);
        DEMAND(status == OCCY_OK || status == OCCY_CORRUPT);
        DEMAND(!exceeded || occy_unpack_model_exceeded(model));
        exceeded = occy_unpack_model_exceeded(model);
        sum = (sum ^ (uint64_t)status ^ summed(occy_unpack_model_problems(model))) * 1099511628211u;
        if (status != OCCY_OK)
            break;
    }
    occy_unpack_model_free(model);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct choices choices = choices_of(bytes, size);

    DEMAND(followed(bytes, size, choices) == followed(bytes, size, choices));
    return 0;
}
