/* bitfield.c: the operations of BITFIELD; see bitfield.h. Pure. */
#include "bitfield.h"

#include "word.h"

#define BITS_PER_BYTE 8u

/* ---- Reading operations ---- */

static bool type_parse(const struct resp_arg *arg, struct bitfield_operation *operation) {
    int64_t bits;

    operation->has_sign = arg->length > 0 && arg->bytes[0] == 'i';
    if (arg->length == 0 || (arg->bytes[0] != 'i' && arg->bytes[0] != 'u')) {
        return false;
    }
    /* Redis reads the number up to a zero byte. */
    size_t length = 1;

    while (length < arg->length && arg->bytes[length] != '\0') {
        length++;
    }
    if (!number_parse(arg->bytes + 1, length - 1, &bits) || bits < 1 ||
        bits > (operation->has_sign ? (int64_t)BITFIELD_BITS_MAX : (int64_t)BITFIELD_BITS_MAX - 1)) {
        return false;
    }
    operation->bits = (uint8_t)bits;
    return true;
}

static bool overflow_parse(const struct resp_arg *arg, enum bitfield_overflow *overflow) {
    static const char *const words[] = {
        [BITFIELD_WRAP] = "wrap", [BITFIELD_SATURATE] = "sat", [BITFIELD_FAIL] = "fail"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (word_equal(arg, words[i])) {
            *overflow = (enum bitfield_overflow)i;
            return true;
        }
    }
    return false;
}

static bool kind_parse(const struct resp_arg *arg, size_t behind, enum bitfield_kind *kind) {
    if (word_equal(arg, "get") && behind >= 2) {
        *kind = BITFIELD_GET;
    } else if (word_equal(arg, "set") && behind >= 3) {
        *kind = BITFIELD_SET;
    } else if (word_equal(arg, "incrby") && behind >= 3) {
        *kind = BITFIELD_ADD;
    } else {
        return false;
    }
    return true;
}

enum bitfield_result bitfield_parse(struct bitfield_parser *parser, struct bitfield_operation *operation) {
    while (parser->next < parser->count) {
        const struct resp_arg *arg = &parser->args[parser->next];
        size_t behind = parser->count - parser->next - 1;

        if (word_equal(arg, "overflow") && behind >= 1) {
            if (!overflow_parse(arg + 1, &parser->overflow)) {
                return BITFIELD_BAD_OVERFLOW;
            }
            parser->next += 2;
            continue;
        }
        if (!kind_parse(arg, behind, &operation->kind)) {
            return BITFIELD_SYNTAX;
        }
        operation->overflow = parser->overflow;
        operation->value = 0;
        if (!type_parse(arg + 1, operation)) {
            return BITFIELD_BAD_TYPE;
        }
        if (!bitmap_offset_parse(arg + 2, operation->bits, parser->bytes_max, &operation->offset)) {
            return BITFIELD_BAD_OFFSET;
        }
        if (operation->kind != BITFIELD_GET && !number_parse(arg[3].bytes, arg[3].length, &operation->value)) {
            return BITFIELD_BAD_VALUE;
        }
        parser->next += operation->kind == BITFIELD_GET ? 3 : 4;
        return BITFIELD_OK;
    }
    return BITFIELD_END;
}

/* ---- Applying them ---- */

uint64_t bitfield_bytes(const struct bitfield_operation *operation) {
    return (operation->offset + operation->bits - 1) / BITS_PER_BYTE + 1;
}

int64_t bitfield_get(const uint8_t *bytes, uint64_t length, const struct bitfield_operation *operation) {
    uint64_t value = 0;

    for (uint64_t i = 0; i < operation->bits; i++) {
        value = value << 1 | bitmap_get(bytes, length, operation->offset + i);
    }
    if (operation->has_sign && (value >> (operation->bits - 1) & 1) != 0 && operation->bits < BITFIELD_BITS_MAX) {
        value |= UINT64_MAX << operation->bits;
    }
    return (int64_t)value;
}

static void field_put(uint8_t *bytes, const struct bitfield_operation *operation, uint64_t value) {
    for (uint64_t i = 0; i < operation->bits; i++) {
        uint64_t offset = operation->offset + i;
        uint8_t mask = (uint8_t)(0x80u >> offset % BITS_PER_BYTE);
        bool bit = (value >> (operation->bits - 1 - i) & 1) != 0;

        bytes[offset / BITS_PER_BYTE] = (uint8_t)((bytes[offset / BITS_PER_BYTE] & ~mask) | (bit ? mask : 0));
    }
}

/* What is to be stored for `wanted`; false: it does not fit and is not to be stored. */
static bool value_fit(const struct bitfield_operation *operation, __int128 wanted, uint64_t *value) {
    unsigned magnitude = operation->bits - (operation->has_sign ? 1u : 0u);
    __int128 most = ((__int128)1 << magnitude) - 1, least = operation->has_sign ? -most - 1 : 0;

    *value = (uint64_t)wanted;
    if (wanted >= least && wanted <= most) {
        return true;
    }
    if (operation->overflow == BITFIELD_SATURATE) {
        /* Redis measures the distance to the largest value in 64 bits: from far below it looks negative. */
        bool far_below = operation->kind == BITFIELD_SET && most - wanted > INT64_MAX;

        *value = (uint64_t)(wanted > most || far_below ? most : least);
    }
    return operation->overflow != BITFIELD_FAIL;
}

/* As a number of the field's type. */
static int64_t value_as_field(const struct bitfield_operation *operation, uint64_t value) {
    unsigned above = BITFIELD_BITS_MAX - operation->bits;

    return operation->has_sign ? (int64_t)(value << above) >> above : (int64_t)(value << above >> above);
}

bool bitfield_apply(uint8_t *bytes, uint64_t length, const struct bitfield_operation *operation, int64_t *out) {
    int64_t before = bitfield_get(bytes, length, operation);
    uint64_t value;
    __int128 wanted = operation->value;

    *out = before;
    if (operation->kind == BITFIELD_GET) {
        return true;
    }
    if (operation->kind == BITFIELD_ADD) {
        wanted += before;
    } else if (!operation->has_sign) { /* a negative number is a large one there */
        wanted = (uint64_t)operation->value;
    }
    if (!value_fit(operation, wanted, &value)) {
        return false;
    }
    field_put(bytes, operation, value);
    if (operation->kind == BITFIELD_ADD) {
        *out = value_as_field(operation, value);
    }
    return true;
}
