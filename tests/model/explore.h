/* explore.h: breadth-first search over all states of a small model. Knows nothing of slots or protocols; used by the
 * models of this folder, one thread.
 *
 * A model gives a start state and, for a state, all its successors: it copies the state, changes the copy, and hands
 * it to explore_emit. Visited states are kept as 64-bit hashes (two states that share one would be taken for one: at
 * ten million states the chance is 3 in a million), the frontier as full states. The way to each state is kept as
 * (parent, number of the successor), so that a violation is replayed as a list of steps: the shortest one, as the
 * search is breadth-first.
 */
#ifndef MODEL_EXPLORE_H
#define MODEL_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define EXPLORE_STATE_BYTES_MAX 512

struct explore;

struct explore_model {
    void *context;
    uint32_t state_bytes;
    void (*start)(struct explore *explore, void *context, void *state);
    void (*expand)(struct explore *explore, void *context, const void *state);
    /* A state without successors: what is wrong with it, or NULL. */
    const char *(*judge_end)(void *context, const void *state);
};

enum explore_verdict { EXPLORE_RIGHT, EXPLORE_VIOLATED, EXPLORE_CUT };

struct explore_result {
    enum explore_verdict verdict;
    uint64_t states, transitions, ends; /* ends: states without successors */
    uint32_t depth;
    double seconds;
    char violation[160];
};

struct explore_limits {
    uint64_t states;       /* more are not looked at: EXPLORE_CUT */
    double seconds;        /* likewise */
    bool every_state_ends; /* also check that each state can still reach an end: keeps all transitions */
    FILE *trace;           /* the counterexample goes here; NULL: nowhere */
};

struct explore_result explore_run(const struct explore_model *model, const struct explore_limits *limits);

/* For models, while they expand a state. */
void explore_emit(struct explore *explore, const void *state);
/* The step that is emitted next breaks a rule. The first text counts. */
void explore_violate(struct explore *explore, const char *text);
/* Adds to the text of the step that is emitted next; does nothing unless a counterexample is being told. */
void explore_say(struct explore *explore, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
