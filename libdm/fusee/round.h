/* round.h: one SNAPSHOT round on one replicated word: the batches around snapshot.h's rules.
 *
 *   1: each backup: WRITE object -> CAS v_old -> v_new (B1 of an insert: -> READ both buckets)    primary: WRITE object
 *      B1 mine, others not: CAS those from what they hold                                          (one batch more)
 *   2: CAS primary v_old -> v_new
 *
 * Two round trips. v_old was read in the primary by this operation, or it is a guess: a word that was seen in the
 * primary before; then a READ of the primary's word shares the first batch. Used for index slots, and without an object
 * for clears and for the block table. Inside a coroutine.
 *
 * When a batch fails, any part of it may have taken effect, and a round that is left half done blocks its word for
 * everybody. So its client goes on with it from where it stands until it has ended (trap T7): every step may be
 * repeated, because it meets its own words. round_run does so for ROUND_RETRY_NS; then open_round.h does.
 */
#ifndef FUSEE_ROUND_H
#define FUSEE_ROUND_H

#include <stdbool.h>
#include <stdint.h>

#include "dm.h"
#include "fusee/snapshot.h"

struct fusee_op;

enum round_result {
    ROUND_WON,      /* v_new is in the primary */
    ROUND_LOST,     /* somebody else's round; round_wait tells what the primary moved to */
    ROUND_STALE,    /* v_old was not current; op->slot_word holds what the primary has */
    ROUND_CONFLICT, /* insert: the check found another slot of this key; the slot holds a fresh empty word again */
};

/* Where a round stands. */
enum round_stage {
    ROUND_AT_START,   /* the object and the backups; at r = 1 the only copy */
    ROUND_AT_FIX,     /* won: backups that hold other words */
    ROUND_AT_CHECK,   /* insert: is there another slot of this key? */
    ROUND_AT_ABORT,   /* there is: the backups get an empty word, */
    ROUND_AT_RETRACT, /* and then the primary */
    ROUND_AT_PRIMARY, /* won: the primary */
    ROUND_AT_END,
};

struct round {
    uint64_t address; /* of the word, global */
    uint64_t v_old, v_new;
    const void *object; /* sealed, registered; NULL = none */
    uint32_t object_bytes;
    bool slot;   /* an index slot, not a block-table word: kinds that this version does not know are refused */
    bool guess;  /* v_old was not read in the primary by this operation */
    bool insert; /* check both buckets of op's key behind the CAS of B1 */
    /* round_run's own; all zero at first */
    enum round_stage stage;
    bool again;                          /* this stage was tried before, and what became of it is unknown */
    uint64_t seen[SNAPSHOT_BACKUPS_MAX]; /* what the backups hold */
    enum dm_status failure;              /* why the check could not be made, so that the insert was taken back */
    /* round_members.h's */
    struct round *next, *previous;
    struct fusee_op *op;
    uint64_t members; /* by which it stands where it stands */
    bool taken_back;
};

/* DM_OK: *result says how it ended. ROUND_CONFLICT with another status: the check could not be made, nothing has
 * happened. DM_UNKNOWN_OUTCOME: nodes cannot be reached; until round->stage is ROUND_AT_END the round may be open, and
 * is to be gone on with, by the same operation in the same epoch: call again. At r = 1 it may have ended so.
 * DM_CORRUPT, DM_INCOMPATIBLE: given up. */
enum dm_status round_run(struct fusee_op *op, struct round *round, enum round_result *result);

/* The same, and does not go on by itself behind a failure. */
enum dm_status round_try(struct fusee_op *op, struct round *round, enum round_result *result);

#define ROUND_RETRY_NS UINT64_C(500000000) /* for which round_run goes on by itself behind a failure */

/* A loser waits until the primary's word is no longer v_old, and returns it. DM_UNKNOWN_OUTCOME after
 * ROUND_WAIT_MAX_NS: its winner does not finish. DM_UNREACHABLE: the primary cannot be asked. */
#define ROUND_WAIT_MAX_NS UINT64_C(10000000000)
enum dm_status round_wait(struct fusee_op *op, uint64_t address, uint64_t v_old, uint64_t *moved_to);

#endif
