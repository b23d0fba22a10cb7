/* cmd_string_set.c: SET and its older relatives, and GETEX. In a coroutine of the connection's worker. */
#include "cmd_string.h"

/* False: the error was replied. */
static bool expire_result_ok(struct call *call, enum expire_result result) {
    if (result == EXPIRE_NOT_INTEGER) {
        command_error(call, ERROR_NOT_INTEGER);
    } else if (result == EXPIRE_INVALID) {
        command_expire_error(call);
    }
    return result == EXPIRE_OK;
}

static bool options_expire(struct call *call, const struct set_options *options, int64_t *expire_ms) {
    struct expire_unit unit = set_options_unit(options);
    int64_t now_ms = unit.relative ? command_now_ms(call) : 0;

    return expire_result_ok(call, expire_from_option(options->expire, unit, now_ms, expire_ms));
}

/* Without a condition: the cheapest way to write. */
static void put(struct call *call, const struct dm_bytes *value, int64_t expire_ms) {
    struct dm_key key;
    struct dm_write write = {.part[0] = *value, .type = DM_TYPE_STRING, .expire_ms = expire_ms};

    if (!command_key(call, 1, &key)) {
        return;
    }
    enum dm_status status = dm_put(call->session, &key, &write);

    if (status == DM_OK) {
        reply_ok(call->reply);
    } else {
        command_status_error(call, status, value->length);
    }
}

/* With NX, XX, KEEPTTL or GET. True: what `set->result` says has happened, and *old (if asked for) is the caller's to
 * release. False: the error was replied. */
static bool update(struct call *call, struct string_set *set, struct dm_read *old) {
    struct dm_key key;

    if (!command_key(call, 1, &key)) {
        return false;
    }
    enum dm_status status = dm_update(call->session, &key, string_set_decide, set, old);

    if (status != DM_OK) {
        command_status_error(call, status, set->value.length);
        return false;
    }
    if (string_result_ok(call, set->result)) {
        return true;
    }
    if (old != NULL) {
        dm_read_release(call->session, old);
    }
    return false;
}

static void update_and_reply_old(struct call *call, struct string_set *set) {
    struct dm_read old = {0};

    if (update(call, set, &old)) {
        string_reply_old(call, &old);
        dm_read_release(call->session, &old);
    }
}

void cmd_set(struct call *call) {
    struct set_options options = {0};
    struct string_set set = {.expire_ms = DM_NO_EXPIRY};

    if (call->argc > 3) {
        if (!set_options_parse(call->argv + 3, call->argc - 3, SET_OPTIONS_ALLOWED, &options)) {
            command_error(call, ERROR_SYNTAX);
            return;
        }
        if (options.expire != NULL && !options_expire(call, &options, &set.expire_ms)) {
            return;
        }
    }
    if (!command_value(call, 2, &set.value)) {
        return;
    }
    set.flags = options.flags;
    if ((set.flags & (SET_NX | SET_XX | SET_GET | SET_KEEPTTL)) == 0) {
        put(call, &set.value, set.expire_ms);
    } else if ((set.flags & SET_GET) != 0) {
        update_and_reply_old(call, &set);
    } else if (update(call, &set, NULL)) {
        if (set.result == STRING_OK) {
            reply_ok(call->reply);
        } else {
            reply_null(call->reply);
        }
    }
}

void cmd_setnx(struct call *call) {
    struct string_set set = {.flags = SET_NX};

    if (command_value(call, 2, &set.value) && update(call, &set, NULL)) {
        reply_integer(call->reply, set.result == STRING_OK);
    }
}

void cmd_getset(struct call *call) {
    struct string_set set = {.flags = SET_GET};

    if (command_value(call, 2, &set.value)) {
        update_and_reply_old(call, &set);
    }
}

static void set_with_time(struct call *call, unsigned flag) {
    struct set_options options = {.flags = flag, .expire = &call->argv[2]};
    struct dm_bytes value;
    int64_t expire_ms;

    if (options_expire(call, &options, &expire_ms) && command_value(call, 3, &value)) {
        put(call, &value, expire_ms);
    }
}

void cmd_setex(struct call *call) { set_with_time(call, SET_EX); }

void cmd_psetex(struct call *call) { set_with_time(call, SET_PX); }

static void getex_update(struct call *call, int64_t expire_ms) {
    struct dm_key key;
    struct dm_read old = {0};
    struct string_expire expire = {.expire_ms = expire_ms, .now_ms = command_now_ms(call)};

    if (!command_key(call, 1, &key)) {
        return;
    }
    enum dm_status status = dm_update(call->session, &key, string_expire_decide, &expire, &old);

    if (status != DM_OK) {
        command_status_error(call, status, old.value.length);
        return;
    }
    if (string_result_ok(call, expire.result)) {
        string_reply_old(call, &old);
    }
    dm_read_release(call->session, &old);
}

/* Redis looks at the time only when there is a value: a bad time on an absent key is answered with null. */
static void getex_bad_time(struct call *call, enum expire_result result) {
    struct dm_read read = {0};
    enum dm_status status = command_read_string(call, 1, &read);

    if (status == DM_OK) {
        dm_read_release(call->session, &read);
        (void)expire_result_ok(call, result);
    } else if (status == DM_NOT_FOUND) {
        reply_null(call->reply);
    }
}

void cmd_getex(struct call *call) {
    struct set_options options;
    int64_t expire_ms = DM_NO_EXPIRY;

    if (!set_options_parse(call->argv + 2, call->argc - 2, GETEX_OPTIONS_ALLOWED, &options)) {
        command_error(call, ERROR_SYNTAX);
        return;
    }
    if (options.flags == 0) {
        cmd_get(call);
        return;
    }
    if (options.expire != NULL) {
        enum expire_result result =
            expire_from_option(options.expire, set_options_unit(&options), command_now_ms(call), &expire_ms);
        if (result != EXPIRE_OK) {
            getex_bad_time(call, result);
            return;
        }
    }
    getex_update(call, expire_ms);
}
