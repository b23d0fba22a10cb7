/* cmd_connection.c: PING, ECHO, QUIT, SELECT, AUTH, HELLO, RESET. In a coroutine of the connection's worker.
 *
 * What other threads may look at (CLIENT LIST) is stored atomically.
 */
#include <string.h>

#include "acl_connection.h"
#include "cmd_client.h"
#include "monitor.h"
#include "multi.h"
#include "number.h"
#include "pubsub.h"
#include "word.h"

#define ERROR_ARGUMENT_BYTES 3000 /* of an argument in an error text */

#define WRONG_PASSWORD_NS UINT64_C(2000000) /* before the answer to the first one */
#define WRONG_PASSWORD_DOUBLINGS 9u         /* up to 1 s */

static const char default_user[] = "default";

void cmd_ping(struct call *call) {
    if (call->argc > 2) {
        command_arity_error(call);
    } else if (call->reply->protocol == 2 && connection_subscribed(call->connection) > 0) { /* like a message */
        reply_array(call->reply, 2);
        reply_bulk_text(call->reply, "pong");
        reply_bulk(call->reply, call->argc == 2 ? call->argv[1].bytes : "", call->argc == 2 ? call->argv[1].length : 0);
    } else if (call->argc == 2) {
        reply_bulk(call->reply, call->argv[1].bytes, call->argv[1].length);
    } else {
        reply_status(call->reply, "PONG");
    }
}

void cmd_echo(struct call *call) { reply_bulk(call->reply, call->argv[1].bytes, call->argv[1].length); }

void cmd_quit(struct call *call) {
    call->connection->close_after_reply = true;
    reply_ok(call->reply);
}

void cmd_select(struct call *call) {
    int64_t index;

    if (!command_integer(call, 1, &index)) {
        return;
    }
    if (index < INT32_MIN || index > INT32_MAX) {
        command_errorf(call, "ERR value is out of range, value must between %d and %d", INT32_MIN, INT32_MAX);
    } else if (index < 0 || index >= FUSEGATE_DATABASES) {
        command_error(call, "ERR DB index is out of range");
    } else {
        __atomic_store_n(&call->connection->database, (uint16_t)index, __ATOMIC_RELAXED);
        reply_ok(call->reply);
    }
}

/* False: the error was replied. */
static bool authenticate(struct call *call, const struct resp_arg *user, const struct resp_arg *password) {
    struct connection *connection = call->connection;

    if (acl_connection_authenticate(call, user, password)) {
        connection->wrong_passwords = 0;
        return true;
    }
    /* Each further one on a connection takes twice as long: who tries many keeps nobody else waiting. */
    dm_coro_sleep(call->worker->sched, WRONG_PASSWORD_NS << connection->wrong_passwords);
    connection->wrong_passwords += connection->wrong_passwords < WRONG_PASSWORD_DOUBLINGS;
    command_error(call, "WRONGPASS invalid username-password pair or user is disabled.");
    return false;
}

/* AUTH with a password alone would do nothing. */
static bool no_password_is_set(struct call *call) {
    struct acl_user *user = acl_find(call->server->acl, default_user, sizeof default_user - 1);
    bool nopass = user->nopass;

    acl_user_release(user);
    return nopass;
}

void cmd_auth(struct call *call) {
    const struct resp_arg user = {default_user, sizeof default_user - 1};

    if (call->argc > 3) {
        command_error(call, ERROR_SYNTAX);
    } else if (call->argc == 2 && no_password_is_set(call)) {
        command_error(call, "ERR AUTH <password> called without any password configured for the default user. "
                            "Are you sure your configuration is correct?");
    } else if (authenticate(call, call->argc == 3 ? &call->argv[1] : &user, &call->argv[call->argc - 1])) {
        reply_ok(call->reply);
    }
}

/* Options take effect one after the other, even if a later one is wrong. False: the error was replied. */
static bool hello_options(struct call *call) {
    for (size_t i = 2; i < call->argc; i++) {
        const struct resp_arg *option = &call->argv[i];
        size_t behind = call->argc - 1 - i;

        if (behind >= 2 && word_equal(option, "auth")) {
            if (!authenticate(call, &call->argv[i + 1], &call->argv[i + 2])) {
                return false;
            }
            i += 2;
        } else if (behind >= 1 && word_equal(option, "setname")) {
            if (!client_set_name(call, &call->argv[i + 1])) {
                return false;
            }
            i++;
        } else {
            command_errorf(call, "ERR Syntax error in HELLO option '%.*s'",
                           command_text_length(option, ERROR_ARGUMENT_BYTES), option->bytes);
            return false;
        }
    }
    return true;
}

static void hello_reply(struct call *call) {
    struct reply *reply = call->reply;

    reply_map(reply, 7);
    reply_bulk_text(reply, "server");
    reply_bulk_text(reply, "redis");
    reply_bulk_text(reply, "version");
    reply_bulk_text(reply, FUSEGATE_REDIS_VERSION);
    reply_bulk_text(reply, "proto");
    reply_integer(reply, reply->protocol);
    reply_bulk_text(reply, "id");
    reply_integer(reply, (long long)call->connection->id);
    reply_bulk_text(reply, "mode");
    reply_bulk_text(reply, "standalone");
    reply_bulk_text(reply, "role");
    reply_bulk_text(reply, "master");
    reply_bulk_text(reply, "modules");
    reply_array(reply, 0);
}

void cmd_hello(struct call *call) {
    int64_t version = 0; /* keep the one in use */

    if (call->argc >= 2) {
        if (!number_parse(call->argv[1].bytes, call->argv[1].length, &version)) {
            command_error(call, "ERR Protocol version is not an integer or out of range");
            return;
        }
        if (version < 2 || version > 3) {
            command_error(call, "NOPROTO unsupported protocol version");
            return;
        }
    }
    if (!hello_options(call)) {
        return;
    }
    if (!call->connection->authenticated) {
        command_error(call, "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
                            "AUTH <user> <pass> option can be used to authenticate the client and select the RESP "
                            "protocol version at the same time");
        return;
    }
    if (version != 0) {
        __atomic_store_n(&call->reply->protocol, (int)version, __ATOMIC_RELAXED);
    }
    hello_reply(call);
}

void cmd_reset(struct call *call) {
    struct connection *connection = call->connection;
    const struct resp_arg no_name = {"", 0};

    if (!client_set_name(call, &no_name)) {
        return;
    }
    __atomic_store_n(&connection->database, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&call->reply->protocol, 2, __ATOMIC_RELAXED);
    acl_connection_reset(connection);
    pubsub_leave(connection);
    monitor_leave(connection);
    multi_forget(connection);
    connection->replies = REPLIES_ON;
    connection->no_evict = false;
    connection->no_touch = false;
    reply_status(call->reply, "RESET");
}
