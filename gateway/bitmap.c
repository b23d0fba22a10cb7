/* bitmap.c: strings as arrays of bits; see bitmap.h. Pure. */
#include "bitmap.h"

#include <string.h>

#include "word.h"

#define BITS_PER_BYTE 8u
#define BITS_PER_WORD 64u
#define BYTES_PER_WORD 8u

bool bitmap_offset_parse(const struct resp_arg *arg, unsigned bits, uint64_t bytes_max, uint64_t *offset) {
    bool fields = bits > 0 && arg->length > 0 && arg->bytes[0] == '#';
    int64_t value;

    if (!number_parse(arg->bytes + fields, arg->length - fields, &value)) {
        return false;
    }
    if (fields) { /* wraps around as in Redis, which then takes what comes out */
        value = (int64_t)((uint64_t)value * bits);
    }
    if (value < 0 || (uint64_t)value / BITS_PER_BYTE >= bytes_max) {
        return false;
    }
    *offset = (uint64_t)value;
    return true;
}

static uint8_t mask_of(uint64_t offset) { return (uint8_t)(0x80u >> offset % BITS_PER_BYTE); }

bool bitmap_get(const uint8_t *bytes, uint64_t length, uint64_t offset) {
    return offset / BITS_PER_BYTE < length && (bytes[offset / BITS_PER_BYTE] & mask_of(offset)) != 0;
}

/* The bits from `offset` to the end of its byte, or fewer if `most` are wanted: how many, and as the low bits of a
 * number. */
static unsigned piece_get(const uint8_t *bytes, uint64_t offset, uint64_t most, unsigned *piece) {
    unsigned left = BITS_PER_BYTE - offset % BITS_PER_BYTE;
    unsigned count = left < most ? left : (unsigned)most;

    *piece = bytes[offset / BITS_PER_BYTE] >> (left - count) & ((1u << count) - 1);
    return count;
}

static uint64_t word_get(const uint8_t *bytes) {
    uint64_t word;

    memcpy(&word, bytes, sizeof word);
    return word;
}

uint64_t bitmap_count(const uint8_t *bytes, uint64_t first, uint64_t count) {
    uint64_t set = 0, end = first + count;

    while (first < end) {
        if (first % BITS_PER_BYTE == 0 && end - first >= BITS_PER_WORD) {
            set += (unsigned)__builtin_popcountll(word_get(bytes + first / BITS_PER_BYTE));
            first += BITS_PER_WORD;
        } else {
            unsigned piece;

            first += piece_get(bytes, first, end - first, &piece);
            set += (unsigned)__builtin_popcount(piece);
        }
    }
    return set;
}

uint64_t bitmap_find(const uint8_t *bytes, bool bit, uint64_t first, uint64_t count) {
    uint64_t end = first + count, other = bit ? 0 : UINT64_MAX;

    while (first < end) {
        if (first % BITS_PER_BYTE == 0 && end - first >= BITS_PER_WORD &&
            word_get(bytes + first / BITS_PER_BYTE) == other) {
            first += BITS_PER_WORD;
            continue;
        }
        unsigned piece, pieces = piece_get(bytes, first, end - first, &piece);
        unsigned wanted = bit ? piece : ~piece & ((1u << pieces) - 1);

        if (wanted != 0) {
            unsigned highest = 31u - (unsigned)__builtin_clz(wanted);
            return first + (pieces - 1 - highest);
        }
        first += pieces;
    }
    return BITMAP_NONE;
}

enum dm_action bitmap_set_decide(void *context, const struct dm_value *old, struct dm_write *write) {
    struct bitmap_set *set = context;
    uint64_t length = old == NULL ? 0 : old->length, index = set->offset / BITS_PER_BYTE;

    if (old != NULL && old->type != DM_TYPE_STRING) {
        set->result = STRING_WRONG_TYPE;
        return DM_KEEP;
    }
    set->result = STRING_OK;
    set->before = old != NULL && bitmap_get(old->bytes, length, set->offset);
    set->length = index < length ? length : index + 1;
    if (index < length && set->before == set->bit && old->encoding == STRING_RAW) {
        return DM_KEEP;
    }
    set->byte = index < length ? old->bytes[index] : 0;
    set->byte = (uint8_t)((set->byte & ~mask_of(set->offset)) | (set->bit ? mask_of(set->offset) : 0));
    string_overlay_write(old, (struct dm_bytes){&set->byte, 1}, index, write);
    write->unchanged = index < length && set->before == set->bit;
    return DM_WRITE;
}

/* ---- BITOP ---- */

bool bitmap_operation_parse(const struct resp_arg *arg, enum bitmap_operation *operation) {
    static const char *const words[] = {
        [BITMAP_AND] = "and", [BITMAP_OR] = "or", [BITMAP_XOR] = "xor", [BITMAP_NOT] = "not"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (word_equal(arg, words[i])) {
            *operation = (enum bitmap_operation)i;
            return true;
        }
    }
    return false;
}

uint64_t bitmap_combine(enum bitmap_operation operation, uint8_t *into, uint64_t into_length, const uint8_t *from,
                        uint64_t from_length) {
    uint64_t both = into_length < from_length ? into_length : from_length;
    uint64_t longer = into_length < from_length ? from_length : into_length;

    for (uint64_t i = 0; i < both; i++) { /* the compiler makes vectors of it */
        uint8_t a = into[i], b = from[i];

        into[i] = operation == BITMAP_AND ? a & b : operation == BITMAP_OR ? a | b : a ^ b;
    }
    if (operation == BITMAP_AND && longer > both) {
        memset(into + both, 0, longer - both);
    } else if (operation != BITMAP_AND && from_length > both) {
        memcpy(into + both, from + both, from_length - both);
    }
    return longer;
}

void bitmap_invert(uint8_t *bytes, uint64_t length) {
    for (uint64_t i = 0; i < length; i++) {
        bytes[i] = (uint8_t)~bytes[i];
    }
}
