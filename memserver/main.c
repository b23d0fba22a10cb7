/* main.c: fusegate-memserver: one memory node. Gets its memory, hands it to clients through the control socket, and
 * sleeps until SIGTERM or SIGINT. One thread. Exit code 0 after a signal, 1 when it could not start or go on. */
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

static const char usage[] = "usage: fusegate-memserver [FILE] [--memserver.KEY=VALUE]...\n"
                            "\n"
                            "One memory node of a Fusegate pool. FILE is an INI file; keys of section [memserver]:\n"
                            "  listen     path of the control socket (default /tmp/fusegate-memserver.sock)\n"
                            "  memory     size of the memory, with kb, mb, gb or tb (default 1gb)\n"
                            "  numa_node  NUMA node that the memory is bound to, -1 = any (default -1)\n"
                            "  log_level  debug, verbose, notice or warning (default notice)\n"
                            "Sections [gateway] and [pool] are the gateway's and are skipped.\n"
                            "\n"
                            "  --help     this text\n"
                            "  --version  the version\n";

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

static bool serve(const struct node_config *config, const struct memory *memory, int signals) {
    char error[512];
    struct control *control;
    if (!control_open(config->listen, memory, &control, error, sizeof error)) {
        node_log(DM_LOG_WARNING, "%s", error);
        return false;
    }
    node_log(DM_LOG_NOTICE, "ready on %s", config->listen);
    bool served = control_run(control, signals);
    struct signalfd_siginfo received;
    if (served && read(signals, &received, sizeof received) == (ssize_t)sizeof received)
        node_log(DM_LOG_NOTICE, "%s from pid %" PRIu32 ": ending", strsignal((int)received.ssi_signo),
                 received.ssi_pid);
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
    if (serve(config, &memory, signals))
        exit_code = EXIT_SUCCESS;
    memory_close(&memory);
out_signals:
    close(signals);
    return exit_code;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(usage, stdout);
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
