/* test_register.c: the checker of one writer's histories (tests/common/register.h) accepts what can be, and nothing
 * else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "register.h"

static struct register_history history;

static void begin(void) { history = (struct register_history){0}; }

static void what_was_acknowledged_is_there_until_the_next(void **state) {
    (void)state;
    begin();
    assert_true(register_seen(&history, 0));
    register_acknowledged(&history, 1);
    assert_true(register_seen(&history, 1));
    register_acknowledged(&history, 2);
    assert_false(register_seen(&history, 1));
    assert_false(register_seen(&history, 0));
    assert_false(register_seen(&history, 3));
    assert_true(register_seen(&history, 2));
}

static void an_unknown_write_happens_at_any_time_or_never_but_once(void **state) {
    (void)state;
    begin();
    register_acknowledged(&history, 1);
    assert_true(register_unknown(&history, 2));
    assert_true(register_unknown(&history, 3));
    assert_true(register_seen(&history, 1)); /* not yet */
    assert_true(register_seen(&history, 3));
    assert_false(register_seen(&history, 1)); /* an acknowledged value does not come back */
    assert_true(register_seen(&history, 2));  /* later than the one behind it */
    assert_false(register_seen(&history, 3)); /* not once more */
    register_acknowledged(&history, 4);
    assert_false(register_seen(&history, 2));
    assert_true(register_seen(&history, 4));
}

static void an_unknown_write_can_come_behind_an_acknowledged_one(void **state) {
    (void)state;
    begin();
    assert_true(register_unknown(&history, 1));
    register_acknowledged(&history, 2);
    assert_true(register_seen(&history, 2));
    assert_true(register_seen(&history, 1));
    assert_false(register_seen(&history, 2));
}

static void it_says_when_it_has_no_room(void **state) {
    (void)state;
    begin();
    for (uint64_t i = 1; i <= REGISTER_OPEN_MAX; i++)
        assert_true(register_unknown(&history, i));
    assert_false(register_unknown(&history, REGISTER_OPEN_MAX + 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_is_there_until_the_next),
        cmocka_unit_test(an_unknown_write_happens_at_any_time_or_never_but_once),
        cmocka_unit_test(an_unknown_write_can_come_behind_an_acknowledged_one),
        cmocka_unit_test(it_says_when_it_has_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
