/* pool_account.h: where every byte of a pool is: looks at its memory and at the sessions that live, and finds each
 * object of each data block either free, in exactly one place, or named by exactly one slot. For unit tests; one
 * thread; no operation may be under way. */
#ifndef POOL_ACCOUNT_H
#define POOL_ACCOUNT_H

#include "fixture.h"

struct account {
    uint64_t objects_used, objects_free; /* in blocks that are somebody's or orphans */
    uint64_t bytes_used;
};

/* Fails the test if an object is lost, or free twice, or free and named. */
struct account account_pool(const struct world *world);

#endif
