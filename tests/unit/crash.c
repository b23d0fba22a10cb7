/* crash.c: see crash.h. */
#include "crash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "fusee/session.h"
#include "pool_account.h"
#include "pool_check.h"

#define SESSIONS 4u
#define WARM_MS 30u
#define REPAIR_MS_MAX 20000u
#define REST_MS 2500u   /* the owners' sweeps are over by then */
#define RECOUNT_MS 5000 /* until the keys have been counted anew */

const struct crash_pool crash_pools[] = {{1, 1}, {2, 2}, {3, 3}, {1, 3}, {2, 4}, {3, 4}};
const uint32_t crash_pool_count = sizeof crash_pools / sizeof crash_pools[0];

struct crash crash_open(const struct crash_pool *pool) {
    static const char *const names[SESSIONS] = {"warm-u", "warm-v", "warm-w", "warm-x"};
    struct world_config config = world_small(pool->replicas, SESSIONS);
    config.nodes = pool->nodes;
    struct crash crash = {.trap = {world_open(&config), pool->replicas}};
    crash.world = crash.trap.world;
    for (uint32_t s = 0; s < SESSIONS; s++) {
        assert_int_equal(world_put(crash.world, s, names[s], "1"), DM_OK);
    }
    world_poll(crash.world, WARM_MS * MS);
    return crash;
}

void crash_kill(struct crash *crash, uint32_t s) {
    struct world *world = crash->world;
    crash->clients[crash->client_count++] = world->session[s]->client;
    gate_kill(world->session[s]);
    crash->dead[s] = world->session[s];
    crash->dead_sched[s] = world->sched[s];
    world->session[s] = NULL;
    world->sched[s] = NULL;
}

static void check_records(const struct crash *crash) {
    const struct layout *layout = check_layout(crash->world);
    for (uint32_t i = 0; i < crash->client_count; i++) {
        uint64_t offset = layout->clients_offset + (uint64_t)crash->clients[i] * LAYOUT_CLIENT_BYTES;
        const uint8_t *node = crash->world->memory[0].base;
        uint64_t word;
        memcpy(&word, node + offset, sizeof word);
        assert_int_equal(word, 0);
        memcpy(&word, node + layout->announce_offset + crash->clients[i] * sizeof word, sizeof word);
        assert_int_equal(word, 0);
    }
}

void crash_close(struct crash *crash) {
    struct world *world = crash->world;
    for (uint32_t s = 0; s < WORLD_SESSIONS_MAX; s++) {
        if (world->session[s] != NULL) {
            gate_open(world->session[s]);
        }
    }
    world_run(world);
    world_poll(world, REST_MS * MS);
    for (uint32_t ms = 0; ms < RECOUNT_MS && check_counts(world); ms += REST_MS) {
        world_poll(world, REST_MS * MS);
    }
    assert_false(check_counts(world));
    struct census census = check_at_rest(world);
    assert_int_equal(census.tombstones, 0);
    assert_int_equal(census.provisional, 0);
    check_records(crash);
    struct account account = account_pool(world);
    assert_int_equal(account.objects_used, census.live);
    if (strstr(world->fake.message, "had won it") != NULL) {
        fail_msg("%s", world->fake.message);
    }
    for (uint32_t s = 0; s < WORLD_SESSIONS_MAX; s++) {
        if (crash->dead[s] != NULL) {
            while (dm_sched_alive(crash->dead_sched[s]) != 0 && dm_sched_next_ns(crash->dead_sched[s]) != UINT64_MAX) {
                world->fake.now_ns +=
                    dm_sched_next_ns(crash->dead_sched[s]); /* what sleeps finds out that it is dead */
                dm_sched_run(crash->dead_sched[s]);
            }
            world->session[s] = crash->dead[s];
            world->sched[s] = crash->dead_sched[s];
        }
    }
    world_close(world);
}

/* ---- Points ----------------------------------------------------------------------------------------------------- */

bool crash_mutates(const struct dm_op *op) { return op->kind != DM_OP_READ; }

/* Operations of the batch for this node that change memory. */
static uint32_t mutations(const struct dm_batch *batch, uint16_t node) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        count += batch->ops[i].node == node && crash_mutates(&batch->ops[i]);
    }
    return count;
}

static void apply_mutations(struct dm_session *session, uint16_t node, uint32_t count) {
    struct dm_batch *batch = gate_batch(session);
    for (uint32_t i = 0; i < batch->count && count > 0; i++) {
        if (batch->ops[i].node == node) {
            count -= crash_mutates(&batch->ops[i]);
            gate_apply_next(session, node);
        }
    }
}

enum crash_result crash_at(struct crash *crash, uint32_t s, struct crash_point point) {
    struct dm_session *session = crash->world->session[s];
    for (uint32_t b = 0; b < point.batch && gate_batch(session) != NULL; b++) {
        gate_pass(session);
    }
    if (gate_batch(session) == NULL) {
        return CRASH_ENDED;
    }
    uint32_t rest = point.index;
    uint32_t prefix[WORLD_NODES_MAX];
    for (uint16_t node = 0; node < crash->world->config.nodes; node++) {
        uint32_t choices = mutations(gate_batch(session), node) + 1;
        prefix[node] = rest % choices;
        rest /= choices;
    }
    if (rest != 0) {
        return CRASH_BATCH_OVER;
    }
    for (uint16_t node = 0; node < crash->world->config.nodes; node++) {
        apply_mutations(session, node, prefix[node]);
    }
    crash_kill(crash, s);
    return CRASH_DIED;
}

bool crash_next(struct crash_point *point, enum crash_result result) {
    if (result == CRASH_DIED) {
        point->index++;
    } else {
        *point = (struct crash_point){point->batch + 1, 1}; /* 0 is the end of the batch before */
    }
    return result != CRASH_ENDED && point->batch < CRASH_BATCHES_MAX;
}

/* ---- Repair ----------------------------------------------------------------------------------------------------- */

static void repair_coroutine(void *argument) {
    struct repair_call *call = argument;
    call->status =
        dm_session_repair(call->crash->world->session[call->s], call->crash->clients, call->crash->client_count);
    call->ended = true;
}

void repair_begin(struct repair_call *call, struct crash *crash, uint32_t s) {
    *call = (struct repair_call){.crash = crash, .s = s};
    assert_int_equal(dm_sched_spawn(crash->world->sched[s], repair_coroutine, call), DM_OK);
}

void repair_finish(struct repair_call *call) {
    for (uint32_t ms = 0; ms < REPAIR_MS_MAX && !(call->ended && call->status == DM_OK); ms++) {
        if (call->ended && call->status == DM_BUSY) {
            repair_begin(call, call->crash, call->s);
        }
        world_poll(call->crash->world, MS);
    }
    if (!call->ended) {
        fail_msg("a repair does not end: %s", call->ended ? dm_status_text(call->status) : "it is under way");
    }
    assert_int_equal(call->status, DM_OK);
}

void repair_all(struct crash *crash, uint32_t s) {
    struct repair_call call;
    repair_begin(&call, crash, s);
    repair_finish(&call);
}
