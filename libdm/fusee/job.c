/* job.c: see job.h. */
#include "fusee/job.h"

#include "fusee/allocator.h"
#include "fusee/find.h"
#include "fusee/open_round.h"
#include "fusee/transaction.h"

/* Second round of a DELETE: tombstone -> unique empty word, backups first (trap T5). Lost: a SET took it over. */
static void cleared(struct fusee_op *op, const struct round *round, enum round_result result) {
    if (result == ROUND_WON) {
        allocator_free(op->session, round->v_old);
    } else {
        op->session->stats.clears_lost++;
    }
}

static void cleared_late(struct fusee_op *op, enum round_result result) { cleared(op, &op->open.round, result); }

static void expired(struct fusee_op *op, const struct round *round, enum round_result result) {
    if (result == ROUND_WON) {
        count_change(op, op->found, COUNT_NOTHING);
        allocator_free(op->session, round->v_old);
    } else if (round->object != NULL) {
        allocator_free(op->session, round->v_new);
    }
    if (result == ROUND_WON && round->object != NULL) {
        job_add(op->session, round->address, round->v_new);
    }
}

static void expired_late(struct fusee_op *op, enum round_result result) { expired(op, &op->open.round, result); }

/* A round that nobody waits for. True: *result is set. `object`: of the round, or NULL; gone when it was kept. */
static bool job_round(struct fusee_op *op, struct round *round, struct buffer **object, enum round_result *result) {
    enum dm_status status = round_run(op, round, result);
    if (status == DM_OK) {
        return true;
    }
    open_round_end_fn *ended = word_kind(round->v_old) == WORD_TOMBSTONE ? cleared_late : expired_late;
    struct buffer *kept = object != NULL ? *object : NULL;
    if (status == DM_UNKNOWN_OUTCOME && open_round_keep(op, round, kept, ended)) {
        if (object != NULL) {
            *object = NULL;
        }
    } else {
        count_doubt(op->session);
        pool_log(op->session->pool, DM_LOG_WARNING, "a clear round failed at %llx: %s",
                 (unsigned long long)round->address, dm_status_text(status));
    }
    return false;
}

static void clear_tombstone(struct fusee_op *op, uint64_t slot, uint64_t tombstone) {
    struct round round = {.address = slot, .v_old = tombstone, .v_new = word_emptied(tombstone), .slot = true};
    enum round_result result;
    if (job_round(op, &round, NULL, &result)) {
        cleared(op, &round, result);
    }
}

/* Of a space that was flushed. While a change is under way this client does not know all numbers. */
static bool is_left(const struct fusee_op *op, const struct object_header *header) {
    const struct space_view *view = &op->session->spaces;
    return !space_is_held(view) && space_of_number(view, header->space) == DM_SPACE_ALL;
}

static void tell_expired(struct dm_session *session, const struct object_header *header) {
    struct dm_key key = {object_key(header), header->key_length, space_of_number(&session->spaces, header->space)};
    if (session->expired_fn != NULL && key.space != DM_SPACE_ALL) {
        session->expired_fn(session->expired_context, &key);
    }
}

static bool is_expired(const struct fusee_op *op, const struct object_header *header) {
    const struct dm_env *env = op->session->env;
    return object_has_expired(header, env->wall_ms(env->context));
}

/* Writes the tombstone object of an expired one; its word goes to round->v_new. */
static bool prepare_tombstone(struct fusee_op *op, const struct object_header *expired, struct round *round,
                              struct buffer *into) {
    struct dm_session *session = op->session;
    struct dm_key key = {object_key(expired), expired->key_length, expired->space};
    uint8_t size_class = sizeclass_for(object_bytes(key.length, 0));
    struct slab_object place;
    bool waited;
    if (allocator_take(op, size_class, NEED_ESSENTIAL, &place, &waited) != DM_OK) {
        return false;
    }
    if (waited) { /* what was read may be old now: the next one to meet the expired key tries again */
        allocator_give_back(session, &place);
        return false;
    }
    round->v_new = word_make((struct word_parts){index_fingerprint(expired->hash), WORD_TOMBSTONE, place.size_class,
                                                 op_tag(op), place.address});
    struct object_content content = {.key = &key, .hash = expired->hash};
    round->object_bytes = object_fill(into->bytes, &content);
    object_seal(into->bytes, &(struct object_names){round->v_new,
                                                    round->address,
                                                    round->v_old,
                                                    0,
                                                    {place.next, ++session->log_sequence << 16 | session->client}});
    round->object = into->bytes;
    return true;
}

/* Deletes an expired key, or one that a flush has left, if exactly that word is still in the slot (trap T12). `object`
 * and `tombstone` are buffers of its class. */
static void expire_word(struct fusee_op *op, struct job job, struct buffer *object, struct buffer **tombstone) {
    struct location slot = op_locate(op, job.slot, 0);
    struct location at = op_locate(op, word_address(job.word), 0);
    uint32_t bytes = sizeclass_bytes(word_class(job.word));
    op_batch_init(op);
    dm_batch_read(&op->batch, slot.node, slot.offset, &op->slot_word, sizeof op->slot_word);
    if (op_execute(op) != DM_OK || op->slot_word != job.word) {
        return;
    }
    op_batch_init(op); /* behind the slot: the word may be old, and have come back (trap T3) */
    dm_batch_read(&op->batch, at.node, at.offset, object->bytes, bytes);
    const struct object_header *header = object_header(object->bytes);
    if (op_execute(op) != DM_OK || !object_whole(object->bytes, bytes, job.word)) {
        return;
    }
    bool left = is_left(op, header);
    if (!left && !is_expired(op, header)) {
        return;
    }
    op->numbered.space = header->space;
    op->found = count_object(header);
    struct round round = {.address = job.slot, .v_old = job.word, .v_new = word_emptied(job.word), .slot = true};
    op_work_on(op, job.slot);
    bool single = op_replicas(op) == 1;
    if (!single && !prepare_tombstone(op, header, &round, *tombstone)) {
        return;
    }
    enum round_result result;
    if (job_round(op, &round, single ? NULL : tombstone, &result)) {
        if (!left && result == ROUND_WON && header->type != OBJECT_TYPE_ABSENT) {
            op->session->stats.expired_keys++;
            tell_expired(op->session, header);
        }
        expired(op, &round, result);
    }
}

static void job_run(struct dm_session *session, struct job job) {
    struct fusee_op *op = op_begin(session, DM_KIND_CLEAR);
    if (op == NULL) {
        return;
    }
    if (word_kind(job.word) == WORD_TOMBSTONE) {
        clear_tombstone(op, job.slot, job.word);
    } else {
        uint32_t bytes = sizeclass_bytes(word_class(job.word));
        struct buffer *object = buffer_take(&session->buffers, bytes);
        struct buffer *tombstone = buffer_take(&session->buffers, bytes);
        if (object != NULL && tombstone != NULL) {
            expire_word(op, job, object, &tombstone);
        }
        if (tombstone != NULL) {
            buffer_give(&session->buffers, tombstone);
        }
        if (object != NULL) {
            buffer_give(&session->buffers, object);
        }
    }
    op_end(op);
}

void job_add(struct dm_session *session, uint64_t slot_address, uint64_t word) {
    struct job job = {slot_address, word};
    if (word_is_intent(word)) {
        return; /* it will not be there for long: who meets the expired key next notes it */
    }
    if (session->job_count == SESSION_JOBS_MAX) {
        job_run(session, job);
        return;
    }
    session->jobs[(session->job_head + session->job_count++) % SESSION_JOBS_MAX] = job;
}

void job_run_all(struct dm_session *session) {
    transaction_run_left(session);
    while (session->job_count != 0) {
        struct job job = session->jobs[session->job_head];
        session->job_head = (session->job_head + 1) % SESSION_JOBS_MAX;
        session->job_count--;
        job_run(session, job);
    }
}
