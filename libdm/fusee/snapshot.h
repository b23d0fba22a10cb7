/* snapshot.h: the rules of a SNAPSHOT round (FUSEE section 4.3) with "the first backup decides". Pure: who won, what
 * is owed, what may be answered. The batches are round.c's. The rules were checked exhaustively as models; see
 * ARCHITECTURE.md, "A round".
 *
 * A writer that holds v_old (seen in the primary) and v_new (never used by any other attempt) CASes all backups
 * v_old -> v_new. A CAS that fails because it meets the own v_new counts as won.
 */
#ifndef FUSEE_SNAPSHOT_H
#define FUSEE_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#define SNAPSHOT_BACKUPS_MAX 3

enum snapshot_verdict {
    SNAPSHOT_WON,   /* every backup is mine: CAS the primary */
    SNAPSHOT_FIX,   /* the first backup is mine: CAS the others from what they hold, then the primary */
    SNAPSHOT_LOST,  /* wait until the primary has moved */
    SNAPSHOT_STALE, /* v_old was a guess and wrong: nobody has won or lost, begin again from the primary's word */
};

/* seen[i]: the word that the CAS of backup i found. backups >= 1. */
enum snapshot_verdict snapshot_judge(const uint64_t *seen, uint32_t backups, uint64_t v_old, uint64_t v_new);

/* The same where v_old is a guess, of a word that was seen in the primary before, and `primary` is what a READ of the
 * primary beside the CASes found (trap T2). */
enum snapshot_verdict snapshot_judge_guess(const uint64_t *seen, uint32_t backups, uint64_t v_old, uint64_t v_new,
                                           uint64_t primary);

/* Is backup i mine after a CAS that found `seen`? */
static inline bool snapshot_mine(uint64_t seen, uint64_t v_old, uint64_t v_new) {
    return seen == v_old || seen == v_new;
}

/* May a loser answer OK? Only a blind write may, and only if what stands in the primary now was itself written
 * blind (trap T1): a read-modify-write may have read before my write, and stand behind it. So may whoever wrote a
 * tombstone: an expiry, or a GETDEL, deletes what it has read and nothing newer. The caller sees to it that the word is
 * one of the same key, because a slot that was cleared may belong to another key. `moved_to` differs from v_old, which
 * this operation has itself seen in the primary (trap T2). */
bool snapshot_loser_may_answer(bool blind_write, uint64_t moved_to);

#endif
