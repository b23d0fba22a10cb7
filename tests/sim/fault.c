/* fault.c: see fault.h. */
#include "fault.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dm_loss.h"
#include "fusee/members.h"
#include "fusee/pool.h"

static void say(const struct world *world, const char *what, uint32_t client, uint32_t node) {
    if (world->trace) {
        printf("%10" PRIu64 " node %u, client %u: %s\n", world->fabric.now_ns / 1000, node, client, what);
    }
}

/* ---- Links ------------------------------------------------------------------------------------------------------ */

static void link_break(struct world *world, uint32_t client, uint32_t node, enum sim_link link) {
    world->faults.heal_ns[client][node] =
        world->fabric.now_ns + 1 + prng_below(&world->prng, world->plan.partition_ns + 1);
    world->rare[link == LINK_DEAF ? RARE_LINK_DEAF : RARE_LINK_MUTE]++;
    sim_fabric_set_link(&world->fabric, (int)client, node, link);
    say(world, link == LINK_DEAF ? "requests are lost" : "answers are lost", client, node);
}

/* One client and one node, or all the nodes, or all the clients. */
static void partition(struct world *world) {
    const struct plan *plan = &world->plan;
    uint32_t client = (uint32_t)prng_below(&world->prng, plan->clients);
    uint32_t node = (uint32_t)prng_below(&world->prng, plan->nodes);
    enum sim_link link = prng_chance(&world->prng, 50) ? LINK_DEAF : LINK_MUTE;
    uint64_t kind = prng_below(&world->prng, 4);
    for (uint32_t c = 0; c < plan->clients; c++) {
        for (uint32_t n = 0; n < plan->nodes; n++) {
            if ((c == client || kind == 0) && (n == node || kind == 1)) {
                link_break(world, c, n, link);
            }
        }
    }
    world->faults.partitions++;
}

static void heal_due(struct world *world, bool all) {
    for (uint32_t c = 0; c < world->plan.clients; c++) {
        for (uint32_t n = 0; n < world->plan.nodes; n++) {
            uint64_t *heal_ns = &world->faults.heal_ns[c][n];
            if (*heal_ns != 0 && (all || *heal_ns <= world->fabric.now_ns)) {
                *heal_ns = 0;
                sim_fabric_set_link(&world->fabric, (int)c, n, LINK_GOOD);
                say(world, "link is whole", c, n);
            }
        }
    }
}

/* ---- Nodes ------------------------------------------------------------------------------------------------------ */

static void node_lose(struct world *world) {
    const struct plan *plan = &world->plan;
    world->faults.node_lost = true;
    world->faults.return_ns = plan->loss == LOSS_FOR_GOOD ? UINT64_MAX : world->fabric.now_ns + plan->loss_ns;
    world->rare[RARE_NODE_LOST]++;
    world->faults.settle_ns = plan->settle_ns == 0 ? 0 : world->fabric.now_ns + plan->settle_ns;
    sim_fabric_lose_node(&world->fabric, plan->loss_node);
    say(world, "lost", UINT32_MAX, plan->loss_node);
}

static void node_return(struct world *world) {
    const struct plan *plan = &world->plan;
    bool kept = plan->loss == LOSS_KEPT;
    uint8_t *memory = world->fabric.memory[plan->loss_node];
    struct superblock *super = (struct superblock *)memory;
    world->faults.return_ns = 0;
    world->rare[kept ? RARE_NODE_RETURNED : RARE_NODE_REPLACED]++;
    if (plan->loss == LOSS_EMPTY) {
        memset(memory, 0, plan->node_bytes);
    } else if (plan->loss == LOSS_OTHER) {
        super->pool_id ^= 1;
        super->crc = superblock_crc(super);
    }
    sim_fabric_return_node(&world->fabric, plan->loss_node, !kept);
    say(world, kept ? "back" : "back without its memory", UINT32_MAX, plan->loss_node);
}

uint64_t fault_left_out(const struct world *world) {
    uint64_t newest = 0;
    for (uint32_t i = 0; i < world->plan.gateways; i++) {
        const struct dm_pool *pool = world->gateways[i].pool;
        for (uint32_t n = 0; pool != NULL && n < world->plan.nodes; n++) {
            uint64_t word;
            memcpy(&word, world->fabric.memory[n] + members_offset(&pool->layout), sizeof word);
            bool newer = members_settled(word) && members_number(word) > members_number(newest);
            newest = newer ? word : newest;
        }
    }
    return members_lost(newest);
}

bool fault_has_lost(const struct world *world, uint32_t node) {
    const struct faults *faults = &world->faults;
    return faults->node_lost && node == world->plan.loss_node &&
           (plan_loses_memory(&world->plan) || (fault_left_out(world) >> node & 1) != 0);
}

/* ---- Going on without it ---------------------------------------------------------------------------------------- */

static void settle_coroutine(void *argument) {
    struct world *world = argument;
    struct faults *faults = &world->faults;
    struct client *client = faults->settler;
    char error[256];
    const struct dm_loss loss = {.nodes = UINT64_C(1) << world->plan.loss_node};
    enum dm_status status = dm_session_settle(client->session, &loss, error, sizeof error);
    client->workers--;
    faults->settler = NULL;
    if (world->trace) {
        printf("%10" PRIu64 " settled by client %u: %s, %s\n", world->fabric.now_ns / 1000, client->index,
               dm_status_text(status), error);
    }
    if (status == DM_OK) {
        faults->settle_ns = 0;
        world->rare[RARE_NODE_SETTLED]++;
        return;
    }
    if (status == DM_CORRUPT && world->deaths != 0) {
        faults->settle_ns = 0;
        faults->refused = true;
        return;
    }
    if (status == DM_CORRUPT || status == DM_INVALID) {
        world_fail(world, "settling the loss of node %u: %s", world->plan.loss_node, error);
    }
    faults->settle_ns = world->fabric.now_ns + world->plan.settle_ns;
    world->rare[RARE_SETTLING_REPEATED]++;
}

/* Whoever is here does it; if that one dies, another. */
static void settle_step(struct world *world) {
    struct faults *faults = &world->faults;
    if (faults->settler != NULL && faults->settler->state == CLIENT_DEAD) {
        faults->settler = NULL;
        world->rare[RARE_SETTLING_REPEATED]++;
    }
    if (faults->settler != NULL || faults->settle_ns == 0 || faults->settle_ns > world->fabric.now_ns ||
        world->running >= 0 || world->blocking >= 0) {
        return;
    }
    struct client *client = &world->clients[prng_below(&world->prng, world->plan.clients)];
    if (client->state == CLIENT_HERE) {
        faults->settler = client;
        client->workers++;
        if (dm_sched_spawn(client->sched, settle_coroutine, world) != DM_OK) {
            client->workers--;
            faults->settler = NULL;
        }
        world_wake(world, client);
    }
}

void fault_check_attach(struct world *world) {
    char error[512] = "";
    struct dm_pool *pool;
    if (!world->faults.node_lost || !plan_loses_memory(&world->plan)) {
        return;
    }
    enum dm_status status = world_attach(world, &world->gateways[0], &pool, error, sizeof error);
    if (plan_stays_lost(&world->plan) || world->faults.refused) {
        world->rare[RARE_ATTACH_STALE]++;
    } else if (status != DM_OK) {
        world_fail(world, "a pool that goes on without node %u cannot be opened: %s", world->plan.loss_node, error);
    } else {
        dm_pool_close(pool);
        return;
    }
    if (status == DM_OK && !world->faults.refused) {
        world_fail(world, "a pool was opened although node %u has lost its memory", world->plan.loss_node);
    }
}

/* ---- When ------------------------------------------------------------------------------------------------------- */

void fault_step(struct world *world) {
    const struct plan *plan = &world->plan;
    struct faults *faults = &world->faults;
    if (faults->node_lost && plan->settle_ns != 0) {
        settle_step(world);
        world->fabric.left_out[plan->loss_node] = (fault_left_out(world) >> plan->loss_node & 1) != 0;
    }
    if (world->phase != PHASE_SAFETY || (plan->partitions == 0 && plan->loss == LOSS_NONE)) {
        return;
    }
    if (faults->partitions != 0) {
        heal_due(world, false);
    }
    if (faults->partitions < plan->partitions && prng_below(&world->prng, plan->partition_odds) == 0) {
        partition(world);
    }
    if (plan->loss != LOSS_NONE && !faults->node_lost && world->acknowledged >= plan->loss_after) {
        node_lose(world);
    }
    if (faults->return_ns != 0 && faults->return_ns <= world->fabric.now_ns) {
        node_return(world);
    }
}

void fault_end(struct world *world) {
    heal_due(world, true);
    if (world->faults.return_ns != 0 && world->faults.return_ns != UINT64_MAX) {
        node_return(world);
    }
}
