/* trap.c: see trap.h. */
#include "trap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fusee/session.h"
#include "pool_check.h"

#define SESSIONS 4u
#define PASSES_MAX 2000u

struct trap trap_open(uint32_t replicas) {
    struct world_config config = world_small(replicas, SESSIONS);
    struct trap trap = {world_open(&config), replicas};
    static const char *const names[SESSIONS] = {"warm-u", "warm-v", "warm-w", "warm-x"};
    for (uint32_t s = 0; s < SESSIONS; s++) {
        assert_int_equal(world_put(trap.world, s, names[s], "1"), DM_OK);
    }
    world_poll(trap.world, 30 * MS);
    return trap;
}

void trap_close(struct trap *trap) {
    for (uint32_t s = 0; s < SESSIONS; s++) {
        gate_open(trap_session(trap, s));
    }
    world_run(trap->world);
    world_poll(trap->world, 50 * MS);
    struct census census = check_at_rest(trap->world);
    assert_int_equal(census.tombstones, 0);
    assert_int_equal(census.provisional, 0);
    if (trap->world->fake.warnings != 0) {
        fail_msg("%s", trap->world->fake.message);
    }
    assert_int_equal(gate_unordered(trap->world->fabric), 0);
    world_close(trap->world);
}

struct call trap_call(struct trap *trap, uint32_t s, enum call_kind kind, const char *key, const char *value) {
    return call_make(trap->world, s, kind, key, value);
}

void trap_begin(struct trap *trap, struct call *call) {
    gate_close(trap_session(trap, call->s));
    call_begin(call);
}

void trap_begin_round(struct trap *trap, struct call *call) {
    trap_begin(trap, call);
    gate_pass_to_cas(trap_session(trap, call->s));
}

void trap_end(struct trap *trap, struct call *call, enum dm_status status) {
    gate_pass_all(trap_session(trap, call->s), PASSES_MAX);
    assert_true(call->ended);
    assert_int_equal(call->status, status);
    gate_open(trap_session(trap, call->s));
}

void trap_one_live(const struct trap *trap, const char *key) {
    assert_in_range(check_live_slots(trap->world, key), 0, 1);
}

void trap_rival(const struct trap *trap, const char *key, char *name) {
    uint16_t slot = check_slot_for(trap->world, key);
    for (uint32_t i = 0; i < 100000; i++) {
        snprintf(name, 16, "rival%u", i);
        if (check_slot_for(trap->world, name) == slot) {
            return;
        }
    }
    fail_msg("no rival for %s", key);
}

void trap_insert_in_b(struct trap *trap, struct call *call) {
    char rival[16];
    uint16_t a = check_slot_for(trap->world, "k");
    trap_rival(trap, "k", rival);
    assert_int_equal(world_put(trap->world, X, rival, "1"), DM_OK);
    trap_begin_round(trap, call);
    assert_int_equal(world_delete(trap->world, X, rival), DM_OK);
    world_jobs(trap->world, X);
    assert_int_equal(check_slot_for(trap->world, "k"), a);
}
