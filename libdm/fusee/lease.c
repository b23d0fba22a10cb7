/* lease.c: see lease.h. The batches are its own, never those of the operation that waits. */
#include "fusee/lease.h"

#include <string.h>

#include "fusee/claim.h"
#include "fusee/session.h"

#define LEASE_SHARE 4u         /* a lease is renewed so often before it would run out */
#define LEASE_SHARE_FAILED 16u /* the same behind a renewal that failed */
#define NS_PER_MS UINT64_C(1000000)
#define LOOK_NS UINT64_C(20000) /* while another coroutine renews it */

static uint64_t lease_ns(const struct dm_session *session) { return session->pool->lease_ms * NS_PER_MS; }

static uint64_t record_offset(const struct dm_session *session) {
    return session->pool->layout.clients_offset + (uint64_t)session->client * LAYOUT_CLIENT_BYTES;
}

/* Also while the session rests (members.h): it lives. */
static enum dm_status execute(struct dm_session *session, struct dm_batch *batch) {
    dm_fabric_execute(session->endpoint, batch);
    session->stats.kind[DM_KIND_MAINTENANCE].operations++;
    return batch->failed == 0 ? DM_OK : DM_UNREACHABLE;
}

/* Is the record still this session's, and nobody repairs it? */
static enum dm_status prove(struct dm_session *session, struct buffer *buffer) {
    struct dm_batch batch;
    dm_batch_init(&batch, &session->stats.kind[DM_KIND_MAINTENANCE].cost);
    dm_batch_read(&batch, members_first(session), record_offset(session), buffer->bytes,
                  (uint32_t)offsetof(struct client_record, identity));
    enum dm_status status = execute(session, &batch);
    const struct client_record *record = (const struct client_record *)buffer->bytes;
    if (status == DM_OK && (record->owner != session->client_nonce || claim_is_of(record->claim, record->owner))) {
        session->lease.fenced = true;
        status = DM_NO_LEASE;
    }
    return status;
}

static enum dm_status write_word(struct dm_session *session, struct buffer *buffer) {
    uint64_t *word = (uint64_t *)buffer->bytes;
    struct dm_batch batch;
    *word = lease_word(session->pool->lease_ms, ++session->lease.count);
    dm_batch_init(&batch, &session->stats.kind[DM_KIND_MAINTENANCE].cost);
    dm_batch_write(&batch, members_first(session), record_offset(session) + offsetof(struct client_record, lease), word,
                   sizeof *word);
    return execute(session, &batch);
}

/* A failed claim is void once its maker has gone on to something else (repair.c), so who finds one is no client any
 * more all the same: the repair has begun. */
static enum dm_status renew(struct dm_session *session) {
    struct lease *lease = &session->lease;
    struct buffer *buffer = buffer_take(&session->buffers, sizeof(struct client_record));
    uint64_t began_ns = pool_clock_ns(session->pool);
    if (buffer == NULL) {
        return DM_BUSY;
    }
    lease->renewing = true;
    enum dm_status status = prove(session, buffer);
    status = status == DM_OK ? write_word(session, buffer) : status;
    lease->renewing = false;
    buffer_give(&session->buffers, buffer);
    if (status == DM_OK) {
        lease->renewed_ns = began_ns;
    }
    uint64_t share_ns = lease_ns(session) / (status == DM_OK ? LEASE_SHARE : LEASE_SHARE_FAILED);
    lease->due_ns = pool_clock_ns(session->pool) + share_ns;
    return status;
}

enum dm_status lease_begin(struct dm_session *session) {
    if (session->pool->lease_ms == 0) {
        session->lease.due_ns = UINT64_MAX;
        return DM_OK;
    }
    return renew(session);
}

static void renew_coroutine(void *argument) {
    struct dm_session *session = argument;
    (void)renew(session); /* tried again by the next poll that finds it due; housekeeping says that a node is gone */
    session->watch.coroutines--;
}

void lease_poll(struct dm_session *session) {
    struct lease *lease = &session->lease;
    if (session->now_ns < lease->due_ns || lease->renewing || lease->fenced) {
        return;
    }
    session->watch.coroutines++; /* which the end of the session waits for */
    if (dm_sched_spawn(session->sched, renew_coroutine, session) != DM_OK) {
        session->watch.coroutines--;
    }
}

enum dm_status lease_hold(struct dm_session *session, bool caller) {
    struct lease *lease = &session->lease;
    uint64_t until_ns = atomic_load_explicit(&session->pool->serve_until_ns, memory_order_relaxed);
    if (caller && until_ns < session->now_ns) {
        return DM_NO_LEASE;
    }
    while (lease->due_ns != UINT64_MAX && !lease->fenced && session->now_ns - lease->renewed_ns > lease_ns(session)) {
        if (lease->renewing) {
            dm_coro_sleep(session->sched, LOOK_NS);
        } else {
            enum dm_status status = renew(session);
            if (status != DM_OK) {
                return status;
            }
        }
        session->now_ns = pool_clock_ns(session->pool);
    }
    return lease->fenced ? DM_NO_LEASE : DM_OK;
}

bool dm_session_is_fenced(const struct dm_session *session) {
    return session->lease.fenced || atomic_load_explicit(&session->pool->fabric->fenced, memory_order_relaxed);
}

void dm_pool_serve_until(struct dm_pool *pool, uint64_t clock_ns) {
    atomic_store_explicit(&pool->serve_until_ns, clock_ns, memory_order_relaxed);
}
