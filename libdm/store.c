/* store.c: the data calls of dm.h over the engine. The same for every engine: checks, expiry, fan-out, who owns what.
 * Runs in the caller's coroutine. */
#include <string.h>

#include "fusee/find.h"
#include "fusee/job.h"
#include "fusee/many.h"
#include "fusee/session.h"
#include "fusee/write.h"
#include "transact.h"

enum dm_status store_check_key(const struct dm_session *session, const struct dm_key *key) {
    if (key->length > DM_KEY_BYTES_MAX || object_bytes(key->length, 0) > sizeclass_bytes(session->pool->class_max)) {
        return DM_TOO_LARGE;
    }
    return key->space < DM_SPACES ? DM_OK : DM_INVALID;
}

/* Hands the found object over to the caller, if it shows anything. */
static enum dm_status hand_over(struct fusee_op *op, struct dm_read *out) {
    struct dm_value value;
    if (op->result != FIND_LIVE) {
        return DM_NOT_FOUND;
    }
    if (!write_value(op, &value)) {
        write_note_expired(op);
        return DM_NOT_FOUND;
    }
    out->value = value;
    out->buffer = op->object;
    op->object = NULL;
    return DM_OK;
}

/* True: it is to be done once more, because the memory nodes that count have changed. */
static bool end_op(struct fusee_op *op, enum dm_status status) {
    bool again = op_may_go_on(op, status);
    find_release(op);
    op_end(op);
    return again;
}

enum dm_status dm_get(struct dm_session *session, const struct dm_key *key, struct dm_read *out) {
    if (session->view != NULL) {
        return view_get(session, key, out);
    }
    if (store_check_key(session, key) != DM_OK) {
        return DM_NOT_FOUND; /* no such key can exist */
    }
    for (;;) {
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
        if (!end_op(op, status)) {
            return status;
        }
    }
}

void dm_read_release(struct dm_session *session, struct dm_read *read) {
    if (session->view != NULL) {
        read->buffer = NULL; /* the transaction's */
    } else if (read->buffer != NULL) {
        buffer_give(&session->buffers, read->buffer);
        read->buffer = NULL;
    }
}

enum dm_status dm_put(struct dm_session *session, const struct dm_key *key, const struct dm_write *write) {
    if (session->view != NULL) {
        return view_put(session, key, write);
    }
    enum dm_status status = store_check_key(session, key);
    bool again = true;
    while (again) {
        struct fusee_op *op = status == DM_OK ? op_begin(session, DM_KIND_PUT) : NULL;
        if (op == NULL) {
            return status == DM_OK ? session->refusal : status;
        }
        op_set_key(op, key);
        struct write_request request = {.write = write};
        status = write_run(op, &request);
        again = end_op(op, status);
        status = again ? DM_OK : status;
    }
    return status;
}

enum dm_status dm_delete(struct dm_session *session, const struct dm_key *key) {
    if (session->view != NULL) {
        return view_delete(session, key);
    }
    if (store_check_key(session, key) != DM_OK) {
        return DM_NOT_FOUND;
    }
    for (;;) {
        struct fusee_op *op = op_begin(session, DM_KIND_DELETE);
        if (op == NULL) {
            return session->refusal;
        }
        op_set_key(op, key);
        struct write_request request = {.remove = true};
        enum dm_status status = write_run(op, &request);
        if (!end_op(op, status)) {
            return status;
        }
    }
}

enum dm_status dm_update(struct dm_session *session, const struct dm_key *key, dm_update_fn *fn, void *context,
                         struct dm_read *old_out) {
    if (session->view != NULL) {
        return view_update(session, key, fn, context, old_out);
    }
    enum dm_status status = store_check_key(session, key);
    bool again = true;
    while (again) {
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
        again = end_op(op, status);
        status = again ? DM_OK : status;
    }
    return status;
}

/* ---- Many keys -------------------------------------------------------------------------------------------------- */

/* Up to DM_KEYS_MAX keys, in one picture. */
struct group {
    struct fusee_op *lead;
    struct buffer *memory;
    struct fusee_op **ops;
    uint32_t *places; /* of ops[i] among the keys */
    enum dm_status *statuses;
    bool *changed;
    uint32_t count;
};

static bool group_open(struct group *group, struct dm_session *session, uint32_t count) {
    uint32_t bytes = count * (uint32_t)(sizeof *group->ops + sizeof *group->places + sizeof *group->statuses + 1);
    group->lead = op_begin(session, DM_KIND_GET_MANY);
    group->memory = group->lead == NULL ? NULL : buffer_take(&session->buffers, bytes);
    if (group->memory == NULL) {
        return false;
    }
    group->ops = (struct fusee_op **)group->memory->bytes;
    group->places = (uint32_t *)(group->ops + count);
    group->statuses = (enum dm_status *)(group->places + count);
    group->changed = (bool *)(group->statuses + count);
    return true;
}

static void group_add(struct group *group, const struct dm_key *key, uint32_t place) {
    struct fusee_op *op = op_begin_part(group->lead);
    if (op != NULL) {
        op_set_key(op, key);
        group->ops[group->count] = op;
        group->places[group->count] = place;
        group->statuses[group->count++] = DM_OK;
    }
}

/* False: it is to be done once more. */
static bool get_group(struct dm_session *session, const struct dm_key *keys, uint32_t count, struct dm_read *reads,
                      enum dm_status *statuses) {
    struct group group = {0};
    bool open = group_open(&group, session, count);
    for (uint32_t i = 0; i < count; i++) {
        bool possible = store_check_key(session, &keys[i]) == DM_OK;
        statuses[i] = !possible ? DM_NOT_FOUND : group.lead == NULL ? session->refusal : DM_BUSY;
        if (open && possible) {
            group_add(&group, &keys[i], i);
        }
    }
    enum dm_status all = open ? many_read(group.lead, group.ops, group.count, group.statuses, group.changed) : DM_BUSY;
    bool again = open && op_may_go_on(group.lead, all);
    for (uint32_t i = 0; i < group.count; i++) {
        struct fusee_op *op = group.ops[i];
        statuses[group.places[i]] = all == DM_OK ? hand_over(op, &reads[group.places[i]]) : all;
        find_release(op);
        op_end_part(group.lead, op);
    }
    if (open) {
        buffer_give(&session->buffers, group.memory);
    }
    if (group.lead != NULL) {
        op_end(group.lead);
    }
    return !again;
}

void dm_get_many(struct dm_session *session, const struct dm_key *keys, uint32_t count, struct dm_read *reads,
                 enum dm_status *statuses) {
    if (session->view != NULL) {
        for (uint32_t i = 0; i < count; i++) {
            statuses[i] = view_get(session, &keys[i], &reads[i]);
        }
        return;
    }
    for (uint32_t done = 0; done < count;) {
        uint32_t some = count - done < DM_KEYS_MAX ? count - done : DM_KEYS_MAX;
        while (!get_group(session, keys + done, some, reads + done, statuses + done)) {
        }
        done += some;
    }
}

void dm_prefetch(struct dm_session *session, const struct dm_key *keys, uint32_t count) {
    const struct dm_pool *pool = session->pool;
    for (uint32_t i = 0; i < count; i++) {
        struct dm_key key = keys[i];
        key.space = session->spaces.number[key.space % DM_SPACES];
        uint64_t hash = index_hash(&key, pool->hash_seed);
        cache_prefetch(&pool->cache, hash);
        copies_prefetch(&pool->copies, hash);
    }
}
