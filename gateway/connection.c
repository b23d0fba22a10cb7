/* connection.c: one client's socket: receives, lets commands be executed in the order sent, and sends the replies.
 *
 *   readable -> receive -> advance -> [ coroutine: read ahead, prefetch, execute ... ] -> settle
 *   writable -> flush   ---^                                                              |
 *                                        flush, then wait for more, or for room, or close <+
 *
 * At most one coroutine a connection is alive. It executes all complete commands that have been received, and ends.
 * While it is parked, bytes are still received into the free part of the buffer, whose contents must not move, and
 * nothing is freed: a connection that is to be closed waits for its coroutine. Everything on the worker's thread.
 */
#include "connection.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "input.h"
#include "log.h"
#include "socket.h"
#include "worker.h"

#define RECEIVE_BYTES_MAX (256u * 1024) /* received from one client before others have their turn */
#define FLUSH_EARLY_BYTES (64u * 1024)  /* replies of a long pipeline are sent in pieces of about this size */
#define PREFETCH_KEYS 64u
#define FLUSHES_A_TURN 32u /* such pieces before others have their turn */

struct connection_io {
    struct event read_event, write_event;
    struct input *input;   /* NULL: nothing waits */
    bool reading, writing; /* the events are active */
    bool running;          /* a coroutine executes commands */
    bool ended;            /* no more input: the client has closed its side, or the process stops */
    bool failed;           /* close without sending more */
    bool held;             /* complete commands may wait because the output was full */
    uint32_t flushes;      /* before all commands were executed */
};

struct connection_both {
    struct connection connection;
    struct connection_io io;
};

static void connection_on_readable(int socket, short what, void *argument);
static void connection_on_writable(int socket, short what, void *argument);

static void count(uint64_t *counter, uint64_t by) { __atomic_store_n(counter, *counter + by, __ATOMIC_RELAXED); }

static void count_stat(_Atomic uint64_t *counter, uint64_t by) {
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by, memory_order_relaxed);
}

/* ---- Opening and closing ---- */

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

void connection_open(struct worker *worker, int socket) {
    struct server *server = worker->server;
    struct connection_both *both = calloc(1, sizeof *both);

    if (both == NULL) {
        log_write(DM_LOG_WARNING, "no memory for another connection; it is closed");
        close(socket);
        worker_forget(worker, NULL);
        return;
    }
    struct connection *connection = &both->connection;
    connection->id = atomic_fetch_add_explicit(&server->next_connection_id, 1, memory_order_relaxed) + 1;
    connection->worker = worker;
    connection->socket = socket;
    connection->authenticated = server->config->requirepass[0] == '\0';
    connection->io = &both->io;
    connection->created_ns = worker->io->now_ns;
    connection->active_ns = worker->io->now_ns;
    output_init(&connection->output);
    connection->output.pool = &worker->io->outputs;
    connection->output.bytes_max = server->config->output_hard_bytes;
    connection->reply.output = &connection->output;
    connection->reply.protocol = 2;
    socket_prepare(socket, server->config->tcp_keepalive_s);
    socket_address_format(socket, true, connection->peer, sizeof connection->peer);
    socket_address_format(socket, false, connection->local, sizeof connection->local);
    event_assign(&both->io.read_event, worker->io->base, socket, EV_READ | EV_PERSIST, connection_on_readable,
                 connection);
    event_assign(&both->io.write_event, worker->io->base, socket, EV_WRITE | EV_PERSIST, connection_on_writable,
                 connection);
    connection_list_add(connection);
    count_stat(&worker->stats.connections_received, 1);
    count_stat(&worker->stats.connections_now, 1);
    log_write(DM_LOG_VERBOSE, "accepted %s, client %" PRIu64 ", worker %u", connection->peer, connection->id,
              worker->index);
    both->io.reading = event_add(&both->io.read_event, NULL) == 0;
    if (!both->io.reading) {
        both->io.failed = true;
        connection_kill(connection);
    }
}

static void connection_free(struct connection *connection) {
    struct connection_io *io = connection->io;
    struct worker *worker = connection->worker;

    log_write(DM_LOG_VERBOSE, "closing %s, client %" PRIu64, connection->peer, connection->id);
    connection_list_remove(connection);
    event_del(&io->read_event);
    event_del(&io->write_event);
    if (connection->close_after_reply) {
        socket_discard(connection->socket);
    }
    close(connection->socket);
    if (io->input != NULL) {
        input_release(&worker->io->inputs, io->input);
    }
    output_free(&connection->output);
    free(connection->name);
    free(connection->library_name);
    free(connection->library_version);
    worker->stats.connections_now = worker->stats.connections_now - 1;
    worker_forget(worker, connection);
    free(connection);
}

/* ---- Events wanted ---- */

static void connection_want(struct event *event, bool *active, bool wanted) {
    if (*active != wanted) {
        *active = wanted;
        if (wanted) {
            event_add(event, NULL);
        } else {
            event_del(event);
        }
    }
}

static void connection_flush(struct connection *connection) {
    size_t written = 0;
    int result = output_flush(&connection->output, connection->socket, &written);

    count(&connection->bytes_out, written);
    count_stat(&connection->worker->stats.bytes_out, written);
    if (result < 0) {
        log_write(DM_LOG_VERBOSE, "client %" PRIu64 ": %s", connection->id, strerror(errno));
        connection->io->failed = true;
    }
}

static bool connection_output_full(const struct connection *connection) {
    return connection->output.bytes > connection->worker->server->config->output_soft_bytes;
}

/* Nothing is being executed, and what could be sent has been: closes the connection or says what it waits for.
 * The connection may be gone afterwards. */
static void connection_settle(struct connection *connection) {
    struct connection_io *io = connection->io;
    const struct config *config = connection->worker->server->config;

    if (connection->output.bytes > config->output_hard_bytes) {
        log_write(DM_LOG_WARNING,
                  "client %" PRIu64 " (%s) does not read its replies: more than %" PRIu64
                  " bytes wait (output_hard_limit)",
                  connection->id, connection->peer, config->output_hard_bytes);
        io->failed = true;
    } else if (connection->output.failed) {
        log_write(DM_LOG_WARNING, "client %" PRIu64 " (%s): no memory for replies", connection->id, connection->peer);
        io->failed = true;
    }
    bool sent = connection->output.bytes == 0;
    bool last = connection->close_after_reply || (io->ended && !io->held);
    if (io->failed || (last && sent)) {
        connection_free(connection);
        return;
    }
    if (io->input != NULL && io->input->start == io->input->end && !input_pinned(io->input)) {
        input_release(&connection->worker->io->inputs, io->input);
        io->input = NULL;
    }
    connection_want(&io->write_event, &io->writing, !sent);
    connection_want(&io->read_event, &io->reading,
                    !io->ended && !connection->close_after_reply && !connection_output_full(connection));
}

/* ---- Executing ---- */

/* Lets memory latency of the commands to come overlap. A hint only: arguments may be wrong, keys may be many. */
static void connection_prefetch(struct connection *connection, const struct resp_reader *reader) {
    struct dm_key keys[PREFETCH_KEYS];
    uint32_t count = 0;

    for (uint32_t i = 0; i < reader->command_count && count < PREFETCH_KEYS; i++) {
        const struct resp_arg *argv = resp_command_args(reader, i);
        size_t argc = reader->commands[i].count, first, step;
        const struct command *command = command_lookup(argv[0].bytes, argv[0].length);
        size_t key_count = command != NULL ? command_keys(command, argc, &first, &step) : 0;
        for (size_t k = 0; k < key_count && count < PREFETCH_KEYS; k++) {
            const struct resp_arg *arg = &argv[first + k * step];
            if (arg->length <= DM_KEY_BYTES_MAX) {
                keys[count++] = (struct dm_key){arg->bytes, (uint32_t)arg->length, connection->database};
            }
        }
    }
    if (count > 0) {
        dm_prefetch(connection->worker->session, keys, count);
    }
}

static void connection_protocol_error(struct connection *connection, const char *text) {
    log_write(DM_LOG_VERBOSE, "client %" PRIu64 " (%s): %s", connection->id, connection->peer, text);
    count_stat(&connection->worker->stats.errors, 1);
    reply_errorf(&connection->reply, "ERR %s", text);
    connection->close_after_reply = true;
}

/* Sends some replies while commands are being executed, and lets others have their turn now and then. */
static void connection_flush_early(struct connection *connection) {
    struct worker *worker = connection->worker;

    connection_flush(connection);
    if (++connection->io->flushes % FLUSHES_A_TURN == 0) {
        dm_coro_sleep(worker->sched, 0);
    }
}

/* Executes commands that were read ahead, until the output is full. */
static void connection_execute(struct connection *connection) {
    struct connection_io *io = connection->io;
    struct worker *worker = connection->worker;
    struct input *input = io->input;
    uint32_t first = input->executed;
    struct call call = {
        .connection = connection,
        .worker = worker,
        .server = worker->server,
        .session = worker->session,
        .reply = &connection->reply,
    };

    while (input_pinned(input) && !io->held && !io->failed && !connection->close_after_reply) {
        call.command = NULL;
        call.argc = input->reader.commands[input->executed].count;
        call.argv = resp_command_args(&input->reader, input->executed);
        command_execute(&call);
        input->executed++;
        if (connection->output.failed) {
            io->failed = true; /* connection_settle says why */
        }
        if (connection->output.bytes > FLUSH_EARLY_BYTES && !io->failed) {
            connection_flush_early(connection);
            io->held = connection_output_full(connection);
        }
    }
    count(&connection->commands, input->executed - first);
}

/* Reads commands ahead; false: no complete one has been received. */
static bool connection_read_ahead(struct connection *connection) {
    struct input *input = connection->io->input;
    struct resp_limits limits = {
        .bulk_bytes = (int64_t)connection->worker->server->config->proto_max_bulk_len,
        .unauthenticated = !connection->authenticated,
    };
    size_t consumed;

    /* Reading beyond an AUTH would apply the limits from before it. */
    uint32_t ahead = connection->authenticated ? RESP_AHEAD : 1;
    resp_read(&input->reader, &limits, input->bytes + input->start, input->end - input->start, ahead, &consumed);
    input->start += consumed;
    input->executed = 0;
    if (input->reader.command_count > 1) {
        connection_prefetch(connection, &input->reader);
    }
    return input->reader.command_count > 0;
}

/* Executes all complete commands that have been received, but for what must wait. */
static void connection_run_all(struct connection *connection) {
    struct connection_io *io = connection->io;
    struct input *input = io->input;

    io->held = connection_output_full(connection);
    while (!io->held && !io->failed && !connection->close_after_reply) {
        if (!input_pinned(input) && input->reader.error[0] == '\0' && !connection_read_ahead(connection) &&
            input->reader.error[0] == '\0') {
            return;
        }
        connection_execute(connection);
        /* An error behind good commands waits until those have been executed. */
        if (!input_pinned(input) && input->reader.error[0] != '\0' && !connection->close_after_reply) {
            connection_protocol_error(connection, input->reader.error);
        }
    }
}

/* The coroutine. */
static void connection_run(void *argument) {
    struct connection *connection = argument;
    struct connection_io *io = connection->io;
    struct worker_io *worker_io = connection->worker->io;

    do {
        connection_run_all(connection);
        if (connection->output.bytes > 0 && !io->failed) {
            connection_flush(connection);
        }
    } while (io->held && !io->failed && !connection_output_full(connection));
    io->running = false;
    worker_io->running--;
    connection_settle(connection);
}

/* Executes what can be, unless that is going on already. The connection may be gone afterwards. */
static void connection_advance(struct connection *connection) {
    struct connection_io *io = connection->io;
    struct worker_io *worker_io = connection->worker->io;

    if (io->running) {
        return;
    }
    if (io->failed || io->input == NULL) {
        io->held = false;
        connection_settle(connection);
        return;
    }
    io->running = true;
    worker_io->running++;
    worker_io->worked = true;
    if (dm_sched_spawn(connection->worker->sched, connection_run, connection) != DM_OK) {
        log_write(DM_LOG_WARNING, "client %" PRIu64 " (%s): no coroutine is free", connection->id, connection->peer);
        io->running = false;
        worker_io->running--;
        io->failed = true;
        connection_settle(connection);
    }
}

/* ---- Receiving ---- */

/* Room to receive into. While commands run, their arguments must stay where they are. */
static bool connection_room(struct connection *connection) {
    struct connection_io *io = connection->io;
    struct worker *worker = connection->worker;

    if (io->running || (io->input != NULL && input_pinned(io->input))) {
        if (input_room(io->input) > 0) {
            return true;
        }
        connection_want(&io->read_event, &io->reading, false);
        return false;
    }
    if (io->input == NULL) {
        io->input = input_acquire(&worker->io->inputs);
    }
    if (io->input == NULL || !input_make_room(&worker->io->inputs, io->input)) {
        log_write(DM_LOG_WARNING, "client %" PRIu64 " (%s): no memory for its commands", connection->id,
                  connection->peer);
        io->failed = true;
        return false;
    }
    return true;
}

/* One read. True: the socket gave all that was asked for, and may have more. */
static bool connection_receive_some(struct connection *connection, size_t *total) {
    struct connection_io *io = connection->io;
    struct input *input = io->input;
    size_t room = input_room(input);
    ssize_t got = read(connection->socket, input->bytes + input->end, room);

    if (got > 0) {
        input->end += (size_t)got;
        *total += (size_t)got;
        return (size_t)got == room;
    }
    if (got == 0) {
        io->ended = true;
        connection_want(&io->read_event, &io->reading, false);
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        log_write(DM_LOG_VERBOSE, "client %" PRIu64 ": %s", connection->id, strerror(errno));
        io->failed = true;
        connection_want(&io->read_event, &io->reading, false);
    }
    return false;
}

static void connection_receive(struct connection *connection) {
    struct connection_io *io = connection->io;
    struct worker *worker = connection->worker;
    uint64_t limit = worker->server->config->query_buffer_limit_bytes;
    size_t total = 0;

    while (connection_room(connection)) {
        bool filled = connection_receive_some(connection, &total);
        if (io->input->end - io->input->start > limit) {
            log_write(DM_LOG_WARNING,
                      "client %" PRIu64 " (%s): its command is longer than %" PRIu64 " bytes (query_buffer_limit)",
                      connection->id, connection->peer, limit);
            io->failed = true;
            connection_want(&io->read_event, &io->reading, false);
        }
        if (!filled || total >= RECEIVE_BYTES_MAX || io->failed || io->running) {
            break;
        }
        /* A client that sends much at once gets a larger buffer: fewer calls, and more commands to overlap. */
        if (io->input->capacity < RECEIVE_BYTES_MAX && !input_grow(&worker->io->inputs, io->input)) {
            break;
        }
    }
    count(&connection->bytes_in, total);
    count_stat(&worker->stats.bytes_in, total);
}

static void connection_on_readable(int socket, short what, void *argument) {
    struct connection *connection = argument;
    struct worker_io *worker_io = connection->worker->io;

    (void)socket;
    (void)what;
    worker_io->had_event = true;
    __atomic_store_n(&connection->active_ns, worker_io->now_ns, __ATOMIC_RELAXED);
    connection_receive(connection);
    connection_advance(connection);
}

static void connection_on_writable(int socket, short what, void *argument) {
    struct connection *connection = argument;

    (void)socket;
    (void)what;
    connection->worker->io->had_event = true;
    __atomic_store_n(&connection->active_ns, connection->worker->io->now_ns, __ATOMIC_RELAXED);
    connection_flush(connection);
    if (connection->io->running) { /* its coroutine settles everything else */
        connection_want(&connection->io->write_event, &connection->io->writing,
                        connection->output.bytes > 0 && !connection->io->failed);
        return;
    }
    if (connection->io->held && !connection_output_full(connection)) {
        connection_advance(connection);
    } else {
        connection_settle(connection);
    }
}

/* ---- For worker.c ---- */

void connection_stop(struct connection *connection) {
    connection->io->ended = true;
    connection_want(&connection->io->read_event, &connection->io->reading, false);
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

void connection_close_idle(struct worker *worker, uint64_t idle_ns) {
    struct connection *next;

    for (struct connection *connection = worker->connections; connection != NULL; connection = next) {
        next = connection->next;
        if (!connection->io->running && worker->io->now_ns - connection->active_ns > idle_ns) {
            log_write(DM_LOG_VERBOSE, "client %" PRIu64 " (%s) has been idle for too long", connection->id,
                      connection->peer);
            connection_kill(connection);
        }
    }
}
