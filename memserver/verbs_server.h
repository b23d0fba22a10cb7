/* verbs_server.h: the memory node over RDMA: lets gateways that know the secret connect, hands each the key to the
 * memory, and ends all access of one when it goes or is fenced. Messages: libdm/fabric/verbs_wire.h. The node's CPU
 * never touches the memory; all that gateways do there is done by the adapter. Asleep in epoll when nobody talks. One
 * thread. */
#ifndef VERBS_SERVER_H
#define VERBS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dm.h"
#include "memory.h"

struct verbs_server;

struct verbs_server_config {
    const char *listen; /* rdma://address:port, of one interface; port 0 = any */
    const struct dm_verbs_config *verbs;
};

/* `memory` must live until verbs_server_close. When it returns true gateways can connect. */
bool verbs_server_open(const struct verbs_server_config *config, const struct memory *memory, struct verbs_server **out,
                       char *error, size_t error_bytes);

/* The port that it listens on. */
uint16_t verbs_server_port(const struct verbs_server *server);

/* Serves until the descriptor `stop` can be read. Returns false when waiting itself fails, which is logged. */
bool verbs_server_run(struct verbs_server *server, int stop);

/* Closes all connections: nothing of any gateway takes effect behind it. */
void verbs_server_close(struct verbs_server *server);

#endif
