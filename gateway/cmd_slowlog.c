/* cmd_slowlog.c: the SLOWLOG command. In a coroutine of the connection's worker. */
#include "cmd.h"
#include "number.h"
#include "slowlog.h"

#define ENTRIES_SHOWN 10 /* unless told */

static void entry_reply(struct reply *reply, const struct slowlog_entry *entry) {
    reply_array(reply, 6);
    reply_integer(reply, (long long)entry->id);
    reply_integer(reply, entry->wall_s);
    reply_integer(reply, (long long)entry->duration_us);
    reply_array(reply, entry->argc);
    for (uint32_t i = 0; i < entry->argc; i++) {
        reply_bulk(reply, entry->argv[i].bytes, entry->argv[i].length);
    }
    reply_bulk_text(reply, entry->peer);
    reply_bulk_text(reply, entry->name);
}

void cmd_slowlog_get(struct call *call) {
    struct slowlog *log = call->server->slowlog;
    int64_t count = ENTRIES_SHOWN;

    if (call->argc > 3) {
        command_errorf(call, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try SLOWLOG HELP.",
                       command_text_length(&call->argv[1], 128), call->argv[1].bytes);
        return;
    }
    if (call->argc == 3 && (!number_parse(call->argv[2].bytes, call->argv[2].length, &count) || count < -1)) {
        command_error(call, "ERR count should be greater than or equal to -1");
        return;
    }
    pthread_mutex_lock(&log->lock);
    if (count == -1 || (uint64_t)count > log->count) {
        count = (int64_t)log->count;
    }
    reply_array(call->reply, (size_t)count);
    for (const struct slowlog_entry *entry = log->first; count > 0; entry = entry->next, count--) {
        entry_reply(call->reply, entry);
    }
    pthread_mutex_unlock(&log->lock);
}

void cmd_slowlog_len(struct call *call) {
    struct slowlog *log = call->server->slowlog;

    pthread_mutex_lock(&log->lock);
    reply_integer(call->reply, (long long)log->count);
    pthread_mutex_unlock(&log->lock);
}

void cmd_slowlog_reset(struct call *call) {
    slowlog_reset(call->server->slowlog);
    reply_ok(call->reply);
}

void cmd_slowlog_help(struct call *call) {
    static const char *const lines[] = {
        "GET [<count>]",
        "    The latest entries: id, time, microseconds, arguments, client, its name. 10 unless told, -1 for all.",
        "LEN",
        "    How many entries there are.",
        "RESET",
        "    Forget all entries.",
    };
    command_help(call, lines, sizeof lines / sizeof lines[0]);
}
