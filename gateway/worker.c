/* worker.c: a worker thread and its loop; see worker.h.
 *
 *   socket events -> connections run coroutines -> dm_session_poll: completions, maintenance
 *        ^                                                   |
 *        +--- sleep until an event, or as long as poll says <+
 *
 * There are no periodic timers: a timer is armed only for what is due (the session's wish, statistics to refresh after
 * work, idle clients when `timeout` is set, the end of stopping), so an idle worker sleeps in the kernel. The timer is
 * a timerfd of our own: libevent's have milliseconds, or cost a system call a pass.
 */
#include "worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "live.h"
#include "log.h"
#include "ticks.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
#define STATS_REFRESH_NS (100 * NS_PER_MS)
#define IDLE_SCAN_NS NS_PER_S   /* how exact `timeout` is */
#define STOP_NS (10 * NS_PER_S) /* for commands in flight and replies when stopping */
#define SPIN_NS (2 * NS_PER_MS) /* polling without a socket event before naps begin */
#define NAP_NS UINT64_C(50000)
#define POLL_NS UINT64_C(100000) /* the same where the fabric can wake us: then sleep until it does */
#define COROUTINES_SPARE 1024u   /* beyond one a connection: libdm's own */
#define INBOX_FIRST 64u
#define TASKS_BYTES_MAX (64u << 20) /* waiting for a worker: more has to wait elsewhere */

static uint64_t clock_ns(const struct worker *worker) {
    return worker->server->env->clock_ns(worker->server->env->context);
}

/* ---- Timer ---- */

/* Sees to it that the loop wakes at `when_ns` or before. */
static void worker_timer_arm(struct worker *worker, uint64_t when_ns) {
    struct worker_io *io = worker->io;
    struct itimerspec when = {0};

    if (when_ns >= io->timer_ns) {
        return;
    }
    io->timer_ns = when_ns;
    uint64_t delay_ns = when_ns > io->now_ns ? when_ns - io->now_ns : 1;
    when.it_value.tv_sec = (time_t)(delay_ns / NS_PER_S);
    when.it_value.tv_nsec = (long)(delay_ns % NS_PER_S);
    timerfd_settime(io->timer_fd, 0, &when, NULL);
}

static void worker_on_timer(int descriptor, short what, void *argument) {
    struct worker *worker = argument;
    uint64_t expirations;

    (void)what;
    if (read(descriptor, &expirations, sizeof expirations) > 0) {
        worker->io->timer_ns = UINT64_MAX;
    }
}

/* What happened in about the last second, as a rate. */
static void worker_rates_refresh(struct worker *worker) {
    struct worker_io *io = worker->io;
    struct worker_stats *stats = &worker->stats;
    const uint64_t now[3] = {stats->commands, stats->bytes_in, stats->bytes_out};
    _Atomic uint64_t *rates[3] = {&stats->rate_commands, &stats->rate_bytes_in, &stats->rate_bytes_out};
    uint64_t elapsed_ns = io->now_ns - io->rate_ns;

    if (elapsed_ns < STATS_REFRESH_NS) {
        return;
    }
    for (int i = 0; i < 3; i++) {
        uint64_t since = now[i] >= io->rate_from[i] ? now[i] - io->rate_from[i] : 0;
        atomic_store_explicit(rates[i], (uint64_t)((double)since * NS_PER_S / (double)elapsed_ns),
                              memory_order_relaxed);
    }
    atomic_store_explicit(&stats->rate_ns, io->now_ns, memory_order_relaxed);
    if (elapsed_ns >= NS_PER_S) {
        io->rate_ns = io->now_ns;
        memcpy(io->rate_from, now, sizeof now);
    }
}

static void worker_stats_refresh(struct worker *worker) {
    worker_rates_refresh(worker);
    pthread_mutex_lock(&worker->session_stats_lock);
    dm_session_stats(worker->session, &worker->session_stats);
    for (uint32_t node = 0; node < worker->io->nodes; node++) {
        dm_session_node_latency(worker->session, node, &worker->node_latency[node]);
    }
    pthread_mutex_unlock(&worker->session_stats_lock);
    worker->io->stats_ns = worker->io->now_ns;
    worker->io->worked = false;
    if (worker->io->now_ns - worker->io->ticks_began_ns > NS_PER_MS) {
        worker->io->ticks_rate =
            ticks_rate(ticks_now() - worker->io->ticks_began, clock_ns(worker) - worker->io->ticks_began_ns);
    }
}

/* What is due is done, and the timer armed for what is not. */
static void worker_do_due(struct worker *worker) {
    struct worker_io *io = worker->io;
    uint64_t timeout_ns = atomic_load_explicit(&worker->server->live->timeout_s, memory_order_relaxed) * NS_PER_S;
    uint64_t stranger_ns = io->strangers == 0 ? 0 : worker->server->config->unauthenticated_timeout_s * NS_PER_S;

    if (io->dirty != NULL) {
        connection_flush_pushed(worker);
    }

    if (io->worked) {
        if (io->now_ns - io->stats_ns >= STATS_REFRESH_NS) {
            worker_stats_refresh(worker);
        } else {
            worker_timer_arm(worker, io->stats_ns + STATS_REFRESH_NS);
        }
    }
    if ((timeout_ns > 0 || stranger_ns > 0) && io->connection_count > 0) {
        if (io->now_ns - io->idle_ns >= IDLE_SCAN_NS) {
            connection_close_idle(worker, timeout_ns, stranger_ns);
            io->idle_ns = io->now_ns;
        }
        worker_timer_arm(worker, io->idle_ns + IDLE_SCAN_NS);
    }
    if (io->stop_ns != UINT64_MAX) {
        worker_timer_arm(worker, io->stop_ns);
        return;
    }
    worker_timer_arm(worker, watch_renewal_run(worker, io->now_ns));
    if (worker->index == 0) {
        worker_timer_arm(worker, expired_watch_walk(&io->expired, io->now_ns));
        io->worked = io->worked || io->expired.walking;
    }
}

/* The session is polled in every pass; this only ends the sleep. */
static void worker_on_fabric(int descriptor, short what, void *argument) {
    struct worker *worker = argument;

    (void)descriptor;
    (void)what;
    worker->io->had_event = true;
}

/* ---- Sockets from the main thread ---- */

bool worker_hand_over(struct worker *worker, int socket, enum connection_kind kind) {
    struct worker_io *io = worker->io;
    bool taken = true;

    pthread_mutex_lock(&io->lock);
    if (io->inbox_count == io->inbox_capacity) {
        uint32_t capacity = io->inbox_capacity == 0 ? INBOX_FIRST : io->inbox_capacity * 2;
        struct worker_socket *inbox = realloc(io->inbox, capacity * sizeof *inbox);
        taken = inbox != NULL;
        if (taken) {
            io->inbox = inbox;
            io->inbox_capacity = capacity;
        }
    }
    if (taken) {
        io->inbox[io->inbox_count++] = (struct worker_socket){socket, kind};
        atomic_fetch_add_explicit(&io->assigned, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&io->lock);
    if (taken) {
        worker_wake(worker);
    }
    return taken;
}

void worker_wake(struct worker *worker) {
    uint64_t one = 1;

    if (write(worker->io->wake_fd, &one, sizeof one) < 0) {
        log_write(DM_LOG_WARNING, "worker %u cannot be woken: %s", worker->index, strerror(errno));
    }
}

static struct worker_socket worker_inbox_take(struct worker_io *io) {
    struct worker_socket taken = {.socket = -1};

    pthread_mutex_lock(&io->lock);
    if (io->inbox_count > 0) {
        taken = io->inbox[--io->inbox_count];
    }
    pthread_mutex_unlock(&io->lock);
    return taken;
}

/* ---- Tasks from anywhere ---- */

void worker_post(struct worker *worker, struct worker_task *task) {
    struct worker_io *io = worker->io;

    task->next = NULL;
    pthread_mutex_lock(&io->lock);
    bool first = io->tasks == NULL;

    if (first) {
        io->tasks = task;
    } else {
        io->tasks_last->next = task;
    }
    io->tasks_last = task;
    atomic_fetch_add_explicit(&io->tasks_bytes, task->bytes, memory_order_relaxed);
    pthread_mutex_unlock(&io->lock);
    if (first) {
        worker_wake(worker);
    }
}

bool worker_tasks_full(const struct worker *worker) {
    return atomic_load_explicit(&worker->io->tasks_bytes, memory_order_relaxed) > TASKS_BYTES_MAX;
}

void worker_run_tasks(struct worker *worker) {
    struct worker_io *io = worker->io;

    pthread_mutex_lock(&io->lock);
    struct worker_task *task = io->tasks;
    io->tasks = NULL;
    pthread_mutex_unlock(&io->lock);
    while (task != NULL) {
        struct worker_task *next = task->next;
        atomic_fetch_sub_explicit(&io->tasks_bytes, task->bytes, memory_order_relaxed);
        task->run(worker, task);
        task = next;
    }
}

/* Counters, but for connections_now, which is none. */
static void reset_run(struct worker *worker, struct worker_task *task) {
    struct worker_stats *stats = &worker->stats;
    uint64_t now = atomic_load(&stats->connections_now);
    _Atomic uint64_t(*histogram)[HISTOGRAM_BUCKETS] = stats->histogram;

    memset((void *)stats, 0, sizeof *stats);
    memset((void *)histogram, 0, FUSEGATE_COMMANDS_MAX * sizeof *histogram);
    stats->histogram = histogram;
    atomic_store(&stats->connections_now, now);
    free(task);
}

void worker_reset_stats(struct worker *worker) {
    struct worker_task *task = malloc(sizeof *task);

    if (task != NULL) {
        *task = (struct worker_task){.run = reset_run, .bytes = sizeof *task};
        worker_post(worker, task);
    }
}

static void worker_stop(struct worker *worker) {
    struct connection *next;

    worker->io->stop_ns = worker->io->now_ns + STOP_NS;
    for (struct connection *connection = worker->connections; connection != NULL; connection = next) {
        next = connection->next;
        connection_stop(connection);
    }
}

static void worker_on_wake(int descriptor, short what, void *argument) {
    struct worker *worker = argument;
    struct worker_io *io = worker->io;
    bool stopping = atomic_load(&worker->server->stopping);
    struct worker_socket taken;
    uint64_t wakes;

    (void)what;
    io->had_event = true;
    if (read(descriptor, &wakes, sizeof wakes) < 0 && errno != EAGAIN) {
        log_write(DM_LOG_WARNING, "worker %u: %s", worker->index, strerror(errno));
    }
    while ((taken = worker_inbox_take(io)).socket >= 0) {
        if (stopping) {
            close(taken.socket);
            worker_forget(worker, NULL);
        } else {
            connection_open(worker, taken.socket, taken.kind);
        }
    }
    worker_run_tasks(worker);
    if (stopping && io->stop_ns == UINT64_MAX) {
        worker_stop(worker);
    }
}

void worker_forget(struct worker *worker, struct connection *connection) {
    if (connection != NULL) {
        worker->io->connection_count--;
    }
    atomic_fetch_sub_explicit(&worker->io->assigned, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&worker->server->connections_now, 1, memory_order_relaxed);
}

/* ---- Loop ---- */

/* While stopping: nothing is left to do, or time is up. */
static bool worker_finished(struct worker *worker) {
    struct worker_io *io = worker->io;
    struct connection *next;

    bool busy = io->connection_count > 0 || io->expired.coroutines > 0 || io->renewal.coroutines > 0;

    if (io->stop_ns == UINT64_MAX || (busy && io->now_ns < io->stop_ns)) {
        return false;
    }
    for (struct connection *connection = worker->connections; connection != NULL; connection = next) {
        next = connection->next;
        connection_kill(connection);
    }
    io->abandoned = io->connection_count > 0 || io->expired.coroutines > 0 || io->renewal.coroutines > 0;
    return true;
}

/* How the loop waits for socket events: wait_ns is what dm_session_poll said. */
static int worker_wait_flags(struct worker *worker, uint64_t wait_ns) {
    struct worker_io *io = worker->io;

    if (wait_ns == 0) {
        if (io->had_event || io->spin_ns == 0) {
            io->spin_ns = io->now_ns;
        }
        if (io->now_ns - io->spin_ns < (io->fabric_watched ? POLL_NS : SPIN_NS)) {
            return EVLOOP_NONBLOCK | EVLOOP_ONCE; /* libevent's NONBLOCK alone goes on while there are events */
        }
        if (!io->fabric_watched) {
            wait_ns = NAP_NS; /* what the session waits for takes long: let others have the CPU */
        } else if (!dm_session_arm(worker->session, &wait_ns)) {
            return EVLOOP_NONBLOCK | EVLOOP_ONCE;
        }
    } else {
        io->spin_ns = 0;
    }
    if (wait_ns != UINT64_MAX) {
        worker_timer_arm(worker, io->now_ns + wait_ns);
    }
    return EVLOOP_ONCE;
}

/* Nothing in the pool is this process's any more: there is nothing to give back, and nobody to answer for. */
static void worker_end_fenced(void) {
    log_write(DM_LOG_WARNING, "this gateway did not show in time that it lives, was taken for dead and cut off from "
                              "the pool: ending; start it again");
    _exit(1);
}

static void worker_loop(struct worker *worker) {
    struct worker_io *io = worker->io;

    for (;;) {
        io->turns++;
        uint64_t wait_ns = dm_session_poll(worker->session);
        if (dm_session_is_fenced(worker->session)) {
            worker_end_fenced();
        }
        worker_do_due(worker);
        if (worker_finished(worker)) {
            return;
        }
        int flags = worker_wait_flags(worker, wait_ns);
        io->had_event = false;
        if (event_base_loop(io->base, flags) < 0) {
            log_write(DM_LOG_WARNING, "worker %u: its event loop failed: %s", worker->index, strerror(errno));
            abort();
        }
        io->now_ns = clock_ns(worker);
    }
}

/* ---- Starting and ending ---- */

static bool worker_open_events(struct worker *worker, char *error, size_t error_bytes) {
    struct worker_io *io = worker->io;
    struct event_config *config = event_config_new();

    if (config != NULL) {
        /* One thread, no timers of libevent's: neither locks nor its clock are needed. */
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
        event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME);
        io->base = event_base_new_with_config(config);
        event_config_free(config);
    }
    io->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    io->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (io->base == NULL || io->wake_fd < 0 || io->timer_fd < 0) {
        snprintf(error, error_bytes, "worker %u: no event loop: %s", worker->index, strerror(errno));
        return false;
    }
    event_assign(&io->wake_event, io->base, io->wake_fd, EV_READ | EV_PERSIST, worker_on_wake, worker);
    event_assign(&io->timer_event, io->base, io->timer_fd, EV_READ | EV_PERSIST, worker_on_timer, worker);
    if (event_add(&io->wake_event, NULL) != 0 || event_add(&io->timer_event, NULL) != 0) {
        snprintf(error, error_bytes, "worker %u: its event loop takes no events: %s", worker->index, strerror(errno));
        return false;
    }
    return true;
}

/* A fabric that has no descriptor, or one that cannot be watched, is polled. */
static void worker_watch_fabric(struct worker *worker) {
    struct worker_io *io = worker->io;
    int descriptor = dm_session_descriptor(worker->session);

    if (descriptor < 0) {
        return;
    }
    event_assign(&io->fabric_event, io->base, descriptor, EV_READ | EV_PERSIST, worker_on_fabric, worker);
    io->fabric_watched = event_add(&io->fabric_event, NULL) == 0;
}

/* On the worker's thread, which owns what is opened here. */
static bool worker_open(struct worker *worker, char *error, size_t error_bytes) {
    struct dm_sched_config config = {.coroutines = worker->server->config->maxclients + COROUTINES_SPARE};
    enum dm_status status = dm_sched_create(worker->server->env, &config, &worker->sched);

    if (status != DM_OK) {
        snprintf(error, error_bytes, "worker %u: no coroutines: %s", worker->index, dm_status_text(status));
        return false;
    }
    status = dm_session_open(worker->server->pool, worker->sched, &worker->session, error, error_bytes);
    if (status != DM_OK) {
        dm_sched_destroy(worker->sched);
        return false;
    }
    struct dm_pool_info pool;

    dm_pool_info(worker->server->pool, &pool);
    worker->io->nodes = pool.nodes;
    worker_watch_fabric(worker);
    expired_watch_begin(&worker->io->expired, worker);
    return true;
}

static void *worker_main(void *argument) {
    struct worker *worker = argument;
    struct worker_io *io = worker->io;
    char error[sizeof io->error] = "";
    bool opened = worker_open(worker, error, sizeof error);

    pthread_mutex_lock(&io->lock);
    io->state = opened ? WORKER_READY : WORKER_FAILED;
    memcpy(io->error, error, sizeof error);
    pthread_cond_signal(&io->changed);
    pthread_mutex_unlock(&io->lock);
    if (!opened) {
        return NULL;
    }
    io->now_ns = clock_ns(worker);
    io->ticks_began = ticks_now();
    io->ticks_began_ns = io->now_ns;
    worker_stats_refresh(worker);
    worker_loop(worker);
    if (io->fabric_watched) {
        event_del(&io->fabric_event);
    }
    if (!io->abandoned) {
        dm_session_close(worker->session);
        dm_sched_destroy(worker->sched);
    }
    return NULL;
}

static void worker_io_free(struct worker_io *io) {
    if (io->base != NULL) {
        event_base_free(io->base);
    }
    if (io->wake_fd >= 0) {
        close(io->wake_fd);
    }
    if (io->timer_fd >= 0) {
        close(io->timer_fd);
    }
    for (uint32_t i = 0; i < io->inbox_count; i++) {
        close(io->inbox[i].socket);
    }
    free(io->inbox);
    for (struct worker_task *task = io->tasks, *next; task != NULL; task = next) { /* posted too late */
        next = task->next;
        free(task);
    }
    input_pool_free(&io->inputs);
    output_pool_free(&io->outputs);
    pthread_mutex_destroy(&io->lock);
    pthread_cond_destroy(&io->changed);
    free(io);
}

static struct worker_io *worker_io_create(void) {
    struct worker_io *io = calloc(1, sizeof *io);

    if (io != NULL) {
        io->wake_fd = -1;
        io->timer_fd = -1;
        io->timer_ns = UINT64_MAX;
        io->stop_ns = UINT64_MAX;
        io->ticks_rate = UINT64_C(1) << 31; /* until it is known: two ticks a nanosecond */
        pthread_mutex_init(&io->lock, NULL);
        pthread_cond_init(&io->changed, NULL);
    }
    return io;
}

bool worker_start(struct server *server, uint32_t index, char *error, size_t error_bytes) {
    struct worker *worker = &server->workers[index];
    struct worker_io *io = worker_io_create();

    if (io == NULL) {
        snprintf(error, error_bytes, "worker %u: out of memory", index);
        return false;
    }
    worker->server = server;
    worker->index = index;
    worker->io = io;
    worker->stats.histogram = calloc(FUSEGATE_COMMANDS_MAX, sizeof *worker->stats.histogram);
    if (worker->stats.histogram == NULL) {
        snprintf(error, error_bytes, "worker %u: out of memory", index);
        goto out_io;
    }
    if (!worker_open_events(worker, error, error_bytes)) {
        goto out_io;
    }
    int result = pthread_create(&worker->thread, NULL, worker_main, worker);
    if (result != 0) {
        snprintf(error, error_bytes, "worker %u: no thread: %s", index, strerror(result));
        goto out_io;
    }
    pthread_mutex_lock(&io->lock);
    while (io->state == WORKER_STARTING) {
        pthread_cond_wait(&io->changed, &io->lock);
    }
    pthread_mutex_unlock(&io->lock);
    if (io->state == WORKER_READY) {
        return true;
    }
    pthread_join(worker->thread, NULL);
    snprintf(error, error_bytes, "%s", io->error);
out_io:
    free(worker->stats.histogram);
    worker_io_free(io);
    worker->io = NULL;
    return false;
}

bool worker_join(struct worker *worker) {
    pthread_join(worker->thread, NULL);
    return !worker->io->abandoned;
}

void worker_free(struct worker *worker) {
    worker_io_free(worker->io);
    free(worker->stats.histogram);
    worker->io = NULL;
}
