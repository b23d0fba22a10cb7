/* cmd_string.c: GET, MGET, MSET, STRLEN, APPEND, GETDEL, and what the string handlers share.
 *
 * What is decided about a value is in string_rule.c; here is only the way from arguments to libdm and back.
 * Runs in a coroutine of the connection's worker.
 */
#include <stdlib.h>

#include "cmd_string.h"

bool string_result_ok(struct call *call, enum string_result result) {
    switch (result) {
    case STRING_OK:
    case STRING_SKIPPED:
        return true;
    case STRING_WRONG_TYPE:
        command_error(call, ERROR_WRONG_TYPE);
        break;
    case STRING_TOO_LONG:
        command_error(call, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
        break;
    case STRING_NOT_INTEGER:
        command_error(call, ERROR_NOT_INTEGER);
        break;
    case STRING_OVERFLOW:
        command_error(call, "ERR increment or decrement would overflow");
        break;
    case STRING_NOT_FLOAT:
        command_error(call, ERROR_NOT_FLOAT);
        break;
    case STRING_NOT_FINITE:
        command_error(call, "ERR increment would produce NaN or Infinity");
        break;
    }
    return false;
}

void string_reply_old(struct call *call, struct dm_read *old) {
    bool found = old->buffer != NULL;

    if (found) {
        reply_bulk(call->reply, old->value.bytes, old->value.length);
    } else {
        reply_null(call->reply);
    }
    command_count_reads(call, found, !found);
}

void cmd_get(struct call *call) {
    struct dm_read read = {0};
    enum dm_status status = command_read_string(call, 1, &read);

    if (status == DM_OK) {
        reply_bulk(call->reply, read.value.bytes, read.value.length);
        dm_read_release(call->session, &read);
    } else if (status == DM_NOT_FOUND) {
        reply_null(call->reply);
    }
}

void cmd_strlen(struct call *call) {
    struct dm_read read = {0};
    enum dm_status status = command_read_string(call, 1, &read);

    if (status == DM_OK) {
        reply_integer(call->reply, read.value.length);
        dm_read_release(call->session, &read);
    } else if (status == DM_NOT_FOUND) {
        reply_integer(call->reply, 0);
    }
}

void cmd_append(struct call *call) {
    struct dm_key key;
    struct string_append append = {.bytes_max = call->server->config->proto_max_bulk_len};

    if (!command_key(call, 1, &key) || !command_value(call, 2, &append.suffix)) {
        return;
    }
    enum dm_status status = dm_update(call->session, &key, string_append_decide, &append, NULL);

    if (status != DM_OK) {
        command_status_error(call, status, append.length);
    } else if (string_result_ok(call, append.result)) {
        reply_integer(call->reply, (long long)append.length);
    }
}

void cmd_getdel(struct call *call) {
    struct dm_key key;
    struct dm_read old = {0};
    struct string_take take;

    if (!command_key(call, 1, &key)) {
        return;
    }
    enum dm_status status = dm_update(call->session, &key, string_take_decide, &take, &old);

    if (status != DM_OK) {
        command_status_error(call, status, 0);
        return;
    }
    if (string_result_ok(call, take.result)) {
        string_reply_old(call, &old);
    }
    dm_read_release(call->session, &old);
}

/* One element of MGET's array. A key of another type counts as absent there. */
static void mget_reply(struct call *call, struct dm_read *read, enum dm_status status) {
    if (status == DM_OK) {
        if (read->value.type == DM_TYPE_STRING) {
            reply_bulk(call->reply, read->value.bytes, read->value.length);
        } else {
            reply_null(call->reply);
        }
        dm_read_release(call->session, read);
        command_count_reads(call, 1, 0);
    } else if (status == DM_NOT_FOUND) {
        reply_null(call->reply);
        command_count_reads(call, 0, 1);
    } else {
        command_status_error(call, status, 0);
    }
}

/* Index of the first read that failed, `count` if none did. */
static uint32_t first_failure(const enum dm_status *statuses, uint32_t count) {
    uint32_t i = 0;

    while (i < count && (statuses[i] == DM_OK || statuses[i] == DM_NOT_FOUND)) {
        i++;
    }
    return i;
}

/* What one MGET needs for each of its keys. */
struct mget {
    struct dm_key *keys;
    struct dm_read *reads;
    enum dm_status *statuses;
};

static void mget_run(struct call *call, const struct mget *mget, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (!command_key(call, i + 1u, &mget->keys[i])) {
            return;
        }
    }
    dm_get_many(call->session, mget->keys, count, mget->reads, mget->statuses);
    uint32_t failed = first_failure(mget->statuses, count);

    if (failed == count) {
        reply_array(call->reply, count);
        for (uint32_t i = 0; i < count; i++) {
            mget_reply(call, &mget->reads[i], mget->statuses[i]);
        }
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (mget->statuses[i] == DM_OK) {
            dm_read_release(call->session, &mget->reads[i]);
        }
    }
    command_status_error(call, mget->statuses[failed], 0);
}

void cmd_mget(struct call *call) {
    size_t count = call->argc - 1;
    struct mget mget = {.reads = calloc(count, sizeof *mget.reads + sizeof *mget.keys + sizeof *mget.statuses)};

    if (mget.reads == NULL || count > UINT32_MAX) {
        command_status_error(call, DM_BUSY, 0);
    } else {
        mget.keys = (struct dm_key *)(mget.reads + count);
        mget.statuses = (enum dm_status *)(mget.keys + count);
        mget_run(call, &mget, (uint32_t)count);
    }
    free(mget.reads);
}
