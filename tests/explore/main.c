/* main.c: the explorer's program: the real engine under every interleaving of its verbs.
 *
 *   explore [--long] [--first] [--jobs J] [--seconds S] [--replicas R] [PROGRAM...]
 *   explore --self-test        the reduction against no reduction, on programs that are short enough for both
 *   explore --list
 *
 * Prints a row a program: schedules carried out and checked, those with a death, those pruned. The last line counts.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "search.h"
#include "self_test.h"

#define JOBS_MAX 16
#define TASKS_MAX 1024
#define SECONDS_DEFAULT 300

struct task {
    const struct program *program;
    uint32_t replicas;
    bool crash;
    pid_t pid;
    int pipe;
};

struct options {
    bool with_long;
    bool first; /* stop at the first failure */
    uint32_t jobs, replicas;
    double seconds;
    char **names;
    int name_count;
};

struct total {
    uint32_t passed, failed;
    struct search_result sum;
};

/* ---- One program ------------------------------------------------------------------------------------------------ */

static void on_abort(int number) {
    (void)number;
    search_print_path();
    fflush(stdout);
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void add_up(struct search_result *sum, const struct search_result *result) {
    sum->schedules += result->schedules;
    sum->pruned += result->pruned;
    sum->crashed += result->crashed;
    sum->unknown += result->unknown;
    sum->events += result->events;
    sum->guessed_right += result->guessed_right;
    sum->guessed_stale += result->guessed_stale;
    sum->lost += result->lost;
    sum->split += result->split;
    sum->conflicts += result->conflicts;
    sum->blind_ok += result->blind_ok;
    sum->clears_lost += result->clears_lost;
    sum->reused += result->reused;
    sum->seconds += result->seconds;
    sum->deepest = result->deepest > sum->deepest ? result->deepest : sum->deepest;
    sum->cut |= result->cut;
}

/* A program, or all the pairs of one; stops at the first fault. */
static struct search_result run_program(const struct task *task, const struct options *options) {
    struct search_options how = {.crash = task->crash, .tell = true, .seconds = options->seconds};
    struct search_result sum = {0};
    struct program pair = *task->program;
    char name[PROGRAM_NAME_MAX] = "";
    for (uint32_t i = 0; sum.fault[0] == 0; i++) {
        if (pair.pairs ? !program_pair(task->program, i, &pair, name) : i > 0) {
            break;
        }
        struct search_result result = search_run(&pair, task->replicas, &how);
        free(result.outcomes);
        add_up(&sum, &result);
        if (result.fault[0] != 0) {
            memcpy(sum.fault, result.fault, sizeof sum.fault);
            printf("so far %s r=%u\n", pair.name, task->replicas);
        }
    }
    return sum;
}

static _Noreturn void task_run(const struct task *task, const struct options *options, int out) {
    signal(SIGABRT, on_abort);
    struct search_result result = run_program(task, options);
    fflush(stdout);
    bool written = write(out, &result, sizeof result) == sizeof result;
    _exit(written ? 0 : 1);
}

static void task_start(struct task *task, const struct options *options) {
    int ends[2];
    fflush(stdout);
    if (pipe(ends) != 0 || (task->pid = fork()) < 0) {
        perror("explore");
        exit(1);
    }
    if (task->pid == 0) {
        close(ends[0]);
        task_run(task, options, ends[1]);
    }
    close(ends[1]);
    task->pipe = ends[0];
}

static void print_row(const char *name, const struct search_result *result, const char *verdict) {
    printf("%-34s %10" PRIu64 " %10" PRIu64 " %8" PRIu64 " %9" PRIu64 " %5u %7.2f %8.0f  %s\n", name, result->schedules,
           result->crashed, result->unknown, result->pruned, result->deepest, result->seconds,
           result->seconds > 0 ? (double)result->schedules / result->seconds : 0, verdict);
    fflush(stdout);
}

static void task_end(const struct task *task, int status, struct total *total) {
    struct search_result result;
    char name[80];
    snprintf(name, sizeof name, "%s r=%u%s", task->program->name, task->replicas, task->crash ? " crash" : "");
    bool read_all = read(task->pipe, &result, sizeof result) == sizeof result;
    close(task->pipe);
    const char *verdict = "ok";
    if (!read_all || status != 0) {
        memset(&result, 0, sizeof result);
        verdict = "FAIL: the process has died";
    } else if (result.fault[0] != 0) {
        verdict = "FAIL";
    } else if (result.cut) {
        verdict = "FAIL: not finished in time";
    }
    print_row(name, &result, verdict);
    if (result.fault[0] != 0) {
        printf("FAIL %s after %" PRIu64 " schedules: %s\n", name, result.schedules, result.fault);
    }
    total->failed += strcmp(verdict, "ok") != 0;
    total->passed += strcmp(verdict, "ok") == 0;
    add_up(&total->sum, &result);
}

/* ---- All -------------------------------------------------------------------------------------------------------- */

static bool is_named(const struct options *options, const char *name) {
    for (int i = 0; i < options->name_count; i++) {
        if (strcmp(options->names[i], name) == 0) {
            return true;
        }
    }
    return options->name_count == 0;
}

static uint32_t make_tasks(const struct options *options, struct task *tasks) {
    uint32_t count = 0;
    for (uint32_t p = 0; p < program_count; p++) {
        const struct program *program = &programs[p];
        bool wanted = options->name_count != 0 || options->with_long || program->size == SIZE_DEFAULT;
        for (const char *r = program->replicas; *r != 0 && wanted && is_named(options, program->name); r++) {
            uint32_t replicas = (uint32_t)(*r - '0');
            bool crash = program->crash != NULL && strchr(program->crash, *r) != NULL;
            if (options->replicas == 0 || options->replicas == replicas) {
                tasks[count++] = (struct task){.program = program, .replicas = replicas, .crash = crash};
            }
        }
    }
    return count;
}

static void run_tasks(const struct options *options, struct task *tasks, uint32_t count, struct total *total) {
    uint32_t started = 0;
    uint32_t running = 0;
    while (started < count || running > 0) {
        bool enough = options->first && total->failed != 0;
        if (enough && running == 0) {
            return;
        }
        if (started < count && running < options->jobs && !enough) {
            task_start(&tasks[started++], options);
            running++;
            continue;
        }
        int status;
        pid_t pid = wait(&status);
        for (uint32_t i = 0; i < started; i++) {
            if (tasks[i].pid == pid) {
                task_end(&tasks[i], status, total);
            }
        }
        running--;
    }
}

/* What ought to have happened somewhere, or the programs show little. */
static void check_reached(const struct options *options, struct total *total) {
    const struct search_result *sum = &total->sum;
    const struct {
        const char *name;
        uint64_t count;
    } branches[] = {
        {"guess right", sum->guessed_right},
        {"guess stale", sum->guessed_stale},
        {"round lost", sum->lost},
        {"split round fixed", sum->split},
        {"insert conflict aborted", sum->conflicts},
        {"loser answers OK", sum->blind_ok},
        {"clear lost", sum->clears_lost},
        {"tombstone overwritten", sum->reused},
        {"outcome unknown behind the dead", sum->unknown},
    };
    for (size_t i = 0; i < sizeof branches / sizeof branches[0]; i++) {
        bool missing = branches[i].count == 0 && options->name_count == 0 && options->replicas == 0 && !options->first;
        printf("%-34s %10" PRIu64 "%s\n", branches[i].name, branches[i].count, missing ? "  NEVER REACHED" : "");
        total->failed += missing;
    }
}

static int run_all(const struct options *options) {
    static struct task tasks[TASKS_MAX];
    struct total total = {0};
    uint32_t count = make_tasks(options, tasks);
    if (count == 0) {
        fprintf(stderr, "explore: no such program\n");
        return 2;
    }
    printf("%-34s %10s %10s %8s %9s %5s %7s %8s\n", "program", "schedules", "with death", "unknown", "pruned", "depth",
           "seconds", "per s");
    run_tasks(options, tasks, count, &total);
    print_row("all", &total.sum, "");
    check_reached(options, &total);
    printf("%u passed, %u failed\n", total.passed, total.failed);
    return total.failed != 0;
}

static int list(void) {
    for (uint32_t p = 0; p < program_count; p++) {
        const struct program *program = &programs[p];
        printf("%-34s r=%s%s%s%s\n", program->name, program->replicas, program->crash != NULL ? " crash r=" : "",
               program->crash != NULL ? program->crash : "", program->size == SIZE_LONG ? " long" : "");
    }
    return 0;
}

int main(int argc, char **argv) {
    struct options options = {.jobs = 1, .seconds = SECONDS_DEFAULT};
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "0";
        if (strcmp(argv[i], "--list") == 0) {
            return list();
        } else if (strcmp(argv[i], "--self-test") == 0) {
            return self_test();
        } else if (strcmp(argv[i], "--long") == 0) {
            options.with_long = true;
        } else if (strcmp(argv[i], "--first") == 0) {
            options.first = true;
        } else if (strcmp(argv[i], "--jobs") == 0) {
            options.jobs = (uint32_t)strtoul(value, NULL, 10);
            i++;
        } else if (strcmp(argv[i], "--seconds") == 0) {
            options.seconds = strtod(value, NULL);
            i++;
        } else if (strcmp(argv[i], "--replicas") == 0) {
            options.replicas = (uint32_t)strtoul(value, NULL, 10);
            i++;
        } else {
            fprintf(stderr, "explore: unknown option %s\n", argv[i]);
            return 2;
        }
    }
    options.jobs = options.jobs == 0 ? 1 : options.jobs > JOBS_MAX ? JOBS_MAX : options.jobs;
    options.names = argv + i;
    options.name_count = argc - i;
    return run_all(&options);
}
