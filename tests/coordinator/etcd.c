/* etcd.c: gateways and coordinators whose membership is kept by an etcd cluster of three on loopback. One of the three
 * killed at a time: nobody notices. All three: commands go on until the lease ends, are then refused, and go on when
 * etcd is back. A coordinator that acts is killed: another one takes over, and gateways that hang are repaired. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl_run.h"
#include "etcd_servers.h"
#include "report.h"
#include "wire.h"

#define GATEWAYS 2
#define COORDINATORS 2
#define TTL_S 3
#define LEASE_MS 600

/* ---- Cluster ---------------------------------------------------------------------------------------------------- */

static struct process *coordinator_start(const struct cluster *cluster) {
    struct process_args args = {.argc = 0};
    process_args_add(&args, "%s", servers_path("fusegate-coordinator"));
    cluster_args_add(&args, cluster);
    return process_start("coordinator", 0, &args);
}

/* Lines with this text in all of these logs. */
static int count_lines(struct process *const *processes, int count, const char *text) {
    int lines = 0;
    for (int i = 0; i < count; i++) {
        char *log = process_log_text(processes[i]);
        for (const char *at = log; at != NULL && (at = strstr(at, text)) != NULL; at++) {
            lines++;
        }
        free(log);
    }
    return lines;
}

/* Until there are more than `before`; false: not within this time. */
static bool await_lines(struct process *const *processes, int count, const char *text, int before, double seconds) {
    double began = clock_s();
    while (count_lines(processes, count, text) <= before && clock_s() - began < seconds) {
        sleep_s(0.02);
    }
    return count_lines(processes, count, text) > before;
}

/* ---- Load ------------------------------------------------------------------------------------------------------- */

struct load {
    int port;
    _Atomic bool ending;
    _Atomic uint64_t done, refused, errors; /* refused: for want of a lease */
    char error[256];
    pthread_t thread;
};

static void *load_main(void *argument) {
    struct load *load = argument;
    struct wire wire = {.fd = -1};
    while (!atomic_load(&load->ending)) {
        const char *reply;
        size_t length;
        if (wire.fd < 0 && !wire_open(&wire, load->port)) {
            sleep_s(0.01);
            continue;
        }
        if (wire_ask(&wire, "INCR count", &reply, &length) != WIRE_OK) {
            wire_close(&wire);
            wire.fd = -1;
        } else if (*reply == ':') {
            atomic_fetch_add(&load->done, 1);
        } else if (strstr(reply, "lease of this gateway") != NULL) {
            atomic_fetch_add(&load->refused, 1);
            sleep_s(0.01);
        } else {
            atomic_fetch_add(&load->errors, 1);
            snprintf(load->error, sizeof load->error, "%.*s", (int)length, reply);
        }
    }
    wire_close(&wire);
    return NULL;
}

static void loads_start(struct load *loads, const struct cluster *cluster) {
    for (int g = 0; g < GATEWAYS; g++) {
        loads[g] = (struct load){.port = cluster->gateway[g]->port};
        if (pthread_create(&loads[g].thread, NULL, load_main, &loads[g]) != 0) {
            report_abort("no thread");
        }
    }
}

static uint64_t sum(struct load *loads, size_t offset) {
    uint64_t all = 0;
    for (int g = 0; g < GATEWAYS; g++) {
        all += atomic_load((_Atomic uint64_t *)(void *)((char *)&loads[g] + offset));
    }
    return all;
}
#define SUM(loads, what) sum(loads, offsetof(struct load, what))

/* Each gateway has refused something; before that none had. */
static bool all_refuse(struct load *loads) {
    for (int g = 0; g < GATEWAYS; g++) {
        if (atomic_load(&loads[g].refused) == 0) {
            return false;
        }
    }
    return true;
}

/* ---- Cases ------------------------------------------------------------------------------------------------------ */

static void case_one_member(struct etcd *etcd, struct load *loads) {
    for (int i = 0; i < ETCD_MEMBERS; i++) {
        uint64_t before = SUM(loads, done);
        uint64_t refused = SUM(loads, refused);
        etcd_member_kill(etcd, i);
        sleep_s(1.5 * TTL_S);
        uint64_t done = SUM(loads, done) - before;
        report_case(done > 100 && SUM(loads, refused) == refused && SUM(loads, errors) == 0,
                    "member %d of etcd killed for %.0f s: nothing noticed, %llu commands", i, 1.5 * TTL_S,
                    (unsigned long long)done);
        etcd_member_restart(etcd, i);
        etcd_await(etcd);
    }
}

static void case_all_members(struct etcd *etcd, struct load *loads, struct process *const *coordinators) {
    uint64_t before = SUM(loads, done);
    uint64_t refused = SUM(loads, refused);
    for (int i = 0; i < ETCD_MEMBERS; i++) {
        etcd_member_kill(etcd, i);
    }
    double began = clock_s();
    sleep_s(TTL_S / 4.0);
    uint64_t early = SUM(loads, done) - before;
    report_case(early > 100 && SUM(loads, refused) == refused, "all of etcd killed: %llu commands go on at first",
                (unsigned long long)early);
    while (!all_refuse(loads) && clock_s() - began < 4 * TTL_S) {
        sleep_s(0.01);
    }
    double stopped = clock_s() - began;
    sleep_s(0.2);
    uint64_t at_stop = SUM(loads, done);
    sleep_s(1);
    report_case(refused == 0 && stopped > TTL_S * 0.5 && stopped < TTL_S + 1.5 && SUM(loads, done) == at_stop,
                "then both gateways refuse, %.1f s later (lease: %d s), and execute nothing any more", stopped, TTL_S);
    for (int i = 0; i < ETCD_MEMBERS; i++) {
        etcd_member_restart(etcd, i);
    }
    began = clock_s();
    etcd_await(etcd);
    while (SUM(loads, done) < at_stop + 100 && clock_s() - began < 20) {
        sleep_s(0.01);
    }
    report_case(SUM(loads, done) > at_stop + 100 && SUM(loads, errors) == 0,
                "etcd is started again: they go on %.1f s later, with no other error %s", clock_s() - began,
                loads[0].error);
    sleep_s(2.5 * TTL_S);
    report_case(count_lines(coordinators, COORDINATORS, "it is fenced") == 0, "and nobody was fenced for it");
}

static void case_hanging(struct cluster *cluster, struct load *loads, struct process *const *coordinators) {
    int fences = count_lines(coordinators, COORDINATORS, "it is fenced");
    int repairs = count_lines(&cluster->gateway[1], 1, "repaired ");
    kill(cluster->gateway[0]->pid, SIGSTOP);
    double began = clock_s();
    bool fenced = await_lines(coordinators, COORDINATORS, "it is fenced", fences, 20);
    double took = clock_s() - began;
    bool repaired = await_lines(&cluster->gateway[1], 1, "repaired ", repairs, 10);
    kill(cluster->gateway[0]->pid, SIGCONT);
    report_case(fenced && repaired && process_wait_end(cluster->gateway[0], 5),
                "a gateway that hangs is fenced after %.1f s (lease: %d ms), and repaired by the other", took,
                LEASE_MS);
    cluster->gateway[0] = cluster_start_gateway(cluster, NULL);
    loads[0].port = cluster->gateway[0]->port;
}

/* Of one gateway only: it stops by itself, before anybody takes it for dead. */
static void case_cut_off(struct cluster *cluster, struct etcd *etcd, struct process *const *coordinators) {
    struct wire wire;
    const char *reply = "";
    size_t length;
    char words[sizeof cluster->extra];
    char endpoint[64];
    memcpy(words, cluster->extra, sizeof words);
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d", etcd->client[0]);
    etcd_words(cluster->extra, sizeof cluster->extra, endpoint, TTL_S);
    struct process *gateway = cluster_start_gateway(cluster, NULL);
    memcpy(cluster->extra, words, sizeof words);
    bool served = wire_open(&wire, gateway->port) && wire_expect(&wire, "SET cut off", "+OK\r\n");
    int fences = count_lines(coordinators, COORDINATORS, "it is fenced");
    bool fenced = false;
    bool refused = false;
    etcd_member_kill(etcd, 0);
    for (double began = clock_s(); !fenced && clock_s() - began < 5 * TTL_S; sleep_s(0.05)) {
        fenced = count_lines(coordinators, COORDINATORS, "it is fenced") > fences;
        refused |= wire_ask(&wire, "GET cut", &reply, &length) == WIRE_OK && strstr(reply, "lease of this") != NULL;
    }
    report_case(served && refused, "a gateway that alone has lost etcd refuses, by its own clock");
    report_case(fenced && process_wait_end(gateway, 5), "then it is fenced, because its key is gone");
    struct ctl_result repair = ctl_run(cluster, "repair"); /* idle clients hold nobody up, so nobody hurries */
    report_case(repair.code == 0, "and can be repaired (exit code %d)", repair.code);
    wire_close(&wire);
    etcd_member_restart(etcd, 0);
    etcd_await(etcd);
}

/* The lease of the one that acts must run out first. */
static void case_coordinator_killed(const struct cluster *cluster, struct process **coordinators) {
    bool one = await_lines(coordinators, COORDINATORS, "this coordinator acts", 0, 10);
    if (!report_case(one, "one of %d coordinators acts", COORDINATORS)) {
        return;
    }
    struct process *acting = coordinators[process_log_contains(coordinators[1], "this coordinator acts")];
    struct process *other = coordinators[acting == coordinators[0]];
    kill(acting->pid, SIGKILL);
    process_wait_end(acting, 5);
    double began = clock_s();
    bool acts = await_lines(&other, 1, "this coordinator acts", 0, 4 * TTL_S + 5);
    report_case(acts, "it is killed: the other one acts, %.1f s later (lease: %d s)", clock_s() - began, TTL_S);
    coordinators[0] = other;
    coordinators[1] = coordinator_start(cluster);
}

int main(void) {
    struct etcd etcd = {.endpoints = ""};
    struct cluster cluster = {
        .memserver_count = 3, .replicas = 2, .memory_bytes = UINT64_C(64) << 20, .lease_ms = LEASE_MS};
    struct process *coordinators[COORDINATORS];
    struct load loads[GATEWAYS];
    etcd_start(&etcd);
    etcd_words(cluster.extra, sizeof cluster.extra, etcd.endpoints, TTL_S);
    cluster_start(&cluster);
    for (; cluster.gateway_count < GATEWAYS; cluster.gateway_count++) {
        cluster.gateway[cluster.gateway_count] = cluster_start_gateway(&cluster, NULL);
    }
    for (int i = 0; i < COORDINATORS; i++) {
        coordinators[i] = coordinator_start(&cluster);
    }
    loads_start(loads, &cluster);
    sleep_s(1);
    case_coordinator_killed(&cluster, coordinators);
    case_one_member(&etcd, loads);
    case_all_members(&etcd, loads, coordinators);
    case_hanging(&cluster, loads, coordinators);
    case_cut_off(&cluster, &etcd, coordinators);
    for (int g = 0; g < GATEWAYS; g++) {
        atomic_store(&loads[g].ending, true);
        pthread_join(loads[g].thread, NULL);
    }
    struct ctl_result check = ctl_run(&cluster, "check");
    report_case(check.code == 0 || check.code == 5, "the pool is in order (exit code %d)", check.code);
    report_case(process_stop(coordinators[0], SIGTERM) == 0 && process_stop(coordinators[1], SIGTERM) == 0,
                "the coordinators end with exit code 0 after SIGTERM");
    report_case(cluster_stop(&cluster), "and so does every other process of the pool");
    etcd_stop(&etcd);
    return report_finish();
}
