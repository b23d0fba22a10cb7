/* world.c: see world.h. */
#include "world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "check.h"
#include "fault.h"
#include "fusee/epoch.h"
#include "fusee/session.h"
#include "workload.h"

#define MS UINT64_C(1000000)
#define EVENTS_MAX 6000000u
#define WALL_START_MS INT64_C(1700000000000)
#define WAIT_STEP_NS 100u
#define AWAY_MAX_TURNS 200u
#define LEAVE_ODDS 400u
#define JUMP_MAX_MS 20
#define TAGS_ROUND_NS (EPOCH_NS * (WORD_TAG_MASK + 1))

const char *const rare_names[RARE_COUNT] = {
    [RARE_INTENT_MET] = "intent of a transaction met",
    [RARE_TRANSACTION_ABORTED] = "transaction aborted",
    [RARE_PICTURE_RETAKEN] = "read of many keys began again",
    [RARE_LOSER_WAITS] = "loser of a round waits",
    [RARE_BLIND_OK] = "blind loser answers OK",
    [RARE_SPLIT_ROUND] = "split round fixed by its winner",
    [RARE_INSERT_CONFLICT] = "insert aborted by its check",
    [RARE_TOMBSTONE_REUSED] = "tombstone overwritten",
    [RARE_CLEAR_LOST] = "clear lost",
    [RARE_READ_TORN] = "read torn by a write",
    [RARE_CACHE_STALE] = "cached word stale",
    [RARE_CACHE_BYPASSED] = "cached word bypassed",
    [RARE_GUESS_RIGHT] = "guess right",
    [RARE_GUESS_STALE] = "guess stale",
    [RARE_GUESS_OLD] = "guess refused for its age",
    [RARE_EXPIRED_REMOVED] = "expired key removed",
    [RARE_OUT_OF_MEMORY] = "write refused, pool full",
    [RARE_RECLAIM_DEFERRED] = "allocator waits for the grace period",
    [RARE_ADDRESS_REUSED] = "address used again",
    [RARE_BLOCK_ADOPTED] = "orphan block adopted",
    [RARE_BLOCK_RETURNED] = "block given back",
    [RARE_BUCKETS_FULL] = "both buckets full",
    [RARE_CHAIN_BROKEN] = "chain broken",
    [RARE_CHAIN_LATE] = "chain arrives behind its error",
    [RARE_LINK_DEAF] = "link loses requests",
    [RARE_LINK_MUTE] = "link loses answers",
    [RARE_NODE_LOST] = "memory node lost",
    [RARE_NODE_RETURNED] = "memory node back with its memory",
    [RARE_NODE_REPLACED] = "memory node back without its memory",
    [RARE_ATTACH_REFUSED] = "attach lost, or of a replaced node",
    [RARE_ATTACH_STALE] = "pool with a replaced node refused",
    [RARE_ATTACH_REPEATED] = "attach made twice",
    [RARE_CLOCK_JUMPED] = "wall clock jumped back",
    [RARE_NODE_SETTLED] = "loss of a node settled",
    [RARE_SETTLING_REPEATED] = "settling repeated",
    [RARE_ROUND_FOLLOWED] = "own round under which nodes changed",
    [RARE_ALLOCATION_REFUSED] = "process has no memory",
    [RARE_CLIENT_KILLED] = "client killed",
    [RARE_CLIENT_REPAIRED] = "dead client repaired",
    [RARE_ROUND_REPAIRED] = "round of a dead client ended",
    [RARE_OBJECT_RECOVERED] = "object of a dead client recovered",
    [RARE_CLIENT_PAUSED] = "client paused",
    [RARE_CLIENT_LEFT] = "client left and came back",
    [RARE_OUTCOME_UNKNOWN] = "outcome unknown",
    [RARE_ROUND_RESUMED] = "own round ended behind a failure",
    [RARE_OUTCOME_PROVED] = "unknown outcome proved by the chain",
    [RARE_FLUSH] = "space flushed",
    [RARE_UNREACHABLE] = "operation refused, node out of reach",
    [RARE_UNSWEPT_ADOPTED] = "unswept block adopted",
    [RARE_OBJECT_UNSWEPT] = "lost object waits in an unswept block",
    [RARE_OBJECT_UNREADABLE] = "object behind a primary's word unreadable",
};

void world_fail(struct world *world, const char *format, ...) {
    va_list arguments;
    printf("FAIL seed %" PRIu64 " at %.1f us: ", world->plan.seed, (double)world->fabric.now_ns / 1000);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
    _Exit(1);
}

/* ---- Environment of a gateway ----------------------------------------------------------------------------------- */

static uint64_t env_clock_ns(void *context) {
    const struct gateway *gateway = context;
    return gateway->world->fabric.now_ns + gateway->clock_offset_ns;
}

int64_t world_wall_now_ms(const struct gateway *gateway) {
    return WALL_START_MS + (int64_t)(gateway->world->fabric.now_ns / MS) + gateway->wall_offset_ms;
}

static int64_t env_wall_ms(void *context) {
    struct gateway *gateway = context;
    struct world *world = gateway->world;
    const struct plan *plan = &world->plan;
    if (world->phase == PHASE_SAFETY && prng_below(&gateway->prng, 10000) < plan->jump_permyriad) {
        int64_t jump_ms = (int64_t)prng_below(&gateway->prng, 2 * JUMP_MAX_MS + 1) - JUMP_MAX_MS;
        gateway->wall_offset_ms += jump_ms;
        world->rare[RARE_CLOCK_JUMPED] += jump_ms < 0;
    }
    int64_t now_ms = world_wall_now_ms(gateway);
    world->wall_high_ms = now_ms > world->wall_high_ms ? now_ms : world->wall_high_ms;
    workload_clock_read(world, gateway, now_ms);
    return now_ms;
}

static uint64_t env_random_u64(void *context) { return prng_next(&((struct gateway *)context)->prng); }

static void *env_allocate(void *context, size_t bytes) {
    struct gateway *gateway = context;
    if (gateway->may_refuse && prng_below(&gateway->prng, 10000) < gateway->world->plan.refuse_permyriad) {
        gateway->world->rare[RARE_ALLOCATION_REFUSED]++;
        return NULL;
    }
    size_t rounded = (bytes + 64) & ~(size_t)63;
    void *memory = aligned_alloc(64, rounded);
    dm_assert(memory != NULL);
    memset(memory, 0, rounded);
    gateway->allocated++;
    return memory;
}

static void env_release(void *context, void *memory) {
    ((struct gateway *)context)->allocated -= memory != NULL;
    free(memory);
}

static void env_log(void *context, enum dm_log_level level, const char *message) {
    const struct gateway *gateway = context;
    if (gateway->world->trace && level >= DM_LOG_VERBOSE) {
        printf("%10" PRIu64 " log: %s\n", gateway->world->fabric.now_ns / 1000, message);
    }
}

/* ---- What the fabric asks --------------------------------------------------------------------------------------- */

static int host_client_of(void *context, const struct dm_sched *sched) {
    const struct world *world = context;
    for (uint32_t i = 0; i < world->plan.clients; i++) {
        if (world->clients[i].sched == sched) {
            return (int)i;
        }
    }
    return -1;
}

static uint64_t turn_delay(struct world *world) { return 1 + prng_below(&world->prng, world->plan.cpu_ns); }

static void turn_by(struct client *client, uint64_t when_ns) {
    when_ns = when_ns > client->paused_ns ? when_ns : client->paused_ns;
    client->next_ns = when_ns < client->next_ns ? when_ns : client->next_ns;
}

void world_wake(struct world *world, struct client *client) { turn_by(client, world->fabric.now_ns); }

static int host_opener(void *context) { return ((const struct world *)context)->blocking; }

static const uint32_t *host_attached(void *context, int index) {
    const struct world *world = context;
    return index < 0 ? NULL : world->clients[index].gateway->attached;
}

static void host_posted(void *context, int index, bool only_read) {
    struct world *world = context;
    if (index >= 0) {
        world->clients[index].only_knows &= only_read;
    }
}

static void host_completed(void *context, int index) {
    struct world *world = context;
    if (index >= 0 && world->clients[index].session != NULL) {
        turn_by(&world->clients[index], world->fabric.now_ns + turn_delay(world));
    }
}

static bool host_is_polling(void *context, int index) {
    const struct world *world = context;
    return index >= 0 && world->running == index;
}

static void host_swapped(void *context, const struct dm_op *op) { check_swap(context, op); }

/* ---- Coming and going ------------------------------------------------------------------------------------------- */

static void client_count_rare(struct world *world, struct client *client) {
    struct dm_session_stats stats;
    dm_session_stats(client->session, &stats);
    world->rare[RARE_LOSER_WAITS] += stats.conflicts_lost;
    world->rare[RARE_BLIND_OK] += stats.conflicts_blind_ok;
    world->rare[RARE_SPLIT_ROUND] += stats.rounds_split;
    world->rare[RARE_INSERT_CONFLICT] += stats.insert_conflicts;
    world->rare[RARE_TOMBSTONE_REUSED] += stats.tombstones_reused;
    world->rare[RARE_CLEAR_LOST] += stats.clears_lost;
    world->rare[RARE_OBJECT_UNREADABLE] += stats.objects_torn;
    world->rare[RARE_CACHE_STALE] += stats.cache_stale;
    world->rare[RARE_CACHE_BYPASSED] += stats.cache_bypassed;
    world->rare[RARE_GUESS_RIGHT] += stats.guesses_right;
    world->rare[RARE_GUESS_STALE] += stats.guesses_stale;
    world->rare[RARE_GUESS_OLD] += stats.guesses_old;
    world->rare[RARE_EXPIRED_REMOVED] += stats.expired_keys;
    world->rare[RARE_OUT_OF_MEMORY] += stats.out_of_memory;
    world->rare[RARE_CLIENT_REPAIRED] += stats.clients_repaired;
    world->rare[RARE_ROUND_REPAIRED] += stats.rounds_repaired;
    world->rare[RARE_OBJECT_RECOVERED] += stats.objects_recovered;
    world->rare[RARE_ROUND_RESUMED] += stats.rounds_resumed;
    world->rare[RARE_ROUND_FOLLOWED] += stats.rounds_followed;
    world->rare[RARE_OUTCOME_PROVED] += stats.outcomes_proved;
    world->rare[RARE_INTENT_MET] += stats.intents_met;
    world->rare[RARE_TRANSACTION_ABORTED] += stats.transactions_aborted;
    world->rare[RARE_PICTURE_RETAKEN] += stats.pictures_retaken;
    world->rare[RARE_RECLAIM_DEFERRED] += stats.reclaim_deferred;
    world->rare[RARE_BUCKETS_FULL] += client->refused > stats.out_of_memory ? client->refused - stats.out_of_memory : 0;
    client->refused = 0;
}

enum dm_status world_attach(struct world *world, struct gateway *gateway, struct dm_pool **out, char *error,
                            size_t error_bytes) {
    struct dm_pool_config config = {.env = &gateway->env,
                                    .fabric = &world->fabric.head,
                                    .replicas = world->plan.replicas,
                                    .region_bytes = world->plan.region_bytes,
                                    .block_bytes = world->plan.block_bytes,
                                    .subtables = 1,
                                    .cache_bytes = world->plan.cache_bytes,
                                    .copy_bytes = world->plan.cache_bytes * 4};
    return dm_pool_open(&config, out, error, error_bytes);
}

/* The gateway's process opens its pool, now and then twice: a call that was made again. */
static enum dm_status gateway_attach(struct world *world, struct gateway *gateway, char *error, size_t error_bytes) {
    if (gateway->pool != NULL) {
        return DM_OK;
    }
    memcpy(gateway->attached, world->fabric.incarnation, sizeof gateway->attached);
    enum dm_status status = world_attach(world, gateway, &gateway->pool, error, error_bytes);
    if (status == DM_OK && prng_below(&world->prng, 1000) < world->plan.net.refuse_permille) {
        struct dm_pool *again;
        if (world_attach(world, gateway, &again, error, error_bytes) == DM_OK) {
            world->rare[RARE_ATTACH_REPEATED]++;
            dm_pool_close(again);
        }
    }
    return status;
}

/* It could not come: a chain broke, an answer was lost, a node is gone. Once more, later. */
static void client_refused(struct world *world, struct client *client, enum dm_status status, const char *error) {
    const struct plan *plan = &world->plan;
    bool expected = world->phase == PHASE_SAFETY && (plan_is_harsh(plan) || plan->net.refuse_permille != 0);
    if (!expected && !world->faults.node_lost) {
        world_fail(world, "client %u cannot open: %s", client->index, error);
    }
    world->rare[RARE_ATTACH_REFUSED] += status == DM_UNREACHABLE || status == DM_INCOMPATIBLE;
    world->refusals++;
    uint64_t turn_ns = world->phase == PHASE_SAFETY ? plan->cpu_ns * 1000 : 100 * MS;
    client->next_ns = world->fabric.now_ns + (turn_ns > plan->partition_ns / 8 ? turn_ns : plan->partition_ns / 8);
}

static void client_come(struct world *world, struct client *client) {
    char error[512] = "";
    struct gateway *gateway = client->gateway;
    world->blocking = (int)client->index;
    client->next_ns = UINT64_MAX;
    gateway->may_refuse = false;
    enum dm_status status = gateway_attach(world, gateway, error, sizeof error);
    if (status == DM_OK) {
        status = dm_session_open(gateway->pool, client->sched, &client->session, error, sizeof error);
    }
    world->blocking = -1;
    if (status != DM_OK) {
        client_refused(world, client, status, error);
        return;
    }
    gateway->may_refuse = world->phase == PHASE_SAFETY;
    client->state = CLIENT_HERE;
    world_wake(world, client);
    workload_start(world, client);
}

void world_leave(struct world *world, struct client *client) {
    world->blocking = (int)client->index;
    client->next_ns = UINT64_MAX;
    client->gateway->may_refuse = false;
    client_count_rare(world, client);
    dm_session_close(client->session);
    client->gateway->may_refuse = world->phase == PHASE_SAFETY;
    client->session = NULL;
    client->state = CLIENT_AWAY;
    client->next_ns = UINT64_MAX;
    world->blocking = -1;
}

bool world_is_here(const struct client *client) {
    return client->state == CLIENT_HERE || client->state == CLIENT_LEAVING;
}

void world_count_rare(struct world *world) {
    for (uint32_t i = 0; i < world->plan.clients; i++) {
        if (world_is_here(&world->clients[i])) {
            client_count_rare(world, &world->clients[i]);
        }
    }
}

static void client_kill(struct world *world, struct client *client) {
    world->deaths++;
    world->rare[RARE_CLIENT_KILLED]++;
    if (world->trace) {
        printf("%10" PRIu64 " client %u is killed\n", world->fabric.now_ns / 1000, client->index);
    }
    client->state = CLIENT_DEAD;
    client->next_ns = UINT64_MAX;
    client_count_rare(world, client);
    sim_fabric_kill(&world->fabric, (int)client->index);
    workload_killed(world, client);
}

/* Chooses who dies, and waits for the moment. */
static void kill_step(struct world *world) {
    const struct plan *plan = &world->plan;
    if (world->phase != PHASE_SAFETY || world->deaths >= plan->kills) {
        return;
    }
    if (world->victim == NULL && prng_below(&world->prng, plan->kill_odds) == 0) {
        world->victim = &world->clients[prng_below(&world->prng, plan->clients)];
        world->victim_amid = prng_chance(&world->prng, 70);
    }
    struct client *victim = world->victim;
    if (victim != NULL && !world_is_here(victim)) {
        world->victim = NULL;
    } else if (victim != NULL && world->running < 0 && world->blocking < 0 &&
               (!world->victim_amid || sim_fabric_is_amid(&world->fabric, (int)victim->index))) {
        client_kill(world, victim);
        world->victim = NULL;
    }
}

static bool nobody_sleeps(const struct world *world) {
    bool nobody = true;
    for (uint32_t i = 0; i < world->plan.clients; i++) {
        nobody &= world->clients[i].paused_ns <= world->fabric.now_ns;
    }
    return nobody;
}

/* ---- Turns ------------------------------------------------------------------------------------------------------ */

static void client_turn(struct world *world, struct client *client) {
    const struct plan *plan = &world->plan;
    sim_fabric_note(&world->fabric, client->index);
    if (client->state == CLIENT_AWAY) {
        client_come(world, client);
        return;
    }
    bool faults = world->phase == PHASE_SAFETY;
    bool may_pause =
        !plan->long_sleeps || (client->only_knows && workload_is_busy(world, client) && nobody_sleeps(world));
    if (faults && may_pause && prng_below(&world->prng, 10000) < plan->pause_permyriad) {
        client->paused_ns =
            world->fabric.now_ns + prng_below(&world->prng, plan->pause_ns) + (plan->long_sleeps ? TAGS_ROUND_NS : 0);
        client->next_ns = client->paused_ns;
        world->rare[RARE_CLIENT_PAUSED]++;
        return;
    }
    if (faults && plan->churn && client->state == CLIENT_HERE && prng_below(&world->prng, LEAVE_ODDS) == 0) {
        client->state = CLIENT_LEAVING;
    }
    if (client->state == CLIENT_LEAVING && client->workers == 0 && world->blocking < 0 && faults) {
        world_leave(world, client);
        world->rare[RARE_CLIENT_LEFT]++;
        client->next_ns = world->fabric.now_ns + prng_below(&world->prng, AWAY_MAX_TURNS * plan->cpu_ns * 10 + 1);
        return;
    }
    client->next_ns = UINT64_MAX;
    world->running = (int)client->index;
    uint64_t again_ns = dm_session_poll(client->session);
    world->running = -1;
    if (again_ns != UINT64_MAX) {
        turn_by(client, world->fabric.now_ns + again_ns + turn_delay(world));
    }
}

static struct client *next_client(struct world *world) {
    struct client *next = NULL;
    for (uint32_t i = 0; i < world->plan.clients; i++) {
        struct client *client = &world->clients[i];
        bool may = client->state != CLIENT_DEAD && world->blocking != (int)i &&
                   !(world->blocking >= 0 && client->state == CLIENT_AWAY);
        if (may && client->next_ns != UINT64_MAX && (next == NULL || client->next_ns < next->next_ns)) {
            next = client;
        }
    }
    return next;
}

static void world_step(void *context, uint64_t limit_ns) {
    struct world *world = context;
    struct sim_fabric *fabric = &world->fabric;
    struct client *client = next_client(world);
    uint64_t event_ns = sim_fabric_next_ns(fabric);
    uint64_t turn_ns = client == NULL ? UINT64_MAX : client->next_ns;
    turn_ns = turn_ns < fabric->now_ns ? fabric->now_ns : turn_ns;
    limit_ns = limit_ns <= fabric->now_ns ? fabric->now_ns + WAIT_STEP_NS : limit_ns;
    if (fabric->events > world->event_limit) {
        world_fail(world, "%" PRIu64 " events, no end in sight", fabric->events);
    }
    if (limit_ns < event_ns && limit_ns < turn_ns) {
        fabric->now_ns = limit_ns;
    } else if (event_ns < turn_ns || (event_ns == turn_ns && prng_chance(&world->prng, 50))) {
        sim_fabric_advance(fabric);
        fault_step(world);
        kill_step(world);
    } else if (turn_ns != UINT64_MAX) {
        fabric->now_ns = turn_ns;
        client_turn(world, client);
    } else {
        world_fail(world, "nothing can happen any more");
    }
    if (fabric->fault != NULL) {
        world_fail(world, "%s", fabric->fault);
    }
}

void world_run(struct world *world, uint64_t until_ns, bool (*done)(struct world *world)) {
    while (!done(world) && world->fabric.now_ns < until_ns) {
        world_step(world, until_ns);
    }
}

void world_phase(struct world *world, enum phase phase) {
    world->phase = phase;
    if (world->trace) {
        printf("%10" PRIu64 " phase %d\n", world->fabric.now_ns / 1000, phase);
    }
    struct sim_net *net = &world->fabric.net;
    if (phase == PHASE_SAFETY) {
        return;
    }
    net->tail_permille = 0;
    net->break_permyriad = 0;
    net->refuse_permille = 0;
    fault_end(world);
    for (uint32_t i = 0; i < world->plan.gateways; i++) {
        world->gateways[i].may_refuse = false;
    }
    for (uint32_t i = 0; i < world->plan.clients; i++) {
        struct client *client = &world->clients[i];
        client->paused_ns = 0;
        if (world_is_here(client)) {
            client->state = CLIENT_HERE;
            world_wake(world, client);
        }
    }
}

/* ---- Opening and closing ---------------------------------------------------------------------------------------- */

static void gateway_open(struct world *world, struct gateway *gateway) {
    const struct plan *plan = &world->plan;
    gateway->world = world;
    gateway->prng.state = plan_stream(&world->plan);
    gateway->clock_offset_ns = prng_below(&gateway->prng, UINT64_C(1) << 40);
    gateway->wall_offset_ms = (int64_t)prng_below(&gateway->prng, (uint64_t)plan->skew_ms + 1);
    gateway->env = (struct dm_env){.context = gateway,
                                   .clock_ns = env_clock_ns,
                                   .wall_ms = env_wall_ms,
                                   .random_u64 = env_random_u64,
                                   .allocate = env_allocate,
                                   .release = env_release,
                                   .log = env_log};
}

void world_open(struct world *world, const struct plan *plan, bool trace) {
    *world = (struct world){.plan = *plan, .running = -1, .blocking = -1, .event_limit = EVENTS_MAX, .trace = trace};
    world->prng.state = plan_stream(&world->plan);
    world->wall_high_ms = WALL_START_MS;
    for (uint32_t i = 0; i < plan->gateways; i++) {
        gateway_open(world, &world->gateways[i]);
    }
    struct sim_fabric *fabric = &world->fabric;
    sim_fabric_open(fabric, &world->gateways[0].env, plan->nodes, plan->node_bytes);
    fabric->net = plan->net;
    fabric->trace = trace;
    fabric->prng.state = plan_stream(&world->plan);
    fabric->host = (struct sim_host){world,          host_client_of,  host_opener,  host_attached, host_posted,
                                     host_completed, host_is_polling, host_swapped, world_step};
    fabric->net.break_permyriad = 0; /* from the first operation of the workload on */
    for (uint32_t i = 0; i < plan->clients; i++) {
        struct client *client = &world->clients[i];
        *client = (struct client){.world = world, .index = i, .gateway = &world->gateways[i % plan->gateways]};
        struct dm_sched_config few = {.coroutines = 32};
        if (dm_sched_create(&client->gateway->env, &few, &client->sched) != DM_OK) {
            world_fail(world, "no scheduler");
        }
        client->next_ns = i == 0 ? 0 : 1 + prng_below(&world->prng, plan->cpu_ns * 1000);
    }
}

void world_close(struct world *world) {
    for (uint32_t i = 0; i < world->plan.clients; i++) {
        dm_sched_destroy(world->clients[i].sched);
    }
    for (uint32_t i = 0; i < world->plan.gateways; i++) {
        if (world->gateways[i].pool != NULL) {
            dm_pool_close(world->gateways[i].pool);
        }
        if (world->gateways[i].allocated != 0) {
            world_fail(world, "gateway %u has not released %" PRIu64 " pieces of memory", i,
                       world->gateways[i].allocated);
        }
    }
    sim_fabric_close(&world->fabric);
    free(world->ops);
}
