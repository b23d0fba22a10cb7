/* plan.c: see plan.h. */
#include "plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define KIB UINT64_C(1024)
#define US UINT64_C(1000)
#define MS (US * 1000)
#define OPERATIONS_WANTED 1200
#define DENSE_OPERATIONS 40000
#define CLIENTS_USUAL 5 /* at the most */
#define AT_ONCE_MAX 10  /* operations on one key that the search for an order can cope with */

static uint64_t between(struct prng *prng, uint64_t low, uint64_t high) {
    return low + prng_below(prng, high - low + 1);
}

static uint32_t maybe(struct prng *prng, unsigned percent, uint32_t value) {
    return prng_chance(prng, percent) ? value : 0;
}

uint64_t plan_stream(struct plan *plan) { return prng_next(&plan->prng); }

static void draw_geometry(struct plan *plan) {
    struct prng *prng = &plan->prng;
    static const uint8_t replicas[] = {1, 2, 2, 3, 3, 3};
    plan->replicas = replicas[prng_below(prng, sizeof replicas)];
    plan->nodes = plan->replicas + (uint32_t)prng_below(prng, 3);
    plan->clients = (uint32_t)between(prng, 2, CLIENTS_USUAL);
    plan->gateways = (uint32_t)between(prng, 1, plan->clients);
    plan->coroutines = (uint32_t)between(prng, 1, PLAN_COROUTINES_MAX);
    plan->node_bytes = 1024 * KIB;
    plan->region_bytes = (64 * KIB) << prng_below(prng, 3);
    plan->block_bytes = 16 * KIB;
    if (prng_chance(prng, 30)) { /* hardly more than the reserve */
        plan->nodes = plan->replicas;
        plan->region_bytes = 512 * KIB;
        plan->block_bytes = (16 * KIB) << prng_below(prng, 2);
    }
    plan->cache_bytes = prng_chance(prng, 30) ? 128 : 16 * KIB;
}

/* A client sleeps until tags come round, and wakes up with words that look like those it knew: only epochs help. */
static void draw_long_sleep(struct plan *plan) {
    struct prng *prng = &plan->prng;
    plan->long_sleeps = true;
    plan->keys_kind = KEYS_ANY;
    plan->keys = plan->hot_keys = (uint32_t)between(prng, 1, 2);
    plan->nodes = plan->replicas;
    plan->region_bytes = 512 * KIB;
    plan->block_bytes = 16 * KIB;
    plan->clients = (uint32_t)between(prng, 2, 3);
    plan->gateways = between(prng, 1, 2);
    plan->coroutines = 1;
    plan->value_bytes = 1500;
    plan->value_spread_bytes = 1;
    plan->think_ns = 400 * MS;
    plan->pause_permyriad = 2000;
    plan->pause_ns = 60 * MS;
    plan->skew_ms = 0;
    plan->jump_permyriad = 0;
    plan->refuse_permyriad = 0;
    plan->churn = false;
    memset(plan->weight, 0, sizeof plan->weight);
    plan->weight[WORK_GET] = 5;
    plan->weight[WORK_INCR] = 30;
    plan->weight[WORK_GETSET] = 30;
    plan->weight[WORK_APPEND] = 30;
}

/* A client does nothing for some epochs, or until tags come round, and then has copies of words that look like those
 * that stand there. */
static void draw_long_think(struct plan *plan) {
    struct prng *prng = &plan->prng;
    draw_long_sleep(plan);
    plan->long_sleeps = false;
    plan->long_thinks = true;
    plan->think_epochs = prng_chance(prng, 50) ? 0 : (uint32_t)between(prng, 3, 12);
    plan->pause_permyriad = 0;
    plan->keys = plan->hot_keys = 1;
    plan->gateways = plan->clients = 2;
    plan->cache_bytes = 16 * KIB;
    plan->value_bytes = 120; /* objects of 256 bytes, small enough for copies */
    plan->weight[WORK_GET] = 0;
    plan->operations = OPERATIONS_WANTED * 2;
}

/* A few keys come and go in few buckets, so that each insert finds another slot; all is torn. */
static void draw_inserts(struct plan *plan) {
    struct prng *prng = &plan->prng;
    uint64_t unit = plan->net.latency_ns;
    plan->keys_kind = KEYS_PACKED;
    plan->keys = (uint32_t)between(prng, 6, 40);
    plan->hot_keys = (uint32_t)between(prng, 1, 3);
    plan->hot_percent = 60;
    plan->clients = (uint32_t)between(prng, 3, CLIENTS_USUAL);
    plan->coroutines = (uint32_t)between(prng, 2, PLAN_COROUTINES_MAX);
    plan->value_bytes = 24;
    plan->value_spread_bytes = prng_chance(prng, 50) ? 1 : 200;
    plan->think_ns = 0;
    plan->net.tear_permille = 1000;
    plan->net.gap_ns = unit * between(prng, 1, 20);
    plan->net.latency_spread_ns = unit * between(prng, 5, 20);
    memset(plan->weight, 0, sizeof plan->weight);
    plan->weight[WORK_GET] = 5;
    plan->weight[WORK_DELETE] = 60;
    plan->weight[WORK_SET] = 30;
    plan->weight[WORK_SETNX] = maybe(prng, 50, 20);
    plan->weight[WORK_GETDEL] = maybe(prng, 50, 10);
    plan->operations = OPERATIONS_WANTED * 5;
}

/* More data than the pool holds: deletes must find memory all the same, also those of clients that have just come. */
static void draw_full(struct plan *plan) {
    struct prng *prng = &plan->prng;
    plan->replicas = plan->replicas == 1 ? 2 : plan->replicas; /* else deletes need none */
    plan->nodes = plan->replicas;
    plan->churn = prng_chance(prng, 70);
    plan->region_bytes = 512 * KIB;
    plan->block_bytes = 16 * KIB;
    plan->keys_kind = KEYS_ANY;
    plan->keys = PLAN_KEYS_MAX;
    plan->hot_percent = 20;
    plan->value_bytes = prng_chance(prng, 50) ? 10000 : 5000;
    plan->value_spread_bytes = 1;
    if (prng_chance(prng, 40)) { /* tombstones of many classes */
        plan->name_bytes = PLAN_NAME_BYTES_MAX;
    }
    if (prng_chance(prng, 40)) { /* more clients than the least reserve has blocks */
        plan->clients = (uint32_t)between(prng, CLIENTS_USUAL, PLAN_CLIENTS_MAX);
        plan->gateways = (uint32_t)between(prng, 1, plan->clients);
    }
    memset(plan->weight, 0, sizeof plan->weight);
    plan->weight[WORK_GET] = 30;
    plan->weight[WORK_SET] = 40;
    plan->weight[WORK_DELETE] = (uint32_t)between(prng, 5, 20);
    plan->weight[WORK_APPEND] = maybe(prng, 50, 10);
}

/* Few keys are written as fast as can be, in a pool that is far larger than they are but small for what waits for its
 * grace period: whoever waits for memory gets it. */
static void draw_rush(struct plan *plan) {
    struct prng *prng = &plan->prng;
    plan->ample = true;
    plan->many_percent = 0; /* its keys are not counted in what is ample */
    plan->nodes = plan->replicas;
    plan->region_bytes = 512 * KIB;
    plan->block_bytes = 16 * KIB;
    plan->clients = (uint32_t)between(prng, 1, 3);
    plan->gateways = (uint32_t)between(prng, 1, plan->clients);
    plan->keys_kind = KEYS_ANY;
    plan->keys = (uint32_t)between(prng, 1, 8);
    plan->hot_keys = 1;
    plan->value_bytes = 5000;
    plan->value_spread_bytes = 1;
    plan->net.latency_ns = US;
    plan->net.latency_spread_ns = 2 * US;
    plan->net.gap_ns = US / 10;
    plan->net.tail_permille = 0;
    plan->cpu_ns = US / 5 + 1;
    plan->think_ns = 0;
    plan->pause_permyriad = 0;
    plan->refuse_permyriad = 0;
    plan->churn = false;
    memset(plan->weight, 0, sizeof plan->weight);
    plan->weight[WORK_GET] = 5;
    plan->weight[WORK_SET] = 60;
    plan->weight[WORK_GETSET] = maybe(prng, 50, 30);
    plan->weight[WORK_DELETE] = maybe(prng, 50, 10);
}

/* Two scales of time: microseconds, and milliseconds, in which the grace period is short. */
static void draw_network(struct plan *plan) {
    struct prng *prng = &plan->prng;
    struct sim_net *net = &plan->net;
    bool slow = prng_chance(prng, 50);
    uint64_t unit = slow ? 200 * US : US;
    net->latency_ns = unit;
    net->latency_spread_ns = unit * prng_below(prng, 10);
    const uint64_t gaps[] = {unit / 10, unit / 10, unit * 3, unit * 20};
    net->gap_ns = gaps[prng_below(prng, sizeof gaps / sizeof gaps[0])];
    net->tail_permille = maybe(prng, 40, prng_chance(prng, 50) ? 20 : 150);
    net->tail_ns = unit * 50;
    net->tear_permille = maybe(prng, 80, 500);
    net->late_read_permille = maybe(prng, 60, 300);
    for (uint32_t n = 0; n < SIM_NODES_MAX; n++) {
        net->factor[n] = prng_chance(prng, 15) ? 5 : 1;
    }
    plan->cpu_ns = unit / 5 + 1;
    plan->think_ns = prng_chance(prng, 50) ? 0 : unit * between(prng, 1, 40);
    plan->pause_permyriad = maybe(prng, 40, slow ? 20 : 60);
    plan->pause_ns = slow ? between(prng, 10, 400) * MS : unit * between(prng, 10, 1000);
    if (prng_chance(prng, 25)) { /* short and often: a few round trips */
        plan->pause_permyriad = 600;
        plan->pause_ns = unit * between(prng, 10, 60);
    }
}

static void draw_faults(struct plan *plan) {
    struct prng *prng = &plan->prng;
    plan->churn = prng_chance(prng, 30);
    plan->skew_ms = prng_chance(prng, 50) ? 0 : (int64_t)between(prng, 1, 50);
    plan->jump_permyriad = maybe(prng, 20, 300);
    plan->refuse_permyriad = maybe(prng, 5, 200);
    plan->net.refuse_permille = maybe(prng, 20, 200);
}

/* Chains break often: many keys, because those of unknown outcome are left alone. */
static void draw_flaky(struct plan *plan) {
    struct prng *prng = &plan->prng;
    plan->keys_kind = KEYS_ANY;
    plan->keys = PLAN_KEYS_MAX;
    plan->hot_percent = 5;
    plan->net.break_permyriad = (uint32_t)between(prng, 10, 60);
    plan->net.late_permille = maybe(prng, 60, 400);
    plan->net.late_ns = plan->net.latency_ns * between(prng, 1, 500);
    plan->churn = false;
    if (prng_chance(prng, 40)) { /* keys of short life: deletes and clears of unknown outcome off the request path */
        plan->weight[WORK_SET_EXPIRING] = 60;
        plan->expire_ms = (int64_t)between(prng, 1, 10);
    }
}

/* Links that break, nodes that go. What the run is to acknowledge comes before a node goes for good. */
static void draw_nodes(struct plan *plan) {
    struct prng *prng = &plan->prng;
    uint64_t unit = plan->net.latency_ns;
    plan->net.timeout_ns = unit * between(prng, 1, 200);
    plan->net.late_permille = maybe(prng, 50, 500);
    plan->net.late_ns = unit * between(prng, 1, 100);
    plan->partitions = maybe(prng, 60, (uint32_t)between(prng, 1, 4));
    plan->partition_odds = 10000;
    plan->partition_ns = unit * between(prng, 10, 2000);
    if (prng_chance(prng, 30)) { /* clients fall silent, and have to announce themselves to a node that is not there */
        plan->think_ns = between(prng, 200, 500) * MS;
        plan->partition_odds = 1000;
        plan->partition_ns = 2000 * MS;
    }
    if (plan->partitions == 0 || prng_chance(prng, 30)) {
        plan->loss = (enum loss)between(prng, LOSS_FOR_GOOD, LOSS_KIND_COUNT - 1);
        plan->loss_node = (uint32_t)prng_below(prng, plan->nodes);
        plan->loss_ns = unit * between(prng, 10, 5000);
        plan->loss_after = (uint32_t)between(prng, 100, 900);
    }
    if (plan_loses_memory(plan)) {
        plan->nodes = plan->nodes == 1 ? 2 : plan->nodes; /* a pool of one empty node is a new pool */
        plan->loss_after = (uint32_t)between(prng, OPERATIONS_WANTED - 150, OPERATIONS_WANTED);
        plan->operations += 400;
    }
}

/* Cuts outlast what a client waits for: of writes, deletes that nobody waits for, and blocks that change hands. */
static void draw_cuts(struct plan *plan) {
    struct prng *prng = &plan->prng;
    if (prng_chance(prng, 50)) {
        draw_full(plan);
    }
    plan->clients = plan->clients < CLIENTS_USUAL ? plan->clients : CLIENTS_USUAL;
    plan->gateways = plan->gateways < plan->clients ? plan->gateways : plan->clients;
    plan->keys_kind = KEYS_ANY; /* many keys: operations of unknown outcome make histories hard to judge */
    plan->keys = PLAN_KEYS_MAX;
    plan->hot_percent = 3;
    plan->weight[WORK_SET_EXPIRING] = 40;
    plan->expire_ms = (int64_t)between(prng, 1, 10);
    plan->churn = false;
    plan->net.timeout_ns = plan->net.latency_ns * between(prng, 1, 200);
    plan->partitions = (uint32_t)between(prng, 2, 6);
    plan->partition_odds = 2000;
    plan->partition_ns = 2000 * MS;
}

static void draw_keys(struct plan *plan) {
    struct prng *prng = &plan->prng;
    plan->keys_kind = prng_chance(prng, 15) ? KEYS_PACKED : (enum keys_kind)prng_below(prng, KEYS_PACKED);
    switch (prng_below(prng, 4)) {
    case 0:
        plan->keys = (uint32_t)between(prng, 1, 4);
        break;
    case 1:
        plan->keys = (uint32_t)between(prng, 5, 20);
        break;
    default:
        plan->keys = (uint32_t)between(prng, 10, PLAN_KEYS_MAX);
        break;
    }
    if (plan->keys_kind != KEYS_ANY && plan->keys > 48) {
        plan->keys = 48;
    }
    if (plan->keys_kind == KEYS_PACKED) {
        plan->keys = (uint32_t)between(prng, 40, 72);
    }
    plan->hot_keys = (uint32_t)between(prng, 1, plan->keys < 4 ? plan->keys : 4);
    plan->hot_percent = prng_chance(prng, 60) ? 70 : 20;
}

static void draw_work(struct plan *plan) {
    struct prng *prng = &plan->prng;
    static const uint8_t usual[WORK_COUNT] = {30, 4, 20, 0, 15, 8, 8, 8, 5, 5};
    for (uint32_t w = 0; w < WORK_COUNT; w++) {
        plan->weight[w] = prng_chance(prng, 70) ? usual[w] : 0;
    }
    plan->weight[WORK_GET] += 10;
    switch (prng_below(prng, 5)) {
    case 0: /* distinct values, read and written only */
        memset(plan->weight, 0, sizeof plan->weight);
        plan->weight[WORK_GET] = 50;
        plan->weight[WORK_GET_MANY] = maybe(prng, 50, 5);
        plan->weight[WORK_SET] = 50;
        break;
    case 1: /* keys come and go */
        plan->weight[WORK_DELETE] = 40;
        plan->weight[WORK_SETNX] = maybe(prng, 50, 20);
        plan->weight[WORK_SET] = 20;
        break;
    default:
        break;
    }
    plan->weight[WORK_SET_EXPIRING] = maybe(prng, 25, 15);
    plan->expire_ms = (int64_t)between(prng, 1, 40);
    static const uint32_t bytes[] = {24, 24, 200, 1500, 5000};
    plan->value_bytes = bytes[prng_below(prng, sizeof bytes / sizeof bytes[0])];
    plan->value_spread_bytes = prng_chance(prng, 50) ? 1 : plan->value_bytes;
    plan->operations = OPERATIONS_WANTED;
}

/* From a stream of its own. */
static void draw_many(struct plan *plan, struct prng *prng) {
    static const uint8_t percents[] = {20, 60, 95};
    if (prng_chance(prng, 40)) {
        plan->many_percent = percents[prng_below(prng, sizeof percents)];
        plan->many_keys = (uint32_t)between(prng, 2, 3);
    }
}

/* Between the operations of a chain, so that others see a transaction half published. */
static void draw_gaps(struct plan *plan, struct prng *prng) {
    if (plan->many_percent != 0 && prng_chance(prng, 50)) {
        plan->net.gap_ns = plan->net.latency_ns * between(prng, 2, 20);
    } else if (plan->many_percent != 0) {
        plan->net.stall_permille = (uint32_t)between(prng, 50, 500);
        plan->net.stall_ns = (plan->net.latency_ns + plan->net.latency_spread_ns) * between(prng, 5, 60);
    }
}

/* A node goes in the middle of the work, and what is left goes on. From a stream of its own. */
static void draw_settle(struct plan *plan, uint64_t seed) {
    struct prng late = {.state = seed ^ UINT64_C(0x5e771e)};
    struct prng *prng = &late;
    uint64_t unit = plan->net.latency_ns;
    if (!prng_chance(prng, 12) || plan->replicas == 1 || plan->long_sleeps || plan->long_thinks || plan->ample) {
        return;
    }
    static const uint8_t losses[] = {LOSS_FOR_GOOD, LOSS_FOR_GOOD, LOSS_KEPT, LOSS_EMPTY, LOSS_OTHER};
    plan->loss = (enum loss)losses[prng_below(prng, sizeof losses)];
    plan->loss_node = (uint32_t)prng_below(prng, plan->nodes);
    plan->loss_after = (uint32_t)between(prng, 100, 900);
    plan->loss_ns = unit * between(prng, 10, 5000);
    plan->settle_ns = unit * between(prng, 1, prng_chance(prng, 50) ? 100 : 5000);
    plan->net.timeout_ns = plan->net.timeout_ns == 0 ? unit * between(prng, 1, 200) : plan->net.timeout_ns;
    plan->operations += 300;
    plan->churn = false; /* somebody must be there who can settle it */
    if (plan->kills == 0 && plan->clients > 1 && prng_chance(prng, 20)) {
        plan->kills = 1;
        plan->kill_odds = 8000;
    }
}

static void draw_all(struct plan *plan, uint64_t seed) {
    struct prng mixed = {.state = seed}; /* near seeds must not give shifted streams */
    *plan = (struct plan){.seed = seed, .prng = {.state = prng_next(&mixed) * 3}};
    if (prng_chance(&mixed, 15)) {
        plan->flush_odds = (uint32_t)between(&mixed, 100, 2000);
    }
    draw_many(plan, &mixed);
    draw_geometry(plan);
    draw_network(plan);
    draw_gaps(plan, &mixed);
    draw_faults(plan);
    draw_keys(plan);
    draw_work(plan);
    if (prng_chance(&plan->prng, 10)) {
        if (prng_chance(&plan->prng, 50)) {
            draw_long_sleep(plan);
        } else {
            draw_long_think(plan);
        }
        return;
    }
    if (prng_chance(&plan->prng, 40)) {
        draw_inserts(plan);
    } else if (prng_chance(&plan->prng, 15)) {
        draw_full(plan);
    } else if (prng_chance(&plan->prng, 6)) {
        draw_rush(plan);
        return;
    }
    while (plan->clients * plan->coroutines > AT_ONCE_MAX) {
        plan->coroutines--;
    }
    if (prng_chance(&plan->prng, 11)) {
        draw_nodes(plan);
    } else if (prng_chance(&plan->prng, 7)) {
        draw_cuts(plan);
        if (plan->clients > 2 && prng_chance(&mixed, 50)) { /* some hold rounds open while others are repaired */
            plan->kills = (uint32_t)between(&mixed, 1, plan->clients - 2);
            plan->kill_odds = 8000;
        }
    } else if (prng_chance(&plan->prng, 8)) { /* and nothing else: repair must make up for it */
        plan->kills = (uint32_t)between(&plan->prng, 1, plan->clients - 1);
        plan->kill_odds = 4000;
    } else if (prng_chance(&plan->prng, 10)) { /* a client that lives on does not end its round of unknown outcome */
        plan->kills = maybe(&plan->prng, 60, (uint32_t)between(&plan->prng, 1, plan->clients - 1));
        plan->kill_odds = 8000;
        plan->net.break_permyriad = plan->kills != 0 && prng_chance(&plan->prng, 50) ? 0 : 5;
        plan->net.late_permille = maybe(&plan->prng, 60, 600);
        plan->net.late_ns = plan->net.latency_ns * between(&plan->prng, 1, 100);
        plan->churn = false;
    } else if (prng_chance(&plan->prng, 8)) {
        draw_flaky(plan);
    }
}

void plan_draw(struct plan *plan, uint64_t seed) {
    draw_all(plan, seed);
    draw_settle(plan, seed);
}

void plan_draw_dense(struct plan *plan, uint64_t seed) {
    plan_draw(plan, seed);
    struct prng *prng = &plan->prng;
    struct plan drawn = *plan;
    *plan = (struct plan){.seed = seed,
                          .prng = drawn.prng,
                          .replicas = drawn.replicas,
                          .nodes = drawn.nodes < drawn.replicas ? drawn.replicas : drawn.nodes,
                          .clients = (uint32_t)between(prng, 2, CLIENTS_USUAL),
                          .coroutines = (uint32_t)between(prng, 1, 2),
                          .node_bytes = 1024 * KIB,
                          .region_bytes = 64 * KIB,
                          .block_bytes = 16 * KIB,
                          .cache_bytes = drawn.cache_bytes,
                          .cpu_ns = drawn.cpu_ns,
                          .keys = (uint32_t)between(prng, 30, PLAN_KEYS_MAX),
                          .hot_keys = (uint32_t)between(prng, 4, 10),
                          .hot_percent = (uint32_t)between(prng, 20, 70),
                          .value_bytes = 24,
                          .value_spread_bytes = 1,
                          .expire_ms = 1,
                          .operations = DENSE_OPERATIONS};
    plan->gateways = (uint32_t)between(prng, 1, plan->clients);
    plan->net = (struct sim_net){.latency_ns = drawn.net.latency_ns,
                                 .latency_spread_ns = drawn.net.latency_spread_ns,
                                 .gap_ns = drawn.net.latency_ns / 10,
                                 .tear_permille = maybe(prng, 30, 100)};
    for (uint32_t n = 0; n < SIM_NODES_MAX; n++) {
        plan->net.factor[n] = drawn.net.factor[n];
    }
    static const uint8_t weight[WORK_COUNT] = {15, 0, 30, 0, 15, 20, 5, 5, 5, 5};
    for (uint32_t w = 0; w < WORK_COUNT; w++) {
        plan->weight[w] = weight[w];
    }
}

void plan_print(const struct plan *plan) {
    printf("seed %" PRIu64 ": r=%u nodes=%u gateways=%u clients=%u x %u, regions of %" PRIu64 " KiB, blocks of %" PRIu64
           " KiB, cache %" PRIu64 "\n",
           plan->seed, plan->replicas, plan->nodes, plan->gateways, plan->clients, plan->coroutines,
           plan->region_bytes / KIB, plan->block_bytes / KIB, plan->cache_bytes);
    printf("  latency %" PRIu64 "+%" PRIu64 " ns, gap %" PRIu64
           ", tail %u permille, torn %u, late reads %u, think %" PRIu64 ", pauses %u of %" PRIu64 " ns\n",
           plan->net.latency_ns, plan->net.latency_spread_ns, plan->net.gap_ns, plan->net.tail_permille,
           plan->net.tear_permille, plan->net.late_read_permille, plan->think_ns, plan->pause_permyriad,
           plan->pause_ns);
    printf("  kills %u, breaks %u, churn %d, skew %" PRId64
           " ms, jumps %u, allocations refused %u, long sleeps %d, thinks %d of %u epochs, ample %d\n",
           plan->kills, plan->net.break_permyriad, plan->churn, plan->skew_ms, plan->jump_permyriad,
           plan->refuse_permyriad, plan->long_sleeps, plan->long_thinks, plan->think_epochs, plan->ample);
    printf("  partitions %u of %" PRIu64 " ns, loss %d of node %u behind %u operations for %" PRIu64
           " ns, settled after %" PRIu64 " ns, late %u by %" PRIu64 " ns, attach refused %u, timeout %" PRIu64 " ns\n",
           plan->partitions, plan->partition_ns, plan->loss, plan->loss_node, plan->loss_after, plan->loss_ns,
           plan->settle_ns, plan->net.late_permille, plan->net.late_ns, plan->net.refuse_permille,
           plan->net.timeout_ns);
    printf("  keys %u (kind %d, names to %u bytes), hot %u by %u%%, values %u+%u bytes, weights", plan->keys,
           plan->keys_kind, plan->name_bytes, plan->hot_keys, plan->hot_percent, plan->value_bytes,
           plan->value_spread_bytes);
    for (uint32_t w = 0; w < WORK_COUNT; w++) {
        printf(" %u", plan->weight[w]);
    }
    printf("\n");
}
