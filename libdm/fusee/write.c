/* write.c: see write.h. */
#include "fusee/write.h"

#include <string.h>

#include "assert.h"
#include "fusee/allocator.h"
#include "fusee/find.h"
#include "fusee/job.h"
#include "fusee/open_round.h"
#include "fusee/snapshot.h"

/* How an attempt ended, and where the next one begins. */
enum attempt_end {
    ATTEMPT_DONE,
    ATTEMPT_FROM_WORD, /* lost: the primary moved to another word */
    ATTEMPT_LOOK,      /* an insert lost or aborted */
    ATTEMPT_AGAIN,     /* it had to wait for memory: what it had read may be old */
};

struct attempt {
    enum dm_action action;
    struct dm_write write;
    bool blind;
    bool guess; /* v_old comes from a copy: the primary has not been read yet */
    uint16_t slot;
    uint64_t v_old, v_new;
    enum attempt_end end;
    uint64_t moved_to;
    bool may_answer; /* OK, if moved_to is a word of this key: the slot may have gone to another one meanwhile */
};

void write_value_of(const struct fusee_op *op, struct dm_value *out) {
    const struct object_header *header = object_header(op->object->bytes);
    *out = (struct dm_value){
        .bytes = object_value(op->object->bytes),
        .length = header->value_length,
        .type = header->type,
        .encoding = header->encoding,
        .expire_ms = header->expire_ms,
        .version = header->origin,
    };
}

bool write_value(const struct fusee_op *op, struct dm_value *out) {
    const struct dm_env *env = op->session->env;
    if (!object_shows(object_header(op->object->bytes), env->wall_ms(env->context))) {
        return false;
    }
    write_value_of(op, out);
    return true;
}

/* What was found shows nothing: has it expired? Then a job removes it. */
void write_note_expired(struct fusee_op *op) {
    const struct dm_env *env = op->session->env;
    if (object_has_expired(object_header(op->object->bytes), env->wall_ms(env->context))) {
        job_add(op->session, op_slot_address(op, op->slot), op->word);
    }
}

/* What this attempt is to do, from what find saw. DM_NOT_FOUND: a delete of nothing. */
static enum dm_status decide(struct fusee_op *op, const struct write_request *request, struct attempt *attempt) {
    struct dm_value value;
    bool live = op->result == FIND_LIVE;
    bool present = live && (request->write != NULL || write_value(op, &value));
    op->absence = (struct absence){0};
    if (op->object != NULL) {
        op->found = count_object(op->object->bytes);
    }
    if (live && request->fn != NULL && object_header(op->object->bytes)->type == OBJECT_TYPE_ABSENT) {
        const struct object_header *header = object_header(op->object->bytes);
        op->absence = (struct absence){header->origin, header->expire_ms};
    }
    attempt->blind = false;
    if (request->write != NULL) {
        attempt->action = DM_WRITE;
        attempt->write = *request->write;
        attempt->blind = true;
    } else if (request->remove) {
        attempt->action = present ? DM_DELETE : DM_KEEP;
    } else {
        attempt->write = (struct dm_write){0};
        attempt->action = request->fn(request->context, present ? &value : NULL, &attempt->write);
        if (attempt->action == DM_DELETE && !present) {
            attempt->action = DM_KEEP;
        }
    }
    if (!present && live && attempt->action == DM_KEEP) {
        write_note_expired(op);
    }
    if (!present && op->object != NULL && request->write == NULL) {
        find_release(op); /* it is not shown to the caller */
    }
    return request->remove && attempt->action == DM_KEEP ? DM_NOT_FOUND : DM_OK;
}

/* The slot and the word that this attempt replaces. */
static enum dm_status aim(struct fusee_op *op, struct attempt *attempt) {
    if (op->result != FIND_ABSENT) {
        attempt->slot = op->slot;
        attempt->v_old = op->word;
        return DM_OK;
    }
    struct index_view view = {op->place, (const uint64_t(*)[INDEX_COMBINED_SLOTS])op->buckets[0]};
    uint32_t start = (uint32_t)(op->hash >> 16) + op->rereads;
    attempt->slot = index_choose_empty(&view, start, &attempt->v_old);
    return attempt->slot == INDEX_NO_SLOT ? DM_NO_MEMORY : DM_OK;
}

static void drop_spare(struct fusee_op *op) {
    if (op->spare.address != 0) {
        allocator_give_back(op->session, &op->spare);
        op->spare.address = 0;
    }
}

/* Memory for the attempt's object. If it had to be waited for, it is kept for the next attempt: ATTEMPT_AGAIN. */
static enum dm_status take_place(struct fusee_op *op, struct attempt *attempt, uint8_t size_class,
                                 struct slab_object *out) {
    if (op->spare.address != 0 && op->spare.size_class >= size_class) {
        *out = op->spare;
        op->spare.address = 0;
        return DM_OK;
    }
    drop_spare(op);
    bool waited;
    bool essential = attempt->action == DM_DELETE || attempt->write.essential;
    enum dm_status status = allocator_take(op, size_class, essential ? NEED_ESSENTIAL : NEED_USUAL, out, &waited);
    if (status == DM_OK && waited) {
        op->spare = *out;
        attempt->end = ATTEMPT_AGAIN;
    }
    return status;
}

/* Allocates, fills and seals the object of this attempt; its word is attempt->v_new. */
static enum dm_status prepare(struct fusee_op *op, struct attempt *attempt, struct buffer **object, uint32_t *bytes) {
    struct dm_session *session = op->session;
    bool is_delete = attempt->action == DM_DELETE;
    struct object_content content = {.key = op->key, .hash = op->hash};
    uint64_t value_length = 0;
    if (!is_delete) {
        content.write = attempt->write;
        for (size_t i = 0; i < sizeof content.write.part / sizeof content.write.part[0]; i++) {
            value_length += content.write.part[i].length;
        }
    }
    uint8_t size_class = sizeclass_for(object_bytes(op->key->length, value_length));
    if (size_class > session->pool->class_max) {
        return DM_TOO_LARGE;
    }
    struct slab_object place;
    enum dm_status status = take_place(op, attempt, size_class, &place);
    if (status != DM_OK || attempt->end == ATTEMPT_AGAIN) {
        return status;
    }
    attempt->v_new = word_make((struct word_parts){
        .fingerprint = index_fingerprint(op->hash),
        .kind = is_delete        ? WORD_TOMBSTONE
                : attempt->blind ? WORD_LIVE_BLIND
                                 : WORD_LIVE_RMW,
        .size_class = place.size_class,
        .tag = op_tag(op),
        .address = place.address,
    });
    *object = buffer_take(&session->buffers, sizeclass_bytes(place.size_class));
    if (*object == NULL) {
        allocator_free(session, attempt->v_new);
        return DM_BUSY;
    }
    *bytes = object_fill((*object)->bytes, &content);
    object_seal((*object)->bytes, &(struct object_names){
                                      .self = attempt->v_new,
                                      .slot = op_slot_address(op, attempt->slot),
                                      .prev = attempt->v_old,
                                      .origin = !attempt->write.unchanged ? 0
                                                : op->object != NULL      ? object_header(op->object->bytes)->origin
                                                                          : op->absence.version,
                                      .log = {place.next, ++session->log_sequence << 16 | session->client},
                                  });
    op->version = object_header((*object)->bytes)->origin;
    return DM_OK;
}

/* What a won round leaves behind: the old object, cache and copy, a tombstone to clear. */
static void settle(struct fusee_op *op, const struct round *round) {
    struct dm_session *session = op->session;
    count_change(op, count_found(op), word_is_live(round->v_new) ? count_object(round->object) : COUNT_NOTHING);
    if (word_kind(round->v_old) != WORD_EMPTY) {
        allocator_free(session, round->v_old);
    }
    if (!word_is_live(round->v_new)) {
        cache_drop(&session->pool->cache, op->hash);
        copy_drop(&session->pool->copies, op->hash);
        if (word_kind(round->v_new) == WORD_TOMBSTONE) {
            job_add(session, round->address, round->v_new);
        }
        return;
    }
    session->stats.tombstones_reused += word_kind(round->v_old) == WORD_TOMBSTONE;
    uint16_t slot = op_slot_number(op, round->address);
    cache_store(&session->pool->cache, op->hash, slot, round->v_new, op->epoch);
    copy_store(&session->pool->copies, round->object, slot, round->v_new, op->epoch);
}

/* Nobody waits any more for this write. */
static void ended_late(struct fusee_op *op, enum round_result result) {
    if (result == ROUND_WON) {
        settle(op, &op->open.round);
    } else if (op->open.object != NULL) {
        allocator_free(op->session, op->open.round.v_new);
    }
}

static enum dm_status finish_lost(struct fusee_op *op, struct attempt *attempt, bool insert) {
    enum dm_status status = round_wait(op, op_slot_address(op, attempt->slot), attempt->v_old, &attempt->moved_to);
    if (status != DM_OK) {
        return status;
    }
    if (insert) {
        attempt->end = ATTEMPT_LOOK;
        return DM_OK;
    }
    attempt->may_answer = snapshot_loser_may_answer(attempt->blind, attempt->moved_to);
    attempt->end = ATTEMPT_FROM_WORD;
    return DM_OK;
}

/* Books what became of a guess. */
void write_note_guess(struct fusee_op *op, bool stale) {
    struct dm_session_stats *stats = &op->session->stats;
    *(stale ? &stats->guesses_stale : &stats->guesses_right) += 1;
    copy_note(&op->session->pool->copies, op->hash, stale ? COPY_STALE : COPY_RIGHT);
}

/* What the attempt's round has come to, and where the next attempt begins. */
static enum dm_status conclude(struct fusee_op *op, struct attempt *attempt, bool insert, enum round_result result) {
    switch (result) {
    case ROUND_CONFLICT:
        attempt->end = ATTEMPT_LOOK;
        return DM_OK;
    case ROUND_STALE: /* nobody is ahead of this write, so nobody answers for it (trap T2) */
        attempt->moved_to = op->slot_word;
        attempt->end = ATTEMPT_FROM_WORD;
        return DM_OK;
    default:
        return finish_lost(op, attempt, insert);
    }
}

static enum dm_status attempt_run(struct fusee_op *op, struct attempt *attempt) {
    struct dm_session *session = op->session;
    struct buffer *object = NULL;
    struct round round = {.slot = true, .guess = attempt->guess, .insert = op->result == FIND_ABSENT};
    attempt->end = ATTEMPT_DONE;
    enum dm_status status = aim(op, attempt);
    if (status != DM_OK) {
        return status;
    }
    if (attempt->action == DM_DELETE && op_replicas(op) == 1) {
        attempt->v_new = word_emptied(attempt->v_old); /* one replica needs no tombstone */
    } else {
        status = prepare(op, attempt, &object, &round.object_bytes);
        if (status != DM_OK || attempt->end == ATTEMPT_AGAIN) {
            return status;
        }
        round.object = object->bytes;
    }
    round.address = op_slot_address(op, attempt->slot);
    round.v_old = attempt->v_old;
    round.v_new = attempt->v_new;
    enum round_result result;
    status = round_run(op, &round, &result);
    if (status == DM_OK && result == ROUND_WON) {
        settle(op, &round);
    }
    bool has_object = object != NULL;
    bool kept = status == DM_UNKNOWN_OUTCOME && open_round_keep(op, &round, object, ended_late);
    if (status == DM_UNKNOWN_OUTCOME && !kept) {
        count_doubt(session);
    }
    if (has_object && !kept) {
        buffer_give(&session->buffers, object);
    }
    if (has_object && result != ROUND_WON && (status == DM_OK || result == ROUND_CONFLICT)) {
        allocator_free(session, attempt->v_new); /* otherwise it is in a slot, or may be */
    }
    if (status != DM_OK) {
        return status;
    }
    if (attempt->guess) {
        write_note_guess(op, result == ROUND_STALE);
    }
    return result == ROUND_WON ? DM_OK : conclude(op, attempt, round.insert, result);
}

/* Not when the copy may be of a word that has come back (trap T3), and not where guesses are mostly wrong. */
bool write_guess(struct fusee_op *op, enum find_want want, enum guess_need need) {
    struct dm_session *session = op->session;
    struct copy copy;
    if (!copy_find(&session->pool->copies, op->hash, op->key, &copy) || (need == GUESS_VALUE && !copy.whole)) {
        return false;
    }
    if (!copy_is_certain(&copy, op->epoch)) {
        session->stats.guesses_old++;
        return false;
    }
    if (copy.score >= COPY_SCORE_SKIP) {
        copy_note(&session->pool->copies, op->hash, COPY_SKIPPED);
        return false;
    }
    op->found = count_object(copy.data);
    if (need != GUESS_SLOT) {
        op->object = buffer_take(&session->buffers, sizeof copy.data);
        if (op->object == NULL) {
            return false;
        }
        memcpy(op->object->bytes, copy.data, sizeof copy.data);
    }
    op->slot = copy.slot;
    op->word = copy.word;
    op->want = want;
    op->result = FIND_LIVE;
    op->by_slot = true;
    op->step = FIND_DONE;
    return true;
}

static enum dm_status write_attempts(struct fusee_op *op, const struct write_request *request) {
    enum find_want want = request->fn == NULL ? FIND_FOR_PUT : FIND_FOR_WRITE;
    struct attempt attempt = {.may_answer = false};
    enum guess_need need = request->write != NULL ? GUESS_SLOT : request->remove ? GUESS_HEADER : GUESS_VALUE;
    attempt.guess = write_guess(op, want, need);
    if (!attempt.guess) {
        find_start(op, want, true);
    }
    for (;;) {
        enum dm_status status = find_run(op);
        if (status == DM_OK && attempt.may_answer && op->result == FIND_LIVE && op->word == attempt.moved_to) {
            op->session->stats.conflicts_blind_ok++;
            return DM_OK;
        }
        attempt.may_answer = false;
        if (status == DM_OK) {
            status = decide(op, request, &attempt);
        }
        if (attempt.guess && attempt.action == DM_KEEP) { /* nothing would show whether the copy is current: look */
            attempt.guess = false;
            find_start(op, want, true);
            continue;
        }
        if (status != DM_OK || attempt.action == DM_KEEP) {
            return status;
        }
        status = attempt_run(op, &attempt);
        attempt.guess = false;
        if (status != DM_OK || attempt.end == ATTEMPT_DONE) {
            return status;
        }
        op->session->stats.retries++;
        switch (attempt.end) {
        case ATTEMPT_FROM_WORD:
            find_start_from(op, attempt.moved_to);
            break;
        case ATTEMPT_LOOK:
            find_release(op);
            status = find_look(op);
            if (status != DM_OK) {
                return status;
            }
            break;
        default:
            op->foreign_word_count = 0;
            find_start(op, want, true);
            break;
        }
    }
}

enum dm_status write_run(struct fusee_op *op, const struct write_request *request) {
    if (op->session->stats.rounds_open >= OPEN_ROUNDS_MAX) {
        return DM_UNREACHABLE;
    }
    enum dm_status status = write_attempts(op, request);
    drop_spare(op);
    return status;
}
