/* settle.h: goes on without memory nodes that are lost (dm_session_settle): what one session does for all of them.
 * Inside a coroutine of it; every step may be done again, by anybody, from wherever the last one stopped.
 *
 *   close    settle.c: the word of members, with an odd number, to every node that is left (members.h)
 *   wait     until every client that has announced itself rests, or is dead
 *   words    settle_words.c: in each region that has lost a replica
 *              the primary lives: its word onto the backups that are left
 *              it is lost:        the first backup's word onto the others. Clients that live have taken back before
 *                                 what must not stay. Free maps are lost with their primary, and emptied
 *            settle_dead.c: of clients that died with the node, what no one can take back
 *   control  settle.c: epoch line, space table and client records onto the nodes that hold them from now on
 *   open     the word of members, with the next number
 *   memory   off the request path: what the lost free maps said is looked for in the index
 */
#ifndef FUSEE_SETTLE_H
#define FUSEE_SETTLE_H

#include "dm_loss.h"
#include "fusee/client_set.h"
#include "fusee/session.h"

struct settle {
    struct dm_session *session;
    uint64_t word;           /* of members: what is being settled */
    struct layout next;      /* without the nodes that are lost */
    struct client_set given; /* known to be dead, */
    struct client_set dead;  /* and those that have left something */
    bool any_dead;
    uint64_t *owner, *announced; /* of each client */
    uint64_t *blocks;            /* the word of each block; read when any client is dead */
    bool moved;                  /* some region has another primary */
    uint32_t words, taken_back;  /* replicas that were set; inserts of the dead */
    char *error;
    size_t error_bytes;
};

/* Posts past the gate. */
enum dm_status settle_execute(struct settle *settle, struct dm_batch *batch);
/* Says why it cannot be, and returns `status`. */
enum dm_status settle_refuse(struct settle *settle, enum dm_status status, const char *format, ...) DM_PRINTF(3, 4);

enum dm_status settle_words(struct settle *settle);

/* The subtable at `address`, as the first replica that is left has it, of a region whose primary is lost: what do the
 * words of dead clients become? Changes them in `words`. */
enum dm_status settle_dead(struct settle *settle, uint64_t address, uint64_t *words);

/* One replica of a subtable of a region that has lost another one: DM_CORRUPT if a dead client's transaction is in
 * it. */
enum dm_status settle_dead_intents(struct settle *settle, const uint64_t *words);

#endif
