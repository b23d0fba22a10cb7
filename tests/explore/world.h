/* world.h: a small pool with four gateways (U, V, W and X, a process each) on the step fabric, all of it in the arena,
 * and operations of theirs that run to their end at once. Every client has a clock, a wall clock and a generator of its
 * own, so that nothing but the nodes' memory connects two of them. One at a time, one thread. */
#ifndef EXPLORE_WORLD_H
#define EXPLORE_WORLD_H

#include "dm.h"
#include "step_fabric.h"

#define WORLD_CLIENTS 4u
#define WORLD_OBSERVER 3u /* X: prepares, looks at the end, takes no part in between */
#define WORLD_CALLS_MAX 8u
#define WORLD_KEYS 3u /* k, r, t */
#define WORLD_WATCHES_MAX EVENT_RANGES_MAX
#define MS UINT64_C(1000000) /* in ns */

enum call_kind {
    CALL_GET,
    CALL_SET,
    CALL_DEL,
    CALL_INCR,
    CALL_SETNX,
    CALL_GETSET,
    CALL_GETDEL,
    CALL_JOBS,   /* what the client owes: clears, expiries */
    CALL_REPAIR, /* once another client has died: ends its open rounds; begins only then */
    CALL_KIND_COUNT
};
extern const char *const call_names[CALL_KIND_COUNT];

struct client;

struct call {
    struct client *client;
    uint8_t kind;
    uint8_t key;
    uint64_t number; /* to write; never 0 */
    int64_t expire_ms;
    enum dm_status status;
    bool ended;
    uint64_t seen;               /* old value; 0: absent */
    uint64_t made;               /* INCR: new value */
    uint64_t began_at, ended_at; /* positions among all begins and ends; 0: not yet */
    uint32_t length;
    char text[24];
};

/* Where a stepped client stands between two events. */
enum turn {
    TURN_OUT,    /* no call to make, or none left */
    TURN_BEGIN,  /* its next call may begin */
    TURN_FLIGHT, /* pieces of its batch are under way */
    TURN_WAIT,   /* it would look again, but nothing has changed since it last did */
    TURN_END,    /* its call has a result and may return */
    TURN_DEAD,
};

struct sight {
    struct range range;
    bool changed;
};

struct client {
    struct world *world;
    uint32_t index;
    struct dm_env env;
    uint64_t now_ns, random;
    struct dm_pool *pool;
    struct dm_sched *sched;
    struct dm_session *session;
    struct step_endpoint *endpoint;

    struct call calls[WORLD_CALLS_MAX];
    uint32_t call_count, call_next; /* calls[call_next] is under way, or to begin */

    /* player.c */
    enum turn turn;
    uint16_t ordinal;      /* of its next event */
    uint16_t turn_ordinal; /* of its beginning, awakening or end, if that comes next */
    uint16_t first_piece;  /* ordinal of the first piece of its batch */
    uint16_t step;
    uint16_t effect_step; /* the last one that changed memory, in this call; 0: none */
    uint32_t watch_count;
    struct sight watches[WORLD_WATCHES_MAX]; /* what it has read since it last slept or changed something */
};

struct world {
    uint32_t replicas;
    struct dm_env env; /* of the fabric */
    struct step_fabric *fabric;
    struct client clients[WORLD_CLIENTS];
    char keys[WORLD_KEYS][16];
    uint64_t initial[WORLD_KEYS]; /* values at the beginning; 0: absent */
    uint64_t marked;              /* a word that the preparation has remembered */
    int64_t wall_ms;
    uint64_t sequence; /* of begins and ends */
    int crashed;       /* client that has died; -1: none */
    bool repaired;     /* and what it had begun has been ended */
    bool may_crash;
    bool quiet;      /* clients are being ended by force: what they log does not count */
    char fault[256]; /* the first thing that went wrong; empty: nothing */
};

/* Notes what is wrong, if it is the first. */
void world_fault(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* In the arena, which must be open. Every client has memory and knows nothing of the keys. */
struct world *world_open(uint32_t replicas, uint32_t nodes);

/* Makes a call of a client that is not stepped, from its beginning to its end. */
void world_call(struct client *client, struct call *call);

/* Housekeeping of all clients for so long. */
void world_pass(struct world *world, uint64_t ns);

/* Starts the call's coroutine; it has ended, or its client's batch waits, or the client sleeps. */
void world_spawn(struct client *client, struct call *call);

/* Lets time go on until the client's coroutine has ended or waits for a batch; true if it has slept. */
bool world_run_client(struct client *client);

/* A name for keys[which] so that an insert of it would now go to the same slot as one of k. */
void world_name_rival(struct world *world, uint32_t which);
/* A name for keys[which] with the fingerprint of k, and one bucket of k's. */
void world_name_twin(struct world *world, uint32_t which);

/* Global addresses, words and objects as they lie in memory. */
uint8_t *world_at(const struct world *world, uint64_t address, uint32_t replica);
uint64_t world_word(const struct world *world, uint64_t address, uint32_t replica);
uint64_t world_slot(const struct world *world, uint16_t slot); /* one subtable */

#endif
