/* fixture.h: a whole pool in one thread for unit tests: memory nodes, gateways (pool, scheduler, session each) and a
 * fake environment in which time, chance and memory are the test's. Nothing here waits: time goes on when a test says
 * so, or when nobody can do anything without it. Not thread-safe, but for the environment's allocator.
 *
 * With one subtable and as many nodes as replicas, node 0 holds every slot's primary, node 1 the first backup, ... */
#ifndef FIXTURE_H
#define FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dm.h"

#define WORLD_NODES_MAX 4u
#define WORLD_SESSIONS_MAX 6u
#define WORLD_VALUE_BYTES 64u /* of a value that a call keeps a copy of */

#define MS UINT64_C(1000000) /* in ns */

struct fake_env {
    struct dm_env env;
    uint64_t now_ns;
    uint64_t step_ns; /* every look at the clock takes so long */
    int64_t wall_ms;
    uint64_t random;
    uint64_t allocations, releases;
    uint64_t allowed; /* allocations until they begin to fail; UINT64_MAX = never */
    uint32_t warnings;
    char message[256]; /* the last warning */
};

void fake_env_init(struct fake_env *fake);

struct world_config {
    uint32_t nodes, replicas, sessions;
    uint64_t node_bytes, region_bytes, block_bytes;
    uint32_t subtables;
    uint64_t cache_bytes; /* 0: 64 KiB */
    uint32_t lease_ms;    /* of the sessions; 0: none */
    bool one_process;     /* the sessions share one pool, and so its cache; else each is a process of its own */
    bool polled;          /* the sessions' housekeeping runs while operations do; else only in world_poll */
};

struct world {
    struct fake_env fake;
    struct world_config config;
    struct dm_local_memory memory[WORLD_NODES_MAX];
    struct provider *provider;
    struct dm_fabric *fabric; /* a gate (gate.h) around the provider's */
    struct dm_pool *pool[WORLD_SESSIONS_MAX];
    struct dm_sched *sched[WORLD_SESSIONS_MAX];
    struct dm_session *session[WORLD_SESSIONS_MAX];
};

/* A small pool of one subtable: 1 MiB nodes, regions of 64 KiB, blocks of 16 KiB. */
struct world_config world_small(uint32_t replicas, uint32_t sessions);

/* Opens everything; fails the test if it cannot. */
struct world *world_open(const struct world_config *config);
/* Closes what is open; the memory nodes' memory goes, too. */
void world_close(struct world *world);

void world_session_open(struct world *world, uint32_t s);
void world_session_close(struct world *world, uint32_t s);

/* Runs all schedulers; lets time jump to the next timer when nothing is ready. Returns when nothing can happen any
 * more without a gate being passed. */
void world_run(struct world *world);
/* Polls the sessions (housekeeping, jobs) for so much fake time. */
void world_poll(struct world *world, uint64_t ns);

/* ---- One operation in a coroutine of its own ------------------------------------------------------------------- */

enum call_kind {
    CALL_GET,
    CALL_PUT,
    CALL_DELETE,
    CALL_INCR,   /* read-modify-write of a decimal number */
    CALL_SETNX,  /* writes only when absent; DM_OK and `found` tell which */
    CALL_APPEND, /* two parts: old value and new */
    CALL_GETDEL, /* a read-modify-write that deletes */
    CALL_JOBS,   /* the session's jobs: clears, expiries */
};

struct call {
    struct world *world;
    uint32_t s;
    enum call_kind kind;
    struct dm_key key;
    struct dm_write write;
    bool ended;
    enum dm_status status;
    bool found;                        /* there was an (old) value */
    int64_t number;                    /* INCR: the new value */
    uint32_t decisions;                /* times that the update function was called */
    uint32_t length;                   /* of the value seen */
    char value[WORLD_VALUE_BYTES + 1]; /* its beginning, for a GET or the old one of an update */
    uint64_t version;
    int64_t expire_ms;
    struct dm_cost cost;
    char text[24];
};

/* Key and value are C strings that outlive the call; value NULL: none. */
struct call call_make(struct world *world, uint32_t s, enum call_kind kind, const char *key, const char *value);
/* Starts it; returns when it has ended or waits. */
void call_begin(struct call *call);
/* Runs the world until it has ended; fails the test if it does not. */
void call_finish(struct call *call);

/* Begin and finish; return the status. */
struct call call_run(struct world *world, uint32_t s, enum call_kind kind, const char *key, const char *value);
enum dm_status world_put(struct world *world, uint32_t s, const char *key, const char *value);
enum dm_status world_delete(struct world *world, uint32_t s, const char *key);
/* The status of a GET must be DM_OK and the value this one; NULL: DM_NOT_FOUND. */
void world_expect(struct world *world, uint32_t s, const char *key, const char *value);
/* Runs the jobs that a session owes. */
void world_jobs(struct world *world, uint32_t s);

/* Runs fn in a coroutine of session s to its end. */
void world_call(struct world *world, uint32_t s, void (*fn)(void *argument), void *argument);

#endif
