/* test_coro.c: coroutines and their scheduler (libdm/coro) with a clock of its own, so that no test waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "coro/coro.h"
#include "coro/fiber.h"
#include "coro/timer.h"
#include "dm.h"

#define TRACE_MAX 64u

struct world {
    struct dm_env env;
    struct dm_sched *sched;
    uint64_t now_ns;
    uint64_t allocations;
    char trace[TRACE_MAX + 1];
    size_t traced;
    struct dm_coro *waiting;
    uint64_t counter;
};

static uint64_t fake_clock_ns(void *context) { return ((struct world *)context)->now_ns; }

static void *counting_allocate(void *context, size_t bytes) {
    ((struct world *)context)->allocations++;
    return dm_env_system()->allocate(NULL, bytes);
}

static void *never_allocate(void *context, size_t bytes) {
    (void)context;
    (void)bytes;
    return NULL;
}

static int open_world(void **state, const struct dm_sched_config *config) {
    static struct world world;

    memset(&world, 0, sizeof world);
    world.env = *dm_env_system();
    world.env.context = &world;
    world.env.clock_ns = fake_clock_ns;
    world.env.allocate = counting_allocate;
    world.now_ns = 1000;
    *state = &world;
    return dm_sched_create(&world.env, config, &world.sched) == DM_OK ? 0 : -1;
}

static int setup(void **state) { return open_world(state, NULL); }

static int setup_small(void **state) {
    const struct dm_sched_config config = {.coroutines = 3};

    return open_world(state, &config);
}

static int teardown(void **state) {
    dm_sched_destroy(((struct world *)*state)->sched);
    return 0;
}

static void trace(struct world *world, char mark) {
    assert_true(world->traced < TRACE_MAX);
    world->trace[world->traced++] = mark;
    world->trace[world->traced] = '\0';
}

static void spawn(struct world *world, void (*fn)(void *), void *argument) {
    assert_int_equal(dm_sched_spawn(world->sched, fn, argument), DM_OK);
}

static void run_until_idle(struct world *world) {
    while (dm_sched_next_ns(world->sched) == 0) {
        dm_sched_run(world->sched);
    }
}

/* ---- Order ------------------------------------------------------------------------------------------------------ */

struct task {
    struct world *world;
    char mark;
    uint64_t delay_ns;
};

static void mark_yield_mark(void *argument) {
    struct task *task = argument;

    trace(task->world, task->mark);
    dm_coro_sleep(task->world->sched, 0);
    trace(task->world, (char)(task->mark - 'a' + 'A'));
}

static void spawn_runs_at_once_and_ready_ones_resume_first_in_first_out(void **state) {
    struct world *world = *state;
    struct task tasks[] = {{world, 'a', 0}, {world, 'b', 0}, {world, 'c', 0}};

    for (size_t i = 0; i < 3; i++) {
        spawn(world, mark_yield_mark, &tasks[i]);
    }
    assert_string_equal(world->trace, "abc");
    assert_int_equal(dm_sched_alive(world->sched), 3);
    assert_int_equal(dm_sched_next_ns(world->sched), 0);
    assert_int_equal(dm_sched_run(world->sched), 3);
    assert_string_equal(world->trace, "abcABC");
    assert_int_equal(dm_sched_alive(world->sched), 0);
    assert_true(dm_sched_next_ns(world->sched) == UINT64_MAX);
    assert_int_equal(dm_sched_run(world->sched), 0);
}

static void yield_thrice(void *argument) {
    struct world *world = argument;

    for (int i = 0; i < 3; i++) {
        dm_coro_sleep(world->sched, 0);
        world->counter++;
    }
}

static void what_becomes_ready_during_a_run_waits_for_the_next_run(void **state) {
    struct world *world = *state;

    spawn(world, yield_thrice, world);
    spawn(world, yield_thrice, world);
    for (uint64_t round = 1; round <= 3; round++) {
        assert_int_equal(dm_sched_run(world->sched), 2);
        assert_int_equal(world->counter, 2 * round);
    }
    assert_int_equal(dm_sched_alive(world->sched), 0);
}

/* ---- Nesting ---------------------------------------------------------------------------------------------------- */

static void inner(void *argument) {
    struct task *task = argument;

    trace(task->world, '[');
    dm_coro_sleep(task->world->sched, 0);
    trace(task->world, ']');
}

static void outer(void *argument) {
    struct task *task = argument;
    struct dm_coro *self = dm_coro_self(task->world->sched);

    trace(task->world, '(');
    spawn(task->world, inner, task);
    assert_ptr_equal(dm_coro_self(task->world->sched), self);
    trace(task->world, '|');
    dm_coro_sleep(task->world->sched, 0);
    trace(task->world, ')');
}

static void spawn_inside_a_coroutine_returns_to_it_when_the_new_one_stops(void **state) {
    struct world *world = *state;
    struct task task = {world, 0, 0};

    spawn(world, outer, &task);
    assert_null(dm_coro_self(world->sched));
    assert_string_equal(world->trace, "([|");
    run_until_idle(world);
    assert_string_equal(world->trace, "([|])");
}

static void nest(void *argument) {
    struct world *world = argument;

    if (++world->counter < 1000) {
        spawn(world, nest, world);
    }
    dm_coro_sleep(world->sched, 0);
    world->counter--;
}

static void a_thousand_coroutines_can_nest(void **state) {
    struct world *world = *state;

    spawn(world, nest, world);
    assert_int_equal(world->counter, 1000);
    assert_int_equal(dm_sched_alive(world->sched), 1000);
    run_until_idle(world);
    assert_int_equal(world->counter, 0);
}

/* ---- Park and wake ---------------------------------------------------------------------------------------------- */

static void park_once(void *argument) {
    struct world *world = argument;

    world->waiting = dm_coro_self(world->sched);
    dm_coro_park(world->sched);
    trace(world, 'w');
}

static void a_parked_coroutine_runs_only_after_a_wake_and_in_the_next_run(void **state) {
    struct world *world = *state;

    spawn(world, park_once, world);
    assert_int_equal(dm_sched_run(world->sched), 0);
    assert_true(dm_sched_next_ns(world->sched) == UINT64_MAX);
    assert_string_equal(world->trace, "");
    dm_coro_wake(world->waiting);
    assert_string_equal(world->trace, "");
    assert_int_equal(dm_sched_next_ns(world->sched), 0);
    assert_int_equal(dm_sched_run(world->sched), 1);
    assert_string_equal(world->trace, "w");
}

static void wake_waiting(void *argument) {
    struct world *world = argument;

    dm_coro_wake(world->waiting);
    trace(world, 'k');
}

static void one_coroutine_can_wake_another(void **state) {
    struct world *world = *state;

    spawn(world, park_once, world);
    spawn(world, wake_waiting, world);
    assert_string_equal(world->trace, "k");
    run_until_idle(world);
    assert_string_equal(world->trace, "kw");
}

/* ---- Time ------------------------------------------------------------------------------------------------------- */

static void sleep_and_mark(void *argument) {
    struct task *task = argument;

    dm_coro_sleep(task->world->sched, task->delay_ns);
    trace(task->world, task->mark);
}

static void sleepers_wake_in_order_of_time_and_then_of_entry(void **state) {
    struct world *world = *state;
    struct task tasks[] = {{world, 'd', 40}, {world, 'b', 20}, {world, 'c', 20}, {world, 'a', 10}, {world, 'e', 50}};

    for (size_t i = 0; i < 5; i++) {
        spawn(world, sleep_and_mark, &tasks[i]);
    }
    assert_int_equal(dm_sched_next_ns(world->sched), 10);
    assert_int_equal(dm_sched_run(world->sched), 0);
    world->now_ns += 9;
    assert_int_equal(dm_sched_next_ns(world->sched), 1);
    assert_int_equal(dm_sched_run(world->sched), 0);
    world->now_ns += 1;
    assert_int_equal(dm_sched_next_ns(world->sched), 0);
    assert_int_equal(dm_sched_run(world->sched), 1);
    assert_string_equal(world->trace, "a");
    world->now_ns += 35;
    assert_int_equal(dm_sched_run(world->sched), 3);
    assert_string_equal(world->trace, "abcd");
    world->now_ns += 100;
    assert_int_equal(dm_sched_next_ns(world->sched), 0);
    assert_int_equal(dm_sched_run(world->sched), 1);
    assert_string_equal(world->trace, "abcde");
}

static void a_sleep_for_ever_does_not_overflow_into_the_past(void **state) {
    struct world *world = *state;
    struct task task = {world, 'x', UINT64_MAX};

    spawn(world, sleep_and_mark, &task);
    assert_int_equal(dm_sched_run(world->sched), 0);
    assert_true(dm_sched_next_ns(world->sched) == UINT64_MAX - world->now_ns);
    world->now_ns = UINT64_MAX;
    assert_int_equal(dm_sched_run(world->sched), 1);
}

static void timers_come_out_sorted_whatever_the_order_in(void **state) {
    static struct timer timers[1000];
    struct timer_heap heap = {.timers = timers, .capacity = 1000};
    uint64_t last = 0;

    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        timer_heap_push(&heap, i * 7919 % 1009, (struct dm_coro *)(uintptr_t)(i * 7919 % 1009));
    }
    for (int i = 0; i < 1000; i++) {
        uint64_t due_ns = (uintptr_t)timer_heap_pop(&heap);
        assert_true(due_ns >= last);
        last = due_ns;
    }
    assert_int_equal(heap.count, 0);
}

/* ---- Bounds ----------------------------------------------------------------------------------------------------- */

static void spawn_beyond_the_limit_is_busy_and_calls_nothing(void **state) {
    struct world *world = *state;

    for (int i = 0; i < 3; i++) {
        spawn(world, yield_thrice, world);
    }
    assert_int_equal(dm_sched_spawn(world->sched, wake_waiting, world), DM_BUSY);
    assert_string_equal(world->trace, "");
    run_until_idle(world);
    spawn(world, yield_thrice, world);
    run_until_idle(world);
    assert_int_equal(world->counter, 12);
}

/* The default limit, less under tools that can follow only so many stacks. */
static uint32_t many_coroutines(void) {
#if defined(FIBER_TSAN)
    return 2000;
#elif defined(FIBER_VALGRIND)
    return RUNNING_ON_VALGRIND ? 2000 : 16384;
#else
    return 16384;
#endif
}

static void the_default_limit_of_coroutines_can_be_alive_at_once(void **state) {
    struct world *world = *state;

    uint32_t many = many_coroutines();

    for (uint32_t i = 0; i < many; i++) {
        spawn(world, yield_thrice, world);
    }
    assert_int_equal(dm_sched_alive(world->sched), many);
    assert_int_equal(dm_sched_run(world->sched), many);
    run_until_idle(world);
    assert_int_equal(world->counter, 3 * (uint64_t)many);
}

static void configurations_out_of_range_are_refused(void **state) {
    const struct dm_sched_config bad[] = {{.stack_bytes = 100}, {.stack_bytes = SIZE_MAX}, {.coroutines = UINT32_MAX}};
    struct dm_sched *sched = NULL;
    struct dm_env poor = *dm_env_system();

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(dm_sched_create(dm_env_system(), &bad[i], &sched), DM_INVALID);
    }
    poor.allocate = never_allocate;
    assert_int_equal(dm_sched_create(&poor, NULL, &sched), DM_NO_MEMORY);
    assert_null(sched);
}

static void note_stack(void *argument) { *(uintptr_t *)argument = (uintptr_t)__builtin_frame_address(0); }

static void reuse_needs_neither_allocation_nor_another_stack(void **state) {
    struct world *world = *state;
    uintptr_t first = 0, stack = 0;

    spawn(world, note_stack, &first);
    uint64_t allocations = world->allocations;
    for (int i = 0; i < 200000; i++) {
        spawn(world, note_stack, &stack);
        assert_int_equal(stack, first);
    }
    assert_int_equal(world->allocations, allocations);
}

/* ---- Stacks ----------------------------------------------------------------------------------------------------- */

/* Uses about bytes of stack, and checks them across a yield. */
static uint64_t use_stack(struct dm_sched *sched, size_t bytes) {
    volatile uint8_t block[1024];
    uint64_t sum = 0;

    for (size_t i = 0; i < sizeof block; i++) {
        block[i] = (uint8_t)(bytes / sizeof block);
    }
    if (bytes > sizeof block) {
        sum = use_stack(sched, bytes - sizeof block);
    } else {
        dm_coro_sleep(sched, 0);
    }
    for (size_t i = 0; i < sizeof block; i++) {
        sum += block[i] == (uint8_t)(bytes / sizeof block);
    }
    return sum;
}

static void use_48_kib(void *argument) {
    struct world *world = argument;

    world->counter += use_stack(world->sched, 48 * 1024);
}

static void deep_stacks_keep_their_contents_across_switches(void **state) {
    struct world *world = *state;

    for (int i = 0; i < 40; i++) {
        spawn(world, use_48_kib, world);
    }
    run_until_idle(world);
    assert_int_equal(world->counter, 40 * 48 * 1024);
}

static void check_alignment(void *argument) {
    volatile _Alignas(16) uint8_t aligned[16] = {0};
    uintptr_t address = (uintptr_t)aligned;

    __asm__ volatile("" : "+r"(address)); /* the compiler would take the alignment for granted */
    *(uint64_t *)argument += address % 16 == 0;
}

static void stacks_start_aligned_as_the_abi_asks(void **state) {
    struct world *world = *state;

    for (int i = 0; i < 20; i++) {
        spawn(world, check_alignment, &world->counter);
    }
    assert_int_equal(world->counter, 20);
}

static void use_too_much(void *argument) { use_stack(((struct world *)argument)->sched, 64 * 1024 * 1024); }

static void a_stack_overflow_hits_the_guard_page_and_kills(void **state) {
    struct world *world = *state;
    struct task task = {world, 'a', 0};

    spawn(world, mark_yield_mark, &task); /* the stack below, which must not be hit instead */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGSEGV, SIG_DFL);
        if (dm_sched_spawn(world->sched, use_too_much, world) != DM_OK) {
            _exit(2);
        }
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    run_until_idle(world);
}

/* ---- Registers -------------------------------------------------------------------------------------------------- */

/* More live values across a switch than there are callee-saved registers, integers and doubles. */
static void hold_registers(void *argument) {
    struct task *task = argument;
    struct dm_sched *sched = task->world->sched;
    uint64_t seed = task->delay_ns;
    uint64_t a = seed * 3, b = seed * 5, c = seed * 7, d = seed * 11, e = seed * 13, f = seed * 17, g = seed * 19;
    double p = (double)seed / 3, q = (double)seed / 5, r = (double)seed / 7, s = (double)seed / 11;
    double t = (double)seed / 13, u = (double)seed / 17, v = (double)seed / 19, w = (double)seed / 23;

    for (int i = 0; i < 100; i++) {
        dm_coro_sleep(sched, 0);
        a += 1, b += 2, c += 3, d += 4, e += 5, f += 6, g += 7;
        p += 1, q += 2, r += 3, s += 4, t += 5, u += 6, v += 7, w += 8;
    }
    assert_int_equal(a + b + c + d + e + f + g, seed * 75 + 2800);
    double sum = p + q + r + s + t + u + v + w - 3600;
    double expected =
        (double)seed * (1 / 3.0 + 1 / 5.0 + 1 / 7.0 + 1 / 11.0 + 1 / 13.0 + 1 / 17.0 + 1 / 19.0 + 1 / 23.0);
    assert_true(sum - expected < 1e-6 && expected - sum < 1e-6);
    task->world->counter++;
}

static void integers_and_doubles_in_registers_survive_switches(void **state) {
    struct world *world = *state;
    struct task tasks[20];

    for (uint64_t i = 0; i < 20; i++) {
        tasks[i] = (struct task){world, 0, i * 1000003};
        spawn(world, hold_registers, &tasks[i]);
    }
    run_until_idle(world);
    assert_int_equal(world->counter, 20);
}

#if defined(__x86_64__) || defined(__aarch64__)
/* Fills every callee-saved register that C code may use here, parks, and counts those that came back changed. */
static uint64_t switch_with_full_registers(struct dm_sched *sched, uint64_t fill) {
    uint64_t wrong = 0;
#if defined(__x86_64__)
    register uint64_t rbx __asm__("rbx") = fill ^ 1;
    register uint64_t r12 __asm__("r12") = fill ^ 2;
    register uint64_t r13 __asm__("r13") = fill ^ 3;
    register uint64_t r14 __asm__("r14") = fill ^ 4;
    register uint64_t r15 __asm__("r15") = fill ^ 5;
    __asm__ volatile("" : "+r"(rbx), "+r"(r12), "+r"(r13), "+r"(r14), "+r"(r15));
    dm_coro_sleep(sched, 0);
    __asm__ volatile("" : "+r"(rbx), "+r"(r12), "+r"(r13), "+r"(r14), "+r"(r15));
    wrong +=
        (rbx != (fill ^ 1)) + (r12 != (fill ^ 2)) + (r13 != (fill ^ 3)) + (r14 != (fill ^ 4)) + (r15 != (fill ^ 5));
#else
    register uint64_t x20 __asm__("x20") = fill ^ 1;
    register uint64_t x24 __asm__("x24") = fill ^ 2;
    register uint64_t x27 __asm__("x27") = fill ^ 3;
    register uint64_t x28 __asm__("x28") = fill ^ 4;
    register double d8 __asm__("d8") = (double)fill;
    register double d15 __asm__("d15") = (double)fill + 1;
    __asm__ volatile("" : "+r"(x20), "+r"(x24), "+r"(x27), "+r"(x28), "+w"(d8), "+w"(d15));
    dm_coro_sleep(sched, 0);
    __asm__ volatile("" : "+r"(x20), "+r"(x24), "+r"(x27), "+r"(x28), "+w"(d8), "+w"(d15));
    wrong += (x20 != (fill ^ 1)) + (x24 != (fill ^ 2)) + (x27 != (fill ^ 3)) + (x28 != (fill ^ 4));
    wrong += (d8 != (double)fill) + (d15 != (double)fill + 1);
#endif
    return wrong;
}

static void hold_named_registers(void *argument) {
    struct task *task = argument;

    for (int i = 0; i < 10; i++) {
        assert_int_equal(switch_with_full_registers(task->world->sched, task->delay_ns << 8), 0);
    }
    task->world->counter++;
}

static void named_callee_saved_registers_survive_switches(void **state) {
    struct world *world = *state;
    struct task tasks[5];

    for (uint64_t i = 0; i < 5; i++) {
        tasks[i] = (struct task){world, 0, i + 1};
        spawn(world, hold_named_registers, &tasks[i]);
    }
    run_until_idle(world);
    assert_int_equal(world->counter, 5);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(spawn_runs_at_once_and_ready_ones_resume_first_in_first_out, setup, teardown),
        cmocka_unit_test_setup_teardown(what_becomes_ready_during_a_run_waits_for_the_next_run, setup, teardown),
        cmocka_unit_test_setup_teardown(spawn_inside_a_coroutine_returns_to_it_when_the_new_one_stops, setup, teardown),
        cmocka_unit_test_setup_teardown(a_thousand_coroutines_can_nest, setup, teardown),
        cmocka_unit_test_setup_teardown(a_parked_coroutine_runs_only_after_a_wake_and_in_the_next_run, setup, teardown),
        cmocka_unit_test_setup_teardown(one_coroutine_can_wake_another, setup, teardown),
        cmocka_unit_test_setup_teardown(sleepers_wake_in_order_of_time_and_then_of_entry, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sleep_for_ever_does_not_overflow_into_the_past, setup, teardown),
        cmocka_unit_test(timers_come_out_sorted_whatever_the_order_in),
        cmocka_unit_test_setup_teardown(spawn_beyond_the_limit_is_busy_and_calls_nothing, setup_small, teardown),
        cmocka_unit_test_setup_teardown(the_default_limit_of_coroutines_can_be_alive_at_once, setup, teardown),
        cmocka_unit_test(configurations_out_of_range_are_refused),
        cmocka_unit_test_setup_teardown(reuse_needs_neither_allocation_nor_another_stack, setup, teardown),
        cmocka_unit_test_setup_teardown(deep_stacks_keep_their_contents_across_switches, setup, teardown),
        cmocka_unit_test_setup_teardown(stacks_start_aligned_as_the_abi_asks, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stack_overflow_hits_the_guard_page_and_kills, setup, teardown),
        cmocka_unit_test_setup_teardown(integers_and_doubles_in_registers_survive_switches, setup, teardown),
        cmocka_unit_test_setup_teardown(named_callee_saved_registers_survive_switches, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
