/* cmd_bitfield.c: BITFIELD, BITFIELD_RO. What the operations do is in bitfield.c.
 * Runs in a coroutine of the connection's worker.
 */
#include <stdlib.h>
#include <string.h>

#include "bitfield.h"
#include "cmd_string.h"

/* All operations of one command, and what they made of the value. */
struct bitfields {
    struct bitfield_operation *operations;
    size_t count;
    uint64_t bytes_needed; /* by those that write */
    bool writes;
    /* results of the last decision */
    uint8_t *bytes;
    uint64_t length, capacity;
    int64_t *values;
    bool *done; /* false: failed by overflow */
    bool no_memory;
    enum string_result result;
};

static bool parse_result_ok(struct call *call, enum bitfield_result result) {
    switch (result) {
    case BITFIELD_OK:
    case BITFIELD_END:
        return true;
    case BITFIELD_SYNTAX:
        command_error(call, ERROR_SYNTAX);
        break;
    case BITFIELD_BAD_OVERFLOW:
        command_error(call, "ERR Invalid OVERFLOW type specified");
        break;
    case BITFIELD_BAD_TYPE:
        command_error(call, "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but "
                            "i64 is.");
        break;
    case BITFIELD_BAD_OFFSET:
        command_error(call, ERROR_BIT_OFFSET);
        break;
    case BITFIELD_BAD_VALUE:
        command_error(call, ERROR_NOT_INTEGER);
        break;
    }
    return false;
}

/* False: the error was replied. `fields` has room for one operation in three arguments. */
static bool operations_parse(struct call *call, struct bitfields *fields) {
    struct bitfield_parser parser = {
        .args = call->argv + 2,
        .count = call->argc - 2,
        .bytes_max = call->server->config->proto_max_bulk_len,
    };
    enum bitfield_result result;

    while ((result = bitfield_parse(&parser, &fields->operations[fields->count])) == BITFIELD_OK) {
        const struct bitfield_operation *operation = &fields->operations[fields->count++];

        if (operation->kind != BITFIELD_GET) {
            uint64_t bytes = bitfield_bytes(operation);

            fields->writes = true;
            fields->bytes_needed = bytes > fields->bytes_needed ? bytes : fields->bytes_needed;
        }
    }
    return parse_result_ok(call, result);
}

/* True: a field was changed, or one was set in a string that became longer. That is when WATCH notices; a string that
 * becomes longer while all fields fail counts as the same, as in Redis. */
static bool apply_all(struct bitfields *fields, bool grows) {
    bool changed = false;

    for (size_t i = 0; i < fields->count; i++) {
        const struct bitfield_operation *operation = &fields->operations[i];
        int64_t before = bitfield_get(fields->bytes, fields->length, operation);

        fields->done[i] = bitfield_apply(fields->bytes, fields->length, operation, &fields->values[i]);
        changed |= fields->done[i] && operation->kind != BITFIELD_GET &&
                   (grows || bitfield_get(fields->bytes, fields->length, operation) != before);
    }
    return changed;
}

/* In the shape of dm_update_fn. */
static enum dm_action bitfields_decide(void *context, const struct dm_value *old, struct dm_write *write) {
    struct bitfields *fields = context;
    uint64_t length = old == NULL ? 0 : old->length;

    fields->result = old != NULL && old->type != DM_TYPE_STRING ? STRING_WRONG_TYPE : STRING_OK;
    fields->length = length > fields->bytes_needed ? length : fields->bytes_needed;
    if (fields->result != STRING_OK) {
        return DM_KEEP;
    }
    if (fields->length > fields->capacity) {
        uint8_t *larger = realloc(fields->bytes, fields->length);

        fields->no_memory = larger == NULL;
        if (larger == NULL) {
            return DM_KEEP;
        }
        fields->bytes = larger;
        fields->capacity = fields->length;
    }
    if (old != NULL) {
        memcpy(fields->bytes, old->bytes, length);
    }
    memset(fields->bytes + length, 0, fields->length - length);
    write->unchanged = !apply_all(fields, fields->length != length);
    if (write->unchanged && old != NULL && fields->length == length && old->encoding == STRING_RAW) {
        return DM_KEEP;
    }
    write->part[0] = (struct dm_bytes){fields->bytes, (uint32_t)fields->length};
    write->type = DM_TYPE_STRING;
    write->encoding = STRING_RAW;
    write->expire_ms = old == NULL ? DM_NO_EXPIRY : old->expire_ms;
    return DM_WRITE;
}

static void reply_all(struct call *call, const struct bitfields *fields) {
    reply_array(call->reply, fields->count);
    for (size_t i = 0; i < fields->count; i++) {
        if (fields->done[i]) {
            reply_integer(call->reply, fields->values[i]);
        } else {
            reply_null(call->reply);
        }
    }
}

static void fields_read(struct call *call, struct bitfields *fields) {
    struct dm_read read = {0};
    enum dm_status status = command_read_string(call, 1, &read);

    if (status == DM_OK) {
        for (size_t i = 0; i < fields->count; i++) {
            fields->values[i] = bitfield_get(read.value.bytes, read.value.length, &fields->operations[i]);
            fields->done[i] = true;
        }
        dm_read_release(call->session, &read);
    } else if (status == DM_NOT_FOUND) {
        memset(fields->done, true, fields->count);
    } else {
        return;
    }
    reply_all(call, fields);
}

static void fields_update(struct call *call, struct bitfields *fields) {
    struct dm_key key;

    if (fields->bytes_needed > STRING_GAP_BYTES_MAX) {
        command_status_error(call, DM_TOO_LARGE, fields->bytes_needed);
        return;
    }
    if (!command_key(call, 1, &key)) {
        return;
    }
    enum dm_status status = dm_update(call->session, &key, bitfields_decide, fields, NULL);

    if (status == DM_OK && fields->no_memory) {
        status = DM_BUSY;
    }
    if (status != DM_OK) {
        command_status_error(call, status, fields->length);
    } else if (string_result_ok(call, fields->result)) {
        reply_all(call, fields);
    }
}

static void bitfield(struct call *call, bool read_only) {
    size_t most = call->argc / 3 + 1;
    struct bitfields fields = {
        .operations = calloc(most, sizeof *fields.operations),
        .values = calloc(most, sizeof *fields.values),
        .done = calloc(most, sizeof *fields.done),
    };

    if (fields.operations == NULL || fields.values == NULL || fields.done == NULL) {
        command_status_error(call, DM_BUSY, 0);
    } else if (operations_parse(call, &fields)) {
        if (!fields.writes) {
            fields_read(call, &fields);
        } else if (read_only) {
            command_error(call, "ERR BITFIELD_RO only supports the GET subcommand");
        } else {
            fields_update(call, &fields);
        }
    }
    free(fields.operations);
    free(fields.values);
    free(fields.done);
    free(fields.bytes);
}

void cmd_bitfield(struct call *call) { bitfield(call, false); }

void cmd_bitfield_ro(struct call *call) { bitfield(call, true); }
