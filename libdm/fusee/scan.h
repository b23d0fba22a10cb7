/* scan.h: a walk over all keys, in the order of the index. Inside a coroutine.
 *
 * A key that is there all the time stays in its slot, so a walk that looks at every slot of every subtable once meets
 * it. The cursor says where the walk is in terms that do not depend on how many subtables there are:
 *
 *     63            36 35         12 11      7 6          0
 *    +----------------+-------------+---------+------------+
 *    |       0        | hash top 24 | depth 5 |  group 7   |      0: the beginning, and the end
 *    +----------------+-------------+---------+------------+
 *
 * hash: the subtable at work holds the keys whose hash begins with these bits, `depth` of them. So that a cursor
 * outlives an index that has grown; this version's never does.
 */
#ifndef FUSEE_SCAN_H
#define FUSEE_SCAN_H

#include "fusee/session.h"

#define SCAN_HASH_BITS 24
#define SCAN_DEPTH_BITS 5
#define SCAN_GROUP_BITS 7

struct scan_place {
    uint32_t prefix; /* of the subtable */
    uint32_t group;  /* of buckets in it */
};

/* Pure. Any number is a cursor: it comes from clients. */
struct scan_place scan_place_of(uint64_t cursor, uint8_t depth);
uint64_t scan_cursor(struct scan_place place, uint8_t depth);

#endif
