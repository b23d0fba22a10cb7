/* main.c: the simulator's program: the real engine on the sim fabric, one seed after the other.
 *
 *   sim SEED [--trace]                          one seed, with its plan and its hash
 *   sim --plan FILE [--trace]                   the same from a plan that was saved
 *   sim SEED|--plan FILE --streams N            ... and from N - 1 other streams of random numbers
 *   sim SEED|--plan FILE --save FILE            saves the plan
 *   sim SEED|--plan FILE --shrink FILE          ... the simplest one near it that finds the same fault
 *   sim --seeds N [--from S] [--jobs J] [--keep-going] [--dense]     dense: more operations a seed, fewer things happen
 *   sim --self-test                             the checkers against each other and against known histories
 *
 * Seeds run in J processes; one that finds a fault dies of it, so that a broken invariant anywhere is one failed seed.
 * Prints a table of rare branches; one that many seeds never reached is a failure. The last line counts seeds.
 */
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "fault.h"
#include "fusee/session.h"
#include "judge.h"
#include "self_test.h"
#include "workload.h"

#define S UINT64_C(1000000000)
#define DRAIN_MAX_NS (100 * S)
#define ACKNOWLEDGED_MIN 1000
#define SEEDS_FOR_TABLE 500 /* so many must reach every rare branch */
#define VOID_PERCENT_MAX 3
#define SEED_SECONDS_MAX 60
#define JOBS_MAX 16
#define STREAM_STEP UINT64_C(0x9e3779b97f4a7c15)
#define SHRINK_SECONDS_MAX 10
#define SHRINK_TRIES_MAX 400u

struct outcome {
    uint64_t hash, events, operations, virtual_ns;
    uint32_t too_hard;
    bool is_void;
    uint64_t rare[RARE_COUNT];
};

/* ---- One seed --------------------------------------------------------------------------------------------------- */

static bool is_quiet(struct world *world) {
    for (uint32_t i = 0; i < world->plan.clients; i++) {
        const struct client *client = &world->clients[i];
        if (!world_is_here(client)) {
            continue;
        }
        const struct dm_session *session = client->session;
        if (session->job_count != 0 || session->jobs_running || session->maintaining || session->in_flight_total != 0) {
            return false;
        }
    }
    return true;
}

static bool all_are_here(struct world *world) {
    for (uint32_t i = 0; i < world->plan.clients; i++) {
        if (world->clients[i].state == CLIENT_AWAY) {
            return false;
        }
    }
    return true;
}

static bool is_settled(struct world *world) { return world->faults.settle_ns == 0 && world->faults.settler == NULL; }

static void must_end(struct world *world, bool (*done)(struct world *), const char *what) {
    world_run(world, world->fabric.now_ns + DRAIN_MAX_NS, done);
    if (!done(world)) {
        world_fail(world, "%s", what);
    }
}

/* Faults have stopped: everything must end. */
static void run_liveness(struct world *world) {
    bool harsh = plan_is_harsh(&world->plan);
    world_phase(world, PHASE_DRAIN);
    if (world->faults.node_lost && world->plan.settle_ns != 0) {
        must_end(world, is_settled, "the loss of a node is not settled");
    }
    if (world->faults.refused) { /* the pool rests for good */
        return;
    }
    if (!harsh) {
        must_end(world, all_are_here, "a client does not come back");
    }
    must_end(world, workload_has_ended, "an operation does not end although all faults have");
    bool repaired = plan_is_repaired(&world->plan);
    if (repaired) {
        must_end(world, check_repaired, "a dead client is not repaired");
    }
    world_phase(world, PHASE_VERIFY);
    workload_verify(world);
    must_end(world, workload_has_ended, "a GET does not end");
    if (harsh && !repaired) {
        return;
    }
    world_phase(world, PHASE_QUIET);
    if (world->plan.kills != 0 && !plan_is_cut(&world->plan)) {
        must_end(world, check_swept, "what a dead client has left is not looked for");
    }
    must_end(world, is_quiet, "background work does not end");
}

static void run_to_close(struct world *world) {
    for (uint32_t i = 0; i < world->plan.clients; i++) {
        world_leave(world, &world->clients[i]);
    }
    check_pool(world);
    workload_close(world);
    world_close(world);
}

static void run_plan(const struct plan *plan, bool trace, struct outcome *outcome) {
    static struct world world;
    world_open(&world, plan, trace);
    world_run(&world, UINT64_MAX, workload_is_enough);
    run_liveness(&world);
    if (!world.faults.refused) {
        fault_check_attach(&world);
        check_pool(&world);
    }
    memset(outcome, 0, sizeof *outcome);
    outcome->operations = world.acknowledged;
    outcome->is_void = world.acknowledged < ACKNOWLEDGED_MIN;
    outcome->too_hard = judge_histories(&world);
    outcome->events = world.fabric.events;
    outcome->virtual_ns = world.fabric.now_ns;
    outcome->hash = world.fabric.hash;
    world.rare[RARE_CHAIN_BROKEN] += world.fabric.broken_chains;
    world.rare[RARE_CHAIN_LATE] += world.fabric.late_chains;
    world.rare[RARE_READ_TORN] += world.fabric.torn_reads;
    if (!plan_is_harsh(plan)) {
        run_to_close(&world);
    } else {
        world_count_rare(&world);
    }
    memcpy(outcome->rare, world.rare, sizeof outcome->rare);
}

/* ---- Many seeds ------------------------------------------------------------------------------------------------- */

struct sum {
    uint64_t seeds, voids, too_hard, operations, events, hash;
    uint64_t rare[RARE_COUNT];
    uint64_t current; /* seed under way, for when the process dies of it */
    uint64_t next;    /* first seed not begun */
    bool stop;
};

static void say_too_hard(const struct plan *plan, const struct outcome *outcome) {
    if (outcome->too_hard != 0) {
        printf("seed %" PRIu64 ": %u histories too hard\n", plan->seed, outcome->too_hard);
        fflush(stdout);
    }
}

static void sum_add(struct sum *sum, const struct outcome *outcome) {
    sum->seeds++;
    sum->voids += outcome->is_void;
    sum->too_hard += outcome->too_hard;
    sum->operations += outcome->operations;
    sum->events += outcome->events;
    sum->hash ^= outcome->hash;
    for (uint32_t i = 0; i < RARE_COUNT; i++) {
        sum->rare[i] += outcome->rare[i];
    }
}

/* A harsh run leaves coroutines that never end: in a process of its own, whose memory goes with it. */
static void run_in_sum(uint64_t seed, bool dense, struct sum *sum) {
    struct plan plan;
    struct outcome outcome;
    (dense ? plan_draw_dense : plan_draw)(&plan, seed);
    sum->current = seed;
    if (!plan_is_harsh(&plan)) {
        run_plan(&plan, false, &outcome);
        sum_add(sum, &outcome);
        say_too_hard(&plan, &outcome);
        return;
    }
    pid_t child = fork();
    if (child == 0) {
        alarm(SEED_SECONDS_MAX);
        run_plan(&plan, false, &outcome);
        sum_add(sum, &outcome);
        say_too_hard(&plan, &outcome);
        fflush(stdout);
        _Exit(0);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        _Exit(1);
    }
}

struct crew {
    uint64_t first, last, step;
    pid_t process;
    bool dense;
};

static pid_t crew_start(struct crew *crew, struct sum *sum) {
    fflush(stdout);
    pid_t child = fork();
    if (child != 0) {
        return child;
    }
    for (uint64_t seed = sum->next; seed <= crew->last && !sum->stop; seed += crew->step) {
        alarm(SEED_SECONDS_MAX);
        sum->next = seed + crew->step;
        run_in_sum(seed, crew->dense, sum);
    }
    _Exit(0);
}

static bool print_table(const struct sum *total, bool dense) {
    bool good = true;
    printf("%" PRIu64 " operations acknowledged, %" PRIu64 " events; seeds void: %" PRIu64
           ", histories too hard: %" PRIu64 ", hash %016" PRIx64 "\n",
           total->operations, total->events, total->voids, total->too_hard, total->hash);
    for (uint32_t i = 0; i < RARE_COUNT; i++) {
        if (i == RARE_OBJECT_UNREADABLE) {
            continue;
        }
        bool missing = total->rare[i] == 0 && total->seeds >= SEEDS_FOR_TABLE && !dense;
        printf("  %-38s %10" PRIu64 "%s\n", rare_names[i], total->rare[i], missing ? "   NEVER REACHED" : "");
        good &= !missing;
    }
    uint64_t unreadable = total->rare[RARE_OBJECT_UNREADABLE]; /* the primary names whole objects only */
    printf("must be none: %s: %" PRIu64 "\n", rare_names[RARE_OBJECT_UNREADABLE], unreadable);
    good &= unreadable == 0;
    if (total->voids * 100 > total->seeds * VOID_PERCENT_MAX) {
        printf("too many seeds with fewer than %d acknowledged operations\n", ACKNOWLEDGED_MIN);
        good = false;
    }
    return good;
}

struct manner {
    bool keep_going, dense;
};

static int run_many(uint64_t from, uint64_t seeds, uint32_t jobs, struct manner manner) {
    struct sum *sums = mmap(NULL, JOBS_MAX * sizeof *sums, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct crew crew[JOBS_MAX];
    uint64_t failed = 0;
    if (sums == MAP_FAILED) {
        return 2;
    }
    for (uint32_t j = 0; j < jobs; j++) {
        crew[j] = (struct crew){from + j, from + seeds - 1, jobs, 0, manner.dense};
        sums[j].next = crew[j].first;
        crew[j].process = crew_start(&crew[j], &sums[j]);
    }
    for (uint32_t alive = jobs; alive > 0;) {
        int status;
        pid_t ended = wait(&status);
        for (uint32_t j = 0; j < jobs; j++) {
            if (crew[j].process != ended) {
                continue;
            }
            alive--;
            if (status == 0) {
                continue;
            }
            failed++;
            printf("seed %" PRIu64 " failed%s: build/sim %" PRIu64 " --trace\n", sums[j].current,
                   WIFSIGNALED(status) ? " (killed by a signal: broken invariant, or no end)" : "", sums[j].current);
            for (uint32_t k = 0; k < jobs; k++) {
                sums[k].stop |= !manner.keep_going;
            }
            if (manner.keep_going) {
                crew[j].process = crew_start(&crew[j], &sums[j]);
                alive++;
            }
        }
    }
    struct sum total = {0};
    for (uint32_t j = 0; j < jobs; j++) {
        struct outcome part = {.hash = sums[j].hash, .operations = sums[j].operations, .events = sums[j].events};
        memcpy(part.rare, sums[j].rare, sizeof part.rare);
        sum_add(&total, &part);
        total.seeds += sums[j].seeds - 1;
        total.voids += sums[j].voids;
        total.too_hard += sums[j].too_hard;
    }
    bool good = print_table(&total, manner.dense) && failed == 0;
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", total.seeds, failed + (!good && failed == 0));
    return good ? 0 : 1;
}

static int run_one(const struct plan *plan, bool trace) {
    struct outcome outcome;
    plan_print(plan);
    fflush(stdout);
    run_plan(plan, trace, &outcome);
    printf("seed %" PRIu64 ": %" PRIu64 " operations, %" PRIu64 " events, %.3f virtual seconds, hash %016" PRIx64
           "%s\n",
           plan->seed, outcome.operations, outcome.events, (double)outcome.virtual_ns / (double)S, outcome.hash,
           outcome.is_void ? ", void" : "");
    say_too_hard(plan, &outcome);
    return 0;
}

/* The fault that a plan finds, in a process of its own: the letters of its message, without figures. Empty: none, or it
 * takes too long. */
static void fault_of(const struct plan *plan, char *fault, size_t bytes) {
    FILE *messages = tmpfile();
    fault[0] = 0;
    fflush(stdout);
    pid_t child = messages == NULL ? -1 : fork();
    if (child == 0) {
        struct outcome outcome;
        alarm(SHRINK_SECONDS_MAX);
        dup2(fileno(messages), STDOUT_FILENO);
        dup2(fileno(messages), STDERR_FILENO);
        run_plan(plan, false, &outcome);
        _Exit(0);
    }
    int status = 0;
    bool late =
        child < 0 || waitpid(child, &status, 0) != child || (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
    char line[1024];
    if (messages != NULL) {
        rewind(messages);
    }
    while (status != 0 && !late && fgets(line, sizeof line, messages) != NULL) {
        if (strncmp(line, "FAIL", 4) != 0 && strstr(line, "broken invariant") == NULL) {
            continue;
        }
        size_t length = 0;
        for (const char *c = line; *c != 0 && length + 1 < bytes; c++) {
            if (*c == ' ' || (*c >= 'g' && *c <= 'z')) {
                fault[length++] = *c;
            }
        }
        fault[length] = 0;
    }
    if (messages != NULL) {
        fclose(messages);
    }
}

/* Writes the simplest plan near this one that still finds the same fault. */
static int shrink(struct plan *plan, const char *path) {
    struct plan simpler;
    char fault[512];
    char same[512];
    fault_of(plan, fault, sizeof fault);
    if (fault[0] == 0) {
        fprintf(stderr, "this run finds no fault\n");
        return 1;
    }
    uint32_t tries = 0;
    for (bool better = true; better && tries < SHRINK_TRIES_MAX;) {
        better = false;
        for (uint32_t step = 0; tries < SHRINK_TRIES_MAX && plan_simpler(plan, &step, &simpler); tries++) {
            fault_of(&simpler, same, sizeof same);
            if (strcmp(fault, same) == 0) {
                *plan = simpler;
                better = true;
            }
        }
    }
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        fprintf(stderr, "%s cannot be written\n", path);
        return 1;
    }
    plan_save(plan, file);
    fclose(file);
    plan_print(plan);
    return 0;
}

/* The plan with its own stream of random numbers, and with others: a change of the engine shifts them. */
static int run_streams(struct plan *plan, uint32_t streams) {
    for (uint32_t i = 0; i < streams; i++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            alarm(SEED_SECONDS_MAX);
            int result = run_one(plan, false);
            fflush(stdout);
            _Exit(result);
        }
        int status;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
            return 1;
        }
        plan->prng.state += STREAM_STEP;
    }
    return 0;
}

static int usage(void) {
    fprintf(stderr, "usage: sim SEED|--plan FILE [--trace | --save FILE | --shrink FILE | --streams N]\n"
                    "       sim --seeds N [--from S] [--jobs J] [--keep-going] [--dense] | sim --self-test\n");
    return 2;
}

int main(int argc, char **argv) {
    uint64_t from = 1;
    uint64_t seeds = 0;
    uint32_t jobs = 2;
    struct manner manner = {false, false};
    bool trace = false;
    bool one = false;
    const char *save = NULL;
    uint32_t streams = 1;
    const char *smallest = NULL;
    struct plan plan;
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--seeds") == 0 && more) {
            seeds = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--from") == 0 && more) {
            from = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--jobs") == 0 && more) {
            jobs = (uint32_t)strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--keep-going") == 0) {
            manner.keep_going = true;
        } else if (strcmp(argv[i], "--dense") == 0) {
            manner.dense = true;
        } else if (strcmp(argv[i], "--trace") == 0) {
            trace = true;
        } else if (strcmp(argv[i], "--self-test") == 0) {
            return self_test();
        } else if (argv[i][0] >= '0' && argv[i][0] <= '9') {
            plan_draw(&plan, strtoull(argv[i], NULL, 10));
            one = true;
        } else if (strcmp(argv[i], "--plan") == 0 && more) {
            if (!plan_load(&plan, argv[++i])) {
                return 2;
            }
            one = true;
        } else if (strcmp(argv[i], "--streams") == 0 && more) {
            streams = (uint32_t)strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--save") == 0 && more) {
            save = argv[++i];
        } else if (strcmp(argv[i], "--shrink") == 0 && more) {
            smallest = argv[++i];
        } else {
            return usage();
        }
    }
    if (one && smallest != NULL) {
        return shrink(&plan, smallest);
    }
    if (one && save != NULL) {
        FILE *file = fopen(save, "w");
        if (file != NULL) {
            plan_save(&plan, file);
        }
        return file == NULL || fclose(file) != 0 ? 1 : 0;
    }
    if (one) {
        return streams > 1 ? run_streams(&plan, streams) : run_one(&plan, trace);
    }
    return seeds == 0 || jobs == 0 || jobs > JOBS_MAX ? usage() : run_many(from, seeds, jobs, manner);
}
