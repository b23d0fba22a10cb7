/* reuse_state.h: the state of the reuse model, shared by reuse.c and reuse_epoch.c. For those files only. */
#ifndef MODEL_REUSE_STATE_H
#define MODEL_REUSE_STATE_H

#include "monitor.h"
#include "reuse.h"

#define CLIENTS_MAX 4
#define OPS_MAX 3
#define ADDRESSES_MAX 4
#define VALUE_INITIAL 1
#define VALUE_OPS 2

enum phase {
    PHASE_IDLE,
    PHASE_ANNOUNCE, /* has announced itself, READs the epoch */
    PHASE_BEGIN,
    PHASE_BOTH, /* READ slot and the cached word's object, in parallel */
    PHASE_SLOT,
    PHASE_OBJECT,
    PHASE_TAKE, /* next: a new address */
    PHASE_ROUND,
    PHASE_PUBLISH,
    PHASE_WAIT,
    PHASE_DONE,
    PHASE_GAVE_UP,
};

enum { VERB_CAS = 0, VERB_OBJECT = 1, VERB_READ_P = 2 }; /* PHASE_ROUND */
enum { VERB_READ_SLOT = 0, VERB_READ_OBJECT = 1 };       /* PHASE_BOTH */
enum { PRIMARY = 0, BACKUP = 1 };

struct client {
    uint8_t phase, op, attempt, mask;
    uint8_t v_old, v_new, p, seen;
    uint8_t old_value; /* of v_old, for a read-modify-write */
    uint8_t cache_word, cache_value;
    uint8_t read_word, read_value; /* the object READ */
    /* Epochs: this client's view, what it announces (+ 1; 0 is idle), the view when its operation began, and that of
     * the operation which saw cache_word in P. */
    uint8_t view, announced, entry, cache_epoch;
    uint8_t reserved[3];
};

struct state {
    uint32_t monitor;
    uint8_t slot[2];
    uint8_t memory_word[ADDRESSES_MAX], memory_value[ADDRESSES_MAX]; /* the object in each address */
    uint8_t uses[ADDRESSES_MAX];                                     /* so far: the next tag */
    uint8_t used[ADDRESSES_MAX];
    uint8_t waits_for[ADDRESSES_MAX]; /* clients whose operation must end before reuse */
    uint8_t freed[ADDRESSES_MAX];     /* in which epoch */
    uint8_t epoch;
    uint8_t advancing; /* somebody has seen that nobody announces less; the CAS of the epoch comes later */
    uint8_t clock;     /* tag_clock only */
    uint8_t reserved[7];
    struct client client[CLIENTS_MAX];
};
_Static_assert(sizeof(struct client) == 20 && sizeof(struct state) == 40 + 20 * CLIENTS_MAX, "no padding");

struct reuse {
    struct reuse_config config;
    struct monitor *monitor;
    struct explore *explore;
    uint32_t clients;
    uint32_t ops[CLIENTS_MAX];
    struct monitor_op op[CLIENTS_MAX][OPS_MAX];
    bool by_value[CLIENTS_MAX][OPS_MAX];
};

/* reuse_epoch.c: the reclamation epoch, and what follows from it. */
void reuse_epoch_start(const struct reuse *m, struct state *s);
void reuse_epoch_expand(struct reuse *m, const struct state *s);
bool reuse_may_guess(const struct reuse *m, const struct client *p);
uint8_t reuse_tag(const struct reuse *m, const struct state *s, const struct client *p);
bool reuse_may_take(const struct reuse *m, const struct state *s, uint32_t address);

#endif
