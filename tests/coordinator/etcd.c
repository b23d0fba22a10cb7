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
#include "report.h"
#include "wire.h"

#define MEMBERS 3
#define GATEWAYS 2
#define COORDINATORS 2
#define TTL_S 3
#define LEASE_MS 600

struct etcd {
    struct process *member[MEMBERS];
    int client[MEMBERS], peer[MEMBERS];
    char endpoints[256];
};

/* ---- etcd ------------------------------------------------------------------------------------------------------- */

static void member_start(struct etcd *etcd, int i, bool again) {
    struct process_args args = {.argc = 0};
    process_args_add(&args, "etcd");
    process_args_add(&args, "--name=m%d", i);
    process_args_add(&args, "--data-dir=%s/etcd-%d", process_directory(), i);
    process_args_add(&args, "--listen-client-urls=http://127.0.0.1:%d", etcd->client[i]);
    process_args_add(&args, "--advertise-client-urls=http://127.0.0.1:%d", etcd->client[i]);
    process_args_add(&args, "--listen-peer-urls=http://127.0.0.1:%d", etcd->peer[i]);
    process_args_add(&args, "--initial-advertise-peer-urls=http://127.0.0.1:%d", etcd->peer[i]);
    process_args_add(&args, "--initial-cluster=m0=http://127.0.0.1:%d,m1=http://127.0.0.1:%d,m2=http://127.0.0.1:%d",
                     etcd->peer[0], etcd->peer[1], etcd->peer[2]);
    process_args_add(&args, "--initial-cluster-state=%s", again ? "existing" : "new");
    process_args_add(&args, "--heartbeat-interval=50");
    process_args_add(&args, "--election-timeout=500");
    process_args_add(&args, "--logger=zap");
    etcd->member[i] = process_start("etcd", 0, &args);
}

/* It serves once a leader is elected. */
static void etcd_await(const struct etcd *etcd) {
    for (double began = clock_s();;) {
        bool ready = true;
        for (int i = 0; i < MEMBERS; i++) {
            ready &= process_log_contains(etcd->member[i], "serving client traffic");
        }
        if (ready) {
            return;
        }
        if (clock_s() - began > 30) {
            report_abort("etcd does not become ready");
        }
        sleep_s(0.05);
    }
}

static void etcd_start(struct etcd *etcd) {
    size_t length = 0;
    for (int i = 0; i < MEMBERS; i++) {
        etcd->client[i] = process_free_port();
        etcd->peer[i] = process_free_port();
        length += (size_t)snprintf(etcd->endpoints + length, sizeof etcd->endpoints - length, "%shttp://127.0.0.1:%d",
                                   i == 0 ? "" : ",", etcd->client[i]);
    }
    for (int i = 0; i < MEMBERS; i++) {
        member_start(etcd, i, false);
    }
    etcd_await(etcd);
}

static void member_kill(struct etcd *etcd, int i) {
    kill(etcd->member[i]->pid, SIGKILL);
    process_wait_end(etcd->member[i], 5);
}

/* ---- Cluster ---------------------------------------------------------------------------------------------------- */

static void etcd_args_add(struct process_args *args, const struct etcd *etcd) {
    process_args_add(args, "--coordinator.kind=etcd");
    process_args_add(args, "--coordinator.etcd=%s", etcd->endpoints);
    process_args_add(args, "--coordinator.ttl=%d", TTL_S);
}

static struct process *gateway_start(struct cluster *cluster, const struct etcd *etcd) {
    struct process_args args = {.argc = 0};
    etcd_args_add(&args, etcd);
    return cluster_start_gateway(cluster, &args);
}

static struct process *coordinator_start(const struct cluster *cluster, const struct etcd *etcd) {
    struct process_args args = {.argc = 0};
    process_args_add(&args, "%s", servers_path("fusegate-coordinator"));
    cluster_args_add(&args, cluster);
    etcd_args_add(&args, etcd);
    return process_start("coordinator", 0, &args);
}

/* In one of the logs, within a time. */
static struct process *await_line(struct process *const *processes, int count, const char *text, double seconds) {
    for (double began = clock_s(); clock_s() - began < seconds; sleep_s(0.02)) {
        for (int i = 0; i < count; i++) {
            if (process_log_contains(processes[i], text)) {
                return processes[i];
            }
        }
    }
    return NULL;
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

/* ---- Cases ------------------------------------------------------------------------------------------------------ */

static void case_one_member(struct etcd *etcd, struct load *loads) {
    for (int i = 0; i < MEMBERS; i++) {
        uint64_t before = SUM(loads, done);
        uint64_t refused = SUM(loads, refused);
        member_kill(etcd, i);
        sleep_s(1.5 * TTL_S);
        uint64_t done = SUM(loads, done) - before;
        report_case(done > 100 && SUM(loads, refused) == refused && SUM(loads, errors) == 0,
                    "member %d of etcd killed for %.0f s: nothing noticed, %llu commands", i, 1.5 * TTL_S,
                    (unsigned long long)done);
        member_start(etcd, i, true);
        etcd_await(etcd);
    }
}

static void case_all_members(struct etcd *etcd, struct load *loads, struct process *const *coordinators) {
    uint64_t before = SUM(loads, done);
    uint64_t refused = SUM(loads, refused);
    for (int i = 0; i < MEMBERS; i++) {
        member_kill(etcd, i);
    }
    double began = clock_s();
    sleep_s(TTL_S / 4.0);
    uint64_t early = SUM(loads, done) - before;
    report_case(early > 100 && SUM(loads, refused) == refused, "all of etcd killed: %llu commands go on at first",
                (unsigned long long)early);
    while (SUM(loads, refused) < refused + 2 * GATEWAYS && clock_s() - began < 4 * TTL_S) {
        sleep_s(0.01);
    }
    double stopped = clock_s() - began;
    sleep_s(0.2);
    uint64_t at_stop = SUM(loads, done);
    sleep_s(1);
    report_case(stopped > TTL_S * 0.5 && stopped < TTL_S + 1.5 && SUM(loads, done) == at_stop,
                "then both gateways refuse, %.1f s later (lease: %d s), and execute nothing any more", stopped, TTL_S);
    for (int i = 0; i < MEMBERS; i++) {
        member_start(etcd, i, true);
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
    report_case(await_line(coordinators, COORDINATORS, "it is fenced", 0.1) == NULL, "and nobody was fenced for it");
}

static void case_hanging(struct cluster *cluster, const struct etcd *etcd, struct load *loads,
                         struct process *const *coordinators) {
    kill(cluster->gateway[0]->pid, SIGSTOP);
    double began = clock_s();
    struct process *by = await_line(coordinators, COORDINATORS, "it is fenced", 20);
    double took = clock_s() - began;
    bool repaired = await_line(&cluster->gateway[1], 1, "repaired ", 10) != NULL;
    kill(cluster->gateway[0]->pid, SIGCONT);
    report_case(by != NULL && repaired && process_wait_end(cluster->gateway[0], 5),
                "a gateway that hangs is fenced after %.1f s (lease: %d ms), and repaired by the other", took,
                LEASE_MS);
    cluster->gateway[0] = gateway_start(cluster, etcd);
    loads[0].port = cluster->gateway[0]->port;
}

/* The lease of the one that acts must run out first. */
static void case_coordinator_killed(const struct cluster *cluster, const struct etcd *etcd,
                                    struct process **coordinators) {
    struct process *acting = await_line(coordinators, COORDINATORS, "this coordinator acts", 10);
    if (!report_case(acting != NULL, "one of %d coordinators acts", COORDINATORS)) {
        return;
    }
    struct process *other = coordinators[acting == coordinators[0]];
    kill(acting->pid, SIGKILL);
    process_wait_end(acting, 5);
    double began = clock_s();
    bool acts = await_line(&other, 1, "this coordinator acts", 4 * TTL_S + 5) != NULL;
    report_case(acts, "it is killed: the other one acts, %.1f s later (lease: %d s)", clock_s() - began, TTL_S);
    coordinators[0] = other;
    coordinators[1] = coordinator_start(cluster, etcd);
}

int main(void) {
    struct etcd etcd = {.endpoints = ""};
    struct cluster cluster = {
        .memserver_count = 3, .replicas = 2, .memory_bytes = UINT64_C(64) << 20, .lease_ms = LEASE_MS};
    struct process *coordinators[COORDINATORS];
    struct load loads[GATEWAYS];
    etcd_start(&etcd);
    cluster_start(&cluster);
    for (; cluster.gateway_count < GATEWAYS; cluster.gateway_count++) {
        cluster.gateway[cluster.gateway_count] = gateway_start(&cluster, &etcd);
    }
    for (int i = 0; i < COORDINATORS; i++) {
        coordinators[i] = coordinator_start(&cluster, &etcd);
    }
    loads_start(loads, &cluster);
    sleep_s(1);
    case_coordinator_killed(&cluster, &etcd, coordinators);
    case_one_member(&etcd, loads);
    case_all_members(&etcd, loads, coordinators);
    case_hanging(&cluster, &etcd, loads, coordinators);
    for (int g = 0; g < GATEWAYS; g++) {
        atomic_store(&loads[g].ending, true);
        pthread_join(loads[g].thread, NULL);
    }
    struct ctl_result check = ctl_run(&cluster, "check");
    report_case(check.code == 0 || check.code == 5, "the pool is in order (exit code %d)", check.code);
    report_case(process_stop(coordinators[0], SIGTERM) == 0 && process_stop(coordinators[1], SIGTERM) == 0,
                "the coordinators end with exit code 0 after SIGTERM");
    report_case(cluster_stop(&cluster), "and so does every other process of the pool");
    for (int i = 0; i < MEMBERS; i++) {
        process_stop(etcd.member[i], SIGTERM);
    }
    return report_finish();
}
