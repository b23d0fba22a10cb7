/* workload.c: see workload.h.
 *
 * A value carries its identity, its count of appends and its length, and is filled with bytes that follow from the
 * identity, so that a mixture of two values cannot pass for either.
 */
#include "workload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "fusee/epoch.h"
#include "fusee/index.h"
#include "fusee/pool.h"
#include "fusee/word.h"
#include "workload_many.h"

#define NAME_BYTES (PLAN_NAME_BYTES_MAX + 24)
#define VALUE_BYTES_MAX 12000
#define MANY_MAX 6
#define IDENTITY_SHIFT 16 /* room for increments between two written identities */
#define HARSH_EVENTS_MAX 400000
#define REFUSALS_MAX 300
#define ADDRESSES 131072

struct key {
    char name[NAME_BYTES];
    struct dm_key key;
    bool stuck; /* held by a round that nobody ends: read only */
};

struct worker {
    struct client *client;
    struct prng prng;
    bool verifies;
    uint32_t first, count; /* records of the operation under way; count 0: none */
    uint8_t value[VALUE_BYTES_MAX];
};

struct work_state {
    struct key keys[PLAN_KEYS_MAX];
    bool keys_drawn;
    struct worker workers[PLAN_CLIENTS_MAX][PLAN_COROUTINES_MAX];
    uint64_t identities;
    uint8_t tags[ADDRESSES]; /* tag + 1 last seen with an address */
};

static struct work_state *state_of(const struct world *world) { return world->work; }

struct dm_key workload_key(const struct world *world, uint32_t key) {
    return state_of(world)->keys[key].key;
}

/* ---- Keys ------------------------------------------------------------------------------------------------------- */

static bool key_fits(const struct world *world, const struct dm_pool *pool, const struct dm_key *key) {
    uint64_t hash = index_hash(key, pool->hash_seed);
    if (world->plan.keys_kind == KEYS_ANY) {
        return true;
    }
    struct index_place place = index_place(hash);
    uint16_t end = 3 * INDEX_BUCKET_SLOTS * 2; /* of the second group */
    if (world->plan.keys_kind == KEYS_PACKED) {
        return place.first_slot[0] < end && place.first_slot[1] < end;
    }
    if (world->plan.keys_kind == KEYS_ALIKE && index_fingerprint(hash) >= 16) {
        return false;
    }
    return place.first_slot[0] < end;
}

static void draw_keys(struct world *world, const struct dm_pool *pool) {
    struct work_state *work = state_of(world);
    uint64_t salt = plan_stream(&world->plan);
    for (uint32_t i = 0; i < world->plan.keys; i++) {
        struct key *key = &work->keys[i];
        do {
            uint32_t length = (uint32_t)snprintf(key->name, sizeof key->name, "key:%" PRIu64, salt++ % 1000000000);
            uint32_t more = world->plan.name_bytes == 0 ? 0 : (uint32_t)(salt * 37 % world->plan.name_bytes);
            memset(key->name + length, '.', more);
            key->key = (struct dm_key){.bytes = key->name, .length = length + more};
        } while (!key_fits(world, pool, &key->key));
    }
    work->keys_drawn = true;
}

/* ---- Values ----------------------------------------------------------------------------------------------------- */

struct payload {
    uint64_t identity, count;
    uint32_t length, zero;
};

static uint32_t payload_length(const struct world *world, uint64_t identity) {
    uint64_t drawn = history_mix(identity, 77) >> 20;
    uint64_t length = world->plan.value_bytes + drawn % world->plan.value_spread_bytes;
    return length < sizeof(struct payload) ? sizeof(struct payload) : (uint32_t)length;
}

static uint8_t payload_byte(uint64_t identity, uint32_t at) {
    return (uint8_t)(identity * 31 + identity / 251 + at * 7 + at / 8);
}

static struct dm_bytes payload_make(const struct world *world, struct worker *worker, uint64_t identity,
                                    uint64_t count) {
    struct payload payload = {identity, count, payload_length(world, identity), 0};
    memcpy(worker->value, &payload, sizeof payload);
    for (uint32_t i = sizeof payload; i < payload.length; i++) {
        worker->value[i] = payload_byte(identity, i);
    }
    return (struct dm_bytes){worker->value, payload.length};
}

static struct payload payload_read(struct world *world, const struct dm_value *value) {
    struct payload payload = {0};
    bool good = value->length >= sizeof payload;
    if (good) {
        memcpy(&payload, value->bytes, sizeof payload);
        good = payload.length == value->length && payload.length == payload_length(world, payload.identity);
    }
    for (uint32_t i = sizeof payload; good && i < payload.length; i++) {
        good = value->bytes[i] == payload_byte(payload.identity, i);
    }
    if (!good) {
        world_fail(world, "a client was given a value of %u bytes that nobody wrote (identity %" PRIx64 ")",
                   value->length, payload.identity);
    }
    uint64_t unit = word_address(value->version) / WORD_UNIT_BYTES % ADDRESSES;
    uint8_t *tag = &state_of(world)->tags[unit];
    world->rare[RARE_ADDRESS_REUSED] += *tag != 0 && *tag != word_tag(value->version) + 1;
    *tag = (uint8_t)(word_tag(value->version) + 1);
    return payload;
}

/* ---- Records ---------------------------------------------------------------------------------------------------- */

static struct history_op *record(struct world *world, struct worker *worker, uint32_t i) {
    return &world->ops[worker->first + i];
}

/* Begins `count` operations at once; fills what they have in common. */
static struct history_op *begin(struct world *world, struct worker *worker, enum history_kind kind, uint32_t count) {
    if (world->op_count + count > world->op_capacity) {
        world->op_capacity = world->op_capacity == 0 ? 4096 : world->op_capacity * 2;
        world->ops = realloc(world->ops, world->op_capacity * sizeof *world->ops);
        dm_assert(world->ops != NULL);
    }
    worker->first = world->op_count;
    worker->count = count;
    worker->client->only_knows = true;
    world->op_count += count;
    for (uint32_t i = 0; i < count; i++) {
        *record(world, worker, i) = (struct history_op){
            .kind = (uint8_t)kind,
            .client = (uint8_t)worker->client->index,
            .began = world->sequence++,
            .ended = HISTORY_OPEN,
            .began_ns = world->fabric.now_ns,
            .wall_low_ms = world_wall_now_ms(worker->client->gateway),
        };
    }
    return record(world, worker, 0);
}

void workload_clock_read(struct world *world, const struct gateway *gateway, int64_t now_ms) {
    struct work_state *work = world->work;
    for (uint32_t c = 0; work != NULL && c < world->plan.clients; c++) {
        if (world->clients[c].gateway != gateway) {
            continue;
        }
        for (uint32_t w = 0; w < world->plan.coroutines; w++) {
            struct worker *worker = &work->workers[c][w];
            for (uint32_t i = 0; i < worker->count; i++) {
                struct history_op *op = record(world, worker, i);
                op->wall_low_ms = now_ms < op->wall_low_ms ? now_ms : op->wall_low_ms;
            }
        }
    }
}

static void end_unknown(struct world *world, struct history_op *op) {
    op->unknown = true;
    op->wall_high_ms = INT64_MAX;
    state_of(world)->keys[op->key].stuck |= plan_stays_lost(&world->plan);
    world->rare[RARE_OUTCOME_UNKNOWN]++;
}

/* May an operation end so in this run? */
static bool is_expected(const struct world *world, enum history_kind kind, enum dm_status status) {
    const struct plan *plan = &world->plan;
    switch (status) {
    case DM_NO_MEMORY: /* there is always memory for a delete */
        return kind != HISTORY_GET && !plan->ample &&
               (kind != HISTORY_DELETE || plan_is_harsh(plan) || plan->refuse_permyriad != 0);
    case DM_BUSY:
        return plan->refuse_permyriad != 0;
    case DM_UNREACHABLE: /* a flush is called off, too, when operations do not end */
        return plan_is_cut(plan) || kind == HISTORY_FLUSH;
    case DM_UNKNOWN_OUTCOME: /* also for those who waited 10 s for one that sleeps longer */
        return plan_is_harsh(plan) || plan->long_sleeps || kind == HISTORY_FLUSH;
    default:
        return false;
    }
}

/* The operation's record `i` has ended with this status; its results are set. */
static void end(struct world *world, struct worker *worker, uint32_t i, enum dm_status status) {
    struct history_op *op = record(world, worker, i);
    op->ended = world->sequence++;
    op->ended_ns = world->fabric.now_ns;
    op->wall_high_ms = world->wall_high_ms;
    sim_fabric_note(&world->fabric, op->result ^ (uint64_t)op->kind << 56 ^ (uint64_t)status << 48);
    if (world->trace) {
        printf("%10" PRIu64 " client %u ended: %s\n", world->fabric.now_ns / 1000, op->client, dm_status_text(status));
        history_print(op);
    }
    if (status == DM_OK || status == DM_NOT_FOUND) {
        world->acknowledged++;
        return;
    }
    if (!is_expected(world, op->kind, status)) {
        history_print(op);
        world_fail(world, "an operation ended with \"%s\"", dm_status_text(status));
    }
    worker->client->refused += status == DM_NO_MEMORY;
    world->rare[RARE_UNREACHABLE] += status == DM_UNREACHABLE;
    if (status == DM_UNKNOWN_OUTCOME && op->kind != HISTORY_GET) {
        end_unknown(world, op);
        op->ended = HISTORY_OPEN;
    } else {
        op->key = UINT32_MAX; /* nothing happened */
    }
}

void workload_killed(struct world *world, struct client *client) {
    struct work_state *work = state_of(world);
    many_killed(world, client);
    for (uint32_t w = 0; w < world->plan.coroutines; w++) {
        struct worker *worker = &work->workers[client->index][w];
        for (uint32_t i = 0; i < worker->count; i++) {
            struct history_op *op = record(world, worker, i);
            if (op->ended != HISTORY_OPEN) {
                continue;
            }
            if (op->kind == HISTORY_GET) {
                op->key = UINT32_MAX;
            } else {
                end_unknown(world, op);
            }
        }
        worker->count = 0;
    }
    client->workers = 0;
}

bool workload_is_busy(const struct world *world, const struct client *client) {
    bool busy = many_is_busy(world, client);
    for (uint32_t w = 0; w < world->plan.coroutines; w++) {
        busy |= state_of(world)->workers[client->index][w].count != 0;
    }
    return busy;
}

/* ---- Operations ------------------------------------------------------------------------------------------------- */

static void take_read(struct world *world, struct history_op *op, enum dm_status status, const struct dm_read *read) {
    if (status == DM_OK) {
        struct payload payload = payload_read(world, &read->value);
        op->result = payload.identity;
        op->result_count = payload.count;
    }
}

static void run_get(struct world *world, struct worker *worker, uint32_t key) {
    struct dm_read read = {0};
    begin(world, worker, HISTORY_GET, 1)->key = key;
    struct dm_key name = workload_key(world, key);
    enum dm_status status = dm_get(worker->client->session, &name, &read);
    take_read(world, record(world, worker, 0), status, &read);
    dm_read_release(worker->client->session, &read);
    end(world, worker, 0, status);
    worker->count = 0;
}

static void run_get_many(struct world *world, struct worker *worker) {
    struct dm_read reads[MANY_MAX] = {0};
    enum dm_status statuses[MANY_MAX];
    struct dm_key names[MANY_MAX];
    uint32_t count = 1 + (uint32_t)prng_below(&worker->prng, MANY_MAX);
    begin(world, worker, HISTORY_GET, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t key = (uint32_t)prng_below(&worker->prng, world->plan.keys);
        record(world, worker, i)->key = key;
        names[i] = workload_key(world, key);
    }
    dm_get_many(worker->client->session, names, count, reads, statuses);
    for (uint32_t i = 0; i < count; i++) {
        take_read(world, record(world, worker, i), statuses[i], &reads[i]);
        dm_read_release(worker->client->session, &reads[i]);
        end(world, worker, i, statuses[i]);
    }
    worker->count = 0;
}

static uint64_t fresh_identity(struct world *world) { return ++state_of(world)->identities << IDENTITY_SHIFT; }

static void run_set(struct world *world, struct worker *worker, uint32_t key, int64_t expire_ms) {
    struct history_op *op = begin(world, worker, HISTORY_SET, 1);
    op->key = key;
    op->argument = fresh_identity(world);
    op->expire_ms = expire_ms;
    struct dm_write write = {.part = {payload_make(world, worker, op->argument, 0)}, .expire_ms = expire_ms};
    struct dm_key name = workload_key(world, key);
    end(world, worker, 0, dm_put(worker->client->session, &name, &write));
    worker->count = 0;
}

static void run_delete(struct world *world, struct worker *worker, uint32_t key) {
    begin(world, worker, HISTORY_DELETE, 1)->key = key;
    struct dm_key name = workload_key(world, key);
    enum dm_status status = dm_delete(worker->client->session, &name);
    record(world, worker, 0)->result = status == DM_OK;
    end(world, worker, 0, status);
    worker->count = 0;
}

/* One operation of each key. */
static void run_flush(struct world *world, struct worker *worker) {
    begin(world, worker, HISTORY_FLUSH, world->plan.keys);
    for (uint32_t i = 0; i < world->plan.keys; i++) {
        record(world, worker, i)->key = i;
    }
    enum dm_status status = dm_space_flush(worker->client->session, 0);
    if (status == DM_OK && prng_chance(&worker->prng, 50)) {
        enum dm_status purged = dm_space_purge(worker->client->session);
        if (purged != DM_OK && !plan_is_harsh(&world->plan) && world->plan.refuse_permyriad == 0) {
            world_fail(world, "a purge ended with \"%s\"", dm_status_text(purged));
        }
    }
    for (uint32_t i = 0; i < world->plan.keys; i++) {
        end(world, worker, i, status);
    }
    world->rare[RARE_FLUSH] += status == DM_OK;
    worker->count = 0;
}

struct update {
    struct world *world;
    struct worker *worker;
};

static enum dm_action update_fn(void *context, const struct dm_value *old, struct dm_write *write) {
    const struct update *update = context;
    struct world *world = update->world;
    struct history_op *op = record(world, update->worker, 0);
    struct payload was = {0};
    if (old != NULL) {
        was = payload_read(world, old);
        write->expire_ms = old->expire_ms;
    }
    uint64_t identity = op->argument;
    uint64_t count = 0;
    switch (op->kind) {
    case HISTORY_INCR:
        op->result = identity = was.identity + 1;
        count = was.count;
        break;
    case HISTORY_APPEND:
        identity = history_mix(was.identity, op->argument);
        op->result = count = was.count + 1;
        break;
    case HISTORY_SETNX:
        op->result = old == NULL;
        if (old != NULL) {
            return DM_KEEP;
        }
        break;
    case HISTORY_GETDEL:
        op->result = was.identity;
        return DM_DELETE;
    default:
        op->result = was.identity;
        write->expire_ms = DM_NO_EXPIRY;
        break;
    }
    write->part[0] = payload_make(world, update->worker, identity, count);
    return DM_WRITE;
}

static void run_update(struct world *world, struct worker *worker, uint32_t key, enum history_kind kind) {
    struct history_op *op = begin(world, worker, kind, 1);
    op->key = key;
    op->argument = fresh_identity(world);
    struct update update = {world, worker};
    struct dm_key name = workload_key(world, key);
    end(world, worker, 0, dm_update(worker->client->session, &name, update_fn, &update, NULL));
    worker->count = 0;
}

static enum work draw_work(const struct plan *plan, struct prng *prng) {
    uint32_t total = 0;
    for (uint32_t w = 0; w < WORK_COUNT; w++) {
        total += plan->weight[w];
    }
    uint32_t drawn = (uint32_t)prng_below(prng, total);
    enum work work = WORK_GET;
    while (drawn >= plan->weight[work]) {
        drawn -= plan->weight[work++];
    }
    return work;
}

static void run_one(struct world *world, struct worker *worker) {
    const struct plan *plan = &world->plan;
    struct prng *prng = &worker->prng;
    uint32_t index = (uint32_t)(worker - state_of(world)->workers[worker->client->index]);
    if (plan->many_percent != 0 && prng_chance(prng, plan->many_percent) &&
        many_run(world, worker->client, index, prng)) {
        return;
    }
    uint32_t range = prng_chance(prng, plan->hot_percent) ? plan->hot_keys : plan->keys;
    uint32_t key = (uint32_t)prng_below(prng, range);
    if (plan->flush_odds != 0 && plan->many_percent == 0 && prng_below(prng, plan->flush_odds) == 0) {
        run_flush(world, worker);
        return;
    }
    enum work work = draw_work(plan, prng);
    if (state_of(world)->keys[key].stuck && work != WORK_GET_MANY) {
        work = WORK_GET;
    }
    switch (work) {
    case WORK_GET_MANY:
        run_get_many(world, worker);
        break;
    case WORK_SET:
        run_set(world, worker, key, DM_NO_EXPIRY);
        break;
    case WORK_SET_EXPIRING:
        run_set(world, worker, key,
                world_wall_now_ms(worker->client->gateway) + 1 + (int64_t)prng_below(prng, (uint64_t)plan->expire_ms));
        break;
    case WORK_DELETE:
        run_delete(world, worker, key);
        break;
    case WORK_INCR:
        run_update(world, worker, key, HISTORY_INCR);
        break;
    case WORK_APPEND:
        run_update(world, worker, key, HISTORY_APPEND);
        break;
    case WORK_SETNX:
        run_update(world, worker, key, HISTORY_SETNX);
        break;
    case WORK_GETSET:
        run_update(world, worker, key, HISTORY_GETSET);
        break;
    case WORK_GETDEL:
        run_update(world, worker, key, HISTORY_GETDEL);
        break;
    default:
        run_get(world, worker, key);
        break;
    }
}

/* ---- Workers ---------------------------------------------------------------------------------------------------- */

static uint64_t epoch_now(const struct client *client) {
    const struct dm_pool *pool = client->gateway->pool;
    uint64_t epoch;
    memcpy(&epoch, client->world->fabric.memory[0] + pool->layout.epoch_offset, sizeof epoch);
    return epoch;
}

static void wait_epochs(struct client *client, uint64_t epochs) {
    uint64_t until = epoch_now(client) + epochs;
    while (epoch_now(client) < until && client->world->phase == PHASE_SAFETY) {
        dm_coro_sleep(client->sched, EPOCH_NS / 8);
    }
}

/* The others write once every second epoch, that is 64 objects until tags come round: as many as a block has. So the
 * word that the first client reads now may come back under the same tag, and it looks at it again when that is so; or
 * its object has been used again after a few epochs, under another tag. */
static void think_long(struct world *world, struct worker *worker) {
    struct client *client = worker->client;
    if (client->index != 0) {
        wait_epochs(client, 2);
        return;
    }
    wait_epochs(client, 4);
    run_get(world, worker, (uint32_t)prng_below(&worker->prng, world->plan.keys));
    uint32_t few = world->plan.think_epochs;
    wait_epochs(client, few != 0 ? 1 + prng_below(&worker->prng, few) : WORD_TAG_MASK + prng_below(&worker->prng, 2));
}

static void think(struct world *world, struct worker *worker) {
    if (world->plan.long_thinks) {
        think_long(world, worker);
    } else if (world->plan.think_ns != 0) {
        dm_coro_sleep(worker->client->sched, prng_below(&worker->prng, world->plan.think_ns));
    }
}

static void worker_main(void *argument) {
    struct worker *worker = argument;
    struct client *client = worker->client;
    struct world *world = client->world;
    for (uint32_t key = 0; worker->verifies && key < world->plan.keys; key++) {
        run_get(world, worker, key);
    }
    if (worker->verifies) {
        many_verify(world, client, 0);
    }
    while (!worker->verifies && client->state == CLIENT_HERE && world->phase == PHASE_SAFETY) {
        think(world, worker);
        if (world->phase == PHASE_SAFETY) {
            run_one(world, worker);
        }
    }
    client->workers--;
}

static void worker_start(struct world *world, struct client *client, uint32_t index, bool verifies) {
    struct worker *worker = &state_of(world)->workers[client->index][index];
    worker->client = client;
    worker->prng.state = plan_stream(&world->plan);
    worker->verifies = verifies;
    client->workers++;
    if (dm_sched_spawn(client->sched, worker_main, worker) != DM_OK) {
        world_fail(world, "no coroutine");
    }
    world_wake(world, client);
}

void workload_start(struct world *world, struct client *client) {
    if (world->work == NULL) {
        world->work = calloc(1, sizeof(struct work_state));
        dm_assert(world->work != NULL);
    }
    if (!state_of(world)->keys_drawn) {
        draw_keys(world, client->gateway->pool);
    }
    world->fabric.net.break_permyriad = world->phase == PHASE_SAFETY ? world->plan.net.break_permyriad : 0;
    for (uint32_t i = 0; i < world->plan.coroutines && world->phase == PHASE_SAFETY; i++) {
        worker_start(world, client, i, false);
    }
}

void workload_verify(struct world *world) {
    for (uint32_t i = 0; i < world->plan.clients; i++) {
        struct client *client = &world->clients[i];
        if (world_is_here(client) && client->workers == 0) {
            worker_start(world, client, 0, true);
        }
    }
}

bool workload_is_enough(struct world *world) {
    bool tired =
        plan_is_harsh(&world->plan) && (world->fabric.events > HARSH_EVENTS_MAX || world->refusals > REFUSALS_MAX);
    return world->acknowledged >= world->plan.operations || tired;
}

bool workload_has_ended(struct world *world) {
    uint32_t workers = 0;
    for (uint32_t i = 0; i < world->plan.clients; i++) {
        workers += world->clients[i].workers;
    }
    return workers == 0;
}

void workload_end_all(struct world *world) {
    for (uint32_t i = 0; i < world->op_count; i++) {
        struct history_op *op = &world->ops[i];
        if (op->key != UINT32_MAX && op->ended == HISTORY_OPEN && !op->unknown) {
            end_unknown(world, op);
            op->key = op->kind == HISTORY_GET ? UINT32_MAX : op->key;
        }
    }
}

void workload_close(struct world *world) {
    free(world->work);
    many_close(world);
}
