/* tx_state.h: the state of the transaction model and what its files share. For tx*.c only. */
#ifndef MODEL_TX_STATE_H
#define MODEL_TX_STATE_H

#include <string.h>

#include "tx.h"

enum form { FORM_LIVE, FORM_INTENT, FORM_PREPARED, FORM_CLEANED, FORM_COPY, FORM_EMPTY };
#define INDICES_MAX (1 + TX_CLIENTS_MAX * TX_OPS_MAX * TX_ATTEMPTS_MAX)
#define VALUE_INITIAL 1
#define VALUE_OPS 2       /* client c's operation i writes VALUE_OPS + 2c + i */
#define NOT_ITS_SLOT 0xff /* in prev */

enum phase {
    PHASE_IDLE,
    PHASE_COLLECT,  /* READ the slots of `part` at P */
    PHASE_LOOK,     /* likewise, and on the backups: an insert has lost or aborted */
    PHASE_PEEK,     /* GET: READ the other slots of an intent's transaction */
    PHASE_AWAIT,    /* writer: until no other slot of an intent's transaction shows the word it replaced */
    PHASE_AWAIT_ME, /* r = 1: until the prepared word has gone */
    PHASE_CHOOSE,   /* an insert tries all empty slots */
    PHASE_ROUND,
    PHASE_FIX,
    PHASE_RECHECK, /* tx_reads_checked_on_*: READ the slots only read again */
    PHASE_PUBLISH,
    PHASE_STATUS,    /* status word: CAS of the own one */
    PHASE_TAKE_OUT,  /* CASes the own intents to what the status says */
    PHASE_HELP,      /* CAS of a foreign status: undecided -> aborted */
    PHASE_REPLACE,   /* CAS of a foreign intent to what its status says */
    PHASE_LOOK_UP,   /* GET: READ the status */
    PHASE_PUBLISHED, /* done, the completion is not back yet; where a node may die */
    PHASE_ABORT_BACKUPS,
    PHASE_ABORT_PRIMARY,
    PHASE_WAIT,          /* until the primaries of the slots lost have moved */
    PHASE_HOLD,          /* tx_wait_holding only */
    PHASE_CLEAN_PRIMARY, /* tx_clear_p_first only */
    PHASE_CLEAN_BACKUPS,
    PHASE_RESOLVE, /* a new epoch */
    PHASE_DONE,
    PHASE_GAVE_UP,
    PHASE_DEAD,
    PHASE_REPAIR_LOOK, /* the repairer: READ P of all slots of the dead transaction */
    PHASE_REPAIR_P,
    PHASE_REPAIR_L,
    PHASE_REPAIR_P2,
    PHASE_REPAIR_FILL,
    PHASE_REPAIR_SET,
    PHASE_REPAIR_PUBLISH,
};

enum {
    FLAG_CONFLICT = 1, /* the check met another slot of the key */
    FLAG_PENDING = 2,  /* LOOK met the key on a backup */
    FLAG_CLEAN = 4,    /* the round cleans a slot, after the reply */
    FLAG_SECOND = 8,   /* MGET: view holds an earlier collect */
    FLAG_FORWARD = 16, /* repairer: the dead transaction is committed. Client: it has been told so */
    FLAG_PASSED = 32,  /* batch 2 was posted when a node died */
    FLAG_OLD = 64,     /* another slot showed the old word */
    FLAG_LOOKS = 128,  /* an insert was aborted: LOOK next */
};

struct process {
    uint8_t phase, op, attempt, flags;
    uint8_t part;                 /* slots that take part, a bit each */
    uint8_t met;                  /* word of the intent met */
    uint8_t at;                   /* its slot; clean and repair: the slot at work */
    uint8_t to;                   /* what the repairer writes */
    uint16_t mask;                /* verbs not done: 4 a slot */
    uint8_t lost;                 /* slots lost, a bit each */
    uint8_t inserts;              /* slots where the key is new, a bit each */
    uint8_t v_old[TX_SLOTS_MAX];  /* what the round replaces */
    uint8_t view[TX_SLOTS_MAX];   /* what was READ at P */
    uint8_t before[TX_SLOTS_MAX]; /* MGET: the collect before. ROUND: what B1 held */
    uint8_t second[TX_SLOTS_MAX]; /* ROUND: what B2 held */
};
_Static_assert(sizeof(struct process) == 28, "packed");

#define TX_PROCESSES_MAX (TX_CLIENTS_MAX + 1)

struct tx_state {
    uint32_t monitor;
    uint8_t slots[TX_REPLICAS_MAX][TX_SLOTS_MAX]; /* [0]: the primary */
    uint8_t replicas[TX_SLOTS_MAX];               /* of each slot, alive */
    uint8_t died;                                 /* a node has */
    uint8_t reserved[3];
    struct process process[TX_PROCESSES_MAX]; /* clients, then the repairer */
    uint8_t prev[INDICES_MAX][TX_SLOTS_MAX];  /* what the words of each attempt replace, while these can be met */
};
_Static_assert(sizeof(struct tx_state) <= EXPLORE_STATE_BYTES_MAX, "fits");
_Static_assert(sizeof(struct tx_state) == 24 + INDICES_MAX * TX_SLOTS_MAX + 28 * TX_PROCESSES_MAX, "no padding");

struct tx_op {
    struct monitor_op plan;
    char letter;
    bool many;          /* intents */
    uint8_t reads_only; /* keys, a bit each */
    uint8_t keys;
};

struct tx {
    struct tx_config config;
    struct monitor *monitor;
    struct explore *explore;
    uint32_t slots, clients, processes;
    uint32_t ops[TX_CLIENTS_MAX];
    struct tx_op op[TX_CLIENTS_MAX][TX_OPS_MAX];
    uint8_t key_of[TX_SLOTS_MAX];
    uint8_t initial[TX_SLOTS_MAX];
};

static inline bool without(const struct tx *t, enum tx_switch rule) { return t->config.without >> rule & 1; }
static inline uint8_t word_of(uint32_t index, enum form form) { return (uint8_t)(index << 3 | form); }
static inline uint32_t index_of(uint8_t word) { return word >> 3; }
static inline enum form form_of(uint8_t word) { return (enum form)(word & 7); }
static inline bool is_empty(uint8_t word) { return form_of(word) == FORM_EMPTY; }
static inline bool is_intent(uint8_t word) { return form_of(word) == FORM_INTENT; }
static inline uint32_t owner_of(uint8_t word) { return (index_of(word) - 1) / (TX_OPS_MAX * TX_ATTEMPTS_MAX); }
static inline const struct tx_op *op_of(const struct tx *t, const struct tx_state *s, uint32_t c) {
    return &t->op[c][s->process[c].op];
}
static inline const struct tx_op *op_behind(const struct tx *t, uint8_t word) {
    uint32_t i = (index_of(word) - 1) / TX_ATTEMPTS_MAX;
    return &t->op[i / TX_OPS_MAX][i % TX_OPS_MAX];
}
static inline uint32_t own_index(const struct tx_state *s, uint32_t c) {
    const struct process *p = &s->process[c];
    return 1 + (c * TX_OPS_MAX + p->op) * TX_ATTEMPTS_MAX + p->attempt;
}
static inline bool single(const struct tx_state *s, uint32_t slot) { return s->replicas[slot] == 1; }
static inline void process_enter(struct process *p, enum phase phase, uint32_t mask) {
    p->phase = (uint8_t)phase;
    p->mask = (uint16_t)mask;
}
static inline void process_finish(struct process *p, uint8_t op, uint8_t attempt) {
    memset(p, 0, sizeof *p);
    p->op = op;
    p->attempt = attempt;
}
/* Verb `i` of every slot in `part`. */
static inline uint32_t verbs(uint8_t part, uint32_t i) {
    uint32_t mask = 0;
    for (uint32_t slot = 0; slot < TX_SLOTS_MAX; slot++) {
        mask |= (part >> slot & 1u) << (4 * slot + i);
    }
    return mask;
}

/* tx.c */
void tx_emit(struct tx *t, const struct tx_state *s);
const char *tx_word_name(const struct tx *t, uint8_t word);
const char *tx_process_name(const struct tx *t, uint32_t c);
/* The value that `word` in this slot stands for, an intent's when committed. */
uint8_t tx_value(const struct tx *t, const struct tx_state *s, uint32_t slot, uint8_t word);
/* The slots of the transaction that wrote this intent or prepared word. */
uint8_t tx_slots(const struct tx *t, const struct tx_state *s, uint8_t word);
/* Does this word in this slot show that the transaction of index `x` has not passed it yet? */
bool tx_shows_old(const struct tx_state *s, uint32_t x, uint32_t slot, uint8_t word);
uint8_t tx_slots_of_keys(const struct tx *t, uint8_t keys);

/* tx_step.c: what a client decides when a batch has ended. */
void tx_advance(struct tx *t, struct tx_state *s, uint32_t c);
void tx_round(struct tx *t, struct tx_state *s, uint32_t c);
void tx_reply(struct tx *t, struct tx_state *s, uint32_t c, uint32_t result);
void tx_next_attempt(struct tx *t, struct tx_state *s, uint32_t c, enum phase phase);
void tx_look(struct tx_state *s, uint32_t c);
void tx_committed(struct tx *t, struct tx_state *s, uint32_t c);
/* What a won slot of this attempt goes back to. */
uint8_t tx_back_word(const struct tx *t, const struct tx_state *s, uint32_t index, uint32_t slot);

/* tx_read.c: what was READ, and how an operation goes on from it. */
void tx_collected(struct tx *t, struct tx_state *s, uint32_t c);
void tx_peeked(struct tx *t, struct tx_state *s, uint32_t c);
void tx_collect(struct tx *t, struct tx_state *s, uint32_t c);
void tx_answer(struct tx *t, struct tx_state *s, uint32_t c, uint32_t result);

/* tx_verb.c: effects on the memory nodes. */
void tx_verb(struct tx *t, struct tx_state *s, uint32_t c, uint32_t verb);
bool tx_verb_enabled(const struct tx *t, const struct tx_state *s, uint32_t c, uint32_t verb);
uint8_t tx_cas(struct tx *t, struct tx_state *s, uint32_t c, uint32_t slot, uint32_t replica, uint8_t from, uint8_t to);
uint8_t tx_new_word(const struct tx *t, const struct tx_state *s, uint32_t c, uint32_t slot);

/* tx_status.c: the older way at r = 1, intents with a status word. It is kept in prev, in a column of its own. */
#define STATUS_COLUMN 3
enum status { STATUS_UNDECIDED, STATUS_COMMITTED, STATUS_ABORTED };
static inline uint8_t *tx_status(struct tx_state *s, uint8_t word) { return &s->prev[index_of(word)][STATUS_COLUMN]; }
void tx_status_verb(struct tx *t, struct tx_state *s, uint32_t c, uint32_t verb);
void tx_status_advance(struct tx *t, struct tx_state *s, uint32_t c);
void tx_status_round_ended(struct tx *t, struct tx_state *s, uint32_t c, uint8_t lost);
void tx_status_mget(struct tx *t, struct tx_state *s, uint32_t c);

/* tx_repair.c: a client dies and is fenced; another process repairs its rounds. */
bool tx_can_die(const struct tx *t, const struct tx_state *s);
void tx_die(struct tx *t, struct tx_state *s);
void tx_repair_again(const struct tx *t, struct tx_state *s);
void tx_repair_verb(struct tx *t, struct tx_state *s, uint32_t c, uint32_t verb);
void tx_repair_advance(struct tx *t, struct tx_state *s, uint32_t c);

/* tx_failover.c: a memory node dies; the fence, the reports and the settling are one step. */
void tx_node_dies(struct tx *t, const struct tx_state *s);
void tx_resolved(struct tx *t, struct tx_state *s, uint32_t c);

#endif
