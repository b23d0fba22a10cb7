/* check.h: is a pool that is in use in order? What the parts of dm_inspector_check share; the rules are check_rule.h's.
 * In coroutines of the inspector. Only READs.
 *
 *   before   block tables
 *   slots    check_slot.c: all subtables on all replicas, and the object behind every slot that names one
 *   blocks   check_block.c: block tables again, free maps, client records
 *   wait     until every client's operations of that time have ended, or patience has
 *   again    what looked wrong and may have been under way
 *
 * Words never come back, so what is the same before and after was so all the time. A difference between replicas that
 * has outlived all operations of its time belongs to nobody: an operation under way holds up its client's announcement.
 */
#ifndef FUSEE_CHECK_H
#define FUSEE_CHECK_H

#include "fusee/check_rule.h"
#include "fusee/client_set.h"
#include "fusee/inspect.h"

#define CHECK_SUSPECTS_MAX 65536u

/* A replicated word that was not the same everywhere, or must not stay as it was. */
struct check_suspect {
    uint64_t address; /* global */
    bool slot;        /* not a word of a block table */
    uint64_t words[LAYOUT_REPLICAS_MAX];
};

struct check {
    struct dm_inspector *inspector;
    const struct dm_check_config *config;
    struct dm_check *out;
    uint16_t space_numbers[DM_SPACES];
    struct check_uses uses; /* REFERENCED by the pass over the slots, MARKED by that over the free maps */
    uint64_t *before;       /* block words ahead of the slots, */
    uint64_t *blocks;       /* and behind them */
    uint8_t *differ;        /* by block: its word is not the same on all replicas */
    struct check_suspect *suspects;
    uint32_t suspect_count, suspect_capacity;
    uint64_t *owners; /* of the client records, behind the blocks */
    uint64_t epoch_before, epoch;
    struct client_set late, late_dead; /* clients with operations of that time, still; of these, dead ones */
};

/* Counts a fault and tells of it. */
void check_fault(struct check *check, enum dm_fault_kind kind, const char *format, ...) DM_PRINTF(3, 4);

/* DM_BUSY: no memory. */
enum dm_status check_suspect(struct check *check, const struct check_suspect *suspect);

/* check_slot.c */
enum dm_status check_slots(struct check *check);

/* check_block.c */
enum dm_status check_blocks(struct check *check);
/* Behind the wait: clients and blocks that contradict each other still, and memory that nobody knows of. */
enum dm_status check_blocks_again(struct check *check);

static inline const struct layout *check_layout(const struct check *check) { return &check->inspector->pool->layout; }

/* Nobody who had an operation under way before the wait has it still. */
static inline bool check_is_past(const struct check *check) {
    for (uint32_t i = 0; i < sizeof check->late.bits / sizeof check->late.bits[0]; i++) {
        if (check->late.bits[i] != 0) {
            return false;
        }
    }
    return true;
}

#endif
