/* fixture.c: see fixture.h. */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fusee/job.h"
#include "gate.h"
#include "provider.h"

#define CLOCK_START_NS (UINT64_C(1000) * MS)
#define CLOCK_STEP_NS 100u
#define CLOCK_STEP_OPENING_NS 50000u /* a session that opens or closes spins until its time has come */
#define WALL_START_MS INT64_C(1700000000000)
#define RUN_TURNS_MAX 20000000u /* a world that has not come to rest by then never will */

/* ---- Environment ------------------------------------------------------------------------------------------------ */

static uint64_t fake_clock_ns(void *context) {
    struct fake_env *fake = context;
    return fake->now_ns += fake->step_ns;
}

static int64_t fake_wall_ms(void *context) { return ((struct fake_env *)context)->wall_ms; }

static uint64_t fake_random_u64(void *context) {
    struct fake_env *fake = context;
    uint64_t x = fake->random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static void *fake_allocate(void *context, size_t bytes) {
    struct fake_env *fake = context;
    if (fake->allowed == 0) {
        return NULL;
    }
    fake->allowed -= fake->allowed != UINT64_MAX;
    fake->allocations++;
    return dm_env_system()->allocate(NULL, bytes);
}

static void fake_release(void *context, void *memory) {
    ((struct fake_env *)context)->releases += memory != NULL;
    dm_env_system()->release(NULL, memory);
}

static void fake_log(void *context, enum dm_log_level level, const char *message) {
    struct fake_env *fake = context;
    if (level == DM_LOG_WARNING) {
        fake->warnings++;
        snprintf(fake->message, sizeof fake->message, "%s", message);
    }
}

void fake_env_init(struct fake_env *fake) {
    *fake = (struct fake_env){.now_ns = CLOCK_START_NS, .step_ns = CLOCK_STEP_NS, .wall_ms = WALL_START_MS};
    fake->random = 1;
    fake->allowed = UINT64_MAX;
    fake->env = (struct dm_env){
        .context = fake,
        .clock_ns = fake_clock_ns,
        .wall_ms = fake_wall_ms,
        .random_u64 = fake_random_u64,
        .allocate = fake_allocate,
        .release = fake_release,
        .log = fake_log,
    };
}

/* ---- World ------------------------------------------------------------------------------------------------------ */

struct world_config world_small(uint32_t replicas, uint32_t sessions) {
    return (struct world_config){
        .nodes = replicas,
        .replicas = replicas,
        .sessions = sessions,
        .node_bytes = UINT64_C(1) << 20,
        .region_bytes = 64u << 10,
        .block_bytes = 16u << 10,
        .subtables = 1,
    };
}

static void world_pool_open(struct world *world, uint32_t s) {
    const struct world_config *config = &world->config;
    struct dm_pool_config pool = {
        .env = &world->fake.env,
        .fabric = world->fabric,
        .replicas = config->replicas,
        .region_bytes = config->region_bytes,
        .block_bytes = config->block_bytes,
        .subtables = config->subtables,
        .cache_bytes = config->cache_bytes != 0 ? config->cache_bytes : 64u << 10,
        .copy_bytes = 64u << 10,
        .lease_ms = config->lease_ms,
    };
    char error[512] = "";
    if (dm_pool_open(&pool, &world->pool[s], error, sizeof error) != DM_OK) {
        fail_msg("dm_pool_open: %s", error);
    }
}

void world_session_open(struct world *world, uint32_t s) {
    struct dm_sched_config few = {.coroutines = 512};
    char error[512] = "";
    if (world->pool[s] == NULL && (s == 0 || !world->config.one_process)) {
        world_pool_open(world, s);
    }
    assert_int_equal(dm_sched_create(&world->fake.env, &few, &world->sched[s]), DM_OK);
    struct dm_pool *pool = world->config.one_process ? world->pool[0] : world->pool[s];
    uint64_t step_ns = world->fake.step_ns;
    world->fake.step_ns = CLOCK_STEP_OPENING_NS;
    if (dm_session_open(pool, world->sched[s], &world->session[s], error, sizeof error) != DM_OK) {
        fail_msg("dm_session_open: %s", error);
    }
    world->fake.step_ns = step_ns;
}

void world_session_close(struct world *world, uint32_t s) {
    uint64_t step_ns = world->fake.step_ns;
    world->fake.step_ns = CLOCK_STEP_OPENING_NS;
    dm_session_close(world->session[s]);
    world->fake.step_ns = step_ns;
    dm_sched_destroy(world->sched[s]);
    world->session[s] = NULL;
    world->sched[s] = NULL;
}

struct world *world_open(const struct world_config *config) {
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    fake_env_init(&world->fake);
    world->config = *config;
    for (uint32_t n = 0; n < config->nodes; n++) {
        world->memory[n] =
            (struct dm_local_memory){dm_env_system()->allocate(NULL, config->node_bytes), config->node_bytes};
        assert_non_null(world->memory[n].base);
    }
    world->provider = provider_open(world->memory, config->nodes);
    world->fabric = gate_fabric_open(provider_connect(world->provider, &world->fake.env), &world->fake);
    for (uint32_t s = 0; s < config->sessions; s++) {
        world_session_open(world, s);
    }
    return world;
}

void world_close(struct world *world) {
    for (uint32_t s = 0; s < WORLD_SESSIONS_MAX; s++) {
        if (world->session[s] != NULL) {
            world_session_close(world, s);
        }
    }
    for (uint32_t s = 0; s < WORLD_SESSIONS_MAX; s++) {
        if (world->pool[s] != NULL) {
            dm_pool_close(world->pool[s]);
        }
    }
    dm_fabric_close(world->fabric);
    provider_close(world->provider);
    for (uint32_t n = 0; n < world->config.nodes; n++) {
        dm_env_system()->release(NULL, world->memory[n].base);
    }
    assert_int_equal(world->fake.allocations, world->fake.releases);
    free(world);
}

/* Until no coroutine is alive. */
static void world_run_polled(struct world *world) {
    for (uint32_t turn = 0; turn < RUN_TURNS_MAX; turn++) {
        uint64_t next_ns = UINT64_MAX;
        uint32_t alive = 0;
        for (uint32_t s = 0; s < WORLD_SESSIONS_MAX; s++) {
            if (world->session[s] != NULL) {
                uint64_t wait_ns = dm_session_poll(world->session[s]);
                next_ns = wait_ns < next_ns ? wait_ns : next_ns;
                alive += dm_sched_alive(world->sched[s]);
            }
        }
        if (alive == 0) {
            return;
        }
        world->fake.now_ns += next_ns;
    }
    fail_msg("the world does not come to rest");
}

void world_run(struct world *world) {
    if (world->config.polled) {
        world_run_polled(world);
        return;
    }
    for (uint32_t turn = 0; turn < RUN_TURNS_MAX; turn++) {
        size_t resumed = 0;
        uint64_t next_ns = UINT64_MAX;
        for (uint32_t i = 0; i < WORLD_SESSIONS_MAX; i++) {
            uint32_t s = (i + turn) % WORLD_SESSIONS_MAX;
            if (world->sched[s] != NULL) {
                resumed += dm_sched_run(world->sched[s]);
                uint64_t wait_ns = dm_sched_next_ns(world->sched[s]);
                next_ns = wait_ns < next_ns ? wait_ns : next_ns;
            }
        }
        if (resumed == 0 && next_ns == UINT64_MAX) {
            return;
        }
        if (resumed == 0) {
            world->fake.now_ns += next_ns;
        }
    }
    fail_msg("the world does not come to rest");
}

void world_poll(struct world *world, uint64_t ns) {
    uint64_t end_ns = world->fake.now_ns + ns;
    while (world->fake.now_ns < end_ns) {
        uint64_t next_ns = end_ns - world->fake.now_ns;
        for (uint32_t s = 0; s < WORLD_SESSIONS_MAX; s++) {
            if (world->session[s] != NULL) {
                uint64_t wait_ns = dm_session_poll(world->session[s]);
                next_ns = wait_ns < next_ns ? wait_ns : next_ns;
            }
        }
        world->fake.now_ns += next_ns;
    }
}

/* ---- Calls ------------------------------------------------------------------------------------------------------ */

static void call_see(struct call *call, const struct dm_value *value) {
    call->found = value != NULL;
    call->length = 0;
    call->value[0] = 0;
    if (value != NULL) {
        uint32_t kept = value->length < WORLD_VALUE_BYTES ? value->length : WORLD_VALUE_BYTES;
        memcpy(call->value, value->bytes, kept);
        call->value[kept] = 0;
        call->length = value->length;
        call->version = value->version;
        call->expire_ms = value->expire_ms;
    }
}

static enum dm_action call_decide(void *context, const struct dm_value *old, struct dm_write *write) {
    struct call *call = context;
    call->decisions++;
    call_see(call, old);
    switch (call->kind) {
    case CALL_INCR:
        call->number = (old == NULL ? 0 : strtoll(call->value, NULL, 10)) + 1;
        write->part[0].bytes = call->text;
        write->part[0].length = (uint32_t)snprintf(call->text, sizeof call->text, "%lld", (long long)call->number);
        return DM_WRITE;
    case CALL_SETNX:
        write->part[0] = call->write.part[0];
        return old == NULL ? DM_WRITE : DM_KEEP;
    case CALL_APPEND:
        if (old != NULL) {
            write->part[0] = (struct dm_bytes){old->bytes, old->length};
        }
        write->part[1] = call->write.part[0];
        return DM_WRITE;
    default:
        return DM_DELETE;
    }
}

static void call_coroutine(void *argument) {
    struct call *call = argument;
    struct dm_session *session = call->world->session[call->s];
    struct dm_read read = {0};
    switch (call->kind) {
    case CALL_GET:
        call->status = dm_get(session, &call->key, &read);
        call_see(call, call->status == DM_OK ? &read.value : NULL);
        break;
    case CALL_PUT:
        call->status = dm_put(session, &call->key, &call->write);
        break;
    case CALL_DELETE:
        call->status = dm_delete(session, &call->key);
        break;
    case CALL_JOBS:
        job_run_all(session);
        call->status = DM_OK;
        break;
    default:
        call->status = dm_update(session, &call->key, call_decide, call, &read);
        if (call->status == DM_OK) {
            assert_int_equal(read.buffer != NULL, call->found);
        }
    }
    dm_session_last_cost(session, &call->cost);
    dm_read_release(session, &read);
    call->ended = true;
}

struct call call_make(struct world *world, uint32_t s, enum call_kind kind, const char *key, const char *value) {
    struct call call = {.world = world, .s = s, .kind = kind};
    call.key = (struct dm_key){key, key == NULL ? 0 : (uint32_t)strlen(key), 0};
    call.write.part[0] = (struct dm_bytes){value, value == NULL ? 0 : (uint32_t)strlen(value)};
    return call;
}

void call_begin(struct call *call) {
    assert_int_equal(dm_sched_spawn(call->world->sched[call->s], call_coroutine, call), DM_OK);
}

void call_finish(struct call *call) {
    world_run(call->world);
    if (!call->ended) {
        fail_msg("an operation of session %u does not end", call->s);
    }
}

struct call call_run(struct world *world, uint32_t s, enum call_kind kind, const char *key, const char *value) {
    struct call call = call_make(world, s, kind, key, value);
    call_begin(&call);
    call_finish(&call);
    return call;
}

enum dm_status world_put(struct world *world, uint32_t s, const char *key, const char *value) {
    return call_run(world, s, CALL_PUT, key, value).status;
}

enum dm_status world_delete(struct world *world, uint32_t s, const char *key) {
    return call_run(world, s, CALL_DELETE, key, NULL).status;
}

void world_expect(struct world *world, uint32_t s, const char *key, const char *value) {
    struct call call = call_run(world, s, CALL_GET, key, NULL);
    if (value == NULL) {
        assert_int_equal(call.status, DM_NOT_FOUND);
    } else {
        assert_int_equal(call.status, DM_OK);
        assert_string_equal(call.value, value);
    }
}

void world_jobs(struct world *world, uint32_t s) {
    struct call call = call_run(world, s, CALL_JOBS, NULL, NULL);
    assert_int_equal(call.status, DM_OK);
}

struct plain_call {
    void (*fn)(void *argument);
    void *argument;
    bool ended;
};

static void plain_coroutine(void *argument) {
    struct plain_call *call = argument;
    call->fn(call->argument);
    call->ended = true;
}

void world_call(struct world *world, uint32_t s, void (*fn)(void *argument), void *argument) {
    struct plain_call call = {fn, argument, false};
    assert_int_equal(dm_sched_spawn(world->sched[s], plain_coroutine, &call), DM_OK);
    world_run(world);
    assert_true(call.ended);
}
