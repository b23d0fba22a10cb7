/* cmd_string.h: what the string handlers (cmd_string*.c) share. In a coroutine of the connection's worker. */
#ifndef CMD_STRING_H
#define CMD_STRING_H

#include "cmd.h"
#include "string_rule.h"

#define ERROR_NOT_FLOAT "ERR value is not a valid float"

/* False: the error was replied. */
bool string_result_ok(struct call *call, enum string_result result);

/* The value before an update, or null when the key was absent; counted as a hit or a miss. */
void string_reply_old(struct call *call, struct dm_read *old);

#endif
