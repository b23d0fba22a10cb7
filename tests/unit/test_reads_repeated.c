/* test_reads_repeated.c: what only reads goes on behind a short break of its link; writes are test_open_round.c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fusee/session.h"
#include "trap.h"

#define FOR_R(r) for (uint32_t r = 1; r <= 3; r++)

static uint64_t repeated(const struct trap *trap) { return trap_session(trap, U)->stats.reads_repeated; }

static void a_read_whose_batch_fails_is_repeated(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        assert_int_equal(world_put(trap.world, V, "k", "7"), DM_OK);
        for (uint32_t turn = 0; turn < 2; turn++) { /* a miss, and a hit */
            uint64_t before = repeated(&trap);
            struct call call = trap_call(&trap, U, CALL_GET, "k", NULL);
            trap_begin(&trap, &call);
            gate_break(trap_session(&trap, U));
            gate_open(trap_session(&trap, U));
            call_finish(&call);
            assert_int_equal(call.status, DM_OK);
            assert_string_equal(call.value, "7");
            assert_int_equal(repeated(&trap), before + 1);
        }
        trap_close(&trap);
    }
}

static void a_read_outlasts_a_short_break_of_the_link(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        assert_int_equal(world_put(trap.world, V, "k", "7"), DM_OK);
        struct call call = call_make(trap.world, U, CALL_GET, "k", NULL);
        gate_cut(trap_session(&trap, U), true);
        call_begin(&call);
        assert_false(call.ended);
        gate_cut(trap_session(&trap, U), false);
        call_finish(&call);
        assert_int_equal(call.status, DM_OK);
        assert_string_equal(call.value, "7");
        trap_close(&trap);
    }
}

static void a_read_behind_a_long_break_is_refused_soon(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        assert_int_equal(world_put(trap.world, V, "k", "7"), DM_OK);
        gate_cut(trap_session(&trap, U), true);
        uint64_t since_ns = trap.world->fake.now_ns;
        assert_int_equal(call_run(trap.world, U, CALL_GET, "k", NULL).status, DM_UNREACHABLE);
        uint64_t took_ns = trap.world->fake.now_ns - since_ns;
        assert_in_range(took_ns, 200 * MS, 400 * MS);
        gate_cut(trap_session(&trap, U), false);
        world_expect(trap.world, U, "k", "7");
        trap_close(&trap);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_whose_batch_fails_is_repeated),
        cmocka_unit_test(a_read_outlasts_a_short_break_of_the_link),
        cmocka_unit_test(a_read_behind_a_long_break_is_refused_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
