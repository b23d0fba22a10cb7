/* store.c: the data calls of dm.h over the engine. The same for every engine: checks, expiry, fan-out, who owns what.
 * Runs in the caller's coroutine. */
#include <string.h>

#include "fusee/find.h"
#include "fusee/job.h"
#include "fusee/session.h"
#include "fusee/write.h"

#define MANY_AT_A_TIME (DM_BATCH_OPS / 2) /* two operations a key in the first batch */

static enum dm_status check_key(const struct dm_session *session, const struct dm_key *key) {
    if (key->length > DM_KEY_BYTES_MAX || object_bytes(key->length, 0) > sizeclass_bytes(session->pool->class_max)) {
        return DM_TOO_LARGE;
    }
    return DM_OK;
}

/* Hands the found object over to the caller, or notes that it has expired. */
static enum dm_status hand_over(struct fusee_op *op, struct dm_read *out) {
    struct dm_value value;
    if (op->result != FIND_LIVE) {
        return DM_NOT_FOUND;
    }
    if (!write_value(op, &value)) {
        job_add(op->session, op_slot_address(op, op->slot), op->word);
        return DM_NOT_FOUND;
    }
    out->value = value;
    out->buffer = op->object;
    op->object = NULL;
    return DM_OK;
}

enum dm_status dm_get(struct dm_session *session, const struct dm_key *key, struct dm_read *out) {
    if (check_key(session, key) != DM_OK) {
        return DM_NOT_FOUND; /* no such key can exist */
    }
    struct fusee_op *op = op_begin(session, DM_KIND_GET);
    if (op == NULL) {
        return session->refusal;
    }
    op_set_key(op, key);
    find_start(op, FIND_FOR_READ, true);
    enum dm_status status = find_run(op);
    if (status == DM_OK) {
        status = hand_over(op, out);
    }
    find_release(op);
    op_end(op);
    return status;
}

void dm_read_release(struct dm_session *session, struct dm_read *read) {
    if (read->buffer != NULL) {
        buffer_give(&session->buffers, read->buffer);
        read->buffer = NULL;
    }
}

enum dm_status dm_put(struct dm_session *session, const struct dm_key *key, const struct dm_write *write) {
    enum dm_status status = check_key(session, key);
    struct fusee_op *op = status == DM_OK ? op_begin(session, DM_KIND_PUT) : NULL;
    if (op == NULL) {
        return status == DM_OK ? session->refusal : status;
    }
    op_set_key(op, key);
    struct write_request request = {.write = write};
    status = write_run(op, &request);
    find_release(op);
    op_end(op);
    return status;
}

enum dm_status dm_delete(struct dm_session *session, const struct dm_key *key) {
    if (check_key(session, key) != DM_OK) {
        return DM_NOT_FOUND;
    }
    struct fusee_op *op = op_begin(session, DM_KIND_DELETE);
    if (op == NULL) {
        return session->refusal;
    }
    op_set_key(op, key);
    struct write_request request = {.remove = true};
    enum dm_status status = write_run(op, &request);
    find_release(op);
    op_end(op);
    return status;
}

enum dm_status dm_update(struct dm_session *session, const struct dm_key *key, dm_update_fn *fn, void *context,
                         struct dm_read *old_out) {
    enum dm_status status = check_key(session, key);
    struct fusee_op *op = status == DM_OK ? op_begin(session, DM_KIND_UPDATE) : NULL;
    if (op == NULL) {
        return status == DM_OK ? session->refusal : status;
    }
    op_set_key(op, key);
    struct write_request request = {.fn = fn, .context = context};
    status = write_run(op, &request);
    if (status == DM_OK && old_out != NULL) {
        *old_out = (struct dm_read){0};
        if (op->object != NULL) {
            write_value_of(op, &old_out->value);
            old_out->buffer = op->object;
            op->object = NULL;
        }
    }
    find_release(op);
    op_end(op);
    return status;
}

/* ---- Many keys -------------------------------------------------------------------------------------------------- */

struct fan_out {
    struct dm_session *session;
    struct fusee_op *ops[MANY_AT_A_TIME];
    enum dm_status *statuses;
    uint32_t count;
};

/* One shared batch for all operations that are not done: returns false when there was nothing to post. */
static bool fan_out_step(struct fan_out *fan, struct dm_batch *batch, struct dm_cost *cost) {
    bool posted[MANY_AT_A_TIME] = {false};
    bool any = false;
    dm_batch_init(batch, cost);
    for (uint32_t i = 0; i < fan->count; i++) {
        struct fusee_op *op = fan->ops[i];
        if (fan->statuses[i] == DM_OK && op->step != FIND_DONE && dm_batch_room(batch) >= find_room(op)) {
            fan->statuses[i] = find_post(op, batch);
            posted[i] = fan->statuses[i] == DM_OK;
            any |= posted[i];
        }
    }
    if (!any) {
        return false;
    }
    dm_fabric_execute(fan->session->endpoint, batch);
    for (uint32_t i = 0; i < fan->count; i++) {
        if (posted[i]) {
            fan->statuses[i] = batch->failed == 0 ? find_take(fan->ops[i]) : DM_UNREACHABLE;
        }
    }
    return true;
}

/* Up to MANY_AT_A_TIME keys. */
static void get_group(struct fan_out *fan, const struct dm_key *keys, struct dm_read *reads) {
    struct fusee_op *lead = op_begin(fan->session, DM_KIND_GET_MANY);
    for (uint32_t i = 0; i < fan->count; i++) {
        fan->ops[i] = lead == NULL ? NULL : op_begin(fan->session, DM_KIND_GET_MANY);
        fan->statuses[i] = fan->ops[i] == NULL ? fan->session->refusal : DM_OK;
        if (fan->ops[i] != NULL && check_key(fan->session, &keys[i]) == DM_OK) {
            op_set_key(fan->ops[i], &keys[i]);
            find_start(fan->ops[i], FIND_FOR_READ, true);
        } else if (fan->ops[i] != NULL) {
            fan->statuses[i] = DM_NOT_FOUND;
        }
    }
    while (lead != NULL && fan_out_step(fan, &lead->batch, &lead->cost)) {
    }
    for (uint32_t i = 0; i < fan->count; i++) {
        if (fan->ops[i] == NULL) {
            continue;
        }
        if (fan->statuses[i] == DM_OK) {
            fan->statuses[i] = hand_over(fan->ops[i], &reads[i]);
        }
        find_release(fan->ops[i]);
        op_give(fan->ops[i]);
    }
    if (lead != NULL) {
        op_end(lead);
    }
}

void dm_get_many(struct dm_session *session, const struct dm_key *keys, uint32_t count, struct dm_read *reads,
                 enum dm_status *statuses) {
    for (uint32_t done = 0; done < count;) {
        struct fan_out fan = {.session = session, .statuses = statuses + done};
        fan.count = count - done < MANY_AT_A_TIME ? count - done : MANY_AT_A_TIME;
        get_group(&fan, keys + done, reads + done);
        done += fan.count;
    }
}

void dm_prefetch(struct dm_session *session, const struct dm_key *keys, uint32_t count) {
    const struct dm_pool *pool = session->pool;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t hash = index_hash(&keys[i], pool->hash_seed);
        cache_prefetch(&pool->cache, hash);
        copies_prefetch(&pool->copies, hash);
    }
}
