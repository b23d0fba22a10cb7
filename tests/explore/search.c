/* search.c: see search.h. */
#include "search.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arena.h"
#include "assert.h"
#include "check.h"
#include "player.h"
#include "tell.h"

#define DEPTH_MAX 384u
#define SET_WORDS (DEPTH_MAX / 64)
#define SLEEP_MAX 64u
#define CLOCK_EVERY 256u

/* Events by their place in the execution. */
struct set {
    uint64_t words[SET_WORDS];
};

/* A state on the way, and what is to be tried in it. Bits: by the place in `possible`. */
struct node {
    uint16_t possible[PLAYER_POSSIBLE_MAX];
    uint32_t possible_count;
    uint64_t wanted;    /* to be tried, or tried */
    uint64_t done;      /* tried */
    uint64_t asleep;    /* need not be tried: what they lead to has been seen from another state */
    struct event event; /* the one that is being tried */
    struct set before;  /* what happens before it */
    uint32_t sleep_count;
    struct event sleep[SLEEP_MAX]; /* at the beginning those asleep, then those tried, too */
};

struct search {
    const struct program *program;
    const struct search_options *options;
    struct world *world;
    struct search_result result;
    uint32_t outcome_capacity;
    uint64_t random;
    uint32_t depth; /* events played */
    struct node nodes[DEPTH_MAX + 1];
};

static bool has(const struct set *set, uint32_t i) { return (set->words[i / 64] >> (i % 64) & 1) != 0; }
static void put(struct set *set, uint32_t i) { set->words[i / 64] |= UINT64_C(1) << (i % 64); }
static void unite(struct set *set, const struct set *other) {
    for (uint32_t w = 0; w < SET_WORDS; w++) {
        set->words[w] |= other->words[w];
    }
}

/* Of this process's work: the machine may be busy. */
static double now_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool is_crash(uint16_t id) { return (id & EVENT_ORDINAL_CRASH) == EVENT_ORDINAL_CRASH; }

static int place_of(const struct node *node, uint16_t id) {
    for (uint32_t i = 0; i < node->possible_count; i++) {
        if (node->possible[i] == id) {
            return (int)i;
        }
    }
    return -1;
}

/* ---- Races ------------------------------------------------------------------------------------------------------ */

/* The event at `first` and the last one race: sees to it that an execution is tried in which they come in the other
 * order. What comes after `first` and not because of it could also have come without it; one of the events that such a
 * continuation can begin with must be tried there. */
static void reverse(struct search *search, uint32_t first) {
    uint32_t last = search->depth - 1;
    struct node *node = &search->nodes[first];
    struct set rest = {0};
    int choice = -1;
    for (uint32_t i = first + 1; i <= last; i++) {
        const struct node *other = &search->nodes[i];
        if (i != last && has(&other->before, first)) {
            continue;
        }
        bool begins = true;
        for (uint32_t w = 0; w < SET_WORDS; w++) {
            begins &= (rest.words[w] & other->before.words[w]) == 0;
        }
        put(&rest, i);
        int place = begins ? place_of(node, other->event.id) : -1;
        if (place >= 0) {
            if (((node->wanted | node->asleep) >> place & 1) != 0) {
                return;
            }
            choice = choice < 0 ? place : choice;
        }
    }
    if (choice >= 0) { /* else the first one had made the last one possible */
        node->wanted |= UINT64_C(1) << choice;
    }
}

/* What happens before the event that was just played, and with what it races. */
static void analyse(struct search *search) {
    uint32_t last = search->depth - 1;
    struct node *node = &search->nodes[last];
    uint32_t races[DEPTH_MAX];
    uint32_t race_count = 0;
    memset(&node->before, 0, sizeof node->before);
    for (uint32_t i = last; i-- > 0;) {
        if (has(&node->before, i)) {
            continue;
        }
        enum relation relation = event_relation(&search->nodes[i].event, &node->event);
        if (relation != RELATION_NONE) {
            unite(&node->before, &search->nodes[i].before);
            put(&node->before, i);
            if (relation == RELATION_RACE) {
                races[race_count++] = i;
            }
        }
    }
    bool whole = search->options->unreduced || search->options->walks != 0;
    for (uint32_t i = 0; i < race_count && !whole; i++) {
        reverse(search, races[i]);
    }
}

/* ---- Steps ------------------------------------------------------------------------------------------------------ */

static void fall_asleep(struct node *node, const struct event *event) {
    if (event->kind == EVENT_TIMEOUT) {
        return; /* never one of several */
    }
    dm_assert(node->sleep_count < SLEEP_MAX);
    event_copy(&node->sleep[node->sleep_count++], event);
}

/* The state that the world is in now, at search->depth. */
static void enter(struct search *search) {
    struct node *node = &search->nodes[search->depth];
    const struct node *parent = search->depth == 0 ? NULL : &search->nodes[search->depth - 1];
    node->possible_count = player_possible(search->world, parent == NULL ? 0 : parent->event.client, node->possible);
    node->wanted = node->done = node->asleep = 0;
    node->sleep_count = 0;
    for (uint32_t i = 0; parent != NULL && i < parent->sleep_count && !search->options->unreduced; i++) {
        int place = place_of(node, parent->sleep[i].id);
        if (place >= 0 && !event_depends(&parent->sleep[i], &parent->event)) {
            node->asleep |= UINT64_C(1) << place;
            fall_asleep(node, &parent->sleep[i]);
        }
    }
    bool may_crash = parent != NULL && player_may_crash_behind(search->world, &parent->event);
    for (uint32_t i = 0; i < node->possible_count; i++) {
        bool crash = is_crash(node->possible[i]);
        bool first = node->wanted == 0 && (node->asleep >> i & 1) == 0 && !crash;
        bool behind = crash && may_crash && EVENT_CLIENT(node->possible[i]) == parent->event.client;
        if (first || behind || (search->options->unreduced && !crash)) {
            node->wanted |= UINT64_C(1) << i;
        }
    }
}

static void play(struct search *search, uint32_t place) {
    struct node *node = &search->nodes[search->depth];
    dm_assert(search->depth < DEPTH_MAX);
    node->done |= UINT64_C(1) << place;
    player_play(search->world, node->possible[place], &node->event);
    search->depth++;
    search->result.events++;
    analyse(search);
}

/* Brings the world to the state of node `depth` again. */
static void return_to(struct search *search, uint32_t depth) {
    player_stop(search->world);
    arena_reset();
    program_start(search->program, search->world);
    for (search->depth = 0; search->depth < depth; search->depth++) {
        struct event event;
        const struct event *before = &search->nodes[search->depth].event;
        player_play(search->world, before->id, &event);
        dm_assert(event.kind == before->kind && event.changes == before->changes && event.step == before->step);
    }
}

/* ---- Executions ------------------------------------------------------------------------------------------------- */

static void note_outcome(struct search *search) {
    struct search_result *result = &search->result;
    uint64_t outcome = check_outcome(search->world);
    uint32_t low = 0;
    for (uint32_t high = result->outcome_count; low < high;) {
        uint32_t middle = (low + high) / 2;
        if (result->outcomes[middle] < outcome) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < result->outcome_count && result->outcomes[low] == outcome) {
        return;
    }
    if (result->outcome_count == search->outcome_capacity) {
        search->outcome_capacity = search->outcome_capacity == 0 ? 64 : search->outcome_capacity * 2;
        result->outcomes = realloc(result->outcomes, search->outcome_capacity * sizeof *result->outcomes);
        dm_assert(result->outcomes != NULL);
    }
    memmove(&result->outcomes[low + 1], &result->outcomes[low],
            (result->outcome_count++ - low) * sizeof *result->outcomes);
    result->outcomes[low] = outcome;
}

static void note_counters(struct search *search) {
    struct search_result *result = &search->result;
    const struct world *world = search->world;
    for (uint32_t c = 0; c < PROGRAM_CLIENTS; c++) {
        struct dm_session_stats stats;
        dm_session_stats(world->clients[c].session, &stats);
        result->guessed_right += stats.guesses_right;
        result->guessed_stale += stats.guesses_stale;
        result->lost += stats.conflicts_lost;
        result->split += stats.rounds_split;
        result->conflicts += stats.insert_conflicts;
        result->blind_ok += stats.conflicts_blind_ok;
        result->clears_lost += stats.clears_lost;
        result->reused += stats.tombstones_reused;
        for (uint32_t i = 0; i < world->clients[c].call_count && world->crashed >= 0; i++) {
            result->unknown += world->clients[c].calls[i].status == DM_UNKNOWN_OUTCOME;
        }
    }
    result->crashed += world->crashed >= 0;
}

/* The one event to be tried in this state of a walk. */
static uint64_t stroll(struct search *search, const struct node *node) {
    if (node->possible_count == 0) {
        return 0;
    }
    for (;;) {
        search->random = search->random * UINT64_C(6364136223846793005) + 1442695040888963407;
        uint32_t place = (uint32_t)(search->random >> 33) % node->possible_count;
        if (!is_crash(node->possible[place]) || (search->random >> 60) == 0) {
            return UINT64_C(1) << place;
        }
    }
}

/* Goes on from the state of node `depth`, which is entered, to the end of an execution. */
static void run_on(struct search *search) {
    struct world *world = search->world;
    for (;;) {
        const struct node *node = &search->nodes[search->depth];
        uint64_t open = node->wanted & ~node->done & ~node->asleep;
        open = search->options->walks != 0 ? stroll(search, node) : open;
        if (world->fault[0] != 0) {
            break;
        }
        if (open == 0) {
            if (node->possible_count != 0) {
                search->result.pruned++;
                return;
            }
            check_end(world);
            note_outcome(search);
            note_counters(search);
            search->result.schedules++;
            break;
        }
        /* A death, which stands last in the list, goes first: no race brings it up in the others' continuations, so
         * they must know that it has been tried, and not the other way round. */
        play(search, 63 - (uint32_t)__builtin_clzll(open));
        if (search->depth == DEPTH_MAX) {
            world_fault(world, "the explorer's limit: an execution of more than %u events", DEPTH_MAX);
            break;
        }
        enter(search);
    }
    search->result.deepest = search->depth > search->result.deepest ? search->depth : search->result.deepest;
    if (world->fault[0] != 0) {
        memcpy(search->result.fault, world->fault, sizeof search->result.fault);
    }
}

/* The deepest state in which something is left to try; false: none. */
static bool back(struct search *search, uint32_t *depth) {
    if (search->options->walks != 0) {
        *depth = 0;
        return search->result.schedules < search->options->walks;
    }
    for (uint32_t d = search->depth; d-- > 0;) {
        struct node *node = &search->nodes[d];
        if (!search->options->unreduced) {
            fall_asleep(node, &node->event);
        }
        if ((node->wanted & ~node->done & ~node->asleep) != 0) {
            *depth = d;
            return true;
        }
    }
    return false;
}

static void tell(struct search *search) {
    uint32_t depth = search->depth;
    return_to(search, 0);
    tell_begin(search->world);
    for (uint32_t i = 0; i < depth; i++) {
        struct event event;
        tell_event(search->world, search->nodes[i].event.id);
        player_play(search->world, search->nodes[i].event.id, &event);
    }
    if (search->world->fault[0] == 0) {
        check_end(search->world);
    }
    check_print_history(search->world);
}

static struct search search; /* large; the handler of an abort looks at it */

void search_print_path(void) {
    for (uint32_t i = 0; i < search.depth; i++) {
        tell_past(&search.nodes[i].event);
    }
}

struct search_result search_run(const struct program *program, uint32_t replicas,
                                const struct search_options *options) {
    memset(&search.result, 0, sizeof search.result);
    search.program = program;
    search.options = options;
    search.outcome_capacity = 0;
    search.depth = 0;
    arena_open();
    search.world = world_open(replicas, replicas + program->spare);
    program_set_up(program, search.world);
    search.world->may_crash = options->crash;
    search.world->fabric->context = search.world;
    search.world->fabric->swapped = check_swap;
    memcpy(search.result.fault, search.world->fault, sizeof search.result.fault);
    arena_mark();
    double began = now_seconds();
    uint32_t from = 0;
    program_start(program, search.world);
    enter(&search);
    for (uint64_t i = 1; search.result.fault[0] == 0; i++) {
        run_on(&search);
        if (search.result.fault[0] != 0 || !back(&search, &from)) {
            break;
        }
        if (options->seconds > 0 && i % CLOCK_EVERY == 0 && now_seconds() - began > options->seconds) {
            search.result.cut = true;
            break;
        }
        return_to(&search, from);
    }
    if (search.result.fault[0] != 0 && options->tell) {
        tell(&search);
    }
    search.result.seconds = now_seconds() - began;
    search.result.pages = arena_pages();
    player_stop(search.world);
    arena_close();
    return search.result;
}
