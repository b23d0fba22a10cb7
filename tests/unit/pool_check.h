/* pool_check.h: looks at a pool's memory directly and says whether what lies there is what the protocol says. For
 * unit tests; one thread; nothing may be in flight unless said. */
#ifndef POOL_CHECK_H
#define POOL_CHECK_H

#include "fixture.h"
#include "fusee/layout.h"

const struct layout *check_layout(const struct world *world);

/* Where a global address lies on one replica. */
void *check_at(const struct world *world, uint64_t address, uint32_t replica);
uint64_t check_word(const struct world *world, uint32_t subtable, uint16_t slot, uint32_t replica);

/* Live slots of this key in the primaries. Any time, operations in flight included. */
uint32_t check_live_slots(const struct world *world, const char *key);
/* The slot of a key and its word; the slot is INDEX_NO_SLOT when there is none. One subtable. */
uint16_t check_slot_of(const struct world *world, const char *key, uint64_t *word);
/* The slot that an insert of this key would choose now. One subtable. */
uint16_t check_slot_for(const struct world *world, const char *key);

struct census {
    uint64_t live, tombstones, provisional; /* provisional: intents, too */
    uint64_t blocks_free, blocks_system, blocks_owned, blocks_orphan;
};

/* Are the counts of keys in doubt (count.h)? If not: fails the test unless they, with what sessions have not written
 * yet, are the number of keys in each space. At rest. */
bool check_counts(const struct world *world);

/* At rest: replicas of all slots and block words are equal; every live word's object is whole on every replica, in a
 * block that is somebody's; no key has two live slots, no object two slots; the
 * counts of keys are right or in doubt. Fails the test otherwise. */
struct census check_at_rest(const struct world *world);

#endif
