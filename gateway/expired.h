/* expired.h: looks for expired keys that nobody touches, so that their memory comes back; and the keyspace event
 * `expired`: tells of keys that a worker's session has removed because their time had come.
 *
 * On the worker's thread. Not here: what expires (libdm). Called by worker.c.
 */
#ifndef EXPIRED_H
#define EXPIRED_H

#include <stdbool.h>
#include <stdint.h>

struct worker;

/* Of one worker. */
struct expired_watch {
    struct worker *worker;
    uint64_t cursor;     /* of the walk over all keys, a few at a time, again and again */
    uint64_t last_ns;    /* when its last step began */
    uint64_t rest_ns;    /* no walk begins before, unless events are wanted */
    uint64_t notes;      /* of absences, that this gateway had left when it began */
    bool under_way;      /* it has begun, and not come to its end */
    uint32_t coroutines; /* that step, and events on their way */
    bool walking;        /* a step is under way */
};

/* From now on what the worker's session removes is told. `watch` lives as long as the session. */
void expired_watch_begin(struct expired_watch *watch, struct worker *worker);

/* Begins the next step of the walk if it is due. One worker of a gateway calls it. Returns
 * when to be called again, UINT64_MAX: any time. */
uint64_t expired_watch_walk(struct expired_watch *watch, uint64_t now_ns);

#endif
