/* storage.h: opens what the gateway stores in: embedded memory or memory nodes, the fabric to them, and the pool.
 *
 * Main thread, at start and end. */
#ifndef STORAGE_H
#define STORAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "server.h"

struct storage;

/* Sets server->fabric and server->pool. False: error says what to do, and nothing is left open. */
bool storage_open(struct server *server, struct storage **out, char *error, size_t error_bytes);
void storage_close(struct server *server, struct storage *storage);

#endif
