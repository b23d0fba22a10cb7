/* lease.h: the word in its record by which a client shows that it lives, and how a session keeps it up.
 *
 *    63          40 39                                    0
 *   +--------------+---------------------------------------+
 *   | lease, ms 24 | how often it was renewed 40           |      0: this client promises nothing
 *   +--------------+---------------------------------------+
 *
 * The client WRITES another number long before the lease has run out. Nobody's clock is compared with another's: who
 * watches measures with its own for how long the word has stayed the same.
 *
 * A session whose lease has run out by its own clock, because it was paused, begins nothing before it has found that
 * nobody has taken it for dead meanwhile. That is not what makes repair safe: a client is fenced before it is repaired,
 * so whatever it still posts has no effect. It is what makes a client that was cut off say so, and end.
 */
#ifndef FUSEE_LEASE_H
#define FUSEE_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "dm.h"

#define LEASE_MS_MAX ((1u << 24) - 1)
#define LEASE_COUNT_MASK ((UINT64_C(1) << 40) - 1)

static inline uint64_t lease_word(uint32_t lease_ms, uint64_t count) {
    return (uint64_t)lease_ms << 40 | (count & LEASE_COUNT_MASK);
}
static inline uint32_t lease_word_ms(uint64_t word) { return (uint32_t)(word >> 40); }

/* A session's part; in struct dm_session. */
struct lease {
    uint64_t renewed_ns; /* before the last renewal that succeeded was posted */
    uint64_t due_ns;     /* when the next one is to begin; UINT64_MAX: this pool's sessions have no lease */
    uint64_t count;
    bool renewing; /* a coroutine is at it */
    bool fenced;   /* somebody has taken this client for dead */
};

/* The session is registered: its first renewal. Inside a coroutine. */
enum dm_status lease_begin(struct dm_session *session);

/* From the session's poll: starts a renewal that is due in a coroutine of its own. */
void lease_poll(struct dm_session *session);

/* Before an operation begins; `caller`: it is one of a caller. DM_OK: the lease holds, or holds again. DM_NO_LEASE.
 * Inside a coroutine. */
enum dm_status lease_hold(struct dm_session *session, bool caller);

#endif
