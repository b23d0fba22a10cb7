/* plan_file.c: plans as text files, and simpler ones than a given one. See plan.h. */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"

#define LINE_BYTES 512
#define STEP_BY_ONE 8u /* larger values change by more than that */

/* One member of struct plan: integers of one size. `least`: what simpler plans may have; FIXED: what this one has. */
struct field {
    const char *name;
    size_t offset;
    uint32_t bytes, count;
    uint64_t least;
};
#define FIXED UINT64_MAX
#define FIELD(member, least)                                                                                           \
    { #member, offsetof(struct plan, member), sizeof(((struct plan *)0)->member), 1, least }
#define FIELDS(member, of, least)                                                                                      \
    { #member, offsetof(struct plan, member), sizeof(((struct plan *)0)->member[0]), of, least }

static const struct field fields[] = {
    FIELD(seed, FIXED),
    FIELD(prng.state, FIXED),
    FIELD(operations, 1),
    FIELD(loss, 0),
    FIELD(kills, 0),
    FIELD(partitions, 0),
    FIELD(net.break_permyriad, 0),
    FIELD(long_sleeps, 0),
    FIELD(long_thinks, 0),
    FIELD(think_epochs, 0),
    FIELD(name_bytes, 0),
    FIELD(ample, FIXED),
    FIELD(churn, 0),
    FIELD(pause_permyriad, 0),
    FIELD(jump_permyriad, 0),
    FIELD(refuse_permyriad, 0),
    FIELD(net.refuse_permille, 0),
    FIELD(skew_ms, 0),
    FIELD(net.tail_permille, 0),
    FIELD(net.tear_permille, 0),
    FIELD(net.late_read_permille, 0),
    FIELD(net.late_permille, 0),
    FIELDS(weight, WORK_COUNT, 0),
    FIELD(flush_odds, 0),
    FIELD(many_percent, 0),
    FIELD(many_keys, 2),
    FIELD(clients, 1),
    FIELD(coroutines, 1),
    FIELD(keys, 1),
    FIELD(hot_keys, 1),
    FIELD(value_spread_bytes, 1),
    FIELDS(net.factor, SIM_NODES_MAX, 1),
    FIELD(nodes, 1),
    FIELD(replicas, 1),
    FIELD(gateways, 1),
    FIELD(node_bytes, FIXED),
    FIELD(region_bytes, FIXED),
    FIELD(block_bytes, FIXED),
    FIELD(cache_bytes, FIXED),
    FIELD(net.latency_ns, FIXED),
    FIELD(net.latency_spread_ns, FIXED),
    FIELD(net.gap_ns, FIXED),
    FIELD(net.stall_permille, 0),
    FIELD(net.stall_ns, FIXED),
    FIELD(net.tail_ns, FIXED),
    FIELD(net.late_ns, FIXED),
    FIELD(net.timeout_ns, FIXED),
    FIELD(cpu_ns, FIXED),
    FIELD(pause_ns, FIXED),
    FIELD(kill_odds, FIXED),
    FIELD(partition_odds, FIXED),
    FIELD(partition_ns, FIXED),
    FIELD(loss_node, FIXED),
    FIELD(loss_after, FIXED),
    FIELD(loss_ns, FIXED),
    FIELD(settle_ns, FIXED),
    FIELD(keys_kind, FIXED),
    FIELD(hot_percent, FIXED),
    FIELD(value_bytes, FIXED),
    FIELD(think_ns, FIXED),
    FIELD(expire_ms, FIXED),
};
#define FIELD_COUNT (sizeof fields / sizeof fields[0])

static uint64_t field_get(const struct plan *plan, const struct field *field, uint32_t i) {
    uint64_t value = 0; /* little-endian hosts */
    memcpy(&value, (const char *)plan + field->offset + (size_t)i * field->bytes, field->bytes);
    return value;
}

static void field_set(struct plan *plan, const struct field *field, uint32_t i, uint64_t value) {
    memcpy((char *)plan + field->offset + (size_t)i * field->bytes, &value, field->bytes);
}

void plan_save(const struct plan *plan, FILE *file) {
    for (size_t f = 0; f < FIELD_COUNT; f++) {
        fprintf(file, "%s", fields[f].name);
        for (uint32_t i = 0; i < fields[f].count; i++) {
            fprintf(file, " %" PRIu64, field_get(plan, &fields[f], i));
        }
        fputc('\n', file);
    }
}

static bool line_take(struct plan *plan, char *line) {
    char *rest = line;
    const char *name = strtok_r(line, " \n", &rest);
    if (name == NULL || name[0] == '#') {
        return true;
    }
    for (size_t f = 0; f < FIELD_COUNT; f++) {
        if (strcmp(fields[f].name, name) != 0) {
            continue;
        }
        for (uint32_t i = 0; i < fields[f].count; i++) {
            const char *value = strtok_r(NULL, " \n", &rest);
            if (value == NULL) {
                return false;
            }
            field_set(plan, &fields[f], i, strtoull(value, NULL, 10));
        }
        return true;
    }
    return false;
}

bool plan_load(struct plan *plan, const char *path) {
    char line[LINE_BYTES];
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "%s cannot be read\n", path);
        return false;
    }
    *plan = (struct plan){0};
    bool good = true;
    while (good && fgets(line, sizeof line, file) != NULL) {
        good = line_take(plan, line);
        if (!good) {
            fprintf(stderr, "%s: not understood: %s\n", path, line);
        }
    }
    fclose(file);
    if (good && !plan_is_sound(plan)) {
        fprintf(stderr, "%s: no run can be made of it\n", path);
        good = false;
    }
    return good;
}

bool plan_is_sound(const struct plan *plan) {
    uint32_t weights = 0;
    for (uint32_t w = 0; w < WORK_COUNT; w++) {
        weights += plan->weight[w];
    }
    bool many = plan->many_percent == 0 || (plan->many_keys >= 2 && plan->many_keys <= 3);
    return many && weights != 0 && plan->replicas >= 1 && plan->replicas <= plan->nodes &&
           plan->nodes <= SIM_NODES_MAX && plan->clients >= 1 && plan->clients <= PLAN_CLIENTS_MAX &&
           plan->gateways >= 1 && plan->gateways <= plan->clients && plan->coroutines >= 1 &&
           plan->coroutines <= PLAN_COROUTINES_MAX && plan->keys >= 1 && plan->keys <= PLAN_KEYS_MAX &&
           plan->hot_keys >= 1 && plan->hot_keys <= plan->keys && plan->name_bytes <= PLAN_NAME_BYTES_MAX &&
           plan->value_spread_bytes >= 1 && plan->operations >= 1 && plan->loss_node < plan->nodes &&
           plan->cpu_ns != 0 && (plan->kills == 0 || plan->kill_odds != 0) && plan->kills < plan->clients &&
           (plan->partitions == 0 || plan->partition_odds != 0) && plan->loss < LOSS_KIND_COUNT &&
           (!plan_loses_memory(plan) || plan->nodes > 1) &&
           (plan->settle_ns == 0 || (plan->loss != LOSS_NONE && plan->replicas > 1));
}

bool plan_simpler(const struct plan *plan, uint32_t *step, struct plan *simpler) {
    for (uint32_t at = 0, f = 0; f < FIELD_COUNT; f++) {
        for (uint32_t part = 0; part < fields[f].count * 4; part++, at++) {
            uint64_t value = field_get(plan, &fields[f], part / 4);
            uint64_t least = fields[f].least;
            if (at < *step || least == FIXED || value <= least) {
                continue;
            }
            const uint64_t values[] = {least, value / 2, value - value / 4, value <= STEP_BY_ONE ? value - 1 : value};
            uint64_t next = values[part % 4] < least ? least : values[part % 4];
            *simpler = *plan;
            field_set(simpler, &fields[f], part / 4, next);
            if (next < value && plan_is_sound(simpler)) {
                *step = at + 1;
                return true;
            }
        }
    }
    return false;
}
