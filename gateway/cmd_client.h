/* cmd_client.h: what cmd_client.c does for other commands' files. In a coroutine of the connection's worker. */
#ifndef CMD_CLIENT_H
#define CMD_CLIENT_H

#include "cmd.h"

/* Sets the connection's name; an empty one takes it away. False: the error was replied. */
bool client_set_name(struct call *call, const struct resp_arg *name);

enum client_type { CLIENT_TYPE_NORMAL, CLIENT_TYPE_PUBSUB, CLIENT_TYPE_NONE /* known to Redis, never here */ };

enum client_type client_type_of(const struct connection *connection);
/* False: the error was replied. */
bool client_type_parse(struct call *call, const struct resp_arg *name, int *type);

#endif
