/* gateway_call.h: a command as a gateway executes it, without sockets: its handler in a coroutine of a session of the
 * test. One thread. */
#ifndef GATEWAY_CALL_H
#define GATEWAY_CALL_H

#include <stdbool.h>

#include "dm.h"
#include "output.h"

struct gateway_call {
    struct dm_pool *pool;
    struct dm_sched *sched;
    struct dm_session *session;
    /* out */
    struct output output; /* RESP2; the caller frees it */
    bool ended;
};

/* `text`: words, separated by spaces. The call must stay where it is until it has ended. */
void gateway_call_begin(struct gateway_call *gateway_call, const char *text);

#endif
