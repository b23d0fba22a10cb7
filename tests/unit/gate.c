/* gate.c: see gate.h. */
#include "gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "coro/coro.h"
#include "fusee/session.h"

struct gate_wait {
    struct gate_wait *next;
    struct dm_batch *batch;
    struct dm_coro *coro;
    uint64_t applied; /* a bit an operation */
};

struct gate_endpoint {
    struct dm_endpoint head;
    struct dm_endpoint *inner;
    bool closed, dead;
    uint32_t cut; /* batches that fail; UINT32_MAX: all */
    struct gate_wait *first;
    uint32_t waiting;
};

struct gate_fabric {
    struct dm_fabric head;
    struct dm_fabric *inner;
    struct fake_env *fake;
    uint64_t unordered;
    uint64_t lost; /* a bit a node */
};

static struct gate_endpoint *gate_of(const struct dm_session *session) {
    return (struct gate_endpoint *)session->endpoint;
}

static void apply(struct gate_endpoint *gate, struct dm_op *op) {
    struct dm_batch one;
    dm_batch_init(&one, NULL);
    one.count = 1;
    one.ops[0] = *op;
    dm_fabric_execute(gate->inner, &one);
    *op = one.ops[0];
}

static void watch(struct gate_fabric *fabric, const struct dm_batch *batch) {
    uint64_t read_seen = 0; /* a bit a node */
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct dm_op *op = &batch->ops[i];
        if (op->kind == DM_OP_READ) {
            read_seen |= UINT64_C(1) << op->node;
        } else if ((read_seen >> op->node & 1) != 0 && (op->flags & DM_OP_FENCE) == 0) {
            fabric->unordered++;
        }
    }
}

static void flush(struct gate_wait *wait) {
    for (uint32_t i = 0; i < wait->batch->count; i++) {
        if ((wait->applied >> i & 1) == 0) {
            wait->batch->ops[i].status = DM_OP_FLUSHED;
        }
    }
    wait->batch->failed = wait->batch->count;
}

/* What is for other nodes happens. */
static void execute_without_lost(struct gate_endpoint *gate, uint64_t lost, struct dm_batch *batch) {
    for (uint32_t i = 0; i < batch->count; i++) {
        if ((lost >> batch->ops[i].node & 1) != 0) {
            batch->ops[i].status = DM_OP_FAILED;
            batch->failed++;
        } else {
            apply(gate, &batch->ops[i]);
        }
    }
}

static void gate_execute(struct dm_endpoint *base, struct dm_batch *batch) {
    struct gate_endpoint *gate = (struct gate_endpoint *)base;
    struct gate_wait wait = {.batch = batch};
    batch->failed = 0;
    dm_batch_count(base, batch);
    watch((struct gate_fabric *)base->fabric, batch);
    if (gate->dead || gate->cut != 0) {
        gate->cut -= gate->cut != 0 && gate->cut != UINT32_MAX;
        flush(&wait);
        return;
    }
    uint64_t lost = ((struct gate_fabric *)base->fabric)->lost;
    if (!gate->closed && lost != 0) {
        execute_without_lost(gate, lost, batch);
        return;
    }
    if (!gate->closed) {
        struct dm_cost *account = batch->account;
        batch->account = NULL;
        dm_fabric_execute(gate->inner, batch);
        batch->account = account;
        return;
    }
    struct gate_wait **last = &gate->first;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = &wait;
    gate->waiting++;
    wait.coro = dm_coro_self(base->sched);
    dm_coro_park(base->sched);
}

static enum dm_status gate_endpoint_open(struct dm_fabric *base, struct dm_sched *sched, struct dm_endpoint **out) {
    struct gate_fabric *fabric = (struct gate_fabric *)base;
    struct gate_endpoint *gate = base->env->allocate(base->env->context, sizeof *gate);
    assert_non_null(gate);
    gate->head.fabric = base;
    gate->head.sched = sched;
    *out = &gate->head;
    return fabric->inner->ops->endpoint_open(fabric->inner, NULL, &gate->inner); /* batches end inside execute */
}

static void gate_endpoint_close(struct dm_endpoint *base) {
    struct gate_endpoint *gate = (struct gate_endpoint *)base;
    gate->inner->fabric->ops->endpoint_close(gate->inner);
    base->fabric->env->release(base->fabric->env->context, gate);
}

static void *gate_endpoint_memory(struct dm_endpoint *base, size_t bytes) {
    struct gate_endpoint *gate = (struct gate_endpoint *)base;
    return gate->inner->fabric->ops->endpoint_memory(gate->inner, bytes);
}

static size_t gate_poll(struct dm_endpoint *base) {
    (void)base; /* a test lets go, not a poll */
    return 0;
}

static uint32_t gate_pending(const struct dm_endpoint *base) {
    (void)base;
    return 0;
}

static void gate_fabric_close(struct dm_fabric *base) {
    const struct dm_env *env = base->env;
    dm_fabric_close(((struct gate_fabric *)base)->inner);
    env->release(env->context, base);
}

static const struct dm_fabric_ops gate_ops = {
    .name = "gate",
    .endpoint_open = gate_endpoint_open,
    .endpoint_close = gate_endpoint_close,
    .endpoint_memory = gate_endpoint_memory,
    .execute = gate_execute,
    .poll = gate_poll,
    .pending = gate_pending,
    .close = gate_fabric_close,
};

struct dm_fabric *gate_fabric_open(struct dm_fabric *inner, struct fake_env *fake) {
    struct gate_fabric *fabric = fake->env.allocate(fake->env.context, sizeof *fabric);
    assert_non_null(fabric);
    fabric->head = *inner;
    fabric->head.ops = &gate_ops;
    fabric->head.env = &fake->env;
    fabric->inner = inner;
    fabric->fake = fake;
    return &fabric->head;
}

uint64_t gate_unordered(const struct dm_fabric *fabric) { return ((const struct gate_fabric *)fabric)->unordered; }

/* ---- The test's side -------------------------------------------------------------------------------------------- */

struct dm_session *gate_stand_in(struct dm_endpoint *endpoint) {
    struct dm_session *session = calloc(1, sizeof *session);
    assert_non_null(session);
    session->endpoint = endpoint;
    session->sched = endpoint->sched;
    return session;
}

void gate_lose_node(struct dm_fabric *fabric, uint32_t node) {
    ((struct gate_fabric *)fabric)->lost |= UINT64_C(1) << node;
}

void gate_close(struct dm_session *session) { gate_of(session)->closed = true; }

struct dm_batch *gate_batch(const struct dm_session *session) {
    struct gate_wait *wait = gate_of(session)->first;
    return wait == NULL ? NULL : wait->batch;
}

uint32_t gate_waiting(const struct dm_session *session) { return gate_of(session)->waiting; }

static struct gate_wait *oldest(const struct dm_session *session) {
    struct gate_wait *wait = gate_of(session)->first;
    if (wait == NULL) {
        fail_msg("no batch waits at the gate");
    }
    return wait;
}

void gate_rotate(struct dm_session *session) {
    struct gate_wait *wait = oldest(session);
    struct gate_wait **last = &gate_of(session)->first;
    *last = wait->next;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    wait->next = NULL;
    *last = wait;
}

void gate_apply(struct dm_session *session, uint32_t index) {
    struct gate_wait *wait = oldest(session);
    assert_true(index < wait->batch->count);
    for (uint32_t i = 0; i < index; i++) {
        assert_true(wait->batch->ops[i].node != wait->batch->ops[index].node || (wait->applied >> i & 1) != 0);
    }
    if ((wait->applied >> index & 1) == 0) {
        wait->applied |= UINT64_C(1) << index;
        apply(gate_of(session), &wait->batch->ops[index]);
    }
}

bool gate_apply_next(struct dm_session *session, uint16_t node) {
    struct gate_wait *wait = oldest(session);
    for (uint32_t i = 0; i < wait->batch->count; i++) {
        if (wait->batch->ops[i].node == node && (wait->applied >> i & 1) == 0) {
            gate_apply(session, i);
            return true;
        }
    }
    return false;
}

void gate_apply_node(struct dm_session *session, uint16_t node) {
    while (gate_apply_next(session, node)) {
    }
}

void gate_apply_kind(struct dm_session *session, uint16_t node, enum dm_op_kind kind) {
    struct dm_batch *batch = oldest(session)->batch;
    for (uint32_t i = 0; i < batch->count; i++) {
        if (batch->ops[i].node == node && batch->ops[i].kind == kind) {
            gate_apply(session, i);
        }
    }
}

/* The oldest batch has ended: its coroutine is ready. */
static void let_go(struct dm_session *session) {
    struct gate_endpoint *gate = gate_of(session);
    struct gate_wait *wait = gate->first;
    gate->first = wait->next;
    gate->waiting--;
    dm_coro_wake(wait->coro);
}

static void finish(struct dm_session *session) {
    struct gate_wait *wait = oldest(session);
    for (uint32_t i = 0; i < wait->batch->count; i++) {
        gate_apply(session, i);
    }
    let_go(session);
}

void gate_pass(struct dm_session *session) {
    struct gate_endpoint *gate = gate_of(session);
    struct fake_env *fake = ((struct gate_fabric *)gate->head.fabric)->fake;
    uint32_t waiting = gate->waiting;
    finish(session);
    while (gate->waiting < waiting) {
        if (dm_sched_run(session->sched) == 0) {
            uint64_t next_ns = dm_sched_next_ns(session->sched);
            if (next_ns == UINT64_MAX || gate->waiting > 0) {
                return;
            }
            fake->now_ns += next_ns;
        }
    }
}

static bool holds_cas(const struct dm_batch *batch) {
    for (uint32_t i = 0; i < batch->count; i++) {
        if (batch->ops[i].kind == DM_OP_CAS) {
            return true;
        }
    }
    return false;
}

void gate_pass_to_cas(struct dm_session *session) {
    for (uint32_t i = 0; i < 100 && gate_batch(session) != NULL; i++) {
        if (holds_cas(gate_batch(session))) {
            return;
        }
        gate_pass(session);
    }
    fail_msg("no batch with a CAS comes");
}

uint32_t gate_pass_all(struct dm_session *session, uint32_t most) {
    uint32_t passed = 0;
    for (; passed < most && gate_batch(session) != NULL; passed++) {
        gate_pass(session);
    }
    return passed;
}

void gate_open(struct dm_session *session) {
    gate_of(session)->closed = false;
    while (gate_batch(session) != NULL) {
        finish(session);
    }
}

void gate_break(struct dm_session *session) {
    flush(oldest(session));
    let_go(session);
}

bool gate_break_at(struct dm_session *session, uint32_t nodes, uint32_t first, uint32_t places) {
    while (gate_batch(session) != NULL) {
        bool any = false;
        for (uint32_t n = 0; n < nodes && !any && places != 0; n++) {
            any = gate_apply_next(session, (uint16_t)((first + n) % nodes));
        }
        if (places == 0) {
            gate_break(session);
            return true;
        }
        if (any) {
            places--;
        } else {
            gate_pass(session);
        }
    }
    return false;
}

void gate_cut(struct dm_session *session, bool cut) { gate_of(session)->cut = cut ? UINT32_MAX : 0; }

void gate_cut_next(struct dm_session *session, uint32_t batches) { gate_of(session)->cut = batches; }

void gate_kill(struct dm_session *session) {
    struct gate_endpoint *gate = gate_of(session);
    gate->dead = true;
    session->watch.closing = true; /* it does not live to try again */
    while (gate->first != NULL) {
        flush(gate->first);
        let_go(session);
    }
    while (dm_sched_run(session->sched) != 0) {
    }
}
