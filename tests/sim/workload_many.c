/* workload_many.c: see workload_many.h. */
#include "workload_many.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "fusee/index.h"
#include "fusee/pool.h"
#include "history_many.h"

#define GROUPS_MAX 12u
#define GROUP_OPS 90u /* and as many more as may be under way; must leave room for the last looks */
#define NAME_BYTES 32
#define PLACES 20u /* pairs of bucket groups: the keys of a group of ours share one */
#define PLACE_SLOTS (2 * 3 * INDEX_BUCKET_SLOTS)
#define SEARCH_STEPS_MAX 3000000

enum many_kind { KIND_GET, KIND_GET_ALL, KIND_SET, KIND_DELETE, KIND_SWAP, KIND_TRANSACT, KIND_BLIND, KIND_COUNT };

struct group {
    char names[MANY_KEYS_MAX][NAME_BYTES];
    struct dm_key keys[MANY_KEYS_MAX];
    struct many_op ops[MANY_OPS_MAX];
    uint32_t count;
    bool stuck; /* held by a transaction that nobody ends */
};

struct slot {
    bool busy;
    uint32_t group, op;
};

struct many_state {
    struct group groups[GROUPS_MAX];
    uint32_t group; /* in use */
    uint64_t identities;
    struct slot slots[PLAN_CLIENTS_MAX][PLAN_COROUTINES_MAX];
};

static struct many_state *state_of(const struct world *world) { return world->many; }

/* Both buckets of the key lie in the group's pair of bucket groups. */
static bool key_fits(const struct dm_pool *pool, const struct dm_key *key, uint32_t group) {
    struct index_place place = index_place(index_hash(key, pool->hash_seed));
    uint32_t from = group % PLACES * PLACE_SLOTS;
    return place.first_slot[0] - from < PLACE_SLOTS && place.first_slot[1] - from < PLACE_SLOTS;
}

static void draw_key(const struct dm_pool *pool, struct many_state *state, uint32_t g, uint32_t k) {
    struct group *group = &state->groups[g];
    uint32_t salt = 0;
    do {
        int length = snprintf(group->names[k], NAME_BYTES, "many:%u:%u:%u", g, k, salt++);
        group->keys[k] = (struct dm_key){.bytes = group->names[k], .length = (uint32_t)length};
    } while (!key_fits(pool, &group->keys[k], g));
}

static struct many_state *many_open(struct world *world, const struct dm_pool *pool) {
    if (world->many == NULL) {
        struct many_state *state = calloc(1, sizeof *state);
        dm_assert(state != NULL);
        for (uint32_t g = 0; g < GROUPS_MAX; g++) {
            for (uint32_t k = 0; k < MANY_KEYS_MAX; k++) {
                draw_key(pool, state, g, k);
            }
        }
        world->many = state;
    }
    return state_of(world);
}

void many_close(struct world *world) {
    free(world->many);
    world->many = NULL;
}

/* ---- Records ---------------------------------------------------------------------------------------------------- */

struct call {
    struct world *world;
    struct client *client;
    struct prng *prng;
    struct slot *slot;
    struct group *group;
    struct many_op *op;
    enum many_kind kind;
    bool reads; /* looks at all keys of the group */
};

static void begin(struct call *call) {
    struct group *group = call->group;
    dm_assert(group->count < MANY_OPS_MAX);
    *call->slot = (struct slot){true, (uint32_t)(group - state_of(call->world)->groups), group->count};
    call->op = &group->ops[group->count++];
    *call->op = (struct many_op){
        .began = call->world->sequence++, .ended = HISTORY_OPEN, .client = (uint8_t)call->client->index};
    call->client->only_knows = true;
}

static bool is_read(const struct many_op *op) {
    for (uint32_t k = 0; k < MANY_KEYS_MAX; k++) {
        if (op->effect[k] != MANY_NOTHING) {
            return false;
        }
    }
    return true;
}

/* Nothing happened: an operation that has seen and done nothing fits everywhere. */
static void forget(struct many_op *op) {
    *op = (struct many_op){.began = op->began, .ended = op->began, .client = op->client};
}

static void end_unknown(struct world *world, struct group *group, struct many_op *op) {
    memset(op->saw, 0, sizeof op->saw);
    op->ended = HISTORY_OPEN;
    op->unknown = true;
    world->rare[RARE_OUTCOME_UNKNOWN]++;
    group->stuck |= plan_stays_lost(&world->plan);
}

static bool is_expected(const struct plan *plan, const struct many_op *op, enum dm_status status) {
    switch (status) {
    case DM_NO_MEMORY:
        return !is_read(op) && !plan->ample;
    case DM_BUSY:
        return plan->refuse_permyriad != 0;
    case DM_UNREACHABLE:
        return plan_is_cut(plan);
    case DM_UNKNOWN_OUTCOME:
        return plan_is_harsh(plan) || plan->long_sleeps;
    default:
        return false;
    }
}

static void end(struct call *call, enum dm_status status) {
    struct world *world = call->world;
    struct many_op *op = call->op;
    op->ended = world->sequence++;
    sim_fabric_note(&world->fabric, op->ended ^ op->seen[0] ^ (uint64_t)status << 48);
    if (world->trace) {
        printf("%10" PRIu64 " client %u ended: %s\n", world->fabric.now_ns / 1000, op->client, dm_status_text(status));
        many_op_print(op);
    }
    call->slot->busy = false;
    if (status == DM_OK || status == DM_NOT_FOUND) {
        world->acknowledged++;
        return;
    }
    if (!is_expected(&world->plan, op, status)) {
        many_op_print(op);
        world_fail(world, "an operation on many keys ended with \"%s\"", dm_status_text(status));
    }
    world->rare[RARE_UNREACHABLE] += status == DM_UNREACHABLE;
    if (status == DM_UNKNOWN_OUTCOME && !is_read(op)) {
        end_unknown(world, call->group, op);
    } else {
        forget(op);
    }
}

void many_killed(struct world *world, const struct client *client) {
    for (uint32_t w = 0; world->many != NULL && w < PLAN_COROUTINES_MAX; w++) {
        struct slot *slot = &state_of(world)->slots[client->index][w];
        if (slot->busy) {
            struct many_op *op = &state_of(world)->groups[slot->group].ops[slot->op];
            slot->busy = false;
            if (is_read(op)) {
                forget(op);
            } else {
                end_unknown(world, &state_of(world)->groups[slot->group], op);
            }
        }
    }
}

bool many_is_busy(const struct world *world, const struct client *client) {
    bool busy = false;
    for (uint32_t w = 0; world->many != NULL && w < PLAN_COROUTINES_MAX; w++) {
        busy |= state_of(world)->slots[client->index][w].busy;
    }
    return busy;
}

/* ---- Operations ------------------------------------------------------------------------------------------------- */

static void see(struct call *call, uint32_t k, const struct dm_value *value) {
    uint64_t identity = 0;
    if (value != NULL) {
        if (value->length < sizeof identity) {
            world_fail(call->world, "a client was given a value of %u bytes that nobody wrote", value->length);
        }
        memcpy(&identity, value->bytes, sizeof identity);
    }
    call->op->saw[k] = true;
    call->op->seen[k] = identity;
}

static struct dm_write write_of(const struct call *call, uint32_t k) {
    static const uint8_t padding[1024];
    uint32_t more = (uint32_t)(call->op->written[k] * 37 % sizeof padding);
    return (struct dm_write){.part = {{&call->op->written[k], sizeof(uint64_t)}, {padding, more}}};
}

static enum dm_action swap_fn(void *context, const struct dm_value *old, struct dm_write *write) {
    struct call *call = context;
    uint32_t k = call->op->effect[0] == MANY_SET ? 0 : call->op->effect[1] == MANY_SET ? 1 : 2;
    see(call, k, old);
    *write = write_of(call, k);
    return DM_WRITE;
}

static void decide(void *context) {
    struct call *call = context;
    struct dm_session *session = call->client->session;
    bool any = false;
    for (uint32_t k = 0; k < call->world->plan.many_keys && call->reads; k++) {
        struct dm_read read = {0};
        enum dm_status status = dm_get(session, &call->group->keys[k], &read);
        see(call, k, status == DM_OK ? &read.value : NULL);
        any |= status == DM_OK && call->op->effect[k] != MANY_NOTHING;
        dm_read_release(session, &read);
    }
    for (uint32_t k = 0; k < MANY_KEYS_MAX && !(call->op->if_absent && any); k++) {
        struct dm_write write = write_of(call, k);
        bool deletes = call->op->effect[k] == MANY_DELETE;
        enum dm_status status = DM_OK;
        if (call->op->effect[k] != MANY_NOTHING) {
            status =
                deletes ? dm_delete(session, &call->group->keys[k]) : dm_put(session, &call->group->keys[k], &write);
        }
        if (status != DM_OK && !(deletes && status == DM_NOT_FOUND)) {
            world_fail(call->world, "inside a transaction: %s", dm_status_text(status));
        }
    }
}

static void set_effect(struct call *call, uint32_t k, enum many_effect effect) {
    call->op->effect[k] = (uint8_t)effect;
    call->op->written[k] = effect == MANY_SET ? ++state_of(call->world)->identities : 0;
}

/* Some or all keys written or deleted, some only read. */
static enum dm_status run_transact(struct call *call) {
    uint32_t keys = call->world->plan.many_keys;
    bool blind = call->kind == KIND_BLIND;
    struct dm_key named[MANY_KEYS_MAX];
    uint32_t count = 0;
    uint32_t first = (uint32_t)prng_below(call->prng, keys);
    call->reads = !blind;
    call->op->if_absent = !blind && prng_chance(call->prng, 15);
    for (uint32_t i = 0; i < keys; i++) {
        uint32_t k = (first + i) % keys;
        if (blind && count == 2) {
            break;
        }
        named[count++] = call->group->keys[k];
        if (blind || call->op->if_absent || prng_chance(call->prng, 60)) {
            set_effect(call, k, !blind && !call->op->if_absent && prng_chance(call->prng, 25) ? MANY_DELETE : MANY_SET);
        }
    }
    return dm_transact(
        call->client->session,
        &(struct dm_transact){.keys = named, .count = count, .blind = blind, .decide = decide, .context = call});
}

static enum dm_status run_get_all(struct call *call) {
    uint32_t keys = call->world->plan.many_keys;
    uint32_t first = call->prng == NULL ? 0 : (uint32_t)prng_below(call->prng, keys);
    uint32_t count = call->prng != NULL && prng_chance(call->prng, 50) ? 2 : keys;
    struct dm_key names[MANY_KEYS_MAX];
    struct dm_read reads[MANY_KEYS_MAX] = {0};
    enum dm_status statuses[MANY_KEYS_MAX];
    enum dm_status status = DM_OK;
    for (uint32_t i = 0; i < count; i++) {
        names[i] = call->group->keys[(first + i) % keys];
    }
    dm_get_many(call->client->session, names, count, reads, statuses);
    for (uint32_t i = 0; i < count; i++) {
        if (statuses[i] == DM_OK || statuses[i] == DM_NOT_FOUND) {
            see(call, (first + i) % keys, statuses[i] == DM_OK ? &reads[i].value : NULL);
        } else {
            status = statuses[i];
        }
        dm_read_release(call->client->session, &reads[i]);
    }
    return status;
}

static enum dm_status run_single(struct call *call) {
    struct dm_session *session = call->client->session;
    uint32_t k = (uint32_t)prng_below(call->prng, call->world->plan.many_keys);
    const struct dm_key *key = &call->group->keys[k];
    enum dm_status status;
    if (call->kind == KIND_SET) {
        set_effect(call, k, MANY_SET);
        struct dm_write write = write_of(call, k);
        return dm_put(session, key, &write);
    }
    if (call->kind == KIND_DELETE) {
        set_effect(call, k, MANY_DELETE);
        status = dm_delete(session, key);
        if (status == DM_NOT_FOUND) {
            see(call, k, NULL);
        }
        return status;
    }
    if (call->kind == KIND_SWAP) {
        set_effect(call, k, MANY_SET);
        return dm_update(session, key, swap_fn, call, NULL);
    }
    struct dm_read read = {0};
    status = dm_get(session, key, &read);
    if (status == DM_OK || status == DM_NOT_FOUND) {
        see(call, k, status == DM_OK ? &read.value : NULL);
    }
    dm_read_release(session, &read);
    return status;
}

static void run(struct call *call) {
    enum dm_status status;
    begin(call);
    switch (call->kind) {
    case KIND_TRANSACT:
    case KIND_BLIND:
        status = run_transact(call);
        break;
    case KIND_GET_ALL:
        status = run_get_all(call);
        break;
    default:
        status = run_single(call);
        break;
    }
    end(call, status);
}

bool many_run(struct world *world, struct client *client, uint32_t index, struct prng *prng) {
    static const uint8_t weight[KIND_COUNT] = {20, 15, 12, 6, 10, 25, 12};
    struct many_state *state = many_open(world, client->gateway->pool);
    while (state->group < GROUPS_MAX &&
           (state->groups[state->group].count >= GROUP_OPS || state->groups[state->group].stuck)) {
        state->group++;
    }
    if (state->group == GROUPS_MAX) {
        return false;
    }
    uint32_t drawn = (uint32_t)prng_below(prng, 100);
    enum many_kind kind = KIND_GET;
    while (drawn >= weight[kind]) {
        drawn -= weight[kind++];
    }
    struct call call = {.world = world, .client = client, .prng = prng, .kind = kind};
    call.slot = &state->slots[client->index][index];
    call.group = &state->groups[state->group];
    run(&call);
    if (kind == KIND_GET && client->state == CLIENT_HERE && call.group->count < GROUP_OPS) {
        run(&call); /* another key, at once: they must agree */
    }
    return true;
}

void many_verify(struct world *world, struct client *client, uint32_t index) {
    for (uint32_t g = 0; world->many != NULL && g <= state_of(world)->group && g < GROUPS_MAX; g++) {
        struct call call = {.world = world, .client = client, .kind = KIND_GET_ALL};
        call.slot = &state_of(world)->slots[client->index][index];
        call.group = &state_of(world)->groups[g];
        run(&call);
    }
}

/* ---- Judgement -------------------------------------------------------------------------------------------------- */

uint32_t many_judge(struct world *world) {
    uint32_t too_hard = 0;
    for (uint32_t g = 0; world->many != NULL && g < GROUPS_MAX; g++) {
        struct group *group = &state_of(world)->groups[g];
        uint32_t stuck = 0;
        for (uint32_t i = 0; i < group->count; i++) {
            struct many_op *op = &group->ops[i];
            if (op->ended == HISTORY_OPEN && !op->unknown) {
                if (is_read(op)) {
                    forget(op);
                } else {
                    end_unknown(world, group, op);
                }
            }
        }
        enum history_verdict verdict = history_many(group->ops, group->count, SEARCH_STEPS_MAX, &stuck);
        too_hard += verdict == HISTORY_TOO_HARD;
        if (verdict == HISTORY_WRONG) {
            printf("history of the group %u around the operation that nothing explains (marked):\n", g);
            for (uint32_t i = stuck < 25 ? 0 : stuck - 25; i < group->count && i < stuck + 12; i++) {
                printf("%s", i == stuck ? "->" : "  ");
                many_op_print(&group->ops[i]);
            }
            world_fail(world, "not strictly serializable");
        }
    }
    return too_hard;
}
