/* cmd_monitor.c: the MONITOR command. In a coroutine of the connection's worker. */
#include "cmd.h"
#include "monitor.h"

void cmd_monitor(struct call *call) {
    monitor_join(call);
    reply_ok(call->reply);
}
