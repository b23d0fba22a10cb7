/* session.h: one thread's client of the pool, and the state of one operation. Internal to the engine. */
#ifndef FUSEE_SESSION_H
#define FUSEE_SESSION_H

#include "fusee/buffer.h"
#include "fusee/count.h"
#include "fusee/index.h"
#include "fusee/lease.h"
#include "fusee/limbo.h"
#include "fusee/members.h"
#include "fusee/object.h"
#include "fusee/pool.h"
#include "fusee/repair.h"
#include "fusee/round.h"
#include "fusee/slab.h"
#include "fusee/space.h"
#include "fusee/word.h"

#define SESSION_JOBS_MAX 1024 /* tombstones and expired keys waiting for their round, off the request path */
#define EPOCH_RING 16         /* four, and some: the epoch may jump when the nodes that count change */

/* A round that somebody owes, off the request path. */
struct job {
    uint64_t slot; /* global address */
    uint64_t word; /* a tombstone: clear it. Live: it has expired: delete it if it is still there */
};

struct fusee_op;

struct dm_session {
    struct dm_pool *pool;
    const struct dm_env *env;
    struct dm_sched *sched;
    struct dm_endpoint *endpoint;
    struct layout layout; /* the pool's, of the nodes that count for this session */
    struct members members;
    struct buffer_pool buffers;
    struct fusee_op *free_ops;

    /* memory */
    struct slab slab;
    struct limbo limbo;
    uint64_t *foreign; /* objects in others' blocks, to be marked in their free maps */
    uint32_t foreign_count, foreign_capacity;
    uint64_t foreign_epoch;   /* that the first of them was noted in */
    bool memory_busy;         /* a coroutine is in the allocator's slow path */
    bool memory_low;          /* the last count found only the reserve */
    uint32_t essential_waits; /* deletes that wait for memory */
    bool has_empty;           /* a block may have become empty */
    uint64_t shed_until_ns;   /* somebody ran out of memory: give up what we do not need, */
    bool give_up;             /* and once, of this class, also what we would use next */
    uint8_t give_up_class;
    uint64_t reserve_block; /* number + 1 of the block that deletes have taken from the reserve; 0 = none */
    uint64_t collected_ns[SIZECLASS_COUNT];
    uint64_t counted_ns; /* last census of the blocks */
    uint64_t refused_until_ns[SIZECLASS_COUNT];
    uint32_t region_cursor;
    uint64_t log_sequence;

    /* reclamation */
    uint16_t client;
    uint64_t client_nonce;
    bool seated;                    /* `client` is a seat that this session holds */
    bool enlisted;                  /* the record is its own */
    uint64_t announced_word;        /* as last written */
    uint64_t epoch;                 /* as last read, */
    uint64_t epoch_seen_ns;         /* and when it was first read */
    uint64_t pressure_seen;         /* last value of the pressure word */
    uint64_t repairs;               /* the word of repairs as last read: not before the last tick or announcement */
    uint32_t clients_active;        /* that announced themselves at the last tick */
    bool announced;                 /* our announce word is not "idle" */
    bool retiring;                  /* "idle" is being written */
    uint32_t in_flight[EPOCH_RING]; /* operations by the epoch in which they began */
    uint32_t in_flight_total;
    struct space_view spaces;
    struct counts counts;

    /* time and housekeeping */
    uint64_t now_ns; /* refreshed by polls and every few operations */
    uint32_t now_uses;
    uint64_t tick_ns; /* when the next one is due */
    uint64_t operations_at_tick;
    uint64_t operations;
    uint32_t idle_ticks;
    bool maintaining;
    bool housekeeping_fails; /* the last one did, which was logged */
    struct job jobs[SESSION_JOBS_MAX];
    uint32_t job_head, job_count;
    bool jobs_running;
    struct round *rounds;             /* under way, or open */
    struct transaction *all;          /* transactions that have been posted and have not ended */
    struct transaction *transactions; /* that go on by themselves (transaction.h) */
    uint64_t transactions_ns;         /* when they are tried next */
    struct transaction *view;         /* whose function runs now: data calls act on its keys (transact.c) */
    struct fusee_op *open_rounds;     /* open_round.h, a list by next_free */
    uint64_t open_round_ns;           /* when they are tried next */
    struct watch watch;
    struct lease lease;

    enum dm_status refusal; /* why op_begin has answered NULL */
    struct dm_session_stats stats;
    struct dm_node_latency *node_latency; /* one a node */
    uint32_t batches_untimed;
    dm_expired_fn *expired_fn; /* NULL: nobody wants to know */
    void *expired_context;
    struct dm_cost last_cost;
};

enum find_step { FIND_SLOT, FIND_OTHER, FIND_BUCKETS, FIND_OBJECTS, FIND_INTENT, FIND_DONE };
enum find_result { FIND_ABSENT, FIND_LIVE, FIND_TOMBSTONE };
enum find_want {
    FIND_FOR_READ,  /* value; tombstones do not matter */
    FIND_FOR_WRITE, /* value or tombstone */
    FIND_FOR_PUT,   /* the slot only: the key is compared, the value not fetched */
};

/* A note that a key is absent, and watched (OBJECT_TYPE_ABSENT). */
struct absence {
    uint64_t version; /* 0: none was found */
    int64_t until_ms;
};

struct candidate {
    uint16_t slot;
    uint64_t word;
    struct buffer *object;
};

#define INTENT_REMOVED_MAX 8 /* slots of one key that show "deleted" at a time */

/* intent.c: the transaction behind an intent that an operation has met. */
struct intent_look {
    uint64_t word;         /* the intent, */
    uint16_t slot;         /* where it was met */
    struct buffer *object; /* of the intent */
    struct buffer *apart;  /* with the slots of the transaction, if the object has not got them */
    struct buffer *old;    /* object of what the intent replaced; for readers */
    struct buffer *words;  /* what other slots show: INTENT_AT_A_TIME */
    uint32_t next, posted; /* slots looked at; in this batch */
    uint32_t turn;
    uint64_t deadline_ns;
    uint64_t removed[INTENT_REMOVED_MAX]; /* intents known to be committed, and to mean that there is no such key */
    uint32_t removed_count;
    uint64_t witness_address, witness_word; /* a slot that has shown that the transaction was open; address 0: none */
};

/* What a round that ended by itself leaves to be done. */
typedef void open_round_end_fn(struct fusee_op *op, enum round_result result);

/* See open_round.h. */
struct open_round {
    struct round round;
    struct buffer *object;
    open_round_end_fn *ended;
    struct dm_key key; /* in `object` */
};

/* One operation, in registered memory (its words and buckets are local ends of READs). Taken and given back in last
 * in, first out order from the session's list. */
struct fusee_op {
    struct fusee_op *next_free;
    struct dm_session *session;
    enum dm_kind kind;
    struct dm_cost cost;
    uint64_t epoch;    /* in which it began */
    uint64_t members;  /* the nodes that count for it; it ends when those of its session change */
    uint32_t replicas; /* of the word that it is at work on */
    uint64_t now_ns;

    const struct dm_key *key;   /* under the number of its space: `numbered`, or an object's */
    const struct dm_key *asked; /* the caller's; NULL: none */
    struct dm_key numbered;
    uint64_t hash;
    struct index_place place;
    uint64_t subtable; /* global address */

    /* find.c */
    enum find_want want;
    enum find_step step;
    enum find_result result;
    uint16_t slot;         /* of the result, or the one to look at next */
    uint64_t word;         /* of the result, or the one to look at next */
    uint64_t cached_word;  /* FIND_SLOT: the slot came from the cache with this word, */
    uint8_t score;         /* so stale, */
    bool bypass;           /* and therefore its object is not fetched beside it */
    struct buffer *object; /* of the result */
    bool by_slot;          /* `slot` alone showed the result; else both buckets did */
    enum count_as found;   /* where `object` is not there any more, or never was: what it was */
    uint32_t rereads;
    struct candidate candidates[INDEX_CANDIDATES_MAX];
    uint32_t candidate_count;
    uint64_t foreign_words[INDEX_CANDIDATES_MAX]; /* known to be other keys' */
    uint32_t foreign_word_count;

    struct intent_look intent;

    struct absence absence;   /* write.c: found in the place of a value, */
    uint64_t version;         /* and of the object that was sealed last */
    struct slab_object spare; /* write.c: taken for an attempt that had to begin again; address 0 = none */
    struct open_round open;

    uint64_t slot_word;
    uint64_t buckets[LAYOUT_REPLICAS_MAX][2][INDEX_COMBINED_SLOTS]; /* the primary's, then the backups' */
    struct dm_batch batch;
};

/* ---- op.c ------------------------------------------------------------------------------------------------------ */

/* Begins an operation: takes an op, announces the session if it was idle, counts it into the current epoch.
 * NULL: session->refusal says why. Inside a coroutine. */
struct fusee_op *op_begin(struct dm_session *session, enum dm_kind kind);
/* Points it at a key; behind op_begin without waiting, because the spaces' numbers hold for this operation. */
void op_set_key(struct fusee_op *op, const struct dm_key *key);
/* Begins another operation beside `lead`, in its epoch, for a caller that runs them together: never waits. NULL: no
 * memory. */
struct fusee_op *op_begin_beside(const struct fusee_op *lead);
/* Ends it and books its cost. */
void op_end(struct fusee_op *op);
/* The same in two steps: books the cost; what the operation does from here on is off the request path. */
void op_book(struct fusee_op *op);

/* One key's part of an operation on many keys, in the epoch of `lead`, which stays in flight longer. NULL: as above. */
struct fusee_op *op_begin_part(struct fusee_op *lead);
void op_end_part(struct fusee_op *lead, struct fusee_op *op);
/* Its own batches so far become the cost of `lead`. */
void op_join_cost(struct fusee_op *lead, struct fusee_op *op);

/* Ends one of many that share the batches of another, which books them all. */
void op_give(struct fusee_op *op);

/* Another operation in the epoch of `op`, off the request path, with the same buckets and nothing else of its.
 * NULL: no memory. */
struct fusee_op *op_clone(const struct fusee_op *op);

/* An operation that waits for memory leaves its epoch meanwhile, because it would hold up the grace period that it
 * waits for. Behind op_enter it knows nothing any more of what it has read: words may have been used again. */
void op_leave(struct fusee_op *op);
enum dm_status op_enter(struct fusee_op *op);

/* Posts op->batch and waits. DM_OK, or DM_UNREACHABLE when an operation of it failed; also, with nothing posted, when
 * the nodes that count have changed since the operation began. */
enum dm_status op_execute(struct fusee_op *op);
/* The same for a batch that was filled just now, of no operation. */
void session_execute(struct dm_session *session, struct dm_batch *batch);
/* The same for a batch that belongs to no operation, booked as maintenance. */
void session_maintain_begin(struct dm_session *session, struct dm_batch *batch);
enum dm_status session_maintain(struct dm_session *session, struct dm_batch *batch);
/* Has nothing happened (DM_UNREACHABLE) because the nodes that count have changed? Then it is to begin again. */
bool op_may_go_on(const struct fusee_op *op, enum dm_status status);

static inline void op_batch_init(struct fusee_op *op) { dm_batch_init(&op->batch, &op->cost); }

static inline struct location op_locate(const struct fusee_op *op, uint64_t address, uint32_t replica) {
    return layout_locate(&op->session->layout, address, replica);
}
static inline uint32_t op_copies(const struct fusee_op *op, uint64_t address) {
    return layout_replicas(&op->session->layout, address);
}
static inline uint64_t op_slot_address(const struct fusee_op *op, uint16_t slot) {
    return op->subtable + index_slot_offset(slot);
}
static inline uint16_t op_slot_number(const struct fusee_op *op, uint64_t address) {
    return (uint16_t)((address - op->subtable - INDEX_CONTROL_BYTES) / sizeof(uint64_t));
}
/* Of the words of the objects that this operation allocates (trap T3). */
static inline uint8_t op_tag(const struct fusee_op *op) { return op->epoch & WORD_TAG_MASK; }
/* Of the word that the operation is at work on. */
static inline uint32_t op_replicas(const struct fusee_op *op) { return op->replicas; }
static inline void op_work_on(struct fusee_op *op, uint64_t address) { op->replicas = op_copies(op, address); }

/* A random delay that grows with `turn`, to let others finish. */
void op_back_off(struct fusee_op *op, uint32_t turn);

#endif
