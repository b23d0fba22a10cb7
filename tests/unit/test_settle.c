/* test_settle.c: a memory node is lost for good at every place of every kind of write, and another session settles that
 * (dm_session_settle): the write happens once or not at all, its client is told which, and everybody goes on with the
 * nodes that are left. With random networks, deaths of clients and many keys the simulator does the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dm_loss.h"
#include "fusee/session.h"
#include "pool_check.h"
#include "trap.h"

#define PLACES_MAX 60u

struct settling {
    struct trap *trap;
    uint32_t s;
    uint64_t lost;
    const uint32_t *clients;
    uint32_t count;
    enum dm_status status;
    bool ended;
    char error[256];
};

static void settle_coroutine(void *argument) {
    struct settling *settling = argument;
    const struct dm_loss loss = {
        .nodes = settling->lost, .clients = settling->clients, .client_count = settling->count};
    settling->status =
        dm_session_settle(trap_session(settling->trap, settling->s), &loss, settling->error, sizeof settling->error);
    settling->ended = true;
}

static enum dm_status settle_with_dead(struct trap *trap, uint32_t s, uint64_t lost, uint32_t dead) {
    struct settling settling = {.trap = trap, .s = s, .lost = lost, .clients = &dead, .count = dead != UINT32_MAX};
    assert_int_equal(dm_sched_spawn(trap->world->sched[s], settle_coroutine, &settling), DM_OK);
    for (uint32_t i = 0; i < 2000 && !settling.ended; i++) {
        world_poll(trap->world, 5 * MS);
    }
    assert_true(settling.ended);
    return settling.status;
}

static enum dm_status settle(struct trap *trap, uint32_t s, uint64_t lost) {
    return settle_with_dead(trap, s, lost, UINT32_MAX);
}

/* Replicas that are left agree, and every live word's object is whole on all of its own. */
static void check_left(const struct trap *trap, uint32_t s) {
    const struct dm_session *session = trap_session(trap, s);
    const struct layout *layout = &session->layout;
    for (uint16_t slot = 0; slot < INDEX_SLOTS; slot++) {
        uint64_t address = session->pool->subtables[0] + index_slot_offset(slot);
        uint64_t words[LAYOUT_REPLICAS_MAX];
        for (uint32_t j = 0; j < layout_replicas(layout, address); j++) {
            struct location at = layout_locate(layout, address, j);
            memcpy(&words[j], (uint8_t *)trap->world->memory[at.node].base + at.offset, sizeof words[j]);
            assert_int_equal(words[j], words[0]);
        }
        assert_true(word_kind(words[0]) == WORD_EMPTY || word_is_live(words[0]));
        for (uint32_t j = 0; word_is_live(words[0]) && j < layout_replicas(layout, word_address(words[0])); j++) {
            struct location at = layout_locate(layout, word_address(words[0]), j);
            assert_true(object_whole((uint8_t *)trap->world->memory[at.node].base + at.offset,
                                     sizeclass_bytes(word_class(words[0])), words[0]));
        }
    }
}

static void close_trap(struct trap *trap) {
    world_poll(trap->world, 100 * MS);
    check_left(trap, V);
    trap->world->fake.warnings = 0; /* they were right */
    world_close(trap->world);
}

struct kind {
    enum call_kind kind;
    bool fresh;
    const char *before, *after;
};
static const struct kind kinds[] = {
    {CALL_PUT, false, "5", "7"},   {CALL_PUT, true, NULL, "7"},     {CALL_DELETE, false, "5", NULL},
    {CALL_INCR, false, "5", "6"},  {CALL_INCR, true, NULL, "1"},    {CALL_APPEND, false, "5", "57"},
    {CALL_SETNX, true, NULL, "7"}, {CALL_GETDEL, false, "5", NULL},
};

struct tried {
    uint32_t places, refused, happened, unknown;
};

/* False: the call has fewer places. With a rival another client does the same meanwhile, and waits for the first. */
static bool try_place(uint32_t replicas, uint32_t lost, const struct kind *kind, uint32_t place, struct tried *tried) {
    struct trap trap = trap_open(replicas);
    struct dm_session *session = trap_session(&trap, U);
    if (kind->before != NULL) {
        assert_int_equal(world_put(trap.world, U, "k", kind->before), DM_OK);
    }
    assert_int_equal(world_put(trap.world, U, "other", "1"), DM_OK);
    struct call call = trap_call(&trap, U, kind->kind, "k", "7");
    trap_begin(&trap, &call);
    bool broken = gate_break_at(session, replicas, 0, place);
    gate_lose_node(trap.world->fabric, lost);
    gate_open(session);
    assert_int_equal(settle(&trap, V, UINT64_C(1) << lost), DM_OK);
    call_finish(&call);
    world_poll(trap.world, 100 * MS);
    bool happened = call.status == DM_OK;
    tried->places++;
    tried->happened += happened;
    tried->refused += call.status == DM_UNREACHABLE;
    tried->unknown += call.status == DM_UNKNOWN_OUTCOME;
    assert_true(happened || call.status == DM_UNREACHABLE);
    world_expect(trap.world, W, "k", happened ? kind->after : kind->before);
    world_expect(trap.world, X, "other", "1");
    assert_int_equal(world_put(trap.world, X, "k", "8"), DM_OK);
    assert_int_equal(world_put(trap.world, W, "new", "9"), DM_OK);
    world_expect(trap.world, U, "k", "8");
    world_expect(trap.world, U, "new", "9");
    close_trap(&trap);
    return broken;
}

static void a_write_under_which_a_node_is_lost_happens_once_or_not_at_all(void **state) {
    (void)state;
    for (uint32_t r = 2; r <= 3; r++) {
        struct tried tried = {0};
        for (uint32_t lost = 0; lost < r; lost++) {
            for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
                uint32_t place = 0;
                while (try_place(r, lost, &kinds[k], place, &tried)) {
                    assert_true(++place < PLACES_MAX);
                }
            }
        }
        printf("r = %u: a node lost at %u places; happened %u, refused %u, unknown %u\n", r, tried.places,
               tried.happened, tried.refused, tried.unknown);
        assert_true(tried.happened > 0 && tried.unknown == 0);
    }
}

static void node_after_node_is_lost_until_none_may_be(void **state) {
    (void)state;
    struct trap trap = trap_open(3);
    assert_int_equal(world_put(trap.world, U, "k", "1"), DM_OK);
    gate_lose_node(trap.world->fabric, 0);
    assert_int_equal(settle(&trap, V, 1), DM_OK);
    world_expect(trap.world, W, "k", "1");
    assert_int_equal(world_put(trap.world, W, "k", "2"), DM_OK);
    gate_lose_node(trap.world->fabric, 2);
    assert_int_equal(settle(&trap, X, 4), DM_OK);
    world_expect(trap.world, U, "k", "2");
    assert_int_equal(world_delete(trap.world, U, "k"), DM_OK);
    assert_int_equal(world_put(trap.world, U, "l", "3"), DM_OK);
    world_expect(trap.world, V, "k", NULL);
    assert_int_equal(dm_session_lost(trap_session(&trap, W)), 5);
    assert_int_equal(settle(&trap, V, 2), DM_UNREACHABLE); /* no replica would be left: nothing changes */
    world_expect(trap.world, V, "l", "3");
    close_trap(&trap);
}

static void it_may_be_done_again_and_by_another(void **state) {
    (void)state;
    struct trap trap = trap_open(3);
    assert_int_equal(world_put(trap.world, U, "k", "1"), DM_OK);
    gate_lose_node(trap.world->fabric, 1);
    gate_lose_node(trap.world->fabric, 2);
    assert_int_equal(settle(&trap, V, 2), DM_UNREACHABLE); /* the other lost one is not given: it has begun and stops */
    assert_int_equal(settle(&trap, W, 6), DM_OK);
    assert_int_equal(settle(&trap, W, 6), DM_OK);
    assert_int_equal(settle(&trap, U, 2), DM_OK);
    world_expect(trap.world, X, "k", "1");
    assert_int_equal(world_put(trap.world, X, "k", "2"), DM_OK);
    close_trap(&trap);
}

static void a_session_that_comes_later_goes_by_what_is_left(void **state) {
    (void)state;
    struct trap trap = trap_open(2);
    assert_int_equal(world_put(trap.world, U, "k", "1"), DM_OK);
    world_session_close(trap.world, X);
    gate_lose_node(trap.world->fabric, 0);
    assert_int_equal(settle(&trap, V, 1), DM_OK);
    world_session_open(trap.world, X);
    world_expect(trap.world, X, "k", "1");
    assert_int_equal(world_put(trap.world, X, "k", "2"), DM_OK);
    world_expect(trap.world, U, "k", "2");
    close_trap(&trap);
}

/* U dies at every place of a write, and the node with it: what is left is right, or it is said that nobody can tell. */
static void a_client_and_a_node_that_are_lost_together(void **state) {
    (void)state;
    uint32_t settled = 0;
    uint32_t refused = 0;
    for (uint32_t lost = 0; lost < 2; lost++) {
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
            bool broken = true;
            for (uint32_t place = 0; broken; place++) {
                struct trap trap = trap_open(2);
                struct dm_session *session = trap_session(&trap, U);
                if (kinds[k].before != NULL) {
                    assert_int_equal(world_put(trap.world, U, "k", kinds[k].before), DM_OK);
                }
                struct call call = trap_call(&trap, U, kinds[k].kind, "k", "7");
                trap_begin(&trap, &call);
                broken = gate_break_at(session, 2, 0, place);
                gate_kill(session);
                gate_lose_node(trap.world->fabric, lost);
                enum dm_status status = settle(&trap, V, UINT64_C(1) << lost);
                assert_int_equal(status, DM_BUSY); /* nobody has said that it is dead */
                status = settle_with_dead(&trap, V, UINT64_C(1) << lost, session->client);
                if (status == DM_OK) {
                    struct call got = call_run(trap.world, W, CALL_GET, "k", NULL);
                    const char *before = kinds[k].before;
                    const char *after = kinds[k].after;
                    bool is_before = before == NULL ? got.status == DM_NOT_FOUND
                                                    : got.status == DM_OK && strcmp(got.value, before) == 0;
                    bool is_after = after == NULL ? got.status == DM_NOT_FOUND
                                                  : got.status == DM_OK && strcmp(got.value, after) == 0;
                    assert_true(call.ended && call.status == DM_OK ? is_after : is_before || is_after);
                    assert_int_equal(world_put(trap.world, X, "k", "8"), DM_OK);
                    world_expect(trap.world, V, "k", "8");
                    settled++;
                } else {
                    assert_int_equal(status, DM_CORRUPT);
                    refused++;
                }
                trap.world->fake.warnings = 0;
                /* U's coroutine never ends: the world stays open */
            }
        }
    }
    printf("a client and a node lost together at %u places; settled %u, refused %u\n", settled + refused, settled,
           refused);
    assert_true(settled > 0);
}

static void one_replica_cannot_be_lost(void **state) {
    (void)state;
    struct trap trap = trap_open(1);
    assert_int_equal(world_put(trap.world, U, "k", "1"), DM_OK);
    assert_int_equal(settle(&trap, V, 1), DM_UNREACHABLE);
    world_expect(trap.world, V, "k", "1");
    trap.world->fake.warnings = 0;
    trap_close(&trap);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_under_which_a_node_is_lost_happens_once_or_not_at_all),
        cmocka_unit_test(node_after_node_is_lost_until_none_may_be),
        cmocka_unit_test(it_may_be_done_again_and_by_another),
        cmocka_unit_test(a_session_that_comes_later_goes_by_what_is_left),
        cmocka_unit_test(one_replica_cannot_be_lost),
        cmocka_unit_test(a_client_and_a_node_that_are_lost_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
