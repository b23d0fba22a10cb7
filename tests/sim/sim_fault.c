/* sim_fault.c: clients that die, links that break in one direction or both, nodes that go away with or without their
 * memory. Part of the sim provider (sim_fabric.h); the world decides when. */
#include <string.h>

#include "assert.h"
#include "sim_flight.h"

enum sim_link sim_fault_link(const struct sim_fabric *fabric, const struct sim_endpoint *endpoint, uint32_t node) {
    if (fabric->gone[node] || endpoint->incarnation[node] != fabric->incarnation[node]) {
        return LINK_DEAF;
    }
    return endpoint->client < 0 ? LINK_GOOD : fabric->link[endpoint->client][node];
}

/* What a flight has under way to a node meets a link that breaks now. */
static void flight_break(struct sim_fabric *fabric, struct flight *flight, uint32_t node, enum sim_link link) {
    if (link == LINK_DEAF) {
        flight->cut_ns[node] = fabric->now_ns < flight->cut_ns[node] ? fabric->now_ns : flight->cut_ns[node];
    }
    flight->mute[node] |= link == LINK_MUTE;
}

bool sim_fault_is_over(const struct sim_fabric *fabric, int client) {
    const struct flight *lists[] = {fabric->flights, fabric->late_flights};
    for (int i = 0; i < 2; i++) {
        for (const struct flight *flight = lists[i]; flight != NULL; flight = flight->next) {
            if (flight->client == client && flight->events != 0) {
                return false;
            }
        }
    }
    return fabric->dead[client];
}

void sim_fabric_kill(struct sim_fabric *fabric, int client) {
    fabric->dead[client] = true;
    for (struct flight *flight = fabric->flights; flight != NULL; flight = flight->next) {
        if (flight->client != client || flight->abandoned) {
            continue;
        }
        flight->abandoned = true;
        for (uint32_t n = 0; n < SIM_NODES_MAX && flight->ended_ns > fabric->now_ns; n++) {
            uint64_t cut_ns = fabric->now_ns + prng_below(&fabric->prng, flight->ended_ns - fabric->now_ns);
            flight->cut_ns[n] = cut_ns < flight->cut_ns[n] ? cut_ns : flight->cut_ns[n];
        }
    }
}

bool sim_fabric_is_amid(const struct sim_fabric *fabric, int client) {
    for (const struct flight *flight = fabric->flights; flight != NULL; flight = flight->next) {
        bool arrived = false;
        bool on_its_way = false;
        for (uint32_t i = 0; flight->client == client && i < flight->batch->count; i++) {
            bool changes = flight->batch->ops[i].kind != DM_OP_READ;
            arrived |= changes && flight->end_ns[i] <= fabric->now_ns;
            on_its_way |= changes && flight->end_ns[i] > fabric->now_ns;
        }
        if (arrived && on_its_way) {
            return true;
        }
    }
    return false;
}

void sim_fabric_set_link(struct sim_fabric *fabric, int client, uint32_t node, enum sim_link link) {
    fabric->link[client][node] = link;
    for (struct flight *flight = fabric->flights; flight != NULL; flight = flight->next) {
        if (flight->client == client && !flight->abandoned) {
            flight_break(fabric, flight, node, link);
        }
    }
}

void sim_fabric_lose_node(struct sim_fabric *fabric, uint32_t node) {
    fabric->gone[node] = true;
    for (struct flight *flight = fabric->flights; flight != NULL; flight = flight->next) {
        flight_break(fabric, flight, node, LINK_DEAF);
    }
}

void sim_fabric_return_node(struct sim_fabric *fabric, uint32_t node, bool other) {
    fabric->gone[node] = false;
    fabric->incarnation[node] += other;
}
