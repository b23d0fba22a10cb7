/* coro.h: what the rest of libdm needs of a coroutine beyond dm.h's scheduler calls: park and wake.
 *
 * Stackful, one scheduler per thread, never migrates. dm_coro_wake may be called only on the scheduler's own thread
 * (providers complete batches in their poll function, on the thread that owns the endpoint).
 */
#ifndef DM_CORO_H
#define DM_CORO_H

#include "dm.h"

struct dm_coro;

/* The running coroutine, NULL outside of any. */
struct dm_coro *dm_coro_self(const struct dm_sched *sched);

/* Gives up the thread until dm_coro_wake. Only inside a coroutine. */
void dm_coro_park(struct dm_sched *sched);

/* Makes a parked coroutine ready; it runs in the next dm_sched_run. Once per park. */
void dm_coro_wake(struct dm_coro *coro);

#endif
