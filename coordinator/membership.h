/* membership.h: the interface between what a coordinator does (watcher.h) and how it knows who lives. Two
 * implementations: `builtin` watches the leases in the pool itself, one process; `etcd` asks an etcd cluster, and any
 * number of coordinators, of which one acts. The watcher's thread.
 *
 * A membership says only that a gateway's lease is over. That it is dead is made true by the fence, before anything of
 * it is repaired.
 */
#ifndef MEMBERSHIP_H
#define MEMBERSHIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "dm.h"

struct membership;

struct membership_ops {
    const char *name;
    /* NULL: error says what to do. `pool_id` names the pool. */
    struct membership *(*open)(const struct config *config, uint64_t pool_id, char *error, size_t error_bytes);
    void (*close)(struct membership *membership);
    /* A look begins. False: this coordinator is not the one that acts, or cannot know who lives; nobody is judged. */
    bool (*look)(struct membership *membership);
    /* Behind a look that was true, once for each client that is registered; `began_ns` .. `ended_ns`: when its record
     * was read. True: the lease of its gateway is over. */
    bool (*is_over)(struct membership *membership, const struct dm_member *member, uint64_t began_ns,
                    uint64_t ended_ns);
    /* Is it still so, right before the fence? */
    bool (*may_fence)(struct membership *membership, const struct dm_member *member);
};

extern const struct membership_ops membership_builtin, membership_etcd;

#endif
