/* test_interleavings.c: the real engine under random orders of single verbs: a few clients, one or two keys, every
 * history checked for linearizability, the pool checked at rest. Seeds are printed when one fails. What the fixed
 * interleavings of test_traps*.c do not foresee is looked for here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gate.h"
#include "pool_check.h"
#include "provider.h"
#include "trap.h"

#define CLIENTS 3u
#define OPERATIONS_MAX 8u
#define SEEDS 40u       /* of each program */
#define SEEDS_LONG 400u /* with LONG=1 in the environment */
#define ABSENT INT64_C(-1)

/* ---- Histories of one key --------------------------------------------------------------------------------------- */

struct event {
    enum call_kind kind;
    int64_t argument; /* PUT, SETNX */
    int64_t result;   /* value seen (ABSENT); INCR: the new one; DELETE: 1 or 0 */
    uint64_t begin, end;
};

/* Applies an event to a value; false when it cannot have given its result. */
static bool event_apply(const struct event *event, int64_t *value) {
    int64_t old = *value;
    switch (event->kind) {
    case CALL_GET:
        return event->result == old;
    case CALL_PUT:
        *value = event->argument;
        return true;
    case CALL_DELETE:
        *value = ABSENT;
        return event->result == (old != ABSENT);
    case CALL_INCR:
        *value = (old == ABSENT ? 0 : old) + 1;
        return event->result == *value;
    case CALL_SETNX:
        *value = old == ABSENT ? event->argument : old;
        return event->result == old;
    default: /* GETDEL */
        *value = ABSENT;
        return event->result == old;
    }
}

/* Is there an order that respects time and gives these results? (Few events: plain search.) */
static bool linearizable(const struct event *events, uint32_t count, uint32_t done, int64_t value) {
    if (done == (1u << count) - 1) {
        return true;
    }
    uint64_t first_end = UINT64_MAX;
    for (uint32_t i = 0; i < count; i++) {
        if ((done >> i & 1) == 0 && events[i].end < first_end) {
            first_end = events[i].end;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        int64_t next = value;
        if ((done >> i & 1) == 0 && events[i].begin <= first_end && event_apply(&events[i], &next) &&
            linearizable(events, count, done | 1u << i, next)) {
            return true;
        }
    }
    return false;
}

static void the_checker_tells_right_from_wrong(void **state) {
    (void)state;
    const struct event right[] = {{CALL_PUT, 5, 0, 1, 9}, {CALL_GET, 0, ABSENT, 2, 3}, {CALL_GET, 0, 5, 4, 5}};
    const struct event back[] = {{CALL_PUT, 5, 0, 1, 9}, {CALL_GET, 0, 5, 2, 3}, {CALL_GET, 0, ABSENT, 4, 5}};
    const struct event twice[] = {{CALL_INCR, 0, 1, 1, 9}, {CALL_INCR, 0, 1, 2, 8}};
    const struct event lost[] = {{CALL_PUT, 5, 0, 1, 2}, {CALL_GET, 0, ABSENT, 3, 4}};
    assert_true(linearizable(right, 3, 0, ABSENT));
    assert_false(linearizable(back, 3, 0, ABSENT));
    assert_false(linearizable(twice, 2, 0, ABSENT));
    assert_false(linearizable(lost, 2, 0, ABSENT));
}

/* ---- Runs ------------------------------------------------------------------------------------------------------- */

struct program {
    const char *name;
    enum call_kind kinds[CLIENTS][2]; /* what each client does, one after the other */
    bool present;                     /* the key is there before, with value 40 */
    bool two_slots;                   /* client U's first operation waits with its insert in another slot */
};

static const struct program programs[] = {
    {"SET SET GET", {{CALL_PUT, CALL_GET}, {CALL_PUT, CALL_GET}, {CALL_GET, CALL_GET}}, true, false},
    {"SET INCR GET", {{CALL_PUT, CALL_GET}, {CALL_INCR, CALL_GET}, {CALL_INCR, CALL_PUT}}, true, false},
    {"SET DEL", {{CALL_PUT, CALL_DELETE}, {CALL_DELETE, CALL_PUT}, {CALL_GET, CALL_GET}}, true, false},
    {"SET GETDEL", {{CALL_PUT, CALL_GET}, {CALL_GETDEL, CALL_GET}, {CALL_PUT, CALL_GETDEL}}, true, false},
    {"new SET SET SET", {{CALL_PUT, CALL_GET}, {CALL_PUT, CALL_GET}, {CALL_PUT, CALL_GET}}, false, false},
    {"new SETNX", {{CALL_SETNX, CALL_GET}, {CALL_SETNX, CALL_DELETE}, {CALL_SETNX, CALL_GET}}, false, false},
    {"new INCR DEL", {{CALL_INCR, CALL_DELETE}, {CALL_INCR, CALL_INCR}, {CALL_DELETE, CALL_GET}}, false, false},
    {"two slots SET", {{CALL_PUT, CALL_GET}, {CALL_PUT, CALL_DELETE}, {CALL_GET, CALL_GET}}, false, true},
    {"two slots SETNX DEL",
     {{CALL_SETNX, CALL_GET}, {CALL_SETNX, CALL_DELETE}, {CALL_DELETE, CALL_SETNX}},
     false,
     true},
    {"two slots INCR", {{CALL_INCR, CALL_GET}, {CALL_INCR, CALL_DELETE}, {CALL_INCR, CALL_PUT}}, false, true},
};

struct run {
    struct trap trap;
    const struct program *program;
    struct event events[OPERATIONS_MAX];
    struct call calls[OPERATIONS_MAX];
    char values[OPERATIONS_MAX][8];
    int current[CLIENTS]; /* index of the call that runs, -1: none */
    uint32_t next[CLIENTS];
    uint32_t count;
    uint64_t clock;
    uint64_t random;
    bool clearing[CLIENTS]; /* its current call is CALL_JOBS, which is in no history */
    struct call clears[CLIENTS];
};

static uint32_t chance(struct run *run, uint32_t below) {
    run->random = run->random * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(run->random >> 33) % below;
}

static void start_next(struct run *run, uint32_t s) {
    if (run->next[s] > 0 && !run->clearing[s] && chance(run, 2) == 0) { /* a tombstone is cleared in between */
        run->clearing[s] = true;
        run->clears[s] = trap_call(&run->trap, s, CALL_JOBS, NULL, NULL);
        trap_begin(&run->trap, &run->clears[s]);
        return;
    }
    run->clearing[s] = false;
    uint32_t i = run->count++;
    enum call_kind kind = run->program->kinds[s][run->next[s]++];
    snprintf(run->values[i], sizeof run->values[i], "%u", 100 * (i + 1));
    run->calls[i] = trap_call(&run->trap, s, kind, "k", run->values[i]);
    run->events[i] = (struct event){.kind = kind, .argument = 100 * (i + 1), .begin = ++run->clock, .end = UINT64_MAX};
    run->current[s] = (int)i;
    trap_begin(&run->trap, &run->calls[i]);
}

static int64_t number_seen(const struct call *call) { return call->found ? strtoll(call->value, NULL, 10) : ABSENT; }

static void note_end(struct run *run, uint32_t s) {
    const struct call *call = &run->calls[run->current[s]];
    struct event *event = &run->events[run->current[s]];
    event->end = ++run->clock;
    bool absent = (call->kind == CALL_GET || call->kind == CALL_DELETE) && call->status == DM_NOT_FOUND;
    if (call->status != DM_OK && !absent) {
        fail_msg("status %d", call->status);
    }
    event->result = call->kind == CALL_INCR ? call->number : call->kind == CALL_DELETE ? !absent : number_seen(call);
    run->current[s] = -1;
}

/* One verb, or the end of a batch, or the start of an operation; false when all is done. */
static bool step(struct run *run) {
    uint32_t s = chance(run, CLIENTS);
    for (uint32_t i = 0; i < CLIENTS; i++, s = (s + 1) % CLIENTS) {
        struct dm_session *session = trap_session(&run->trap, s);
        if (run->current[s] >= 0 && run->calls[run->current[s]].ended) {
            note_end(run, s);
        }
        if (run->clearing[s] && !run->clears[s].ended) {
            /* as any other */
        } else if (run->current[s] < 0) {
            if (run->next[s] == 2) {
                continue;
            }
            start_next(run, s);
            return true;
        }
        if (gate_batch(session) != NULL) {
            if (!gate_apply_next(session, (uint16_t)chance(run, run->trap.replicas)) || chance(run, 4) == 0) {
                gate_pass(session);
            }
            return true;
        }
    }
    return false;
}

static void one_run(const struct program *program, uint32_t replicas, uint32_t seed) {
    static struct run run;
    memset(&run, 0, sizeof run);
    run.trap = trap_open(replicas);
    run.program = program;
    run.random = seed;
    for (uint32_t s = 0; s < CLIENTS; s++) {
        run.current[s] = -1;
    }
    if (program->present) {
        assert_int_equal(world_put(run.trap.world, X, "k", "40"), DM_OK);
        for (uint32_t s = 0; s < CLIENTS; s++) {
            if (chance(&run, 2) == 0) {
                world_expect(run.trap.world, s, "k", "40"); /* some know the slot, some do not */
            }
        }
    }
    if (program->two_slots) {
        char rival[16];
        trap_rival(&run.trap, "k", rival);
        assert_int_equal(world_put(run.trap.world, X, rival, "1"), DM_OK);
        start_next(&run, U);
        gate_pass_to_cas(trap_session(&run.trap, U));
        assert_int_equal(world_delete(run.trap.world, X, rival), DM_OK);
        world_jobs(run.trap.world, X);
    }
    for (uint32_t steps = 0; step(&run); steps++) {
        trap_one_live(&run.trap, "k");
        assert_true(steps < 100000);
    }
    assert_int_equal(run.count, CLIENTS * 2);
    if (!linearizable(run.events, run.count, 0, program->present ? 40 : ABSENT)) {
        for (uint32_t i = 0; i < run.count; i++) {
            const struct event *event = &run.events[i];
            printf("  session %u: kind %d, argument %lld, result %lld, from %llu to %llu\n", run.calls[i].s,
                   event->kind, (long long)event->argument, (long long)event->result, (unsigned long long)event->begin,
                   (unsigned long long)event->end);
        }
        fail_msg("not linearizable: %s, r = %u, seed %u", program->name, replicas, seed);
    }
    trap_close(&run.trap);
}

static void run_all(uint32_t replicas) {
    const char *at_length = getenv("LONG");
    uint32_t seeds = at_length != NULL && strcmp(at_length, "1") == 0 ? SEEDS_LONG : SEEDS;
    if (provider_is_remote()) { /* a world takes long to open */
        seeds = (seeds + provider_slowness() - 1) / provider_slowness();
    }
    for (size_t p = 0; p < sizeof programs / sizeof programs[0]; p++) {
        for (uint32_t seed = 1; seed <= seeds; seed++) {
            one_run(&programs[p], replicas, seed);
        }
    }
}

static void every_history_is_linearizable_with_one_replica(void **state) {
    (void)state;
    run_all(1);
}

static void every_history_is_linearizable_with_two_replicas(void **state) {
    (void)state;
    run_all(2);
}

static void every_history_is_linearizable_with_three_replicas(void **state) {
    (void)state;
    run_all(3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checker_tells_right_from_wrong),
        cmocka_unit_test(every_history_is_linearizable_with_one_replica),
        cmocka_unit_test(every_history_is_linearizable_with_two_replicas),
        cmocka_unit_test(every_history_is_linearizable_with_three_replicas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
