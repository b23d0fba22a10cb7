/* inspect.c: see inspect.h and dm.h. */
#include "fusee/inspect.h"

#include <stdio.h>
#include <string.h>

#include "fusee/claim.h"
#include "fusee/client_set.h"
#include "fusee/lease.h"
#include "fusee/space.h"
#include "fusee/word.h"

#define TABLES_BYTES_MAX (512u << 10)      /* block tables read in one batch */
#define LATER_NS UINT64_C(50000)           /* between two looks at what is pending */
#define SEATS_WAIT_NS UINT64_C(5000000000) /* behind a fence: what the fabric needs to let go of the seats */
#define SEATS_LOOK_NS UINT64_C(1000000)

/* ---- Opening ---------------------------------------------------------------------------------------------------- */

enum dm_status dm_inspector_open(const struct dm_inspector_config *config, struct dm_inspector **out, char *error,
                                 size_t error_bytes) {
    const struct dm_env *env = config->pool->env;
    struct dm_fabric *fabric = config->pool->fabric;
    const struct dm_sched_config few = {.coroutines = 1};
    struct dm_inspector *inspector = env->allocate(env->context, sizeof *inspector);
    if (inspector == NULL) {
        snprintf(error, error_bytes, "no memory");
        return DM_BUSY;
    }
    inspector->pool = config->pool;
    inspector->env = env;
    inspector->config = *config;
    enum dm_status status = dm_sched_create(env, &few, &inspector->sched);
    if (status != DM_OK) {
        goto out_free;
    }
    status = fabric->ops->endpoint_open(fabric, inspector->sched, &inspector->endpoint);
    if (status != DM_OK) {
        goto out_sched;
    }
    inspector->memory = fabric->ops->endpoint_memory(inspector->endpoint, INSPECT_BYTES);
    inspector->words = fabric->ops->endpoint_memory(inspector->endpoint, INSPECT_WORDS * sizeof(uint64_t));
    if (inspector->memory != NULL && inspector->words != NULL) {
        *out = inspector;
        return DM_OK;
    }
    status = DM_BUSY;
    fabric->ops->endpoint_close(inspector->endpoint);
out_sched:
    dm_sched_destroy(inspector->sched);
out_free:
    env->release(env->context, inspector);
    snprintf(error, error_bytes, "cannot look at the pool over the %s fabric: %s", fabric->ops->name,
             dm_status_text(status));
    return status;
}

void dm_inspector_close(struct dm_inspector *inspector) {
    const struct dm_env *env = inspector->env;
    inspector->pool->fabric->ops->endpoint_close(inspector->endpoint);
    dm_sched_destroy(inspector->sched);
    env->release(env->context, inspector);
}

struct running {
    struct dm_inspector *inspector;
    inspect_fn *fn;
    void *argument;
    enum dm_status status;
};

static void run_coroutine(void *argument) {
    struct running *running = argument;
    running->status = running->fn(running->inspector, running->argument);
}

enum dm_status inspect_run(struct dm_inspector *inspector, inspect_fn *fn, void *argument) {
    const struct dm_fabric_ops *ops = inspector->pool->fabric->ops;
    struct running running = {.inspector = inspector, .fn = fn, .argument = argument};
    enum dm_status status = dm_sched_spawn(inspector->sched, run_coroutine, &running);
    while (status == DM_OK && dm_sched_alive(inspector->sched) != 0) {
        uint64_t next_ns = dm_sched_next_ns(inspector->sched);
        if (ops->pending(inspector->endpoint) != 0) {
            next_ns = next_ns < LATER_NS ? next_ns : LATER_NS;
        }
        if (ops->poll(inspector->endpoint) == 0 && next_ns != 0) {
            inspector->config.wait(inspector->config.context, next_ns);
        }
        dm_sched_run(inspector->sched);
    }
    return status == DM_OK ? running.status : status;
}

/* ---- Reading ---------------------------------------------------------------------------------------------------- */

enum dm_status inspect_execute(struct dm_inspector *inspector) {
    dm_fabric_execute(inspector->endpoint, &inspector->batch);
    return inspector->batch.failed == 0 ? DM_OK : DM_UNREACHABLE;
}

enum dm_status inspect_words(struct dm_inspector *inspector, const struct location *at, uint32_t count) {
    dm_batch_init(&inspector->batch, NULL);
    for (uint32_t i = 0; i < count; i++) {
        dm_batch_read(&inspector->batch, at[i].node, at[i].offset, &inspector->words[i], sizeof(uint64_t));
    }
    return inspect_execute(inspector);
}

enum dm_status inspect_word(struct dm_inspector *inspector, struct location at, uint64_t *word) {
    enum dm_status status = inspect_words(inspector, &at, 1);
    *word = inspector->words[0];
    return status;
}

enum dm_status inspect_replicas(struct dm_inspector *inspector, uint64_t address, uint64_t *words) {
    const struct layout *layout = &inspector->pool->layout;
    struct location at[LAYOUT_REPLICAS_MAX];
    for (uint32_t j = 0; j < layout->super.replicas; j++) {
        at[j] = layout_locate(layout, address, j);
    }
    enum dm_status status = inspect_words(inspector, at, layout->super.replicas);
    memcpy(words, inspector->words, layout->super.replicas * sizeof *words);
    return status;
}

enum dm_status inspect_bytes(struct dm_inspector *inspector, struct location at, void *to, uint64_t bytes) {
    enum dm_status status = DM_OK;
    for (uint64_t done = 0; done < bytes && status == DM_OK;) {
        uint32_t some = bytes - done < INSPECT_BYTES ? (uint32_t)(bytes - done) : INSPECT_BYTES;
        dm_batch_init(&inspector->batch, NULL);
        dm_batch_read(&inspector->batch, at.node, at.offset + done, inspector->memory, some);
        status = inspect_execute(inspector);
        memcpy((uint8_t *)to + done, inspector->memory, some);
        done += some;
    }
    return status;
}

/* The block tables of `count` regions from `first` on, all replicas. */
static enum dm_status read_tables(struct dm_inspector *inspector, uint32_t first, uint32_t count, uint64_t *words,
                                  uint8_t *differ) {
    const struct layout *layout = &inspector->pool->layout;
    uint32_t replicas = differ == NULL ? 1 : layout->super.replicas;
    uint32_t table = layout->blocks_per_region;
    const uint64_t *read = (const uint64_t *)inspector->memory;
    dm_batch_init(&inspector->batch, NULL);
    for (uint32_t i = 0; i < count * replicas; i++) {
        struct location at =
            layout_locate(layout, (uint64_t)(first + i / replicas) << layout->region_shift, i % replicas);
        dm_batch_read(&inspector->batch, at.node, at.offset, inspector->memory + (size_t)i * table * sizeof *read,
                      table * (uint32_t)sizeof *read);
    }
    enum dm_status status = inspect_execute(inspector);
    for (uint32_t i = 0; i < count * table && status == DM_OK; i++) {
        const uint64_t *primary = read + (size_t)(i / table) * replicas * table + i % table;
        uint64_t number = (uint64_t)first * table + i;
        words[number] = *primary;
        for (uint32_t j = 1; j < replicas; j++) {
            differ[number] |= primary[(size_t)j * table] != *primary;
        }
    }
    return status;
}

enum dm_status inspect_blocks(struct dm_inspector *inspector, uint64_t *words, uint8_t *differ) {
    const struct layout *layout = &inspector->pool->layout;
    uint32_t replicas = differ == NULL ? 1 : layout->super.replicas;
    uint32_t at_a_time = TABLES_BYTES_MAX / (layout->blocks_per_region * (uint32_t)sizeof(uint64_t) * replicas);
    at_a_time = at_a_time > DM_BATCH_OPS / replicas ? DM_BATCH_OPS / replicas : at_a_time;
    at_a_time = at_a_time == 0 ? 1 : at_a_time;
    enum dm_status status = DM_OK;
    for (uint32_t from = 0; from < layout->super.regions && status == DM_OK; from += at_a_time) {
        uint32_t rest = layout->super.regions - from;
        status = read_tables(inspector, from, rest < at_a_time ? rest : at_a_time, words, differ);
    }
    return status;
}

/* ---- Members ---------------------------------------------------------------------------------------------------- */

struct members {
    struct dm_member *out;
    uint32_t capacity, count;
};

static bool seat_is_empty(struct dm_inspector *inspector, uint32_t client) {
    struct dm_fabric *fabric = inspector->pool->fabric;
    return fabric->ops->seat_empty != NULL && fabric->ops->seat_empty(fabric, client);
}

#define RECORD_BYTES ((uint32_t)offsetof(struct client_record, log_head)) /* what is read of a record */

/* The record of one client, read before its seat was looked at; its owner again behind that. */
static void note_member(struct members *members, struct dm_inspector *inspector, uint32_t client,
                        const struct client_record *record) {
    const struct dm_fabric_ops *ops = inspector->pool->fabric->ops;
    struct dm_member *member = &members->out[members->count++];
    *member = (struct dm_member){
        .client = {.client = client, .owner = record->owner},
        .identity = record->identity,
        .host = record->host,
        .process = ops->process != NULL && record->identity != 0 ? ops->process(record->identity) : 0,
        .lease_ms = lease_word_ms(record->lease),
        .lease = record->lease,
        .repairer = claim_is_of(record->claim, record->owner) ? claim_client(record->claim) : DM_CLIENT_NONE,
    };
    member->client.gone = seat_is_empty(inspector, client);
}

/* Announce words and owners of the members from `first` on, read behind their seats. */
static enum dm_status confirm_members(struct members *members, struct dm_inspector *inspector, uint32_t first) {
    enum dm_status status = DM_OK;
    uint32_t kept = first;
    for (uint32_t from = first; from < members->count && status == DM_OK; from += INSPECT_WORDS / 2) {
        struct location at[INSPECT_WORDS];
        uint32_t some = members->count - from < INSPECT_WORDS / 2 ? members->count - from : INSPECT_WORDS / 2;
        for (uint32_t i = 0; i < some; i++) {
            at[2 * i] = inspect_announce(inspector, members->out[from + i].client.client);
            at[2 * i + 1] = inspect_record(inspector, members->out[from + i].client.client, 0);
        }
        status = inspect_words(inspector, at, 2 * some);
        for (uint32_t i = 0; i < some && status == DM_OK; i++) {
            struct dm_member member = members->out[from + i];
            member.client.announced = inspector->words[2 * i];
            if (inspector->words[2 * i + 1] == member.client.owner) { /* else it has left meanwhile */
                members->out[kept++] = member;
            }
        }
    }
    members->count = kept;
    return status;
}

/* A claim whose maker is not there any more is void. */
static void drop_void_claims(struct members *members, const uint64_t *claims) {
    for (uint32_t i = 0; i < members->count; i++) {
        struct dm_member *member = &members->out[i];
        bool valid = false;
        for (uint32_t k = 0; k < members->count && member->repairer != DM_CLIENT_NONE; k++) {
            const struct dm_client *by = &members->out[k].client;
            valid |=
                by->client == member->repairer && !by->gone && claim_is_by(claims[member->client.client], by->owner);
        }
        member->repairer = valid ? member->repairer : DM_CLIENT_NONE;
    }
}

static enum dm_status read_members(struct dm_inspector *inspector, void *argument) {
    struct members *members = argument;
    uint32_t clients = inspector->pool->layout.super.clients;
    uint64_t *claims = inspector->env->allocate(inspector->env->context, clients * sizeof *claims);
    enum dm_status status = claims == NULL ? DM_BUSY : DM_OK;
    for (uint32_t from = 0; from < clients && status == DM_OK; from += DM_BATCH_OPS) {
        uint32_t some = clients - from < DM_BATCH_OPS ? clients - from : DM_BATCH_OPS;
        uint32_t first = members->count;
        dm_batch_init(&inspector->batch, NULL);
        for (uint32_t i = 0; i < some; i++) {
            struct location at = inspect_record(inspector, from + i, 0);
            dm_batch_read(&inspector->batch, at.node, at.offset, inspector->memory + i * RECORD_BYTES, RECORD_BYTES);
        }
        status = inspect_execute(inspector);
        for (uint32_t i = 0; i < some && status == DM_OK; i++) {
            struct client_record record = {0};
            memcpy(&record, inspector->memory + i * RECORD_BYTES, RECORD_BYTES);
            claims[from + i] = record.claim;
            if (record.owner != 0 && members->count < members->capacity) {
                note_member(members, inspector, from + i, &record);
            }
        }
        status = status == DM_OK ? confirm_members(members, inspector, first) : status;
    }
    if (status == DM_OK) {
        drop_void_claims(members, claims);
    }
    if (claims != NULL) {
        inspector->env->release(inspector->env->context, claims);
    }
    return status;
}

enum dm_status dm_inspector_members(struct dm_inspector *inspector, struct dm_member *out, uint32_t capacity,
                                    uint32_t *count) {
    struct members members = {.out = out, .capacity = capacity};
    enum dm_status status = inspect_run(inspector, read_members, &members);
    *count = status == DM_OK ? members.count : 0;
    return status;
}

/* ---- Fence ------------------------------------------------------------------------------------------------------ */

static bool seats_are_empty(struct dm_inspector *inspector, const struct members *members, uint64_t identity) {
    bool empty = true;
    for (uint32_t i = 0; i < members->count; i++) {
        empty &= members->out[i].identity != identity || seat_is_empty(inspector, members->out[i].client.client);
    }
    return empty;
}

enum dm_status dm_inspector_fence(struct dm_inspector *inspector, uint64_t identity, uint64_t host) {
    const struct dm_env *env = inspector->env;
    struct dm_fabric *fabric = inspector->pool->fabric;
    struct members members = {.capacity = inspector->pool->layout.super.clients};
    if (fabric->ops->fence == NULL || identity == 0 || host != fabric->host) {
        return DM_INVALID;
    }
    members.out = env->allocate(env->context, members.capacity * sizeof *members.out);
    if (members.out == NULL) {
        return DM_BUSY;
    }
    enum dm_status status = inspect_run(inspector, read_members, &members);
    if (status == DM_OK) {
        status = fabric->ops->fence(fabric, identity);
    }
    uint64_t deadline_ns = env->clock_ns(env->context) + SEATS_WAIT_NS;
    while (status == DM_OK && !seats_are_empty(inspector, &members, identity)) {
        if (env->clock_ns(env->context) > deadline_ns) {
            pool_log(inspector->pool, DM_LOG_WARNING,
                     "process %016llx was fenced, but clients of it still hold their "
                     "places in the pool: is it another one's record?",
                     (unsigned long long)identity);
            status = DM_UNREACHABLE;
            break;
        }
        inspector->config.wait(inspector->config.context, SEATS_LOOK_NS);
    }
    env->release(env->context, members.out);
    return status;
}

/* ---- Usage ------------------------------------------------------------------------------------------------------ */

static void count_block(struct dm_usage *usage, uint64_t word, const struct client_set *registered) {
    enum block_state state = block_word_state(word);
    usage->blocks_free += state == BLOCK_FREE;
    usage->blocks_orphaned += block_word_is_orphan(word);
    usage->blocks_owned += state == BLOCK_OWNED;
    usage->blocks_of_nobody += state == BLOCK_OWNED && !client_set_has(registered, block_word_client(word));
}

static uint64_t marked_bytes(const uint64_t *map, uint32_t map_bytes, uint64_t block_word) {
    uint64_t marked = 0;
    for (uint32_t i = 0; i < map_bytes / sizeof *map; i++) {
        marked += (uint64_t)__builtin_popcountll(map[i]);
    }
    return marked * sizeclass_bytes(block_word_class(block_word));
}

/* Free maps of the blocks that have one that counts. */
static enum dm_status count_marked(struct dm_inspector *inspector, const uint64_t *words, struct dm_usage *usage) {
    const struct layout *layout = &inspector->pool->layout;
    uint64_t blocks = layout_blocks(layout);
    uint32_t at_a_time =
        INSPECT_BYTES / layout->map_bytes < DM_BATCH_OPS ? INSPECT_BYTES / layout->map_bytes : DM_BATCH_OPS;
    enum dm_status status = DM_OK;
    for (uint64_t at = 0; at < blocks && status == DM_OK;) {
        uint64_t numbers[DM_BATCH_OPS];
        uint32_t count = 0;
        dm_batch_init(&inspector->batch, NULL);
        for (; at < blocks && count < at_a_time; at++) {
            if (block_word_state(words[at]) == BLOCK_OWNED || block_word_is_orphan(words[at])) {
                struct location map = layout_locate(layout, layout_free_map_address(layout, at), 0);
                dm_batch_read(&inspector->batch, map.node, map.offset,
                              inspector->memory + (size_t)count * layout->map_bytes, layout->map_bytes);
                numbers[count++] = at;
            }
        }
        status = count == 0 ? DM_OK : inspect_execute(inspector);
        for (uint32_t i = 0; i < count && status == DM_OK; i++) {
            usage->bytes_marked += marked_bytes((const uint64_t *)(inspector->memory + (size_t)i * layout->map_bytes),
                                                layout->map_bytes, words[numbers[i]]);
        }
        inspect_progress(inspector, "counting free memory", at, blocks);
    }
    return status;
}

static enum dm_status read_spaces(struct dm_inspector *inspector, struct dm_usage *usage) {
    struct space_table table;
    struct epoch_line line;
    const struct layout *layout = &inspector->pool->layout;
    enum dm_status status =
        inspect_bytes(inspector, (struct location){INSPECT_NODE, layout->spaces_offset}, &table, sizeof table);
    if (status == DM_OK) {
        status = inspect_bytes(inspector, (struct location){INSPECT_NODE, layout->epoch_offset}, &line, sizeof line);
    }
    if (status == DM_OK) {
        struct space_change change = space_change_of(table.change);
        for (uint16_t space = 0; space < DM_SPACES; space++) {
            usage->space_numbers[space] = space_number(table.words[space], space);
        }
        usage->space_changing = change.kind != SPACE_CHANGE_NONE;
        usage->space_purging = !usage->space_changing && change.count != table.purged;
        usage->epoch = line.epoch;
        usage->repairs = repairs_count(line.repairs);
    }
    return status;
}

struct usage_look {
    struct dm_usage *usage;
    uint64_t *words;
    struct client_set registered;
};

static enum dm_status read_usage(struct dm_inspector *inspector, void *argument) {
    struct usage_look *look = argument;
    const struct layout *layout = &inspector->pool->layout;
    enum dm_status status = read_spaces(inspector, look->usage);
    if (status == DM_OK) {
        status = inspect_blocks(inspector, look->words, NULL);
    }
    for (uint64_t b = 0; b < layout_blocks(layout) && status == DM_OK; b++) {
        count_block(look->usage, look->words[b], &look->registered);
    }
    return status == DM_OK ? count_marked(inspector, look->words, look->usage) : status;
}

enum dm_status dm_inspector_usage(struct dm_inspector *inspector, struct dm_usage *out) {
    const struct dm_env *env = inspector->env;
    const struct layout *layout = &inspector->pool->layout;
    uint32_t clients = layout->super.clients;
    struct usage_look look = {.usage = out};
    struct members members = {.capacity = clients};
    *out = (struct dm_usage){.clients_max = clients,
                             .map_epoch = layout->super.epoch,
                             .blocks_total = layout_data_blocks(layout),
                             .block_bytes = layout->super.block_bytes};
    members.out = env->allocate(env->context, clients * sizeof *members.out);
    look.words = env->allocate(env->context, layout_blocks(layout) * sizeof *look.words);
    enum dm_status status = members.out == NULL || look.words == NULL ? DM_BUSY : DM_OK;
    if (status == DM_OK) {
        status = inspect_run(inspector, read_members, &members);
    }
    for (uint32_t i = 0; i < members.count && status == DM_OK; i++) {
        client_set_add(&look.registered, members.out[i].client.client);
    }
    if (status == DM_OK) {
        status = inspect_run(inspector, read_usage, &look);
    }
    void *parts[] = {members.out, look.words};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i] != NULL) {
            env->release(env->context, parts[i]);
        }
    }
    return status;
}
