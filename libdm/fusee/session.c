/* session.c: opening, closing and keeping house for a session. See dm.h and session.h. */
#include "fusee/session.h"

#include <stdio.h>
#include <string.h>

#include "fusee/allocator.h"
#include "fusee/block.h"
#include "fusee/epoch.h"
#include "fusee/job.h"
#include "fusee/open_round.h"
#include "fusee/recount.h"
#include "fusee/transaction.h"

#define TICK_NS UINT64_C(10000000)         /* while there is something to do */
#define FAILED_TICK_NS UINT64_C(200000000) /* while a node that it needs is gone */
#define IDLE_TICK_NS UINT64_C(1000000000)  /* otherwise: does anybody need memory? */
#define IDLE_AFTER_TICKS 10u
#define CLOSE_TICKS_MAX 50 /* the grace period and some */
#define CLAIM_TRIES 8

/* ---- Registration ---------------------------------------------------------------------------------------------- */

static uint64_t record_offset(const struct dm_session *session, uint32_t client) {
    return session->pool->layout.clients_offset + (uint64_t)client * LAYOUT_CLIENT_BYTES;
}

/* A registered client holds the seat of its number before its record and as long as that: a record with an owner and an
 * empty seat is a dead client's (fabric.h). */
static bool take_seat(struct dm_session *session, uint32_t client) {
    struct dm_fabric *fabric = session->pool->fabric;
    return fabric->ops->seat_take == NULL || fabric->ops->seat_take(fabric, client);
}

static void leave_seat(struct dm_fabric *fabric, uint32_t client) {
    if (fabric->ops->seat_leave != NULL) {
        fabric->ops->seat_leave(fabric, client);
    }
}

/* READs all owner words and returns the lowest free record whose seat is ours now, or UINT32_MAX. */
static uint32_t find_free_record(struct dm_session *session, struct dm_batch *batch, uint64_t *words) {
    uint32_t clients = session->pool->layout.super.clients;
    for (uint32_t from = 0; from < clients; from += DM_BATCH_OPS) {
        uint32_t count = clients - from < DM_BATCH_OPS ? clients - from : DM_BATCH_OPS;
        dm_batch_init(batch, NULL);
        for (uint32_t i = 0; i < count; i++) {
            dm_batch_read(batch, session->members.control[0], record_offset(session, from + i), &words[i],
                          sizeof words[i]);
        }
        session_execute(session, batch);
        for (uint32_t i = 0; i < count; i++) {
            if (batch->ops[i].status == DM_OP_DONE && words[i] == 0 && take_seat(session, from + i)) {
                return from + i;
            }
        }
    }
    return UINT32_MAX;
}

static enum dm_status cas_owner(struct dm_session *session, uint32_t client, uint64_t from, uint64_t to) {
    bool done;
    enum dm_status status = members_cas(session, record_offset(session, client), from, to, &done);
    return status != DM_OK ? status : done ? DM_OK : DM_BUSY;
}

/* Empties the record behind the owner word, and says whose it is. The owner word is written once more on the control
 * nodes that only follow: a client that has given the record up may not have got that far there. */
static enum dm_status reset_record(struct dm_session *session, uint8_t *memory) {
    const struct dm_fabric *fabric = session->pool->fabric;
    const struct client_record record = {
        .owner = session->client_nonce, .identity = fabric->identity, .host = fabric->host};
    memcpy(memory, &record, sizeof record);
    struct dm_batch batch;
    dm_batch_init(&batch, NULL);
    for (uint32_t c = 0; c < session->members.control_count; c++) {
        uint32_t from = c == 0 ? sizeof(uint64_t) : 0;
        dm_batch_write(&batch, session->members.control[c], record_offset(session, session->client) + from,
                       memory + from, LAYOUT_CLIENT_BYTES - from);
    }
    session_execute(session, &batch);
    session->enlisted = batch.failed == 0;
    return session->enlisted ? DM_OK : DM_UNREACHABLE;
}

static enum dm_status claim_client(struct dm_session *session, char *error, size_t error_bytes) {
    struct buffer *buffer = buffer_take(&session->buffers, LAYOUT_CLIENT_BYTES);
    if (buffer == NULL) {
        snprintf(error, error_bytes, "no memory for a session");
        return DM_BUSY;
    }
    struct dm_batch batch;
    enum dm_status status = DM_BUSY;
    session->client_nonce = session->env->random_u64(session->env->context) | 1;
    for (int i = 0; i < CLAIM_TRIES && status == DM_BUSY; i++) {
        uint32_t client = find_free_record(session, &batch, (uint64_t *)buffer->bytes);
        if (client == UINT32_MAX) {
            snprintf(error, error_bytes,
                     "all %u client records of the pool are taken: too many gateway workers, or gateways that died "
                     "without being repaired",
                     session->pool->layout.super.clients);
            break;
        }
        session->client = (uint16_t)client;
        session->seated = true;
        status = cas_owner(session, client, 0, session->client_nonce);
        if (status == DM_OK) {
            status = reset_record(session, buffer->bytes);
        } else if (status == DM_BUSY) {
            leave_seat(session->pool->fabric, client);
            session->seated = false;
        }
    }
    buffer_give(&session->buffers, buffer);
    return status;
}

struct opening {
    struct dm_session *session;
    char *error;
    size_t error_bytes;
    enum dm_status status;
    bool ended;
};

static void open_coroutine(void *argument) {
    struct opening *opening = argument;
    struct dm_session *session = opening->session;
    opening->status = members_look(session);
    if (opening->status == DM_OK && !members_wait(session)) {
        opening->status = DM_UNREACHABLE;
    }
    if (opening->status != DM_OK) {
        snprintf(opening->error, opening->error_bytes, "cannot open a session: %s", dm_status_text(opening->status));
        opening->ended = true;
        return;
    }
    opening->status = claim_client(session, opening->error, opening->error_bytes);
    if (opening->status == DM_OK) {
        opening->status = lease_begin(session);
    }
    if (opening->status == DM_OK) {
        opening->status = count_open(session);
    }
    if (opening->status == DM_OK) {
        opening->status = epoch_announce(session);
    }
    struct block_census census;
    if (opening->status == DM_OK) {
        opening->status = epoch_tick(session); /* how many clients are at work? */
    }
    if (opening->status == DM_OK) {
        opening->status = block_count(session, 0, &census);
    }
    opening->ended = true;
}

/* Waits, for a bounded time, until what was freed may be used again: then blocks without data go back as free. */
static void settle(struct dm_session *session) {
    for (int tick = 0; tick < CLOSE_TICKS_MAX && limbo_count(&session->limbo) != 0; tick++) {
        if (lease_hold(session, false) != DM_OK || epoch_tick(session) != DM_OK ||
            allocator_maintain(session) != DM_OK) {
            return;
        }
        dm_coro_sleep(session->sched, TICK_NS);
    }
}

static bool has_open_rounds(const struct dm_session *session) {
    return session->open_rounds != NULL || session->transactions != NULL;
}

/* Waits, for a bounded time, for the rounds and transactions that a failure left half done. */
static enum dm_status end_open_rounds(struct dm_session *session) {
    uint64_t deadline_ns = pool_clock_ns(session->pool) + CLOSE_TICKS_MAX * TICK_NS; /* a try may take long */
    while (has_open_rounds(session) && pool_clock_ns(session->pool) < deadline_ns) {
        open_round_run_all(session);
        transaction_run_left(session);
        dm_coro_sleep(session->sched, TICK_NS);
    }
    return has_open_rounds(session) ? DM_UNREACHABLE : DM_OK;
}

static void close_coroutine(void *argument) {
    struct opening *opening = argument;
    struct dm_session *session = opening->session;
    job_run_all(session);
    opening->status = end_open_rounds(session);
    if (opening->status == DM_OK) {
        job_run_all(session);
        settle(session);
        opening->status = allocator_close(session);
    }
    if (opening->status == DM_OK) {
        opening->status = count_write(session);
    }
    if (opening->status == DM_OK) {
        opening->status = epoch_retire(session);
    }
    if (opening->status == DM_OK) {
        count_close(session);
        session->enlisted = false;
        opening->status = cas_owner(session, session->client, session->client_nonce, 0);
    }
    while (session->members.resting) { /* it ends with the session, or before */
        session->members.changing = false;
        dm_coro_sleep(session->sched, TICK_NS);
    }
    opening->ended = true;
}

/* Runs a coroutine of the session to its end. */
static enum dm_status run_to_end(struct opening *opening, void (*fn)(void *)) {
    struct dm_session *session = opening->session;
    enum dm_status status = dm_sched_spawn(session->sched, fn, opening);
    while (status == DM_OK && !opening->ended) {
        session->endpoint->fabric->ops->poll(session->endpoint);
        dm_sched_run(session->sched);
    }
    return status == DM_OK ? opening->status : status;
}

static void session_free(struct dm_session *session) {
    const struct dm_env *env = session->env;
    struct dm_fabric *fabric = session->pool->fabric;
    if (session->slab.blocks != NULL) {
        slab_close(&session->slab);
    }
    if (session->limbo.ring != NULL) {
        limbo_close(&session->limbo);
    }
    if (session->foreign != NULL) {
        env->release(env->context, session->foreign);
    }
    if (session->node_latency != NULL) {
        env->release(env->context, session->node_latency);
    }
    members_close(session);
    if (session->endpoint != NULL) {
        session->endpoint->fabric->ops->endpoint_close(session->endpoint);
    }
    if (session->seated) { /* nothing of it is under way any more; if its record is still there, others repair it */
        leave_seat(fabric, session->client);
    }
    env->release(env->context, session);
}

enum dm_status dm_session_open(struct dm_pool *pool, struct dm_sched *sched, struct dm_session **out, char *error,
                               size_t error_bytes) {
    const struct dm_env *env = pool->env;
    struct dm_session *session = env->allocate(env->context, sizeof *session);
    if (session == NULL) {
        snprintf(error, error_bytes, "no memory for a session");
        return DM_BUSY;
    }
    session->pool = pool;
    session->env = env;
    space_view_init(&session->spaces);
    session->sched = sched;
    session->region_cursor = (uint32_t)(env->random_u64(env->context) % pool->layout.super.regions);
    enum dm_status status = pool->fabric->ops->endpoint_open(pool->fabric, sched, &session->endpoint);
    if (status != DM_OK) {
        session->endpoint = NULL;
    }
    session->node_latency = env->allocate(env->context, pool->layout.super.nodes * sizeof *session->node_latency);
    if (status == DM_OK && session->node_latency == NULL) {
        status = DM_BUSY;
    }
    if (status == DM_OK) {
        status = members_open(session);
    }
    if (status == DM_OK && (!slab_open(&session->slab, &pool->layout, env) || !limbo_open(&session->limbo, env))) {
        status = DM_BUSY;
    }
    snprintf(error, error_bytes, "cannot open a session: %s", dm_status_text(status));
    if (status == DM_OK) {
        buffer_pool_init(&session->buffers, session->endpoint);
        struct opening opening = {.session = session, .error = error, .error_bytes = error_bytes};
        status = run_to_end(&opening, open_coroutine);
    }
    if (status != DM_OK) {
        session_free(session);
        return status;
    }
    *out = session;
    return DM_OK;
}

void dm_session_close(struct dm_session *session) {
    struct opening opening = {.session = session};
    session->watch.closing = true;
    while (session->maintaining || session->jobs_running || session->watch.coroutines != 0) {
        session->endpoint->fabric->ops->poll(session->endpoint);
        dm_sched_run(session->sched);
    }
    enum dm_status status = run_to_end(&opening, close_coroutine);
    if (status != DM_OK) {
        pool_log(session->pool, DM_LOG_WARNING, "a session could not give all its memory back: %s",
                 dm_status_text(status));
    }
    session_free(session);
}

/* ---- Housekeeping ---------------------------------------------------------------------------------------------- */

static void jobs_coroutine(void *argument) {
    struct dm_session *session = argument;
    if (open_round_due_ns(session) <= session->now_ns) {
        open_round_run_all(session);
    }
    job_run_all(session);
    session->jobs_running = false;
}

static bool is_busy(const struct dm_session *session) {
    return session->operations != session->operations_at_tick || limbo_count(&session->limbo) != 0 ||
           session->foreign_count != 0 || session->in_flight_total != 0 || session->job_count != 0 ||
           session->counts.unwritten != 0 || session->counts.doubt;
}

/* Logs changes only: a memory node may be gone for long. */
static void note_housekeeping(struct dm_session *session, enum dm_status status) {
    bool fails = status != DM_OK;
    if (fails && !session->housekeeping_fails) {
        pool_log(session->pool, DM_LOG_WARNING, "housekeeping fails, and is tried on: %s", dm_status_text(status));
    } else if (!fails && session->housekeeping_fails) {
        pool_log(session->pool, DM_LOG_NOTICE, "housekeeping works again");
    }
    session->housekeeping_fails = fails;
}

static void maintain_coroutine(void *argument) {
    struct dm_session *session = argument;
    bool busy = is_busy(session);
    session->idle_ticks = busy ? 0 : session->idle_ticks + 1;
    session->operations_at_tick = session->operations;
    members_tick(session);
    enum dm_status status = count_write(session);
    if (status == DM_OK) {
        status = epoch_tick(session);
    }
    if (status == DM_OK) {
        status = allocator_maintain(session);
    }
    watch_tick(session);
    recount_tick(session);
    bool idle = session->idle_ticks >= IDLE_AFTER_TICKS;
    if (status == DM_OK && idle && session->announced && !is_busy(session)) {
        status = epoch_retire(session);
    }
    note_housekeeping(session, status);
    uint64_t busy_tick_ns = status == DM_OK ? TICK_NS : FAILED_TICK_NS;
    session->tick_ns = pool_clock_ns(session->pool) + (idle ? IDLE_TICK_NS : busy_tick_ns);
    session->maintaining = false;
}

static uint64_t until(uint64_t when_ns, uint64_t now_ns) { return when_ns > now_ns ? when_ns - now_ns : 0; }

/* ns until a coroutine or the housekeeping has something to do by itself. */
static uint64_t due_after_ns(const struct dm_session *session) {
    uint64_t next_ns = dm_sched_next_ns(session->sched);
    uint64_t due_ns = session->maintaining ? UINT64_MAX : session->tick_ns;
    uint64_t open_ns = session->jobs_running ? UINT64_MAX : open_round_due_ns(session);
    due_ns = open_ns < due_ns ? open_ns : due_ns;
    if (!session->lease.renewing && !session->lease.fenced) {
        due_ns = session->lease.due_ns < due_ns ? session->lease.due_ns : due_ns;
    }
    due_ns = due_ns == UINT64_MAX ? due_ns : until(due_ns, session->now_ns);
    return next_ns < due_ns ? next_ns : due_ns;
}

uint64_t dm_session_poll(struct dm_session *session) {
    struct dm_endpoint *endpoint = session->endpoint;
    endpoint->fabric->ops->poll(endpoint);
    dm_sched_run(session->sched);
    session->now_ns = pool_clock_ns(session->pool);
    bool left = session->transactions != NULL && session->transactions_ns <= session->now_ns;
    if ((session->job_count != 0 || left || open_round_due_ns(session) <= session->now_ns) && !session->jobs_running) {
        session->jobs_running = true; /* the coroutine resets it, perhaps before the next line */
        if (dm_sched_spawn(session->sched, jobs_coroutine, session) != DM_OK) {
            session->jobs_running = false;
        }
    }
    lease_poll(session);
    if (!session->maintaining && session->now_ns >= session->tick_ns) {
        session->maintaining = true;
        if (dm_sched_spawn(session->sched, maintain_coroutine, session) != DM_OK) {
            session->maintaining = false;
            session->tick_ns = session->now_ns + TICK_NS;
        }
    }
    return endpoint->fabric->ops->pending(endpoint) != 0 ? 0 : due_after_ns(session);
}

int dm_session_descriptor(const struct dm_session *session) {
    const struct dm_endpoint *endpoint = session->endpoint;
    return endpoint->fabric->ops->descriptor != NULL ? endpoint->fabric->ops->descriptor(endpoint) : -1;
}

bool dm_session_arm(struct dm_session *session, uint64_t *wait_ns) {
    struct dm_endpoint *endpoint = session->endpoint;
    if (endpoint->fabric->ops->arm == NULL || !endpoint->fabric->ops->arm(endpoint)) {
        return false;
    }
    *wait_ns = due_after_ns(session); /* behind the arming, which may have made coroutines ready */
    return *wait_ns != 0;
}

void dm_session_stats(const struct dm_session *session, struct dm_session_stats *out) {
    *out = session->stats;
    out->buffer_allocations += session->buffers.allocations;
    out->bytes_owned_free = session->slab.free_bytes;
}

void dm_session_on_expired(struct dm_session *session, dm_expired_fn *fn, void *context) {
    session->expired_fn = fn;
    session->expired_context = context;
}

void dm_session_last_cost(const struct dm_session *session, struct dm_cost *out) { *out = session->last_cost; }
