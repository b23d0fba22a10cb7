/* connection.h: one client's connection, as commands see it. Sockets and events are connection.c's own business.
 *
 * Belongs to its worker's thread. Other threads may read it under the worker's connections_lock (CLIENT LIST): what
 * changes while the connection lives is then stored with relaxed atomics, and texts are replaced under the lock.
 */
#ifndef CONNECTION_H
#define CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "output.h"
#include "reply.h"
#include "resp.h"

struct worker;

struct connection {
    uint64_t id; /* unique in the process, grows */
    struct worker *worker;
    int socket;
    uint16_t database;
    bool authenticated;
    bool close_after_reply; /* QUIT, protocol errors, ... */
    struct reply reply;     /* reply.protocol: RESP version */
    struct output output;
    char *name;         /* CLIENT SETNAME; NULL = none; malloc'ed */
    char *library_name; /* CLIENT SETINFO */
    char *library_version;
    char peer[64], local[64]; /* "ip:port" */
    uint64_t created_ns, active_ns;
    const char *last_command; /* "client|list" as Redis shows it; static text */
    uint64_t commands, bytes_in, bytes_out;
    /* the rest belongs to connection.c */
    struct connection_io *io;
    struct connection *previous, *next; /* the worker's list */
};

/* ---- For worker.c ---- */

/* Takes over a connected, non-blocking socket; closes it when that fails. */
void connection_open(struct worker *worker, int socket);

/* The process ends: reads no more, executes what has been received, flushes, closes. */
void connection_stop(struct connection *connection);

/* Closes at once, unless a command of it is being executed; true: it is gone. */
bool connection_kill(struct connection *connection);

/* Closes the connections of this worker that have been idle for longer than `idle_ns`. */
void connection_close_idle(struct worker *worker, uint64_t idle_ns);

#endif
