/* connection_open.c: the beginning and the end of a client's connection. On its worker's thread.
 *
 * A connection that is in a coroutine is not freed: whoever ends it marks it, and connection_settle does the rest.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "acl_connection.h"
#include "connection_io.h"
#include "live.h"
#include "log.h"
#include "monitor.h"
#include "multi.h"
#include "pubsub.h"
#include "socket.h"
#include "worker.h"

struct connection_both {
    struct connection connection;
    struct connection_io io;
};

static void add(_Atomic uint64_t *counter, uint64_t by) {
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by, memory_order_relaxed);
}

/* ---- The worker's list ---- */

static void connection_list_add(struct connection *connection) {
    struct worker *worker = connection->worker;

    pthread_mutex_lock(&worker->connections_lock);
    connection->next = worker->connections;
    if (connection->next != NULL) {
        connection->next->previous = connection;
    }
    worker->connections = connection;
    pthread_mutex_unlock(&worker->connections_lock);
}

static void connection_list_remove(struct connection *connection) {
    struct worker *worker = connection->worker;

    pthread_mutex_lock(&worker->connections_lock);
    if (connection->previous != NULL) {
        connection->previous->next = connection->next;
    } else {
        worker->connections = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->previous = connection->previous;
    }
    pthread_mutex_unlock(&worker->connections_lock);
}

/* ---- Strangers: who has not authenticated yet ---- */

static void stranger_set(struct connection *connection, bool stranger) {
    if (connection->io->stranger != stranger) {
        connection->io->stranger = stranger;
        connection->worker->io->strangers += stranger ? 1 : -1u;
    }
}

void connection_known(struct connection *connection) {
    if (connection->io->tls == NULL || tls_link_established(connection->io->tls)) {
        stranger_set(connection, !connection->authenticated);
    }
}

/* ---- Opening ---- */

static void connection_init(struct connection *connection, struct worker *worker, int socket,
                            enum connection_kind kind) {
    struct server *server = worker->server;

    connection->multi_count = -1;
    connection->id = atomic_fetch_add_explicit(&server->next_connection_id, 1, memory_order_relaxed) + 1;
    connection->worker = worker;
    connection->socket = socket;
    connection->kind = kind;
    connection->created_ns = worker->io->now_ns;
    connection->active_ns = worker->io->now_ns;
    output_init(&connection->output);
    output_init(&connection->io->pushed);
    connection->output.pool = &worker->io->outputs;
    connection->io->pushed.pool = &worker->io->outputs;
    connection->output.bytes_max = server->config->output_hard_bytes;
    connection->io->pushed.bytes_max = server->config->output_hard_bytes;
    connection->reply.output = &connection->output;
    connection->reply.protocol = 2;
    connection->reply.errors = &worker->stats.errors_by_code;
    if (kind != CONNECTION_UNIX) {
        socket_prepare(socket, atomic_load_explicit(&server->live->tcp_keepalive_s, memory_order_relaxed));
    }
    socket_address_format(socket, kind != CONNECTION_UNIX, connection->peer, sizeof connection->peer);
    socket_address_format(socket, false, connection->local, sizeof connection->local);
    event_assign(&connection->io->read_event, worker->io->base, socket, EV_READ | EV_PERSIST, connection_on_readable,
                 connection);
    event_assign(&connection->io->write_event, worker->io->base, socket, EV_WRITE | EV_PERSIST, connection_on_writable,
                 connection);
}

/* Says to a client that there is a password to be set first, or lets it in. */
static bool connection_admit(struct connection *connection) {
    static const char denied[] =
        "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the "
        "default user. In this mode connections are only accepted from the loopback interface. If you want to connect "
        "from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected "
        "mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis "
        "from the same host the server is running, however MAKE SURE Redis is not publicly accessible from internet "
        "if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the "
        "protected mode by editing the Redis configuration file, and setting the protected mode option to 'no', and "
        "then restarting the server. 3) If you started the server manually just for testing, restart it with the "
        "'--protected-mode no' option. 4) Setup a an authentication password for the default user. NOTE: You only "
        "need to do one of the above things in order for the server to start accepting connections from the outside."
        "\r\n";

    if (!acl_connection_protected(connection)) {
        return true;
    }
    log_write(DM_LOG_VERBOSE, "refused %s: protected mode", connection->peer);
    add(&connection->worker->stats.connections_rejected, 1);
    if (connection->kind != CONNECTION_TLS && write(connection->socket, denied, sizeof denied - 1) > 0) {
        socket_discard(connection->socket);
    }
    return false;
}

void connection_open(struct worker *worker, int socket, enum connection_kind kind) {
    struct connection_both *both = calloc(1, sizeof *both);
    bool link = true;

    if (both != NULL) {
        both->connection.io = &both->io;
        connection_init(&both->connection, worker, socket, kind);
        both->io.tls = kind == CONNECTION_TLS ? tls_link_open(worker->server->tls, socket) : NULL;
        link = kind != CONNECTION_TLS || both->io.tls != NULL;
    }
    if (both == NULL || !link || !acl_connection_begin(&both->connection)) {
        log_write(DM_LOG_WARNING, "no memory for another connection; it is closed");
        free(both);
        close(socket);
        worker_forget(worker, NULL);
        return;
    }
    struct connection *connection = &both->connection;

    worker->io->connection_count++;
    connection_list_add(connection);
    add(&worker->stats.connections_received, 1);
    add(&worker->stats.connections_now, 1);
    stranger_set(connection, !connection->authenticated || kind == CONNECTION_TLS);
    log_write(DM_LOG_VERBOSE, "accepted %s, client %" PRIu64 ", worker %u", connection->peer, connection->id,
              worker->index);
    both->io.reading = connection_admit(connection) && event_add(&both->io.read_event, NULL) == 0;
    if (!both->io.reading) {
        connection_kill(connection);
    }
}

/* ---- Ending ---- */

static void connection_leave_dirty(struct connection *connection) {
    struct connection **link = &connection->worker->io->dirty;

    while (connection->io->dirty && *link != NULL) {
        if (*link == connection) {
            *link = connection->io->dirty_next;
            connection->io->dirty = false;
            return;
        }
        link = &(*link)->io->dirty_next;
    }
}

void connection_free(struct connection *connection) {
    struct connection_io *io = connection->io;
    struct worker *worker = connection->worker;

    log_write(DM_LOG_VERBOSE, "closing %s, client %" PRIu64, connection->peer, connection->id);
    pubsub_leave(connection);
    monitor_leave(connection);
    multi_close(connection);
    connection_leave_dirty(connection);
    stranger_set(connection, false);
    connection_list_remove(connection);
    event_del(&io->read_event);
    event_del(&io->write_event);
    if (io->tls != NULL) {
        tls_link_close(io->tls);
    }
    if (connection->close_after_reply) {
        socket_discard(connection->socket);
    }
    close(connection->socket);
    if (io->input != NULL) {
        input_release(&worker->io->inputs, io->input);
    }
    output_free(&connection->output);
    output_free(&io->pushed);
    acl_connection_end(connection);
    free(connection->name);
    free(connection->library_name);
    free(connection->library_version);
    worker->stats.connections_now = worker->stats.connections_now - 1;
    worker_forget(worker, connection);
    free(connection);
}

void connection_stop(struct connection *connection) {
    connection->io->ended = true;
    connection_want_read(connection, false);
    connection_advance(connection);
}

bool connection_kill(struct connection *connection) {
    connection->io->failed = true;
    if (connection->io->running) {
        return false;
    }
    connection_free(connection);
    return true;
}

static bool connection_idle(const struct connection *connection, uint64_t idle_ns, uint64_t stranger_ns) {
    uint64_t now_ns = connection->worker->io->now_ns;

    if (connection->io->stranger && stranger_ns > 0 && now_ns - connection->created_ns > stranger_ns) {
        add(&connection->worker->stats.unauthenticated_closed, 1);
        return true;
    }
    return idle_ns > 0 && now_ns - connection->active_ns > idle_ns && connection_subscribed(connection) == 0 &&
           !connection->monitoring;
}

void connection_close_idle(struct worker *worker, uint64_t idle_ns, uint64_t stranger_ns) {
    struct connection *next;

    for (struct connection *connection = worker->connections; connection != NULL; connection = next) {
        next = connection->next;
        if (!connection->io->running && connection_idle(connection, idle_ns, stranger_ns)) {
            log_write(DM_LOG_VERBOSE, "client %" PRIu64 " (%s) has been idle for too long", connection->id,
                      connection->peer);
            connection_kill(connection);
        }
    }
}

/* ---- Ending from elsewhere ---- */

struct kill_task {
    struct worker_task task;
    size_t count;
    uint64_t ids[];
};

static bool is_among(const uint64_t *ids, size_t count, uint64_t id) {
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

static void kill_run(struct worker *worker, struct worker_task *task) {
    struct kill_task *kill = (struct kill_task *)task;
    struct connection *next;

    for (struct connection *connection = worker->connections; connection != NULL; connection = next) {
        next = connection->next;
        if (is_among(kill->ids, kill->count, connection->id)) {
            connection_kill(connection);
        }
    }
    free(kill);
}

void connection_kill_ids(struct server *server, const uint64_t *ids, size_t count) {
    for (uint32_t i = 0; i < server->worker_count && count > 0; i++) {
        struct kill_task *kill = malloc(sizeof *kill + count * sizeof *ids);

        if (kill == NULL) {
            log_write(DM_LOG_WARNING, "no memory to close connections");
            return;
        }
        kill->task = (struct worker_task){.run = kill_run, .bytes = sizeof *kill + count * sizeof *ids};
        kill->count = count;
        memcpy(kill->ids, ids, count * sizeof *ids);
        worker_post(&server->workers[i], &kill->task);
    }
}
