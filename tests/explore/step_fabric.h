/* step_fabric.h: a fabric whose verbs take effect one by one, when the explorer says so: an endpoint that is stepped
 * holds its batch until all pieces of it have been carried out, in any order that fabric.h allows and in no other.
 * An endpoint that is not stepped carries its batches out at once. All in the arena; one thread.
 */
#ifndef EXPLORE_STEP_FABRIC_H
#define EXPLORE_STEP_FABRIC_H

#include "event.h"
#include "fabric/fabric.h"

#define STEP_NODES_MAX 5u
#define STEP_PIECES_MAX 64u

/* A verb, or a half of it. */
struct piece {
    uint16_t op;
    uint32_t offset, length;
    uint64_t behind; /* a bit a piece: those that the fabric's order puts before it */
};

/* The batch that waits; at most one a client, because a client has one coroutine. */
struct flight {
    struct dm_batch *batch; /* NULL: none */
    struct dm_coro *coro;
    uint32_t count;
    uint64_t done; /* a bit a piece */
    struct piece pieces[STEP_PIECES_MAX];
};

struct step_endpoint {
    struct dm_endpoint head;
    bool stepped;
    bool dead; /* nothing takes effect any more, everything fails */
    struct flight flight;
};

struct step_fabric {
    struct dm_fabric head;
    uint8_t *memory[STEP_NODES_MAX];
    bool torn; /* READs and WRITEs of more than 8 bytes come in two halves, in any order */
    const char *fault;
    void *context;
    void (*swapped)(void *context, const struct dm_op *cas); /* a CAS has just changed a word */
};

struct step_fabric *step_fabric_open(const struct dm_env *env, uint32_t nodes, uint64_t node_bytes);

static inline bool flight_is_possible(const struct flight *flight, uint32_t piece) {
    return (flight->done >> piece & 1) == 0 && (flight->pieces[piece].behind & ~flight->done) == 0;
}
static inline bool flight_is_over(const struct flight *flight) {
    return flight->done == (flight->count == 64 ? UINT64_MAX : (UINT64_C(1) << flight->count) - 1);
}

/* Carries a piece out, and says what it has touched: fills event->ranges and event->changes. */
void flight_apply(struct step_endpoint *endpoint, uint32_t piece, struct event *event);

/* All pieces are done: its coroutine is ready. */
void flight_land(struct step_endpoint *endpoint);

/* The endpoint is dead from now on; what waits fails, and its coroutine is ready. */
void step_endpoint_kill(struct step_endpoint *endpoint);

#endif
