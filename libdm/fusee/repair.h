/* repair.h: the repair of dead clients by a session that lives (dm_session_repair), and how sessions notice that
 * clients have died and that repairs have ended. Inside coroutines of the session.
 *
 *   claim     one repairer at a time: a word in the dead client's record names it. The claim of a dead repairer is
 *             taken over. Every later step may be done again from wherever the last one stopped.
 *   rounds    repair_scan.c: open rounds are ended, tombstones cleared. From here on nobody waits for the dead.
 *   epoch     the dead client's announcement goes: the epoch moves on, for all. Not before the rounds: orphans of an
 *             announced client are adopted by nobody (block.h). Not later: the memory needs it. Nobody allocates from
 *             the blocks of the dead meanwhile, so nothing that its rounds have named is used again.
 *   memory    repair_memory.c
 *   record    is free again, last: until then every live session sees that there is something to do
 */
#ifndef FUSEE_REPAIR_H
#define FUSEE_REPAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "fusee/client_set.h"

struct dm_session;

/* A session's part in noticing; in struct dm_session. */
struct watch {
    uint64_t look_ns;    /* when the next look is due */
    uint64_t all_ns;     /* when one at all clients is, and not only at those that have announced themselves */
    bool looking;        /* a coroutine looks, or ends open rounds */
    bool owes_look;      /* the last one has failed: claims may be left that name this session, of idle clients, too */
    bool owes_sweep;     /* of its blocks, of some of them at least */
    bool sweeping;       /* a coroutine does that */
    bool failing;        /* the last look has failed, which was logged */
    bool closing;        /* the session is about to close: waits end at once */
    uint32_t coroutines; /* that look, repair or sweep */
    struct client_set repairing; /* by coroutines of this session */
};

/* From the session's tick; starts what is due in a coroutine of its own. */
void watch_tick(struct dm_session *session);

#endif
