/* connection_push.c: bytes to a client that are no reply, and the limits of what waits for it. Worker's thread.
 *
 * Between commands they go straight into the output; while a command runs, which may have written half of its reply,
 * they wait beside it. They are sent at the end of the worker's turn: many messages make one write.
 */
#include <inttypes.h>

#include "connection_io.h"
#include "live.h"
#include "log.h"
#include "worker.h"

#define NS_PER_S UINT64_C(1000000000)
#define OUTPUT_STRANGER_BYTES (256u * 1024) /* most that waits for one that has not authenticated */

static uint64_t load(const _Atomic uint64_t *value) { return atomic_load_explicit(value, memory_order_relaxed); }

static const struct live_output_limit *limit_of(const struct connection *connection) {
    const struct live *live = connection->worker->server->live;
    bool subscriber = connection_subscribed(connection) > 0;

    return &live->output[subscriber ? CLIENT_PUBSUB : CLIENT_NORMAL];
}

size_t connection_output_bytes_max(const struct connection *connection) {
    uint64_t most = connection->worker->server->config->output_hard_bytes,
             hard = load(&limit_of(connection)->hard_bytes);

    if (!connection->authenticated && most > OUTPUT_STRANGER_BYTES) {
        most = OUTPUT_STRANGER_BYTES;
    }
    return hard > 0 && hard < most ? hard : most;
}

/* True: more than the soft limit has waited for longer than it may. */
static bool soft_exceeded(struct connection *connection, size_t waiting) {
    const struct live_output_limit *limit = limit_of(connection);
    uint64_t soft_bytes = load(&limit->soft_bytes), now_ns = connection->worker->io->now_ns;
    uint64_t *since_ns = &connection->io->soft_since_ns;

    if (soft_bytes == 0 || waiting <= soft_bytes) {
        *since_ns = 0;
        return false;
    }
    if (*since_ns == 0) {
        *since_ns = now_ns;
    }
    return now_ns - *since_ns > load(&limit->soft_s) * NS_PER_S;
}

static void connection_mark_dirty(struct connection *connection) {
    struct connection_io *io = connection->io;

    if (!io->dirty) {
        io->dirty = true;
        io->dirty_next = connection->worker->io->dirty;
        connection->worker->io->dirty = connection;
    }
}

static void connection_append(struct connection *connection, struct output *output, const void *bytes, size_t length) {
    struct connection_io *io = connection->io;

    if (io->failed) {
        return;
    }
    output_append(output, bytes, length);
    size_t waiting = connection->output.bytes + io->pushed.bytes;

    if (waiting > connection_output_bytes_max(connection) || output->failed || soft_exceeded(connection, waiting)) {
        log_write(DM_LOG_WARNING,
                  "client %" PRIu64 " (%s) is closed: %zu bytes wait for it (client-output-buffer-limit)",
                  connection->id, connection->peer, waiting);
        atomic_fetch_add_explicit(&connection->worker->stats.output_limit_disconnections, 1, memory_order_relaxed);
        io->failed = true;
    }
    connection_mark_dirty(connection);
}

void connection_push(struct connection *connection, const void *bytes, size_t length) {
    bool waits = connection->io->in_command || connection->io->pushed.bytes > 0;

    connection_append(connection, waits ? &connection->io->pushed : &connection->output, bytes, length);
}

void connection_push_first(struct connection *connection, const void *bytes, size_t length) {
    connection_append(connection, &connection->output, bytes, length);
}

void connection_push_rest(struct connection *connection) {
    if (connection->io->pushed.bytes > 0) {
        output_move(&connection->output, &connection->io->pushed);
    }
}

void connection_flush_pushed(struct worker *worker) {
    struct connection *connection;

    while ((connection = worker->io->dirty) != NULL) {
        worker->io->dirty = connection->io->dirty_next;
        connection->io->dirty = false;
        if (connection->io->running) { /* its coroutine sends it, and settles the rest */
            continue;
        }
        if (!connection->io->failed) {
            connection_flush(connection);
        }
        connection_settle(connection);
    }
}
