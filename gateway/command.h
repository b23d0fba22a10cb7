/* command.h: commands as data. One row a command drives dispatch, arity, COMMAND, documentation and tests.
 *
 * A handler runs in a coroutine of the connection's worker: it may call libdm and be parked there; its connection
 * executes no other command meanwhile, but other connections of the worker do. It answers through call->reply,
 * exactly one reply. It does not know sockets or events.
 *
 * The rows are described in command_table.h; what handlers share is in cmd.h.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include "connection.h"
#include "dm.h"
#include "reply.h"
#include "resp.h"
#include "server.h"

struct command;

struct call {
    struct connection *connection;
    struct worker *worker;
    struct server *server;
    struct dm_session *session;
    struct reply *reply;
    const struct command *command;
    size_t argc;
    const struct resp_arg *argv; /* argv[0] is the name as sent */
    bool *deleted;               /* DEL, UNLINK: which arguments named a key that is gone now; NULL: nobody asks */
    const struct multi_picture *picture; /* of a command that looks at all keys, inside MULTI; NULL: it is not */
};

typedef void command_handler(struct call *call);

/* Looks up (case-insensitive), checks arity and authentication, counts, and runs the handler. Always replies.
 * Sets call->command, and connection->last_command when there is such a command. */
void command_execute(struct call *call);

/* The row of a top-level command, case-insensitive; NULL when there is none. */
const struct command *command_lookup(const char *name, size_t length);

/* From which argument on nothing may be shown or logged, because there are passwords; argc: all may. */
size_t command_secret_from(const struct call *call);

/* Index of the first key in argv, and how many keys, for commands with fixed key positions; 0 if none. */
size_t command_keys(const struct command *command, size_t argc, size_t *first, size_t *step);

#endif
