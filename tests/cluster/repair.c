/* repair.c: gateways that are killed, and paused, under load: the others' writers go on, nothing acknowledged is
 * lost, and memory is used again afterwards. Threads write through all gateways to the same few keys, so that a
 * gateway that is killed has open rounds on keys that others write. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "info.h"
#include "report.h"
#include "servers.h"
#include "wire.h"

#define GATEWAYS 3
#define WRITERS 2 /* a gateway */
#define SET_ONE_IN 8u
#define KEYS 8
#define KILLS 6
#define KILLS_LONG 60
#define STALL_S_MAX 2.0 /* on a machine that does other things, too; the figure is printed */
#define PAUSE_S 1.5
#define VALUE_BYTES 2000

struct load {
    struct cluster *cluster;
    _Atomic bool ending;
    _Atomic int victim; /* the gateway that is dead or paused; -1 */
    _Atomic uint64_t acknowledged[KEYS], unknown[KEYS];
    _Atomic uint64_t errors; /* replies of gateways that live that were no success */
    _Atomic uint64_t longest_ns;
    char error[256];
};

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

/* One INCR of a shared key, and now and then a SET of one's own that moves memory. false: the connection is gone. */
static bool write_once(struct writer *writer, struct wire *wire, const char *value) {
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
    bool counted = *reply == ':';
    if (counted) {
        atomic_fetch_add(&load->acknowledged[key], 1);
    } else {
        atomic_fetch_add(&load->unknown[key], 1);
        atomic_fetch_add(&load->errors, 1);
        snprintf(load->error, sizeof load->error, "%.*s", (int)length, reply);
    }
    if (atomic_load(&load->victim) != writer->gateway) {
        note_longest(load, clock_s() - began);
    }
    if (prng_below(&writer->prng, SET_ONE_IN) != 0) {
        return true;
    }
    struct buffer set = {0};
    buffer_addf(&set, "*3\r\n$3\r\nSET\r\n");
    snprintf(words, sizeof words, "large:%llu", (unsigned long long)prng_below(&writer->prng, KEYS * 16));
    buffer_add_arg(&set, words, strlen(words));
    buffer_add_arg(&set, value, 1 + prng_below(&writer->prng, VALUE_BYTES - 1));
    bool sent = wire_send(wire, set.bytes, set.length) == WIRE_OK && wire_reply(wire, &reply, &length) == WIRE_OK;
    buffer_free(&set);
    if (sent && *reply != '+') {
        atomic_fetch_add(&load->errors, 1);
        snprintf(load->error, sizeof load->error, "%.*s", (int)length, reply);
    }
    return sent;
}

static void *writer_main(void *argument) {
    struct writer *writer = argument;
    struct load *load = writer->load;
    char value[VALUE_BYTES];
    memset(value, 'v', sizeof value);
    while (!atomic_load(&load->ending)) {
        struct wire wire;
        if (atomic_load(&load->victim) == writer->gateway ||
            !wire_open(&wire, load->cluster->gateway[writer->gateway]->port)) {
            sleep_s(0.01);
            continue;
        }
        while (!atomic_load(&load->ending) && write_once(writer, &wire, value)) {
        }
        wire_close(&wire);
    }
    return NULL;
}

/* ---- Faults ----------------------------------------------------------------------------------------------------- */

/* What the gateways' logs say of repairs, the victim's left out. */
struct repairs {
    int count, rounds;
    double rounds_ms_max; /* until the open rounds were ended */
};

static struct repairs repairs_logged(const struct cluster *cluster, int victim) {
    struct repairs repairs = {0};
    for (int g = 0; g < cluster->gateway_count; g++) {
        char *log = g == victim ? NULL : process_log_text(cluster->gateway[g]);
        for (const char *at = log; at != NULL && (at = strstr(at, "repaired ")) != NULL; at++) {
            int rounds;
            double us;
            if (sscanf(at, "repaired %*d dead clients: %d open rounds ended and %*d tombstones cleared after %lf us",
                       &rounds, &us) == 2) {
                repairs.count++;
                repairs.rounds += rounds;
                repairs.rounds_ms_max = us / 1e3 > repairs.rounds_ms_max ? us / 1e3 : repairs.rounds_ms_max;
            }
        }
        free(log);
    }
    return repairs;
}

/* Adds what the repair of this victim says to *all. */
static void kill_and_restart(struct load *load, int victim, struct repairs *all) {
    struct cluster *cluster = load->cluster;
    struct repairs before = repairs_logged(cluster, victim);
    struct repairs after = before;
    atomic_store(&load->victim, victim);
    kill(cluster->gateway[victim]->pid, SIGKILL);
    process_wait_end(cluster->gateway[victim], 5);
    for (double began = clock_s(); after.count == before.count && clock_s() - began < 10;) {
        sleep_s(0.01);
        after = repairs_logged(cluster, victim);
    }
    all->count += after.count - before.count;
    all->rounds += after.rounds - before.rounds;
    all->rounds_ms_max = after.rounds_ms_max > all->rounds_ms_max ? after.rounds_ms_max : all->rounds_ms_max;
    cluster->gateway[victim] = cluster_start_gateway(cluster, NULL);
    atomic_store(&load->victim, -1);
    sleep_s(0.3);
}

static void case_killed(struct load *load, int kills) {
    atomic_store(&load->longest_ns, 0);
    struct repairs repairs = {0};
    for (int i = 0; i < kills; i++) {
        kill_and_restart(load, i % GATEWAYS, &repairs);
    }
    double longest = (double)atomic_load(&load->longest_ns) / 1e9;
    report_case(atomic_load(&load->errors) == 0, "%d gateways killed under load: no error at the others %s", kills,
                load->error);
    report_case(repairs.count == kills, "%d repairs, of %d open rounds, which were ended after %.0f ms at the most",
                repairs.count, repairs.rounds, repairs.rounds_ms_max);
    report_case(longest < STALL_S_MAX, "the longest that a writer of another gateway waited: %.0f ms", longest * 1e3);
}

/* A paused gateway is not dead: nobody repairs it, and it goes on where it was. */
static void case_paused(struct load *load) {
    struct cluster *cluster = load->cluster;
    atomic_store(&load->victim, 0);
    int repairs = repairs_logged(cluster, -1).count;
    kill(cluster->gateway[0]->pid, SIGSTOP);
    sleep_s(PAUSE_S);
    int after = repairs_logged(cluster, -1).count;
    kill(cluster->gateway[0]->pid, SIGCONT);
    atomic_store(&load->victim, -1);
    sleep_s(0.5);
    report_case(after == repairs, "a gateway that is paused for %.1f s is not repaired", PAUSE_S);
    report_case(atomic_load(&load->errors) == 0 && process_alive(cluster->gateway[0]),
                "and goes on where it was, without an error at any gateway %s", load->error);
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

/* Overwrites several times what the pool holds: without reuse it would be full. */
static void case_memory(struct load *load) {
    struct cluster *cluster = load->cluster;
    double total = info_need(cluster->gateway[1]->port, "pool_data_bytes_total");
    double before = info_need(cluster->gateway[1]->port, "pool_blocks_free");
    char *value = malloc(60000);
    memset(value, 'm', 60000);
    uint64_t written = 0;
    bool right = true;
    struct wire wire;
    right = wire_open(&wire, cluster->gateway[1]->port);
    for (uint64_t i = 0; right && (double)written < 2 * total; i++) {
        struct buffer set = {0};
        const char *reply;
        size_t length;
        char name[32];
        snprintf(name, sizeof name, "over:%llu", (unsigned long long)(i % 20));
        buffer_addf(&set, "*3\r\n$3\r\nSET\r\n");
        buffer_add_arg(&set, name, strlen(name));
        buffer_add_arg(&set, value, 60000);
        right = wire_send(&wire, set.bytes, set.length) == WIRE_OK && wire_reply(&wire, &reply, &length) == WIRE_OK &&
                *reply == '+';
        buffer_free(&set);
        written += 60000;
    }
    wire_close(&wire);
    free(value);
    double after = info_need(cluster->gateway[1]->port, "pool_blocks_free");
    report_case(right, "memory is used again: %.0f MiB written into a pool of %.0f MiB, %.0f blocks free, then %.0f",
                (double)written / 1048576, total / 1048576, before, after);
}

/* Nobody is left who could notice: the next ones that start do. */
static void case_all_killed(struct load *load) {
    struct cluster *cluster = load->cluster;
    for (int g = 0; g < GATEWAYS; g++) {
        kill(cluster->gateway[g]->pid, SIGKILL);
        process_wait_end(cluster->gateway[g], 5);
    }
    for (int g = 0; g < GATEWAYS; g++) {
        cluster->gateway[g] = cluster_start_gateway(cluster, NULL);
    }
    double began = clock_s();
    while (repairs_logged(cluster, -1).count == 0 && clock_s() - began < 10) {
        sleep_s(0.01);
    }
    report_case(repairs_logged(cluster, -1).count != 0,
                "all gateways killed: those that start next repair them, after %.1f s", clock_s() - began);
}

int main(void) {
    struct cluster cluster = {
        .memserver_count = 3, .gateway_count = GATEWAYS, .replicas = 3, .memory_bytes = UINT64_C(96) << 20};
    cluster_start(&cluster);
    struct load load = {.cluster = &cluster, .victim = -1};
    struct writer writers[GATEWAYS * WRITERS];
    for (int i = 0; i < GATEWAYS * WRITERS; i++) {
        writers[i] = (struct writer){.load = &load, .gateway = i % GATEWAYS, .prng = {(uint64_t)i + 1}};
        if (pthread_create(&writers[i].thread, NULL, writer_main, &writers[i]) != 0) {
            report_abort("no thread");
        }
    }
    sleep_s(0.5);
    case_killed(&load, report_long() ? KILLS_LONG : KILLS);
    case_paused(&load);
    atomic_store(&load.ending, true);
    for (int i = 0; i < GATEWAYS * WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
    }
    case_counts(&load);
    case_memory(&load);
    case_all_killed(&load);
    case_counts(&load);
    case_memory(&load);
    report_case(cluster_stop(&cluster), "every process ends with exit code 0 after SIGTERM");
    return report_finish();
}
