/* cmd.h: the handlers of all commands (cmd_*.c), and what they share (command.c).
 *
 * Everything here runs in a coroutine of the connection's worker.
 */
#ifndef CMD_H
#define CMD_H

#include "command.h"

/* cmd_string.c, cmd_string_set.c, cmd_string_number.c */
command_handler cmd_get, cmd_strlen, cmd_append, cmd_getdel, cmd_mget, cmd_mset;
command_handler cmd_set, cmd_setnx, cmd_setex, cmd_psetex, cmd_getset, cmd_getex;
command_handler cmd_incr, cmd_decr, cmd_incrby, cmd_decrby, cmd_incrbyfloat;
/* cmd_key.c, cmd_expire.c */
command_handler cmd_del, cmd_unlink, cmd_exists, cmd_touch, cmd_type;
command_handler cmd_expire, cmd_pexpire, cmd_expireat, cmd_pexpireat, cmd_persist;
command_handler cmd_ttl, cmd_pttl, cmd_expiretime, cmd_pexpiretime;
/* cmd_connection.c, cmd_client.c */
command_handler cmd_ping, cmd_echo, cmd_quit, cmd_select, cmd_auth, cmd_hello, cmd_reset;
command_handler cmd_client_id, cmd_client_setname, cmd_client_getname, cmd_client_setinfo, cmd_client_info,
    cmd_client_list, cmd_client_help;
/* cmd_command.c, cmd_config.c, cmd_info.c, cmd_server.c */
command_handler cmd_command, cmd_command_count, cmd_command_info, cmd_command_docs, cmd_command_list,
    cmd_command_getkeys, cmd_command_getkeysandflags, cmd_command_help;
command_handler cmd_config_get, cmd_config_help;
command_handler cmd_info, cmd_time;

/* ---- Error replies: these count, reply_error does not ---- */

#define ERROR_SYNTAX "ERR syntax error"
#define ERROR_NOT_INTEGER "ERR value is not an integer or out of range"
#define ERROR_WRONG_TYPE "WRONGTYPE Operation against a key holding the wrong kind of value"

void command_error(struct call *call, const char *text); /* text begins with its code word */
void command_errorf(struct call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* `bytes`: size of the value that was to be written; 0 for an operation that writes none. */
void command_status_error(struct call *call, enum dm_status status, uint64_t bytes);
void command_arity_error(struct call *call);
/* "invalid expire time in '<command>' command" */
void command_expire_error(struct call *call);

/* For "%.*s": an argument as error texts show it ends at its first zero byte. */
int command_text_length(const struct resp_arg *arg, size_t most);

/* ---- Arguments: false means that an error was replied ---- */

bool command_key(struct call *call, size_t index, struct dm_key *key);
bool command_value(struct call *call, size_t index, struct dm_bytes *value);
bool command_integer(struct call *call, size_t index, int64_t *value);

/* ---- Reading ---- */

/* Reads a string for a read command, and counts a hit or a miss. DM_OK: release it. DM_NOT_FOUND: nothing was
 * replied. Anything else: the error was replied. */
enum dm_status command_read_string(struct call *call, size_t index, struct dm_read *read);

/* keyspace_hits and keyspace_misses of INFO. */
void command_count_reads(struct call *call, uint64_t hits, uint64_t misses);

/* The reply of a HELP subcommand: a first line with the command's name, these lines, and what HELP itself is. */
void command_help(struct call *call, const char *const *lines, size_t count);

int64_t command_now_ms(const struct call *call);

#endif
