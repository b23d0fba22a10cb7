/* world.c: see world.h. */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "assert.h"
#include "fusee/job.h"
#include "fusee/repair_scan.h"
#include "fusee/session.h"

#define NODE_BYTES (UINT64_C(1) << 20)
#define REGION_BYTES (256u << 10)
#define BLOCK_BYTES (16u << 10)
#define CACHE_BYTES 2048u
#define COPY_BYTES_ALL 4096u
#define CLOCK_START_NS (UINT64_C(1000) * MS)
#define CLOCK_STEP_NS 100u
#define CLOCK_STEP_OPENING_NS 50000u /* a session that opens spins until its time has come */
#define WALL_START_MS INT64_C(1700000000000)
#define PASS_STEP_NS MS
#define SETTLE_NS (30 * MS)
#define NAMES_MAX 10000000u
#define TURNS_MAX 100000u

const char *const call_names[CALL_KIND_COUNT] = {"GET",    "SET",    "DEL",  "INCR",  "SETNX",
                                                 "GETSET", "GETDEL", "JOBS", "REPAIR"};

void world_fault(struct world *world, const char *format, ...) {
    if (world->fault[0] == 0 && !world->quiet) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(world->fault, sizeof world->fault, format, arguments);
        va_end(arguments);
    }
}

/* ---- Environment ------------------------------------------------------------------------------------------------ */

static uint64_t env_clock_ns(void *context) {
    struct client *client = context;
    return client->now_ns += client->session == NULL ? CLOCK_STEP_OPENING_NS : CLOCK_STEP_NS;
}

static int64_t env_wall_ms(void *context) { return ((struct client *)context)->world->wall_ms; }

static uint64_t env_random_u64(void *context) {
    struct client *client = context;
    uint64_t x = client->random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static void *env_allocate(void *context, size_t bytes) {
    (void)context;
    return arena_allocate(bytes);
}

static void env_release(void *context, void *memory) {
    (void)context;
    (void)memory;
}

/* Clients warn of what should not happen, or, once one of them has died, of what that leaves behind. */
static void env_log(void *context, enum dm_log_level level, const char *message) {
    struct client *client = context;
    if (level == DM_LOG_WARNING && client->world->crashed < 0) {
        world_fault(client->world, "%c warns: %s", "UVWX"[client->index], message);
    }
}

static const struct dm_env env_functions = {
    .clock_ns = env_clock_ns,
    .wall_ms = env_wall_ms,
    .random_u64 = env_random_u64,
    .allocate = env_allocate,
    .release = env_release,
    .log = env_log,
};

/* ---- Opening ---------------------------------------------------------------------------------------------------- */

static void client_open(struct world *world, uint32_t index) {
    struct client *client = &world->clients[index];
    client->world = world;
    client->index = index;
    client->env = env_functions;
    client->env.context = client;
    client->now_ns = CLOCK_START_NS;
    client->random = index + 1;
    struct dm_pool_config pool = {
        .env = &client->env,
        .fabric = &world->fabric->head,
        .replicas = world->replicas,
        .region_bytes = REGION_BYTES,
        .block_bytes = BLOCK_BYTES,
        .subtables = 1,
        .cache_bytes = CACHE_BYTES,
        .copy_bytes = COPY_BYTES_ALL,
    };
    struct dm_sched_config few = {.coroutines = 8};
    char error[256] = "";
    if (dm_pool_open(&pool, &client->pool, error, sizeof error) != DM_OK ||
        dm_sched_create(&client->env, &few, &client->sched) != DM_OK ||
        dm_session_open(client->pool, client->sched, &client->session, error, sizeof error) != DM_OK) {
        fprintf(stderr, "explore: %s\n", error);
        abort();
    }
    client->endpoint = (struct step_endpoint *)client->session->endpoint;
}

/* Every client owns a block, and has written to another's: from then on calls allocate nothing. */
static void warm(struct world *world) {
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < WORLD_CLIENTS; i++) {
            snprintf(world->keys[0], sizeof world->keys[0], "warm-%c", "uvwx"[(i + round) % WORLD_CLIENTS]);
            struct call call = {.kind = CALL_SET, .number = 1};
            world_call(&world->clients[i], &call);
        }
    }
    world_pass(world, SETTLE_NS);
}

struct world *world_open(uint32_t replicas, uint32_t nodes) {
    struct world *world = arena_allocate(sizeof *world);
    world->replicas = replicas;
    world->crashed = -1;
    world->wall_ms = WALL_START_MS;
    world->env = env_functions;
    world->env.context = &world->clients[0];
    world->fabric = step_fabric_open(&world->env, nodes, NODE_BYTES);
    for (uint32_t i = 0; i < WORLD_CLIENTS; i++) {
        client_open(world, i);
    }
    warm(world);
    snprintf(world->keys[0], sizeof world->keys[0], "k");
    return world;
}

/* ---- Calls ------------------------------------------------------------------------------------------------------ */

static uint64_t number_of(const struct dm_value *value) {
    char text[24] = "";
    memcpy(text, value->bytes, value->length < sizeof text ? value->length : sizeof text - 1);
    return strtoull(text, NULL, 10);
}

static void set_text(struct call *call, uint64_t number, struct dm_write *write) {
    call->length = (uint32_t)snprintf(call->text, sizeof call->text, "%llu", (unsigned long long)number);
    write->part[0] = (struct dm_bytes){call->text, call->length};
}

static enum dm_action decide(void *context, const struct dm_value *old, struct dm_write *write) {
    struct call *call = context;
    call->seen = old == NULL ? 0 : number_of(old);
    switch (call->kind) {
    case CALL_INCR:
        call->made = call->seen + 1;
        set_text(call, call->made, write);
        return DM_WRITE;
    case CALL_SETNX:
        set_text(call, call->number, write);
        return old == NULL ? DM_WRITE : DM_KEEP;
    case CALL_GETSET:
        set_text(call, call->number, write);
        return DM_WRITE;
    default:
        return DM_DELETE;
    }
}

/* The first part of dm_session_repair, the one that others wait for. (The rest is memory.) */
static enum dm_status repair(struct client *client) {
    struct client_set dead = {0};
    client_set_add(&dead, client->world->clients[client->world->crashed].session->client);
    struct repair_scan scan = {.session = client->session, .dead = &dead};
    enum dm_status status = repair_scan_run(&scan);
    if (scan.suspect_count != 0) {
        world_fault(client->world, "the repair does not see whose round it is");
    }
    repair_scan_close(&scan);
    return status;
}

static void call_coroutine(void *argument) {
    struct call *call = argument;
    struct dm_session *session = call->client->session;
    const char *name = call->client->world->keys[call->key];
    struct dm_key key = {name, (uint32_t)strlen(name), 0};
    struct dm_write write = {.expire_ms = call->expire_ms};
    struct dm_read read = {0};
    switch (call->kind) {
    case CALL_GET:
        call->status = dm_get(session, &key, &read);
        call->seen = call->status == DM_OK ? number_of(&read.value) : 0;
        break;
    case CALL_SET:
        set_text(call, call->number, &write);
        call->status = dm_put(session, &key, &write);
        break;
    case CALL_DEL:
        call->status = dm_delete(session, &key);
        break;
    case CALL_JOBS:
        job_run_all(session);
        call->status = DM_OK;
        break;
    case CALL_REPAIR:
        call->status = repair(call->client);
        break;
    default:
        call->status = dm_update(session, &key, decide, call, &read);
        break;
    }
    dm_read_release(session, &read);
    call->ended = true;
}

void world_spawn(struct client *client, struct call *call) {
    call->client = client;
    dm_assert(dm_sched_spawn(client->sched, call_coroutine, call) == DM_OK);
}

bool world_run_client(struct client *client) {
    bool slept = false;
    while (dm_sched_alive(client->sched) != 0 && client->endpoint->flight.batch == NULL) {
        if (dm_sched_run(client->sched) == 0) {
            client->now_ns += dm_sched_next_ns(client->sched);
        }
        slept |= client->endpoint->flight.batch == NULL; /* it neither waits for a batch nor has ended */
    }
    return slept && dm_sched_alive(client->sched) != 0;
}

void world_call(struct client *client, struct call *call) {
    dm_assert(!client->endpoint->stepped);
    world_spawn(client, call);
    world_run_client(client);
    dm_assert(call->ended);
}

void world_pass(struct world *world, uint64_t ns) {
    for (uint64_t passed = 0; passed < ns; passed += PASS_STEP_NS) {
        for (uint32_t i = 0; i < WORLD_CLIENTS; i++) {
            world->clients[i].now_ns += PASS_STEP_NS;
            dm_session_poll(world->clients[i].session);
        }
    }
    for (uint32_t i = 0; i < WORLD_CLIENTS; i++) {
        for (uint32_t turn = 0; dm_sched_alive(world->clients[i].sched) != 0; turn++) {
            dm_assert(turn < TURNS_MAX);
            world->clients[i].now_ns += PASS_STEP_NS;
            dm_session_poll(world->clients[i].session);
        }
    }
}

/* ---- Keys ------------------------------------------------------------------------------------------------------- */

static uint64_t hash_of(const struct world *world, const char *name) {
    struct dm_key key = {name, (uint32_t)strlen(name), 0};
    return index_hash(&key, world->clients[0].pool->hash_seed);
}

/* The slot that an insert would choose now. */
static uint16_t slot_for(const struct world *world, const char *name) {
    uint64_t hash = hash_of(world, name);
    uint64_t buckets[2][INDEX_COMBINED_SLOTS];
    struct index_view view = {index_place(hash), (const uint64_t(*)[INDEX_COMBINED_SLOTS])buckets};
    for (uint32_t b = 0; b < 2; b++) {
        for (uint16_t i = 0; i < INDEX_COMBINED_SLOTS; i++) {
            buckets[b][i] = world_word(world, world_slot(world, (uint16_t)(view.place.first_slot[b] + i)), 0);
        }
    }
    uint64_t word;
    return index_choose_empty(&view, (uint32_t)(hash >> 16), &word);
}

static bool is_rival(const struct world *world, const char *name) {
    return slot_for(world, name) == slot_for(world, world->keys[0]) &&
           index_fingerprint(hash_of(world, name)) != index_fingerprint(hash_of(world, world->keys[0]));
}

static bool is_twin(const struct world *world, const char *name) {
    uint64_t hash = hash_of(world, name);
    uint64_t own = hash_of(world, world->keys[0]);
    struct index_place a = index_place(hash);
    struct index_place b = index_place(own);
    bool meets = a.first_slot[0] == b.first_slot[0] || a.first_slot[0] == b.first_slot[1] ||
                 a.first_slot[1] == b.first_slot[0] || a.first_slot[1] == b.first_slot[1];
    return meets && index_fingerprint(hash) == index_fingerprint(own);
}

static void name_key(struct world *world, uint32_t which, bool (*fits)(const struct world *world, const char *name)) {
    char *name = world->keys[which];
    for (uint32_t i = 0; i < NAMES_MAX; i++) {
        snprintf(name, sizeof world->keys[0], "%c%u", "krt"[which], i);
        if (fits(world, name)) {
            return;
        }
    }
    abort();
}

void world_name_rival(struct world *world, uint32_t which) { name_key(world, which, is_rival); }

void world_name_twin(struct world *world, uint32_t which) { name_key(world, which, is_twin); }

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

uint8_t *world_at(const struct world *world, uint64_t address, uint32_t replica) {
    struct location at = layout_locate(&world->clients[0].pool->layout, address, replica);
    return world->fabric->memory[at.node] + at.offset;
}

uint64_t world_word(const struct world *world, uint64_t address, uint32_t replica) {
    uint64_t word;
    memcpy(&word, world_at(world, address, replica), sizeof word);
    return word;
}

uint64_t world_slot(const struct world *world, uint16_t slot) {
    return world->clients[0].pool->subtables[0] + index_slot_offset(slot);
}
