/* crash_action.c: see crash_action.h. */
#include "crash_action.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "fusee/allocator.h"
#include "fusee/session.h"
#include "pool_check.h"

#define OTHER_MS_MAX 1000u
#define ROUNDS_NS (150 * MS) /* of fake time, for a repair to end the open rounds */

static struct world *world_of(struct action_run *run) { return run->crash->world; }

static void begin_call(struct action_run *run, enum call_kind kind, const char *value) {
    run->call = trap_call(&run->crash->trap, run->s, kind, "k", value);
    trap_begin(&run->crash->trap, &run->call);
}

static void put(struct action_run *run, uint32_t s, const char *value) {
    assert_int_equal(world_put(world_of(run), s, "k", value), DM_OK);
}

/* ---- Keys ------------------------------------------------------------------------------------------------------- */

static void begin_set_new(struct action_run *run) { begin_call(run, CALL_PUT, "new"); }

static void begin_setnx(struct action_run *run) { begin_call(run, CALL_SETNX, "new"); }

/* From a copy of its own word: a guess. */
static void begin_set_own(struct action_run *run) {
    put(run, run->s, "old");
    begin_call(run, CALL_PUT, "new");
}

/* The word of another client, whose object is freed in another's block. */
static void begin_set_others(struct action_run *run) {
    put(run, X, "old");
    begin_call(run, CALL_PUT, "new");
}

static void begin_incr(struct action_run *run) {
    put(run, X, "5");
    begin_call(run, CALL_INCR, NULL);
}

static void begin_delete(struct action_run *run) {
    put(run, X, "old");
    begin_call(run, CALL_DELETE, NULL);
}

/* The second round of a DELETE. */
static void begin_clear(struct action_run *run) {
    put(run, X, "old");
    assert_int_equal(world_delete(world_of(run), run->s, "k"), DM_OK);
    begin_call(run, CALL_JOBS, NULL);
}

static void begin_expiry(struct action_run *run) {
    struct call old = trap_call(&run->crash->trap, X, CALL_PUT, "k", "old");
    old.write.expire_ms = world_of(run)->fake.wall_ms + 10;
    call_begin(&old);
    call_finish(&old);
    world_of(run)->fake.wall_ms += 20;
    world_expect(world_of(run), run->s, "k", NULL); /* which owes the key's removal now */
    begin_call(run, CALL_JOBS, NULL);
}

static void begin_set_on_tombstone(struct action_run *run) {
    put(run, X, "old");
    assert_int_equal(world_delete(world_of(run), X, "k"), DM_OK);
    begin_call(run, CALL_PUT, "new");
}

/* Another's insert of the same key stands in another slot, and it has not been checked: this one is taken back. */
static void begin_abort(struct action_run *run) {
    struct trap *trap = &run->crash->trap;
    run->other = trap_call(trap, X, CALL_PUT, "k", "old");
    char rival[16];
    trap_rival(trap, "k", rival);
    assert_int_equal(world_put(trap->world, V, rival, "1"), DM_OK);
    trap_begin_round(trap, &run->other);
    assert_int_equal(world_delete(trap->world, V, rival), DM_OK);
    world_jobs(trap->world, V);
    gate_apply_node(trap_session(trap, X), trap->replicas == 1 ? P : B1);
    begin_call(run, CALL_PUT, "new");
}

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

/* The first object of a class: a grant, the head of the log, and the insert. */
static void begin_grant(struct action_run *run) {
    static char large[3000];
    memset(large, 'x', sizeof large - 1);
    begin_call(run, CALL_PUT, large);
}

struct memory_call {
    struct action_run *run;
    enum dm_status (*fn)(struct dm_session *session);
};

static void memory_coroutine(void *argument) {
    struct action_run *run = argument;
    struct dm_session *session = world_of(run)->session[run->s];
    if (strcmp(run->action->name, "marks in free maps") == 0) {
        run->call.status = allocator_maintain(session);
    } else {
        run->call.status = allocator_close(session);
    }
    run->ended = true;
}

static void begin_memory(struct action_run *run) {
    gate_close(world_of(run)->session[run->s]);
    assert_int_equal(dm_sched_spawn(world_of(run)->sched[run->s], memory_coroutine, run), DM_OK);
}

/* Objects of others that this client has replaced are marked in their blocks. */
static void begin_marks(struct action_run *run) {
    static const char *const names[] = {"k", "l", "m", "n"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(world_put(world_of(run), i % 2 == 0 ? X : V, names[i], "old"), DM_OK);
        assert_int_equal(world_put(world_of(run), run->s, names[i], "old"), DM_OK);
    }
    begin_memory(run);
}

/* A client that leaves: an empty block becomes free, one with data an orphan, what was freed is marked. */
static void begin_release(struct action_run *run) {
    put(run, run->s, "old");
    static char large[3000];
    memset(large, 'x', sizeof large - 1);
    assert_int_equal(world_put(world_of(run), run->s, "large", large), DM_OK);
    assert_int_equal(world_delete(world_of(run), run->s, "large"), DM_OK);
    world_jobs(world_of(run), run->s);
    begin_memory(run);
}

const struct crash_action crash_actions[] = {
    {"SET of a new key", begin_set_new, NULL, "new"},
    {"SETNX", begin_setnx, NULL, "new"},
    {"SET of a known key", begin_set_own, "old", "new"},
    {"SET of another client's", begin_set_others, "old", "new"},
    {"INCR", begin_incr, "5", "6"},
    {"DEL", begin_delete, "old", NULL},
    {"clear", begin_clear, NULL, NULL},
    {"expiry", begin_expiry, NULL, NULL},
    {"SET on a tombstone", begin_set_on_tombstone, NULL, "new"},
    {"abort of an insert", begin_abort, "old", "new"},
    {"grant of a block", begin_grant, NULL, "x"},
    {"marks in free maps", begin_marks, "old", "old"},
    {"release of blocks", begin_release, "old", "old"},
};
const uint32_t crash_action_count = sizeof crash_actions / sizeof crash_actions[0];

/* ---- Running ---------------------------------------------------------------------------------------------------- */

void action_begin(struct action_run *run, const struct crash_action *action, struct crash *crash, uint32_t s) {
    *run = (struct action_run){.action = action, .crash = crash, .s = s};
    action->begin(run);
}

/* The other client's operation ends, too. */
static void end_other(struct action_run *run) {
    if (run->other.world != NULL && !run->other.ended) {
        gate_open(world_of(run)->session[run->other.s]);
        for (uint32_t ms = 0; ms < OTHER_MS_MAX && !run->other.ended; ms++) {
            world_poll(world_of(run), MS); /* not world_run: a repair that waits for the epoch waits for ticks */
        }
        assert_true(run->other.ended);
        assert_int_equal(run->other.status, DM_OK);
    }
}

void action_repair(struct action_run *run, uint32_t s) {
    struct repair_call repair;
    repair_begin(&repair, run->crash, s);
    if (run->other.world != NULL) {
        world_poll(world_of(run), ROUNDS_NS);
        end_other(run);
    }
    repair_finish(&repair);
}

static bool is_value(const struct call *seen, const char *value) {
    if (value == NULL) {
        return seen->status == DM_NOT_FOUND;
    }
    return seen->status == DM_OK && strncmp(seen->value, value, strlen(value)) == 0;
}

void action_check(struct action_run *run) {
    struct world *world = world_of(run);
    const struct crash_action *action = run->action;
    struct census census = check_at_rest(world);
    assert_int_equal(census.tombstones, 0);
    assert_int_equal(census.provisional, 0);
    struct call seen = call_run(world, V, CALL_GET, "k", NULL);
    bool acknowledged = run->call.ended && run->call.status == DM_OK && run->other.world == NULL;
    if (!is_value(&seen, action->after) && (acknowledged || !is_value(&seen, action->before))) {
        fail_msg("%s: \"k\" is %s \"%s\"", action->name, dm_status_text(seen.status), seen.value);
    }
    uint64_t began_ns = world->fake.now_ns;
    assert_int_equal(world_put(world, V, "k", "later"), DM_OK);
    assert_int_equal(world_put(world, W, "k", "last"), DM_OK);
    assert_int_equal(world_put(world, V, "another", "1"), DM_OK);
    assert_true(world->fake.now_ns - began_ns < 1000 * MS);
    world_expect(world, X, "k", "last");
}

void action_abandon(struct action_run *run) {
    struct world *world = world_of(run);
    gate_open(world->session[run->s]);
    end_other(run);
    world_run(world);
    if (run->action->begin == begin_release) { /* it has nothing any more, and does nothing but leave */
        crash_kill(run->crash, run->s);
        repair_all(run->crash, W);
    }
}
