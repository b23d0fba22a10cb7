/* monitor.c: see monitor.h.
 *
 * A configuration in 64 bits:
 *
 *    63                                 12 11                          0
 *   +-------------------------------------+-----------------------------+
 *   | client 3..0: happened 1, result 12  |  value of key 2, 1, 0: 4 each |
 *   +-------------------------------------+-----------------------------+
 */
#include "monitor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIGURATIONS_MAX 8192 /* of one set */
#define RESULT_BITS 12
#define RESULT_MASK ((1u << RESULT_BITS) - 1)
#define UNKNOWN 0xfffffffeu

enum event { EVENT_INVOKE = 1, EVENT_REPLY, EVENT_REFUSE };

struct set {
    uint32_t first, count; /* in pool */
    uint16_t pending;      /* 4 bits a client: number of the operation + 1, 0 = none */
};

struct known {
    uint64_t event; /* 0: free */
    uint32_t to;
};

struct monitor {
    struct monitor_op plan[MONITOR_CLIENTS_MAX][MONITOR_OPS_MAX];
    struct set *sets;
    uint32_t set_count, set_capacity;
    struct known *memo; /* what an event does to a set, by hash */
    uint32_t memo_count, memo_mask;
    uint64_t *pool;
    uint32_t pool_count, pool_capacity;
    uint32_t *table; /* set + 1 by hash */
    uint32_t table_mask;
    uint64_t work[CONFIGURATIONS_MAX], done[CONFIGURATIONS_MAX];
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
    m->memo_mask = (1u << 12) - 1;
    m->memo = grow(NULL, (m->memo_mask + 1ull) * sizeof *m->memo);
    memset(m->memo, 0, (m->memo_mask + 1ull) * sizeof *m->memo);
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

static uint32_t hash_of(const uint64_t *configurations, uint32_t count, uint16_t pending) {
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
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t add_set(struct monitor *m, const uint64_t *configurations, uint32_t count, uint16_t pending) {
    if (m->set_count == m->set_capacity) {
        m->set_capacity = m->set_capacity == 0 ? 256 : m->set_capacity * 2;
        m->sets = grow(m->sets, m->set_capacity * sizeof *m->sets);
    }
    while (m->pool_count + count > m->pool_capacity) {
        m->pool_capacity = m->pool_capacity == 0 ? 4096 : m->pool_capacity * 2;
        m->pool = grow(m->pool, m->pool_capacity * sizeof *m->pool);
    }
    memcpy(m->pool + m->pool_count, configurations, count * sizeof *configurations);
    m->sets[m->set_count] = (struct set){m->pool_count, count, pending};
    m->pool_count += count;
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
        m->done[0] |= (uint64_t)values[k] << (4 * k);
    }
    return name_set(m, 1, 0);
}

/* ---- Events ---------------------------------------------------------------------------------------------------- */

static uint32_t happened_shift(uint32_t client) { return 4 * MONITOR_KEYS_MAX + (1 + RESULT_BITS) * client; }

#define HAPPENED (UINT64_C(1) << RESULT_BITS)

static bool has_happened(uint64_t configuration, uint32_t client) {
    return (configuration >> happened_shift(client) & HAPPENED) != 0;
}

static uint64_t with_value(uint64_t configuration, uint32_t key, uint64_t value) {
    return (configuration & ~(UINT64_C(15) << 4 * key)) | value << 4 * key;
}

static uint64_t apply_many(uint64_t configuration, struct monitor_op op, uint64_t *result) {
    uint64_t before = configuration;
    bool all_absent = true;
    *result = 0;
    for (uint32_t k = 0; k < MONITOR_KEYS_MAX; k++) {
        uint64_t value = before >> 4 * k & 15;
        *result |= (op.reads >> k & 1) != 0 ? value << 4 * k : 0;
        all_absent &= (op.writes >> k & 1) == 0 || value == MONITOR_ABSENT;
        if ((op.writes >> k & 1) != 0) {
            configuration = with_value(configuration, k, op.value);
        } else if ((op.removes >> k & 1) != 0) {
            configuration = with_value(configuration, k, MONITOR_ABSENT);
        }
    }
    if (!op.all_absent) {
        return configuration;
    }
    *result = all_absent;
    return all_absent ? configuration : before;
}

/* `configuration` after the client's pending operation has taken effect. */
static uint64_t apply(uint64_t configuration, uint32_t client, struct monitor_op op) {
    uint64_t value = configuration >> 4u * op.key & 15;
    uint64_t result = 0;
    switch (op.kind) {
    case MONITOR_SET:
        configuration = with_value(configuration, op.key, op.value);
        break;
    case MONITOR_RMW:
        result = value;
        configuration = with_value(configuration, op.key, op.value);
        break;
    case MONITOR_GET:
        result = value;
        break;
    case MONITOR_DEL:
        result = value != MONITOR_ABSENT;
        configuration = with_value(configuration, op.key, MONITOR_ABSENT);
        break;
    case MONITOR_SETNX:
        result = value == MONITOR_ABSENT;
        configuration = result != 0 ? with_value(configuration, op.key, op.value) : configuration;
        break;
    case MONITOR_MANY:
        configuration = apply_many(configuration, op, &result);
        break;
    }
    return configuration | (HAPPENED | result) << happened_shift(client);
}

static uint32_t push(uint64_t *list, uint32_t count, uint64_t configuration) {
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
        uint64_t configuration = m->work[i];
        if (has_happened(configuration, client)) {
            uint32_t shift = happened_shift(client);
            if ((configuration >> shift & RESULT_MASK) == result) {
                done = push(m->done, done, configuration & ~((HAPPENED | RESULT_MASK) << shift));
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
        uint64_t configuration = m->pool[from.first + i];
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

/* ---- What is known of events ------------------------------------------------------------------------------------ */

static uint64_t event_of(uint32_t set, uint32_t client, enum event event, uint32_t argument) {
    return (uint64_t)set << 20 | (uint64_t)client << 18 | (uint64_t)event << 16 | argument;
}

static struct known *place(const struct monitor *m, uint64_t event) {
    uint64_t at = event * UINT64_C(0x9e3779b97f4a7c15) >> 20;
    while (m->memo[at & m->memo_mask].event != 0 && m->memo[at & m->memo_mask].event != event) {
        at++;
    }
    return &m->memo[at & m->memo_mask];
}

static uint32_t known(const struct monitor *m, uint64_t event) {
    const struct known *found = place(m, event);
    return found->event == 0 ? UNKNOWN : found->to;
}

static uint32_t learn(struct monitor *m, uint64_t event, uint32_t to) {
    if (++m->memo_count * 2 > m->memo_mask) {
        struct known *old = m->memo;
        uint32_t size = m->memo_mask + 1;
        m->memo_mask = size * 2 - 1;
        m->memo = grow(NULL, size * UINT64_C(2) * sizeof *m->memo);
        memset(m->memo, 0, size * UINT64_C(2) * sizeof *m->memo);
        for (uint32_t i = 0; i < size; i++) {
            if (old[i].event != 0) {
                *place(m, old[i].event) = old[i];
            }
        }
        free(old);
    }
    *place(m, event) = (struct known){event, to};
    return to;
}

uint32_t monitor_invoke(struct monitor *m, uint32_t set, uint32_t client, uint32_t op) {
    uint64_t event = event_of(set, client, EVENT_INVOKE, op);
    uint32_t to = known(m, event);
    return to != UNKNOWN ? to : learn(m, event, invoke(m, set, client, op));
}

uint32_t monitor_reply(struct monitor *m, uint32_t set, uint32_t client, uint32_t result) {
    uint64_t event = event_of(set, client, EVENT_REPLY, result);
    uint32_t to = known(m, event);
    return to != UNKNOWN ? to : learn(m, event, reply(m, set, client, result));
}

uint32_t monitor_refuse(struct monitor *m, uint32_t set, uint32_t client) {
    uint64_t event = event_of(set, client, EVENT_REFUSE, 0);
    uint32_t to = known(m, event);
    return to != UNKNOWN ? to : learn(m, event, refuse(m, set, client));
}
