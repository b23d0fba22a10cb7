/* cmd_server.c: TIME. In a coroutine of the connection's worker. */
#include <time.h>

#include "cmd.h"

#define NS_PER_US 1000

void cmd_time(struct call *call) {
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    reply_array(call->reply, 2);
    reply_bulk_integer(call->reply, now.tv_sec);
    reply_bulk_integer(call->reply, now.tv_nsec / NS_PER_US);
}
