/* main.c: runs the table of runs.h rows and says which verdicts are as expected. `model` runs what ends quickly,
 * LONG=1 everything, `model NAME...` those runs, with their counterexamples. Exit 1 on any unexpected verdict.
 * Columns: run, replicas, program (a client between bars; small letters: the second key), slots at the start, states,
 * seconds, verdict.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "run_rows.h"

#define STATES_SHORT_MAX UINT64_C(6000000)
#define STATES_LONG_MAX UINT64_C(60000000) /* 2 GB at most */
#define SECONDS_SHORT_MAX 120.0
#define SECONDS_LONG_MAX 600.0
#define JOBS_MAX 512
#define WORKERS_MAX 4 /* LONG=1: one, for the memory */
#define POLL_US 2000

static const struct run *const run_tables[] = {
    runs_one_slot, runs_reuse, runs_inserts,  runs_keys, runs_speculation,
    runs_expiry,   runs_crash, runs_failover, runs_tx,   NULL,
};

struct totals {
    uint32_t passed, failed;
    uint64_t states;
};

static void print_row(const struct run *run, const struct explore_result *result, bool good) {
    char verdict[200];
    char program[40];
    bool reuse = run->reuse.program != NULL;
    bool tx = run->tx.program != NULL;
    const char *slots = reuse ? "" : tx ? run->tx.slots : run->bucket.slots;
    uint32_t replicas = reuse ? 2 : tx ? run->tx.replicas : run->bucket.replicas;
    const char *cut = result->verdict == EXPLORE_CUT ? ">" : " ";
    switch (result->verdict) {
    case EXPLORE_RIGHT:
        snprintf(verdict, sizeof verdict, "right");
        break;
    case EXPLORE_CUT:
        snprintf(verdict, sizeof verdict, "no error so far (cut)");
        break;
    case EXPLORE_VIOLATED:
        snprintf(verdict, sizeof verdict, "FAILS: %s", result->violation);
        break;
    }
    snprintf(program, sizeof program, "%s", reuse ? run->reuse.program : tx ? run->tx.program : run->bucket.program);
    printf("%s %-26s %u %-14s %-4s %s%9llu %6.2f s  %s%s\n", good ? "ok  " : "BAD ", run->name, replicas, program,
           slots, cut, (unsigned long long)result->states, result->seconds, verdict, good ? "" : "  <-- not expected");
}

static struct explore_result explore(const struct run *run, bool lengthy, FILE *trace) {
    struct explore_limits limits = {
        .states = lengthy ? STATES_LONG_MAX : STATES_SHORT_MAX,
        .seconds = lengthy ? SECONDS_LONG_MAX : SECONDS_SHORT_MAX,
        .every_state_ends = (run->class & RUN_ENDS) != 0,
        .trace = trace,
    };
    struct explore_result result = {.verdict = EXPLORE_VIOLATED};
    const char *error = NULL;
    if (run->reuse.program != NULL) {
        struct reuse *reuse = reuse_open(&run->reuse, &error);
        if (reuse != NULL) {
            struct explore_model model = reuse_model(reuse);
            result = explore_run(&model, &limits);
            reuse_close(reuse);
        }
    } else if (run->tx.program != NULL) {
        struct tx *tx = tx_open(&run->tx, &error);
        if (tx != NULL) {
            struct explore_model model = tx_model(tx);
            result = explore_run(&model, &limits);
            tx_close(tx);
        }
    } else {
        struct bucket *bucket = bucket_open(&run->bucket, &error);
        if (bucket != NULL) {
            struct explore_model model = bucket_model(bucket);
            result = explore_run(&model, &limits);
            bucket_close(bucket);
        }
    }
    if (error != NULL) {
        snprintf(result.violation, sizeof result.violation, "bad row: %s", error);
        result.depth = 0;
    }
    return result;
}

static bool as_expected(const struct run *run, const struct explore_result *result) {
    switch (run->expectation) {
    case MUST_PASS:
        return result->verdict == EXPLORE_RIGHT;
    case MUST_BREAK:
        return result->verdict == EXPLORE_VIOLATED && result->depth != 0;
    case MAY_BE_CUT:
        return result->verdict != EXPLORE_VIOLATED;
    }
    return false;
}

static bool wanted(const struct run *run, int names, char **name, bool lengthy) {
    if (names == 0) {
        return lengthy || (run->class & RUN_LONG) == 0;
    }
    for (int i = 0; i < names; i++) {
        if (strcmp(run->name, name[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* One row of the table on its way through a worker. */
struct job {
    const struct run *run;
    struct explore_result result;
    _Atomic bool done;
};

static struct job *jobs; /* shared with the workers */
static uint32_t job_count;
static _Atomic uint32_t *job_next;

static bool is_lengthy(const struct run *run, bool lengthy) { return lengthy || (run->class & RUN_LONG) != 0; }

static void work(bool lengthy) {
    for (uint32_t i = atomic_fetch_add(job_next, 1); i < job_count; i = atomic_fetch_add(job_next, 1)) {
        if (jobs[i].run->heading) {
            continue;
        }
        jobs[i].result = explore(jobs[i].run, is_lengthy(jobs[i].run, lengthy), NULL);
        atomic_store(&jobs[i].done, true);
    }
}

/* Worker processes; they end by themselves. */
static uint32_t start_workers(bool lengthy) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t workers = lengthy || processors < 1 ? 1 : processors > WORKERS_MAX ? WORKERS_MAX : (uint32_t)processors;
    for (uint32_t i = 0; i < workers; i++) {
        pid_t child = fork();
        if (child < 0) {
            perror("fork");
            exit(2);
        }
        if (child == 0) {
            work(lengthy);
            _exit(0);
        }
    }
    return workers;
}

static void add_jobs(bool lengthy, int names, char **name) {
    for (const struct run *const *table = run_tables; *table != NULL; table++) {
        for (const struct run *run = *table; run->name != NULL && job_count < JOBS_MAX; run++) {
            if ((run->heading && names == 0) || (!run->heading && wanted(run, names, name, lengthy))) {
                jobs[job_count].run = run;
                jobs[job_count++].done = run->heading;
            }
        }
    }
}

/* Waits for the row; a worker that has died leaves it undone for ever. */
static void await(struct job *job, uint32_t *workers) {
    while (!atomic_load(&job->done)) {
        if (*workers != 0 && waitpid(-1, NULL, WNOHANG) > 0) {
            --*workers;
        } else if (*workers == 0 && !atomic_load(&job->done)) {
            fprintf(stderr, "model: a worker has died at %s\n", job->run->name);
            exit(2);
        }
        usleep(POLL_US);
    }
}

static void report(struct job *job, bool lengthy, bool tell, struct totals *totals) {
    const struct run *run = job->run;
    bool good = as_expected(run, &job->result);
    if (job->result.verdict == EXPLORE_VIOLATED && (tell || (!good && run->expectation != MUST_BREAK))) {
        (void)explore(run, is_lengthy(run, lengthy), stdout); /* once more, for the counterexample */
    }
    print_row(run, &job->result, good);
    totals->passed += good;
    totals->failed += !good;
    totals->states += job->result.states;
}

int main(int count, char **arguments) {
    const char *setting = getenv("LONG");
    bool lengthy = setting != NULL && setting[0] != 0;
    struct totals totals = {0};
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    uint64_t bytes = JOBS_MAX * sizeof *jobs + sizeof *job_next;
    jobs = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (jobs == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    job_next = (_Atomic uint32_t *)(jobs + JOBS_MAX);
    add_jobs(lengthy, count - 1, arguments + 1);
    uint32_t workers = start_workers(lengthy);
    for (uint32_t i = 0; i < job_count; i++) {
        if (jobs[i].run->heading) {
            printf("-- %s\n", jobs[i].run->name);
        } else {
            await(&jobs[i], &workers);
            report(&jobs[i], lengthy, count > 1, &totals);
        }
        fflush(stdout);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%llu states in %.1f s\n", (unsigned long long)totals.states,
           (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9);
    printf("%u passed, %u failed\n", totals.passed, totals.failed);
    return totals.failed != 0 || totals.passed == 0;
}
