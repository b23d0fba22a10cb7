/* cmd_string_number.c: INCR, DECR, INCRBY, DECRBY, INCRBYFLOAT. In a coroutine of the connection's worker. */
#include "cmd_string.h"

static void add_integer(struct call *call, int64_t by) {
    struct dm_key key;
    struct string_add add;

    if (!command_key(call, 1, &key)) {
        return;
    }
    add.by = by;
    enum dm_status status = dm_update(call->session, &key, string_add_decide, &add, NULL);

    if (status != DM_OK) {
        command_status_error(call, status, NUMBER_TEXT_BYTES);
    } else if (string_result_ok(call, add.result)) {
        reply_integer(call->reply, add.value);
    }
}

void cmd_incr(struct call *call) { add_integer(call, 1); }

void cmd_decr(struct call *call) { add_integer(call, -1); }

void cmd_incrby(struct call *call) {
    int64_t by;

    if (command_integer(call, 2, &by)) {
        add_integer(call, by);
    }
}

void cmd_decrby(struct call *call) {
    int64_t by;

    if (!command_integer(call, 2, &by)) {
        return;
    }
    if (by == INT64_MIN) { /* has no positive counterpart */
        command_error(call, "ERR decrement would overflow");
        return;
    }
    add_integer(call, -by);
}

/* The text of one float is large, but a coroutine's stack holds several. */
void cmd_incrbyfloat(struct call *call) {
    struct dm_key key;
    struct string_add_float add;
    const struct resp_arg *arg = &call->argv[2];

    if (!command_key(call, 1, &key)) {
        return;
    }
    if (!number_parse_float(arg->bytes, arg->length, &add.by)) {
        command_error(call, ERROR_NOT_FLOAT);
        return;
    }
    enum dm_status status = dm_update(call->session, &key, string_add_float_decide, &add, NULL);

    if (status != DM_OK) {
        command_status_error(call, status, NUMBER_FLOAT_BYTES);
    } else if (string_result_ok(call, add.result)) {
        reply_bulk(call->reply, add.text, add.length);
    }
}
