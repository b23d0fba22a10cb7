/* sim_fabric.c: see sim_fabric.h. */
#include "sim_fabric.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assert.h"

#define PIECES_MAX 4
#define WORD_BYTES 8u
#define HEADER_WORDS 10u /* many operations come apart near their beginning */
#define HEAP_FIRST 1024u

enum event_kind { EVENT_PIECE, EVENT_ENDED };

/* A batch on its way. */
struct flight {
    struct flight *next, *previous; /* those under way */
    struct sim_endpoint *endpoint;
    struct dm_batch *batch;
    uint32_t events;                /* in the heap */
    uint64_t cut_ns[SIM_NODES_MAX]; /* pieces behind this time are lost */
    uint64_t end_ns[DM_BATCH_OPS];  /* last piece of each operation */
    uint64_t ended_ns;
    bool abandoned; /* its client is dead */
};

struct sim_event {
    uint64_t time_ns;
    uint32_t tie;
    uint16_t op;
    uint16_t kind;
    uint32_t offset, length; /* of the piece in the operation */
    struct flight *flight;
};

struct memory_piece {
    struct memory_piece *next;
    uint8_t padding[56];
};

struct sim_endpoint {
    struct dm_endpoint head;
    int client;
    struct flight *done; /* ended, not yet polled; in order */
    struct flight **done_end;
    struct memory_piece *pieces;
};

void sim_fabric_note(struct sim_fabric *fabric, uint64_t what) {
    uint64_t hash = (fabric->hash ^ what) * UINT64_C(0x9e3779b97f4a7c15);
    fabric->hash = hash ^ hash >> 29;
}

/* ---- Events ----------------------------------------------------------------------------------------------------- */

static bool event_before(const struct sim_event *a, const struct sim_event *b) {
    return a->time_ns < b->time_ns || (a->time_ns == b->time_ns && a->tie < b->tie);
}

static void event_push(struct sim_fabric *fabric, struct sim_event event) {
    if (fabric->heap_count == fabric->heap_capacity) {
        fabric->heap_capacity = fabric->heap_capacity == 0 ? HEAP_FIRST : fabric->heap_capacity * 2;
        fabric->heap = realloc(fabric->heap, fabric->heap_capacity * sizeof *fabric->heap);
        dm_assert(fabric->heap != NULL);
    }
    event.tie = (uint32_t)prng_next(&fabric->prng);
    event.flight->events++;
    uint32_t hole = fabric->heap_count++;
    while (hole > 0 && event_before(&event, &fabric->heap[(hole - 1) / 2])) {
        fabric->heap[hole] = fabric->heap[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    fabric->heap[hole] = event;
}

static struct sim_event event_pop(struct sim_fabric *fabric) {
    struct sim_event first = fabric->heap[0];
    struct sim_event last = fabric->heap[--fabric->heap_count];
    uint32_t hole = 0;
    for (;;) {
        uint32_t child = hole * 2 + 1;
        if (child >= fabric->heap_count) {
            break;
        }
        if (child + 1 < fabric->heap_count && event_before(&fabric->heap[child + 1], &fabric->heap[child])) {
            child++;
        }
        if (!event_before(&fabric->heap[child], &last)) {
            break;
        }
        fabric->heap[hole] = fabric->heap[child];
        hole = child;
    }
    fabric->heap[hole] = last;
    return first;
}

uint64_t sim_fabric_next_ns(const struct sim_fabric *fabric) {
    return fabric->heap_count == 0 ? UINT64_MAX : fabric->heap[0].time_ns;
}

static struct flight *flight_take(struct sim_fabric *fabric) {
    struct flight *flight = fabric->free_flights;
    if (flight == NULL) {
        flight = malloc(sizeof *flight);
        dm_assert(flight != NULL);
    } else {
        fabric->free_flights = flight->next;
    }
    flight->events = 0;
    flight->abandoned = false;
    flight->ended_ns = 0;
    flight->previous = NULL;
    flight->next = fabric->flights;
    if (flight->next != NULL) {
        flight->next->previous = flight;
    }
    fabric->flights = flight;
    return flight;
}

static void flight_unlink(struct sim_fabric *fabric, struct flight *flight) {
    if (flight->previous == NULL) {
        fabric->flights = flight->next;
    } else {
        flight->previous->next = flight->next;
    }
    if (flight->next != NULL) {
        flight->next->previous = flight->previous;
    }
}

static void flight_give(struct sim_fabric *fabric, struct flight *flight) {
    flight->next = fabric->free_flights;
    fabric->free_flights = flight;
}

/* ---- What happens at a node ------------------------------------------------------------------------------------- */

static const char *const kind_names[] = {"READ", "WRITE", "CAS", "FAA"};

static void trace_piece(const struct sim_fabric *fabric, const struct sim_event *event, uint64_t word) {
    const struct dm_op *op = &event->flight->batch->ops[event->op];
    printf("%10" PRIu64 " client %d node %u %-5s %06" PRIx64 "+%u", fabric->now_ns / 1000,
           event->flight->endpoint->client, op->node, kind_names[op->kind], op->remote + event->offset, event->length);
    if (op->kind == DM_OP_CAS) {
        printf(" %016" PRIx64 " -> %016" PRIx64 " found %016" PRIx64 "%s", op->compare, op->operand, op->result,
               op->result == op->compare ? "" : " (no)");
    } else {
        printf(" %016" PRIx64, word);
    }
    putchar('\n');
}

static void piece_apply(struct sim_fabric *fabric, const struct sim_event *event) {
    struct dm_op *op = &event->flight->batch->ops[event->op];
    uint8_t *at = fabric->memory[op->node] + op->remote + event->offset;
    uint64_t word = 0;
    switch (op->kind) {
    case DM_OP_READ:
        if (!event->flight->abandoned) {
            memcpy((uint8_t *)op->local + event->offset, at, event->length);
        }
        if (event->length < op->length && event->time_ns == event->flight->end_ns[event->op]) {
            fabric->torn_reads += memcmp(op->local, at - event->offset, op->length) != 0;
        }
        memcpy(&word, at, event->length < sizeof word ? event->length : sizeof word);
        break;
    case DM_OP_WRITE:
        memcpy(at, (const uint8_t *)op->local + event->offset, event->length);
        memcpy(&word, at, event->length < sizeof word ? event->length : sizeof word);
        break;
    case DM_OP_CAS:
        memcpy(&op->result, at, sizeof op->result);
        if (op->result == op->compare) {
            memcpy(at, &op->operand, sizeof op->operand);
            fabric->host.swapped(fabric->host.context, op);
        }
        word = op->result;
        break;
    default:
        memcpy(&op->result, at, sizeof op->result);
        word = op->result + op->operand;
        memcpy(at, &word, sizeof word);
        break;
    }
    sim_fabric_note(fabric, word ^ (uint64_t)op->kind << 61 ^ op->remote << 8 ^ op->node);
    if (fabric->trace) {
        trace_piece(fabric, event, word);
    }
}

/* Sets the statuses of a batch whose time has come. */
static void flight_judge(struct sim_fabric *fabric, struct flight *flight) {
    struct dm_batch *batch = flight->batch;
    bool broken[SIM_NODES_MAX] = {false};
    for (uint32_t i = 0; i < batch->count; i++) {
        struct dm_op *op = &batch->ops[i];
        bool lost = flight->end_ns[i] > flight->cut_ns[op->node];
        /* An operation may be reported as failed although it was done. */
        bool doubted = flight->cut_ns[op->node] != UINT64_MAX && prng_chance(&fabric->prng, 30);
        op->status = broken[op->node] ? DM_OP_FLUSHED : lost || doubted ? DM_OP_FAILED : DM_OP_DONE;
        broken[op->node] |= lost || doubted;
        batch->failed += op->status != DM_OP_DONE;
    }
}

static void flight_end(struct sim_fabric *fabric, struct flight *flight) {
    flight_judge(fabric, flight);
    flight_unlink(fabric, flight);
    flight->next = NULL;
    *flight->endpoint->done_end = flight;
    flight->endpoint->done_end = &flight->next;
    fabric->host.completed(fabric->host.context, flight->endpoint->client);
}

void sim_fabric_advance(struct sim_fabric *fabric) {
    struct sim_event event = event_pop(fabric);
    struct flight *flight = event.flight;
    dm_assert(event.time_ns >= fabric->now_ns);
    fabric->now_ns = event.time_ns;
    fabric->events++;
    flight->events--;
    sim_fabric_note(fabric, event.time_ns);
    if (event.kind == EVENT_PIECE) {
        if (event.time_ns <= flight->cut_ns[flight->batch->ops[event.op].node]) {
            piece_apply(fabric, &event);
        }
    } else if (!flight->abandoned) {
        flight_end(fabric, flight);
    }
}

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
    uint64_t arrival_ns, write_ns, atomic_ns, read_ns;
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
        event_push(fabric, (struct sim_event){.time_ns = time_ns,
                                              .op = (uint16_t)index,
                                              .kind = EVENT_PIECE,
                                              .offset = cuts[p],
                                              .length = cuts[p + 1] - cuts[p],
                                              .flight = flight});
    }
    return time_ns;
}

static void op_post(struct sim_fabric *fabric, struct flight *flight, uint32_t index, struct chain *chain) {
    struct dm_op *op = &flight->batch->ops[index];
    if (!chain->begun) {
        chain->begun = true;
        chain->arrival_ns = fabric->now_ns + draw_latency(fabric, op->node);
    }
    uint64_t start_ns = op_earliest(op, chain) + prng_below(&fabric->prng, fabric->net.gap_ns + 1);
    if (op->kind == DM_OP_READ && prng_below(&fabric->prng, 1000) < fabric->net.late_read_permille) {
        start_ns += draw_latency(fabric, op->node);
    }
    uint64_t end_ns = op_schedule(fabric, flight, index, start_ns);
    flight->end_ns[index] = end_ns;
    flight->ended_ns = later(flight->ended_ns, end_ns);
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
    flight->batch = batch;
    bool only_read = true;
    for (uint32_t i = 0; i < batch->count; i++) {
        op_post(fabric, flight, i, &chains[batch->ops[i].node]);
        only_read &= batch->ops[i].kind == DM_OP_READ;
    }
    fabric->host.posted(fabric->host.context, endpoint->client, only_read);
    for (uint32_t n = 0; n < SIM_NODES_MAX; n++) {
        flight->cut_ns[n] = UINT64_MAX;
        if (chains[n].begun && prng_below(&fabric->prng, 10000) < fabric->net.break_permyriad) {
            flight->cut_ns[n] = fabric->now_ns + prng_below(&fabric->prng, flight->ended_ns - fabric->now_ns);
            fabric->broken_chains++;
        }
    }
    uint64_t back_ns = draw_latency(fabric, batch->count == 0 ? 0 : batch->ops[0].node);
    flight->ended_ns = later(flight->ended_ns, fabric->now_ns) + back_ns;
    event_push(fabric, (struct sim_event){.time_ns = flight->ended_ns, .kind = EVENT_ENDED, .flight = flight});
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
        flight_give(fabric, flight);
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
    struct sim_endpoint *endpoint = calloc(1, sizeof *endpoint);
    dm_assert(endpoint != NULL);
    endpoint->head.fabric = base;
    endpoint->head.sched = sched;
    endpoint->client = fabric->host.client_of(fabric->host.context, sched);
    endpoint->done_end = &endpoint->done;
    *out = &endpoint->head;
    return DM_OK;
}

static void sim_endpoint_close(struct dm_endpoint *base) {
    struct sim_endpoint *endpoint = (struct sim_endpoint *)base;
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

static const struct dm_fabric_ops sim_ops = {
    .name = "sim",
    .endpoint_open = sim_endpoint_open,
    .endpoint_close = sim_endpoint_close,
    .endpoint_memory = sim_endpoint_memory,
    .execute = sim_execute,
    .poll = sim_poll,
    .pending = sim_pending,
    .close = sim_close,
};

/* ---- Death ------------------------------------------------------------------------------------------------------ */

void sim_fabric_kill(struct sim_fabric *fabric, int client) {
    for (struct flight *flight = fabric->flights; flight != NULL; flight = flight->next) {
        if (flight->endpoint->client != client || flight->abandoned) {
            continue;
        }
        flight->abandoned = true;
        for (uint32_t n = 0; n < SIM_NODES_MAX && flight->ended_ns > fabric->now_ns; n++) {
            uint64_t cut_ns = fabric->now_ns + prng_below(&fabric->prng, flight->ended_ns - fabric->now_ns);
            flight->cut_ns[n] = cut_ns < flight->cut_ns[n] ? cut_ns : flight->cut_ns[n];
        }
    }
}

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
    while (fabric->free_flights != NULL) {
        struct flight *flight = fabric->free_flights;
        fabric->free_flights = flight->next;
        free(flight);
    }
    free(fabric->heap);
}
