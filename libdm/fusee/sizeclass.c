/* sizeclass.c: see sizeclass.h. A table: it is read on every request, and 128 bytes are cheaper than thinking. */
#include "fusee/sizeclass.h"

#include "assert.h"

static const uint32_t class_bytes[SIZECLASS_COUNT] = {
    128,  192,  256,  320,  384,  448,  512,  640,   768,   896,   1024,  1280,  1536,   1792,   2048,   2560,
    3072, 3584, 4096, 5120, 6144, 7168, 8192, 12288, 16384, 24576, 32768, 65536, 131072, 262144, 524288, 1048576,
};

uint32_t sizeclass_bytes(uint8_t size_class) {
    dm_assert(size_class < SIZECLASS_COUNT);
    return class_bytes[size_class];
}

uint8_t sizeclass_for(uint64_t bytes) {
    if (bytes <= 512) {
        return bytes <= SIZECLASS_BYTES_MIN ? 0 : (uint8_t)((bytes - 65) / 64);
    }
    uint8_t low = 7;
    uint8_t high = SIZECLASS_COUNT; /* the answer lies in low..high */
    while (low < high) {
        uint8_t middle = (uint8_t)((low + high) / 2);
        if (class_bytes[middle] >= bytes) {
            high = middle;
        } else {
            low = (uint8_t)(middle + 1);
        }
    }
    return low;
}

uint8_t sizeclass_largest(uint64_t block_bytes) {
    uint8_t size_class = SIZECLASS_COUNT - 1;
    while (size_class > 0 && class_bytes[size_class] > block_bytes) {
        size_class--;
    }
    return size_class;
}
