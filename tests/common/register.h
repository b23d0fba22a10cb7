/* register.h: is what one client sees of one key a linearizable register? For tests that break things: the only writer
 * of a key, who does one thing at a time and never writes the same number twice, tells what it did and what it was
 * answered. A write that was answered with an error, or not at all, may have happened, may happen at any later time, or
 * never, but only once; everything else must hold: what was acknowledged is there until something newer is, and what
 * was overwritten does not come back. Exact: it accepts what some order of the writes explains, and nothing else.
 *
 * Any thread, one at a time. */
#ifndef TESTS_REGISTER_H
#define TESTS_REGISTER_H

#include <stdbool.h>
#include <stdint.h>

#define REGISTER_OPEN_MAX 4096

struct register_history {
    uint64_t current;                 /* seen or acknowledged last; 0: absent */
    uint64_t open[REGISTER_OPEN_MAX]; /* written, outcome unknown, not seen yet */
    uint32_t open_count;
};

static inline void register_acknowledged(struct register_history *history, uint64_t value) { history->current = value; }

/* False: there is no room for more. */
static inline bool register_unknown(struct register_history *history, uint64_t value) {
    if (history->open_count == REGISTER_OPEN_MAX)
        return false;
    history->open[history->open_count++] = value;
    return true;
}

/* A read has answered `value`, 0: absent. False: it cannot be.
 *
 * Writes of unknown outcome are put into the order as late as possible: when they are seen. That is never worse than
 * earlier, because what has not been seen can always still come. */
static inline bool register_seen(struct register_history *history, uint64_t value) {
    if (value == history->current)
        return true;
    for (uint32_t i = 0; i < history->open_count; i++)
        if (history->open[i] == value) {
            history->open[i] = history->open[--history->open_count];
            history->current = value;
            return true;
        }
    return false;
}

#endif
