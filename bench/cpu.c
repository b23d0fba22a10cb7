/* cpu.c: server CPU time per command (utime + stime of all server processes, over the commands) of fusegate with an
 * embedded pool beside redis-server: the same client, the same run, alternating; medians and their ratio. With it, the
 * round trips per operation out of INFO. One process each; `make bench` calls it through bench/run.
 *
 * cpu [-k rounds] [-s scale in percent] [-l "server ..."]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "info.h"
#include "report.h"
#include "servers.h"

#define ROUNDS_MAX 25
#define KEYS 200000
#define VALUE_BYTES 64
#define CLIENTS 50

struct measure {
    const char *test, *field; /* redis-benchmark's name, INFO's field of the operations */
    int depth, requests;
    double us[2][ROUNDS_MAX], round_trips;
};

static void run_client(int port, const struct measure *measure, int requests) {
    struct process_args args = {.argc = 0};
    process_args_add(&args, "redis-benchmark");
    process_args_add(&args, "-q");
    process_args_add(&args, "-t");
    process_args_add(&args, "%s", measure->test);
    const struct {
        const char *option;
        int value;
    } numbers[] = {{"-p", port}, {"-n", requests},       {"-c", CLIENTS},
                   {"-r", KEYS}, {"-P", measure->depth}, {"-d", VALUE_BYTES}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        process_args_add(&args, "%s", numbers[i].option);
        process_args_add(&args, "%d", numbers[i].value);
    }
    struct process *process = process_start("redis-benchmark", 0, &args);
    bool ended = process_wait_end(process, 600) && process_exit_code(process) == 0;
    if (!ended || process_log_contains(process, "rror"))
        report_abort("redis-benchmark -t %s failed", measure->test);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *values, int count) {
    double sorted[ROUNDS_MAX];
    memcpy(sorted, values, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, by_size);
    return sorted[count / 2];
}

static double field_part(int port, const char *field, const char *part) {
    char name[64];
    snprintf(name, sizeof name, "%s/%s", field, part);
    return info_number(port, name);
}

static void run_measure(struct measure *measure, struct process *const *server, int rounds) {
    sleep_s(1.0); /* INFO's copy of the counters is a little late */
    double operations = field_part(server[1]->port, measure->field, "operations");
    double trips = field_part(server[1]->port, measure->field, "round_trips");
    for (int round = 0; round < rounds; round++) {
        for (int s = 0; s < 2; s++) {
            double before = process_cpu_s(server[s]->pid);
            run_client(server[s]->port, measure, measure->requests);
            measure->us[s][round] = (process_cpu_s(server[s]->pid) - before) * 1e6 / measure->requests;
        }
        printf("  %s -P %-2d round %d of %d: redis-server %.2f us, fusegate %.2f us\n", measure->test, measure->depth,
               round + 1, rounds, measure->us[0][round], measure->us[1][round]);
        fflush(stdout);
    }
    sleep_s(1.0);
    operations = field_part(server[1]->port, measure->field, "operations") - operations;
    trips = field_part(server[1]->port, measure->field, "round_trips") - trips;
    measure->round_trips = operations > 0 ? trips / operations : -1;
}

static void print_table(const struct measure *measures, int count, int rounds) {
    printf("\nserver CPU per command, %d-byte values, %d keys, %d clients, medians of %d alternating runs\n\n",
           VALUE_BYTES, KEYS, CLIENTS, rounds);
    printf("| command    | redis-server | fusegate | ratio | round trips |\n");
    printf("|------------|-------------:|---------:|------:|------------:|\n");
    for (int i = 0; i < count; i++) {
        const struct measure *m = &measures[i];
        double redis = median(m->us[0], rounds), fusegate = median(m->us[1], rounds);
        printf("| %s -P %-4d| %9.2f us | %5.2f us | %5.2f | %11.2f |\n", m->test, m->depth, redis, fusegate,
               fusegate / redis, m->round_trips);
    }
}

int main(int argc, char **argv) {
    static struct measure measures[] = {
        {.test = "set", .field = "dm_put", .depth = 1, .requests = 100000},
        {.test = "get", .field = "dm_get", .depth = 1, .requests = 100000},
        {.test = "set", .field = "dm_put", .depth = 16, .requests = 600000},
        {.test = "get", .field = "dm_get", .depth = 16, .requests = 600000},
    };
    const int count = sizeof measures / sizeof *measures;
    const char *tested = "fusegate --pool.replicas=2";
    int rounds = 5, scale = 100;
    for (int option; (option = getopt(argc, argv, "k:s:l:")) != -1;) {
        switch (option) {
        case 'k':
            rounds = atoi(optarg);
            break;
        case 's':
            scale = atoi(optarg);
            break;
        case 'l':
            tested = optarg;
            break;
        default:
            return 2;
        }
    }
    if (rounds < 1 || rounds > ROUNDS_MAX || scale < 1)
        report_abort("1 to %d rounds, scale 1 or more", ROUNDS_MAX);
    struct process *server[2] = {servers_start_named("redis"), servers_start_named(tested)};
    struct measure fill = {.test = "set", .depth = 16};
    for (int s = 0; s < 2; s++)
        run_client(server[s]->port, &fill, KEYS * 6); /* all but a few keys exist */
    for (int i = 0; i < count; i++) {
        measures[i].requests = measures[i].requests / 100 * scale;
        run_measure(&measures[i], server, rounds);
    }
    print_table(measures, count, rounds);
    return 0;
}
