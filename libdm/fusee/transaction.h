/* transaction.h: several keys read and written at once: prepare on the backups of all slots, publish on all primaries.
 * The verbs; who decides what is written is the caller (libdm/transact.c). Inside a coroutine, but for what is said.
 *
 *   1: every replica of each object: WRITE      every backup of each slot: CAS g -> intent
 *      r = 1: the only copy: CAS g -> prepared    an insert: behind that of B1 READ both buckets
 *      B1 of every slot mine, other backups not: CAS those from what they hold               (one batch more)
 *      a slot lost, or an insert's check met the key elsewhere: ABORT
 *   2: the primary of every slot: CAS g -> intent (r = 1: prepared -> intent); cannot fail. Then the reply.
 *   CLEAN, off the request path: each slot: CAS its backups, then its primary: intent -> the same word without
 *      "intent", or, where the key is deleted, the unique empty word. Lost: somebody has replaced it, good.
 *   ABORT: each slot won: CAS its backups, then its primary, to a copy of what it held, under a word of its own: never
 *      the old word again, because losers wait for the primary to move. Then, holding nothing, wait for the slots lost.
 *
 * Every key that is read or written gets an intent, so reads are locked, too. There is no status word: a transaction is
 * committed when none of its primaries shows the word that it replaces (intent.h). Nobody but its owner, or the repair
 * of its owner when that is dead, ends a transaction. Every step may be repeated when its outcome is unknown.
 */
#ifndef FUSEE_TRANSACTION_H
#define FUSEE_TRANSACTION_H

#include "fusee/session.h"

#define TRANSACTION_SLOTS_INSIDE 8u /* in each intent's object; more lie in an object of their own */

struct transaction_part {
    struct fusee_op *op;
    struct dm_key key; /* as the caller named it, and its hash */
    uint64_t hash;
    /* what the caller decides */
    enum dm_action action;
    struct buffer *written; /* DM_WRITE: the new object, filled */
    /* what the transaction does about it */
    uint16_t slot;
    bool unchanged; /* by what was written: its version stays */
    bool guess, insert, removes, has_place, has_back;
    bool tried, won, cleaned;
    uint64_t address;                    /* of the slot */
    uint64_t v_old, v_new;               /* v_new: the intent */
    uint64_t v_back;                     /* in an abort */
    uint64_t found;                      /* in the primary */
    uint64_t seen[SNAPSHOT_BACKUPS_MAX]; /* on the backups; r = 1: [0] is the only copy */
    struct slab_object place, back_place;
    struct buffer *object, *back;
    uint32_t object_bytes, back_bytes;
};

enum transaction_stage {
    TRANSACTION_AT_START,
    TRANSACTION_AT_FIX,
    TRANSACTION_AT_CHECK,
    TRANSACTION_AT_PRIMARY,
    TRANSACTION_AT_CLEAN,
    TRANSACTION_AT_CLEAN_FIX,
    TRANSACTION_AT_CLEAN_PRIMARY,
    TRANSACTION_AT_COPY,
    TRANSACTION_AT_ABORT,
    TRANSACTION_AT_RETRACT,
    TRANSACTION_AT_END,
};

struct transaction {
    struct transaction *next; /* of the session's list: those that go on by themselves */
    struct transaction *next_of_all, *previous_of_all;
    struct dm_session *session;
    struct fusee_op *lead; /* whose batches these are; it holds the epoch until nothing of the transaction is left */
    struct buffer *memory; /* of this struct */
    enum transaction_stage stage;
    bool again;       /* this stage was tried before, and what became of it is unknown */
    bool posted;      /* something of this attempt may have been */
    bool undone;      /* because the nodes that count change (transaction_members.c); */
    uint64_t members; /* those by which it stands where it stands */
    bool ordered;     /* slot by slot, so that two transactions cannot abort each other for ever */
    bool conflict;    /* an insert's check has met the key */
    bool committed;
    bool apart; /* the slots lie in an object of their own: */
    bool has_slots_place;
    struct slab_object slots_place;
    uint64_t slots_word;
    struct buffer *slots;
    uint32_t slots_bytes;
    enum dm_status failure; /* of the batches since the last look */
    uint32_t cas_count;     /* in the batch under way: */
    struct transaction_cas {
        struct transaction_part *part;
        struct dm_op *op;
        uint64_t *result; /* NULL: this client has won the word, the CAS cannot fail */
        uint32_t replica;
    } cas[DM_BATCH_OPS];
    /* the caller's (libdm/transact.c) */
    bool blind;            /* no values are wanted */
    struct buffer *aside;  /* written, and written over by the same caller */
    struct fusee_op **ops; /* of the parts, for many.h */
    enum dm_status *statuses;
    bool *changed;
    uint32_t count;
    struct transaction_part parts[];
};

/* Slots, memory and sealed objects of an attempt; every part's op has found its key, and the caller has decided.
 * *again: memory had to be waited for, what was found may be old. Errors leave nothing behind. */
enum dm_status transaction_prepare(struct transaction *tx, bool *again);

/* The stage behind a lost slot: READs what the slots won hold, and seals copies of it. */
enum dm_status transaction_copy_old(struct transaction *tx);

/* Gives back what prepare has taken and no slot names. `used`: the attempt has been posted. */
void transaction_unprepare(struct transaction *tx, bool used);

/* Goes on until the reply is due (committed), or the abort has ended (TRANSACTION_AT_END). DM_UNKNOWN_OUTCOME: nodes
 * cannot be reached; call again. DM_CORRUPT: given up. */
enum dm_status transaction_try(struct transaction *tx);

/* Hands a transaction over that has replied, or that has not ended: it goes on by itself from here. */
void transaction_leave(struct transaction *tx);

/* Goes on with all that were left, as far as nodes can be reached. */
void transaction_run_left(struct dm_session *session);

/* From its first attempt to transaction_free. */
void transaction_enlist(struct transaction *tx);

/* Nothing of the session is under way: before the nodes that count change to `word`. A transaction that has not begun
 * to publish has never been: its intents give way to what they have replaced, which no one can mind who waits, because
 * all begin again. One that has is published on all primaries that are left. Repeatable. */
enum dm_status transaction_rest(struct transaction *tx, uint64_t word);

/* Behind the change: where does it stand now? */
void transaction_follow(struct transaction *tx);

/* What a committed one, and one that was taken back under other words, leave behind. */
void transaction_settled(struct transaction *tx);
void transaction_retracted(struct transaction *tx);

static inline uint32_t transaction_replicas(const struct transaction *tx, const struct transaction_part *part) {
    return op_copies(tx->lead, part->address);
}
static inline bool transaction_is_single(const struct transaction *tx, const struct transaction_part *part) {
    return transaction_replicas(tx, part) == 1;
}

/* Ends an operation's part in everything: ops, buffers. */
void transaction_free(struct transaction *tx);

#endif
