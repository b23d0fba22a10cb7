/* bucket_state.h: the state of the bucket model and what its files share. For bucket*.c only. */
#ifndef MODEL_BUCKET_STATE_H
#define MODEL_BUCKET_STATE_H

#include <string.h>

#include "bucket.h"
#include "fusee/word.h"

#define NEVER_USED 0
enum form { FORM_EMPTY, FORM_FULL, FORM_PROVISIONAL, FORM_SPARE };
/* One for each slot, an old word of the first key, two of each key for repairers and the coordinator. */
#define INDEX_INITIAL 1
#define INDEX_OLD (INDEX_INITIAL + BUCKET_SLOTS_MAX)
#define INDEX_REPAIR (INDEX_OLD + 1)
#define INDEX_ATTEMPT (INDEX_REPAIR + 4)

enum phase {
    PHASE_IDLE, /* client: its next operation has not begun. Clearer: nothing to do */
    PHASE_SLOT,
    PHASE_BUCKETS,
    PHASE_CHOOSE, /* knows an empty slot is needed; which one is tried in all ways */
    PHASE_ROUND,
    PHASE_FIX,
    PHASE_MARK, /* insert of a read-modify-write: provisional -> live on the backups, before P */
    PHASE_PUBLISH,
    PHASE_ABORT_BACKUPS,
    PHASE_ABORT_PRIMARY,
    PHASE_WAIT,
    PHASE_LOOK,
    PHASE_CLEAR_PRIMARY, /* clear_primary_first only */
    PHASE_CLEAR_BACKUPS,
    PHASE_PUBLISHED, /* the CAS of P is done, its completion is not back yet; where a node may die */
    PHASE_RESOLVE,   /* a new epoch: was my round completed? */
    PHASE_LOWEST,    /* t4_lowest_stays only */
    PHASE_DONE,
    PHASE_GAVE_UP, /* after the last attempt */
    PHASE_DEAD,
    PHASE_REPAIR_P, /* the repairer */
    PHASE_REPAIR_L,
    PHASE_REPAIR_P2,
    PHASE_REPAIR_FILL,
    PHASE_REPAIR_SET,
    PHASE_REPAIR_PUBLISH,
    PHASE_FENCE, /* the coordinator */
    PHASE_DECIDE,
    PHASE_SETTLE,
    PHASE_EPOCH,
};

enum {
    FLAG_INSERT = 1,
    FLAG_GUESS = 2,    /* the batch READs P */
    FLAG_CONFLICT = 4, /* the check met another slot of the key */
    FLAG_PENDING = 8,  /* LOOK met the key on a backup */
    FLAG_REMOVE = 16,  /* t4_lowest_stays: the round removes a slot */
    FLAG_DYING = 32,   /* unfenced_late_cas: dead, but its batch is still under way */
    FLAG_SUSPECT = 64, /* backup_read_suspect: takes P for dead */
    FLAG_JOIN = 128,   /* the coordinator adds a node */
};

/* Verbs of PHASE_ROUND. Other phases number theirs by replica or slot. */
enum { VERB_CAS = 0, VERB_OBJECT = 3, VERB_READ_P = 4, VERB_CHECK = 5 };

struct process {
    uint8_t phase, op, attempt, slot;
    uint8_t v_old, p, flags, to; /* to: what the repairer writes */
    uint16_t mask;               /* verbs that have not been done */
    uint8_t seen[3];
    uint8_t view[BUCKET_SLOTS_MAX];
};
_Static_assert(sizeof(struct process) == 16, "packed");

struct bucket_state {
    uint32_t monitor;
    uint8_t slots[BUCKET_REPLICAS_MAX][BUCKET_SLOTS_MAX]; /* [0]: the primary */
    uint8_t known[BUCKET_SLOTS_MAX][BUCKET_KNOWN_MAX];    /* guesses, sorted; 0xff: none */
    uint8_t replicas;                                     /* of this epoch */
    uint8_t dead, fenced;                                 /* replicas, a bit each */
    uint8_t deaths, joins, lost;                          /* how many there were; lost: repairers and coordinators */
    uint8_t copied[4];                                    /* what each recovery word is a copy of */
    uint8_t reserved[6];
    uint64_t inserts;                             /* indices of the words whose prev is empty. Where a node may die */
    uint64_t chain;                               /* indices of the words that have been in P: what `prev` leads to.
                                                   * Where a node may die */
    struct process process[BUCKET_PROCESSES_MAX]; /* clients, then clearers, then the repairer */
};

_Static_assert(sizeof(struct bucket_state) == 96 + 16 * BUCKET_PROCESSES_MAX, "no padding: states are hashed whole");

struct word_info {
    uint64_t real; /* the word that the engine would write */
    uint8_t key;
    uint8_t value;
};

/* Beside enum monitor_kind: the job that deletes an expired value. */
#define KIND_EXPIRE 0

struct bucket {
    struct bucket_config config;
    struct monitor *monitor;
    struct explore *explore;
    uint32_t slots, clients, clearers, repairers, coordinators, processes;
    uint32_t repairer; /* the first; the coordinator is the last process */
    uint32_t ops[BUCKET_CLIENTS_MAX];
    struct monitor_op op[BUCKET_CLIENTS_MAX][BUCKET_OPS_MAX];
    uint8_t clearer[BUCKET_CLIENTS_MAX][BUCKET_OPS_MAX]; /* process that clears this DEL's tombstone */
    uint8_t initial[BUCKET_SLOTS_MAX];
    struct word_info words[256];
};

static inline bool without(const struct bucket *b, enum bucket_switch rule) { return b->config.without >> rule & 1; }
static inline uint8_t word_of(uint32_t index, enum form form) { return (uint8_t)(index << 2 | form); }
static inline uint8_t emptied(uint8_t word) { return word_of(word >> 2, FORM_EMPTY); }
static inline uint64_t real(const struct bucket *b, uint8_t word) { return b->words[word].real; }
static inline enum word_kind kind(const struct bucket *b, uint8_t word) { return word_kind(real(b, word)); }
static inline uint32_t bits_below(uint32_t count) { return (1u << count) - 1; }
static inline void process_enter(struct process *p, enum phase phase, uint32_t mask) {
    p->phase = (uint8_t)phase;
    p->mask = (uint16_t)mask;
}
static inline void process_finish(struct bucket_state *s, uint32_t c, uint8_t op) {
    memset(&s->process[c], 0, sizeof s->process[c]);
    s->process[c].op = op;
}
static inline bool is_client(const struct bucket *b, uint32_t c) { return c < b->clients; }
static inline const struct monitor_op *op_of(const struct bucket *b, const struct bucket_state *s, uint32_t c) {
    return &b->op[c][s->process[c].op];
}
static inline uint32_t own_index(const struct bucket *b, const struct bucket_state *s, uint32_t c) {
    (void)b;
    const struct process *p = &s->process[c];
    return INDEX_ATTEMPT + (c * BUCKET_OPS_MAX + p->op) * BUCKET_ATTEMPTS_MAX + p->attempt;
}
static inline bool live_of(const struct bucket *b, uint8_t word, uint8_t key) {
    return word_is_live(real(b, word)) && b->words[word].key == key;
}
static inline bool tombstone_of(const struct bucket *b, uint8_t word, uint8_t key) {
    return kind(b, word) == WORD_TOMBSTONE && b->words[word].key == key;
}

/* The value behind a live word; a recovery word's is that of the word that it copies. */
static inline uint8_t value_in(const struct bucket *b, const struct bucket_state *s, uint8_t word) {
    while (word >> 2 >= INDEX_REPAIR && word >> 2 < INDEX_ATTEMPT) {
        word = s->copied[(word >> 2) - INDEX_REPAIR];
    }
    return b->words[word].value;
}

#define NOBODY UINT32_MAX
static inline uint32_t owner_of(uint8_t word) {
    uint32_t index = word >> 2;
    return index < INDEX_ATTEMPT ? NOBODY : (index - INDEX_ATTEMPT) / (BUCKET_OPS_MAX * BUCKET_ATTEMPTS_MAX);
}
static inline bool is_dead(const struct bucket_state *s, uint8_t word) {
    uint32_t owner = owner_of(word);
    bool repairer = word >> 2 >= INDEX_REPAIR && word >> 2 < INDEX_ATTEMPT;
    return repairer || (owner != NOBODY && s->process[owner].phase == PHASE_DEAD);
}
static inline bool marks(const struct bucket *b, const struct bucket_state *s, uint32_t c) {
    uint8_t of = op_of(b, s, c)->kind;
    return is_client(b, c) && s->replicas > 1 && b->config.nodes != 0 && (s->process[c].flags & FLAG_INSERT) != 0 &&
           of != MONITOR_SET && !without(b, SWITCH_rmw_insert_unmarked);
}

/* bucket.c: "U2" is the word of client U's second operation, "U2'" of its second attempt, "empty(U2)" the empty word
 * that replaces it. In rotating buffers. */
const char *bucket_word_name(const struct bucket *b, uint8_t word);
const char *bucket_process_name(const struct bucket *b, uint32_t c);

/* bucket_verb.c: effects on the memory nodes. */
uint8_t bucket_cas(struct bucket *b, struct bucket_state *s, uint32_t c, uint32_t replica, uint8_t from, uint8_t to);
void bucket_verb(struct bucket *b, struct bucket_state *s, uint32_t c, uint32_t verb);
bool bucket_verb_enabled(const struct bucket *b, const struct bucket_state *s, uint32_t c, uint32_t verb);
bool bucket_object_whole(const struct bucket *b, const struct bucket_state *s, uint8_t word);
uint8_t bucket_new_word(const struct bucket *b, const struct bucket_state *s, uint32_t c);
/* What batch 1 puts on the backups: the same, or provisional. */
uint8_t bucket_round_word(const struct bucket *b, const struct bucket_state *s, uint32_t c);

/* bucket_find.c: how an operation finds its slot, and begins its attempts. */
void bucket_look(struct bucket *b, struct bucket_state *s, uint32_t c);
void bucket_found_view(struct bucket *b, struct bucket_state *s, uint32_t c);
void bucket_slot_read(struct bucket *b, struct bucket_state *s, uint32_t c);
void bucket_go_on_from(struct bucket *b, struct bucket_state *s, uint32_t c, uint8_t word);
void bucket_round_again(struct bucket *b, struct bucket_state *s, uint32_t c, uint8_t slot, uint8_t v_old,
                        uint8_t flags);

/* bucket_step.c: what a client decides when a batch has ended. */
void bucket_advance(struct bucket *b, struct bucket_state *s, uint32_t c);
void bucket_round(struct bucket *b, struct bucket_state *s, uint32_t c, uint8_t slot, uint8_t v_old, uint8_t flags);
void bucket_reply(struct bucket *b, struct bucket_state *s, uint32_t c, uint32_t result);
void bucket_primary_changed(struct bucket *b, struct bucket_state *s, uint32_t slot, uint8_t word);
void bucket_refuse(struct bucket *b, struct bucket_state *s, uint32_t c);

/* bucket_failover.c: nodes die and join; the coordinator fences, decides, settles, and publishes an epoch; what a
 * client makes of its open round afterwards. */
void bucket_failures(struct bucket *b, const struct bucket_state *s);
void bucket_settle_verb(struct bucket *b, struct bucket_state *s, uint32_t c, uint32_t verb);
void bucket_coordinate(struct bucket *b, const struct bucket_state *s, uint32_t c);
bool bucket_reaches(const struct bucket *b, const struct bucket_state *s, uint32_t c, uint32_t verb);
bool bucket_on_chain(const struct bucket *b, const struct bucket_state *s, uint32_t c);

/* bucket_decide.c: the word that each slot is settled to (protocol 3.7). Emits once for each choice there is. */
void bucket_decide(struct bucket *b, const struct bucket_state *s, uint32_t c);

/* bucket_repair.c: clients die and are fenced; other processes repair their rounds. */
bool bucket_can_die(const struct bucket *b, const struct bucket_state *s, uint32_t c);
void bucket_die(struct bucket *b, struct bucket_state *s, uint32_t c);
void bucket_repair_again(const struct bucket *b, struct bucket_state *s, uint32_t c);
void bucket_repair_verb(struct bucket *b, struct bucket_state *s, uint32_t c, uint32_t verb);
void bucket_repair_advance(struct bucket *b, struct bucket_state *s, uint32_t c);

#endif
