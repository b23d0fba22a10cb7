/* limbo.h: objects that were unlinked and wait for their grace period (trap T3). No I/O; one session, one thread.
 *
 * Frees go into an open segment. A tick seals it with the reclamation epoch that was read *after* the frees,. A
 * segment is ripe when the epoch has advanced twice since: every client's operations began later.
 *
 *   ring of addresses:   [ ripe? | sealed e=7 | sealed e=8 | open ]
 */
#ifndef FUSEE_LIMBO_H
#define FUSEE_LIMBO_H

#include <stdbool.h>
#include <stdint.h>

#include "dm.h"

#define LIMBO_SEGMENTS 256

struct limbo_segment {
    uint64_t end; /* position behind its last entry */
    uint64_t epoch;
};

struct limbo {
    const struct dm_env *env;
    uint64_t *ring;
    uint64_t capacity, head, tail; /* head: next to leave; positions grow for ever */
    struct limbo_segment segments[LIMBO_SEGMENTS];
    uint32_t first_segment, segment_count;
};

bool limbo_open(struct limbo *limbo, const struct dm_env *env);
void limbo_close(struct limbo *limbo);

/* false: no memory for a longer ring (the object leaks until the next check of the pool). */
bool limbo_push(struct limbo *limbo, uint64_t address);

/* Seals what was pushed up to position `end` (a value of limbo->tail from before `epoch` was read). Does nothing when
 * there is nothing new, or too many segments wait. */
void limbo_seal(struct limbo *limbo, uint64_t end, uint64_t epoch);

/* The next address whose grace period is over. */
bool limbo_pop(struct limbo *limbo, uint64_t epoch, uint64_t *address);

static inline uint64_t limbo_count(const struct limbo *limbo) { return limbo->tail - limbo->head; }

#endif
