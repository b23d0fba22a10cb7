/* history.h: what clients saw, and whether some order explains it. Three checkers, each key for itself:
 *   - history_search: Wing and Gong's search with Lowe's memoisation, for all operations. Quick where orders abound;
 *   - history_sweep: all orders at once, end by end (Lowe's just-in-time linearization), for all operations. Quick
 *     where few operations overlap, whatever the search would try in vain;
 *   - history_zones: the zone test of Gibbons and Korach, O(n log n), for distinct-value SET/GET histories.
 * Pure; the simulator and its self-test call them.
 *
 * A value is an identity (64 bits) and a count of appends. An operation whose outcome is unknown may have taken effect
 * at any time after it began, or never.
 */
#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum history_kind {
    HISTORY_GET,    /* returns the value; identity 0 = absent */
    HISTORY_SET,    /* argument = identity; expire_ms */
    HISTORY_DELETE, /* returns whether it was there */
    HISTORY_INCR,   /* identity + 1, 1 if absent; returns it */
    HISTORY_APPEND, /* identity = history_mix(identity, argument), count + 1; returns the count */
    HISTORY_SETNX,  /* argument = identity; returns whether it was absent */
    HISTORY_GETSET, /* argument = identity; returns the old identity */
    HISTORY_GETDEL, /* returns the old identity, 0 if absent */
    HISTORY_FLUSH,  /* whatever is there goes */
};

#define HISTORY_OPEN UINT64_MAX

struct history_op {
    uint32_t key;
    uint8_t kind; /* enum history_kind */
    uint8_t client;
    bool unknown;
    uint64_t argument;
    uint64_t result, result_count;
    int64_t expire_ms;           /* SET; 0 = none */
    uint64_t began, ended;       /* positions in one sequence of all begins and ends; HISTORY_OPEN */
    int64_t wall_low_ms;         /* the lowest reading of its own clock while it ran: later expiries are in force */
    int64_t wall_high_ms;        /* the highest reading of any clock up to its end: earlier expiries may be over */
    uint64_t began_ns, ended_ns; /* virtual time, for people */
};

/* The value that an append makes. */
uint64_t history_mix(uint64_t identity, uint64_t token);

enum history_verdict { HISTORY_RIGHT, HISTORY_WRONG, HISTORY_TOO_HARD };

/* ops: of one key, in any order; sorted in place by `began`. *stuck: index of the operation that no order could pass,
 * when wrong. HISTORY_TOO_HARD: more than `limit` steps. */
enum history_verdict history_search(struct history_op *ops, uint32_t count, uint64_t limit, uint32_t *stuck);
enum history_verdict history_sweep(struct history_op *ops, uint32_t count, uint64_t limit, uint32_t *stuck);
/* The search, and where it gives up the sweep. */
enum history_verdict history_linearizable(struct history_op *ops, uint32_t count, uint64_t limit, uint32_t *stuck);

/* ops: GETs and SETs without expiry only, each value set once, none 0. */
bool history_zones_apply(const struct history_op *ops, uint32_t count);
enum history_verdict history_zones(const struct history_op *ops, uint32_t count);

void history_print(const struct history_op *op);

/* ---- The register, for the checkers ----------------------------------------------------------------------------- */

struct history_state {
    uint64_t identity, count; /* identity 0: absent */
    int64_t expire_ms;
};

/* What an operation makes of *state; false when its result or its clocks do not allow it. `absent`: treat an expired
 * value as gone; both ways may be allowed. */
bool history_step(const struct history_op *op, bool absent, struct history_state *state);
static inline bool history_state_equal(const struct history_state *a, const struct history_state *b) {
    return a->identity == b->identity && a->count == b->count && a->expire_ms == b->expire_ms;
}
/* With its result, it can do nothing but look: where it fits and leaves the state alone, it may take effect at once. (A
 * blind write of what is there may be needed later.) */
static inline bool history_looks(const struct history_op *op) {
    return op->kind != HISTORY_SET && op->kind != HISTORY_GETSET && op->kind != HISTORY_FLUSH;
}
uint64_t history_scramble(uint64_t x);
int history_compare_began(const void *a, const void *b);

#endif
