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
struct acl_user;
struct multi;
struct subscriptions;

/* How a client came in. */
enum connection_kind { CONNECTION_TCP, CONNECTION_UNIX, CONNECTION_TLS };

/* CLIENT REPLY. */
enum connection_replies { REPLIES_ON, REPLIES_OFF, REPLIES_SKIP_NEXT, REPLIES_SKIP };

struct connection {
    uint64_t id; /* unique in the process, grows */
    struct worker *worker;
    int socket;
    enum connection_kind kind;
    uint16_t database;
    bool authenticated;      /* or nothing needs to be: the limits before it do not hold */
    bool unrestricted;       /* and no ACL rule has to be looked at */
    bool logged_in;          /* a password was right, or none was needed when it came */
    struct acl_user *user;   /* replaced under connections_lock */
    uint64_t acl_generation; /* when the above were found out, see acl_connection.h */
    bool close_after_reply;  /* QUIT, protocol errors, ... */
    uint8_t wrong_passwords; /* in a row */
    bool no_evict, no_touch; /* CLIENT NO-EVICT, NO-TOUCH: without effect here */
    bool monitoring;         /* MONITOR */
    enum connection_replies replies;
    struct multi *multi;                         /* multi.c's; NULL: never in MULTI, never watched */
    int multi_count;                             /* commands queued; -1: not in MULTI */
    size_t multi_bytes;                          /* that they take */
    struct subscriptions *subscriptions;         /* pubsub.c's; NULL: none ever */
    uint32_t channels, patterns, shard_channels; /* subscribed to */
    struct reply reply;                          /* reply.protocol: RESP version */
    struct output output;
    char *name;         /* CLIENT SETNAME; NULL = none; malloc'ed */
    char *library_name; /* CLIENT SETINFO */
    char *library_version;
    char peer[128], local[128]; /* "ip:port" or "path:0" */
    uint64_t created_ns, active_ns;
    const char *last_command; /* "client|list" as Redis shows it; static text */
    uint64_t commands, bytes_in, bytes_out;
    uint64_t input_bytes, output_bytes; /* waiting, when it was last received or sent */
    uint64_t ticks;   /* when its command began, or an earlier one that was not timed; see command.c */
    bool ticks_fresh; /* ... or its last one has just ended */
    /* the rest belongs to connection files */
    struct connection_io *io;
    struct connection *previous, *next; /* the worker's list */
};

/* ---- For commands and deliveries, on the worker's thread ---- */

static inline uint32_t connection_subscribed(const struct connection *connection) {
    return connection->channels + connection->patterns + connection->shard_channels;
}

/* Sends bytes that are no reply: a message to a subscriber or a monitor. They are never put into the middle of a
 * reply. May mark the connection as to be closed, when its client does not read. */
void connection_push(struct connection *connection, const void *bytes, size_t length);

/* The same from the command in execution, which has replied nothing yet: they come before its reply. */
void connection_push_first(struct connection *connection, const void *bytes, size_t length);

/* ---- For worker.c ---- */

/* Takes over a connected, non-blocking socket; closes it when that fails. */
void connection_open(struct worker *worker, int socket, enum connection_kind kind);

/* The process ends: reads no more, executes what has been received, flushes, closes. */
void connection_stop(struct connection *connection);

/* Closes at once, unless a command of it is being executed: then behind that. True: it is gone. */
bool connection_kill(struct connection *connection);

/* Closes the connections of this worker that have been idle for longer than `idle_ns`, and those that have not
 * authenticated in `stranger_ns`; 0: no such limit. */
void connection_close_idle(struct worker *worker, uint64_t idle_ns, uint64_t stranger_ns);

/* Sends what was pushed since the last call. */
void connection_flush_pushed(struct worker *worker);

/* ---- For other threads, through worker_post ---- */

struct server;

/* Closes these connections, wherever they are; those that are gone are no matter. */
void connection_kill_ids(struct server *server, const uint64_t *ids, size_t count);

#endif
