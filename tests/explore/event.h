/* event.h: what can happen next in a world, as the search sees it, and which two of these do not commute. Pure.
 *
 * An event is one verb at one node (or a half of one), or a client's beginning, end, awakening or death. Two events
 * of different clients commute unless they touch a common byte and one of them changes it; a compare-and-swap that
 * failed is a READ. The end of one operation and the beginning of another client's do not commute either: what comes
 * after what is what linearizability is about.
 */
#ifndef EXPLORE_EVENT_H
#define EXPLORE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

enum event_kind {
    EVENT_BEGIN,   /* an operation is called: its first batch is posted */
    EVENT_VERB,    /* a verb, or a half of one, takes effect */
    EVENT_WAKE,    /* a client that only looks, again and again, looks again: something has changed for it */
    EVENT_TIMEOUT, /* it gives up: nothing else can happen, and a client has died */
    EVENT_END,     /* an operation returns */
    EVENT_CRASH,   /* the client dies: nothing more of what it has posted takes effect */
};

struct range {
    uint16_t node;
    uint32_t offset, length;
};

#define EVENT_RANGES_MAX 24

/* The client and a number that counts its events in the order in which they become possible: the same in all
 * executions in which it has seen the same. */
#define EVENT_ID(client, ordinal) ((uint16_t)((client) << 14 | (ordinal)))
#define EVENT_CLIENT(id) ((id) >> 14)
#define EVENT_ORDINAL_MAX 0x3ff0u
#define EVENT_ORDINAL_CRASH 0x3fffu

struct event {
    uint16_t id;
    uint8_t client;
    uint8_t kind;
    uint16_t step;   /* of the client; a batch is one step. CRASH: the last one with an effect */
    uint8_t piece;   /* VERB: which of its batch, */
    bool changes;    /* it has changed memory, */
    uint64_t behind; /* and the pieces of the batch that must come before it */
    bool audible;    /* BEGIN, END: of an operation in the history */
    bool heals;      /* BEGIN: of a repair, which only a death makes possible */
    uint8_t range_count;
    struct range ranges[EVENT_RANGES_MAX]; /* touched */
};

enum relation {
    RELATION_NONE,    /* they commute */
    RELATION_ORDERED, /* the second one could not have come first */
    RELATION_RACE,    /* the other order may lead elsewhere */
};

/* Of an event and a later one. */
enum relation event_relation(const struct event *first, const struct event *second);

/* Do two events that are possible in one state depend on each other? */
bool event_depends(const struct event *a, const struct event *b);

void event_copy(struct event *to, const struct event *from);

#endif
