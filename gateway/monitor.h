/* monitor.h: MONITOR: clients that are sent all commands of this gateway as they are executed. */
#ifndef MONITOR_H
#define MONITOR_H

#include "command.h"

/* The call's connection is sent all commands from now on. */
void monitor_join(struct call *call);
/* On the connection's thread; also of one that is none. */
void monitor_leave(struct connection *connection);

/* Shows the call to all monitors. In its coroutine, before it is executed. */
void monitor_show(struct call *call);

#endif
