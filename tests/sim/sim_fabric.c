/* sim_fabric.c: see sim_fabric.h. Posting, endpoints, opening; what happens afterwards is sim_flight.c's. */
#include "sim_fabric.h"

#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "sim_flight.h"

#define PIECES_MAX 4
#define HEADER_WORDS 10u /* many operations come apart near their beginning */

struct memory_piece {
    struct memory_piece *next;
    uint8_t padding[56];
};

/* ---- Posting ---------------------------------------------------------------------------------------------------- */

static uint64_t draw_latency(struct sim_fabric *fabric, uint32_t node) {
    const struct sim_net *net = &fabric->net;
    uint64_t latency = net->latency_ns + prng_below(&fabric->prng, net->latency_spread_ns + 1);
    if (prng_below(&fabric->prng, 1000) < net->tail_permille) {
        latency += prng_below(&fabric->prng, net->tail_ns + 1);
    }
    return latency * net->factor[node];
}

/* When the operations of a chain so far have taken effect, by kind. */
struct chain {
    bool begun;
    bool breaks, late; /* late: its client is told of the error before the rest of it arrives */
    uint64_t arrival_ns, write_ns, atomic_ns, read_ns, end_ns;
};

static uint64_t later(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* The earliest start that the contract allows. */
static uint64_t op_earliest(const struct dm_op *op, const struct chain *chain) {
    uint64_t start = later(chain->arrival_ns, chain->write_ns);
    if (op->kind != DM_OP_WRITE) {
        start = later(start, chain->atomic_ns);
    }
    if ((op->flags & DM_OP_FENCE) != 0) {
        start = later(start, later(chain->atomic_ns, chain->read_ns));
    }
    return start + 1;
}

/* Cuts an operation into pieces, in order or from the end, each later than the one before. Returns the last's time. */
static uint64_t op_schedule(struct sim_fabric *fabric, struct flight *flight, uint32_t index, uint64_t start_ns) {
    struct dm_op *op = &flight->batch->ops[index];
    uint32_t cuts[PIECES_MAX + 1] = {0};
    uint32_t pieces = 1;
    if (op->length > WORD_BYTES && prng_below(&fabric->prng, 1000) < fabric->net.tear_permille) {
        uint32_t head = (uint32_t)(-op->remote % WORD_BYTES);
        uint32_t wanted = 2 + (uint32_t)prng_below(&fabric->prng, PIECES_MAX - 1);
        for (pieces = 0; pieces + 1 < wanted;) {
            uint32_t words = (op->length - cuts[pieces]) / WORD_BYTES;
            words = words > HEADER_WORDS && prng_chance(&fabric->prng, 50) ? HEADER_WORDS : words;
            uint32_t cut = cuts[pieces] + (uint32_t)prng_below(&fabric->prng, words + 1) * WORD_BYTES;
            cut += pieces == 0 ? head : 0;
            if (cut <= cuts[pieces] || cut >= op->length) {
                break;
            }
            cuts[++pieces] = cut;
        }
        pieces++;
    }
    cuts[pieces] = op->length;
    bool backwards = prng_chance(&fabric->prng, 25);
    uint64_t time_ns = start_ns;
    for (uint32_t k = 0; k < pieces; k++) {
        uint32_t p = backwards ? pieces - 1 - k : k;
        time_ns += k == 0 ? 0 : 1 + prng_below(&fabric->prng, fabric->net.gap_ns + 1);
        flight_push(fabric, (struct sim_event){.time_ns = time_ns,
                                               .op = (uint16_t)index,
                                               .kind = EVENT_PIECE,
                                               .offset = cuts[p],
                                               .length = cuts[p + 1] - cuts[p],
                                               .flight = flight});
    }
    return time_ns;
}

static void chain_begin(struct sim_fabric *fabric, struct chain *chain, const struct sim_endpoint *endpoint,
                        uint32_t node) {
    const struct sim_net *net = &fabric->net;
    chain->begun = true;
    flights_cut_late(fabric, endpoint->client, node);
    chain->arrival_ns = fabric->now_ns + draw_latency(fabric, node);
    if (prng_below(&fabric->prng, 10000) < net->break_permyriad) {
        chain->breaks = true;
        chain->late = prng_below(&fabric->prng, 1000) < net->late_permille;
        chain->arrival_ns += chain->late ? prng_below(&fabric->prng, net->late_ns + 1) : 0;
    }
}

/* What becomes of a chain whose operations are all posted; returns when its client knows. */
static uint64_t chain_end(struct sim_fabric *fabric, struct flight *flight, const struct chain *chain, uint32_t node) {
    enum sim_link link = sim_fault_link(fabric, flight->endpoint, node);
    if (chain->breaks) {
        uint64_t whole_ns = chain->end_ns - fabric->now_ns;
        flight->cut_ns[node] = fabric->now_ns + prng_below(&fabric->prng, whole_ns + whole_ns / 2 + 1);
        flight->mute[node] = flight->cut_ns[node] >= chain->end_ns; /* all of it arrives, and nobody says so */
        fabric->broken_chains++;
    }
    if (link == LINK_GOOD) {
        return chain->late ? fabric->now_ns + draw_latency(fabric, node) : chain->end_ns;
    }
    if (link == LINK_DEAF) {
        flight->cut_ns[node] = fabric->now_ns;
    }
    flight->mute[node] |= link == LINK_MUTE;
    fabric->lost_chains++;
    return later(chain->end_ns, fabric->now_ns + prng_below(&fabric->prng, fabric->net.timeout_ns + 1));
}

static void op_post(struct sim_fabric *fabric, struct flight *flight, uint32_t index, struct chain *chain) {
    struct dm_op *op = &flight->batch->ops[index];
    if (!chain->begun) {
        chain_begin(fabric, chain, flight->endpoint, op->node);
    }
    uint64_t start_ns = op_earliest(op, chain) + prng_below(&fabric->prng, fabric->net.gap_ns + 1);
    if (op->kind == DM_OP_READ && prng_below(&fabric->prng, 1000) < fabric->net.late_read_permille) {
        start_ns += draw_latency(fabric, op->node);
    }
    if (fabric->net.stall_permille != 0 && op->kind >= DM_OP_CAS && chain->atomic_ns != 0 &&
        prng_below(&fabric->prng, 1000) < fabric->net.stall_permille) {
        start_ns += prng_below(&fabric->prng, fabric->net.stall_ns + 1);
    }
    uint64_t end_ns = op_schedule(fabric, flight, index, start_ns);
    flight->end_ns[index] = end_ns;
    chain->end_ns = later(chain->end_ns, end_ns);
    uint64_t *mark = op->kind == DM_OP_READ    ? &chain->read_ns
                     : op->kind == DM_OP_WRITE ? &chain->write_ns
                                               : &chain->atomic_ns;
    *mark = later(*mark, end_ns);
}

static bool op_is_legal(const struct sim_fabric *fabric, const struct dm_op *op) {
    if (op->node >= fabric->head.node_count || op->length == 0 || op->remote > fabric->head.node_bytes[op->node] ||
        op->length > fabric->head.node_bytes[op->node] - op->remote) {
        return false;
    }
    return op->kind <= DM_OP_WRITE ||
           (op->kind <= DM_OP_FAA && op->length == WORD_BYTES && op->remote % WORD_BYTES == 0);
}

static void batch_refuse(struct dm_batch *batch) {
    for (uint32_t i = 0; i < batch->count; i++) {
        batch->ops[i].status = DM_OP_FAILED;
    }
    batch->failed = batch->count;
}

static void sim_execute(struct dm_endpoint *base, struct dm_batch *batch) {
    struct sim_endpoint *endpoint = (struct sim_endpoint *)base;
    struct sim_fabric *fabric = (struct sim_fabric *)base->fabric;
    struct chain chains[SIM_NODES_MAX] = {0};
    batch->failed = 0;
    dm_batch_count(base, batch);
    for (uint32_t i = 0; i < batch->count; i++) {
        if (!op_is_legal(fabric, &batch->ops[i])) {
            fabric->fault = "an operation outside of a node's memory, or misaligned";
            batch_refuse(batch);
            return;
        }
    }
    struct flight *flight = flight_take(fabric);
    flight->endpoint = endpoint;
    flight->client = endpoint->client;
    flight->batch = batch;
    memcpy(flight->incarnation, fabric->incarnation, sizeof flight->incarnation);
    bool only_read = true;
    for (uint32_t i = 0; i < batch->count; i++) {
        op_post(fabric, flight, i, &chains[batch->ops[i].node]);
        only_read &= batch->ops[i].kind == DM_OP_READ;
    }
    fabric->host.posted(fabric->host.context, endpoint->client, only_read);
    for (uint32_t n = 0; n < SIM_NODES_MAX; n++) {
        flight->cut_ns[n] = UINT64_MAX;
        flight->mute[n] = false;
        if (chains[n].begun) {
            flight->ended_ns = later(flight->ended_ns, chain_end(fabric, flight, &chains[n], n));
        }
    }
    uint64_t back_ns = draw_latency(fabric, batch->count == 0 ? 0 : batch->ops[0].node);
    flight->ended_ns = later(flight->ended_ns, fabric->now_ns) + back_ns;
    flight_push(fabric, (struct sim_event){.time_ns = flight->ended_ns, .kind = EVENT_ENDED, .flight = flight});
    batch->waiter = dm_coro_self(base->sched);
    dm_coro_park(base->sched);
}

/* ---- Endpoints -------------------------------------------------------------------------------------------------- */

static size_t deliver(struct sim_endpoint *endpoint) {
    struct sim_fabric *fabric = (struct sim_fabric *)endpoint->head.fabric;
    size_t ended = 0;
    while (endpoint->done != NULL) {
        struct flight *flight = endpoint->done;
        endpoint->done = flight->next;
        if (endpoint->done == NULL) {
            endpoint->done_end = &endpoint->done;
        }
        dm_coro_wake(flight->batch->waiter);
        if (flight->events == 0) {
            flight_give(fabric, flight);
        } else {
            flight_detach(fabric, flight);
        }
        ended++;
    }
    return ended;
}

static size_t sim_poll(struct dm_endpoint *base) {
    struct sim_endpoint *endpoint = (struct sim_endpoint *)base;
    struct sim_fabric *fabric = (struct sim_fabric *)base->fabric;
    if (endpoint->done == NULL && !fabric->host.is_polling(fabric->host.context, endpoint->client)) {
        uint64_t timer_ns = dm_sched_next_ns(base->sched);
        fabric->host.step(fabric->host.context, timer_ns == UINT64_MAX ? timer_ns : fabric->now_ns + timer_ns);
    }
    return deliver(endpoint);
}

/* The world polls a client when something of its has ended, so that a session need not ask to be polled for it. */
static uint32_t sim_pending(const struct dm_endpoint *endpoint) {
    (void)endpoint;
    return 0;
}

static enum dm_status sim_endpoint_open(struct dm_fabric *base, struct dm_sched *sched, struct dm_endpoint **out) {
    struct sim_fabric *fabric = (struct sim_fabric *)base;
    int client = fabric->host.client_of(fabric->host.context, sched);
    const uint32_t *attached = fabric->host.attached(fabric->host.context, client);
    if (prng_below(&fabric->prng, 1000) < fabric->net.refuse_permille) {
        return DM_UNREACHABLE; /* a call or its answer was lost */
    }
    for (uint32_t n = 0; n < base->node_count && attached != NULL; n++) {
        if (attached[n] != fabric->incarnation[n] && !fabric->left_out[n]) {
            return DM_INCOMPATIBLE; /* not the memory that this process has attached to */
        }
    }
    struct sim_endpoint *endpoint = calloc(1, sizeof *endpoint);
    dm_assert(endpoint != NULL);
    endpoint->head.fabric = base;
    endpoint->head.sched = sched;
    endpoint->client = client;
    memcpy(endpoint->incarnation, fabric->incarnation, sizeof endpoint->incarnation);
    endpoint->done_end = &endpoint->done;
    *out = &endpoint->head;
    return DM_OK;
}

static void sim_endpoint_close(struct dm_endpoint *base) {
    struct sim_endpoint *endpoint = (struct sim_endpoint *)base;
    for (uint32_t n = 0; n < base->fabric->node_count; n++) { /* its queue pairs go with it */
        flights_cut_late((struct sim_fabric *)base->fabric, endpoint->client, n);
    }
    while (endpoint->pieces != NULL) {
        struct memory_piece *piece = endpoint->pieces;
        endpoint->pieces = piece->next;
        free(piece);
    }
    free(endpoint);
}

static void *sim_endpoint_memory(struct dm_endpoint *base, size_t bytes) {
    struct sim_endpoint *endpoint = (struct sim_endpoint *)base;
    struct memory_piece *piece = aligned_alloc(sizeof *piece, (sizeof *piece + bytes + 63) & ~(size_t)63);
    dm_assert(piece != NULL);
    memset(piece, 0, sizeof *piece + bytes);
    piece->next = endpoint->pieces;
    endpoint->pieces = piece;
    return piece + 1;
}

static void sim_close(struct dm_fabric *base) { sim_fabric_close((struct sim_fabric *)base); }

/* ---- Seats ------------------------------------------------------------------------------------------------------ */

static bool sim_seat_empty(struct dm_fabric *base, uint32_t seat) {
    const struct sim_fabric *fabric = (const struct sim_fabric *)base;
    dm_assert(seat < SIM_SEATS_MAX);
    return fabric->seats[seat] == 0 || sim_fault_is_over(fabric, fabric->seats[seat] - 1);
}

static bool sim_seat_take(struct dm_fabric *base, uint32_t seat) {
    struct sim_fabric *fabric = (struct sim_fabric *)base;
    if (!sim_seat_empty(base, seat)) {
        return false;
    }
    fabric->seats[seat] = (uint8_t)(fabric->host.opener(fabric->host.context) + 1);
    return true;
}

static void sim_seat_leave(struct dm_fabric *base, uint32_t seat) { ((struct sim_fabric *)base)->seats[seat] = 0; }

static const struct dm_fabric_ops sim_ops = {
    .name = "sim",
    .endpoint_open = sim_endpoint_open,
    .endpoint_close = sim_endpoint_close,
    .endpoint_memory = sim_endpoint_memory,
    .execute = sim_execute,
    .poll = sim_poll,
    .pending = sim_pending,
    .close = sim_close,
    .seat_take = sim_seat_take,
    .seat_leave = sim_seat_leave,
    .seat_empty = sim_seat_empty,
};

/* ---- Opening ---------------------------------------------------------------------------------------------------- */

void sim_fabric_open(struct sim_fabric *fabric, const struct dm_env *env, uint32_t nodes, uint64_t node_bytes) {
    dm_assert(nodes <= SIM_NODES_MAX);
    fabric->head.ops = &sim_ops;
    fabric->head.env = env;
    fabric->head.node_count = nodes;
    for (uint32_t n = 0; n < nodes; n++) {
        fabric->head.node_bytes[n] = node_bytes;
        fabric->memory[n] = aligned_alloc(64, node_bytes);
        dm_assert(fabric->memory[n] != NULL);
        memset(fabric->memory[n], 0, node_bytes);
    }
}

void sim_fabric_close(struct sim_fabric *fabric) {
    for (uint32_t n = 0; n < fabric->head.node_count; n++) {
        free(fabric->memory[n]);
    }
    flights_free(fabric);
}
