/* buffer.h: registered memory for local ends of remote operations. One pool per session, one thread.
 *
 * Powers of two from 256 B to 2 MiB, free lists, last in first out. Memory comes from the endpoint in slabs and is
 * kept: at a steady load nothing is allocated (counted in `allocations`). Bounded by BUFFER_POOL_BYTES_MAX.
 */
#ifndef FUSEE_BUFFER_H
#define FUSEE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "fabric/fabric.h"

#define BUFFER_SHIFT_MIN 8
#define BUFFER_SHIFT_MAX 21
#define BUFFER_CLASSES (BUFFER_SHIFT_MAX - BUFFER_SHIFT_MIN + 1)
#define BUFFER_POOL_BYTES_MAX (UINT64_C(1) << 30)

struct buffer {
    struct buffer *next;
    uint32_t class_index;
    uint8_t padding[52];
    uint8_t bytes[];
};
_Static_assert(sizeof(struct buffer) == 64, "payload begins on a cache line");

struct buffer_pool {
    struct dm_endpoint *endpoint;
    struct buffer *free[BUFFER_CLASSES];
    uint64_t bytes;
    uint64_t allocations;
};

void buffer_pool_init(struct buffer_pool *pool, struct dm_endpoint *endpoint);

/* At least `bytes` (at most 2 MiB) of registered memory; NULL when the pool's limit is reached. */
struct buffer *buffer_take(struct buffer_pool *pool, uint32_t bytes);
void buffer_give(struct buffer_pool *pool, struct buffer *buffer);

#endif
