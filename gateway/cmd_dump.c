/* cmd_dump.c: DUMP and RESTORE. What a dump looks like is in rdb.c. In a coroutine of the connection's worker. */
#include <stdlib.h>

#include "cmd_string.h"
#include "rdb.h"
#include "word.h"

#define FREQUENCY_MAX 255
#define NOT_GIVEN (-1)

void cmd_dump(struct call *call) {
    struct dm_read read = {0};
    enum dm_status status = command_read_string(call, 1, &read);

    if (status == DM_NOT_FOUND) {
        reply_null(call->reply);
    }
    if (status != DM_OK) {
        return;
    }
    uint8_t *dump = malloc((size_t)read.value.length + RDB_OVERHEAD_BYTES);

    if (dump == NULL) {
        command_status_error(call, DM_BUSY, 0);
    } else {
        reply_bulk(call->reply, dump, rdb_dump(read.value.bytes, read.value.length, dump));
    }
    free(dump);
    dm_read_release(call->session, &read);
}

struct restore_options {
    bool replace, absolute;
    int64_t idle_s, frequency; /* checked only: nothing is evicted here */
};

/* An integer from 0 to `most`. False: the error was replied. */
static bool option_number(struct call *call, size_t index, int64_t most, const char *error, int64_t *value) {
    if (!command_integer(call, index, value)) {
        return false;
    }
    if (*value < 0 || *value > most) {
        command_error(call, error);
        return false;
    }
    return true;
}

/* False: the error was replied. */
static bool restore_options_parse(struct call *call, struct restore_options *options) {
    for (size_t i = 4; i < call->argc; i++) {
        const struct resp_arg *arg = &call->argv[i];
        bool more = i + 1 < call->argc;

        if (word_equal(arg, "replace")) {
            options->replace = true;
        } else if (word_equal(arg, "absttl")) {
            options->absolute = true;
        } else if (word_equal(arg, "idletime") && more && options->frequency == NOT_GIVEN) {
            if (!option_number(call, ++i, INT64_MAX, "ERR Invalid IDLETIME value, must be >= 0", &options->idle_s)) {
                return false;
            }
        } else if (word_equal(arg, "freq") && more && options->idle_s == NOT_GIVEN) {
            if (!option_number(call, ++i, FREQUENCY_MAX, "ERR Invalid FREQ value, must be >= 0 and <= 255",
                               &options->frequency)) {
                return false;
            }
        } else {
            command_error(call, ERROR_SYNTAX);
            return false;
        }
    }
    return true;
}

/* Without REPLACE: is the key free? It is looked at again when it is written. False: the error was replied. */
static bool restore_key_free(struct call *call, const struct dm_key *key) {
    struct dm_read read = {0};
    enum dm_status status = dm_get(call->session, key, &read);

    if (status == DM_OK) {
        dm_read_release(call->session, &read);
        command_error(call, ERROR_BUSY_KEY);
    } else if (status != DM_NOT_FOUND) {
        command_status_error(call, status, 0);
    }
    return status == DM_NOT_FOUND;
}

/* *bytes is malloc'ed. False: the error was replied. */
static bool restore_payload(struct call *call, uint8_t **bytes, uint64_t *length) {
    const struct resp_arg *dump = &call->argv[3];
    struct dm_pool_info info;

    dm_pool_info(call->server->pool, &info);
    switch (rdb_restore((const uint8_t *)dump->bytes, dump->length, info.value_bytes_max, bytes, length)) {
    case RDB_OK:
        return true;
    case RDB_BAD_CHECKSUM:
        command_error(call, "ERR DUMP payload version or checksum are wrong");
        break;
    case RDB_BAD_DATA:
        command_error(call, "ERR Bad data format");
        break;
    case RDB_TOO_LARGE:
        command_status_error(call, DM_TOO_LARGE, *length);
        break;
    case RDB_NO_MEMORY:
        command_status_error(call, DM_BUSY, 0);
        break;
    }
    return false;
}

static void restore_write(struct call *call, const struct dm_key *key, struct string_set *set, int64_t now_ms) {
    enum dm_status status;

    set->result = STRING_OK;
    if (set->expire_ms != DM_NO_EXPIRY && set->expire_ms <= now_ms) { /* over before it began */
        status = (set->flags & SET_NX) != 0 ? DM_OK : dm_delete(call->session, key);
        status = status == DM_NOT_FOUND ? DM_OK : status;
    } else {
        status = dm_update(call->session, key, string_set_decide, set, NULL);
    }
    if (status != DM_OK) {
        command_status_error(call, status, set->value.length);
    } else if (set->result == STRING_SKIPPED) {
        command_error(call, ERROR_BUSY_KEY);
    } else {
        reply_ok(call->reply);
    }
}

void cmd_restore(struct call *call) {
    struct restore_options options = {.idle_s = NOT_GIVEN, .frequency = NOT_GIVEN};
    struct dm_key key;
    int64_t ttl_ms, now_ms = command_now_ms(call);
    uint8_t *bytes;
    uint64_t length;

    if (!restore_options_parse(call, &options) || !command_key(call, 1, &key) ||
        (!options.replace && !restore_key_free(call, &key)) ||
        !option_number(call, 2, INT64_MAX, "ERR Invalid TTL value, must be >= 0", &ttl_ms) ||
        !restore_payload(call, &bytes, &length)) {
        return;
    }
    struct string_set set = {
        .value = {bytes, (uint32_t)length},
        .flags = options.replace ? 0 : SET_NX,
        .expire_ms = ttl_ms,
    };
    if (ttl_ms != DM_NO_EXPIRY && !options.absolute && __builtin_add_overflow(ttl_ms, now_ms, &set.expire_ms)) {
        set.expire_ms = INT64_MIN; /* Redis wraps around, into the past */
    }
    restore_write(call, &key, &set, now_ms);
    free(bytes);
}
