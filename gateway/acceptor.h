/* acceptor.h: the listening sockets: accepts clients and spreads them over the workers, fewest connections first.
 *
 * On the main thread, in its event_base. */
#ifndef ACCEPTOR_H
#define ACCEPTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "server.h"

struct event_base;
struct acceptor;

/* Binds all addresses of the configuration; clients are accepted from acceptor_start on. False: error names the
 * address and what to do. */
bool acceptor_open(struct server *server, struct event_base *base, struct acceptor **out, char *error,
                   size_t error_bytes);
void acceptor_start(struct acceptor *acceptor);
void acceptor_close(struct acceptor *acceptor);

#endif
