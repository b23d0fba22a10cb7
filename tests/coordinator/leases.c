/* leases.c: gateways that hang (SIGSTOP) under load with a coordinator that watches their leases: the others go on,
 * what the hanging one has left open is repaired, and nothing of it comes afterwards. Threads increment the same few
 * keys through all gateways. Prints how long it took, behind the detection. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl_run.h"
#include "etcd_servers.h"
#include "report.h"
#include "wire.h"

#define GATEWAYS 3
#define WRITERS 2 /* a gateway */
#define KEYS 8
#define ETCD_TTL_S 3
#define HANGS 5
#define HANGS_LONG 60
#define LEASE_MS 400 /* unless it is given */
#define REPAIR_MS_GOAL 200.0
#define SLOW_MACHINE 4.0   /* other programs run here, too; the figures are printed */
#define SLOW_MACHINE_VM 40 /* with Soft-RoCE on emulated processors */
#define CLIENT_TIMEOUT_S 5.0

struct load {
    struct cluster *cluster;
    _Atomic bool ending;
    _Atomic int victim; /* the gateway that hangs or is dead; -1 */
    _Atomic uint64_t acknowledged[KEYS], unknown[KEYS];
    _Atomic uint64_t errors; /* replies of gateways that live that were no success */
    _Atomic uint64_t longest_ns;
    char error[256];
    int lease_ms;
    bool verbs; /* over RDMA: the memory nodes cut it off, and it ends by itself when it finds that out */
};

/* What a figure may be times what it should be. */
static double slow(const struct load *load) { return load->verbs ? SLOW_MACHINE_VM : SLOW_MACHINE; }

/* The lease and a quarter, and two looks. */
static double detect_s(const struct load *load) { return load->lease_ms * 1.35 / 1000 + 0.1; }

struct writer {
    struct load *load;
    int gateway;
    pthread_t thread;
    struct prng prng;
};

static void note_longest(struct load *load, double seconds) {
    uint64_t ns = (uint64_t)(seconds * 1e9);
    uint64_t longest = atomic_load(&load->longest_ns);
    while (ns > longest && !atomic_compare_exchange_weak(&load->longest_ns, &longest, ns)) {
    }
}

/* false: the connection is gone. */
static bool write_once(struct writer *writer, struct wire *wire) {
    struct load *load = writer->load;
    uint64_t key = prng_below(&writer->prng, KEYS);
    char words[64];
    const char *reply;
    size_t length;
    snprintf(words, sizeof words, "INCR count:%llu", (unsigned long long)key);
    double began = clock_s();
    if (wire_ask(wire, words, &reply, &length) != WIRE_OK) {
        atomic_fetch_add(&load->unknown[key], 1);
        return false;
    }
    if (*reply == ':') {
        atomic_fetch_add(&load->acknowledged[key], 1);
    } else {
        atomic_fetch_add(&load->unknown[key], 1);
        atomic_fetch_add(&load->errors, 1);
        snprintf(load->error, sizeof load->error, "%.*s", (int)length, reply);
    }
    if (atomic_load(&load->victim) != writer->gateway) {
        note_longest(load, clock_s() - began);
    }
    return true;
}

static void *writer_main(void *argument) {
    struct writer *writer = argument;
    struct load *load = writer->load;
    while (!atomic_load(&load->ending)) {
        struct wire wire;
        if (atomic_load(&load->victim) == writer->gateway ||
            !wire_open(&wire, load->cluster->gateway[writer->gateway]->port)) {
            sleep_s(0.01);
            continue;
        }
        wire.timeout_s = CLIENT_TIMEOUT_S;
        while (!atomic_load(&load->ending) && write_once(writer, &wire)) {
        }
        wire_close(&wire);
    }
    return NULL;
}

/* ---- Logs ------------------------------------------------------------------------------------------------------- */

/* Seconds of the day at the beginning of a line of a log. */
static double line_time(const char *text, const char *at) {
    while (at > text && at[-1] != '\n') {
        at--;
    }
    int hour = 0;
    int minute = 0;
    double second = 0;
    sscanf(at, "%*d-%*d-%*dT%d:%d:%lfZ", &hour, &minute, &second);
    return hour * 3600.0 + minute * 60.0 + second;
}

/* What the logs say of the last repair. */
struct repair {
    double detected_s, fence_ms; /* when the coordinator had found the lease over; how long the fence took */
    double rounds_s, memory_s;   /* when the open rounds were ended; when all was repaired */
    int rounds;
};

static int count_of(const struct process *process, const char *text) {
    char *log = process_log_text(process);
    int count = 0;
    for (const char *at = log; at != NULL && (at = strstr(at, text)) != NULL; at++) {
        count++;
    }
    free(log);
    return count;
}

static const char *last_of(const char *log, const char *text) {
    const char *last = NULL;
    for (const char *at = log; at != NULL && (at = strstr(at, text)) != NULL; at++) {
        last = at;
    }
    return last;
}

static void read_fence(const struct process *coordinator, struct repair *repair) {
    char *log = process_log_text(coordinator);
    const char *at = last_of(log, "it is fenced, after ");
    double us = 0;
    if (at != NULL && sscanf(at, "it is fenced, after %lf us", &us) == 1) {
        repair->fence_ms = us / 1e3;
        repair->detected_s = line_time(log, at) - us / 1e6;
    }
    free(log);
}

/* Of the gateway that has logged the latest repair. */
static void read_repair(const struct cluster *cluster, int victim, struct repair *repair) {
    for (int g = 0; g < cluster->gateway_count; g++) {
        char *log = g == victim ? NULL : process_log_text(cluster->gateway[g]);
        const char *at = last_of(log, "repaired ");
        double us;
        double ms;
        int rounds;
        if (at != NULL && line_time(log, at) > repair->memory_s &&
            sscanf(
                at,
                "repaired %*d dead clients: %d open rounds ended and %*d tombstones cleared after %lf us; %*d blocks "
                "free and %*d with data, %*d lost objects, after %lf ms",
                &rounds, &us, &ms) == 3) {
            repair->memory_s = line_time(log, at);
            repair->rounds_s = repair->memory_s - ms / 1e3 + us / 1e6;
            repair->rounds = rounds;
        }
        free(log);
    }
}

static int repairs_logged(const struct cluster *cluster, int victim) {
    int count = 0;
    for (int g = 0; g < cluster->gateway_count; g++) {
        count += g == victim ? 0 : count_of(cluster->gateway[g], "repaired ");
    }
    return count;
}

/* ---- Faults ----------------------------------------------------------------------------------------------------- */

struct figures {
    double detection_ms_max, fence_ms_max, rounds_ms_max, memory_ms_max; /* the last two: behind the detection */
    int hangs, rounds;
};

static double larger(double a, double b) { return a > b ? a : b; }

/* One gateway hangs until it is repaired, is let go on, and is started anew. */
static bool hang_once(struct load *load, struct process *coordinator, int victim, struct figures *figures) {
    struct cluster *cluster = load->cluster;
    struct repair repair = {0};
    int before = repairs_logged(cluster, victim);
    int fences = count_of(coordinator, "it is fenced");
    pid_t pid = cluster->gateway[victim]->pid;
    atomic_store(&load->victim, victim);
    double began = clock_s();
    kill(pid, SIGSTOP);
    while (count_of(coordinator, "it is fenced") == fences && clock_s() - began < 10 + 2 * detect_s(load)) {
        sleep_s(0.005);
    }
    double detected = clock_s() - began;
    while (repairs_logged(cluster, victim) == before && clock_s() - began < 20 + 2 * detect_s(load)) {
        sleep_s(0.01);
    }
    kill(pid, SIGCONT);
    int code = load->verbs ? 1 : 128 + SIGKILL;
    bool ended =
        process_wait_end(cluster->gateway[victim], slow(load)) && process_exit_code(cluster->gateway[victim]) == code;
    if (!ended) {
        char *log = process_log_text(cluster->gateway[victim]);
        report_note("the gateway that hung: exit code %d, log:\n%s", process_exit_code(cluster->gateway[victim]), log);
        free(log);
    }
    read_fence(coordinator, &repair);
    read_repair(cluster, victim, &repair);
    figures->hangs++;
    figures->rounds += repair.rounds;
    figures->detection_ms_max = larger(figures->detection_ms_max, detected * 1e3);
    figures->fence_ms_max = larger(figures->fence_ms_max, repair.fence_ms);
    figures->rounds_ms_max = larger(figures->rounds_ms_max, (repair.rounds_s - repair.detected_s) * 1e3);
    figures->memory_ms_max = larger(figures->memory_ms_max, (repair.memory_s - repair.detected_s) * 1e3);
    cluster->gateway[victim] = cluster_start_gateway(cluster, NULL);
    atomic_store(&load->victim, -1);
    sleep_s(0.3);
    return ended && repair.rounds_s != 0;
}

static void case_hanging(struct load *load, struct process *coordinator, int hangs) {
    struct figures figures = {0};
    bool right = true;
    atomic_store(&load->longest_ns, 0);
    for (int i = 0; i < hangs && right; i++) {
        right = hang_once(load, coordinator, i % GATEWAYS, &figures);
    }
    double longest = (double)atomic_load(&load->longest_ns) / 1e9;
    report_case(right,
                "%d gateways hung for longer than their lease of %d ms: each was fenced, and repaired by another",
                figures.hangs, load->lease_ms);
    report_case(figures.detection_ms_max < detect_s(load) * 1e3 * slow(load),
                "from SIGSTOP to the fence: %.0f ms at the most (of which the fence took %.1f ms)",
                figures.detection_ms_max, figures.fence_ms_max);
    report_case(figures.rounds_ms_max < REPAIR_MS_GOAL * slow(load),
                "from the detection until all %d open rounds were ended: %.0f ms at the most (goal: %.0f); until all "
                "memory was back: %.0f ms",
                figures.rounds, figures.rounds_ms_max, REPAIR_MS_GOAL, figures.memory_ms_max);
    report_case(atomic_load(&load->errors) == 0, "no error at the others %s", load->error);
    report_case(longest < (detect_s(load) + REPAIR_MS_GOAL / 1e3) * slow(load),
                "the longest that a writer of another gateway waited: %.0f ms", longest * 1e3);
}

/* Shorter than its lease. */
static void case_short(struct load *load, const struct process *coordinator) {
    struct cluster *cluster = load->cluster;
    int fences = count_of(coordinator, "it is fenced");
    for (int i = 0; i < 5; i++) {
        atomic_store(&load->victim, i % GATEWAYS);
        kill(cluster->gateway[i % GATEWAYS]->pid, SIGSTOP);
        sleep_s(load->lease_ms * 0.4 / 1e3);
        kill(cluster->gateway[i % GATEWAYS]->pid, SIGCONT);
        atomic_store(&load->victim, -1);
        sleep_s(0.3);
    }
    report_case(count_of(coordinator, "it is fenced") == fences && atomic_load(&load->errors) == 0,
                "gateways that hang for less than their lease are left alone, and go on");
}

/* The coordinator itself hangs, and then goes on: what it has not seen it does not count. */
static void case_coordinator_hangs(struct load *load, struct process *coordinator) {
    int fences = count_of(coordinator, "it is fenced");
    kill(coordinator->pid, SIGSTOP);
    sleep_s(load->lease_ms * 5 / 1e3);
    kill(coordinator->pid, SIGCONT);
    sleep_s(load->lease_ms * 3 / 1e3);
    report_case(count_of(coordinator, "it is fenced") == fences && atomic_load(&load->errors) == 0,
                "a coordinator that has hung fences nobody for it");
}

/* Nobody fences the gateway that hangs, so nobody repairs it, and it goes on where it was. */
static struct process *case_coordinator_gone(struct load *load, struct process *coordinator,
                                             struct process *(*start)(const struct cluster *)) {
    struct cluster *cluster = load->cluster;
    kill(coordinator->pid, SIGKILL);
    process_wait_end(coordinator, 5);
    uint64_t before = atomic_load(&load->acknowledged[0]);
    int repairs = repairs_logged(cluster, -1);
    sleep_s(load->lease_ms * 4 / 1e3);
    uint64_t after = atomic_load(&load->acknowledged[0]);
    report_case(after > before + 50 && atomic_load(&load->errors) == 0,
                "without a coordinator requests go on: %llu increments of one key in %d ms",
                (unsigned long long)(after - before), load->lease_ms * 4);
    atomic_store(&load->victim, 1);
    kill(cluster->gateway[1]->pid, SIGSTOP);
    sleep_s(load->lease_ms * 3 / 1e3);
    kill(cluster->gateway[1]->pid, SIGCONT);
    atomic_store(&load->victim, -1);
    sleep_s(0.5);
    if (load->verbs) { /* its connections may have to be made anew first */
        atomic_store(&load->errors, 0);
    }
    report_case(repairs_logged(cluster, -1) == repairs && process_alive(cluster->gateway[1]) &&
                    atomic_load(&load->errors) == 0,
                "a gateway that hangs then is not repaired; its lease is over, it finds that nobody has noticed, and "
                "goes on %s",
                load->error);
    return start(cluster);
}

static void case_counts(struct load *load) {
    struct wire wire;
    uint64_t lost = 0;
    uint64_t acknowledged = 0;
    bool right = wire_open(&wire, load->cluster->gateway[1]->port);
    for (int k = 0; k < KEYS && right; k++) {
        char words[40];
        const char *reply;
        size_t length;
        snprintf(words, sizeof words, "INCRBY count:%d 0", k);
        right = wire_ask(&wire, words, &reply, &length) == WIRE_OK && *reply == ':';
        uint64_t value = right ? strtoull(reply + 1, NULL, 10) : 0;
        acknowledged += load->acknowledged[k];
        lost += value < load->acknowledged[k] || value > load->acknowledged[k] + load->unknown[k];
    }
    wire_close(&wire);
    report_case(right && lost == 0, "%llu increments: every one that was acknowledged counts once, no other twice",
                (unsigned long long)acknowledged);
}

static struct process *coordinator_start(const struct cluster *cluster) {
    struct process_args args = {.argc = 0};
    process_args_add(&args, "%s", servers_path("fusegate-coordinator"));
    cluster_args_add(&args, cluster);
    struct process *process = process_start("coordinator", 0, &args);
    const char *ready = cluster->extra[0] == '\0' ? "watching the gateways" : "this coordinator acts";
    for (double began = clock_s(); !process_log_contains(process, ready);) {
        if (!process_alive(process) || clock_s() - began > 20) {
            report_abort("fusegate-coordinator does not start");
        }
        sleep_s(0.01);
    }
    return process;
}

int main(int argc, char **argv) {
    int hangs = report_long() ? HANGS_LONG : HANGS;
    int lease_ms = LEASE_MS;
    bool etcd_wanted = false;
    struct etcd etcd;
    for (int option; (option = getopt(argc, argv, "el:n:")) != -1;) {
        if (option == '?') {
            report_abort("usage: leases [-e] [-l lease in ms] [-n hangs]; -e: with etcd");
        }
        etcd_wanted |= option == 'e';
        hangs = option == 'n' ? atoi(optarg) : hangs;
        lease_ms = option == 'l' ? atoi(optarg) : lease_ms;
    }
    struct cluster cluster = {.memserver_count = 3,
                              .gateway_count = GATEWAYS,
                              .replicas = 3,
                              .memory_bytes = UINT64_C(96) << 20,
                              .lease_ms = lease_ms};
    if (etcd_wanted) {
        etcd_start(&etcd);
        etcd_words(cluster.extra, sizeof cluster.extra, etcd.endpoints, ETCD_TTL_S);
    }
    cluster_start(&cluster);
    struct process *coordinator = coordinator_start(&cluster);
    struct load load = {
        .cluster = &cluster, .victim = -1, .lease_ms = lease_ms, .verbs = getenv("FUSEGATE_TEST_RDMA") != NULL};
    struct writer writers[GATEWAYS * WRITERS];
    for (int i = 0; i < GATEWAYS * WRITERS; i++) {
        writers[i] = (struct writer){.load = &load, .gateway = i % GATEWAYS, .prng = {(uint64_t)i + 1}};
        if (pthread_create(&writers[i].thread, NULL, writer_main, &writers[i]) != 0) {
            report_abort("no thread");
        }
    }
    sleep_s(0.5);
    case_short(&load, coordinator);
    case_hanging(&load, coordinator, hangs);
    case_coordinator_hangs(&load, coordinator);
    coordinator = case_coordinator_gone(&load, coordinator, coordinator_start);
    case_hanging(&load, coordinator, 1);
    atomic_store(&load.ending, true);
    for (int i = 0; i < GATEWAYS * WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
    }
    case_counts(&load);
    struct ctl_result check = ctl_run(&cluster, "check");
    report_case(check.code == 0 || check.code == 5, "the pool is in order (exit code %d)", check.code);
    report_case(process_stop(coordinator, SIGTERM) == 0, "the coordinator ends with exit code 0 after SIGTERM");
    report_case(cluster_stop(&cluster), "and so does every other process");
    if (etcd_wanted) {
        etcd_stop(&etcd);
    }
    return report_finish();
}
