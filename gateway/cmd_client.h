/* cmd_client.h: what cmd_client.c does for HELLO and RESET. In a coroutine of the connection's worker. */
#ifndef CMD_CLIENT_H
#define CMD_CLIENT_H

#include "cmd.h"

/* Sets the connection's name; an empty one takes it away. False: the error was replied. */
bool client_set_name(struct call *call, const struct resp_arg *name);

#endif
