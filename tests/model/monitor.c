/* monitor.c: see monitor.h.
 *
 * A configuration in 32 bits:
 *
 *    31                                12 11                          0
 *   +------------------------------------+-----------------------------+
 *   | client 3..0: happened 1, result 4  |  value of key 2, 1, 0: 4 each |
 *   +------------------------------------+-----------------------------+
 */
#include "monitor.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIGURATIONS_MAX 8192 /* of one set */
#define EVENTS 128              /* 32 a client */
#define EVENT_INVOKE 0
#define EVENT_REPLY 4
#define EVENT_REFUSE 24
#define UNKNOWN 0xfffffffeu

struct set {
    uint32_t first, count; /* in pool */
    uint16_t pending;      /* 4 bits a client: number of the operation + 1, 0 = none */
};

struct monitor {
    struct monitor_op plan[MONITOR_CLIENTS_MAX][MONITOR_OPS_MAX];
    struct set *sets;
    uint32_t *memo; /* EVENTS for each set */
    uint32_t set_count, set_capacity;
    uint32_t *pool;
    uint32_t pool_count, pool_capacity;
    uint32_t *table; /* set + 1 by hash */
    uint32_t table_mask;
    uint32_t work[CONFIGURATIONS_MAX], done[CONFIGURATIONS_MAX];
};

static void *grow(void *memory, uint64_t bytes) {
    void *grown = realloc(memory, bytes);
    if (grown == NULL) {
        fprintf(stderr, "monitor: out of memory\n");
        exit(2);
    }
    return grown;
}

struct monitor *monitor_open(void) {
    struct monitor *m = grow(NULL, sizeof *m);
    memset(m, 0, sizeof *m);
    m->table_mask = (1u << 12) - 1;
    m->table = grow(NULL, (m->table_mask + 1) * sizeof *m->table);
    memset(m->table, 0, (m->table_mask + 1) * sizeof *m->table);
    return m;
}

void monitor_close(struct monitor *m) {
    free(m->sets);
    free(m->memo);
    free(m->pool);
    free(m->table);
    free(m);
}

void monitor_plan(struct monitor *m, uint32_t client, uint32_t op, struct monitor_op plan) {
    m->plan[client][op] = plan;
}

/* ---- Sets ------------------------------------------------------------------------------------------------------ */

static uint32_t hash_of(const uint32_t *configurations, uint32_t count, uint16_t pending) {
    uint64_t hash = pending * UINT64_C(0x9e3779b97f4a7c15) + count;
    for (uint32_t i = 0; i < count; i++) {
        hash = (hash ^ configurations[i]) * UINT64_C(0xff51afd7ed558ccd);
        hash ^= hash >> 32;
    }
    return (uint32_t)hash;
}

static void table_double(struct monitor *m) {
    m->table_mask = m->table_mask * 2 + 1;
    m->table = grow(m->table, (m->table_mask + 1) * sizeof *m->table);
    memset(m->table, 0, (m->table_mask + 1) * sizeof *m->table);
    for (uint32_t i = 0; i < m->set_count; i++) {
        uint32_t at = hash_of(m->pool + m->sets[i].first, m->sets[i].count, m->sets[i].pending) & m->table_mask;
        while (m->table[at] != 0) {
            at = (at + 1) & m->table_mask;
        }
        m->table[at] = i + 1;
    }
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t add_set(struct monitor *m, const uint32_t *configurations, uint32_t count, uint16_t pending) {
    if (m->set_count == m->set_capacity) {
        m->set_capacity = m->set_capacity == 0 ? 256 : m->set_capacity * 2;
        m->sets = grow(m->sets, m->set_capacity * sizeof *m->sets);
        m->memo = grow(m->memo, (uint64_t)m->set_capacity * EVENTS * sizeof *m->memo);
    }
    while (m->pool_count + count > m->pool_capacity) {
        m->pool_capacity = m->pool_capacity == 0 ? 4096 : m->pool_capacity * 2;
        m->pool = grow(m->pool, m->pool_capacity * sizeof *m->pool);
    }
    memcpy(m->pool + m->pool_count, configurations, count * sizeof *configurations);
    m->sets[m->set_count] = (struct set){m->pool_count, count, pending};
    m->pool_count += count;
    for (uint32_t i = 0; i < EVENTS; i++) {
        m->memo[(uint64_t)m->set_count * EVENTS + i] = UNKNOWN;
    }
    return m->set_count++;
}

/* The number of the set of m->done[0..count). */
static uint32_t name_set(struct monitor *m, uint32_t count, uint16_t pending) {
    qsort(m->done, count, sizeof *m->done, compare);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || m->done[i] != m->done[kept - 1]) {
            m->done[kept++] = m->done[i];
        }
    }
    uint32_t at = hash_of(m->done, kept, pending) & m->table_mask;
    for (; m->table[at] != 0; at = (at + 1) & m->table_mask) {
        const struct set *set = &m->sets[m->table[at] - 1];
        if (set->count == kept && set->pending == pending &&
            memcmp(m->pool + set->first, m->done, kept * sizeof *m->done) == 0) {
            return m->table[at] - 1;
        }
    }
    uint32_t number = add_set(m, m->done, kept, pending);
    m->table[at] = number + 1;
    if (m->set_count * 2 > m->table_mask) {
        table_double(m);
    }
    return number;
}

uint32_t monitor_start(struct monitor *m, const uint8_t values[MONITOR_KEYS_MAX]) {
    m->done[0] = 0;
    for (uint32_t k = 0; k < MONITOR_KEYS_MAX; k++) {
        m->done[0] |= (uint32_t)values[k] << (4 * k);
    }
    return name_set(m, 1, 0);
}

/* ---- Events ---------------------------------------------------------------------------------------------------- */

static uint32_t happened_shift(uint32_t client) { return 12 + 5 * client; }

static bool has_happened(uint32_t configuration, uint32_t client) {
    return (configuration >> happened_shift(client) & 16) != 0;
}

/* `configuration` after the client's pending operation has taken effect. */
static uint32_t apply(uint32_t configuration, uint32_t client, struct monitor_op op) {
    uint32_t shift = 4u * op.key;
    uint32_t value = configuration >> shift & 15;
    uint32_t result = 0;
    uint32_t after = value;
    switch (op.kind) {
    case MONITOR_SET:
        after = op.value;
        break;
    case MONITOR_RMW:
        result = value;
        after = op.value;
        break;
    case MONITOR_GET:
        result = value;
        break;
    case MONITOR_DEL:
        result = value != MONITOR_ABSENT;
        after = MONITOR_ABSENT;
        break;
    }
    configuration = (configuration & ~(15u << shift)) | after << shift;
    return configuration | (16 | result) << happened_shift(client);
}

static uint32_t push(uint32_t *list, uint32_t count, uint32_t configuration) {
    for (uint32_t i = 0; i < count; i++) {
        if (list[i] == configuration) {
            return count;
        }
    }
    if (count == CONFIGURATIONS_MAX) {
        fprintf(stderr, "monitor: more than %u configurations\n", CONFIGURATIONS_MAX);
        exit(2);
    }
    list[count] = configuration;
    return count + 1;
}

static uint32_t reply(struct monitor *m, uint32_t set, uint32_t client, uint32_t result) {
    struct set from = m->sets[set];
    memcpy(m->work, m->pool + from.first, from.count * sizeof *m->work);
    uint32_t todo = from.count;
    uint32_t done = 0;
    for (uint32_t i = 0; i < todo; i++) {
        uint32_t configuration = m->work[i];
        if (has_happened(configuration, client)) {
            uint32_t shift = happened_shift(client);
            if ((configuration >> shift & 15) == result) {
                done = push(m->done, done, configuration & ~(31u << shift));
            }
            continue;
        }
        for (uint32_t c = 0; c < MONITOR_CLIENTS_MAX; c++) {
            uint32_t pending = from.pending >> (4 * c) & 15;
            if (pending != 0 && !has_happened(configuration, c)) {
                todo = push(m->work, todo, apply(configuration, c, m->plan[c][pending - 1]));
            }
        }
    }
    return done == 0 ? MONITOR_BROKEN : name_set(m, done, from.pending & (uint16_t) ~(15u << (4 * client)));
}

static uint32_t refuse(struct monitor *m, uint32_t set, uint32_t client) {
    struct set from = m->sets[set];
    uint32_t done = 0;
    for (uint32_t i = 0; i < from.count; i++) {
        uint32_t configuration = m->pool[from.first + i];
        if (!has_happened(configuration, client)) {
            m->done[done++] = configuration;
        }
    }
    return done == 0 ? MONITOR_BROKEN : name_set(m, done, from.pending & (uint16_t) ~(15u << (4 * client)));
}

static uint32_t invoke(struct monitor *m, uint32_t set, uint32_t client, uint32_t op) {
    struct set from = m->sets[set];
    memcpy(m->done, m->pool + from.first, from.count * sizeof *m->done);
    return name_set(m, from.count, (uint16_t)(from.pending | (op + 1) << (4 * client)));
}

static uint32_t known(const struct monitor *m, uint32_t set, uint32_t event) {
    return m->memo[(uint64_t)set * EVENTS + event];
}

static uint32_t learn(struct monitor *m, uint32_t set, uint32_t event, uint32_t to) {
    m->memo[(uint64_t)set * EVENTS + event] = to;
    return to;
}

uint32_t monitor_invoke(struct monitor *m, uint32_t set, uint32_t client, uint32_t op) {
    uint32_t event = 32 * client + EVENT_INVOKE + op;
    uint32_t to = known(m, set, event);
    return to != UNKNOWN ? to : learn(m, set, event, invoke(m, set, client, op));
}

uint32_t monitor_reply(struct monitor *m, uint32_t set, uint32_t client, uint32_t result) {
    uint32_t event = 32 * client + EVENT_REPLY + result;
    uint32_t to = known(m, set, event);
    return to != UNKNOWN ? to : learn(m, set, event, reply(m, set, client, result));
}

uint32_t monitor_refuse(struct monitor *m, uint32_t set, uint32_t client) {
    uint32_t event = 32 * client + EVENT_REFUSE;
    uint32_t to = known(m, set, event);
    return to != UNKNOWN ? to : learn(m, set, event, refuse(m, set, client));
}
