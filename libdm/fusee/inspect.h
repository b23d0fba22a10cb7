/* inspect.h: a look at a pool from outside: READs only, without being one of its clients. What the parts of dm.h's
 * dm_inspector share; check.h stands on it. One thread; what is declared here runs in a coroutine of the inspector's
 * own scheduler, that is, in a function that inspect_run was given.
 *
 * An inspector announces no epoch, so memory may be used again under its eyes. It believes only what it finds
 * unchanged: words of slots and blocks do not come back (word.h), so a word that is the same before and after was there
 * all the time, and what it names could not be used otherwise meanwhile.
 */
#ifndef FUSEE_INSPECT_H
#define FUSEE_INSPECT_H

#include "fusee/pool.h"

#define INSPECT_NODE 0             /* of the epoch line and the client records */
#define INSPECT_BYTES (5u << 20)   /* the largest object on all replicas, and 1 MiB of tables */
#define INSPECT_WORDS DM_BATCH_OPS /* read in one batch one by one */

struct dm_inspector {
    struct dm_pool *pool;
    const struct dm_env *env;
    struct dm_inspector_config config;
    struct dm_sched *sched;
    struct dm_endpoint *endpoint;
    uint8_t *memory; /* registered, INSPECT_BYTES, for what one step reads */
    uint64_t *words; /* registered, INSPECT_WORDS */
    struct dm_batch batch;
};

typedef enum dm_status inspect_fn(struct dm_inspector *inspector, void *argument);

/* Runs fn in a coroutine, to its end. */
enum dm_status inspect_run(struct dm_inspector *inspector, inspect_fn *fn, void *argument);

/* Posts inspector->batch and waits. */
enum dm_status inspect_execute(struct dm_inspector *inspector);

/* The words of `count` (at most INSPECT_WORDS) places, into inspector->words, in one batch. */
enum dm_status inspect_words(struct dm_inspector *inspector, const struct location *at, uint32_t count);

/* One word. */
enum dm_status inspect_word(struct dm_inspector *inspector, struct location at, uint64_t *word);

/* A word of the regions on all of its replicas, primary first. */
enum dm_status inspect_replicas(struct dm_inspector *inspector, uint64_t address, uint64_t *words);

/* `bytes` of a node, any number, through inspector->memory. */
enum dm_status inspect_bytes(struct dm_inspector *inspector, struct location at, void *to, uint64_t bytes);

/* All block-table words, by block number, of the primaries; and in `differ`, if that is not NULL, a byte for each that
 * is not the same on all replicas. */
enum dm_status inspect_blocks(struct dm_inspector *inspector, uint64_t *words, uint8_t *differ);

static inline struct location inspect_record(const struct dm_inspector *inspector, uint32_t client, uint64_t offset) {
    return (struct location){INSPECT_NODE,
                             inspector->pool->layout.clients_offset + (uint64_t)client * LAYOUT_CLIENT_BYTES + offset};
}
static inline struct location inspect_announce(const struct dm_inspector *inspector, uint32_t client) {
    return (struct location){INSPECT_NODE, inspector->pool->layout.announce_offset + client * sizeof(uint64_t)};
}

static inline void inspect_progress(const struct dm_inspector *inspector, const char *what, uint64_t done,
                                    uint64_t of) {
    if (inspector->config.progress != NULL) {
        inspector->config.progress(inspector->config.context, what, done, of);
    }
}

#endif
