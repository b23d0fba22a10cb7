/* cmd_string.c: GET, MGET, MSET, STRLEN, APPEND, GETDEL, and what the string handlers share.
 *
 * What is decided about a value is in string_rule.c; here is only the way from arguments to libdm and back.
 * Runs in a coroutine of the connection's worker.
 */
#include "cmd_string.h"

#define MGET_KEYS_AT_ONCE 64u /* keys and reads of one dm_get_many lie on the coroutine's stack */

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

/* Failures among the first MGET_KEYS_AT_ONCE keys are the reply; behind them the array has begun, and they are
 * elements of it. */
void cmd_mget(struct call *call) {
    struct dm_key keys[MGET_KEYS_AT_ONCE];
    enum dm_status statuses[MGET_KEYS_AT_ONCE];
    size_t total = call->argc - 1;

    for (size_t i = 0; i < total; i++) {
        if (!command_key(call, i + 1, &keys[0])) {
            return;
        }
    }
    for (size_t done = 0; done < total;) {
        struct dm_read reads[MGET_KEYS_AT_ONCE] = {0};
        uint32_t count = total - done < MGET_KEYS_AT_ONCE ? (uint32_t)(total - done) : MGET_KEYS_AT_ONCE;

        for (uint32_t i = 0; i < count; i++) {
            (void)command_key(call, 1 + done + i, &keys[i]); /* checked above */
        }
        dm_get_many(call->session, keys, count, reads, statuses);
        uint32_t failed = first_failure(statuses, count);

        if (done == 0 && failed < count) {
            for (uint32_t i = 0; i < count; i++) {
                if (statuses[i] == DM_OK) {
                    dm_read_release(call->session, &reads[i]);
                }
            }
            command_status_error(call, statuses[failed], 0);
            return;
        }
        if (done == 0) {
            reply_array(call->reply, total);
        }
        for (uint32_t i = 0; i < count; i++) {
            mget_reply(call, &reads[i], statuses[i]);
        }
        done += count;
    }
}

/* One key after the other: an error says that the keys before it may have been written. */
void cmd_mset(struct call *call) {
    struct dm_key key;

    if (call->argc % 2 == 0) {
        command_arity_error(call);
        return;
    }
    for (size_t i = 1; i < call->argc; i += 2) {
        struct dm_write write = {.type = DM_TYPE_STRING};

        if (!command_key(call, i, &key) || !command_value(call, i + 1, &write.part[0])) {
            return;
        }
        enum dm_status status = dm_put(call->session, &key, &write);

        if (status != DM_OK) {
            command_status_error(call, status, write.part[0].length);
            return;
        }
    }
    reply_ok(call->reply);
}
