/* history.c: see history.h.
 *
 * The search keeps a list of begins and ends in the order of time. It lifts an operation whose begin comes before the
 * first end that is left, if the state allows its result, and goes on from the head; at an end it goes back. A set of
 * (operations lifted, state), kept as 128-bit hashes, stops it from trying the same twice. Operations of unknown
 * outcome have no end; they are tried after the others, and may be left over. What only looks, and fits, is lifted at
 * once, without alternatives.
 */
#include "history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assert.h"

#define UNSEEN UINT64_MAX
#define SEARCH_PART 1000 /* of the steps allowed, before the sweep begins */

uint64_t history_mix(uint64_t identity, uint64_t token) {
    uint64_t z = (identity ^ token * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
    return (z ^ z >> 31) | 1;
}

static const char *const names[] = {"GET", "SET", "DEL", "INCR", "APPEND", "SETNX", "GETSET", "GETDEL", "FLUSH"};

void history_print(const struct history_op *op) {
    printf("  %9.1f - ", (double)op->began_ns / 1000);
    if (op->ended == HISTORY_OPEN) {
        printf("%9s", "?");
    } else {
        printf("%9.1f", (double)op->ended_ns / 1000);
    }
    printf(" us  client %u key %u %-6s %" PRIx64 " = %" PRIx64 " (%" PRIu64 ")%s", op->client, op->key, names[op->kind],
           op->argument, op->result, op->result_count, op->unknown ? " unknown" : "");
    if (op->expire_ms != 0) {
        printf(" expires %" PRId64, op->expire_ms);
    }
    printf(" clocks %" PRId64 "..%" PRId64 "\n", op->wall_low_ms, op->wall_high_ms);
}

/* ---- The register ----------------------------------------------------------------------------------------------- */

/* Applies op to *state; false when its result does not fit. `absent`: treat an expired value as gone. */
static bool apply(const struct history_op *op, struct history_state *state, bool absent) {
    static const struct history_state none = {0};
    struct history_state old = absent ? none : *state;
    switch (op->kind) {
    case HISTORY_GET:
        return op->unknown || (op->result == old.identity && op->result_count == old.count);
    case HISTORY_SET:
        *state = (struct history_state){.identity = op->argument, .expire_ms = op->expire_ms};
        return true;
    case HISTORY_FLUSH:
        *state = none;
        return true;
    case HISTORY_DELETE:
        if (!absent) { /* an expired value stays, for clocks that are behind */
            *state = none;
        }
        return op->unknown || op->result == (old.identity != 0);
    case HISTORY_GETDEL:
        if (!absent) {
            *state = none;
        }
        return op->unknown || op->result == old.identity;
    case HISTORY_INCR:
        *state = (struct history_state){old.identity + 1, old.count, old.expire_ms};
        return op->unknown || op->result == state->identity;
    case HISTORY_APPEND:
        *state = (struct history_state){history_mix(old.identity, op->argument), old.count + 1, old.expire_ms};
        return op->unknown || op->result == state->count;
    case HISTORY_SETNX:
        if (old.identity == 0) {
            *state = (struct history_state){.identity = op->argument};
        }
        return op->unknown || op->result == (old.identity == 0);
    default:
        *state = (struct history_state){.identity = op->argument};
        return op->unknown || op->result == old.identity;
    }
}

bool history_step(const struct history_op *op, bool absent, struct history_state *state) {
    bool expiring = state->identity != 0 && state->expire_ms != 0;
    bool allowed = absent ? expiring && op->wall_high_ms >= state->expire_ms
                          : !expiring || op->kind == HISTORY_SET || op->kind == HISTORY_FLUSH ||
                                op->wall_low_ms < state->expire_ms;
    return allowed && apply(op, state, absent);
}

/* ---- The search ------------------------------------------------------------------------------------------------- */

struct entry {
    struct entry *previous, *next;
    struct entry *end; /* of a begin; NULL for ends, itself for begins of unknown outcome */
    uint32_t op;
    bool is_end;
};

struct seen {
    uint64_t low, high;
};

struct lifted {
    struct entry *entry;
    struct history_state state; /* before it */
    bool absent;                /* which of the two ways was taken */
    bool pure; /* it left the state alone: lifting it first can only help, nothing else need be tried */
};

struct search {
    struct history_op *ops;
    uint32_t count;
    struct entry head; /* of begins and ends with known outcome */
    struct entry late; /* of begins of unknown outcome */
    struct entry *entries;
    struct seen *seen;
    uint64_t seen_count, seen_capacity;
    uint64_t hash_low, hash_high; /* of the set lifted */
    struct lifted *stack;
    uint32_t depth, known_left;
    struct history_state state;
};

uint64_t history_scramble(uint64_t x) {
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static void toggle(struct search *search, uint32_t op) {
    search->hash_low ^= history_scramble(op * UINT64_C(0x9e3779b97f4a7c15) + 1);
    search->hash_high ^= history_scramble(op * UINT64_C(0xc2b2ae3d27d4eb4f) + 2);
}

static bool seen_insert(struct seen *table, uint64_t capacity, struct seen key) {
    for (uint64_t i = key.low & (capacity - 1);; i = (i + 1) & (capacity - 1)) {
        if (table[i].low == key.low && table[i].high == key.high) {
            return false;
        }
        if (table[i].low == 0 && table[i].high == 0) {
            table[i] = key;
            return true;
        }
    }
}

/* Notes the configuration that `state` would lead to; false if it was met before. */
static bool remember(struct search *search, const struct history_state *state) {
    if (search->seen_count * 2 >= search->seen_capacity) {
        uint64_t capacity = search->seen_capacity == 0 ? 4096 : search->seen_capacity * 4;
        struct seen *table = calloc(capacity, sizeof *table);
        dm_assert(table != NULL);
        for (uint64_t i = 0; i < search->seen_capacity; i++) {
            if (search->seen[i].low != 0 || search->seen[i].high != 0) {
                seen_insert(table, capacity, search->seen[i]);
            }
        }
        free(search->seen);
        search->seen = table;
        search->seen_capacity = capacity;
    }
    uint64_t content = history_scramble(state->identity + 3) ^ history_scramble(state->count * 5 + 7) * 3 ^
                       history_scramble((uint64_t)state->expire_ms * 11 + 13) * 5;
    struct seen key = {history_scramble(search->hash_low ^ content),
                       history_scramble(search->hash_high + content * 7) | 1};
    bool fresh = seen_insert(search->seen, search->seen_capacity, key);
    search->seen_count += fresh;
    return fresh;
}

static void unlink_entry(struct entry *entry) {
    entry->previous->next = entry->next;
    if (entry->next != NULL) {
        entry->next->previous = entry->previous;
    }
}

static void relink_entry(struct entry *entry) {
    entry->previous->next = entry;
    if (entry->next != NULL) {
        entry->next->previous = entry;
    }
}

/* What a begin makes of the state, in one of the two ways; false when its result does not allow it. */
static bool outcome(const struct search *search, const struct entry *entry, bool absent, struct history_state *state) {
    *state = search->state;
    return history_step(&search->ops[entry->op], absent, state);
}

static void lift(struct search *search, struct lifted lifted, const struct history_state *state) {
    search->stack[search->depth++] = lifted;
    search->state = *state;
    unlink_entry(lifted.entry);
    if (!search->ops[lifted.entry->op].unknown) {
        unlink_entry(lifted.entry->end);
        search->known_left--;
    }
}

/* Tries to lift a begin in one of the two ways. */
static bool try_lift(struct search *search, struct entry *entry, bool absent) {
    struct history_state state;
    if (!outcome(search, entry, absent, &state)) {
        return false;
    }
    toggle(search, entry->op);
    if (!remember(search, &state)) {
        toggle(search, entry->op);
        return false;
    }
    lift(search, (struct lifted){entry, search->state, absent, false}, &state);
    return true;
}

/* Lifts all begins that may come now and leave the state as it is. */
static void lift_pure(struct search *search) {
    struct entry *next;
    for (struct entry *entry = search->head.next; entry != NULL && !entry->is_end; entry = next) {
        next = entry->next;
        for (int absent = 0; absent < 2; absent++) {
            struct history_state state;
            if (history_looks(&search->ops[entry->op]) && outcome(search, entry, absent, &state) &&
                history_state_equal(&state, &search->state)) {
                bool was_next_end = next == entry->end;
                toggle(search, entry->op);
                lift(search, (struct lifted){entry, search->state, absent, true}, &state);
                next = was_next_end ? search->head.next : next; /* another end comes first now: look at all again */
                break;
            }
        }
    }
}

static struct lifted undo(struct search *search) {
    struct lifted last = search->stack[--search->depth];
    if (!search->ops[last.entry->op].unknown) {
        relink_entry(last.entry->end);
        search->known_left++;
    }
    relink_entry(last.entry);
    toggle(search, last.entry->op);
    search->state = last.state;
    return last;
}

/* The begin to try behind `entry`; NULL when no begin may be lifted any more. Those of unknown outcome come last. */
static struct entry *next_begin(struct search *search, struct entry *entry) {
    bool late = search->ops[entry->op].unknown;
    struct entry *next = entry->next;
    if (!late && (next == NULL || next->is_end)) {
        next = search->late.next;
        late = true;
    }
    if (!late || next == NULL) {
        return next;
    }
    /* It must have begun before the first end that is left. */
    const struct entry *end = search->head.next;
    while (end != NULL && !end->is_end) {
        end = end->next;
    }
    return end == NULL || search->ops[next->op].began < search->ops[end->op].ended ? next : NULL;
}

static enum history_verdict search_run(struct search *search, uint64_t limit, uint32_t *stuck) {
    lift_pure(search);
    struct entry *entry = search->head.next;
    bool absent = false;
    uint32_t deepest = 0;
    for (uint64_t steps = 0; search->known_left > 0; steps++) {
        if (steps > limit) {
            return HISTORY_TOO_HARD;
        }
        if (entry != NULL && try_lift(search, entry, absent)) {
            lift_pure(search);
            entry = search->head.next;
            absent = false;
            continue;
        }
        if (entry != NULL) {
            if (!absent) {
                absent = true;
                continue;
            }
            absent = false;
            entry = next_begin(search, entry);
            if (entry != NULL) {
                continue;
            }
        }
        if (search->depth >= deepest && search->head.next != NULL) {
            deepest = search->depth;
            const struct entry *end = search->head.next;
            while (end->next != NULL && !end->is_end) {
                end = end->next;
            }
            *stuck = end->op;
        }
        struct lifted last = {.pure = true};
        while (search->depth > 0 && last.pure) {
            last = undo(search);
        }
        if (last.pure) {
            return HISTORY_WRONG;
        }
        entry = last.entry;
        absent = last.absent;
        if (!absent) {
            absent = true;
        } else {
            absent = false;
            entry = next_begin(search, entry);
        }
    }
    return HISTORY_RIGHT;
}

struct mark {
    uint64_t at;
    struct entry *entry;
};

static int compare_marks(const void *a, const void *b) {
    uint64_t x = ((const struct mark *)a)->at;
    uint64_t y = ((const struct mark *)b)->at;
    return x < y ? -1 : x > y;
}

int history_compare_began(const void *a, const void *b) {
    uint64_t x = ((const struct history_op *)a)->began;
    uint64_t y = ((const struct history_op *)b)->began;
    return x < y ? -1 : x > y;
}

static void append_entry(struct entry **tail, struct entry *entry) {
    (*tail)->next = entry;
    entry->previous = *tail;
    *tail = entry;
}

static void search_load(struct search *search) {
    struct mark *marks = calloc((size_t)search->count * 2 + 1, sizeof *marks);
    dm_assert(marks != NULL);
    uint32_t count = 0;
    struct entry *late = &search->late;
    for (uint32_t i = 0; i < search->count; i++) {
        const struct history_op *op = &search->ops[i];
        struct entry *begin = &search->entries[i * 2];
        struct entry *end = begin + 1;
        *begin = (struct entry){.end = end, .op = i};
        *end = (struct entry){.op = i, .is_end = true};
        if (op->unknown) {
            append_entry(&late, begin);
            continue;
        }
        marks[count++] = (struct mark){op->began, begin};
        marks[count++] = (struct mark){op->ended, end};
        search->known_left++;
    }
    qsort(marks, count, sizeof *marks, compare_marks);
    struct entry *tail = &search->head;
    for (uint32_t i = 0; i < count; i++) {
        append_entry(&tail, marks[i].entry);
    }
    free(marks);
}

enum history_verdict history_search(struct history_op *ops, uint32_t count, uint64_t limit, uint32_t *stuck) {
    qsort(ops, count, sizeof *ops, history_compare_began);
    struct search search = {.ops = ops, .count = count};
    search.entries = calloc((size_t)count * 2 + 1, sizeof *search.entries);
    search.stack = calloc((size_t)count + 1, sizeof *search.stack);
    dm_assert(search.entries != NULL && search.stack != NULL);
    search_load(&search);
    enum history_verdict verdict = search_run(&search, limit, stuck);
    free(search.entries);
    free(search.stack);
    free(search.seen);
    return verdict;
}

static int compare_words(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Identities that no result tells of become one and the same, so that fewer states differ. Not where operations make
 * new identities of old ones. */
static void merge_unseen(struct history_op *ops, uint32_t count) {
    uint64_t *seen = calloc((size_t)count + 1, sizeof *seen);
    dm_assert(seen != NULL);
    uint32_t seen_count = 0;
    bool derived = false;
    for (uint32_t i = 0; i < count; i++) {
        derived |= ops[i].kind == HISTORY_INCR || ops[i].kind == HISTORY_APPEND;
        seen[seen_count++] = ops[i].result;
    }
    qsort(seen, seen_count, sizeof *seen, compare_words);
    for (uint32_t i = 0; i < count && !derived; i++) {
        bool writes = ops[i].kind == HISTORY_SET || ops[i].kind == HISTORY_SETNX || ops[i].kind == HISTORY_GETSET;
        if (writes && bsearch(&ops[i].argument, seen, seen_count, sizeof *seen, compare_words) == NULL) {
            ops[i].argument = UNSEEN;
        }
    }
    free(seen);
}

enum history_verdict history_linearizable(struct history_op *ops, uint32_t count, uint64_t limit, uint32_t *stuck) {
    qsort(ops, count, sizeof *ops, history_compare_began);
    struct history_op *merged = calloc((size_t)count + 1, sizeof *merged);
    dm_assert(merged != NULL);
    memcpy(merged, ops, count * sizeof *merged);
    merge_unseen(merged, count);
    enum history_verdict verdict = history_search(merged, count, limit / SEARCH_PART, stuck);
    if (verdict == HISTORY_TOO_HARD) {
        verdict = history_sweep(merged, count, limit, stuck);
    }
    free(merged);
    return verdict;
}
