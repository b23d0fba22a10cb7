/* verbs_memory.c: registered memory of an endpoint. Small pieces are cut from large slabs, so that there are few
 * registrations to look a key up in. Slabs live until the endpoint closes. Called on the endpoint's thread. */
#include <stdio.h>

#include "verbs.h"

#define SLAB_BYTES_MIN ((size_t)1 << 20)
#define PAGE_BYTES ((size_t)4096)
#define PIECE_BYTES ((size_t)64) /* what a piece's address and length are multiples of */

/* A slab that has room for a piece; NULL when there is no memory, or none may be locked. */
static struct verbs_slab *slab_make(struct verbs_endpoint *endpoint, size_t bytes) {
    const struct dm_env *env = endpoint->head.fabric->env;
    struct verbs_fabric *fabric = (struct verbs_fabric *)endpoint->head.fabric;
    char error[384];
    struct verbs_slab *slab = env->allocate(env->context, sizeof *slab);
    if (!slab)
        return NULL;
    slab->length = bytes < SLAB_BYTES_MIN ? SLAB_BYTES_MIN : (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    slab->allocation = env->allocate(env->context, slab->length + PAGE_BYTES);
    if (!slab->allocation)
        goto out_slab;
    /* Whole pages: registration locks pages, and nobody else's memory is to be locked with ours. */
    slab->bytes = (uint8_t *)(((uintptr_t)slab->allocation + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES);
    slab->mr =
        verbs_memory_register(fabric->pd, slab->bytes, slab->length, IBV_ACCESS_LOCAL_WRITE, error, sizeof error);
    if (slab->mr)
        return slab;
    verbs_log(fabric, DM_LOG_WARNING, "verbs fabric: %s", error);
    env->release(env->context, slab->allocation);
out_slab:
    env->release(env->context, slab);
    return NULL;
}

void *verbs_memory_take(struct dm_endpoint *base, size_t bytes) {
    struct verbs_endpoint *endpoint = (struct verbs_endpoint *)base;
    if (bytes > SIZE_MAX / 2)
        return NULL;
    bytes = (bytes + PIECE_BYTES - 1) / PIECE_BYTES * PIECE_BYTES;
    struct verbs_slab *slab = endpoint->slabs;
    if (!slab || slab->length - slab->used < bytes) {
        slab = slab_make(endpoint, bytes);
        if (!slab)
            return NULL;
        slab->next = endpoint->slabs;
        endpoint->slabs = slab;
    }
    void *piece = slab->bytes + slab->used;
    slab->used += bytes;
    return piece;
}

void verbs_memory_release(struct verbs_endpoint *endpoint) {
    const struct dm_env *env = endpoint->head.fabric->env;
    while (endpoint->slabs) {
        struct verbs_slab *slab = endpoint->slabs;
        endpoint->slabs = slab->next;
        ibv_dereg_mr(slab->mr);
        env->release(env->context, slab->allocation);
        env->release(env->context, slab);
    }
}

bool verbs_memory_key(const struct verbs_endpoint *endpoint, const void *bytes, uint32_t length, uint32_t *lkey) {
    const uintptr_t at = (uintptr_t)bytes;
    for (const struct verbs_slab *slab = endpoint->slabs; slab; slab = slab->next) {
        const uintptr_t base = (uintptr_t)slab->bytes;
        if (at < base || at - base > slab->length || length > slab->length - (at - base))
            continue;
        *lkey = slab->mr->lkey;
        return true;
    }
    return false;
}
