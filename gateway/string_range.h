/* string_range.h: parts of a string: which bytes GETRANGE and its kin mean, and SETRANGE's and SETBIT's way of writing
 * into one. Pure functions without clock or pool; the *_decide function has the shape of dm_update_fn. Called by
 * cmd_string_range.c and cmd_bitmap.c in coroutines, and by unit tests.
 */
#ifndef STRING_RANGE_H
#define STRING_RANGE_H

#include "string_rule.h"

/* Bytes (or bits) from start to end, both inclusive; negative ones count from the end. Returns how many of `length`
 * they are, 0 when none; *first is the first one. */
uint64_t string_range_clip(int64_t start, int64_t end, uint64_t length, uint64_t *first);

#define STRING_GAP_BYTES_MAX (1u << 20) /* no pool takes larger values, see dm_pool_info */

struct string_overlay { /* SETRANGE */
    struct dm_bytes patch;
    uint64_t offset;    /* zeros fill what lies between the end and it; at most STRING_GAP_BYTES_MAX */
    uint64_t bytes_max; /* proto-max-bulk-len */
    uint64_t length;    /* result: of the whole */
    enum string_result result;
};
enum dm_action string_overlay_decide(void *overlay, const struct dm_value *old, struct dm_write *write);

/* `old` (may be NULL) with `patch` written at `offset`, into the parts of `write`. */
void string_overlay_write(const struct dm_value *old, struct dm_bytes patch, uint64_t offset, struct dm_write *write);

#endif
