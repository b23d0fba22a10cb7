/* lease_watch.h: when is a lease over, for who looks at it from outside? Pure: clocks and words come from the caller.
 *
 * The word of a client that lives changes within its lease. It is over when the word has stayed the same for the lease
 * and a quarter, measured by the watcher's clock from the end of the look that first found it to the beginning of the
 * one that finds it still: so the client has known of it before, by its own clock, as long as clocks run at the same
 * speed within a quarter. What the watcher did not see it does not count: if it was away for long itself (paused,
 * starved, its host suspended), it begins again, for all.
 */
#ifndef LEASE_WATCH_H
#define LEASE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#define LEASE_WATCH_LOOKS_MIN 5u /* that found the same, one soon behind the other */

/* What a look has found in a client's record, and when. */
struct lease_sight {
    uint64_t owner, lease;
    uint32_t lease_ms; /* 0: it promises nothing */
    uint64_t began_ns, ended_ns;
};

/* One a client record; zero: nothing was seen yet. */
struct lease_watch {
    uint64_t owner, lease;
    uint64_t since_ns; /* end of the first look that found this */
    uint64_t last_ns;  /* end of the last one */
    uint32_t looks;    /* behind the first */
};

/* How long looks may be apart, for this lease. */
uint64_t lease_watch_gap_ns(uint32_t lease_ms);

/* Notes what was found; true: the lease is over. */
bool lease_watch_look(struct lease_watch *watch, const struct lease_sight *sight);

#endif
