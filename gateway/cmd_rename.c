/* cmd_rename.c: RENAME, RENAMENX, COPY and MOVE, and MSET and MSETNX: several keys at once, each a transaction of the
 * store (dm_transact), or part of one inside EXEC.
 */
#include "cmd_rename.h"

#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "command_table.h"
#include "number.h"
#include "string_rule.h"
#include "word.h"

#define MSET_KEYS_AT_ONCE 256u /* of more keys than fit into a transaction; a small one takes less memory */
#define ERROR_NO_KEY "ERR no such key"
#define ROOM_BYTES 256u
#define ERROR_SAME "ERR source and destination objects are the same"

/* ---- One key to another place ---- */

enum outcome { OUTCOME_NO_KEY, OUTCOME_TAKEN, OUTCOME_DONE };

struct transfer {
    struct call *call;
    struct dm_key from, to;
    bool keeps;    /* COPY: the source stays */
    bool replaces; /* whatever is at the destination */
    enum outcome outcome;
    enum dm_status status; /* of the write */
};

static bool is_there(struct dm_session *session, const struct dm_key *key) {
    struct dm_read read = {0};
    bool there = dm_get(session, key, &read) == DM_OK;

    dm_read_release(session, &read);
    return there;
}

static void transfer_decide(void *context) {
    struct transfer *transfer = context;
    struct dm_session *session = transfer->call->session;
    struct dm_read read = {0};

    transfer->status = DM_OK;
    if (dm_get(session, &transfer->from, &read) != DM_OK) {
        transfer->outcome = OUTCOME_NO_KEY;
        return;
    }
    if (!transfer->replaces && is_there(session, &transfer->to)) {
        transfer->outcome = OUTCOME_TAKEN;
    } else {
        bool copied = transfer->keeps && read.value.encoding == STRING_NATURAL;
        uint8_t encoding = copied ? STRING_COPIED : read.value.encoding;
        struct dm_write write = {.part = {{read.value.bytes, read.value.length}},
                                 .type = read.value.type,
                                 .encoding = encoding,
                                 .expire_ms = read.value.expire_ms};

        transfer->outcome = OUTCOME_DONE;
        transfer->status = dm_put(session, &transfer->to, &write);
        if (transfer->status == DM_OK && !transfer->keeps) {
            transfer->status = dm_delete(session, &transfer->from);
        }
    }
    dm_read_release(session, &read);
}

/* False: the error was replied. */
static bool transfer_run(struct transfer *transfer) {
    const struct dm_key keys[] = {transfer->from, transfer->to};
    struct dm_transact request = {.keys = keys, .count = 2, .decide = transfer_decide, .context = transfer};
    enum dm_status status = dm_transact(transfer->call->session, &request);

    status = status == DM_OK ? transfer->status : status;
    if (status != DM_OK) {
        command_status_error(transfer->call, status, 0);
    }
    return status == DM_OK;
}

static bool same_key(const struct dm_key *a, const struct dm_key *b) {
    return a->space == b->space && a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

static void rename_any(struct call *call, bool replaces) {
    struct transfer transfer = {.call = call, .replaces = replaces};

    if (!command_key(call, 1, &transfer.from) || !command_key(call, 2, &transfer.to)) {
        return;
    }
    if (same_key(&transfer.from, &transfer.to)) {
        transfer.keeps = true; /* then it is only looked whether it is there */
        transfer.replaces = false;
    }
    if (!transfer_run(&transfer)) {
        return;
    }
    if (transfer.outcome == OUTCOME_NO_KEY) {
        command_error(call, ERROR_NO_KEY);
    } else if (replaces) {
        reply_ok(call->reply);
    } else {
        reply_integer(call->reply, transfer.outcome == OUTCOME_DONE);
    }
}

void cmd_rename(struct call *call) { rename_any(call, true); }

void cmd_renamenx(struct call *call) { rename_any(call, false); }

/* A database number as an argument. False: the error was replied. */
static bool database_read(struct call *call, size_t index, uint16_t *database) {
    int64_t number;

    if (!command_integer(call, index, &number)) {
        return false;
    }
    if (number < INT32_MIN || number > INT32_MAX) {
        command_errorf(call, "ERR value is out of range, value must between %d and %d", INT32_MIN, INT32_MAX);
        return false;
    }
    if (number < 0 || number >= FUSEGATE_DATABASES) {
        command_error(call, "ERR DB index is out of range");
        return false;
    }
    *database = (uint16_t)number;
    return true;
}

void cmd_copy(struct call *call) {
    struct transfer transfer = {.call = call, .keeps = true};
    uint16_t database = call->connection->database;

    for (size_t i = 3; i < call->argc; i++) {
        if (word_equal(&call->argv[i], "replace")) {
            transfer.replaces = true;
        } else if (word_equal(&call->argv[i], "db") && i + 1 < call->argc) {
            if (!database_read(call, ++i, &database)) {
                return;
            }
        } else {
            command_error(call, ERROR_SYNTAX);
            return;
        }
    }
    if (!command_key(call, 1, &transfer.from) || !command_key(call, 2, &transfer.to)) {
        return;
    }
    transfer.to.space = database;
    if (same_key(&transfer.from, &transfer.to)) {
        command_error(call, ERROR_SAME);
    } else if (transfer_run(&transfer)) {
        reply_integer(call->reply, transfer.outcome == OUTCOME_DONE);
    }
}

void cmd_move(struct call *call) {
    struct transfer transfer = {.call = call};
    uint16_t database = 0;

    if (!database_read(call, 2, &database) || !command_key(call, 1, &transfer.from)) {
        return;
    }
    transfer.to = transfer.from;
    transfer.to.space = database;
    if (same_key(&transfer.from, &transfer.to)) {
        command_error(call, ERROR_SAME);
    } else if (transfer_run(&transfer)) {
        reply_integer(call->reply, transfer.outcome == OUTCOME_DONE);
    }
}

bool rename_other_key(const struct call *call, struct dm_key *key) {
    const struct resp_arg *number = NULL;
    size_t from = 1;
    int64_t database;

    if (call->command->handler == cmd_move) {
        number = &call->argv[2];
    }
    for (size_t i = 3; i + 1 < call->argc && call->command->handler == cmd_copy; i++) {
        number = word_equal(&call->argv[i], "db") ? &call->argv[i + 1] : number;
        from = 2;
    }
    if (number == NULL || !number_parse(number->bytes, number->length, &database) || database < 0 ||
        database >= FUSEGATE_DATABASES || call->argv[from].length > DM_KEY_BYTES_MAX) {
        return false;
    }
    *key = (struct dm_key){call->argv[from].bytes, (uint32_t)call->argv[from].length, (uint16_t)database};
    return true;
}

/* ---- Many keys ---- */

struct many {
    struct call *call;
    struct dm_key *keys;
    size_t first, end; /* of them in this transaction */
    bool if_absent;
    bool refused;          /* if_absent, and one is there */
    enum dm_status status; /* of the writes */
    size_t failed;         /* the argument that could not be written */
};

/* A value that is too large must not leave the ones before it written. Some bytes are left for what a transaction
 * adds. */
static bool fits(const struct many *many, size_t index) {
    struct dm_pool_info info;

    dm_pool_info(many->call->server->pool, &info);
    return many->keys[index].length + many->call->argv[2 + 2 * index].length + ROOM_BYTES <= info.value_bytes_max;
}

static void many_decide(void *context) {
    struct many *many = context;
    struct dm_session *session = many->call->session;

    many->status = DM_OK;
    many->refused = false;
    for (size_t i = many->first; i < many->end && many->if_absent && !many->refused; i++) {
        many->refused = is_there(session, &many->keys[i]);
    }
    for (size_t i = many->first; i < many->end && !many->refused && many->status == DM_OK; i++) {
        const struct resp_arg *value = &many->call->argv[2 + 2 * i];
        struct dm_write write = {.part = {{value->bytes, (uint32_t)value->length}}, .type = DM_TYPE_STRING};

        many->status = dm_put(session, &many->keys[i], &write);
        many->failed = 2 + 2 * i;
    }
}

static bool mset_keys(struct many *many, size_t count) {
    struct call *call = many->call;
    struct dm_bytes value;

    for (size_t i = 0; i < count; i++) {
        if (!command_key(call, 1 + 2 * i, &many->keys[i]) || !command_value(call, 2 + 2 * i, &value)) {
            return false;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (!fits(many, i)) { /* nothing is to be written then */
            command_status_error(call, DM_TOO_LARGE, call->argv[2 + 2 * i].length);
            return false;
        }
    }
    return true;
}

/* Those of one transaction. False: the error was replied. */
static bool mset_some(struct many *many) {
    struct call *call = many->call;
    struct dm_transact request = {.keys = many->keys + many->first,
                                  .count = (uint32_t)(many->end - many->first),
                                  .blind = !many->if_absent,
                                  .decide = many_decide,
                                  .context = many};
    enum dm_status status = dm_transact(call->session, &request);

    if (status == DM_OK && many->status != DM_OK) {
        command_status_error(call, many->status, call->argv[many->failed].length);
    } else if (status == DM_TOO_LARGE) {
        command_errorf(call, "ERR too many keys in one command, at most %u", (unsigned)DM_KEYS_MAX);
    } else if (status != DM_OK) {
        command_status_error(call, status, 0);
    }
    return status == DM_OK && many->status == DM_OK;
}

static void mset_run(struct many *many, size_t count) {
    struct call *call = many->call;
    bool good = mset_keys(many, count);
    /* MSETNX must be one transaction, whatever is said then. */
    size_t at_once = many->if_absent || count <= DM_KEYS_MAX ? count : MSET_KEYS_AT_ONCE;

    for (many->end = 0; good && many->end < count;) {
        many->first = many->end;
        many->end = count - many->first < at_once ? count : many->first + at_once;
        good = mset_some(many);
        if (many->end < count) {
            dm_coro_sleep(call->worker->sched, 0); /* what a transaction leaves to be done takes memory until it is */
        }
    }
    if (good && many->if_absent) {
        reply_integer(call->reply, !many->refused);
    } else if (good) {
        reply_ok(call->reply);
    }
}

static void mset_any(struct call *call, bool if_absent) {
    struct many many = {.call = call, .if_absent = if_absent};
    size_t count = call->argc / 2;

    if (call->argc % 2 == 0) {
        command_arity_error(call);
        return;
    }
    many.keys = calloc(count, sizeof *many.keys);
    if (many.keys == NULL) {
        command_status_error(call, DM_BUSY, 0);
        return;
    }
    mset_run(&many, count);
    free(many.keys);
}

void cmd_mset(struct call *call) { mset_any(call, false); }

void cmd_msetnx(struct call *call) { mset_any(call, true); }
