/* dm_loss.h: going on without memory nodes that are lost. A part of libdm's interface beside dm.h, for coordinators, of
 * which there is none yet that uses it: so it is not installed. See docs/decisions/0024. */
#ifndef DM_LOSS_H
#define DM_LOSS_H

#include "dm.h"

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

struct dm_loss {
    uint64_t nodes;          /* memory nodes that are lost, one bit each; those that are known to be are added */
    const uint32_t *clients; /* that are dead, and of which nothing can take effect any more, as for a repair; those */
    uint32_t client_count;   /* that the fabric knows to be `gone` are added */
};

/* All sessions stop for a moment; what each has under way is settled; then the first node that is left of those of a
 * region is its primary. Reads and writes begin again by themselves. The caller has made sure that these nodes are gone
 * for good, or that nobody reaches them any more, and that nobody else calls this at the same time. The session was
 * opened before they were lost. Behind a failure the pool rests until a call succeeds, by this session or another;
 * every step may be repeated, with more nodes lost. Inside a coroutine, not inside another call.
 *
 * DM_UNREACHABLE: another node does not answer, or some data has no replica left (then nothing has changed). DM_BUSY:
 * a client that is not known to be dead does not stop. DM_CORRUPT: a client died together with the node, and nothing
 * tells what has become of its write: the pool stays at rest. `error` says more. */
DM_MUST_USE enum dm_status dm_session_settle(struct dm_session *session, const struct dm_loss *loss, char *error,
                                             size_t error_bytes);

/* The nodes that do not count any more, as this session knows: one bit each. */
uint64_t dm_session_lost(const struct dm_session *session);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#endif
