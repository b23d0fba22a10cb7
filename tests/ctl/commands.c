/* commands.c: fusegate-ctl on a cluster of real processes: what status, check, repair and remove-gateway say and do
 * while gateways work, are killed and hang, and their exit codes. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl_run.h"
#include "report.h"
#include "wire.h"

#define GATEWAYS 2
#define KEYS 500

struct load {
    int port;
    _Atomic bool ending;
    _Atomic uint64_t written;
    pthread_t thread;
};

/* SETs, INCRs, MSETs and DELs of a few keys until told to end, or the gateway goes. */
static void *load_main(void *argument) {
    struct load *load = argument;
    struct prng prng = {.state = (uint64_t)load->port};
    struct wire wire;
    const char *reply;
    size_t length;
    bool open = wire_open(&wire, load->port);
    while (open && !atomic_load(&load->ending)) {
        char words[160];
        unsigned key = (unsigned)prng_below(&prng, KEYS);
        static const char *const commands[] = {"SET key:%u value:%u", "INCR count:%u", "MSET key:%u a%u key:both b",
                                               "DEL key:%u"};
        snprintf(words, sizeof words, commands[prng_below(&prng, 4)], key, key);
        open = wire_ask(&wire, words, &reply, &length) == WIRE_OK;
        atomic_fetch_add(&load->written, open);
    }
    wire_close(&wire);
    return NULL;
}

static void load_start(struct load *load, const struct process *gateway) {
    *load = (struct load){.port = gateway->port};
    if (pthread_create(&load->thread, NULL, load_main, load) != 0) {
        report_abort("no thread");
    }
}

static void load_end(struct load *load) {
    atomic_store(&load->ending, true);
    pthread_join(load->thread, NULL);
}

/* Prints what it said when it was not as it must be. */
static void expect(bool right, const struct ctl_result *result, const char *what) {
    if (!report_case(right, "%s (exit code %d, %.0f ms)", what, result->code, result->took_s * 1e3)) {
        printf("%s\n", result->text);
    }
}

static void case_arguments(const struct cluster *cluster) {
    struct ctl_result result = ctl_run(cluster, "mend");
    expect(result.code == 2 && strstr(result.text, "no command 'mend'") != NULL, &result, "an unknown command");
    result = ctl_run(cluster, "status --pool.replica=3");
    expect(result.code == 2 && strstr(result.text, "no such key") != NULL, &result, "an unknown key");
    result = ctl_run(cluster, "check --patience=soon");
    expect(result.code == 2 && strstr(result.text, "whole number") != NULL, &result, "a time that is none");
    result = ctl_run(cluster, "remove-gateway");
    expect(result.code == 2, &result, "remove-gateway without an ID");
    result = ctl_run(cluster, "remove-gateway 1");
    expect(result.code == 1 && strstr(result.text, "status shows them") != NULL, &result,
           "remove-gateway of a process that is no gateway");
}

static void case_alive(const struct cluster *cluster) {
    struct load loads[GATEWAYS];
    char gateway[64];
    for (int g = 0; g < GATEWAYS; g++) {
        load_start(&loads[g], cluster->gateway[g]);
    }
    sleep_s(0.3);
    struct ctl_result result = ctl_run(cluster, "status --json");
    snprintf(gateway, sizeof gateway, "\"gateway\":\"%d\"", (int)cluster->gateway[0]->pid);
    expect(result.code == 0 && ctl_number(&result, "dead_clients") == 0 && strstr(result.text, gateway) != NULL &&
               ctl_number(&result, "memory_nodes_down") == 0,
           &result, "status of a pool at work: nobody is dead");
    result = ctl_run(cluster, "status");
    expect(result.code == 0 && strstr(result.text, "at work") != NULL, &result, "the same for people");
    for (int i = 0; i < 3; i++) {
        result = ctl_run(cluster, "check --json");
        expect(result.code == 0 && ctl_number(&result, "faults") == 0 && ctl_number(&result, "objects_read") > 0,
               &result, "check of a pool at work: in order");
    }
    uint64_t written = 0;
    for (int g = 0; g < GATEWAYS; g++) {
        load_end(&loads[g]);
        written += atomic_load(&loads[g].written);
    }
    report_case(written > 1000, "%llu commands were executed meanwhile", (unsigned long long)written);
}

/* Nobody is left who would repair by itself. */
static void case_killed(struct cluster *cluster) {
    struct load loads[GATEWAYS];
    for (int g = 0; g < GATEWAYS; g++) {
        load_start(&loads[g], cluster->gateway[g]);
    }
    sleep_s(0.3);
    for (int g = 0; g < GATEWAYS; g++) {
        kill(cluster->gateway[g]->pid, SIGKILL);
        process_wait_end(cluster->gateway[g], 5);
        load_end(&loads[g]);
    }
    struct ctl_result result = ctl_run(cluster, "status --json");
    expect(result.code == 3 && ctl_number(&result, "dead_clients") >= GATEWAYS, &result,
           "status behind kill -9 of all gateways: they are dead");
    result = ctl_run(cluster, "check --patience=1");
    expect(result.code == 0, &result, "check before the repair: what the dead have left is no fault");
    result = ctl_run(cluster, "repair --json");
    expect(result.code == 0 && ctl_number(&result, "repaired") >= GATEWAYS && ctl_number(&result, "dead") == 0, &result,
           "repair repairs them");
    result = ctl_run(cluster, "status --json");
    expect(result.code == 0 && ctl_number(&result, "dead_clients") == 0, &result, "then nobody is dead");
    result = ctl_run(cluster, "check --json");
    expect((result.code == 0 || result.code == 5) && ctl_number(&result, "bytes_owned") == 0 &&
               ctl_number(&result, "rounds_open") == 0 && strstr(result.text, "\"lost_judged\":true") != NULL,
           &result, "check: in order, and every byte accounted for");
    result = ctl_run(cluster, "repair");
    expect(result.code == 0 && strstr(result.text, "no client is dead") != NULL, &result, "nothing is left to repair");
    for (int g = 0; g < GATEWAYS; g++) {
        cluster->gateway[g] = cluster_start_gateway(cluster, NULL);
    }
}

/* It keeps the epoch where it is; killed, it is repaired like any other. */
static void case_hanging(struct cluster *cluster) {
    struct load load;
    char words[64];
    load_start(&load, cluster->gateway[0]);
    sleep_s(0.3);
    kill(cluster->gateway[0]->pid, SIGSTOP);
    struct ctl_result result = ctl_run(cluster, "repair --timeout=1");
    expect(result.code == 0 && strstr(result.text, "no client is dead") != NULL, &result,
           "a gateway that is stopped is not dead, and is not repaired");
    snprintf(words, sizeof words, "remove-gateway %d", (int)cluster->gateway[0]->pid);
    result = ctl_run(cluster, words);
    expect(result.code == 0, &result, "remove-gateway ends and repairs it");
    report_case(process_wait_end(cluster->gateway[0], 1) && process_exit_code(cluster->gateway[0]) == 128 + SIGKILL,
                "its process was killed");
    load_end(&load);
    result = ctl_run(cluster, "status --json");
    expect(result.code == 0 && ctl_number(&result, "dead_clients") == 0, &result, "nobody is dead behind it");
    result = ctl_run(cluster, "check");
    expect(result.code == 0 || result.code == 5, &result, "and the pool is in order");
    cluster->gateway[0] = cluster_start_gateway(cluster, NULL);
}

static void case_node_gone(struct cluster *cluster) {
    process_stop(cluster->memserver[1], SIGTERM);
    struct ctl_result result = ctl_run(cluster, "status");
    expect(result.code == 3 && strstr(result.text, "NOT REACHABLE") != NULL, &result,
           "status names the memory node that has gone");
    result = ctl_run(cluster, "check");
    expect(result.code == 1 && strstr(result.text, "memory node 1") != NULL, &result, "check says what it misses");
}

int main(void) {
    struct cluster cluster = {.memserver_count = 3, .gateway_count = 0, .replicas = 3, .memory_bytes = 64u << 20};
    cluster_start(&cluster);
    struct ctl_result result = ctl_run(&cluster, "status");
    expect(result.code == 1 && strstr(result.text, "hold no pool yet") != NULL, &result, "blank memory is left alone");
    for (; cluster.gateway_count < GATEWAYS; cluster.gateway_count++) {
        cluster.gateway[cluster.gateway_count] = cluster_start_gateway(&cluster, NULL);
    }
    case_arguments(&cluster);
    case_alive(&cluster);
    case_killed(&cluster);
    case_hanging(&cluster);
    for (int g = 0; g < GATEWAYS; g++) {
        report_case(process_stop(cluster.gateway[g], SIGTERM) == 0, "gateway %d ends with exit code 0", g);
    }
    case_node_gone(&cluster);
    return report_finish();
}
