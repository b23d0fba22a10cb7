/* etcd_servers.c: see etcd_servers.h. */
#include "etcd_servers.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "report.h"

#define READY_S 30

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

/* Each serves once a leader is elected. */
void etcd_await(const struct etcd *etcd) {
    for (double began = clock_s();;) {
        bool ready = true;
        for (int i = 0; i < ETCD_MEMBERS; i++) {
            ready &= process_log_contains(etcd->member[i], "serving client traffic");
        }
        if (ready) {
            return;
        }
        if (clock_s() - began > READY_S) {
            report_abort("etcd does not become ready");
        }
        sleep_s(0.05);
    }
}

void etcd_start(struct etcd *etcd) {
    size_t length = 0;
    for (int i = 0; i < ETCD_MEMBERS; i++) {
        etcd->client[i] = process_free_port();
        etcd->peer[i] = process_free_port();
        length += (size_t)snprintf(etcd->endpoints + length, sizeof etcd->endpoints - length, "%shttp://127.0.0.1:%d",
                                   i == 0 ? "" : ",", etcd->client[i]);
    }
    for (int i = 0; i < ETCD_MEMBERS; i++) {
        member_start(etcd, i, false);
    }
    etcd_await(etcd);
}

void etcd_member_kill(struct etcd *etcd, int i) {
    kill(etcd->member[i]->pid, SIGKILL);
    process_wait_end(etcd->member[i], 5);
}

void etcd_member_restart(struct etcd *etcd, int i) { member_start(etcd, i, true); }

void etcd_stop(struct etcd *etcd) {
    for (int i = 0; i < ETCD_MEMBERS; i++) {
        process_stop(etcd->member[i], SIGTERM);
    }
}

void etcd_words(char *out, size_t out_bytes, const char *endpoints, int ttl_s) {
    snprintf(out, out_bytes, "--coordinator.kind=etcd --coordinator.etcd=%s --coordinator.ttl=%d", endpoints, ttl_s);
}
