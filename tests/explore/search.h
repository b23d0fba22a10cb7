/* search.h: all executions of a program that differ in what they can lead to: a stateless depth-first search over the
 * events of a world, with source-set dynamic partial-order reduction (Abdulla, Aronis, Jonsson, Sagonas, POPL 2014)
 * and sleep sets. Executions that differ only in the order of events that commute (event.h) are run once.
 *
 * Each execution begins at the arena's mark. When two events of it race (they do not commute, nothing between them
 * orders them, and the second could have come first), the search comes back to where the first was played and takes a
 * way that leads to the other order. After each event with an effect the client may also die.
 *
 * For the self-test, which compares the outcomes: without reduction everything that is possible is tried everywhere,
 * and a walk is one execution at random.
 */
#ifndef EXPLORE_SEARCH_H
#define EXPLORE_SEARCH_H

#include "program.h"

struct search_options {
    bool crash; /* one client may die, at any event */
    bool unreduced;
    uint32_t walks; /* not all executions, but so many at random */
    bool tell;      /* on a fault: print the schedule */
    double seconds; /* no more than this; 0: no limit */
};

struct search_result {
    uint64_t schedules; /* carried out to the end and checked */
    uint64_t pruned;    /* given up in the middle: equal to another one */
    uint64_t crashed;   /* of the schedules: with a death */
    uint64_t unknown;   /* of these: somebody else did not learn what became of his call */
    uint64_t events;    /* played for the first time */
    uint32_t deepest;   /* events of the longest */
    uint32_t pages;
    uint64_t guessed_right, guessed_stale, lost, split, conflicts, blind_ok, clears_lost, reused; /* of all clients */
    bool cut; /* the time was over before the search was */
    double seconds;
    char fault[256];    /* of the first schedule that is wrong; empty: none is */
    uint64_t *outcomes; /* sorted, all different; the caller frees them */
    uint32_t outcome_count;
};

struct search_result search_run(const struct program *program, uint32_t replicas, const struct search_options *options);

/* The events of the execution under way: for one that ends in an abort. */
void search_print_path(void);

#endif
