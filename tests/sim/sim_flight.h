/* sim_flight.h: batches on their way through the simulated network, inside the sim provider: sim_fabric.c posts them,
 * sim_flight.c lets them happen, sim_fault.c breaks them. */
#ifndef SIM_FLIGHT_H
#define SIM_FLIGHT_H

#include "sim_fabric.h"

#define WORD_BYTES 8u

enum event_kind { EVENT_PIECE, EVENT_ENDED };

/* A batch on its way. */
struct flight {
    struct flight *next, *previous; /* those under way, or those that are late */
    struct sim_endpoint *endpoint;  /* until it is delivered */
    int client;
    struct dm_batch *batch;              /* the caller's; behind its delivery a copy of its own */
    uint32_t events;                     /* in the heap */
    uint64_t cut_ns[SIM_NODES_MAX];      /* pieces behind this time are lost */
    bool mute[SIM_NODES_MAX];            /* its answers are lost */
    uint32_t incarnation[SIM_NODES_MAX]; /* of the nodes when it was posted */
    uint64_t end_ns[DM_BATCH_OPS];       /* last piece of each operation */
    uint64_t ended_ns;
    bool abandoned; /* its client is dead */
    bool delivered; /* ... to its client, who has been told of an error; pieces that are left arrive all the same */
};

struct sim_event {
    uint64_t time_ns;
    uint32_t tie;
    uint16_t op;
    uint16_t kind;
    uint32_t offset, length; /* of the piece in the operation */
    struct flight *flight;
};

struct sim_endpoint {
    struct dm_endpoint head;
    int client;
    uint32_t incarnation[SIM_NODES_MAX]; /* of the nodes that it is connected to */
    struct flight *done;                 /* ended, not yet polled; in order */
    struct flight **done_end;
    struct memory_piece *pieces;
};

struct flight *flight_take(struct sim_fabric *fabric);
void flight_give(struct sim_fabric *fabric, struct flight *flight);
/* Its client has been told: buffers and operations are the client's again. */
void flight_detach(struct sim_fabric *fabric, struct flight *flight);
void flight_push(struct sim_fabric *fabric, struct sim_event event);
void flights_free(struct sim_fabric *fabric);
/* A client connects to a node again: what was left of its chains there is lost. */
void flights_cut_late(struct sim_fabric *fabric, int client, uint32_t node);

/* What the next chain of an endpoint to a node will meet. */
/* Is this client dead, and nothing of it left under way? */
bool sim_fault_is_over(const struct sim_fabric *fabric, int client);
enum sim_link sim_fault_link(const struct sim_fabric *fabric, const struct sim_endpoint *endpoint, uint32_t node);

#endif
