/* etcd_member.h: a gateway's membership in etcd: a key under a lease, and a thread that keeps the lease up. While it
 * does, and for as long as the lease lasts by this process's clock, the gateway may serve (dm_pool_serve_until); then
 * it refuses, and goes on when etcd is back. Used by the gateway's main thread. */
#ifndef ETCD_MEMBER_H
#define ETCD_MEMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dm.h"

struct etcd_member;

struct etcd_member_config {
    const struct dm_env *env; /* clock and log */
    const char *endpoints;
    uint32_t ttl_s;
    uint64_t pool_id, identity;
    struct dm_pool *pool; /* lives longer than the member */
};

/* When it returns true the key is there. False: error says what to do. */
bool etcd_member_open(const struct etcd_member_config *config, struct etcd_member **out, char *error,
                      size_t error_bytes);
/* Takes the key away. */
void etcd_member_close(struct etcd_member *member);

#endif
