/* explore.c: see explore.h. */
#include "explore.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define TABLE_START (1u << 16)
#define TEXT_BYTES 512
#define NO_STATE UINT32_MAX

/* States of one depth, one behind the other. */
struct level {
    uint8_t *bytes;
    uint64_t count, capacity;
};

struct explore {
    const struct explore_model *model;
    const struct explore_limits *limits;
    struct explore_result result;
    /* visited: open addressing, 0 = free; the state's number beside it when transitions are kept */
    uint64_t *table;
    uint32_t *numbers;
    uint64_t table_mask;
    /* the way to state n */
    uint32_t *parents;
    uint8_t *choices;
    uint64_t capacity;
    struct level now, next;
    /* transitions, when kept: those of state n are targets[first[n]..first[n + 1]) */
    uint64_t *first;
    uint32_t *targets;
    uint64_t target_capacity;
    /* the state that is expanded */
    uint32_t current, choice;
    const char *violation;
    bool stopped;
    uint32_t bad_parent, bad_choice;
    /* telling a counterexample */
    bool telling;
    uint32_t wanted_choice;
    bool found;
    char text[TEXT_BYTES];
    _Alignas(8) uint8_t told[EXPLORE_STATE_BYTES_MAX];
};

static void *grow(void *memory, uint64_t bytes) {
    void *grown = realloc(memory, bytes);
    if (grown == NULL) {
        fprintf(stderr, "explore: out of memory (%llu bytes)\n", (unsigned long long)bytes);
        exit(2);
    }
    return grown;
}

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- Visited states -------------------------------------------------------------------------------------------- */

static void table_open(struct explore *e, uint64_t size) {
    e->table_mask = size - 1;
    e->table = calloc(size, sizeof *e->table);
    e->numbers = e->limits->every_state_ends ? grow(NULL, size * sizeof *e->numbers) : NULL;
    if (e->table == NULL) {
        fprintf(stderr, "explore: out of memory (%llu slots)\n", (unsigned long long)size);
        exit(2);
    }
}

static uint64_t table_place(const struct explore *e, uint64_t hash) {
    uint64_t at = hash & e->table_mask;
    while (e->table[at] != 0 && e->table[at] != hash) {
        at = (at + 1) & e->table_mask;
    }
    return at;
}

static void table_double(struct explore *e) {
    uint64_t *table = e->table;
    uint32_t *numbers = e->numbers;
    uint64_t size = e->table_mask + 1;
    table_open(e, size * 2);
    for (uint64_t i = 0; i < size; i++) {
        if (table[i] != 0) {
            uint64_t at = table_place(e, table[i]);
            e->table[at] = table[i];
            if (numbers != NULL) {
                e->numbers[at] = numbers[i];
            }
        }
    }
    free(table);
    free(numbers);
}

static void level_push(struct level *level, const void *state, uint32_t bytes) {
    if (level->count == level->capacity) {
        level->capacity = level->capacity == 0 ? 1024 : level->capacity * 2;
        level->bytes = grow(level->bytes, level->capacity * bytes);
    }
    memcpy(level->bytes + level->count++ * bytes, state, bytes);
}

/* The state's number; a new one is queued. */
static uint32_t visit(struct explore *e, const void *state) {
    uint64_t hash = XXH3_64bits(state, e->model->state_bytes);
    hash += hash == 0;
    uint64_t at = table_place(e, hash);
    if (e->table[at] != 0) {
        return e->numbers != NULL ? e->numbers[at] : 0;
    }
    uint32_t number = (uint32_t)e->result.states++;
    e->table[at] = hash;
    if (e->numbers != NULL) {
        e->numbers[at] = number;
    }
    if (number == e->capacity) {
        e->capacity = e->capacity == 0 ? 4096 : e->capacity * 2;
        e->parents = grow(e->parents, e->capacity * sizeof *e->parents);
        e->choices = grow(e->choices, e->capacity * sizeof *e->choices);
        if (e->numbers != NULL) {
            e->first = grow(e->first, (e->capacity + 1) * sizeof *e->first);
        }
    }
    e->parents[number] = e->current;
    e->choices[number] = (uint8_t)e->choice;
    level_push(&e->next, state, e->model->state_bytes);
    if (e->result.states * 10 > (e->table_mask + 1) * 7) {
        table_double(e);
    }
    return number;
}

void explore_emit(struct explore *e, const void *state) {
    if (e->telling) {
        if (e->choice++ == e->wanted_choice) {
            memcpy(e->told, state, e->model->state_bytes);
            e->found = true;
        } else if (!e->found) {
            e->text[0] = 0;
        }
        return;
    }
    if (e->stopped) {
        return;
    }
    if (e->violation != NULL) {
        e->stopped = true;
        e->bad_parent = e->current;
        e->bad_choice = e->choice;
        return;
    }
    e->result.transitions++;
    uint32_t number = visit(e, state);
    if (e->numbers != NULL) {
        if (e->result.transitions > e->target_capacity) {
            e->target_capacity = e->target_capacity == 0 ? 4096 : e->target_capacity * 2;
            e->targets = grow(e->targets, e->target_capacity * sizeof *e->targets);
        }
        e->targets[e->result.transitions - 1] = number;
    }
    e->choice++;
}

void explore_violate(struct explore *e, const char *text) {
    if (e->violation == NULL) {
        e->violation = text;
    }
}

void explore_say(struct explore *e, const char *format, ...) {
    if (!e->telling || e->found) {
        return;
    }
    size_t used = strlen(e->text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(e->text + used, sizeof e->text - used, format, arguments);
    va_end(arguments);
}

/* ---- Counterexamples ------------------------------------------------------------------------------------------- */

static void tell_step(struct explore *e, uint32_t choice, uint32_t number) {
    e->wanted_choice = choice;
    e->choice = 0;
    e->found = false;
    e->text[0] = 0;
    _Alignas(8) uint8_t state[EXPLORE_STATE_BYTES_MAX];
    memcpy(state, e->told, sizeof state);
    e->model->expand(e, e->model->context, state);
    fprintf(e->limits->trace, "    %3u  %s\n", number, e->text);
}

/* Prints the way to state `to`, and successor `choice` of it (if it is not NO_STATE). */
static void tell(struct explore *e, uint32_t to, uint32_t choice) {
    if (e->limits->trace == NULL) {
        return;
    }
    uint32_t length = 0;
    for (uint32_t at = to; e->parents[at] != NO_STATE; at = e->parents[at]) {
        length++;
    }
    uint8_t *way = grow(NULL, length + 1);
    uint32_t at = to;
    for (uint32_t i = length; i > 0; i--) {
        way[i - 1] = e->choices[at];
        at = e->parents[at];
    }
    e->telling = true;
    memset(e->told, 0, sizeof e->told);
    e->model->start(e, e->model->context, e->told);
    for (uint32_t i = 0; i < length; i++) {
        tell_step(e, way[i], i + 1);
    }
    if (choice != NO_STATE) {
        tell_step(e, choice, length + 1);
    }
    fprintf(e->limits->trace, "         => %s\n", e->result.violation);
    free(way);
}

static void violated(struct explore *e, const char *text) {
    e->result.verdict = EXPLORE_VIOLATED;
    snprintf(e->result.violation, sizeof e->result.violation, "%s", text);
}

/* ---- The search ------------------------------------------------------------------------------------------------ */

/* Backwards from the ends: a state that is not met can never end. */
static void check_ends(struct explore *e) {
    uint64_t states = e->result.states;
    uint64_t *start = grow(NULL, (states + 2) * sizeof *start);
    uint32_t *sources = grow(NULL, (e->result.transitions + 1) * sizeof *sources);
    uint32_t *queue = grow(NULL, states * sizeof *queue);
    uint8_t *met = grow(NULL, states);
    memset(start, 0, (states + 2) * sizeof *start);
    memset(met, 0, states);
    for (uint64_t i = 0; i < e->result.transitions; i++) {
        start[e->targets[i] + 2]++;
    }
    for (uint64_t i = 1; i < states + 2; i++) {
        start[i] += start[i - 1];
    }
    uint64_t head = 0;
    uint64_t tail = 0;
    for (uint64_t from = 0; from < states; from++) {
        for (uint64_t i = e->first[from]; i < e->first[from + 1]; i++) {
            sources[start[e->targets[i] + 1]++] = (uint32_t)from;
        }
        if (e->first[from] == e->first[from + 1]) {
            met[from] = 1;
            queue[tail++] = (uint32_t)from;
        }
    }
    while (head < tail) {
        uint32_t to = queue[head++];
        for (uint64_t i = start[to]; i < start[to + 1]; i++) {
            if (!met[sources[i]]) {
                met[sources[i]] = 1;
                queue[tail++] = sources[i];
            }
        }
    }
    for (uint64_t n = 0; n < states && e->result.verdict == EXPLORE_RIGHT; n++) {
        if (!met[n]) {
            violated(e, "from here nobody can ever finish");
            tell(e, (uint32_t)n, NO_STATE);
        }
    }
    free(start);
    free(sources);
    free(queue);
    free(met);
}

/* Expands one state; false to stop. */
static bool expand(struct explore *e, const uint8_t *state) {
    uint64_t before = e->result.transitions;
    e->choice = 0;
    if (e->numbers != NULL) {
        e->first[e->current] = before;
        e->first[e->current + 1] = before;
    }
    e->model->expand(e, e->model->context, state);
    if (e->numbers != NULL) {
        e->first[e->current + 1] = e->result.transitions;
    }
    if (e->stopped) {
        violated(e, e->violation);
        tell(e, e->bad_parent, e->bad_choice);
        return false;
    }
    if (e->result.transitions == before) {
        e->result.ends++;
        const char *wrong = e->model->judge_end(e->model->context, state);
        if (wrong != NULL) {
            violated(e, wrong);
            tell(e, e->current, NO_STATE);
            return false;
        }
    }
    return true;
}

static void search(struct explore *e, double started) {
    uint32_t bytes = e->model->state_bytes;
    uint32_t number = 0;
    while (e->next.count != 0) {
        struct level swap = e->now;
        e->now = e->next;
        e->next = swap;
        e->next.count = 0;
        e->result.depth++;
        for (uint64_t i = 0; i < e->now.count; i++) {
            e->current = number++;
            if (!expand(e, e->now.bytes + i * bytes)) {
                return;
            }
            if (e->result.states >= e->limits->states ||
                ((number & 0xffff) == 0 && now_s() - started > e->limits->seconds)) {
                e->result.verdict = EXPLORE_CUT;
                return;
            }
        }
    }
    if (e->limits->every_state_ends) {
        check_ends(e);
    }
}

struct explore_result explore_run(const struct explore_model *model, const struct explore_limits *limits) {
    struct explore *e = grow(NULL, sizeof *e);
    double started = now_s();
    memset(e, 0, sizeof *e);
    e->model = model;
    e->limits = limits;
    table_open(e, TABLE_START);
    _Alignas(8) uint8_t state[EXPLORE_STATE_BYTES_MAX] = {0};
    model->start(e, model->context, state);
    e->current = NO_STATE;
    visit(e, state);
    search(e, started);
    struct explore_result result = e->result;
    result.seconds = now_s() - started;
    free(e->table);
    free(e->numbers);
    free(e->parents);
    free(e->choices);
    free(e->now.bytes);
    free(e->next.bytes);
    free(e->first);
    free(e->targets);
    free(e);
    return result;
}
