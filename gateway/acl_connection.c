/* acl_connection.c: see acl_connection.h. On the connection's worker's thread. */
#include "acl_connection.h"

#include <stdlib.h>
#include <string.h>

#include "acl_log.h"
#include "client_text.h"
#include "cmd.h"
#include "connection_io.h"
#include "live.h"
#include "log.h"
#include "pubsub.h"
#include "socket.h"
#include "worker.h"

static const char default_name[] = "default";

static void add(_Atomic uint64_t *counter) {
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* ---- Whose connection it is ---- */

/* Takes over the reference. */
static void user_become(struct connection *connection, struct acl_user *user) {
    struct worker *worker = connection->worker;

    pthread_mutex_lock(&worker->connections_lock);
    struct acl_user *before = connection->user;
    connection->user = user;
    pthread_mutex_unlock(&worker->connections_lock);
    acl_user_release(before);
}

static void limits_find(struct connection *connection, bool password_needed) {
    connection->authenticated = connection->logged_in || !password_needed;
    connection->unrestricted = connection->authenticated && connection->user->unrestricted;
    connection_known(connection);
}

bool acl_connection_refresh(struct connection *connection) {
    struct acl *acl = connection->worker->server->acl;
    uint64_t generation = atomic_load_explicit(&acl->generation, memory_order_acquire);

    if (connection->acl_generation == generation) {
        return true;
    }
    struct acl_user *user = acl_current(acl, connection->user);
    struct acl_user *general = acl_find(acl, default_name, sizeof default_name - 1);

    if (user == NULL || !pubsub_permitted(connection, user)) {
        acl_user_release(user);
        acl_user_release(general);
        connection->io->failed = true;
        return false;
    }
    user_become(connection, user);
    connection->acl_generation = generation;
    limits_find(connection, acl_password_needed(general));
    acl_user_release(general);
    return true;
}

static void default_become(struct connection *connection) {
    struct acl *acl = connection->worker->server->acl;

    connection->acl_generation = atomic_load_explicit(&acl->generation, memory_order_acquire);
    user_become(connection, acl_find(acl, default_name, sizeof default_name - 1));
    connection->logged_in = !acl_password_needed(connection->user);
    limits_find(connection, !connection->logged_in);
}

bool acl_connection_begin(struct connection *connection) {
    default_become(connection);
    return true;
}

void acl_connection_end(struct connection *connection) {
    acl_user_release(connection->user);
    connection->user = NULL;
}

void acl_connection_reset(struct connection *connection) { default_become(connection); }

bool acl_connection_protected(const struct connection *connection) {
    const struct server *server = connection->worker->server;

    if (connection->kind == CONNECTION_UNIX ||
        atomic_load_explicit(&server->live->protected_mode, memory_order_relaxed) == 0 ||
        socket_is_loopback(connection->socket)) {
        return false;
    }
    struct acl_user *general = acl_find(server->acl, default_name, sizeof default_name - 1);
    bool open = general->nopass;

    acl_user_release(general);
    return open;
}

/* ---- Refusals ---- */

static void refusal_note(struct call *call, enum acl_verdict reason, const struct resp_arg *object, const char *user) {
    struct worker_stats *stats = &call->worker->stats;
    char name[256];
    struct acl_log_entry entry = {
        .reason = reason, .object = name, .user = (char *)(uintptr_t)user, .wall_ms = command_now_ms(call)};

    add(reason == ACL_DENIED_AUTH      ? &stats->denied_auth
        : reason == ACL_DENIED_COMMAND ? &stats->denied_command
        : reason == ACL_DENIED_KEY     ? &stats->denied_key
                                       : &stats->denied_channel);
    snprintf(name, sizeof name, "%.*s", command_text_length(object, sizeof name - 1), object->bytes);
    entry.client = client_text(call->connection, call->worker->io->now_ns);
    if (entry.client != NULL) {
        acl_log_add(call->server->acl_log, &entry,
                    atomic_load_explicit(&call->server->live->acllog_max_len, memory_order_relaxed));
    }
    free(entry.client);
}

bool acl_connection_authenticate(struct call *call, const struct resp_arg *name, const struct resp_arg *password) {
    struct connection *connection = call->connection;
    struct acl_user *user = acl_authenticate(call->server->acl, name, password);
    char shown[256];

    if (user == NULL) {
        snprintf(shown, sizeof shown, "%.*s", command_text_length(name, sizeof shown - 1), name->bytes);
        const struct resp_arg object = {call->argv[0].bytes, call->argv[0].length};
        refusal_note(call, ACL_DENIED_AUTH, &object, shown);
        return false;
    }
    user_become(connection, user);
    connection->logged_in = true;
    limits_find(connection, false);
    connection->acl_generation = 0; /* it is looked at again at the next command */
    return true;
}

static void refusal_reply(struct call *call, enum acl_verdict verdict, size_t index) {
    const struct resp_arg command = {call->command->name, strlen(call->command->name)};

    refusal_note(call, verdict, verdict == ACL_DENIED_COMMAND ? &command : &call->argv[index],
                 call->connection->user->name);
    if (verdict == ACL_DENIED_COMMAND) {
        reply_errorf(call->reply, "NOPERM this user has no permissions to run the '%s' command", call->command->name);
    } else {
        reply_errorf(call->reply, "NOPERM this user has no permissions to access one of the %s used as arguments",
                     verdict == ACL_DENIED_KEY ? "keys" : "channels");
    }
}

bool acl_connection_allows(struct call *call) {
    struct connection *connection = call->connection;
    size_t index;

    if (!acl_connection_refresh(connection)) {
        reply_error(call->reply, "NOPERM this user does not exist any more");
        return false;
    }
    if (!connection->authenticated) {
        if ((call->command->flags & COMMAND_NO_AUTH) != 0) {
            return true;
        }
        reply_error(call->reply, "NOAUTH Authentication required.");
        return false;
    }
    enum acl_verdict verdict = acl_user_check(connection->user, call->command, call->argv, call->argc, &index);

    if (verdict != ACL_ALLOWED) {
        refusal_reply(call, verdict, index);
    }
    return verdict == ACL_ALLOWED;
}

/* ---- Connections of users that were deleted ---- */

static void sweep_run(struct worker *worker, struct worker_task *task) {
    struct connection *next;

    for (struct connection *connection = worker->connections; connection != NULL; connection = next) {
        next = connection->next;
        if (!acl_connection_refresh(connection)) {
            connection_kill(connection);
        }
    }
    free(task);
}

void acl_connections_sweep(struct server *server) {
    for (uint32_t i = 0; i < server->worker_count; i++) {
        struct worker_task *task = malloc(sizeof *task);

        if (task == NULL) { /* they are closed at their next command all the same */
            log_write(DM_LOG_WARNING, "no memory to close connections of deleted users");
            return;
        }
        *task = (struct worker_task){.run = sweep_run, .bytes = sizeof *task};
        worker_post(&server->workers[i], task);
    }
}
