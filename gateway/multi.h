/* multi.h: what a connection keeps between MULTI and EXEC: queued commands, and the keys that it watches. Handlers are
 * cmd_transaction.c's. On the connection's worker's thread, but for connection->multi_count.
 */
#ifndef MULTI_H
#define MULTI_H

#include "command.h"

#define MULTI_WATCHED_MAX DM_KEYS_MAX

struct multi_item {
    const struct command *command;
    size_t argc;
    struct resp_arg *argv;
    bool *deleted; /* see struct call; for notifications */
    bool *there;   /* multi_picture.h: which keys of the transaction were there at its place; NULL: nobody asks */
    /* while it is executed */
    bool denied, ran;
    struct output output;
};

struct multi_watch {
    struct dm_key key;
    struct dm_watched seen;
    uint64_t renewed_ns; /* watch_renewal.c: when it was watched last, */
    bool changed;        /* and was another */
};

struct multi {
    bool open;  /* behind MULTI */
    bool dirty; /* a command was refused: EXEC aborts */
    struct multi_item **items;
    size_t count, capacity, bytes;
    struct multi_watch *watches;
    size_t watch_count;
};

/* The connection's; made when there is none. NULL: no memory. */
struct multi *multi_of(struct connection *connection);

/* Ends MULTI, forgets what was queued and what is watched. */
void multi_forget(struct connection *connection);
/* Gives all memory back; the connection closes. */
void multi_close(struct connection *connection);

/* A command was refused before it was executed or queued. */
void multi_refused(struct connection *connection);

/* Is this command to be queued, not executed? */
bool multi_wants(const struct connection *connection, const struct command *command);
/* Queues it, or refuses it; replies. */
void multi_queue(struct call *call);

#endif
