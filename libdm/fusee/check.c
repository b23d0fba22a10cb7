/* check.c: the frame of dm_inspector_check; see check.h. */
#include "fusee/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fusee/space.h"
#include "fusee/sweep.h"

#define PATIENCE_NS UINT64_C(3000000000)
#define LOOK_NS UINT64_C(20000000)
#define SUSPECTS_MIN 64u
#define TEXT_BYTES 256
#define MAP_CHUNK_BYTES (64u << 10)

const char *dm_fault_name(enum dm_fault_kind kind) {
    static const char *const names[DM_FAULT_KINDS] = {"map", "replicas", "object", "twice", "block", "client", "lost"};
    return kind < DM_FAULT_KINDS ? names[kind] : "unknown";
}

void check_fault(struct check *check, enum dm_fault_kind kind, const char *format, ...) {
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    check->out->faults[kind]++;
    if (check->config->fault != NULL) {
        check->config->fault(check->config->context, kind, text);
    }
}

enum dm_status check_suspect(struct check *check, const struct check_suspect *suspect) {
    const struct dm_env *env = check->inspector->env;
    if (check->suspect_count == check->suspect_capacity) {
        uint32_t capacity = check->suspect_capacity == 0 ? SUSPECTS_MIN : check->suspect_capacity * 2;
        struct check_suspect *larger =
            capacity > CHECK_SUSPECTS_MAX ? NULL : env->allocate(env->context, capacity * sizeof *larger);
        if (larger == NULL) {
            return DM_BUSY;
        }
        if (check->suspects != NULL) {
            memcpy(larger, check->suspects, check->suspect_count * sizeof *larger);
            env->release(env->context, check->suspects);
        }
        check->suspects = larger;
        check->suspect_capacity = capacity;
    }
    check->suspects[check->suspect_count++] = *suspect;
    return DM_OK;
}

/* ---- Maps ------------------------------------------------------------------------------------------------------- */

/* A stretch that is the same on every node. */
static enum dm_status check_stretch(struct check *check, const char *name, uint64_t offset, uint64_t bytes) {
    struct dm_inspector *inspector = check->inspector;
    uint32_t nodes = inspector->pool->layout.super.nodes;
    enum dm_status status = DM_OK;
    for (uint64_t done = 0; done < bytes && status == DM_OK; done += MAP_CHUNK_BYTES) {
        uint32_t some = bytes - done < MAP_CHUNK_BYTES ? (uint32_t)(bytes - done) : MAP_CHUNK_BYTES;
        dm_batch_init(&inspector->batch, NULL);
        for (uint16_t n = 0; n < nodes; n++) {
            dm_batch_read(&inspector->batch, n, offset + done, inspector->memory + (size_t)n * MAP_CHUNK_BYTES, some);
        }
        status = inspect_execute(inspector);
        for (uint32_t n = 1; n < nodes && status == DM_OK; n++) {
            if (memcmp(inspector->memory, inspector->memory + (size_t)n * MAP_CHUNK_BYTES, some) != 0) {
                check_fault(check, DM_FAULT_MAP, "the %s of memory node %u is not that of node 0", name, n);
                return DM_OK;
            }
        }
    }
    return status;
}
_Static_assert((size_t)DM_NODES_MAX *MAP_CHUNK_BYTES <= INSPECT_BYTES, "room for a chunk of every node");

static enum dm_status check_maps(struct check *check) {
    const struct layout *layout = check_layout(check);
    uint64_t entries = (uint64_t)layout->super.regions * layout->super.replicas;
    enum dm_status status =
        check_stretch(check, "region map", layout->region_map_offset, entries * sizeof(struct region_replica));
    return status != DM_OK ? status
                           : check_stretch(check, "directory", layout->directory_offset,
                                           2 * (uint64_t)layout->super.subtables * sizeof(uint64_t));
}

/* ---- Time ------------------------------------------------------------------------------------------------------- */

static enum dm_status read_epoch(struct check *check, uint64_t *epoch) {
    return inspect_word(check->inspector, (struct location){INSPECT_NODE, check_layout(check)->epoch_offset}, epoch);
}

/* Of the clients in check->late, who has ended all that was under way? */
static enum dm_status look_late(struct check *check) {
    struct dm_inspector *inspector = check->inspector;
    const struct dm_fabric_ops *ops = inspector->pool->fabric->ops;
    enum dm_status status = DM_OK;
    for (uint32_t c = 0; c < check_layout(check)->super.clients && status == DM_OK; c++) {
        if (!client_set_has(&check->late, c)) {
            continue;
        }
        const struct location at[] = {inspect_announce(inspector, c), inspect_record(inspector, c, 0)};
        status = inspect_words(inspector, at, 2);
        uint64_t announced = inspector->words[0];
        bool past =
            announced == 0 || announced - 1 > check->epoch + SWEEP_EPOCHS || inspector->words[1] != check->owners[c];
        if (status == DM_OK && past) {
            client_set_remove(&check->late, c);
            client_set_remove(&check->late_dead, c);
        } else if (status == DM_OK && ops->seat_empty != NULL && ops->seat_empty(inspector->pool->fabric, c)) {
            client_set_add(&check->late_dead, c);
        }
    }
    return status;
}

/* Waits until nothing is under way any more that was when the blocks had been read, and what was freed by then is
 * marked (sweep.h); for a bounded time. Who is idle owes nothing. */
static enum dm_status wait_past(struct check *check) {
    struct dm_inspector *inspector = check->inspector;
    uint64_t patience_ns = check->config->patience_ns != 0 ? check->config->patience_ns : PATIENCE_NS;
    uint64_t began_ns = pool_clock_ns(inspector->pool);
    for (uint32_t c = 0; c < check_layout(check)->super.clients; c++) {
        if (check->owners[c] != 0) {
            client_set_add(&check->late, c);
        }
    }
    for (;;) {
        enum dm_status status = look_late(check);
        uint64_t waited_ns = pool_clock_ns(inspector->pool) - began_ns;
        if (status != DM_OK || check_is_past(check) || waited_ns > patience_ns) {
            return status;
        }
        inspect_progress(inspector, "waiting for what is under way", waited_ns, patience_ns);
        dm_coro_sleep(inspector->sched, LOOK_NS);
    }
}

/* ---- Again ------------------------------------------------------------------------------------------------------ */

static void tell_suspect(struct check *check, const struct check_suspect *suspect) {
    const struct layout *layout = check_layout(check);
    char words[LAYOUT_REPLICAS_MAX * 18];
    size_t length = 0;
    for (uint32_t j = 0; j < layout->super.replicas; j++) {
        length += (size_t)snprintf(words + length, sizeof words - length, "%s%016llx", j == 0 ? "" : " ",
                                   (unsigned long long)suspect->words[j]);
    }
    const char *what = suspect->slot ? "slot" : "block word";
    struct location at = layout_locate(layout, suspect->address, 0);
    check_fault(check, DM_FAULT_REPLICAS,
                "the %s at %llx (node %u, offset %llx) stays as no client that lives leaves it: %s", what,
                (unsigned long long)suspect->address, at.node, (unsigned long long)at.offset, words);
}

/* What still is as it was is an open round of a client that has not got past that time, or nobody's. */
static enum dm_status look_again(struct check *check) {
    uint32_t replicas = check_layout(check)->super.replicas;
    bool dead = false;
    for (uint32_t i = 0; i < sizeof check->late_dead.bits / sizeof check->late_dead.bits[0]; i++) {
        dead |= check->late_dead.bits[i] != 0;
    }
    enum dm_status status = DM_OK;
    for (uint32_t i = 0; i < check->suspect_count && status == DM_OK; i++) {
        const struct check_suspect *suspect = &check->suspects[i];
        uint64_t words[LAYOUT_REPLICAS_MAX];
        status = inspect_replicas(check->inspector, suspect->address, words);
        if (status != DM_OK || memcmp(words, suspect->words, replicas * sizeof words[0]) != 0) {
            continue;
        }
        if (check_is_past(check)) {
            tell_suspect(check, suspect);
        } else {
            check->out->rounds_open++;
            check->out->rounds_dead += dead;
        }
    }
    return status;
}

/* ---- All -------------------------------------------------------------------------------------------------------- */

static enum dm_status read_owners(struct check *check) {
    struct dm_inspector *inspector = check->inspector;
    uint32_t clients = check_layout(check)->super.clients;
    enum dm_status status = DM_OK;
    for (uint32_t from = 0; from < clients && status == DM_OK; from += INSPECT_WORDS) {
        struct location at[INSPECT_WORDS];
        uint32_t some = clients - from < INSPECT_WORDS ? clients - from : INSPECT_WORDS;
        for (uint32_t i = 0; i < some; i++) {
            at[i] = inspect_record(inspector, from + i, 0);
        }
        status = inspect_words(inspector, at, some);
        memcpy(check->owners + from, inspector->words, some * sizeof(uint64_t));
    }
    return status;
}

static enum dm_status read_owners_and_epoch(struct check *check) {
    enum dm_status status = read_owners(check);
    return status == DM_OK ? read_epoch(check, &check->epoch) : status;
}

static enum dm_status before(struct check *check) {
    struct dm_inspector *inspector = check->inspector;
    struct space_table table;
    struct location at = {INSPECT_NODE, check_layout(check)->spaces_offset};
    enum dm_status status = inspect_bytes(inspector, at, &table, sizeof table);
    for (uint16_t space = 0; space < DM_SPACES && status == DM_OK; space++) {
        check->space_numbers[space] = space_number(table.words[space], space);
    }
    status = status == DM_OK ? read_epoch(check, &check->epoch_before) : status;
    return status == DM_OK ? inspect_blocks(inspector, check->before, NULL) : status;
}

static enum dm_status run(struct dm_inspector *inspector, void *argument) {
    struct check *check = argument;
    enum dm_status (*const steps[])(struct check *) = {
        check_maps, before,     check_slots,       check_blocks, read_owners_and_epoch,
        wait_past,  look_again, check_blocks_again};
    enum dm_status status = DM_OK;
    (void)inspector;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && status == DM_OK; i++) {
        status = steps[i](check);
    }
    return status;
}

enum dm_status dm_inspector_check(struct dm_inspector *inspector, const struct dm_check_config *config,
                                  struct dm_check *out) {
    const struct dm_env *env = inspector->env;
    const struct layout *layout = &inspector->pool->layout;
    uint64_t blocks = layout_blocks(layout);
    struct check *check = env->allocate(env->context, sizeof *check);
    if (check == NULL) {
        return DM_BUSY;
    }
    *out = (struct dm_check){0};
    *check = (struct check){.inspector = inspector, .config = config, .out = out};
    check->uses.units = env->allocate(env->context, check_uses_bytes(layout));
    check->before = env->allocate(env->context, blocks * sizeof *check->before);
    check->blocks = env->allocate(env->context, blocks * sizeof *check->blocks);
    check->differ = env->allocate(env->context, blocks);
    check->owners = env->allocate(env->context, layout->super.clients * sizeof *check->owners);
    void *const parts[] = {check->uses.units, check->before, check->blocks, check->differ, check->owners};
    enum dm_status status = DM_OK;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        status = parts[i] == NULL ? DM_BUSY : status;
    }
    status = status == DM_OK ? inspect_run(inspector, run, check) : status;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i] != NULL) {
            env->release(env->context, parts[i]);
        }
    }
    if (check->suspects != NULL) {
        env->release(env->context, check->suspects);
    }
    env->release(env->context, check);
    return status;
}
