/* cmd_string.h: what the handlers of strings (cmd_string*.c, cmd_bit*.c and others) share.
 * In a coroutine of the connection's worker. */
#ifndef CMD_STRING_H
#define CMD_STRING_H

#include "cmd.h"
#include "string_rule.h"

#define ERROR_NOT_FLOAT "ERR value is not a valid float"
#define ERROR_BUSY_KEY "BUSYKEY Target key name already exists."
#define ERROR_BIT_OFFSET "ERR bit offset is not an integer or out of range"

/* False: the error was replied. */
bool string_result_ok(struct call *call, enum string_result result);

/* The value before an update, or null when the key was absent; counted as a hit or a miss. */
void string_reply_old(struct call *call, struct dm_read *old);

#endif
