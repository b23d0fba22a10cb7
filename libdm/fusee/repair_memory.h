/* repair_memory.h: what becomes of a dead client's memory. Inside a coroutine, behind the repair of the open rounds.
 *
 * Its blocks become free if nothing in them is referred to, else orphans whose free maps hold exactly what is not. In
 * the blocks that are orphans already, what only the dead client knew to be free is marked, too. What it knew of
 * blocks that others own is found by their owners (sweep_own), whom the first step tells. Any number of times, from
 * any state that a repairer who died has left: the block table, the free maps and the index say what is still to be
 * done.
 */
#ifndef FUSEE_REPAIR_MEMORY_H
#define FUSEE_REPAIR_MEMORY_H

#include "fusee/repair_word.h"

struct repair_memory {
    uint32_t blocks_freed, blocks_orphaned;
    uint64_t objects_lost; /* marked by this repair */
    uint64_t repairs;      /* the word of repairs as this one has left it when it began */
};

/* DM_BUSY: the epoch does not advance, because somebody is paused; try again later. */
enum dm_status repair_memory_run(struct dm_session *session, const struct client_set *dead, struct repair_memory *out);

#endif
