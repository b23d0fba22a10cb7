/* gateway_process.c: see gateway_process.h. */
#define _GNU_SOURCE
#include "gateway_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "config.h"
#include "fuzz.h"
#include "log.h"
#include "process.h"
#include "server.h"

#define START_POLLS_MAX 1000
#define POLL_US 10000
#define ARGUMENTS 12

static struct config gateway_config;
static bool gateway_started, end_registered;

static void *gateway_run(void *unused) {
    (void)unused;
    server_run(&gateway_config);
    fuzz_fault("the gateway has ended");
}

/* libFuzzer ends by exit(): what libraries have registered for that must not run under the gateway's feet. */
static void end_at_once(void) {
    DIR *directory = opendir(process_directory());
    char path[600];

    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", process_directory(), entry->d_name);
        unlink(path);
    }
    rmdir(process_directory());
    _exit(EXIT_SUCCESS); /* a fault has ended it before, and otherwise */
}

static bool unix_connect(struct wire *wire) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, gateway_config.unixsocket, sizeof address.sun_path - 1);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return false;
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    *wire = (struct wire){.fd = fd, .timeout_s = 20};
    return true;
}

static void gateway_start(void) {
    char text[ARGUMENTS][600], *argv[ARGUMENTS], error[1024];
    pthread_t thread;
    int argc = 0;

    snprintf(text[argc++], 600, "--gateway.unixsocket=%s/fuzz", process_directory());
    snprintf(text[argc++], 600, "--gateway.port=%d", process_free_port());
    snprintf(text[argc++], 600, "--gateway.bus_port=%d", process_free_port());
    snprintf(text[argc++], 600, "--gateway.metrics_port=%d", process_free_port());
    snprintf(text[argc++], 600, "--gateway.peers_secret=" GATEWAY_SECRET);
    snprintf(text[argc++], 600, "--gateway.workers=1");
    snprintf(text[argc++], 600, "--pool.subtables=4"); /* a small index is soon scanned */
    snprintf(text[argc++], 600, "--memserver.memory=16mb");
    for (int i = 0; i < argc; i++) {
        argv[i] = text[i];
    }
    log_level_set((enum dm_log_level)(DM_LOG_WARNING + 1)); /* nothing: an input may earn a warning each */
    if (!config_load(&gateway_config, argc, argv, error, sizeof error)) {
        fuzz_fault("the gateway's configuration: %s", error);
    }
    if (pthread_create(&thread, NULL, gateway_run, NULL) != 0) {
        fuzz_fault("no thread for the gateway");
    }
    gateway_started = true;
}

void gateway_connect(struct wire *wire) {
    if (!gateway_started) {
        gateway_start();
    }
    for (int i = 0; !unix_connect(wire); i++) {
        if (i == START_POLLS_MAX) {
            fuzz_fault("the gateway does not take a client: %s", strerror(errno));
        }
        usleep(POLL_US);
    }
    if (!end_registered) { /* as the last one, to be called first */
        end_registered = atexit(end_at_once) == 0;
    }
}

static void tcp_connect(struct wire *wire, const uint16_t *port) {
    struct linger linger = {1, 0}; /* closed by a reset: no port stays taken for a minute */

    if (!gateway_started) {
        struct wire first;
        gateway_connect(&first);
        wire_close(&first);
    }
    for (int i = 0; !wire_open(wire, *port); i++) { /* the gateway may still be about to open it */
        if (i == START_POLLS_MAX) {
            fuzz_fault("port %d takes no connection: %s", *port, strerror(errno));
        }
        usleep(POLL_US);
    }
    setsockopt(wire->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

void gateway_connect_bus(struct wire *wire) { tcp_connect(wire, &gateway_config.bus_port); }

void gateway_connect_metrics(struct wire *wire) { tcp_connect(wire, &gateway_config.metrics_port); }

void gateway_exchange(struct wire *wire, const void *bytes, size_t length, const char **reply, size_t *reply_length) {
    *reply = "";
    *reply_length = 0;
    (void)wire_send(wire, bytes, length); /* it may close before it has all */
    shutdown(wire->fd, SHUT_WR);
    if (wire_drain(wire, reply, reply_length) == WIRE_TIMEOUT) {
        fuzz_fault("no answer for 20 s");
    }
}

void gateway_must_serve(void) {
    struct wire wire;
    const char *reply;
    size_t length;

    gateway_connect(&wire);
    gateway_exchange(&wire, "SET served yes\r\nGET served\r\n", strlen("SET served yes\r\nGET served\r\n"), &reply,
                     &length);
    if (length != strlen("+OK\r\n$3\r\nyes\r\n") || memcmp(reply, "+OK\r\n$3\r\nyes\r\n", length) != 0) {
        fuzz_fault("others are not served: %.*s", (int)(length < 200 ? length : 200), reply);
    }
    wire_close(&wire);
}
