/* repair.c: see repair.h and dm.h. */
#include "fusee/repair.h"

#include <string.h>

#include "fusee/claim.h"
#include "fusee/recount.h"
#include "fusee/repair_memory.h"
#include "fusee/repair_scan.h"
#include "fusee/sweep.h"

#define WATCH_NS UINT64_C(100000000)        /* a session looks so often, */
#define WATCH_AGAIN_NS UINT64_C(1000000000) /* and so much later behind a failure */
#define WATCH_ALL_NS UINT64_C(60000000000)  /* and so often also at clients that were idle: they hold nobody up */

/* ---- Client records --------------------------------------------------------------------------------------------- */

static uint64_t record_offset(const struct dm_session *session, uint32_t client) {
    return session->pool->layout.clients_offset + (uint64_t)client * LAYOUT_CLIENT_BYTES;
}

static uint64_t announce_offset(const struct dm_session *session, uint32_t client) {
    return session->pool->layout.announce_offset + client * sizeof(uint64_t);
}

static enum dm_status cas_word(struct dm_session *session, uint64_t offset, uint64_t from, uint64_t to, bool *done) {
    return members_cas(session, offset, from, to, done);
}

/* READs `count` (at most 64) words, `apart` bytes from each other. */
static enum dm_status read_words(struct dm_session *session, uint64_t offset, uint32_t apart, uint64_t *words,
                                 uint32_t count) {
    struct buffer *buffer = buffer_take(&session->buffers, count * (uint32_t)sizeof *words);
    if (buffer == NULL) {
        return DM_BUSY;
    }
    struct dm_batch batch;
    session_maintain_begin(session, &batch);
    for (uint32_t i = 0; i < count; i++) {
        dm_batch_read(&batch, session->members.control[0], offset + (uint64_t)i * apart,
                      buffer->bytes + i * sizeof *words, sizeof *words);
    }
    enum dm_status status = session_maintain(session, &batch);
    if (status == DM_OK) {
        memcpy(words, buffer->bytes, count * sizeof *words);
    }
    buffer_give(&session->buffers, buffer);
    return status;
}

static enum dm_status read_word(struct dm_session *session, uint64_t offset, uint64_t *word) {
    return read_words(session, offset, 0, word, 1);
}

/* The process that held this client's seat has ended, says the fabric. */
static bool seat_is_empty(struct dm_session *session, uint32_t client) {
    struct dm_fabric *fabric = session->pool->fabric;
    return fabric->ops->seat_empty != NULL && fabric->ops->seat_empty(fabric, client);
}

/* READs all announce words: who is not idle. */
static enum dm_status read_announced(struct dm_session *session, struct client_set *announced) {
    uint32_t clients = session->pool->layout.super.clients;
    struct buffer *buffer = buffer_take(&session->buffers, clients * (uint32_t)sizeof(uint64_t));
    if (buffer == NULL) {
        return DM_BUSY;
    }
    struct dm_batch batch;
    session_maintain_begin(session, &batch);
    dm_batch_read(&batch, session->members.control[0], announce_offset(session, 0), buffer->bytes,
                  clients * (uint32_t)sizeof(uint64_t));
    enum dm_status status = session_maintain(session, &batch);
    for (uint32_t c = 0; c < clients && status == DM_OK; c++) {
        if (c != session->client && ((const uint64_t *)buffer->bytes)[c] != 0) {
            client_set_add(announced, c);
        }
    }
    buffer_give(&session->buffers, buffer);
    return status;
}

/* dm_session_clients, of those in `only` (NULL: of all). */
static enum dm_status list_clients(struct dm_session *session, const struct client_set *only, struct dm_client *out,
                                   uint32_t capacity, uint32_t *count) {
    uint32_t clients = session->pool->layout.super.clients;
    enum dm_status status = DM_OK;
    *count = 0;
    for (uint32_t from = 0; from < clients && status == DM_OK; from += DM_BATCH_OPS) {
        uint64_t before[DM_BATCH_OPS];
        uint64_t announced[DM_BATCH_OPS];
        uint64_t after[DM_BATCH_OPS];
        bool gone[DM_BATCH_OPS];
        uint32_t some = clients - from < DM_BATCH_OPS ? clients - from : DM_BATCH_OPS;
        bool any = false;
        if (only != NULL && only->bits[from / 64] == 0) {
            continue;
        }
        status = read_words(session, record_offset(session, from), LAYOUT_CLIENT_BYTES, before, some);
        for (uint32_t i = 0; i < some && status == DM_OK; i++) {
            before[i] = only == NULL || client_set_has(only, from + i) ? before[i] : 0;
            gone[i] = before[i] != 0 && from + i != session->client && seat_is_empty(session, from + i);
            any |= before[i] != 0;
        }
        if (status != DM_OK || !any) {
            continue;
        }
        status = read_words(session, announce_offset(session, from), sizeof(uint64_t), announced, some);
        if (status == DM_OK) { /* a seat that was empty while its record kept its owner is a dead client's */
            status = read_words(session, record_offset(session, from), LAYOUT_CLIENT_BYTES, after, some);
        }
        for (uint32_t i = 0; i < some && status == DM_OK; i++) {
            if (after[i] != 0 && (only == NULL || before[i] != 0) && *count < capacity) {
                out[(*count)++] = (struct dm_client){.client = from + i,
                                                     .owner = after[i],
                                                     .announced = announced[i],
                                                     .gone = gone[i] && after[i] == before[i]};
            }
        }
    }
    return status;
}

enum dm_status dm_session_clients(struct dm_session *session, struct dm_client *out, uint32_t capacity,
                                  uint32_t *count) {
    return list_clients(session, NULL, out, capacity, count);
}

/* ---- Claims ----------------------------------------------------------------------------------------------------- */

static uint64_t claim_word(const struct dm_session *session, uint64_t owner) {
    return claim_make(session->client, session->client_nonce, owner);
}

struct repair {
    struct dm_session *session;
    struct client_set dead;    /* that the caller knows to be */
    struct client_set claimed; /* of these: ours to repair */
    uint64_t owner[LAYOUT_CLIENTS_MAX];
    uint32_t count; /* claimed */
    struct repair_scan scan;
    struct repair_memory memory;
};

/* Does nobody who lives hold this claim on a record of `owner`? */
static enum dm_status claim_is_void(struct repair *repair, uint64_t claim, uint64_t owner, bool *void_claim) {
    uint32_t by = claim_client(claim);
    *void_claim = !claim_is_of(claim, owner) || client_set_has(&repair->dead, by) ||
                  by >= repair->session->pool->layout.super.clients || claim == claim_word(repair->session, owner);
    if (*void_claim) {
        return DM_OK;
    }
    uint64_t before;
    enum dm_status status = read_word(repair->session, record_offset(repair->session, by), &before);
    *void_claim = !claim_is_by(claim, before) || seat_is_empty(repair->session, by);
    return status;
}

/* Claims one client, if it is there and nobody else does. */
static enum dm_status claim(struct repair *repair, uint32_t client) {
    struct dm_session *session = repair->session;
    uint64_t offset = record_offset(session, client);
    uint64_t claim_offset = offset + offsetof(struct client_record, claim);
    uint64_t owner;
    uint64_t held;
    bool mine = false;
    if (client_set_has(&session->watch.repairing, client)) {
        return DM_OK; /* by another coroutine of this session */
    }
    enum dm_status status = read_word(session, offset, &owner);
    if (status == DM_OK && owner != 0) {
        status = read_word(session, claim_offset, &held);
    }
    if (status != DM_OK || owner == 0) {
        return status;
    }
    bool void_claim;
    status = claim_is_void(repair, held, owner, &void_claim);
    if (status == DM_OK && void_claim) {
        status = cas_word(session, claim_offset, held, claim_word(session, owner), &mine);
    }
    if (status == DM_OK && mine) { /* another repairer may have ended, and the record changed hands, meanwhile */
        status = read_word(session, offset, &repair->owner[client]);
        mine = repair->owner[client] == owner;
    }
    if (status == DM_OK && mine && !client_set_has(&session->watch.repairing, client)) {
        client_set_add(&session->watch.repairing, client);
        client_set_add(&repair->claimed, client);
        repair->count++;
    }
    return status;
}

/* For each claimed client. */
static enum dm_status for_claimed(struct repair *repair,
                                  enum dm_status (*fn)(struct dm_session *session, uint32_t client, uint64_t owner)) {
    enum dm_status status = DM_OK;
    for (uint32_t c = 0; c < repair->session->pool->layout.super.clients && status == DM_OK; c++) {
        if (client_set_has(&repair->claimed, c)) {
            status = fn(repair->session, c, repair->owner[c]);
        }
    }
    return status;
}

static enum dm_status unclaim(struct dm_session *session, uint32_t client, uint64_t owner) {
    bool done;
    return cas_word(session, record_offset(session, client) + offsetof(struct client_record, claim),
                    claim_word(session, owner), 0, &done);
}

static enum dm_status retire(struct dm_session *session, uint32_t client, uint64_t owner) {
    (void)owner;
    uint64_t announced;
    bool done;
    enum dm_status status = read_word(session, announce_offset(session, client), &announced);
    return status != DM_OK || announced == 0 ? status
                                             : cas_word(session, announce_offset(session, client), announced, 0, &done);
}

/* The claim stays in the record: it names an owner that is no more, and the next one empties the record. */
static enum dm_status free_record(struct dm_session *session, uint32_t client, uint64_t owner) {
    bool done;
    return cas_word(session, record_offset(session, client), owner, 0, &done);
}

/* ---- Repair ----------------------------------------------------------------------------------------------------- */

/* Rounds of which nothing tells whose they are; most are none any more. */
static enum dm_status repair_suspects(struct repair *repair) {
    if (repair->scan.suspect_count == 0) {
        return DM_OK;
    }
    enum dm_status status = sweep_wait(repair->session, 2, NULL, NULL);
    return status == DM_OK ? repair_scan_suspects(&repair->scan) : status;
}

static enum dm_status repair_claimed(struct repair *repair) {
    struct dm_session *session = repair->session;
    uint64_t began_ns = pool_clock_ns(session->pool);
    repair->scan.session = session;
    repair->scan.dead = &repair->claimed;
    enum dm_status status = repair_scan_run(&repair->scan);
    uint64_t rounds_ns = pool_clock_ns(session->pool);
    if (status == DM_OK) {
        status = for_claimed(repair, retire);
    }
    if (status == DM_OK) {
        status = repair_suspects(repair);
    }
    if (status == DM_OK) {
        status = recount_order(session); /* nobody has counted what was ended here, nor all that the dead have done */
    }
    repair_scan_close(&repair->scan);
    session->watch.looking = false; /* what follows waits for long: whoever dies meanwhile is not to wait for that */
    if (status == DM_OK) {
        status = repair_memory_run(session, &repair->claimed, &repair->memory);
    }
    if (status == DM_OK) {
        status = for_claimed(repair, free_record);
    }
    if (status != DM_OK) {
        (void)for_claimed(repair, unclaim); /* it may be another session that gets further */
        pool_log(session->pool, DM_LOG_NOTICE, "the repair of %u dead clients has not come to its end: %s",
                 repair->count, dm_status_text(status));
        return status;
    }
    session->stats.clients_repaired += repair->count;
    session->stats.rounds_repaired += repair->scan.closed;
    pool_log(
        session->pool, DM_LOG_NOTICE,
        "repaired %u dead clients: %u open rounds ended and %u tombstones cleared after %llu us; %u blocks free and "
        "%u with data, %llu lost objects, after %llu ms",
        repair->count, repair->scan.closed, repair->scan.cleared, (unsigned long long)((rounds_ns - began_ns) / 1000),
        repair->memory.blocks_freed, repair->memory.blocks_orphaned, (unsigned long long)repair->memory.objects_lost,
        (unsigned long long)((pool_clock_ns(session->pool) - began_ns) / 1000000));
    return DM_OK;
}

enum dm_status dm_session_repair(struct dm_session *session, const uint32_t *clients, uint32_t count) {
    const struct dm_env *env = session->env;
    for (uint32_t i = 0; i < count; i++) {
        if (clients[i] >= session->pool->layout.super.clients || clients[i] == session->client) {
            return DM_INVALID;
        }
    }
    struct repair *repair = env->allocate(env->context, sizeof *repair);
    if (repair == NULL) {
        return DM_BUSY;
    }
    repair->session = session;
    for (uint32_t i = 0; i < count; i++) {
        client_set_add(&repair->dead, clients[i]);
    }
    enum dm_status status = DM_OK;
    for (uint32_t c = 0; c < session->pool->layout.super.clients && status == DM_OK; c++) {
        status = client_set_has(&repair->dead, c) ? claim(repair, c) : DM_OK;
    }
    if (repair->count != 0) {
        enum dm_status repaired = status == DM_OK ? repair_claimed(repair) : for_claimed(repair, unclaim);
        status = status == DM_OK ? repaired : status;
    } else if (status == DM_OK) {
        status = DM_NOT_FOUND;
    }
    for (uint32_t c = 0; c < LAYOUT_CLIENTS_MAX; c++) {
        if (client_set_has(&repair->claimed, c)) {
            client_set_remove(&session->watch.repairing, c);
        }
    }
    env->release(env->context, repair);
    return status;
}

/* ---- Watch ------------------------------------------------------------------------------------------------------ */

/* Repairs those clients that the fabric knows to be dead. Most looks are at those only that have announced themselves:
 * these may have left rounds open and hold the epoch up. What idle ones leave is memory. */
static enum dm_status repair_gone(struct dm_session *session) {
    struct watch *watch = &session->watch;
    struct client_set announced = {{0}};
    bool look_at_all = session->now_ns >= watch->all_ns || session->memory_low || watch->owes_look;
    if (look_at_all) {
        watch->all_ns = session->now_ns + WATCH_ALL_NS;
    } else if (read_announced(session, &announced) != DM_OK) {
        return DM_UNREACHABLE;
    }
    const struct dm_env *env = session->env;
    uint32_t clients = session->pool->layout.super.clients;
    struct dm_client *all = env->allocate(env->context, clients * (sizeof *all + sizeof(uint32_t)));
    if (all == NULL) {
        return DM_BUSY;
    }
    uint32_t *gone = (uint32_t *)(all + clients);
    uint32_t count = 0;
    uint32_t gone_count = 0;
    enum dm_status status = list_clients(session, look_at_all ? NULL : &announced, all, clients, &count);
    for (uint32_t i = 0; i < count && status == DM_OK; i++) {
        if (all[i].gone) {
            gone[gone_count++] = all[i].client;
        }
    }
    if (status == DM_OK && gone_count != 0) {
        status = dm_session_repair(session, gone, gone_count);
    }
    if (status == DM_OK && gone_count != 0) {
        status = dm_space_purge(session); /* one of them may have flushed */
    }
    env->release(env->context, all);
    return status;
}

/* One session of a process looks for dead clients; it moves the time when the next look is due. */
static bool look_is_ours(struct dm_session *session) {
    struct dm_pool *pool = session->pool;
    uint64_t due_ns = atomic_load_explicit(&pool->watch_ns, memory_order_relaxed);
    return pool->fabric->ops->seat_empty != NULL && session->now_ns >= due_ns &&
           atomic_compare_exchange_strong_explicit(&pool->watch_ns, &due_ns, session->now_ns + WATCH_NS,
                                                   memory_order_relaxed, memory_order_relaxed);
}

static enum dm_status watch_sweep(struct dm_session *session) {
    struct watch *watch = &session->watch;
    if (!watch->owes_sweep || watch->sweeping) {
        return DM_OK;
    }
    watch->sweeping = true;
    watch->owes_sweep = false;
    enum dm_status status = DM_OK;
    if (sweep_is_owed(session)) {
        status = sweep_own(session, &session->stats.objects_recovered);
        watch->owes_sweep |= status != DM_OK || sweep_is_owed(session);
    }
    watch->sweeping = false;
    return status;
}

static enum dm_status watch_look(struct dm_session *session) {
    struct watch *watch = &session->watch;
    uint64_t repairs;
    enum dm_status status =
        read_word(session, session->pool->layout.epoch_offset + offsetof(struct epoch_line, repairs), &repairs);
    if (status == DM_OK) {
        sweep_note_repairs(session, repairs);
    }
    if (status == DM_OK && (look_is_ours(session) || watch->owes_look)) {
        status = repair_gone(session);
        watch->owes_look = status != DM_OK && status != DM_NOT_FOUND;
        watch->look_ns += watch->owes_look ? WATCH_AGAIN_NS : 0;
        status = status == DM_NOT_FOUND ? DM_OK : status; /* somebody else is at it */
    }
    watch->looking = false;
    return status == DM_OK ? watch_sweep(session) : status;
}

static void watch_coroutine(void *argument) {
    struct dm_session *session = argument;
    struct watch *watch = &session->watch;
    enum dm_status status = watch_look(session);
    bool failed = status != DM_OK && status != DM_BUSY;
    if (failed && !watch->failing) {
        pool_log(session->pool, DM_LOG_WARNING, "looking for dead clients fails, and is tried on: %s",
                 dm_status_text(status));
    }
    watch->failing = failed;
    watch->coroutines--;
}

void watch_tick(struct dm_session *session) {
    struct watch *watch = &session->watch;
    if (watch->looking || watch->closing || session->now_ns < watch->look_ns) {
        return;
    }
    watch->look_ns = session->now_ns + WATCH_NS;
    watch->looking = true;
    watch->coroutines++;
    if (dm_sched_spawn(session->sched, watch_coroutine, session) != DM_OK) {
        watch->looking = false;
        watch->coroutines--;
    }
}
