/* rdb.c: strings as Redis dumps them; see rdb.h. */
#include "rdb.h"

#include <isa-l/crc64.h>
#include <stdlib.h>
#include <string.h>

#include "lzf.h"
#include "number.h"

#define TYPE_STRING 0
#define BITS_PER_BYTE 8u
#define FOOTER_BYTES 10u
#define VERSION_BYTES 2u

/* The two high bits of a length. */
enum length_form {
    LENGTH_6_BITS = 0x00,
    LENGTH_14_BITS = 0x40,
    LENGTH_WHOLE = 0x80, /* 32 or 64 bits follow, high byte first */
    LENGTH_ENCODED = 0xc0,
};
#define LENGTH_FORM_MASK 0xc0u
#define LENGTH_64_BITS 0x81u
#define LENGTH_6_BITS_MAX 63u
#define LENGTH_14_BITS_MAX 16383u

/* Behind LENGTH_ENCODED. */
enum encoding { ENCODING_INT8 = 0, ENCODING_INT16 = 1, ENCODING_INT32 = 2, ENCODING_LZF = 3 };
#define INTEGER_TEXT_BYTES_MAX 11u /* longest that can be one of 32 bits */

uint64_t rdb_checksum(const void *bytes, size_t length) {
    /* The library inverts before and after. */
    return ~crc64_jones_refl(~UINT64_C(0), bytes, length);
}

/* ---- Writing ---- */

static uint8_t *put_little_endian(uint8_t *out, uint64_t value, size_t count) {
    for (size_t i = 0; i < count; i++) {
        *out++ = (uint8_t)(value >> BITS_PER_BYTE * i);
    }
    return out;
}

static uint8_t *put_length(uint8_t *out, size_t length) {
    if (length <= LENGTH_6_BITS_MAX) {
        *out++ = (uint8_t)length;
    } else if (length <= LENGTH_14_BITS_MAX) {
        *out++ = (uint8_t)(LENGTH_14_BITS | length >> BITS_PER_BYTE);
        *out++ = (uint8_t)length;
    } else {
        *out++ = LENGTH_WHOLE; /* no value needs more than 32 bits */
        for (int shift = 24; shift >= 0; shift -= (int)BITS_PER_BYTE) {
            *out++ = (uint8_t)(length >> shift);
        }
    }
    return out;
}

/* An integer of up to 32 bits; NULL when the text is none. */
static uint8_t *put_integer(uint8_t *out, const void *bytes, size_t length) {
    int64_t value;

    if (length > INTEGER_TEXT_BYTES_MAX || !number_parse(bytes, length, &value) || value != (int32_t)value) {
        return NULL;
    }
    enum encoding encoding = value == (int8_t)value    ? ENCODING_INT8
                             : value == (int16_t)value ? ENCODING_INT16
                                                       : ENCODING_INT32;

    *out++ = (uint8_t)(LENGTH_ENCODED | encoding);
    return put_little_endian(out, (uint64_t)value, (size_t)1 << encoding);
}

size_t rdb_dump(const void *bytes, size_t length, uint8_t *out) {
    uint8_t *at = out;

    *at++ = TYPE_STRING;
    uint8_t *behind = put_integer(at, bytes, length);

    if (behind == NULL) {
        behind = put_length(at, length);
        if (length > 0) {
            memcpy(behind, bytes, length);
        }
        behind += length;
    }
    behind = put_little_endian(behind, RDB_VERSION, VERSION_BYTES);
    behind = put_little_endian(behind, rdb_checksum(out, (size_t)(behind - out)), sizeof(uint64_t));
    return (size_t)(behind - out);
}

/* ---- Reading ---- */

/* What is left to read. As in Redis the footer is not kept from being read as data. */
struct input {
    const uint8_t *at, *end;
};

static const uint8_t *take(struct input *input, uint64_t count) {
    const uint8_t *at = input->at;

    if (count > (uint64_t)(input->end - input->at)) {
        return NULL;
    }
    input->at += count;
    return at;
}

static uint64_t little_endian(const uint8_t *bytes, size_t count) {
    uint64_t value = 0;

    for (size_t i = 0; i < count; i++) {
        value |= (uint64_t)bytes[i] << BITS_PER_BYTE * i;
    }
    return value;
}

/* A length, or with *encoded one of enum encoding. False: it ends before. */
static bool take_length(struct input *input, uint64_t *length, bool *encoded) {
    const uint8_t *first = take(input, 1), *rest;

    *encoded = false;
    if (first == NULL) {
        return false;
    }
    switch (*first & LENGTH_FORM_MASK) {
    case LENGTH_6_BITS:
        *length = *first & LENGTH_6_BITS_MAX;
        return true;
    case LENGTH_14_BITS:
        rest = take(input, 1);
        *length = rest == NULL ? 0 : (uint64_t)(*first & LENGTH_6_BITS_MAX) << BITS_PER_BYTE | *rest;
        return rest != NULL;
    case LENGTH_ENCODED:
        *length = *first & LENGTH_6_BITS_MAX;
        *encoded = true;
        return true;
    default:
        break;
    }
    size_t bytes = *first == LENGTH_WHOLE ? sizeof(uint32_t) : sizeof(uint64_t);

    rest = *first == LENGTH_WHOLE || *first == LENGTH_64_BITS ? take(input, bytes) : NULL;
    *length = 0;
    for (size_t i = 0; rest != NULL && i < bytes; i++) {
        *length = *length << BITS_PER_BYTE | rest[i];
    }
    return rest != NULL;
}

struct output {
    uint8_t *bytes; /* result */
    uint64_t length, length_max;
};

static enum rdb_result output_allocate(struct output *output, uint64_t length) {
    output->length = length;
    if (length > output->length_max) {
        return RDB_TOO_LARGE;
    }
    output->bytes = malloc(length + 1);
    return output->bytes == NULL ? RDB_NO_MEMORY : RDB_OK;
}

static enum rdb_result restore_integer(struct input *input, enum encoding encoding, struct output *output) {
    size_t count = (size_t)1 << encoding;
    const uint8_t *bytes = take(input, count);
    enum rdb_result result = bytes == NULL ? RDB_BAD_DATA : output_allocate(output, NUMBER_TEXT_BYTES);

    if (result == RDB_OK) {
        unsigned above = 64u - BITS_PER_BYTE * (unsigned)count;
        int64_t value = (int64_t)(little_endian(bytes, count) << above) >> above;

        output->length = number_format(value, (char *)output->bytes);
    }
    return result;
}

static enum rdb_result restore_compressed(struct input *input, struct output *output) {
    uint64_t packed, length;
    bool encoded[2];

    if (!take_length(input, &packed, &encoded[0]) || !take_length(input, &length, &encoded[1]) || encoded[0] ||
        encoded[1]) {
        return RDB_BAD_DATA;
    }
    const uint8_t *bytes = take(input, packed);
    enum rdb_result result = bytes == NULL ? RDB_BAD_DATA : output_allocate(output, length);

    if (result == RDB_OK && !lzf_decompress(bytes, packed, output->bytes, length)) {
        result = RDB_BAD_DATA;
    }
    return result;
}

static enum rdb_result restore_string(struct input *input, struct output *output) {
    uint64_t length;
    bool encoded;

    if (!take_length(input, &length, &encoded)) {
        return RDB_BAD_DATA;
    }
    if (encoded) {
        return length <= ENCODING_INT32 ? restore_integer(input, (enum encoding)length, output)
               : length == ENCODING_LZF ? restore_compressed(input, output)
                                        : RDB_BAD_DATA;
    }
    const uint8_t *bytes = take(input, length);
    enum rdb_result result = bytes == NULL ? RDB_BAD_DATA : output_allocate(output, length);

    if (result == RDB_OK) {
        memcpy(output->bytes, bytes, length);
    }
    return result;
}

enum rdb_result rdb_restore(const uint8_t *dump, size_t dump_length, uint64_t length_max, uint8_t **bytes,
                            uint64_t *length) {
    struct input input = {dump, dump + dump_length};
    struct output output = {.length_max = length_max < NUMBER_TEXT_BYTES ? NUMBER_TEXT_BYTES : length_max};

    if (dump_length < FOOTER_BYTES) {
        return RDB_BAD_CHECKSUM;
    }
    const uint8_t *footer = dump + dump_length - FOOTER_BYTES, *checksum = footer + VERSION_BYTES;

    if (little_endian(footer, VERSION_BYTES) > RDB_VERSION ||
        little_endian(checksum, sizeof(uint64_t)) != rdb_checksum(dump, dump_length - sizeof(uint64_t))) {
        return RDB_BAD_CHECKSUM;
    }
    const uint8_t *type = take(&input, 1);
    enum rdb_result result = *type == TYPE_STRING ? restore_string(&input, &output) : RDB_BAD_DATA;

    if (result != RDB_OK) {
        free(output.bytes);
        output.bytes = NULL;
    }
    *bytes = output.bytes;
    *length = output.length;
    return result;
}
