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
/* cmd_string_range.c, cmd_bitmap.c, cmd_bitfield.c */
command_handler cmd_getrange, cmd_substr, cmd_setrange, cmd_lcs;
command_handler cmd_setbit, cmd_getbit, cmd_bitcount, cmd_bitpos, cmd_bitop, cmd_bitfield, cmd_bitfield_ro;
/* cmd_hyperloglog.c */
command_handler cmd_pfadd, cmd_pfcount, cmd_pfmerge, cmd_pfdebug, cmd_pfselftest;
/* cmd_object.c, cmd_dump.c, cmd_replication.c */
command_handler cmd_object_encoding, cmd_object_freq, cmd_object_help, cmd_object_idletime, cmd_object_refcount;
command_handler cmd_dump, cmd_restore;
command_handler cmd_role, cmd_replicaof, cmd_slaveof, cmd_failover, cmd_wait;
/* cmd_debug.c, cmd_memory.c, cmd_lolwut.c */
command_handler cmd_debug, cmd_lolwut;
command_handler cmd_memory_doctor, cmd_memory_help, cmd_memory_malloc_stats, cmd_memory_purge, cmd_memory_stats,
    cmd_memory_usage;
/* cmd_cluster.c */
command_handler cmd_cluster_disabled, cmd_module_list, cmd_module_forbidden, cmd_module_help;
/* cmd_key.c, cmd_expire.c */
command_handler cmd_del, cmd_unlink, cmd_exists, cmd_touch, cmd_type;
command_handler cmd_expire, cmd_pexpire, cmd_expireat, cmd_pexpireat, cmd_persist;
command_handler cmd_ttl, cmd_pttl, cmd_expiretime, cmd_pexpiretime;
/* cmd_rename.c, cmd_transaction.c */
command_handler cmd_msetnx, cmd_rename, cmd_renamenx, cmd_copy, cmd_move;
command_handler cmd_multi, cmd_exec, cmd_discard, cmd_watch, cmd_unwatch;
/* cmd_keyspace.c */
command_handler cmd_scan, cmd_keys, cmd_randomkey, cmd_dbsize, cmd_flushdb, cmd_flushall, cmd_swapdb;
/* cmd_connection.c, cmd_client.c */
command_handler cmd_ping, cmd_echo, cmd_quit, cmd_select, cmd_auth, cmd_hello, cmd_reset;
/* cmd_command.c, cmd_config.c, cmd_info.c, cmd_server.c */
command_handler cmd_command, cmd_command_count, cmd_command_info, cmd_command_docs, cmd_command_list,
    cmd_command_getkeys, cmd_command_getkeysandflags, cmd_command_help;
command_handler cmd_config_get, cmd_config_set, cmd_config_resetstat, cmd_config_rewrite, cmd_config_help;
command_handler cmd_info, cmd_time;

/* cmd_acl.c */
command_handler cmd_acl_cat, cmd_acl_deluser, cmd_acl_dryrun, cmd_acl_genpass, cmd_acl_getuser, cmd_acl_help,
    cmd_acl_list, cmd_acl_load, cmd_acl_log, cmd_acl_save, cmd_acl_setuser, cmd_acl_users, cmd_acl_whoami;
/* cmd_client*.c */
command_handler cmd_client_getname, cmd_client_getredir, cmd_client_help, cmd_client_id, cmd_client_info,
    cmd_client_kill, cmd_client_list, cmd_client_no_evict, cmd_client_no_touch, cmd_client_pause, cmd_client_reply,
    cmd_client_setname, cmd_client_trackinginfo, cmd_client_unblock, cmd_client_unpause, cmd_client_setinfo;
/* cmd_slowlog.c, cmd_latency.c, cmd_monitor.c */
command_handler cmd_slowlog_get, cmd_slowlog_help, cmd_slowlog_len, cmd_slowlog_reset, cmd_latency_doctor,
    cmd_latency_graph, cmd_latency_help, cmd_latency_histogram, cmd_latency_history, cmd_latency_latest,
    cmd_latency_reset, cmd_monitor;
/* cmd_pubsub.c */
command_handler cmd_pubsub_channels, cmd_pubsub_help, cmd_pubsub_numpat, cmd_pubsub_numsub, cmd_pubsub_shardchannels,
    cmd_pubsub_shardnumsub, cmd_publish, cmd_subscribe, cmd_unsubscribe, cmd_psubscribe, cmd_punsubscribe, cmd_spublish,
    cmd_ssubscribe, cmd_sunsubscribe;

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

/* ---- Watching ---- */

/* How long a command took, summed over all workers; see histogram.h. */
void command_histogram(const struct server *server, uint16_t index, uint64_t counts[HISTOGRAM_BUCKETS]);
uint64_t command_calls(const struct server *server, uint16_t index);

#endif
