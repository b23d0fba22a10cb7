/* client_text.h: a connection as a line of CLIENT LIST. */
#ifndef CLIENT_TEXT_H
#define CLIENT_TEXT_H

#include <stdio.h>

#include "connection.h"

/* With line end; the worker's connections_lock is held, or it is the connection's own thread. */
void client_text_print(FILE *out, const struct connection *connection, uint64_t now_ns);

/* The same for a connection of this thread, without line end; malloc'ed, NULL: out of memory. */
char *client_text(const struct connection *connection, uint64_t now_ns);

#endif
