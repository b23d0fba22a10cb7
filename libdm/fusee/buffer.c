/* buffer.c: see buffer.h. */
#include "fusee/buffer.h"

#include "assert.h"

#define SLAB_BYTES (UINT64_C(256) << 10) /* small buffers come so many bytes at a time */

void buffer_pool_init(struct buffer_pool *pool, struct dm_endpoint *endpoint) {
    *pool = (struct buffer_pool){.endpoint = endpoint};
}

static void buffer_grow(struct buffer_pool *pool, uint32_t class_index) {
    uint64_t each = sizeof(struct buffer) + (UINT64_C(1) << (class_index + BUFFER_SHIFT_MIN));
    uint64_t count = each >= SLAB_BYTES ? 1 : SLAB_BYTES / each;
    if (pool->bytes + count * each > BUFFER_POOL_BYTES_MAX) {
        return;
    }
    uint8_t *memory = pool->endpoint->fabric->ops->endpoint_memory(pool->endpoint, count * each);
    if (memory == NULL) {
        return;
    }
    pool->bytes += count * each;
    pool->allocations++;
    for (uint64_t i = count; i-- > 0;) {
        struct buffer *buffer = (struct buffer *)(memory + i * each);
        buffer->class_index = class_index;
        buffer->next = pool->free[class_index];
        pool->free[class_index] = buffer;
    }
}

struct buffer *buffer_take(struct buffer_pool *pool, uint32_t bytes) {
    dm_assert(bytes <= 1u << BUFFER_SHIFT_MAX);
    uint32_t class_index =
        bytes <= 1u << BUFFER_SHIFT_MIN ? 0 : 32u - (uint32_t)__builtin_clz(bytes - 1) - BUFFER_SHIFT_MIN;
    if (pool->free[class_index] == NULL) {
        buffer_grow(pool, class_index);
    }
    struct buffer *buffer = pool->free[class_index];
    if (buffer != NULL) {
        pool->free[class_index] = buffer->next;
        buffer->next = NULL;
    }
    return buffer;
}

void buffer_give(struct buffer_pool *pool, struct buffer *buffer) {
    buffer->next = pool->free[buffer->class_index];
    pool->free[buffer->class_index] = buffer;
}
