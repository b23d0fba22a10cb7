/* server.c: the life of the gateway process: storage, listening sockets, workers, signals, and the way back.
 *
 * Main thread, which accepts clients and waits for signals while it serves. SIGTERM and SIGINT stop gracefully: no new
 * clients, commands received are executed and their replies sent, within worker.c's time; a second one ends at once.
 */
#define _GNU_SOURCE
#include "server.h"

#include <event2/event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "acceptor.h"
#include "acl.h"
#include "acl_log.h"
#include "bus.h"
#include "etcd_member.h"
#include "latency.h"
#include "live.h"
#include "log.h"
#include "pubsub.h"
#include "server_http.h"
#include "slowlog.h"
#include "storage.h"
#include "tls.h"
#include "worker.h"

#define WORKERS_DEFAULT_MAX 16u
#define STOP_WATCHDOG_S 15u /* workers give up after 10 s; beyond this one is stuck */
#define ERROR_BYTES 1024
#define SIGNALS 3

struct life { /* of server_run */
    struct server server;
    struct dm_env env;
    struct live live;
    struct acl acl;
    struct acl_log acl_log;
    struct slowlog slowlog;
    struct latency latency;
    struct pubsub pubsub;
    bool acl_opened;
    struct event_base *base;
    struct event *signals[SIGNALS];
    struct storage *storage;
    struct etcd_member *member; /* NULL: [coordinator] kind is not etcd */
    struct acceptor *acceptor;
    struct server_http *http;
    uint32_t workers_started;
    char error[ERROR_BYTES];
};

static uint32_t workers_default(void) {
    cpu_set_t set;
    int cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 2;

    if (cpus - 1 < 1) {
        return 1;
    }
    return (uint32_t)(cpus - 1) > WORKERS_DEFAULT_MAX ? WORKERS_DEFAULT_MAX : (uint32_t)(cpus - 1);
}

static void server_init(struct life *life, const struct config *config) {
    struct server *server = &life->server;

    life->env = *dm_env_system();
    life->env.log = log_from_libdm;
    server->config = config;
    server->env = &life->env;
    server->live = &life->live;
    server->acl = &life->acl;
    server->acl_log = &life->acl_log;
    server->slowlog = &life->slowlog;
    server->latency = &life->latency;
    server->pubsub = &life->pubsub;
    pthread_mutex_init(&server->pause.lock, NULL);
    server->started_ns = life->env.clock_ns(life->env.context);
    server->started_wall_ms = life->env.wall_ms(life->env.context);
    for (int i = 0; i < 40; i++) {
        server->run_id[i] = "0123456789abcdef"[life->env.random_u64(life->env.context) % 16];
    }
}

/* ---- Signals ---- */

static void on_stop_signal(int number, short what, void *argument) {
    struct life *life = argument;

    (void)what;
    log_write(DM_LOG_NOTICE, "received %s: stopping", number == SIGINT ? "SIGINT" : "SIGTERM");
    event_base_loopbreak(life->base);
}

/* Certificates may have been renewed. */
static void on_reload_signal(int number, short what, void *argument) {
    struct life *life = argument;
    struct server *server = &life->server;
    char error[ERROR_BYTES];

    (void)number;
    (void)what;
    if (server->tls == NULL) {
        return;
    }
    pthread_mutex_lock(&server->live->lock);
    bool reloaded = tls_reload(server->tls, server->live, error, sizeof error);
    pthread_mutex_unlock(&server->live->lock);
    if (reloaded) {
        log_write(DM_LOG_NOTICE, "received SIGHUP: certificates were read again");
    } else {
        log_write(DM_LOG_WARNING, "received SIGHUP: the certificates stay as they were: %s", error);
    }
}

/* A second signal, or the watchdog's. */
static void on_impatience(int number) {
    static const char insist[] = "second signal: ending at once\n", stuck[] = "a worker is stuck: ending at once\n";
    ssize_t ignored = number == SIGALRM ? write(STDERR_FILENO, stuck, sizeof stuck - 1)
                                        : write(STDERR_FILENO, insist, sizeof insist - 1);

    (void)ignored;
    _exit(1);
}

static bool signals_open(struct life *life) {
    static const int numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP};

    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < SIGNALS; i++) {
        life->signals[i] =
            evsignal_new(life->base, numbers[i], numbers[i] == SIGHUP ? on_reload_signal : on_stop_signal, life);
        if (life->signals[i] == NULL || event_add(life->signals[i], NULL) != 0) {
            snprintf(life->error, sizeof life->error, "signal handlers cannot be set");
            return false;
        }
    }
    return true;
}

static void signals_become_final(struct life *life) {
    for (int i = 0; i < SIGNALS; i++) {
        if (life->signals[i] != NULL) {
            event_free(life->signals[i]);
        }
    }
    signal(SIGHUP, SIG_IGN);
    signal(SIGTERM, on_impatience);
    signal(SIGINT, on_impatience);
    signal(SIGALRM, on_impatience);
    alarm(STOP_WATCHDOG_S);
}

/* ---- Workers ---- */

/* Signals are the main thread's: they are blocked while threads are made, which inherit that. */
static bool workers_start(struct life *life) {
    struct server *server = &life->server;
    uint32_t count = server->config->workers > 0 ? server->config->workers : workers_default();
    sigset_t all, before;
    bool started = true;

    server->workers = calloc(count, sizeof *server->workers);
    if (server->workers == NULL || !pubsub_open(&life->pubsub, count)) {
        snprintf(life->error, sizeof life->error, "out of memory");
        return false;
    }
    server->worker_count = count;
    for (uint32_t i = 0; i < count; i++) {
        pthread_mutex_init(&server->workers[i].connections_lock, NULL);
        pthread_mutex_init(&server->workers[i].session_stats_lock, NULL);
    }
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    while (started && life->workers_started < count) {
        started = worker_start(server, life->workers_started, life->error, sizeof life->error);
        life->workers_started += started ? 1 : 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

/* False: commands are still in flight. */
static bool workers_stop(struct life *life) {
    struct server *server = &life->server;
    bool stopped = true;

    atomic_store(&server->stopping, true);
    for (uint32_t i = 0; i < life->workers_started; i++) {
        worker_wake(&server->workers[i]);
    }
    for (uint32_t i = 0; i < life->workers_started; i++) {
        stopped = worker_join(&server->workers[i]) && stopped;
    }
    for (uint32_t i = 0; stopped && i < life->workers_started; i++) {
        worker_free(&server->workers[i]);
    }
    if (stopped) {
        for (uint32_t i = 0; i < server->worker_count; i++) {
            pthread_mutex_destroy(&server->workers[i].connections_lock);
            pthread_mutex_destroy(&server->workers[i].session_stats_lock);
        }
        free(server->workers);
        if (server->worker_count > 0) {
            pubsub_close(&life->pubsub);
        }
    }
    return stopped;
}

/* ---- Life ---- */

/* Live settings, users, certificates. */
static bool rights_open(struct life *life) {
    struct server *server = &life->server;

    if (!live_open(server, life->error, sizeof life->error)) {
        return false;
    }
    acl_log_open(&life->acl_log);
    slowlog_open(&life->slowlog);
    latency_open(&life->latency);
    life->acl_opened = acl_open(&life->acl, server->config, life->error, sizeof life->error);
    if (!life->acl_opened) {
        return false;
    }
    if (server->config->tls_port != 0) {
        server->tls = tls_open(&life->live, life->error, sizeof life->error);
    }
    return server->config->tls_port == 0 || server->tls != NULL;
}

static void rights_close(struct life *life) {
    if (life->server.tls != NULL) {
        tls_close(life->server.tls);
    }
    if (life->acl_opened) {
        acl_close(&life->acl);
        acl_log_close(&life->acl_log);
        slowlog_close(&life->slowlog);
        latency_close(&life->latency);
    }
}

/* A gateway is a member before any of its sessions joins the pool. */
static bool membership_open(struct life *life) {
    const struct config *config = life->server.config;
    struct dm_pool_info info;

    if (config->memservers[0] == '\0' || strcmp(config->coordinator_kind, "etcd") != 0) {
        return true;
    }
    dm_pool_info(life->server.pool, &info);
    const struct etcd_member_config member = {.env = life->server.env,
                                              .endpoints = config->coordinator_etcd,
                                              .ttl_s = config->coordinator_ttl_s,
                                              .pool_id = info.pool_id,
                                              .identity = dm_fabric_identity(life->server.fabric),
                                              .pool = life->server.pool};
    return etcd_member_open(&member, &life->member, life->error, sizeof life->error);
}

static bool life_begin(struct life *life) {
    struct server *server = &life->server;

    life->base = event_base_new();
    if (life->base == NULL) {
        snprintf(life->error, sizeof life->error, "no event loop");
        return false;
    }
    if (!signals_open(life) || !rights_open(life) ||
        !storage_open(server, &life->storage, life->error, sizeof life->error) || !membership_open(life) ||
        !acceptor_open(server, life->base, &life->acceptor, life->error, sizeof life->error) || !workers_start(life)) {
        return false;
    }
    if (!bus_open(server, &server->bus, life->error, sizeof life->error) ||
        !server_http_open(server, life->base, &life->http, life->error, sizeof life->error)) {
        return false;
    }
    acceptor_start(life->acceptor);
    log_write(DM_LOG_NOTICE, "ready for clients: %u worker threads, at most %u clients", server->worker_count,
              server->config->maxclients);
    return true;
}

static void life_end(struct life *life) {
    signals_become_final(life);
    if (life->acceptor != NULL) {
        acceptor_close(life->acceptor);
    }
    if (life->http != NULL) {
        server_http_close(life->http);
    }
    if (life->server.bus != NULL) {
        bus_stop(life->server.bus);
    }
    if (!workers_stop(life)) {
        log_write(DM_LOG_WARNING, "commands were still in flight when the time for stopping was over");
        return; /* what they use must stay; the process ends now */
    }
    if (life->member != NULL) {
        etcd_member_close(life->member);
    }
    if (life->storage != NULL) {
        storage_close(&life->server, life->storage);
    }
    if (life->server.bus != NULL) {
        bus_close(life->server.bus);
    }
    rights_close(life);
    if (life->base != NULL) {
        event_base_free(life->base);
    }
}

int server_run(const struct config *config) {
    static struct life life; /* static: large, and still used if commands in flight outlive it */

    server_init(&life, config);
    bool begun = life_begin(&life);
    if (begun) {
        event_base_dispatch(life.base);
    } else {
        log_write(DM_LOG_WARNING, "%s", life.error);
    }
    life_end(&life);
    log_write(DM_LOG_NOTICE, begun ? "stopped" : "not started");
    return begun ? 0 : 1;
}
