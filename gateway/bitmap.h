/* bitmap.h: strings as arrays of bits, as SETBIT and its kin see them: bit 0 is the highest bit of the first byte.
 *
 * Pure functions without clock or pool; the *_decide function has the shape of dm_update_fn. Called by cmd_bitmap.c in
 * coroutines, by bitfield.c, and by unit tests.
 */
#ifndef BITMAP_H
#define BITMAP_H

#include "string_range.h"

/* An offset argument: "7", or with bits > 0 also "#7", which counts fields of so many bits. False: not an integer,
 * negative, or beyond bytes_max bytes. */
bool bitmap_offset_parse(const struct resp_arg *arg, unsigned bits, uint64_t bytes_max, uint64_t *offset);

/* Beyond the end all bits are 0. */
bool bitmap_get(const uint8_t *bytes, uint64_t length, uint64_t offset);

/* How many of the bits first .. first + count - 1 are set; all lie inside. */
uint64_t bitmap_count(const uint8_t *bytes, uint64_t first, uint64_t count);

#define BITMAP_NONE UINT64_MAX
/* The first of these bits that is `bit`; BITMAP_NONE when there is none. All lie inside. */
uint64_t bitmap_find(const uint8_t *bytes, bool bit, uint64_t first, uint64_t count);

struct bitmap_set { /* SETBIT */
    uint64_t offset;
    bool bit;
    bool before;     /* result */
    uint64_t length; /* result: of the whole */
    enum string_result result;
    uint8_t byte; /* what is written */
};
enum dm_action bitmap_set_decide(void *set, const struct dm_value *old, struct dm_write *write);

/* ---- BITOP ---- */

enum bitmap_operation { BITMAP_AND, BITMAP_OR, BITMAP_XOR, BITMAP_NOT };

bool bitmap_operation_parse(const struct resp_arg *arg, enum bitmap_operation *operation);

/* into := into OP from, for two strings after the first one; `into` has room for the longer of both, and what lies
 * behind into_length is not read. Returns the longer length: the shorter one counts as padded with zeros. */
uint64_t bitmap_combine(enum bitmap_operation operation, uint8_t *into, uint64_t into_length, const uint8_t *from,
                        uint64_t from_length);
void bitmap_invert(uint8_t *bytes, uint64_t length);

#endif
