/* sim_flight.c: see sim_flight.h. Events in the order of time, and what they do to a node's memory. */
#include "sim_flight.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assert.h"

#define HEAP_FIRST 1024u
#define DOUBTED_PERCENT 30 /* of operations of a broken chain that were done: reported as failed all the same */

void sim_fabric_note(struct sim_fabric *fabric, uint64_t what) {
    uint64_t hash = (fabric->hash ^ what) * UINT64_C(0x9e3779b97f4a7c15);
    fabric->hash = hash ^ hash >> 29;
}

/* ---- Events ----------------------------------------------------------------------------------------------------- */

static bool event_before(const struct sim_event *a, const struct sim_event *b) {
    return a->time_ns < b->time_ns || (a->time_ns == b->time_ns && a->tie < b->tie);
}

void flight_push(struct sim_fabric *fabric, struct sim_event event) {
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

static void flight_link(struct flight **first, struct flight *flight) {
    flight->previous = NULL;
    flight->next = *first;
    if (flight->next != NULL) {
        flight->next->previous = flight;
    }
    *first = flight;
}

static void flight_unlink(struct flight **first, struct flight *flight) {
    *(flight->previous == NULL ? first : &flight->previous->next) = flight->next;
    if (flight->next != NULL) {
        flight->next->previous = flight->previous;
    }
}

struct flight *flight_take(struct sim_fabric *fabric) {
    struct flight *flight = fabric->free_flights;
    if (flight == NULL) {
        flight = malloc(sizeof *flight);
        dm_assert(flight != NULL);
    } else {
        fabric->free_flights = flight->next;
    }
    flight->events = 0;
    flight->abandoned = false;
    flight->delivered = false;
    flight->ended_ns = 0;
    flight_link(&fabric->flights, flight);
    return flight;
}

void flight_give(struct sim_fabric *fabric, struct flight *flight) {
    flight->next = fabric->free_flights;
    fabric->free_flights = flight;
}

/* ---- What happens at a node ------------------------------------------------------------------------------------- */

static const char *const kind_names[] = {"READ", "WRITE", "CAS", "FAA"};

static void trace_piece(const struct sim_fabric *fabric, const struct sim_event *event, uint64_t word) {
    const struct dm_op *op = &event->flight->batch->ops[event->op];
    printf("%10" PRIu64 " client %d node %u %-5s %06" PRIx64 "+%u", fabric->now_ns / 1000, event->flight->client,
           op->node, kind_names[op->kind], op->remote + event->offset, event->length);
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
        if (event->flight->delivered) {
            break;
        }
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
        bool lost = flight->end_ns[i] > flight->cut_ns[op->node] || flight->end_ns[i] > fabric->now_ns;
        bool doubted = flight->mute[op->node] ||
                       (flight->cut_ns[op->node] != UINT64_MAX && prng_chance(&fabric->prng, DOUBTED_PERCENT));
        op->status = broken[op->node] ? DM_OP_FLUSHED : lost || doubted ? DM_OP_FAILED : DM_OP_DONE;
        broken[op->node] |= lost || doubted;
        batch->failed += op->status != DM_OP_DONE;
    }
}

static void flight_free(struct flight *flight) {
    for (uint32_t i = 0; i < flight->batch->count; i++) {
        free(flight->batch->ops[i].local);
    }
    free(flight->batch);
    free(flight);
}

void flight_detach(struct sim_fabric *fabric, struct flight *flight) {
    struct dm_batch *copy = calloc(1, sizeof *copy);
    dm_assert(copy != NULL);
    copy->count = flight->batch->count;
    for (uint32_t i = 0; i < copy->count; i++) {
        struct dm_op *op = &copy->ops[i];
        *op = flight->batch->ops[i];
        op->local = NULL;
        if (op->kind == DM_OP_WRITE) { /* the bytes are in the network already */
            op->local = malloc(op->length);
            dm_assert(op->local != NULL);
            memcpy(op->local, flight->batch->ops[i].local, op->length);
        }
    }
    flight->batch = copy;
    flight->endpoint = NULL;
    flight->delivered = true;
    flight_link(&fabric->late_flights, flight);
    fabric->late_chains++;
}

void flights_cut_late(struct sim_fabric *fabric, int client, uint32_t node) {
    for (struct flight *flight = fabric->late_flights; flight != NULL; flight = flight->next) {
        if (flight->client == client && fabric->now_ns < flight->cut_ns[node]) {
            flight->cut_ns[node] = fabric->now_ns;
        }
    }
}

static void flight_end(struct sim_fabric *fabric, struct flight *flight) {
    flight_judge(fabric, flight);
    flight_unlink(&fabric->flights, flight);
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
        uint32_t node = flight->batch->ops[event.op].node;
        if (event.time_ns <= flight->cut_ns[node] && !fabric->gone[node] &&
            flight->incarnation[node] == fabric->incarnation[node]) {
            piece_apply(fabric, &event);
        }
    } else if (!flight->abandoned) {
        flight_end(fabric, flight);
    }
    if (flight->delivered && flight->events == 0) {
        flight_unlink(&fabric->late_flights, flight);
        flight_free(flight);
    }
}

void flights_free(struct sim_fabric *fabric) {
    for (uint32_t i = 0; i < fabric->heap_count; i++) {
        struct flight *flight = fabric->heap[i].flight;
        if (flight->delivered && --flight->events == 0) {
            flight_free(flight);
        }
    }
    while (fabric->free_flights != NULL) {
        struct flight *flight = fabric->free_flights;
        fabric->free_flights = flight->next;
        free(flight);
    }
    free(fabric->heap);
}
