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
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "connection_io.h"
#include "log.h"
#include "ticks.h"
#include "worker.h"

#define RECEIVE_BYTES_MAX (256u * 1024) /* received from one client before others have their turn */
#define FLUSH_EARLY_BYTES (64u * 1024)  /* replies of a long pipeline are sent in pieces of about this size */
#define PREFETCH_KEYS 64u
#define FLUSHES_A_TURN 32u                      /* such pieces before others have their turn */
#define OUTPUT_STRANGER_SOFT_BYTES (16u * 1024) /* replies that may wait for a client that has not authenticated */
#define INPUT_STRANGER_BYTES (256u * 1024)      /* longest half-sent command of such a client */

static void count(uint64_t *counter, uint64_t by) { __atomic_store_n(counter, *counter + by, __ATOMIC_RELAXED); }

static void count_stat(_Atomic uint64_t *counter, uint64_t by) {
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by, memory_order_relaxed);
}

/* ---- Events wanted ---- */

void connection_want(struct event *event, bool *active, bool wanted) {
    if (*active != wanted) {
        *active = wanted;
        if (wanted) {
            event_add(event, NULL);
        } else {
            event_del(event);
        }
    }
}

void connection_want_read(struct connection *connection, bool wanted) {
    struct connection_io *io = connection->io;

    connection_want(&io->read_event, &io->reading, wanted);
    if (wanted && io->tls != NULL && tls_link_pending(io->tls)) { /* which the socket does not know of */
        event_active(&io->read_event, EV_READ, 1);
    }
}

void connection_flush(struct connection *connection) {
    struct tls_link *tls = connection->io->tls;
    size_t written = 0;
    int result = tls == NULL ? output_flush(&connection->output, connection->socket, &written)
                             : output_flush_through(&connection->output, tls_link_write, tls, &written);

    count(&connection->bytes_out, written);
    __atomic_store_n(&connection->output_bytes, connection->output.bytes, __ATOMIC_RELAXED);
    count_stat(&connection->worker->stats.bytes_out, written);
    if (result < 0) {
        log_write(DM_LOG_VERBOSE, "client %" PRIu64 ": %s", connection->id, strerror(errno));
        connection->io->failed = true;
    }
}

static bool connection_output_full(const struct connection *connection) {
    size_t most =
        connection->authenticated ? connection->worker->server->config->output_soft_bytes : OUTPUT_STRANGER_SOFT_BYTES;

    return connection->output.bytes > most;
}

/* Nothing is being executed, and what could be sent has been: closes the connection or says what it waits for.
 * The connection may be gone afterwards. */
void connection_settle(struct connection *connection) {
    struct connection_io *io = connection->io;
    size_t most = connection_output_bytes_max(connection);

    if (connection->output.bytes > most && !io->failed) {
        log_write(DM_LOG_WARNING,
                  "client %" PRIu64 " (%s) does not read its replies: more than %zu bytes wait (output_hard_limit)",
                  connection->id, connection->peer, most);
        count_stat(&connection->worker->stats.output_limit_disconnections, 1);
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
    connection_want(&io->write_event, &io->writing, !sent || (io->tls != NULL && tls_link_wants_write(io->tls)));
    connection_want_read(connection,
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

/* CLIENT REPLY: the command writes into an output that nobody gets. */
static void connection_execute_silently(struct connection *connection, struct call *call) {
    struct output nowhere;
    struct reply reply = connection->reply;

    reply.output = &nowhere;
    output_init(&nowhere);
    nowhere.pool = connection->output.pool;
    call->reply = &reply;
    command_execute(call);
    call->reply = &connection->reply;
    __atomic_store_n(&connection->reply.protocol, reply.protocol, __ATOMIC_RELAXED);
    if (connection->replies == REPLIES_ON) { /* it was the command that brings replies back */
        output_move(&connection->output, &nowhere);
    }
    output_free(&nowhere);
    connection->replies = connection->replies == REPLIES_SKIP        ? REPLIES_ON
                          : connection->replies == REPLIES_SKIP_NEXT ? REPLIES_SKIP
                                                                     : connection->replies;
}

static void connection_execute_one(struct connection *connection, struct call *call) {
    connection->io->in_command = true;
    if (connection->replies == REPLIES_ON) {
        command_execute(call);
        if (connection->replies != REPLIES_ON) {
            connection->replies = connection->replies == REPLIES_SKIP_NEXT ? REPLIES_SKIP : connection->replies;
        }
    } else {
        connection_execute_silently(connection, call);
    }
    connection->io->in_command = false;
    connection_push_rest(connection);
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

    connection->ticks = ticks_now();
    connection->ticks_fresh = true;
    while (input_pinned(input) && !io->held && !io->failed && !connection->close_after_reply) {
        call.command = NULL;
        call.argc = input->reader.commands[input->executed].count;
        call.argv = resp_command_args(&input->reader, input->executed);
        connection_execute_one(connection, &call);
        input->executed++;
        if (connection->output.failed) {
            io->failed = true; /* connection_settle says why */
        }
        if (connection->output.bytes > FLUSH_EARLY_BYTES && !io->failed) {
            connection_flush_early(connection);
            connection->ticks_fresh = false;
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
void connection_advance(struct connection *connection) {
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
    ssize_t got = io->tls == NULL ? read(connection->socket, input->bytes + input->end, room)
                                  : tls_link_read(io->tls, input->bytes + input->end, room);

    if (got > 0) {
        input->end += (size_t)got;
        *total += (size_t)got;
        return io->tls != NULL || (size_t)got == room; /* a record at a time: only EAGAIN says that this was all */
    }
    if (got == 0) {
        io->ended = true;
        connection_want(&io->read_event, &io->reading, false);
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        log_write(DM_LOG_VERBOSE, "client %" PRIu64 ": %s", connection->id,
                  io->tls != NULL && errno == EPROTO ? tls_link_error(io->tls) : strerror(errno));
        io->failed = true;
        connection_want(&io->read_event, &io->reading, false);
    }
    return false;
}

/* For CLIENT LIST. */
static void count_input(struct connection *connection) {
    const struct input *input = connection->io->input;

    __atomic_store_n(&connection->input_bytes, input == NULL ? 0 : input->end - input->start, __ATOMIC_RELAXED);
}

/* The handshake may have ended, may want to send, and may have left bytes behind that no event tells of. */
static void connection_after_tls(struct connection *connection) {
    struct connection_io *io = connection->io;

    if (io->stranger) {
        connection_known(connection);
    }
    if (tls_link_wants_write(io->tls)) {
        connection_want(&io->write_event, &io->writing, true);
    }
    if (io->reading && !io->failed && tls_link_pending(io->tls)) {
        event_active(&io->read_event, EV_READ, 1);
    }
}

static void connection_receive(struct connection *connection) {
    struct connection_io *io = connection->io;
    struct worker *worker = connection->worker;
    uint64_t limit = worker->server->config->query_buffer_limit_bytes;
    size_t total = 0;

    if (!connection->authenticated && limit > INPUT_STRANGER_BYTES) {
        limit = INPUT_STRANGER_BYTES;
    }
    while (connection_room(connection)) {
        bool filled = connection_receive_some(connection, &total);
        if (io->input->end - io->input->start > limit) {
            log_write(DM_LOG_WARNING,
                      "client %" PRIu64 " (%s): its command is longer than %" PRIu64 " bytes (query_buffer_limit)",
                      connection->id, connection->peer, limit);
            io->failed = true;
            connection_want(&io->read_event, &io->reading, false);
        }
        if (!filled || total >= RECEIVE_BYTES_MAX || io->failed || io->running || !connection->authenticated) {
            break;
        }
        /* A client that sends much at once gets a larger buffer: fewer calls, and more commands to overlap. */
        if (io->input->capacity < RECEIVE_BYTES_MAX && input_room(io->input) < io->input->capacity / 4 &&
            !input_grow(&worker->io->inputs, io->input)) {
            break;
        }
    }
    count(&connection->bytes_in, total);
    count_stat(&worker->stats.bytes_in, total);
    count_input(connection);
    if (io->tls != NULL) {
        connection_after_tls(connection);
    }
}

void connection_on_readable(int socket, short what, void *argument) {
    struct connection *connection = argument;
    struct worker_io *worker_io = connection->worker->io;

    (void)socket;
    (void)what;
    worker_io->had_event = true;
    __atomic_store_n(&connection->active_ns, worker_io->now_ns, __ATOMIC_RELAXED);
    connection_receive(connection);
    connection_advance(connection);
}

void connection_on_writable(int socket, short what, void *argument) {
    struct connection *connection = argument;

    (void)socket;
    (void)what;
    connection->worker->io->had_event = true;
    __atomic_store_n(&connection->active_ns, connection->worker->io->now_ns, __ATOMIC_RELAXED);
    if (connection->io->tls != NULL && tls_link_wants_write(connection->io->tls)) { /* on with the handshake */
        connection_receive(connection);
    }
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
