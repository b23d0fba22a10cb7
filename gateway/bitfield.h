/* bitfield.h: the operations of BITFIELD: integers of 1 to 64 bits anywhere in a string.
 *
 * Pure functions without clock or pool. Called by cmd_bitfield.c in coroutines, and by unit tests.
 */
#ifndef BITFIELD_H
#define BITFIELD_H

#include "bitmap.h"

#define BITFIELD_BITS_MAX 64u

enum bitfield_overflow { BITFIELD_WRAP, BITFIELD_SATURATE, BITFIELD_FAIL };
enum bitfield_kind { BITFIELD_GET, BITFIELD_SET, BITFIELD_ADD };

struct bitfield_operation {
    uint64_t offset; /* of its first bit */
    int64_t value;   /* of SET and INCRBY */
    uint8_t bits;
    bool has_sign;
    enum bitfield_kind kind;
    enum bitfield_overflow overflow;
};

enum bitfield_result {
    BITFIELD_OK,
    BITFIELD_END, /* no more operations */
    BITFIELD_SYNTAX,
    BITFIELD_BAD_OVERFLOW,
    BITFIELD_BAD_TYPE,
    BITFIELD_BAD_OFFSET,
    BITFIELD_BAD_VALUE,
};

struct bitfield_parser {
    const struct resp_arg *args; /* behind the key */
    size_t count, next;
    uint64_t bytes_max; /* no offset beyond */
    enum bitfield_overflow overflow;
};

/* The next operation. */
enum bitfield_result bitfield_parse(struct bitfield_parser *parser, struct bitfield_operation *operation);

/* Bytes of the shortest string that holds the field. */
uint64_t bitfield_bytes(const struct bitfield_operation *operation);

/* Beyond the end all bits are 0. */
int64_t bitfield_get(const uint8_t *bytes, uint64_t length, const struct bitfield_operation *operation);

/* GET, SET or INCRBY; the bytes hold the field, but for GET. False: it failed by overflow, nothing was changed.
 * *out: the reply. */
bool bitfield_apply(uint8_t *bytes, uint64_t length, const struct bitfield_operation *operation, int64_t *out);

#endif
