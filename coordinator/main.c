/* main.c: fusegate-coordinator: finds gateways that hang, and cuts them off, so that others can repair what they have
 * left open. On no request's path: while it is away everything goes on, but for that. Exit code 0 after a signal, 1
 * when it could not start. */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "log.h"
#include "membership.h"
#include "storage_fabric.h"
#include "watcher.h"

#define ERROR_BYTES 1024
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
#define OPEN_AGAIN_MS 1000 /* while there is no pool to watch */
#define CACHE_BYTES (UINT64_C(1) << 20)

static const char usage[] =
    "usage: fusegate-coordinator [FILE] [--section.key=value]...\n"
    "\n"
    "Watches the gateways of a pool, and ends those that hang: that have not renewed their lease ([pool] lease_ms of\n"
    "theirs). FILE is a gateway's configuration; what matters of it is [pool] fabric and memservers, [rdma],\n"
    "[coordinator], and [gateway] log_level. With [coordinator] kind = etcd run several: one of them acts. On `local`\n"
    "it kills processes: run it on the same host, as the same user.\n";

struct coordinator {
    struct config config;
    int signals;
    struct dm_fabric *fabric;
    struct dm_pool *pool;
    struct dm_inspector *inspector;
};

static void log_line(void *context, enum dm_log_level level, const char *message) {
    (void)context;
    log_write(level, "%s", message);
}

static const struct dm_env *coordinator_env(void) {
    static struct dm_env env;
    env = *dm_env_system();
    env.log = log_line;
    return &env;
}

/* True: a signal has come. */
static bool wait_ns(const struct coordinator *coordinator, uint64_t ns) {
    struct pollfd signals = {.fd = coordinator->signals, .events = POLLIN};
    const struct timespec time = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
    return ppoll(&signals, 1, &time, NULL) > 0;
}

static void inspector_wait(void *context, uint64_t ns) {
    struct timespec time = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
    (void)context;
    nanosleep(&time, NULL);
}

/* ---- Pool ------------------------------------------------------------------------------------------------------- */

static bool pool_open(struct coordinator *coordinator, char *error, size_t error_bytes) {
    const struct dm_env *env = coordinator_env();
    if (!storage_fabric_open(&coordinator->config, env, &coordinator->fabric, error, error_bytes)) {
        return false;
    }
    const struct dm_pool_config pool = {.env = env,
                                        .fabric = coordinator->fabric,
                                        .existing = true,
                                        .cache_bytes = CACHE_BYTES,
                                        .copy_bytes = CACHE_BYTES};
    if (dm_pool_open(&pool, &coordinator->pool, error, error_bytes) != DM_OK) {
        goto out_fabric;
    }
    const struct dm_inspector_config inspector = {.pool = coordinator->pool, .wait = inspector_wait};
    if (dm_inspector_open(&inspector, &coordinator->inspector, error, error_bytes) == DM_OK) {
        return true;
    }
    dm_pool_close(coordinator->pool);
out_fabric:
    dm_fabric_close(coordinator->fabric);
    return false;
}

static void pool_close(struct coordinator *coordinator) {
    dm_inspector_close(coordinator->inspector);
    dm_pool_close(coordinator->pool);
    dm_fabric_close(coordinator->fabric);
}

/* Tries on until there is one: memory nodes and the first gateway may start later. False: a signal has come. */
static bool pool_await(struct coordinator *coordinator) {
    char error[ERROR_BYTES];
    char told[ERROR_BYTES] = "";
    while (!pool_open(coordinator, error, sizeof error)) {
        if (strcmp(told, error) != 0) {
            log_write(DM_LOG_NOTICE, "no pool to watch yet: %s", error);
            strcpy(told, error);
        }
        if (wait_ns(coordinator, OPEN_AGAIN_MS * NS_PER_MS)) {
            return false;
        }
    }
    return true;
}

/* ---- Life ------------------------------------------------------------------------------------------------------- */

static int watch(struct coordinator *coordinator) {
    const bool etcd = strcmp(coordinator->config.coordinator_kind, "etcd") == 0;
    const struct membership_ops *ops = etcd ? &membership_etcd : &membership_builtin;
    struct dm_pool_info info;
    char error[ERROR_BYTES] = "no memory";
    struct watcher *watcher = NULL;
    dm_pool_info(coordinator->pool, &info);
    struct membership *membership = ops->open(&coordinator->config, info.pool_id, error, sizeof error);
    if (membership == NULL || !watcher_open(coordinator->inspector, ops, membership, &watcher)) {
        log_write(DM_LOG_WARNING, "%s", error);
        if (membership != NULL) {
            ops->close(membership);
        }
        return 1;
    }
    log_write(DM_LOG_NOTICE, "watching the gateways of pool %016" PRIx64 " (%s)", info.pool_id, ops->name);
    while (!wait_ns(coordinator, watcher_look(watcher))) {
    }
    watcher_close(watcher);
    ops->close(membership);
    return 0;
}

static bool signals_open(struct coordinator *coordinator) {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    coordinator->signals = sigprocmask(SIG_BLOCK, &ends, NULL) == 0 ? signalfd(-1, &ends, SFD_CLOEXEC) : -1;
    return coordinator->signals >= 0;
}

int main(int argc, char **argv) {
    static struct coordinator coordinator;
    char error[ERROR_BYTES];
    enum dm_log_level level;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("fusegate-coordinator %s\n", DM_VERSION);
        return 0;
    }
    if (!config_load(&coordinator.config, argc - 1, argv + 1, error, sizeof error)) {
        fprintf(stderr, "fusegate-coordinator: %s\n", error);
        return 1;
    }
    if (coordinator.config.memservers[0] == '\0') {
        fprintf(stderr, "fusegate-coordinator: no memory nodes are named ([pool] memservers): a pool that is embedded "
                        "in a gateway needs no coordinator\n");
        return 1;
    }
    if (log_level_parse(coordinator.config.log_level, &level)) {
        log_level_set(level);
    }
    if (!signals_open(&coordinator)) {
        log_write(DM_LOG_WARNING, "signals cannot be waited for: %s", strerror(errno));
        return 1;
    }
    int code = 0;
    if (pool_await(&coordinator)) {
        code = watch(&coordinator);
        pool_close(&coordinator);
    }
    log_write(DM_LOG_NOTICE, "stopped");
    return code;
}
