/* cmd_expire.c: EXPIRE and its kin, TTL and its kin, PERSIST. In a coroutine of the connection's worker.
 *
 * Expiry is part of the stored object, so a change of it writes the value again.
 */
#include "cmd.h"
#include "expire.h"

#define ERROR_CONDITION_BYTES 3000 /* of an unknown option in the error text */

static void update_and_reply(struct call *call, dm_update_fn *decide, struct expire_update *update) {
    struct dm_key key;

    if (!command_key(call, 1, &key)) {
        return;
    }
    enum dm_status status = dm_update(call->session, &key, decide, update, NULL);

    if (status == DM_OK) {
        reply_integer(call->reply, update->changed);
    } else {
        command_status_error(call, status, update->bytes);
    }
}

/* False: the error was replied. */
static bool parse_conditions(struct call *call, unsigned *conditions) {
    const struct resp_arg *unknown;

    switch (expire_conditions_parse(call->argv + 3, call->argc - 3, conditions, &unknown)) {
    case EXPIRE_CONDITIONS_OK:
        return true;
    case EXPIRE_CONDITIONS_UNKNOWN:
        command_errorf(call, "ERR Unsupported option %.*s", command_text_length(unknown, ERROR_CONDITION_BYTES),
                       unknown->bytes);
        return false;
    case EXPIRE_CONDITIONS_NX_MIXED:
        command_error(call, "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    case EXPIRE_CONDITIONS_GT_LT:
        command_error(call, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    return false;
}

static void expire(struct call *call, struct expire_unit unit) {
    struct expire_update update = {.now_ms = command_now_ms(call)};

    if (!parse_conditions(call, &update.conditions)) {
        return;
    }
    switch (expire_from_argument(&call->argv[2], unit, update.now_ms, &update.expire_ms)) {
    case EXPIRE_OK:
        update_and_reply(call, expire_decide, &update);
        break;
    case EXPIRE_NOT_INTEGER:
        command_error(call, ERROR_NOT_INTEGER);
        break;
    case EXPIRE_INVALID:
        command_expire_error(call);
        break;
    }
}

void cmd_expire(struct call *call) { expire(call, (struct expire_unit){.seconds = true, .relative = true}); }

void cmd_pexpire(struct call *call) { expire(call, (struct expire_unit){.relative = true}); }

void cmd_expireat(struct call *call) { expire(call, (struct expire_unit){.seconds = true}); }

void cmd_pexpireat(struct call *call) { expire(call, (struct expire_unit){.seconds = false}); }

void cmd_persist(struct call *call) {
    struct expire_update update = {0};

    update_and_reply(call, expire_persist_decide, &update);
}

static void reply_expiry(struct call *call, struct expire_unit unit) {
    struct dm_key key;
    struct dm_read read = {0};

    if (!command_key(call, 1, &key)) {
        return;
    }
    enum dm_status status = dm_get(call->session, &key, &read);

    if (status == DM_NOT_FOUND) {
        command_count_reads(call, 0, 1);
        reply_integer(call->reply, -2);
        return;
    }
    if (status != DM_OK) {
        command_status_error(call, status, 0);
        return;
    }
    int64_t expire_ms = read.value.expire_ms;

    dm_read_release(call->session, &read);
    command_count_reads(call, 1, 0);
    if (expire_ms == DM_NO_EXPIRY) {
        reply_integer(call->reply, -1);
        return;
    }
    int64_t left_ms = unit.relative ? expire_ms - command_now_ms(call) : expire_ms;

    left_ms = left_ms < 0 ? 0 : left_ms;
    reply_integer(call->reply, unit.seconds ? expire_seconds(left_ms) : left_ms);
}

void cmd_ttl(struct call *call) { reply_expiry(call, (struct expire_unit){.seconds = true, .relative = true}); }

void cmd_pttl(struct call *call) { reply_expiry(call, (struct expire_unit){.relative = true}); }

void cmd_expiretime(struct call *call) { reply_expiry(call, (struct expire_unit){.seconds = true}); }

void cmd_pexpiretime(struct call *call) { reply_expiry(call, (struct expire_unit){.seconds = false}); }
