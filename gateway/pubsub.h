/* pubsub.h: who has subscribed to what in this gateway, and delivery to them. Messages from and to other gateways go
 * through bus.h.
 *
 *   publish -> the table of all workers (lock): which of them have subscribers, how many
 *           -> a task for each such worker -> its own table (no lock): its connections -> connection_push
 *
 * At most once, as in Redis: who is not connected, or does not read, misses messages. A subscriber gets the messages
 * of one publisher in their order, and those that were published after the reply to another behind that one.
 */
#ifndef PUBSUB_H
#define PUBSUB_H

#include <pthread.h>

#include "acl_user.h"
#include "channel_map.h"
#include "command.h"

enum pubsub_kind { PUBSUB_CHANNEL, PUBSUB_PATTERN, PUBSUB_SHARD };
#define PUBSUB_KINDS 3

struct pubsub {
    pthread_mutex_t lock;
    struct channel_map all[PUBSUB_KINDS];    /* under the lock; data: subscribers of each worker */
    struct channel_map (*own)[PUBSUB_KINDS]; /* of each worker's thread; data: struct subscribers */
    uint32_t worker_count;
    _Atomic uint64_t published, delivered;
};

/* False: out of memory. Before workers start, and after they have ended. */
bool pubsub_open(struct pubsub *pubsub, uint32_t worker_count);
void pubsub_close(struct pubsub *pubsub);

/* ---- On the connection's worker's thread ---- */

/* False: out of memory. True also if it was subscribed already. */
bool pubsub_subscribe(struct connection *connection, enum pubsub_kind kind, const char *name, size_t length);
void pubsub_unsubscribe(struct connection *connection, enum pubsub_kind kind, const char *name, size_t length);
/* One of the connection's subscriptions; NULL: none. */
const struct channel_entry *pubsub_any(const struct connection *connection, enum pubsub_kind kind);
/* Ends all subscriptions, without a word. */
void pubsub_leave(struct connection *connection);
/* May the user have all that the connection is subscribed to? */
bool pubsub_permitted(const struct connection *connection, const struct acl_user *user);

/* Delivers to all subscribers in this gateway; returns how many there are. kind: PUBSUB_CHANNEL or PUBSUB_SHARD.
 * `worker` is the caller's own, NULL on a thread that is no worker's; in a coroutine it may be parked while workers
 * are behind with their messages. `self`: a connection whose command publishes and has not replied yet, or NULL. */
uint64_t pubsub_publish(struct server *server, struct worker *worker, struct connection *self, enum pubsub_kind kind,
                        const struct resp_arg *channel, const struct resp_arg *message);

/* The same for this gateway and all others. */
uint64_t pubsub_publish_everywhere(struct call *call, enum pubsub_kind kind, const struct resp_arg *channel,
                                   const struct resp_arg *message);

#endif
