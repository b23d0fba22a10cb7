/* example.c: a program of its own that uses the installed libdm: a pool in this process, one session, three calls.
 * Shown in docs/libdm.md; tests/install/run compiles it against an installed tree and runs it. One thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dm.h"

#define NODES 3
#define NODE_BYTES ((uint64_t)16 << 20)

struct work {
    struct dm_session *session;
    bool ended;
};

static void must(enum dm_status status, const char *what) {
    if (status != DM_OK) {
        fprintf(stderr, "%s: %s\n", what, dm_status_text(status));
        exit(1);
    }
}

/* Called with the value found (NULL: none); may be called again when another writer was first. */
static enum dm_action append_world(void *context, const struct dm_value *old, struct dm_write *write) {
    (void)context;
    write->part[0] = (struct dm_bytes){old == NULL ? NULL : old->bytes, old == NULL ? 0 : old->length};
    write->part[1] = (struct dm_bytes){", world", 7};
    return DM_WRITE;
}

/* A coroutine: every call looks like a plain blocking one. */
static void run(void *argument) {
    struct work *work = argument;
    struct dm_key key = {.bytes = "greeting", .length = 8};
    struct dm_write hello = {.part[0] = {"hello", 5}};
    struct dm_read read = {0};
    struct dm_cost cost;

    must(dm_put(work->session, &key, &hello), "put");
    must(dm_update(work->session, &key, append_world, NULL, NULL), "update");
    must(dm_get(work->session, &key, &read), "get");
    dm_session_last_cost(work->session, &cost);
    printf("%.*s (%llu round trips)\n", (int)read.value.length, (const char *)read.value.bytes,
           (unsigned long long)cost.round_trips);
    dm_read_release(work->session, &read);
    must(dm_delete(work->session, &key), "delete");
    work->ended = true;
}

int main(void) {
    const struct dm_env *env = dm_env_system();
    struct dm_local_memory nodes[NODES];
    struct dm_fabric *fabric;
    struct dm_pool *pool;
    struct dm_sched *sched;
    struct work work = {.ended = false};
    char error[256] = "";

    for (int i = 0; i < NODES; i++) {
        nodes[i] = (struct dm_local_memory){env->allocate(env->context, NODE_BYTES), NODE_BYTES};
    }
    must(dm_fabric_open_embedded(env, nodes, NODES, &fabric), "fabric");
    struct dm_pool_config config = {.env = env, .fabric = fabric, .replicas = 2};
    must(dm_pool_open(&config, &pool, error, sizeof error), error);
    must(dm_sched_create(env, NULL, &sched), "scheduler");
    must(dm_session_open(pool, sched, &work.session, error, sizeof error), error);

    must(dm_sched_spawn(sched, run, &work), "coroutine");
    while (!work.ended) {
        dm_session_poll(work.session); /* an event loop sleeps as long as the result says */
    }
    dm_session_close(work.session);
    dm_sched_destroy(sched);
    dm_pool_close(pool);
    dm_fabric_close(fabric);
    for (int i = 0; i < NODES; i++) {
        env->release(env->context, nodes[i].base);
    }
    return 0;
}
