/* cmd_bitmap.c: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP. What is decided about bits is in bitmap.c.
 * Runs in a coroutine of the connection's worker.
 */
#include <stdlib.h>

#include "bitmap.h"
#include "cmd_string.h"
#include "word.h"

#define BITS_PER_BYTE 8u
#define KEYS_AT_ONCE 64u /* keys and reads of one dm_get_many lie on the coroutine's stack */

static bool bit_offset(struct call *call, size_t index, uint64_t *offset) {
    if (!bitmap_offset_parse(&call->argv[index], 0, call->server->config->proto_max_bulk_len, offset)) {
        command_error(call, ERROR_BIT_OFFSET);
        return false;
    }
    return true;
}

void cmd_setbit(struct call *call) {
    struct dm_key key;
    struct bitmap_set set = {0};
    int64_t bit;

    if (!bit_offset(call, 2, &set.offset)) {
        return;
    }
    if (!number_parse(call->argv[3].bytes, call->argv[3].length, &bit) || bit < 0 || bit > 1) {
        command_error(call, "ERR bit is not an integer or out of range");
        return;
    }
    set.bit = bit == 1;
    if (set.offset / BITS_PER_BYTE >= STRING_GAP_BYTES_MAX) {
        command_status_error(call, DM_TOO_LARGE, set.offset / BITS_PER_BYTE + 1);
        return;
    }
    if (!command_key(call, 1, &key)) {
        return;
    }
    enum dm_status status = dm_update(call->session, &key, bitmap_set_decide, &set, NULL);

    if (status != DM_OK) {
        command_status_error(call, status, set.length);
    } else if (string_result_ok(call, set.result)) {
        reply_integer(call->reply, set.before);
    }
}

void cmd_getbit(struct call *call) {
    struct dm_read read = {0};
    uint64_t offset;

    if (!bit_offset(call, 2, &offset)) {
        return;
    }
    enum dm_status status = command_read_string(call, 1, &read);

    if (status == DM_OK) {
        reply_integer(call->reply, bitmap_get(read.value.bytes, read.value.length, offset));
        dm_read_release(call->session, &read);
    } else if (status == DM_NOT_FOUND) {
        reply_integer(call->reply, 0);
    }
}

/* ---- Ranges ---- */

/* Bytes or bits? False: the error was replied. */
static bool unit_parse(struct call *call, size_t index, bool *in_bits) {
    *in_bits = word_equal(&call->argv[index], "bit");
    if (!*in_bits && !word_equal(&call->argv[index], "byte")) {
        command_error(call, ERROR_SYNTAX);
        return false;
    }
    return true;
}

/* The bits that start and end mean. */
static uint64_t range_clip(int64_t start, int64_t end, bool in_bits, uint64_t length, uint64_t *first) {
    unsigned scale = in_bits ? 1 : BITS_PER_BYTE;
    uint64_t count = string_range_clip(start, end, in_bits ? length * BITS_PER_BYTE : length, first);

    *first *= scale;
    return count * scale;
}

static void bitcount_reply(struct call *call, const struct dm_value *value) {
    uint64_t first = 0, count = (uint64_t)value->length * BITS_PER_BYTE;
    int64_t start, end;
    bool in_bits = false;

    if (call->argc == 4 || call->argc == 5) {
        if (!command_integer(call, 2, &start) || !command_integer(call, 3, &end)) {
            return;
        }
        if (start < 0 && end < 0 && start > end) { /* Redis looks no further */
            reply_integer(call->reply, 0);
            return;
        }
        if (call->argc == 5 && !unit_parse(call, 4, &in_bits)) {
            return;
        }
        count = range_clip(start, end, in_bits, value->length, &first);
    } else if (call->argc != 2) {
        command_error(call, ERROR_SYNTAX);
        return;
    }
    reply_integer(call->reply, (long long)bitmap_count(value->bytes, first, count));
}

void cmd_bitcount(struct call *call) {
    struct dm_read read = {0};
    enum dm_status status = command_read_string(call, 1, &read);

    if (status == DM_OK) {
        bitcount_reply(call, &read.value);
        dm_read_release(call->session, &read);
    } else if (status == DM_NOT_FOUND) {
        reply_integer(call->reply, 0);
    }
}

static void bitpos_reply(struct call *call, const struct dm_value *value, bool bit) {
    uint64_t first = 0, count = (uint64_t)value->length * BITS_PER_BYTE;
    int64_t start = 0, end = -1;
    bool in_bits = false;

    if (call->argc > 6) {
        command_error(call, ERROR_SYNTAX);
        return;
    }
    if (call->argc >= 4) {
        if (!command_integer(call, 3, &start) || (call->argc == 6 && !unit_parse(call, 5, &in_bits)) ||
            (call->argc >= 5 && !command_integer(call, 4, &end))) {
            return;
        }
        /* A range of negative numbers that ends before it starts is not empty here if both are clipped to 0. */
        int64_t least = -(int64_t)(in_bits ? count : value->length);

        start = start < least ? least : start;
        end = end < least ? least : end;
        count = range_clip(start, end, in_bits, value->length, &first);
    }
    uint64_t found = bitmap_find(value->bytes, bit, first, count);

    if (found == BITMAP_NONE && !bit && count > 0 && call->argc < 5) {
        found = first + count; /* without an end, zeros follow the string */
    }
    reply_integer(call->reply, found == BITMAP_NONE ? -1 : (long long)found);
}

void cmd_bitpos(struct call *call) {
    struct dm_read read = {0};
    int64_t bit;

    if (!command_integer(call, 2, &bit)) {
        return;
    }
    if (bit < 0 || bit > 1) {
        command_error(call, "ERR The bit argument must be 1 or 0.");
        return;
    }
    enum dm_status status = command_read_string(call, 1, &read);

    if (status == DM_OK) {
        bitpos_reply(call, &read.value, bit == 1);
        dm_read_release(call->session, &read);
    } else if (status == DM_NOT_FOUND) {
        reply_integer(call->reply, bit == 1 ? -1 : 0);
    }
}

/* ---- BITOP ---- */

/* What the sources gave so far. */
struct bitop {
    enum bitmap_operation operation;
    uint8_t *bytes;
    uint64_t length, capacity;
    bool started; /* one source was there */
};

/* False: no memory. */
static bool bitop_add(struct bitop *bitop, const uint8_t *bytes, uint64_t length) {
    if (length > bitop->capacity) {
        uint8_t *larger = realloc(bitop->bytes, length);

        if (larger == NULL) {
            return false;
        }
        bitop->bytes = larger;
        bitop->capacity = length;
    }
    if (bitop->started) {
        bitop->length = bitmap_combine(bitop->operation, bitop->bytes, bitop->length, bytes, length);
    } else {
        bitop->length = bitmap_combine(BITMAP_OR, bitop->bytes, 0, bytes, length);
        bitop->started = true;
    }
    return true;
}

/* `count` sources, from argument `first` on. False: the error was replied. */
static bool bitop_read(struct call *call, struct bitop *bitop, size_t first, uint32_t count) {
    struct dm_key keys[KEYS_AT_ONCE] = {0};
    struct dm_read reads[KEYS_AT_ONCE] = {0};
    enum dm_status statuses[KEYS_AT_ONCE], failure = DM_OK;
    bool wrong_type = false;
    uint64_t hits = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (!command_key(call, first + i, &keys[i])) {
            return false;
        }
    }
    dm_get_many(call->session, keys, count, reads, statuses);
    for (uint32_t i = 0; i < count; i++) {
        if (statuses[i] == DM_OK) {
            wrong_type |= reads[i].value.type != DM_TYPE_STRING;
            if (!bitop_add(bitop, reads[i].value.bytes, reads[i].value.length)) {
                failure = DM_BUSY;
            }
            dm_read_release(call->session, &reads[i]);
            hits++;
        } else if (statuses[i] == DM_NOT_FOUND) {
            if (!bitop_add(bitop, NULL, 0)) {
                failure = DM_BUSY;
            }
        } else {
            failure = statuses[i];
        }
    }
    if (failure != DM_OK) {
        command_status_error(call, failure, 0);
    } else if (wrong_type) {
        command_error(call, ERROR_WRONG_TYPE);
    } else {
        command_count_reads(call, hits, count - hits);
    }
    return failure == DM_OK && !wrong_type;
}

static void bitop_store(struct call *call, const struct bitop *bitop) {
    struct dm_key key;
    struct dm_write write = {.part[0] = {bitop->bytes, (uint32_t)bitop->length}, .type = DM_TYPE_STRING};

    if (!command_key(call, 2, &key)) {
        return;
    }
    write.encoding = STRING_RAW;
    enum dm_status status = bitop->length > 0 ? dm_put(call->session, &key, &write) : dm_delete(call->session, &key);

    if (status == DM_OK || (status == DM_NOT_FOUND && bitop->length == 0)) {
        reply_integer(call->reply, (long long)bitop->length);
    } else {
        command_status_error(call, status, bitop->length);
    }
}

/* The sources are read one moment each, then the destination is written: not one moment for all. */
void cmd_bitop(struct call *call) {
    struct bitop bitop = {0};
    bool read = true;

    if (!bitmap_operation_parse(&call->argv[1], &bitop.operation)) {
        command_error(call, ERROR_SYNTAX);
        return;
    }
    if (bitop.operation == BITMAP_NOT && call->argc != 4) {
        command_error(call, "ERR BITOP NOT must be called with a single source key.");
        return;
    }
    for (size_t done = 3; read && done < call->argc; done += KEYS_AT_ONCE) {
        size_t left = call->argc - done;

        read = bitop_read(call, &bitop, done, left < KEYS_AT_ONCE ? (uint32_t)left : KEYS_AT_ONCE);
    }
    if (read) {
        if (bitop.operation == BITMAP_NOT) {
            bitmap_invert(bitop.bytes, bitop.length);
        }
        bitop_store(call, &bitop);
    }
    free(bitop.bytes);
}
