/* connection_io.h: what the connection files share, and nobody else sees. On the connection's worker's thread. */
#ifndef CONNECTION_IO_H
#define CONNECTION_IO_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "connection.h"
#include "input.h"
#include "tls.h"

struct connection_io {
    struct event read_event, write_event;
    struct tls_link *tls;   /* NULL: bytes go through the socket as they are */
    struct input *input;    /* NULL: nothing waits */
    bool reading, writing;  /* the events are active */
    bool running;           /* a coroutine executes commands */
    bool in_command;        /* right now one of them, which may have written a part of its reply */
    bool ended;             /* no more input: the client has closed its side, or the process stops */
    bool failed;            /* close without sending more */
    bool held;              /* complete commands may wait because the output was full */
    bool stranger;          /* counted in worker_io.strangers */
    uint32_t flushes;       /* before all commands were executed */
    struct output pushed;   /* what must wait for the end of a command */
    uint64_t soft_since_ns; /* above the soft limit for pushed bytes; 0: below */
    bool dirty;             /* in the worker's list of those to be flushed */
    struct connection *dirty_next;
};

/* connection_open.c */
void connection_free(struct connection *connection);
/* It has authenticated, and has no shorter limits any more. */
void connection_known(struct connection *connection);

/* connection.c */
void connection_on_readable(int socket, short what, void *argument);
void connection_on_writable(int socket, short what, void *argument);
void connection_want(struct event *event, bool *active, bool wanted);
void connection_want_read(struct connection *connection, bool wanted);
void connection_flush(struct connection *connection);
void connection_settle(struct connection *connection);
void connection_advance(struct connection *connection);

/* connection_push.c */
/* Puts what was pushed while a command was running behind its reply. */
void connection_push_rest(struct connection *connection);
/* Most bytes that may wait to be sent. */
size_t connection_output_bytes_max(const struct connection *connection);

#endif
