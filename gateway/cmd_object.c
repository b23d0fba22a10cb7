/* cmd_object.c: OBJECT, and what DEBUG OBJECT shows of a string, too. In a coroutine of the connection's worker.
 *
 * Values here have no inner encodings. What is answered is what Redis would have chosen for the same commands: the
 * string commands note in the value how it was made.
 */
#include "cmd_object.h"

#include "string_rule.h"

#define SHORT_BYTES_MAX 44u /* "embstr" in Redis */
#define SHARED_INTEGERS 10000
#define SHARED_REFERENCES INT32_MAX

static bool is_integer(const struct dm_value *value, int64_t *integer) {
    return (value->encoding == STRING_NATURAL || value->encoding == STRING_COPIED) &&
           value->length <= NUMBER_TEXT_BYTES && number_parse((const char *)value->bytes, value->length, integer);
}

const char *object_encoding(const struct dm_value *value) {
    int64_t integer;

    if (is_integer(value, &integer)) {
        return "int";
    }
    return value->encoding == STRING_RAW || value->length > SHORT_BYTES_MAX ? "raw" : "embstr";
}

int32_t object_references(const struct dm_value *value) {
    int64_t integer;

    bool shared =
        value->encoding != STRING_COPIED && is_integer(value, &integer) && integer >= 0 && integer < SHARED_INTEGERS;
    return shared ? SHARED_REFERENCES : 1;
}

/* True: *read is to be released. Otherwise null or an error was replied. */
static bool object_read(struct call *call, struct dm_read *read) {
    enum dm_status status = command_read_string(call, 2, read);

    if (status == DM_NOT_FOUND) {
        reply_null(call->reply);
    }
    return status == DM_OK;
}

void cmd_object_encoding(struct call *call) {
    struct dm_read read = {0};

    if (object_read(call, &read)) {
        reply_bulk_text(call->reply, object_encoding(&read.value));
        dm_read_release(call->session, &read);
    }
}

void cmd_object_refcount(struct call *call) {
    struct dm_read read = {0};

    if (object_read(call, &read)) {
        reply_integer(call->reply, object_references(&read.value));
        dm_read_release(call->session, &read);
    }
}

/* Nobody writes down when a key was read: that would be a write to the pool for each. */
void cmd_object_idletime(struct call *call) {
    struct dm_read read = {0};

    if (object_read(call, &read)) {
        reply_integer(call->reply, 0);
        dm_read_release(call->session, &read);
    }
}

void cmd_object_freq(struct call *call) {
    struct dm_read read = {0};

    if (object_read(call, &read)) {
        command_error(call, "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note "
                            "that when switching between policies at runtime LRU and LFU data will take some time to "
                            "adjust.");
        dm_read_release(call->session, &read);
    }
}

void cmd_object_help(struct call *call) {
    static const char *const lines[] = {
        "ENCODING <key>", "    The inner encoding that Redis would use for the value.",
        "FREQ <key>",     "    How often the key is used: an error, since that is not counted.",
        "IDLETIME <key>", "    Seconds since the key was used: always 0, since that is not noted.",
        "REFCOUNT <key>", "    References to the value, as Redis would count them.",
    };
    command_help(call, lines, sizeof lines / sizeof lines[0]);
}
