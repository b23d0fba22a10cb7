/* history_sweep.c: the checker that follows all orders at once. See history.h.
 *
 * It goes through begins and ends in the order of time with a set of configurations: which of the operations under way
 * have taken effect, and the state. Nothing takes effect before it must: at the end of an operation each configuration
 * in which it has not yet taken effect is replaced by all that follow when it does, alone or behind others that are
 * under way. No configuration left: nothing explains the history.
 *
 * What only looks, and fits, takes effect at once, without alternatives. Operations of unknown outcome stay
 * under way for ever; of two configurations that differ in these only, the one that has used fewer does for both. Of
 * two operations that are alike in all but their times, the one that ends first may always come first.
 */
#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "history.h"

#define PLACES 64u /* operations under way at a time, and operations of unknown outcome */

struct configuration {
    uint64_t done; /* places of operations that have taken effect */
    uint64_t used; /* the same for those of unknown outcome */
    struct history_state state;
};

struct set {
    struct configuration *items;
    uint64_t count, capacity;
    uint32_t *table; /* index + 1 into items, open addressing; twice the capacity */
};

struct sweep {
    const struct history_op *ops;
    uint32_t under_way[PLACES], unknown[PLACES];
    uint64_t busy;           /* places of under_way in use */
    uint64_t before[PLACES]; /* for each place those of operations that are alike and end earlier */
    bool expiring;           /* clocks matter: no two operations are alike */
    uint32_t unknown_count;  /* begun */
    struct set now, next;    /* next: configurations that the ending operation leaves */
    struct set open;         /* on the way there */
    uint64_t steps;
};

/* ---- Sets ------------------------------------------------------------------------------------------------------- */

static uint64_t configuration_hash(const struct configuration *c) {
    return history_scramble(c->done + 1) ^ history_scramble(c->state.identity * 3 + c->state.count) ^
           history_scramble((uint64_t)c->state.expire_ms + 7);
}

static void set_clear(struct set *set) {
    if (set->count != 0) {
        memset(set->table, 0, set->capacity * 2 * sizeof *set->table);
    }
    set->count = 0;
}

static void set_free(struct set *set) {
    free(set->items);
    free(set->table);
}

static uint32_t *set_place(const struct set *set, uint64_t hash) {
    uint64_t mask = set->capacity * 2 - 1;
    uint64_t i = hash & mask;
    while (set->table[i] != 0) {
        i = (i + 1) & mask;
    }
    return &set->table[i];
}

static void set_grow(struct set *set) {
    set->capacity = set->capacity == 0 ? 256 : set->capacity * 2;
    set->items = realloc(set->items, set->capacity * sizeof *set->items);
    free(set->table);
    set->table = calloc(set->capacity * 2, sizeof *set->table);
    dm_assert(set->items != NULL && set->table != NULL);
    for (uint64_t k = 0; k < set->count; k++) {
        *set_place(set, configuration_hash(&set->items[k])) = (uint32_t)k + 1;
    }
}

/* Adds a configuration, unless one that does as well is there. */
static void set_add(struct set *set, const struct configuration *c) {
    if (set->count == set->capacity) {
        set_grow(set);
    }
    uint64_t mask = set->capacity * 2 - 1;
    uint64_t i = configuration_hash(c) & mask;
    for (; set->table[i] != 0; i = (i + 1) & mask) {
        struct configuration *other = &set->items[set->table[i] - 1];
        if (other->done != c->done || !history_state_equal(&other->state, &c->state)) {
            continue;
        }
        if ((other->used & ~c->used) == 0) {
            return;
        }
    }
    set->items[set->count++] = *c;
    set->table[i] = (uint32_t)set->count;
}

/* ---- The sweep -------------------------------------------------------------------------------------------------- */

/* All that only looks, and fits, takes effect. */
static void settle(const struct sweep *sweep, struct configuration *c) {
    for (uint64_t left = sweep->busy & ~c->done; left != 0; left &= left - 1) {
        uint32_t place = (uint32_t)__builtin_ctzll(left);
        for (int absent = 0; absent < 2; absent++) {
            struct history_state state = c->state;
            const struct history_op *op = &sweep->ops[sweep->under_way[place]];
            if (history_looks(op) && history_step(op, absent, &state) && history_state_equal(&state, &c->state)) {
                c->done |= UINT64_C(1) << place;
                break;
            }
        }
    }
}

/* `c` with one more operation. The ending one's place is `end`. */
static void follow(struct sweep *sweep, const struct configuration *c, const struct history_op *op,
                   const struct configuration *marks, uint64_t end) {
    for (int absent = 0; absent < 2; absent++) {
        struct configuration after = {c->done | marks->done, c->used | marks->used, c->state};
        sweep->steps++;
        if (!history_step(op, absent, &after.state)) {
            continue;
        }
        settle(sweep, &after);
        if ((after.done & end) != 0) {
            after.done &= ~end;
            set_add(&sweep->next, &after);
        } else {
            set_add(&sweep->open, &after);
        }
    }
}

/* May one take the place of the other? */
static bool is_alike(const struct sweep *sweep, uint32_t a, uint32_t b) {
    const struct history_op *x = &sweep->ops[a];
    const struct history_op *y = &sweep->ops[b];
    return !sweep->expiring && x->kind == y->kind && x->argument == y->argument && x->result == y->result &&
           x->result_count == y->result_count;
}

static void order_alike(struct sweep *sweep) {
    for (uint64_t left = sweep->busy; left != 0; left &= left - 1) {
        uint32_t place = (uint32_t)__builtin_ctzll(left);
        sweep->before[place] = 0;
        for (uint64_t others = sweep->busy; others != 0; others &= others - 1) {
            uint32_t other = (uint32_t)__builtin_ctzll(others);
            bool earlier = sweep->ops[sweep->under_way[other]].ended < sweep->ops[sweep->under_way[place]].ended;
            if (earlier && is_alike(sweep, sweep->under_way[other], sweep->under_way[place])) {
                sweep->before[place] |= UINT64_C(1) << other;
            }
        }
    }
}

/* An earlier operation of unknown outcome, alike and not used, does as well. */
static bool has_unused_twin(const struct sweep *sweep, const struct configuration *c, uint32_t u) {
    for (uint32_t v = 0; v < u; v++) {
        if ((c->used >> v & 1) == 0 && is_alike(sweep, sweep->unknown[v], sweep->unknown[u])) {
            return true;
        }
    }
    return false;
}

/* Replaces the configurations by those in which the operation at `place` has taken effect. */
static void sweep_end(struct sweep *sweep, uint32_t place, uint64_t limit) {
    uint64_t end = UINT64_C(1) << place;
    order_alike(sweep);
    set_clear(&sweep->next);
    set_clear(&sweep->open);
    for (uint64_t i = 0; i < sweep->now.count; i++) {
        struct configuration c = sweep->now.items[i];
        settle(sweep, &c);
        bool done = (c.done & end) != 0;
        c.done &= ~end;
        set_add(done ? &sweep->next : &sweep->open, &c);
        sweep->steps++;
    }
    for (uint64_t i = 0; i < sweep->open.count && sweep->steps < limit; i++) {
        struct configuration c = sweep->open.items[i];
        for (uint64_t left = sweep->busy & ~c.done; left != 0; left &= left - 1) {
            struct configuration marks = {.done = left & (0 - left)};
            if ((sweep->before[__builtin_ctzll(left)] & ~c.done) != 0) {
                continue;
            }
            follow(sweep, &c, &sweep->ops[sweep->under_way[__builtin_ctzll(left)]], &marks, end);
        }
        for (uint32_t u = 0; u < sweep->unknown_count; u++) {
            struct configuration marks = {.used = UINT64_C(1) << u};
            if ((c.used & marks.used) == 0 && !has_unused_twin(sweep, &c, u)) {
                follow(sweep, &c, &sweep->ops[sweep->unknown[u]], &marks, end);
            }
        }
    }
    sweep->busy &= ~end;
    struct set swap = sweep->now;
    sweep->now = sweep->next;
    sweep->next = swap;
}

/* An operation begins; false when there are too many at a time. */
static bool sweep_begin(struct sweep *sweep, uint32_t op, uint32_t *place) {
    if (sweep->ops[op].unknown) {
        if (sweep->unknown_count == PLACES) {
            return false;
        }
        sweep->unknown[sweep->unknown_count++] = op;
        return true;
    }
    if (sweep->busy == UINT64_MAX) {
        return false;
    }
    *place = (uint32_t)__builtin_ctzll(~sweep->busy);
    sweep->busy |= UINT64_C(1) << *place;
    sweep->under_way[*place] = op;
    return true;
}

struct ending {
    uint64_t at;
    uint32_t op;
};

static int compare_endings(const void *a, const void *b) {
    uint64_t x = ((const struct ending *)a)->at;
    uint64_t y = ((const struct ending *)b)->at;
    return x < y ? -1 : x > y;
}

static enum history_verdict sweep_run(struct sweep *sweep, const struct ending *endings, uint32_t ending_count,
                                      uint32_t count, uint32_t *places, uint64_t limit, uint32_t *stuck) {
    uint32_t begun = 0;
    for (uint32_t e = 0; e < ending_count; e++) {
        for (; begun < count && sweep->ops[begun].began < endings[e].at; begun++) {
            if (!sweep_begin(sweep, begun, &places[begun])) {
                return HISTORY_TOO_HARD;
            }
        }
        sweep_end(sweep, places[endings[e].op], limit);
        if (sweep->steps >= limit) {
            return HISTORY_TOO_HARD;
        }
        if (sweep->now.count == 0) {
            *stuck = endings[e].op;
            return HISTORY_WRONG;
        }
    }
    return HISTORY_RIGHT;
}

enum history_verdict history_sweep(struct history_op *ops, uint32_t count, uint64_t limit, uint32_t *stuck) {
    qsort(ops, count, sizeof *ops, history_compare_began);
    struct sweep sweep = {.ops = ops};
    struct ending *endings = calloc((size_t)count + 1, sizeof *endings);
    uint32_t *places = calloc((size_t)count + 1, sizeof *places);
    dm_assert(endings != NULL && places != NULL);
    uint32_t ending_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        sweep.expiring |= ops[i].expire_ms != 0;
        if (!ops[i].unknown) {
            endings[ending_count++] = (struct ending){ops[i].ended, i};
        }
    }
    qsort(endings, ending_count, sizeof *endings, compare_endings);
    struct configuration first = {0};
    set_add(&sweep.now, &first);
    enum history_verdict verdict = sweep_run(&sweep, endings, ending_count, count, places, limit, stuck);
    set_free(&sweep.now);
    set_free(&sweep.next);
    set_free(&sweep.open);
    free(endings);
    free(places);
    return verdict;
}
