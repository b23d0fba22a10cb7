/* test_space.c: spaces that are flushed and swapped: the rules, and a pool of several gateways, with clients that die
 * or fail in the middle of a change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fusee/session.h"
#include "fusee/space.h"
#include "pool_check.h"
#include "trap.h"

#define FOR_R(r) for (uint32_t r = 2; r <= 3; r++)

/* ---- Rules ------------------------------------------------------------------------------------------------------ */

static void a_change_survives_its_word(void **state) {
    (void)state;
    struct space_change change = {SPACE_CHANGE_SWAP, 3, 15, 0xffff, 0x1234, true, SPACE_COUNT_MASK};
    struct space_change back = space_change_of(space_change_word(change));
    assert_memory_equal(&back, &change, sizeof change);
}

static void a_change_is_made_once_however_often_it_is_tried(void **state) {
    (void)state;
    struct space_change changes[] = {{SPACE_CHANGE_FLUSH, 2, 0, 18, 0, true, 1},
                                     {SPACE_CHANGE_SWAP, 2, 5, 18, 5, true, 2},
                                     {SPACE_CHANGE_FLUSH_ALL, 0, 0, 0, 0, true, 3},
                                     {SPACE_CHANGE_FLUSH, 5, 0, 50, 0, true, 4}};
    uint64_t words[DM_SPACES] = {0};
    for (size_t c = 0; c < sizeof changes / sizeof changes[0]; c++) {
        for (int twice = 0; twice < 2; twice++) {
            for (uint16_t s = 0; s < DM_SPACES; s++) {
                uint64_t after = space_word_after(words[s], s, &changes[c]);
                assert_true(twice == 0 || after == words[s]);
                words[s] = after;
            }
        }
    }
    assert_int_equal(space_number(words[2], 2), 5 + 16);
    assert_int_equal(space_number(words[5], 5), 50);
    assert_int_equal(space_number(words[0], 0), 16);
}

static void no_two_spaces_ever_have_the_same_number(void **state) {
    (void)state;
    uint64_t words[DM_SPACES] = {0};
    uint64_t random = 1;
    for (uint32_t count = 1; count < 20000; count++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        uint16_t a = random >> 33 & 15;
        uint16_t b = random >> 40 & 15;
        struct space_change change = {(enum space_change_kind)(1 + (random >> 50) % 3),
                                      a,
                                      b,
                                      space_number(words[a], a),
                                      space_number(words[b], b),
                                      true,
                                      count};
        change.number_a += change.kind == SPACE_CHANGE_FLUSH ? DM_SPACES : 0;
        if (change.kind == SPACE_CHANGE_SWAP && a == b) {
            continue;
        }
        uint32_t seen = 0;
        for (uint16_t s = 0; s < DM_SPACES; s++) {
            words[s] = space_word_after(words[s], s, &change);
            seen |= 1u << space_number(words[s], s) % DM_SPACES;
        }
        assert_int_equal(seen, 0xffff);
    }
}

/* ---- A pool ----------------------------------------------------------------------------------------------------- */

static struct trap open_polled(uint32_t replicas) {
    struct world_config config = world_small(replicas, 4);
    config.polled = true;
    struct trap trap = {world_open(&config), replicas};
    return trap;
}

struct change_call {
    struct dm_session *session;
    int first, second; /* second < 0: flush the first; both < 0: all */
    bool purge;
    enum dm_status status;
    bool ended;
};

static void change_coroutine(void *argument) {
    struct change_call *call = argument;
    if (call->second >= 0) {
        call->status = dm_space_swap(call->session, (uint16_t)call->first, (uint16_t)call->second);
    } else {
        call->status = dm_space_flush(call->session, call->first < 0 ? DM_SPACE_ALL : (uint16_t)call->first);
    }
    if (call->purge && call->status == DM_OK) {
        call->status = dm_space_purge(call->session);
    }
    call->ended = true;
}

static void change_begin(struct trap *trap, struct change_call *call, uint32_t s, int first, int second) {
    call->session = trap_session(trap, s);
    call->first = first;
    call->second = second;
    assert_int_equal(dm_sched_spawn(trap->world->sched[s], change_coroutine, call), DM_OK);
}

static void change_run(struct trap *trap, uint32_t s, int first, int second, bool purge) {
    struct change_call call = {.purge = purge};
    change_begin(trap, &call, s, first, second);
    for (uint32_t ms = 0; ms < 1000 && !call.ended; ms++) {
        world_poll(trap->world, MS);
    }
    assert_true(call.ended);
    assert_int_equal(call.status, DM_OK);
}

static struct call in_space(struct trap *trap, uint32_t s, enum call_kind kind, uint16_t space, const char *value) {
    struct call call = call_make(trap->world, s, kind, "k", value);
    call.key.space = space;
    call_begin(&call);
    call_finish(&call);
    return call;
}

static void expect_in(struct trap *trap, uint16_t space, const char *value) {
    for (uint32_t s = 0; s < 4; s++) {
        struct call get = in_space(trap, s, CALL_GET, space, NULL);
        assert_int_equal(get.status, value == NULL ? DM_NOT_FOUND : DM_OK);
        assert_true(value == NULL || strcmp(get.value, value) == 0);
    }
}

static void a_flush_and_a_swap_are_seen_by_all(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 3; r++) {
        struct trap trap = open_polled(r);
        for (uint16_t space = 0; space < 3; space++) {
            char value[2] = {(char)('a' + space), 0};
            assert_int_equal(in_space(&trap, space, CALL_PUT, space, value).status, DM_OK);
        }
        expect_in(&trap, 1, "b");
        change_run(&trap, U, 1, -1, false);
        expect_in(&trap, 0, "a");
        expect_in(&trap, 1, NULL);
        change_run(&trap, V, 1, 2, false);
        expect_in(&trap, 1, "c");
        expect_in(&trap, 2, NULL);
        assert_int_equal(in_space(&trap, W, CALL_SETNX, 2, "new").status, DM_OK);
        change_run(&trap, W, 0, 2, false);
        expect_in(&trap, 0, "new");
        expect_in(&trap, 2, "a");
        change_run(&trap, X, -1, -1, true);
        for (uint16_t space = 0; space < DM_SPACES; space++) {
            expect_in(&trap, space, NULL);
        }
        world_poll(trap.world, 100 * MS);
        assert_int_equal(check_at_rest(trap.world).live, 0); /* the memory is back */
        world_close(trap.world);
    }
}

/* More changes than there are numbers: what was left long ago does not come back. */
static void numbers_that_come_back_bring_nothing_back(void **state) {
    (void)state;
    struct trap trap = open_polled(1);
    assert_int_equal(in_space(&trap, U, CALL_PUT, 7, "old").status, DM_OK);
    for (uint32_t i = 0; i < 4096 + 5; i++) {
        change_run(&trap, U, 7, -1, false);
        struct call get = in_space(&trap, U, CALL_GET, 7, NULL);
        assert_int_equal(get.status, DM_NOT_FOUND);
    }
    world_close(trap.world);
}

/* A write that has begun holds the change up, and everybody waits for it; nothing is lost or comes back. */
static void an_operation_under_way_is_waited_for(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = open_polled(r);
        assert_int_equal(world_put(trap.world, U, "k", "old"), DM_OK);
        struct call put = trap_call(&trap, U, CALL_PUT, "k", "late");
        trap_begin_round(&trap, &put);
        struct change_call flush = {.purge = false};
        change_begin(&trap, &flush, V, 0, -1);
        world_poll(trap.world, 200 * MS);
        assert_false(flush.ended);
        struct call get = trap_call(&trap, W, CALL_GET, "k", NULL);
        call_begin(&get);
        world_poll(trap.world, 50 * MS);
        assert_false(get.ended);
        trap_end(&trap, &put, DM_OK);
        call_finish(&get);
        assert_int_equal(get.status, DM_NOT_FOUND);
        world_poll(trap.world, 50 * MS);
        assert_true(flush.ended);
        assert_int_equal(flush.status, DM_OK);
        expect_in(&trap, 0, NULL);
        world_close(trap.world);
    }
}

/* One that does not end is not waited for without end: nothing has changed then. */
static void a_change_that_waits_too_long_is_called_off(void **state) {
    (void)state;
    struct trap trap = open_polled(2);
    assert_int_equal(world_put(trap.world, U, "k", "old"), DM_OK);
    struct call put = trap_call(&trap, U, CALL_PUT, "k", "late");
    trap_begin_round(&trap, &put);
    struct change_call flush = {.purge = false};
    change_begin(&trap, &flush, V, -1, -1);
    world_poll(trap.world, 2500 * MS);
    assert_true(flush.ended);
    assert_int_equal(flush.status, DM_UNREACHABLE);
    struct call get = trap_call(&trap, W, CALL_GET, "k", NULL);
    call_begin(&get);
    world_poll(trap.world, MS);
    assert_true(get.ended);
    assert_string_equal(get.value, "old");
    trap_end(&trap, &put, DM_OK);
    expect_in(&trap, 0, "late");
    change_run(&trap, V, -1, -1, false);
    expect_in(&trap, 0, NULL);
    world_close(trap.world);
}

/* Whoever flushes dies behind each of its verbs: the others go on, before the flush or behind it, and agree. */
static void a_client_that_dies_in_a_change_holds_nobody_up(void **state) {
    (void)state;
    uint32_t before = 0;
    uint32_t behind = 0;
    for (uint32_t verbs = 0; verbs < 400; verbs++) {
        struct trap trap = open_polled(2);
        assert_int_equal(world_put(trap.world, V, "k", "5"), DM_OK);
        world_poll(trap.world, 300 * MS); /* U has nothing to do and announces nothing, so that nobody waits for it */
        struct change_call flush = {.purge = false};
        gate_close(trap_session(&trap, U));
        change_begin(&trap, &flush, U, 0, -1);
        world_poll(trap.world, MS);
        for (uint32_t done = 0; done < verbs && !flush.ended;) {
            bool any = false;
            for (uint16_t node = 0; node < 2 && !any && gate_batch(trap_session(&trap, U)) != NULL; node++) {
                any = gate_apply_next(trap_session(&trap, U), node);
            }
            if (!any && gate_batch(trap_session(&trap, U)) != NULL) {
                gate_pass(trap_session(&trap, U));
            }
            world_poll(trap.world, any ? 1 : MS);
            done += any;
        }
        bool ended = flush.ended;
        struct dm_session *dead = trap_session(&trap, U);
        struct dm_sched *sched = trap.world->sched[U];
        gate_kill(dead);
        trap.world->session[U] = NULL;
        trap.world->sched[U] = NULL;
        struct call setnx = trap_call(&trap, V, CALL_SETNX, "k", "new");
        call_begin(&setnx);
        for (uint32_t ms = 0; ms < 2000 && !setnx.ended; ms += 10) {
            world_poll(trap.world, 10 * MS);
        }
        if (!setnx.ended) { /* its announcement holds the epoch up until it is repaired */
            fail_msg("after %u verbs everybody waits for the dead", verbs);
        }
        assert_int_equal(setnx.status, DM_OK);
        before += setnx.found;
        behind += !setnx.found;
        struct call get = call_run(trap.world, W, CALL_GET, "k", NULL);
        assert_string_equal(get.value, setnx.found ? "5" : "new");
        trap.world->session[U] = dead;
        trap.world->sched[U] = sched;
        world_close(trap.world);
        if (ended) {
            break;
        }
    }
    printf("the flush had not happened %u times, and had %u times\n", before, behind);
    assert_true(before > 0 && behind > 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_survives_its_word),
        cmocka_unit_test(a_change_is_made_once_however_often_it_is_tried),
        cmocka_unit_test(no_two_spaces_ever_have_the_same_number),
        cmocka_unit_test(a_flush_and_a_swap_are_seen_by_all),
        cmocka_unit_test(numbers_that_come_back_bring_nothing_back),
        cmocka_unit_test(an_operation_under_way_is_waited_for),
        cmocka_unit_test(a_change_that_waits_too_long_is_called_off),
        cmocka_unit_test(a_client_that_dies_in_a_change_holds_nobody_up),
    };
    return cmocka_run_group_tests_name("space", tests, NULL, NULL);
}
