/* notify_events.h: runs a command that writes, and publishes what it did as Redis's keyspace notifications do. In the
 * coroutine of the command. */
#ifndef NOTIFY_EVENTS_H
#define NOTIFY_EVENTS_H

#include "command.h"

/* In place of the call's handler, while somebody wants notifications. */
void notify_execute(struct call *call);

#endif
