/* restore.c: fuzzes the reader of DUMP payloads (gateway/rdb.c, gateway/lzf.c): what RESTORE gets from anybody.
 * Whatever is read must be what a dump of it reads again.
 *
 * Input: 1 byte: whether the checksum is put right, and the largest length allowed; then the payload.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "rdb.h"

#define CHECKSUM_BYTES 8u
#define LENGTH_MAX (1u << 20)

static void dump_again(const uint8_t *value, uint64_t length) {
    uint8_t *dump = malloc(length + RDB_OVERHEAD_BYTES), *again = NULL;
    uint64_t again_length = 0;
    size_t dumped = rdb_dump(value, length, dump);

    if (dumped > length + RDB_OVERHEAD_BYTES) {
        fuzz_fault("a dump of %zu bytes for %llu", dumped, (unsigned long long)length);
    }
    dump = realloc(dump, dumped);
    if (rdb_restore(dump, dumped, LENGTH_MAX, &again, &again_length) != RDB_OK || again_length != length ||
        memcmp(again, value, length) != 0) {
        fuzz_fault("a dump does not come back");
    }
    free(again);
    free(dump);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct fuzz_input input = {bytes, length};
    uint8_t how = fuzz_byte(&input);
    uint64_t length_max = how & 2 ? 64 : LENGTH_MAX, restored_length = 0;
    uint8_t *restored = NULL, *payload = malloc(input.length + 1);

    memcpy(payload, input.bytes, input.length);
    payload = realloc(payload, input.length + (input.length == 0));
    if ((how & 1) != 0 && input.length > CHECKSUM_BYTES) {
        uint64_t checksum = rdb_checksum(payload, input.length - CHECKSUM_BYTES);
        memcpy(payload + input.length - CHECKSUM_BYTES, &checksum, sizeof checksum);
    }
    enum rdb_result result = rdb_restore(payload, input.length, length_max, &restored, &restored_length);

    if (result == RDB_OK && restored_length > length_max) {
        fuzz_fault("%llu bytes, %llu are allowed", (unsigned long long)restored_length, (unsigned long long)length_max);
    }
    if (result == RDB_TOO_LARGE && restored_length <= length_max) {
        fuzz_fault("%llu bytes are not too large", (unsigned long long)restored_length);
    }
    if (result == RDB_OK) {
        dump_again(restored, restored_length);
        free(restored);
    }
    free(payload);
    return 0;
}
