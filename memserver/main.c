/* main.c: fusegate-memserver: one memory node. Gets its memory, hands it to clients, through the control socket on this
 * host or over RDMA, and sleeps until SIGTERM or SIGINT. Never both ways: the CPU's atomic operations on a word and the
 * adapter's are not atomic against each other. One thread. Exit code 0 after a signal, 1 when it could not start or go
 * on. */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "control.h"
#include "dm.h"
#include "memory.h"
#include "node_config.h"
#include "node_log.h"
#include "rdma_setting.h"
#include "verbs_server.h"

static const char usage[] =
    "usage: fusegate-memserver [FILE] [--section.KEY=VALUE]...\n"
    "\n"
    "One memory node of a Fusegate pool. FILE is an INI file; keys of section [memserver]:\n"
    "  listen     path of a control socket, or rdma://address:port (default /tmp/fusegate-memserver.sock)\n"
    "  memory     size of the memory, with kb, mb, gb or tb (default 1gb)\n"
    "  numa_node  NUMA node that the memory is bound to, -1 = any (default -1)\n"
    "  log_level  debug, verbose, notice or warning (default notice)\n"
    "Keys of section [rdma], for rdma:// (see docs/rdma.md):\n";
static const char usage_end[] = "Sections [gateway] and [pool] are the gateway's and are skipped.\n"
                                "\n"
                                "  --help     this text\n"
                                "  --version  the version\n";

static void usage_print(void) {
    size_t count;
    const struct rdma_key *keys = rdma_keys(&count);
    fputs(usage, stdout);
    for (size_t i = 0; i < count; i++)
        printf("  %-14s %s%s%s\n", keys[i].name, keys[i].help, keys[i].default_text[0] ? "; default " : "",
               keys[i].default_text);
    fputs(usage_end, stdout);
}

/* A descriptor that becomes readable on SIGTERM and SIGINT; -1 when there is none. */
static int signals_open(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    signal(SIGPIPE, SIG_IGN); /* a log whose reader has gone must not end the node */
    if (sigprocmask(SIG_BLOCK, &signals, NULL) != 0)
        return -1;
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void memory_log(const struct memory *memory, int numa_node) {
    char place[32] = "any NUMA node";
    if (numa_node >= 0)
        snprintf(place, sizeof place, "NUMA node %d", numa_node);
    node_log(DM_LOG_NOTICE, "memory: %" PRIu64 " bytes (%" PRIu64 " MiB), pages of %" PRIu64 " KiB%s, %s",
             memory->bytes, memory->bytes >> 20, memory->page_bytes >> 10, memory->huge_pages ? " (huge)" : "", place);
    if (memory->note[0])
        node_log(DM_LOG_NOTICE, "memory: %s", memory->note);
}

static void signal_log(int signals) {
    struct signalfd_siginfo received;
    if (read(signals, &received, sizeof received) == (ssize_t)sizeof received)
        node_log(DM_LOG_NOTICE, "%s from pid %" PRIu32 ": ending", strsignal((int)received.ssi_signo),
                 received.ssi_pid);
}

static bool serve_rdma(const struct node_config *config, const struct memory *memory, int signals) {
    char error[1024];
    uint8_t secret[256];
    struct dm_verbs_config verbs;
    const struct verbs_server_config server_config = {.listen = config->listen, .verbs = &verbs};
    struct verbs_server *server;
    bool served = false;
    if (!rdma_setting_apply(&config->rdma, &verbs, secret, error, sizeof error) ||
        !verbs_server_open(&server_config, memory, &server, error, sizeof error)) {
        node_log(DM_LOG_WARNING, "%s", error);
    } else {
        node_log(DM_LOG_NOTICE, "ready on %s (port %u)", config->listen, verbs_server_port(server));
        served = verbs_server_run(server, signals);
        if (served)
            signal_log(signals);
        verbs_server_close(server);
    }
    explicit_bzero(secret, sizeof secret);
    return served;
}

static bool serve_local(const struct node_config *config, const struct memory *memory, int signals) {
    char error[512];
    struct control *control;
    if (!control_open(config->listen, memory, &control, error, sizeof error)) {
        node_log(DM_LOG_WARNING, "%s", error);
        return false;
    }
    node_log(DM_LOG_NOTICE, "ready on %s", config->listen);
    bool served = control_run(control, signals);
    if (served)
        signal_log(signals);
    control_close(control);
    return served;
}

static int node_run(const struct node_config *config) {
    char error[512];
    struct memory memory;
    int exit_code = EXIT_FAILURE;
    int signals = signals_open();
    if (signals < 0) {
        node_log(DM_LOG_WARNING, "cannot receive signals: %s", strerror(errno));
        return exit_code;
    }
    node_log(DM_LOG_NOTICE, "fusegate-memserver %s, pid %ld", DM_VERSION, (long)getpid());
    if (!memory_open(&memory, config->memory_bytes, config->numa_node, true, error, sizeof error)) {
        node_log(DM_LOG_WARNING, "%s", error);
        goto out_signals;
    }
    memory_log(&memory, config->numa_node);
    const bool rdma = strncmp(config->listen, RDMA_ADDRESS_PREFIX, strlen(RDMA_ADDRESS_PREFIX)) == 0;
    if (rdma ? serve_rdma(config, &memory, signals) : serve_local(config, &memory, signals))
        exit_code = EXIT_SUCCESS;
    memory_close(&memory);
out_signals:
    close(signals);
    return exit_code;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            usage_print();
            return EXIT_SUCCESS;
        }
        if (strcmp(argv[i], "--version") == 0) {
            puts("fusegate-memserver " DM_VERSION);
            return EXIT_SUCCESS;
        }
    }
    struct node_config config;
    char error[1024];
    node_config_defaults(&config);
    if (!node_config_load(&config, argc - 1, argv + 1, error, sizeof error)) {
        fprintf(stderr, "fusegate-memserver: %s\n", error);
        return EXIT_FAILURE;
    }
    node_log_level_set(config.log_level);
    return node_run(&config);
}
