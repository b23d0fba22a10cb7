/* acl_connection.h: what a connection may do: its user, and the check of each command. On the connection's worker's
 * thread. */
#ifndef ACL_CONNECTION_H
#define ACL_CONNECTION_H

#include "acl.h"
#include "command.h"

/* A new connection is the default user's. False: out of memory. */
bool acl_connection_begin(struct connection *connection);
void acl_connection_end(struct connection *connection);

/* Protected mode refuses this client: it comes from another host, and the default user needs no password. */
bool acl_connection_protected(const struct connection *connection);

/* AUTH and HELLO AUTH. False: wrong, which has been noted. */
bool acl_connection_authenticate(struct call *call, const struct resp_arg *name, const struct resp_arg *password);
/* RESET: the default user again. */
void acl_connection_reset(struct connection *connection);

/* Does anything have to be looked at? The cheap part of acl_connection_allows. */
static inline bool acl_connection_plain(const struct connection *connection, const struct acl *acl) {
    return connection->unrestricted &&
           connection->acl_generation == atomic_load_explicit(&acl->generation, memory_order_acquire);
}

/* May the call's command be executed? False: the error was replied and noted. */
bool acl_connection_allows(struct call *call);

/* Is the connection still the user that it was, and does it have to authenticate? False: its user is gone, and it will
 * be closed. */
bool acl_connection_refresh(struct connection *connection);

/* Closes all connections whose user does not exist any more, or has lost a channel that they are subscribed to. Any
 * thread. */
void acl_connections_sweep(struct server *server);

#endif
