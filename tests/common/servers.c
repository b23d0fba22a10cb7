/* servers.c: see servers.h. */
#include "servers.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

#define SOCKET_TIMEOUT_S 20.0

/* Over RDMA when the environment names the address of the memory nodes' adapter; NULL: over shared memory. */
static const char *rdma_address(void) {
    const char *address = getenv("FUSEGATE_TEST_RDMA");
    return address && *address ? address : NULL;
}

static void args_add_words(struct process_args *args, const char *words) {
    char *copy = strdup(words), *rest = NULL;
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        process_args_add(args, "%s", word);
    free(copy);
}

/* What both programs share then. */
static void rdma_args_add(struct process_args *args) {
    const char *words = getenv("FUSEGATE_TEST_RDMA_ARGS"), *secret = getenv("FUSEGATE_TEST_SECRET");
    args_add_words(args, words ? words : "");
    if (secret)
        process_args_add(args, "--rdma.secret_file=%s", secret);
}

const char *servers_path(const char *binary) {
    static char path[2][512];
    static int next;
    const char *build = getenv("BUILD");
    char *out = path[next++ % 2];
    snprintf(out, sizeof path[0], "%s/%s", build && *build ? build : "build", binary);
    return out;
}

static void args_move(struct process_args *args, struct process_args *extra) {
    if (!extra)
        return;
    for (int i = 0; i < extra->argc; i++) {
        process_args_add(args, "%s", extra->argv[i]);
        free(extra->argv[i]);
    }
    *extra = (struct process_args){.argc = 0};
}

static struct process *ready(struct process *process) {
    if (!process_wait_ready(process))
        report_abort("%s does not answer at port %d", process->name, process->port);
    return process;
}

struct process *servers_start_redis(struct process_args *extra) {
    struct process_args args = {.argc = 0};
    int port = process_free_port();
    process_args_add(&args, "redis-server");
    process_args_add(&args, "--port");
    process_args_add(&args, "%d", port);
    const char *const options[] = {"--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        process_args_add(&args, "%s", options[i]);
    process_args_add(&args, "--dir");
    process_args_add(&args, "%s", process_directory());
    args_move(&args, extra);
    return ready(process_start("redis-server", port, &args));
}

struct process *servers_launch_fusegate(int port, struct process_args *extra) {
    struct process_args args = {.argc = 0};
    process_args_add(&args, "%s", servers_path("fusegate"));
    args_move(&args, extra); /* a configuration file comes first */
    process_args_add(&args, "--gateway.port=%d", port);
    return process_start("fusegate", port, &args);
}

struct process *servers_start_fusegate(struct process_args *extra) {
    return ready(servers_launch_fusegate(process_free_port(), extra));
}

static void words_add(struct process_args *args, const char *words) {
    char *copy = strdup(words), *rest = NULL;
    strtok_r(copy, " ", &rest);
    for (char *word; (word = strtok_r(NULL, " ", &rest));)
        process_args_add(args, "%s", word);
    free(copy);
}

static bool is_named(const char *words, const char *name) {
    return strcspn(words, " ") == strlen(name) && strncmp(words, name, strlen(name)) == 0;
}

struct process *servers_start_named(const char *words) {
    struct process_args extra = {.argc = 0};
    words_add(&extra, words);
    if (is_named(words, "redis"))
        return servers_start_redis(&extra);
    if (is_named(words, "fusegate"))
        return servers_start_fusegate(&extra);
    if (!is_named(words, "cluster"))
        report_abort("no server '%s'", words);
    struct cluster cluster = {.memserver_count = 3, .memory_bytes = CLUSTER_NODE_BYTES};
    cluster_start(&cluster);
    return cluster_start_gateway(&cluster, &extra);
}

struct process *cluster_launch_memserver(const struct cluster *cluster, int i) {
    struct process_args args = {.argc = 0};
    process_args_add(&args, "%s", servers_path("fusegate-memserver"));
    process_args_add(&args, "--memserver.listen=%s", cluster->socket[i]);
    process_args_add(&args, "--memserver.memory=%llu", (unsigned long long)cluster->memory_bytes);
    if (rdma_address())
        rdma_args_add(&args);
    return process_start("memserver", 0, &args);
}

void cluster_start_memserver(struct cluster *cluster, int i) {
    struct process *process = cluster->memserver[i] = cluster_launch_memserver(cluster, i);
    double end = clock_s() + SOCKET_TIMEOUT_S;
    while (!process_log_contains(process, "ready")) {
        if (!process_alive(process) || clock_s() > end)
            report_abort("fusegate-memserver does not become ready at %s", cluster->socket[i]);
        sleep_s(0.01);
    }
}

const char *cluster_memservers(const struct cluster *cluster, const int *order) {
    static char text[CLUSTER_MAX * 130];
    size_t length = 0;
    for (int i = 0; i < cluster->memserver_count; i++) {
        const char *path = cluster->socket[order ? order[i] : i];
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%s", i ? "," : "", path);
    }
    return text;
}

void cluster_args_add(struct process_args *args, const struct cluster *cluster) {
    process_args_add(args, "--pool.memservers=%s", cluster_memservers(cluster, NULL));
    if (rdma_address()) {
        process_args_add(args, "--pool.fabric=verbs");
        rdma_args_add(args);
    }
    args_add_words(args, cluster->extra);
}

struct process *cluster_start_gateway(struct cluster *cluster, struct process_args *extra) {
    struct process_args args = {.argc = 0};
    cluster_args_add(&args, cluster);
    if (cluster->lease_ms > 0)
        process_args_add(&args, "--pool.lease_ms=%d", cluster->lease_ms);
    if (cluster->replicas > 0)
        process_args_add(&args, "--pool.replicas=%d", cluster->replicas);
    args_move(&args, extra);
    return servers_start_fusegate(&args);
}

void cluster_start(struct cluster *cluster) {
    static unsigned number;
    number++;
    for (int i = 0; i < cluster->memserver_count; i++) {
        char *socket = cluster->socket[i];
        if (rdma_address())
            snprintf(socket, sizeof cluster->socket[i], "rdma://%s:%d", rdma_address(), process_free_port());
        else
            snprintf(socket, sizeof cluster->socket[i], "%s/memory-%u-%d.sock", process_directory(), number, i);
        cluster_start_memserver(cluster, i);
    }
    for (int i = 0; i < cluster->gateway_count; i++)
        cluster->gateway[i] = cluster_start_gateway(cluster, NULL);
}

bool cluster_stop(struct cluster *cluster) {
    bool clean = true;
    for (int i = 0; i < cluster->gateway_count; i++)
        clean &= process_stop(cluster->gateway[i], SIGTERM) == 0;
    for (int i = 0; i < cluster->memserver_count; i++)
        clean &= process_stop(cluster->memserver[i], SIGTERM) == 0;
    return clean;
}
