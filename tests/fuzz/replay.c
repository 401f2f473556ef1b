/* Run a fuzz target once for each file named, without a fuzzer. */
#include "target.h"

int main(int count, char **names)
{
    for (int i = 1; i < count; i++) {
        FILE *file = fopen(names[i], "rb");
        uint8_t *bytes;
        long size;

        if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET) != 0) {
            perror(names[i]);
            return 2;
        }
        bytes = malloc((size_t)size + 1);
        DEMAND(bytes != NULL && fread(bytes, 1, (size_t)size, file) == (size_t)size);
        fclose(file);
        (void)fprintf(stderr, "%s: %ld bytes\n", names[i], size);
        (void)LLVMFuzzerTestOneInput(bytes, (size_t)size);
        free(bytes);
    }
    return 0;
}
