/* worker.h: a worker thread: its event loop, connections, coroutines and session; as server.c and connection.c see it.
 *
 * All of struct worker_io belongs to the worker's thread, but for what is marked. Not for commands.
 */
#ifndef WORKER_H
#define WORKER_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "connection.h"
#include "expired.h"
#include "input.h"
#include "output.h"
#include "server.h"
#include "watch_renewal.h"

/* Something for a worker's thread to do, from any thread. Begins a larger struct that `run` frees. */
struct worker_task {
    struct worker_task *next;
    void (*run)(struct worker *worker, struct worker_task *task);
    size_t bytes; /* what it holds, for worker_tasks_full */
};

struct worker_socket {
    int socket;
    enum connection_kind kind;
};

enum worker_state { WORKER_STARTING, WORKER_READY, WORKER_FAILED };

struct worker_io {
    struct event_base *base;
    struct event wake_event, timer_event, fabric_event;
    int wake_fd, timer_fd;
    uint64_t now_ns;     /* clock at the start of this pass of the loop */
    uint64_t timer_ns;   /* when the timer will fire; UINT64_MAX = not armed */
    uint64_t stats_ns;   /* when session_stats was refreshed last */
    uint64_t idle_ns;    /* when idle clients were looked for last */
    uint64_t stop_ns;    /* when stopping ends by force; UINT64_MAX = not stopping */
    uint64_t spin_ns;    /* since when the loop goes on without a socket event; 0 = it does not */
    bool worked;         /* something was executed since session_stats was refreshed */
    bool had_event;      /* a socket event came in this pass */
    bool fabric_watched; /* fabric_event wakes the loop: the session need not be polled for what is pending */
    bool abandoned;      /* out: ended with commands in flight; the session is still open */
    uint32_t running;    /* connections with a command in execution or parked */
    uint64_t rate_ns, rate_from[3]; /* since when rates are computed, and the counters then */
    uint64_t turns;                 /* of the loop: a coroutine that sees another number has waited */
    uint64_t connection_count;
    uint32_t strangers;       /* connections that have not authenticated */
    struct connection *dirty; /* connections that have got bytes that are no replies, not sent yet */
    uint64_t ticks_rate;      /* see ticks.h */
    uint64_t ticks_began, ticks_began_ns;
    struct expired_watch expired;
    struct watch_renewal renewal;
    uint32_t nodes; /* memory nodes */
    struct input_pool inputs;
    struct output_pool outputs;
    /* shared with the main thread */
    _Atomic uint32_t assigned; /* connections handed over and not closed yet */
    pthread_mutex_t lock;      /* of what follows */
    pthread_cond_t changed;
    enum worker_state state;
    char error[512];
    struct worker_socket *inbox; /* handed over and not taken yet */
    uint32_t inbox_count, inbox_capacity;
    struct worker_task *tasks, *tasks_last; /* not run yet, in order */
    _Atomic size_t tasks_bytes;
};

/* Starts the thread; returns when its session is open. False: error says why, and nothing is left behind. */
bool worker_start(struct server *server, uint32_t index, char *error, size_t error_bytes);

/* Main thread: gives the worker a connected, non-blocking socket. False: it has no room; the socket stays the
 * caller's. */
bool worker_hand_over(struct worker *worker, int socket, enum connection_kind kind);

/* Any thread: the task will be run by the worker, after those posted before. When the gateway stops, tasks that were
 * posted late are run by nobody. */
void worker_post(struct worker *worker, struct worker_task *task);

/* Much waits already: whoever posts on behalf of a client waits. */
bool worker_tasks_full(const struct worker *worker);

/* Any thread: its counters begin anew, soon. */
void worker_reset_stats(struct worker *worker);

/* The worker's thread: runs what was posted up to now. */
void worker_run_tasks(struct worker *worker);

/* Main thread, after server->stopping was set. */
void worker_wake(struct worker *worker);

/* Main thread: waits for the thread. False: commands were still in flight when time was up, so the pool must not be
 * closed. */
bool worker_join(struct worker *worker);

/* Main thread, when all workers have been joined: until then the others may post to it. */
void worker_free(struct worker *worker);

/* connection.c: one connection less. */
void worker_forget(struct worker *worker, struct connection *connection);

#endif
