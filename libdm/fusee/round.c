/* round.c: see round.h. */
#include "fusee/round.h"

#include "assert.h"
#include "fusee/chain.h"
#include "fusee/find.h"
#include "fusee/round_members.h"
#include "fusee/session.h"

#define ROUND_RETRY_FIRST_NS 1000000u

/* The word that a CAS may have met as its own. Only a word with an object of this attempt is certainly ours: the empty
 * word of a clear, and at r = 1 of a delete, is the same for everybody who removes that object (trap T5). */
static uint64_t own_word(const struct round *round) { return round->object != NULL ? round->v_new : round->v_old; }

/* Adds the WRITEs of the object to all its replicas. They come first, so that on a node that also holds the word the
 * object lies before the CAS in the chain. */
static void add_object(struct fusee_op *op, const struct round *round) {
    if (round->object == NULL) {
        return;
    }
    for (uint32_t j = 0; j < op_copies(op, word_address(round->v_new)); j++) {
        struct location at = op_locate(op, word_address(round->v_new), j);
        dm_batch_write(&op->batch, at.node, at.offset, round->object, round->object_bytes);
    }
}

/* Adds READs of both buckets of the key on replica `replica` of its subtable, into op->buckets[replica]. */
static void add_buckets(struct fusee_op *op, uint32_t replica) {
    for (uint32_t b = 0; b < 2; b++) {
        struct location at = op_locate(op, op_slot_address(op, op->place.first_slot[b]), replica);
        dm_batch_read(&op->batch, at.node, at.offset, op->buckets[replica][b], INDEX_COMBINED_BYTES);
    }
}

static enum dm_status report(struct fusee_op *op, const struct round *round, uint64_t seen) {
    count_doubt(op->session);
    pool_log(op->session->pool, DM_LOG_WARNING,
             "the word at %llx is %llx, but this client had won it from %llx: stopping this operation",
             (unsigned long long)round->address, (unsigned long long)seen, (unsigned long long)round->v_old);
    return DM_CORRUPT;
}

/* The word that the primary holds until the round ends. At r = 1 an insert stands in it already. */
static uint64_t primary_from(const struct fusee_op *op, const struct round *round) {
    return op_replicas(op) == 1 && round->insert ? word_with_kind(round->v_new, WORD_PROVISIONAL) : round->v_old;
}

/* CAS of the primary by the winner; cannot fail. Tried again it may find any word: mine was there, and then others'. */
static enum dm_status publish(struct fusee_op *op, const struct round *round, uint64_t to) {
    struct location at = op_locate(op, round->address, 0);
    uint64_t from = primary_from(op, round);
    op_batch_init(op);
    struct dm_op *cas = dm_batch_cas(&op->batch, at.node, at.offset, from, to);
    if (op_execute(op) != DM_OK) {
        return DM_UNKNOWN_OUTCOME;
    }
    return round->again || snapshot_mine(cas->result, from, to) ? DM_OK : report(op, round, cas->result);
}

/* CASes every backup from what it holds to `to`, where they differ. */
static enum dm_status set_backups(struct fusee_op *op, const struct round *round, uint64_t to) {
    struct dm_op *cas[SNAPSHOT_BACKUPS_MAX] = {NULL};
    op_batch_init(op);
    for (uint32_t i = 0; i + 1 < op_replicas(op); i++) {
        if (round->seen[i] != to) {
            struct location at = op_locate(op, round->address, i + 1);
            cas[i] = dm_batch_cas(&op->batch, at.node, at.offset, round->seen[i], to);
        }
    }
    if (op->batch.count != 0 && op_execute(op) != DM_OK) {
        return DM_UNKNOWN_OUTCOME;
    }
    for (uint32_t i = 0; i + 1 < op_replicas(op); i++) {
        if (cas[i] != NULL && !snapshot_mine(cas[i]->result, round->seen[i], to)) {
            return report(op, round, cas[i]->result);
        }
    }
    return DM_OK;
}

/* Insert only: is there another slot of this key, committed or not? Looks at the buckets READ behind the CAS. */
static enum dm_status check_insert(struct fusee_op *op, const struct round *round, uint32_t replica, bool *conflict) {
    return find_other_slot(op, replica, op_slot_number(op, round->address), conflict);
}

static void round_end(struct round *round, enum round_result result, enum round_result *out) {
    round->stage = ROUND_AT_END;
    *out = result;
}

/* Is the object whole before the CAS of the only copy in the same batch? Only if it has one replica, on that node. */
static bool shares_chain(const struct fusee_op *op, const struct round *round, struct location at) {
    return round->object == NULL || (op->batch.count == 1 && op->batch.ops[0].node == at.node);
}

/* r = 1, existing key: the CAS of the only copy decides. Its object must be whole before, so the CAS shares a chain
 * with the WRITE, or comes a batch later. */
static enum dm_status start_single_update(struct fusee_op *op, struct round *round, enum round_result *result) {
    struct location at = op_locate(op, round->address, 0);
    op_batch_init(op);
    add_object(op, round);
    if (!shares_chain(op, round, at)) {
        if (op_execute(op) != DM_OK) {
            return DM_UNKNOWN_OUTCOME;
        }
        op_batch_init(op);
    }
    struct dm_op *cas = dm_batch_cas(&op->batch, at.node, at.offset, round->v_old, round->v_new);
    if (op_execute(op) != DM_OK) {
        return DM_UNKNOWN_OUTCOME;
    }
    op->slot_word = cas->result;
    bool mine = snapshot_mine(cas->result, round->v_old, own_word(round));
    if (!mine && round->again) {
        enum chain_verdict verdict;
        enum dm_status status = chain_look(op, cas->result, round->v_old, round->v_new, &verdict);
        if (status != DM_OK) {
            return DM_UNKNOWN_OUTCOME;
        }
        op->session->stats.outcomes_proved += verdict != CHAIN_SILENT;
        mine = verdict == CHAIN_HAPPENED;
        if (mine && round->object == NULL) { /* or somebody else's, who has put the same empty word there */
            count_doubt(op->session);
        }
        if (verdict == CHAIN_SILENT) {
            round->stage = ROUND_AT_END;
            return DM_UNKNOWN_OUTCOME;
        }
    }
    round_end(round, mine ? ROUND_WON : ROUND_STALE, result);
    return DM_OK;
}

/* r = 1, new key: a provisional word, the check behind it, then the live word. */
static enum dm_status start_single_insert(struct fusee_op *op, struct round *round, enum round_result *result) {
    struct location at = op_locate(op, round->address, 0);
    uint64_t provisional = word_with_kind(round->v_new, WORD_PROVISIONAL);
    op_batch_init(op);
    add_object(op, round);
    struct dm_op *cas = dm_batch_cas(&op->batch, at.node, at.offset, round->v_old, provisional);
    add_buckets(op, 0);
    if (op_execute(op) != DM_OK) {
        return DM_UNKNOWN_OUTCOME;
    }
    if (snapshot_mine(cas->result, round->v_old, provisional)) {
        round->stage = ROUND_AT_CHECK;
    } else {
        round_end(round, ROUND_LOST, result);
    }
    return DM_OK;
}

/* What the backups' words mean for this round. */
static void judge(struct fusee_op *op, struct round *round, enum round_result *result) {
    uint32_t backups = op_replicas(op) - 1;
    /* Tried again, an empty word is certain to be mine too: nobody else clears what this client clears. */
    uint64_t own = round->again ? round->v_new : own_word(round);
    switch (round->guess ? snapshot_judge_guess(round->seen, backups, round->v_old, own, op->slot_word)
                         : snapshot_judge(round->seen, backups, round->v_old, own)) {
    case SNAPSHOT_STALE:
        round_end(round, ROUND_STALE, result);
        break;
    case SNAPSHOT_LOST:
        op->session->stats.conflicts_lost++;
        round_end(round, ROUND_LOST, result);
        break;
    case SNAPSHOT_FIX:
        op->session->stats.rounds_split++;
        round->stage = ROUND_AT_FIX;
        break;
    case SNAPSHOT_WON:
        round->stage = round->insert ? ROUND_AT_CHECK : ROUND_AT_PRIMARY;
        break;
    }
    for (uint32_t i = 0; i < backups; i++) {
        round->seen[i] = round->seen[i] == round->v_old ? round->v_new : round->seen[i];
    }
}

static enum dm_status start_replicated(struct fusee_op *op, struct round *round, enum round_result *result) {
    uint32_t backups = op_replicas(op) - 1;
    struct dm_op *cas[SNAPSHOT_BACKUPS_MAX];
    op_batch_init(op);
    add_object(op, round);
    for (uint32_t i = 0; i < backups; i++) {
        struct location at = op_locate(op, round->address, i + 1);
        cas[i] = dm_batch_cas(&op->batch, at.node, at.offset, round->v_old, round->v_new);
    }
    if (round->insert) {
        add_buckets(op, 1);
    }
    if (round->guess) {
        struct location at = op_locate(op, round->address, 0);
        dm_batch_read(&op->batch, at.node, at.offset, &op->slot_word, sizeof op->slot_word);
    }
    if (op_execute(op) != DM_OK) {
        return DM_UNKNOWN_OUTCOME;
    }
    for (uint32_t i = 0; i < backups; i++) {
        round->seen[i] = cas[i]->result;
        if (round->slot && !word_is_known(round->seen[i])) {
            return DM_INCOMPATIBLE; /* a newer version is at work here: stop, and touch nothing more */
        }
    }
    judge(op, round, result);
    return DM_OK;
}

static enum dm_status start(struct fusee_op *op, struct round *round, enum round_result *result) {
    if (op_replicas(op) > 1) {
        return start_replicated(op, round, result);
    }
    return round->insert ? start_single_insert(op, round, result) : start_single_update(op, round, result);
}

static void check(struct fusee_op *op, struct round *round) {
    bool single = op_replicas(op) == 1;
    bool conflict;
    round->failure = check_insert(op, round, single ? 0 : 1, &conflict);
    if (round->failure == DM_OK && !conflict) {
        round->stage = ROUND_AT_PRIMARY;
    } else { /* or it cannot tell: take it back */
        op->session->stats.insert_conflicts++;
        round->stage = single ? ROUND_AT_RETRACT : ROUND_AT_ABORT;
    }
}

/* One stage. */
static enum dm_status advance(struct fusee_op *op, struct round *round, enum round_result *result) {
    enum dm_status status = DM_OK;
    switch (round->stage) {
    case ROUND_AT_START:
        return start(op, round, result);
    case ROUND_AT_FIX:
        status = set_backups(op, round, round->v_new);
        if (status == DM_OK) {
            round->stage = round->insert ? ROUND_AT_CHECK : ROUND_AT_PRIMARY;
        }
        return status;
    case ROUND_AT_CHECK:
        check(op, round);
        for (uint32_t i = 0; i + 1 < op_replicas(op); i++) {
            round->seen[i] = round->v_new;
        }
        return DM_OK;
    case ROUND_AT_ABORT:
        status = set_backups(op, round, word_emptied(round->v_new));
        round->stage = status == DM_OK ? ROUND_AT_RETRACT : ROUND_AT_ABORT;
        return status;
    case ROUND_AT_RETRACT:
        status = publish(op, round, word_emptied(round->v_new));
        if (status == DM_OK) {
            round_end(round, ROUND_CONFLICT, result);
            status = round->failure;
        }
        return status;
    case ROUND_AT_PRIMARY:
        status = publish(op, round, round->v_new);
        if (status == DM_OK) {
            round_end(round, ROUND_WON, result);
        }
        return status;
    case ROUND_AT_END:
        break;
    }
    dm_assert(false);
    return DM_INVALID;
}

enum dm_status round_try(struct fusee_op *op, struct round *round, enum round_result *result) {
    bool resumed = round->again;
    *result = ROUND_LOST;
    op_work_on(op, round->address);
    if (round->members != op->session->members.word) {
        enum dm_status status = round_follow(op, round, result);
        if (status != DM_OK || round->stage == ROUND_AT_END) {
            return status;
        }
    }
    for (;;) {
        enum round_stage stage = round->stage;
        enum dm_status status = advance(op, round, result);
        if (status == DM_UNKNOWN_OUTCOME) {
            round->again = true;
            return status;
        }
        round->again = round->again && round->stage == stage;
        if (round->stage == ROUND_AT_END || status != DM_OK) {
            op->session->stats.rounds_resumed += resumed && round->stage == ROUND_AT_END;
            return status;
        }
    }
}

static enum dm_status run(struct fusee_op *op, struct round *round, enum round_result *result) {
    struct dm_session *session = op->session;
    enum dm_status status = round_try(op, round, result);
    if (status != DM_UNKNOWN_OUTCOME) {
        return status;
    }
    uint64_t since_ns = pool_clock_ns(session->pool);
    uint64_t now_ns = since_ns;
    while (status == DM_UNKNOWN_OUTCOME && round->stage != ROUND_AT_END && now_ns - since_ns < ROUND_RETRY_NS &&
           !session->watch.closing) {
        dm_coro_sleep(session->sched, ROUND_RETRY_FIRST_NS + (now_ns - since_ns) / 2);
        since_ns = round->members != session->members.word ? pool_clock_ns(session->pool) : since_ns;
        status = round_try(op, round, result);
        now_ns = pool_clock_ns(session->pool);
    }
    return status;
}

enum dm_status round_run(struct fusee_op *op, struct round *round, enum round_result *result) {
    round->members = op->members;
    round_enlist(op, round);
    enum dm_status status = run(op, round, result);
    round_delist(op, round);
    return status;
}

enum dm_status round_wait(struct fusee_op *op, uint64_t address, uint64_t v_old, uint64_t *moved_to) {
    struct location at = op_locate(op, address, 0);
    uint64_t deadline_ns = pool_clock_ns(op->session->pool) + ROUND_WAIT_MAX_NS;
    uint64_t seen_ns = pool_clock_ns(op->session->pool); /* the primary, for the last time */
    for (uint32_t turn = 0;; turn++) {
        op_batch_init(op);
        dm_batch_read(&op->batch, at.node, at.offset, &op->slot_word, sizeof op->slot_word);
        bool reached = op_execute(op) == DM_OK;
        if (reached && op->slot_word != v_old) {
            *moved_to = op->slot_word;
            return DM_OK;
        }
        seen_ns = reached ? pool_clock_ns(op->session->pool) : seen_ns;
        if (pool_clock_ns(op->session->pool) - seen_ns >= ROUND_RETRY_NS || op->members != op->session->members.word) {
            return DM_UNREACHABLE;
        }
        if (pool_clock_ns(op->session->pool) > deadline_ns) {
            pool_log(op->session->pool, DM_LOG_WARNING,
                     "the word at %llx has been held by another client's unfinished round for 10 s; that client has "
                     "probably died",
                     (unsigned long long)address);
            return DM_UNKNOWN_OUTCOME;
        }
        op_back_off(op, turn);
    }
}
