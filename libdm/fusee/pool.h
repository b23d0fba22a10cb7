/* pool.h: what the sessions of one process share: geometry, directory, index cache. Internal to libdm.
 * Written at open, read by any thread afterwards (the cache guards itself, counters are atomic). */
#ifndef FUSEE_POOL_H
#define FUSEE_POOL_H

#include <stdatomic.h>

#include "fabric/fabric.h"
#include "fusee/cache.h"
#include "fusee/copy.h"
#include "fusee/layout.h"

struct dm_pool {
    const struct dm_env *env;
    struct dm_fabric *fabric;
    struct layout layout;
    struct region_replica *map;
    uint64_t members;    /* which nodes counted when the pool was opened (members.h) */
    uint64_t *subtables; /* global address by prefix: the leaves of the directory */
    uint8_t depth;       /* of all leaves, until the index can split */
    uint8_t class_max;   /* largest object */
    uint64_t hash_seed;
    struct cache cache;
    struct copies copies;
    _Atomic uint64_t blocks_free; /* as last counted by any session */
    _Atomic uint64_t watch_ns;    /* when one of the sessions is to look for dead clients */
    _Atomic uint64_t *counts;     /* count.h: of those clients that are sessions of this process, */
    _Atomic uint64_t counted_here[LAYOUT_CLIENTS_MAX / 64]; /* a bit each */
    _Atomic uint64_t recount_ns; /* recount.c: when the next try is due; UINT64_MAX: one is under way */
    _Atomic uint64_t recount_wait_ns;
    uint32_t lease_ms;               /* of its sessions; 0: they have none */
    _Atomic uint64_t serve_until_ns; /* dm_pool_serve_until */
};

static inline uint64_t pool_clock_ns(const struct dm_pool *pool) { return pool->env->clock_ns(pool->env->context); }

/* Logs one formatted line. */
void pool_log(const struct dm_pool *pool, enum dm_log_level level, const char *format, ...) DM_PRINTF(3, 4);

/* Reads the superblocks, formats a blank pool (one client does, the others wait), reads map and directory.
 * Runs in a coroutine on `endpoint`; format.c. */
enum dm_status pool_attach(struct dm_pool *pool, struct dm_endpoint *endpoint, const struct dm_pool_config *config,
                           char *error, size_t error_bytes);

#endif
