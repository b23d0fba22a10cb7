/* watch_renewal.h: keeps WATCH true for as long as a client likes: the pool notes the absence of a watched key for a
 * while only (dm_watch), so what is watched for longer is watched again.
 *
 * On the worker's thread. Called by worker.c, and by those who begin and end a watch.
 */
#ifndef WATCH_RENEWAL_H
#define WATCH_RENEWAL_H

#include <stdbool.h>
#include <stdint.h>

struct worker;

/* Of one worker. */
struct watch_renewal {
    uint64_t keys;       /* that its connections watch */
    uint64_t next_ns;    /* when to look for old ones, if there are keys */
    uint32_t coroutines; /* one, while it renews */
};

/* A connection watches one key more. */
void watch_renewal_add(struct worker *worker);
/* So many fewer. */
void watch_renewal_remove(struct worker *worker, uint64_t keys);

/* Begins to renew when that is due. Returns when to be called again, UINT64_MAX: any time. */
uint64_t watch_renewal_run(struct worker *worker, uint64_t now_ns);

#endif
