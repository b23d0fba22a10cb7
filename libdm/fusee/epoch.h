/* epoch.h: reclamation epochs: nobody reuses an object that an operation in flight may still follow (trap T3).
 *
 * One epoch word and one announce word per client, on the control nodes (members.h). A client announces "all my
 * operations in flight began when the epoch was at least e" as e + 1, or 0 = idle. The epoch goes from e to e + 1 only
 * when no client announces less than e, and some time after its last step. A client that was idle announces itself
 * *before* its first operation.
 */
#ifndef FUSEE_EPOCH_H
#define FUSEE_EPOCH_H

#include "dm.h"

struct dm_session;

#define EPOCH_NS UINT64_C(50000000) /* an epoch lasts so long, unless memory is short */

/* Announces an idle session as active and waits until that is visible. Inside a coroutine. */
enum dm_status epoch_announce(struct dm_session *session);

/* One tick: reads epoch and announcements, advances the epoch if it may be, publishes our own announcement, seals
 * and drains the limbo. Inside a coroutine. */
enum dm_status epoch_tick(struct dm_session *session);

/* Announces "idle". Only without operations in flight. */
enum dm_status epoch_retire(struct dm_session *session);

#endif
