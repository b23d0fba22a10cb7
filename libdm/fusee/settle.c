/* settle.c: see settle.h and dm_loss.h. */
#include "fusee/settle.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fusee/repair_memory.h"

#define WAIT_MAX_NS UINT64_C(3000000000) /* for clients to stop */
#define LOOK_NS UINT64_C(100000)         /* at first, */
#define LOOK_LATER_NS UINT64_C(5000000)
#define CONTROL_BYTES (64u << 10)
#define REPAIRS_AHEAD 16u /* so that every session sees the count change: nodes differ by those under way */

enum dm_status settle_execute(struct settle *settle, struct dm_batch *batch) {
    dm_fabric_execute(settle->session->endpoint, batch);
    settle->session->stats.kind[DM_KIND_MAINTENANCE].operations++;
    if (batch->failed == 0) {
        return DM_OK;
    }
    return settle_refuse(settle, DM_UNREACHABLE, "a memory node that is not given as lost does not answer");
}

enum dm_status settle_refuse(struct settle *settle, enum dm_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(settle->error, settle->error_bytes, format, arguments);
    va_end(arguments);
    return status;
}

static void begin(struct settle *settle, struct dm_batch *batch) {
    dm_batch_init(batch, &settle->session->stats.kind[DM_KIND_MAINTENANCE].cost);
}

/* ---- The word of members ---------------------------------------------------------------------------------------- */

/* Puts `word` on every node that it leaves, from whatever older one is there. */
static enum dm_status write_members(struct settle *settle, uint64_t word) {
    struct dm_session *session = settle->session;
    const struct layout *layout = &session->pool->layout;
    struct buffer *buffer = buffer_take(&session->buffers, MEMBERS_NODES_MAX * (uint32_t)sizeof(uint64_t));
    if (buffer == NULL) {
        return settle_refuse(settle, DM_BUSY, "no memory");
    }
    uint64_t *found = (uint64_t *)buffer->bytes;
    struct dm_batch batch;
    begin(settle, &batch);
    for (uint16_t n = 0; n < layout->super.nodes; n++) {
        if (members_has(word, n)) {
            dm_batch_read(&batch, n, members_offset(layout), &found[n], sizeof found[n]);
        }
    }
    enum dm_status status = settle_execute(settle, &batch);
    begin(settle, &batch);
    for (uint16_t n = 0; n < layout->super.nodes && status == DM_OK; n++) {
        if (members_has(word, n) && members_number(found[n]) > members_number(word)) {
            status = settle_refuse(settle, DM_BUSY, "somebody else settles the pool");
        } else if (members_has(word, n) && found[n] != word) {
            dm_batch_cas(&batch, n, members_offset(layout), found[n], word);
        }
    }
    if (status == DM_OK && batch.count != 0) {
        status = settle_execute(settle, &batch);
    }
    for (uint32_t i = 0; i < batch.count && status == DM_OK; i++) {
        if (batch.ops[i].result != batch.ops[i].compare && batch.ops[i].result != word) {
            status = settle_refuse(settle, DM_BUSY, "somebody else settles the pool");
        }
    }
    buffer_give(&session->buffers, buffer);
    return status;
}

/* ---- Waiting ---------------------------------------------------------------------------------------------------- */

/* The first control node of the members before that is left. */
static uint16_t control_left(const struct settle *settle) {
    const struct members *members = &settle->session->members;
    uint32_t c = 0;
    while (c + 1 < members->control_count && !members_has(settle->word, members->control[c])) {
        c++;
    }
    return members->control[c];
}

struct record_head {
    uint64_t owner, generation, claim, identity, host, lease, rests;
};
_Static_assert(offsetof(struct client_record, rests) == offsetof(struct record_head, rests), "format");

/* READs the records of these clients. *waits: one of them does not rest yet. */
static enum dm_status look_at(struct settle *settle, const uint32_t *clients, uint32_t count, struct buffer *buffer,
                              uint32_t *waits) {
    struct dm_session *session = settle->session;
    const struct layout *layout = &session->pool->layout;
    struct dm_fabric *fabric = session->pool->fabric;
    struct record_head *heads = (struct record_head *)buffer->bytes;
    struct dm_batch batch;
    begin(settle, &batch);
    for (uint32_t i = 0; i < count; i++) {
        dm_batch_read(&batch, control_left(settle), layout->clients_offset + (uint64_t)clients[i] * LAYOUT_CLIENT_BYTES,
                      &heads[i], sizeof heads[i]);
    }
    enum dm_status status = settle_execute(settle, &batch);
    for (uint32_t i = 0; i < count && status == DM_OK; i++) {
        uint32_t client = clients[i];
        settle->owner[client] = heads[i].owner;
        if (heads[i].owner == 0 || client == session->client || heads[i].rests == settle->word) {
            continue;
        }
        bool gone = fabric->ops->seat_empty != NULL && fabric->ops->seat_empty(fabric, client);
        if (gone || client_set_has(&settle->given, client)) {
            settle->any_dead = true;
            client_set_add(&settle->dead, client);
        } else {
            *waits = client;
        }
    }
    return status;
}

/* *waits: a client that does not rest yet; UINT32_MAX: all do. */
static enum dm_status look_at_all(struct settle *settle, struct buffer *buffer, uint32_t *waits) {
    const struct layout *layout = &settle->session->pool->layout;
    uint32_t clients = layout->super.clients;
    struct dm_batch batch;
    begin(settle, &batch);
    dm_batch_read(&batch, control_left(settle), layout->announce_offset, buffer->bytes,
                  clients * (uint32_t)sizeof(uint64_t));
    enum dm_status status = settle_execute(settle, &batch);
    memcpy(settle->announced, buffer->bytes, clients * sizeof(uint64_t));
    *waits = UINT32_MAX;
    uint32_t some[DM_BATCH_OPS];
    uint32_t count = 0;
    for (uint32_t c = 0; c < clients && status == DM_OK; c++) { /* others have nothing under way */
        if (settle->announced[c] != 0) {
            some[count++] = c;
        }
        if (count == DM_BATCH_OPS || (count != 0 && c + 1 == clients)) {
            status = look_at(settle, some, count, buffer, waits);
            count = 0;
        }
    }
    return status;
}

static enum dm_status wait_for_all(struct settle *settle) {
    struct dm_session *session = settle->session;
    uint32_t bytes = LAYOUT_CLIENTS_MAX * (uint32_t)sizeof(uint64_t);
    struct buffer *buffer = buffer_take(&session->buffers, bytes);
    if (buffer == NULL) {
        return settle_refuse(settle, DM_BUSY, "no memory");
    }
    uint64_t deadline_ns = pool_clock_ns(session->pool) + WAIT_MAX_NS;
    uint64_t look_ns = LOOK_NS;
    uint32_t waits;
    enum dm_status status = look_at_all(settle, buffer, &waits);
    while (status == DM_OK && waits != UINT32_MAX) {
        if (pool_clock_ns(session->pool) > deadline_ns) {
            status = settle_refuse(settle, DM_BUSY, "client %u is not known to be dead and does not stop", waits);
        } else {
            dm_coro_sleep(session->sched, look_ns);
            look_ns = look_ns * 2 < LOOK_LATER_NS ? look_ns * 2 : LOOK_LATER_NS;
            status = look_at_all(settle, buffer, &waits);
        }
    }
    buffer_give(&session->buffers, buffer);
    return status;
}

/* ---- Control ---------------------------------------------------------------------------------------------------- */

static enum dm_status copy_control(struct settle *settle, uint16_t from, const uint16_t *to, uint32_t count) {
    struct dm_session *session = settle->session;
    const struct layout *layout = &session->pool->layout;
    struct buffer *buffer = buffer_take(&session->buffers, CONTROL_BYTES);
    enum dm_status status = buffer == NULL ? settle_refuse(settle, DM_BUSY, "no memory") : DM_OK;
    for (uint64_t at = layout->epoch_offset; at < layout->regions_offset && status == DM_OK; at += CONTROL_BYTES) {
        uint64_t left = layout->regions_offset - at;
        uint32_t bytes = left < CONTROL_BYTES ? (uint32_t)left : CONTROL_BYTES;
        struct dm_batch batch;
        begin(settle, &batch);
        dm_batch_read(&batch, from, at, buffer->bytes, bytes);
        status = settle_execute(settle, &batch);
        begin(settle, &batch);
        for (uint32_t c = 0; c < count; c++) {
            if (to[c] != from) {
                dm_batch_write(&batch, to[c], at, buffer->bytes, bytes);
            }
        }
        if (status == DM_OK && batch.count != 0) {
            status = settle_execute(settle, &batch);
        }
    }
    if (buffer != NULL) {
        buffer_give(&session->buffers, buffer);
    }
    return status;
}

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* The highest epoch that a control node before shows, and one more: whoever has seen the one on a node that is lost may
 * have seen a higher one, by one. The counts of keys are in doubt: nobody counts what a settling does. */
static enum dm_status read_epoch(struct settle *settle, struct epoch_line *lines, struct epoch_line *out) {
    const struct members *members = &settle->session->members;
    struct dm_batch batch;
    begin(settle, &batch);
    for (uint32_t c = 0; c < members->control_count; c++) {
        if (members_has(settle->word, members->control[c])) {
            dm_batch_read(&batch, members->control[c], settle->session->pool->layout.epoch_offset, &lines[batch.count],
                          sizeof lines[0]);
        }
    }
    enum dm_status status = settle_execute(settle, &batch);
    *out = lines[0];
    for (uint32_t i = 0; i < batch.count; i++) {
        out->epoch = larger(out->epoch, lines[i].epoch);
        out->repairs = larger(out->repairs, lines[i].repairs);
        out->miscounts = larger(out->miscounts, larger(lines[i].miscounts, lines[i].recounted));
    }
    out->epoch++;
    out->miscounts++;
    for (uint32_t i = 0; i < REPAIRS_AHEAD; i++) {
        out->repairs = repairs_after(out->repairs, out->epoch);
    }
    return status;
}

static enum dm_status settle_control(struct settle *settle) {
    struct dm_session *session = settle->session;
    const struct layout *layout = &session->pool->layout;
    uint16_t to[LAYOUT_REPLICAS_MAX];
    uint32_t count = members_control(session->pool, settle->word, to);
    struct buffer *buffer = buffer_take(&session->buffers, LAYOUT_REPLICAS_MAX * LAYOUT_EPOCH_BYTES);
    if (buffer == NULL) {
        return settle_refuse(settle, DM_BUSY, "no memory");
    }
    struct epoch_line line;
    enum dm_status status = read_epoch(settle, (struct epoch_line *)buffer->bytes, &line);
    status = status == DM_OK ? copy_control(settle, control_left(settle), to, count) : status;
    uint64_t *words = (uint64_t *)buffer->bytes;
    words[0] = line.epoch;
    words[1] = line.repairs;
    words[2] = 0;
    words[3] = line.miscounts;
    struct dm_batch batch;
    begin(settle, &batch);
    for (uint32_t c = 0; c < count && status == DM_OK; c++) {
        dm_batch_write(&batch, to[c], layout->epoch_offset, &words[0], sizeof words[0]);
        dm_batch_write(&batch, to[c], layout->epoch_offset + offsetof(struct epoch_line, repairs), &words[1],
                       sizeof words[1]);
        dm_batch_write(&batch, to[c], layout->epoch_offset + offsetof(struct epoch_line, miscounts), &words[3],
                       sizeof words[3]);
    }
    status = status == DM_OK ? settle_execute(settle, &batch) : status;
    for (uint32_t client = 0; client < layout->super.clients && status == DM_OK; client++) {
        if (settle->announced[client] == 0 || settle->owner[client] != 0) {
            continue; /* else a client that was gone already would hold up the epoch for ever */
        }
        begin(settle, &batch);
        for (uint32_t c = 0; c < count; c++) {
            dm_batch_write(&batch, to[c], layout->announce_offset + client * sizeof(uint64_t), &words[2],
                           sizeof words[2]);
        }
        status = settle_execute(settle, &batch);
    }
    buffer_give(&session->buffers, buffer);
    return status;
}

/* ---- All -------------------------------------------------------------------------------------------------------- */

static enum dm_status settle_run(struct settle *settle) {
    struct dm_session *session = settle->session;
    enum dm_status status = write_members(settle, settle->word);
    if (status == DM_OK) {
        status = members_rest(session, settle->word);
    }
    if (status == DM_OK) {
        status = wait_for_all(settle);
    }
    if (status == DM_OK) {
        status = settle_words(settle);
    }
    if (status == DM_OK) {
        status = settle_control(settle);
    }
    uint64_t settled = members_word(members_number(settle->word) + 1, members_lost(settle->word));
    if (status == DM_OK) {
        status = write_members(settle, settled);
    }
    if (status == DM_OK) {
        session->members.seen = settled;
        status = members_follow(session, settled);
        session->members.changing = status != DM_OK;
    }
    return status;
}

/* Figures and room. DM_UNREACHABLE: too few replicas are left. */
static enum dm_status settle_open(struct settle *settle) {
    struct dm_session *session = settle->session;
    const struct dm_env *env = session->env;
    const struct superblock *super = &session->pool->layout.super;
    settle->next = session->pool->layout;
    settle->next.map =
        env->allocate(env->context, (uint64_t)super->regions * super->replicas * sizeof *settle->next.map);
    settle->next.left = env->allocate(env->context, super->regions);
    settle->owner = env->allocate(env->context, LAYOUT_CLIENTS_MAX * sizeof *settle->owner);
    settle->announced = env->allocate(env->context, LAYOUT_CLIENTS_MAX * sizeof *settle->announced);
    settle->blocks = env->allocate(env->context, layout_blocks(&settle->next) * sizeof *settle->blocks);
    if (settle->next.map == NULL || settle->next.left == NULL || settle->owner == NULL || settle->announced == NULL ||
        settle->blocks == NULL) {
        return settle_refuse(settle, DM_BUSY, "no memory");
    }
    layout_map_without(&settle->next, session->pool->map, members_lost(settle->word));
    for (uint32_t g = 0; g < super->regions; g++) {
        if (settle->next.left[g] == 0) {
            return settle_refuse(settle, DM_UNREACHABLE,
                                 "too many memory nodes are lost: all %u replicas of region %u were on them",
                                 super->replicas, g);
        }
    }
    return DM_OK;
}

static void settle_close(struct settle *settle) {
    const struct dm_env *env = settle->session->env;
    void *parts[] = {settle->next.map, settle->next.left, settle->owner, settle->announced, settle->blocks};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i] != NULL) {
            env->release(env->context, parts[i]);
        }
    }
}

static void tell(const struct settle *settle, uint64_t began_ns, enum dm_status status) {
    struct dm_pool *pool = settle->session->pool;
    uint64_t took_us = (pool_clock_ns(pool) - began_ns) / 1000;
    if (status == DM_OK) {
        pool_log(pool, DM_LOG_NOTICE,
                 "the pool goes on without memory nodes %llx: %u words set, %u inserts of dead clients taken back, "
                 "after %llu us",
                 (unsigned long long)members_lost(settle->word), settle->words, settle->taken_back,
                 (unsigned long long)took_us);
    } else {
        pool_log(pool, DM_LOG_WARNING, "going on without memory nodes %llx has failed after %llu us: %s",
                 (unsigned long long)members_lost(settle->word), (unsigned long long)took_us, settle->error);
    }
}

/* The free maps of the regions whose primary was lost are empty now. Sessions look for what these said in their own
 * blocks; this does for those that nobody owns. */
static void recover_maps(struct dm_session *session) {
    struct client_set nobody = {{0}};
    struct repair_memory memory = {0};
    enum dm_status status = repair_memory_run(session, &nobody, &memory);
    if (status != DM_OK) {
        pool_log(session->pool, DM_LOG_NOTICE, "free objects in blocks that nobody owns were not looked for: %s",
                 dm_status_text(status));
    }
}

/* Takes the lead over the session's own resting, and settles. */
static enum dm_status lead(struct settle *settle) {
    struct members *members = &settle->session->members;
    uint64_t began_ns = pool_clock_ns(settle->session->pool);
    members->leads = true;
    while (members->resting) {
        dm_coro_sleep(settle->session->sched, LOOK_NS);
    }
    members->changing = true;
    enum dm_status status = settle_run(settle);
    if (status != DM_OK) { /* does any node show the word? */
        (void)members_look(settle->session);
        members->changing = members->seen != members->word;
    }
    members->leads = false;
    members_go_on(settle->session);
    tell(settle, began_ns, status);
    return status;
}

enum dm_status dm_session_settle(struct dm_session *session, const struct dm_loss *loss, char *error,
                                 size_t error_bytes) {
    struct members *members = &session->members;
    struct settle settle = {.session = session, .error = error, .error_bytes = error_bytes};
    uint64_t lost = loss->nodes;
    error[0] = 0;
    for (uint32_t i = 0; i < loss->client_count; i++) {
        if (loss->clients[i] >= session->pool->layout.super.clients || loss->clients[i] == session->client) {
            return settle_refuse(&settle, DM_INVALID, "client %u is none, or the caller's", loss->clients[i]);
        }
        client_set_add(&settle.given, loss->clients[i]);
    }
    if (session->pool->layout.super.nodes > MEMBERS_NODES_MAX || lost > MEMBERS_LOST_MASK) {
        return settle_refuse(&settle, DM_INVALID, "only pools of up to %u memory nodes can lose any",
                             MEMBERS_NODES_MAX);
    }
    if (members->leads) {
        return settle_refuse(&settle, DM_BUSY, "this session is at it");
    }
    (void)members_look(session);
    if (members_settled(members->seen) && !members_wait(session)) {
        return settle_refuse(&settle, DM_UNREACHABLE, "this session does not reach the nodes that are left");
    }
    uint64_t number = members_number(members->seen);
    lost |= members_lost(members->seen);
    if (members_settled(members->seen) && lost == members_lost(members->seen)) {
        return write_members(&settle, members->seen);
    }
    settle.word = members_word((number | 1) + ((number & 1) != 0 ? 2 : 0), lost);
    enum dm_status status = settle_open(&settle);
    if (status == DM_OK) {
        status = lead(&settle);
    }
    settle_close(&settle);
    if (status == DM_OK && settle.moved) {
        recover_maps(session);
    }
    return status;
}
