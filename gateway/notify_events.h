/* notify_events.h: runs a command that writes, and publishes what it did as Redis's keyspace notifications do. In the
 * coroutine of the command. */
#ifndef NOTIFY_EVENTS_H
#define NOTIFY_EVENTS_H

#include "command.h"
#include "notify.h"

/* Publishes an event, in this gateway and all others, if somebody wants its class. In a coroutine of `worker`; `self`
 * as in pubsub_publish. */
void notify_publish(struct worker *worker, struct connection *self, unsigned database, enum notify_class class,
                    const char *event, const struct resp_arg *key);

/* In place of the call's handler, while somebody wants notifications. */
void notify_execute(struct call *call);

/* The same for a command that was executed: `reply` begins its reply. deleted: see struct call; of DEL and UNLINK. */
void notify_executed(struct call *call, const char *reply, const bool *deleted);

#endif
