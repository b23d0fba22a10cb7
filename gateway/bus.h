/* bus.h: messages between gateways: what is published at one of them reaches the subscribers at all others.
 *
 * Each gateway connects to the bus addresses of those that `peers` names, and sends what is published to it; it listens
 * at bus_port for what the others send. A link begins with a proof that both know peers_secret. At most once: what is
 * published while a link is down or its queue is full is lost for that peer, and counted. One thread for all links.
 */
#ifndef BUS_H
#define BUS_H

#include "pubsub.h"

struct bus;

/* Listens and starts the thread. *out is NULL when neither bus_port nor peers are configured. False: error says why. */
bool bus_open(struct server *server, struct bus **out, char *error, size_t error_bytes);
/* Ends the thread: nothing is sent or delivered any more. Before workers end; bus_close after they have ended. */
void bus_stop(struct bus *bus);
void bus_close(struct bus *bus);

/* To all peers, soon. Any thread; never waits. */
void bus_send(struct bus *bus, enum pubsub_kind kind, const struct resp_arg *channel, const struct resp_arg *message);

struct bus_stats {
    uint32_t peers, peers_connected, links_in;
    uint64_t sent, received, dropped, refused;
};
void bus_stats(struct bus *bus, struct bus_stats *stats);

#endif
