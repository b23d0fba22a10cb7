/* builtin.c: the membership of a single coordinator process: gateways renew their leases by writing words in the pool,
 * and it watches these. Nobody takes its place when it ends; then gateways go on, and only those that hang stay where
 * they are until it is started again. See membership.h. */
#include <stdio.h>
#include <stdlib.h>

#include "lease_watch.h"
#include "membership.h"

#define CLIENTS_MAX 1024u

struct membership {
    struct lease_watch watches[CLIENTS_MAX];
};

static struct membership *builtin_open(const struct config *config, uint64_t pool_id, char *error, size_t error_bytes) {
    struct membership *membership = calloc(1, sizeof *membership);
    (void)config;
    (void)pool_id;
    if (membership == NULL) {
        snprintf(error, error_bytes, "no memory");
    }
    return membership;
}

static void builtin_close(struct membership *membership) { free(membership); }

static bool builtin_look(struct membership *membership) {
    (void)membership;
    return true;
}

static bool builtin_is_over(struct membership *membership, const struct dm_member *member, uint64_t began_ns,
                            uint64_t ended_ns) {
    const struct lease_sight sight = {.owner = member->client.owner,
                                      .lease = member->lease,
                                      .lease_ms = member->lease_ms,
                                      .began_ns = began_ns,
                                      .ended_ns = ended_ns};
    return member->client.client < CLIENTS_MAX && lease_watch_look(&membership->watches[member->client.client], &sight);
}

/* The look has just found it so. */
static bool builtin_may_fence(struct membership *membership, const struct dm_member *member) {
    (void)membership;
    (void)member;
    return true;
}

const struct membership_ops membership_builtin = {.name = "builtin",
                                                  .open = builtin_open,
                                                  .close = builtin_close,
                                                  .look = builtin_look,
                                                  .is_over = builtin_is_over,
                                                  .may_fence = builtin_may_fence};
