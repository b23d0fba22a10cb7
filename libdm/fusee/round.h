/* round.h: one SNAPSHOT round on one replicated word: the batches around snapshot.h's rules.
 *
 *   1: each backup: WRITE object -> CAS v_old -> v_new (B1 of an insert: -> READ both buckets)    primary: WRITE object
 *      B1 mine, others not: CAS those from what they hold                                          (one batch more)
 *   2: CAS primary v_old -> v_new
 *
 * Two round trips. v_old was read in the primary by this operation, or it is a guess: a word that was seen in the
 * primary before; then a READ of the primary's word shares the first batch. Used for index slots, and without an object
 * for clears and for the block table. Inside a coroutine.
 */
#ifndef FUSEE_ROUND_H
#define FUSEE_ROUND_H

#include "fusee/session.h"

enum round_result {
    ROUND_WON,      /* v_new is in the primary */
    ROUND_LOST,     /* somebody else's round; round_wait tells what the primary moved to */
    ROUND_STALE,    /* v_old was not current; op->slot_word holds what the primary has */
    ROUND_CONFLICT, /* insert: the check found another slot of this key; the slot holds a fresh empty word again */
};

struct round {
    uint64_t address; /* of the word, global */
    uint64_t v_old, v_new;
    const void *object; /* sealed, registered; NULL = none */
    uint32_t object_bytes;
    bool slot;   /* an index slot, not a block-table word: kinds that this version does not know are refused */
    bool guess;  /* v_old was not read in the primary by this operation */
    bool insert; /* check both buckets of op's key behind the CAS of B1 */
};

/* DM_OK: *result says how it ended. DM_UNKNOWN_OUTCOME, DM_CORRUPT, DM_INCOMPATIBLE otherwise. */
enum dm_status round_run(struct fusee_op *op, const struct round *round, enum round_result *result);

/* A loser waits until the primary's word is no longer v_old, and returns it. DM_UNKNOWN_OUTCOME after
 * ROUND_WAIT_MAX_NS: its winner does not finish. */
#define ROUND_WAIT_MAX_NS UINT64_C(10000000000)
enum dm_status round_wait(struct fusee_op *op, uint64_t address, uint64_t v_old, uint64_t *moved_to);

#endif
