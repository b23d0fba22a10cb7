/* sweep.h: finds objects that nobody refers to any more, by looking at the whole index: a client that dies forgets
 * what it has freed, had in its limbo, or had not given away yet. Inside a coroutine.
 *
 * A sweep holds, for some blocks, a bit for each object that may be lost. An object is lost if
 *   1  it was taken, and free nowhere, when an epoch began that has ended since: nobody who had it then still has it,
 *   2  then no slot's primary names it (sweep_reach): it was unlinked before, or never linked,
 *   3  then SWEEP_EPOCHS have passed: whoever unlinked it has freed it by now; and it is still free nowhere.
 * Each step takes bits away. What is left is lost.
 *
 * Each session sweeps its own blocks, and a repair those of the dead and the orphans. So that none is left out that
 * changes hands meanwhile, blocks know whether they were swept:
 *
 *   - a repair counts up the pool's word of repairs when all rounds of the dead have ended, and waits until everybody
 *     has seen it. Then it makes all orphans *unswept* (SWEEP_MARK_EPOCHS), sweeps, and makes them orphans again.
 *   - block->swept is the word of repairs that its owner knew when it got the block free, or adopted an orphan, or when
 *     the last sweep of it began. Who gives a block up that was not swept since the last repair began gives it up
 *     unswept; who adopts an unswept one, or an orphan that a repair may be about to mark, sweeps it.
 */
#ifndef FUSEE_SWEEP_H
#define FUSEE_SWEEP_H

#include "fusee/session.h"

/* Behind an unlinking: its operation ends within 2 epochs; a limbo whose segments are all in use seals within 2 more
 * and lets go 2 later; a mark in a free map, which holds the epoch up, is there 2 later; and one for the epoch of the
 * look. */
#define SWEEP_EPOCHS 9u

/* Behind the counting of a repair: who has not seen it has ended what it was doing. */
#define SWEEP_SEEN_EPOCHS 3u
/* Orphans are marked before so many have passed. */
#define SWEEP_MARK_EPOCHS 8u

#define SWEEP_NEVER UINT64_MAX /* block->swept */

struct sweep_block {
    uint64_t number;
    uint64_t word; /* of the block table, when it was added */
    uint8_t size_class;
    uint32_t objects, left; /* left: bits that are set */
    uint64_t bits[];        /* a bit an object */
};

struct sweep {
    struct dm_session *session;
    struct sweep_block **blocks; /* by block number; NULL: not looked at */
    uint64_t block_count;        /* entries of it */
};

bool sweep_open(struct sweep *sweep, struct dm_session *session);
void sweep_close(struct sweep *sweep);

/* All objects of the block but those whose bit is set in `free` (NULL: none). false: no memory. */
bool sweep_add(struct sweep *sweep, uint64_t number, uint64_t word, const uint64_t *free);

/* This object is not lost. */
void sweep_keep(struct sweep *sweep, uint64_t address);

/* Nor are those that the primaries of the index name. */
enum dm_status sweep_reach(struct sweep *sweep);

/* Waits until the epoch is so much further than now, ticking. DM_BUSY: it does not advance, or the session closes.
 * `each` (may be NULL) is called at least once between two ticks; false ends the waiting, too. */
enum dm_status sweep_wait(struct dm_session *session, uint32_t epochs, bool (*each)(void *context), void *context);

/* Frees the lost objects of the session's own blocks; *lost counts them. DM_BUSY: try again later. */
enum dm_status sweep_own(struct dm_session *session, uint64_t *lost);

/* Is a block of this session not swept since the last repair began? */
bool sweep_is_owed(const struct dm_session *session);

/* What is known of a block that this session has got just now, in the place of `from`. */
uint64_t sweep_known(const struct dm_session *session, uint64_t from);

/* The word of repairs as it was read now. */
void sweep_note_repairs(struct dm_session *session, uint64_t repairs);

#endif
