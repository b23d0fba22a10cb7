/* repair_rule.h: how a round that a dead client has left open on one word is to end. Pure: the batches are
 * repair_word.c's. The rules were checked exhaustively as models (tests/model, bucket_repair.c).
 *
 *   READ P, READ all backups, READ P again: three batches
 *   P has moved, or all hold P's word        nothing is open
 *   some backup holds P's word still         FILL it with the deciding word, and look again: a writer that lives
 *                                            may have taken it, and would wait for ever behind a decision without it
 *   the list is full: SETTLE
 *     P empty, the word not (an insert)      back, to a fresh empty word: nobody knows what its check has found
 *     the word is empty (a clear, an abort)  forward
 *     its object is whole on all replicas    forward
 *     it is not, P holds a tombstone         a fresh empty word, which means the same
 *     it is not, P holds a live word         a fresh word for a copy of what P means. Never P's old word again:
 *                                            losers wait for P to move
 *
 * The deciding word is the first backup's. If that one holds P's word still, nobody has won yet: then a word of the
 * dead client on another backup.
 */
#ifndef FUSEE_REPAIR_RULE_H
#define FUSEE_REPAIR_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "fusee/snapshot.h"

struct repair_view {
    uint64_t primary;
    uint64_t backup[SNAPSHOT_BACKUPS_MAX];
    uint32_t backups;
    uint64_t again; /* the primary, read behind the backups */
};

/* Is there an open round in this view at all? */
bool repair_view_open(const struct repair_view *view);

/* Does some backup hold the primary's word still? */
bool repair_view_partial(const struct repair_view *view);

enum repair_end { REPAIR_FORWARD, REPAIR_EMPTY, REPAIR_COPY };

/* How the round from the index word `primary` to `word` ends. whole: `word`'s object is, on all replicas. */
enum repair_end repair_rule_end(uint64_t primary, uint64_t word, bool whole);

#endif
