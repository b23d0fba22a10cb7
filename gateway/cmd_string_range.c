/* cmd_string_range.c: GETRANGE, SUBSTR, SETRANGE, LCS. In a coroutine of the connection's worker. */
#include "cmd_string.h"
#include "lcs.h"
#include "string_range.h"
#include "word.h"

#define LCS_CELLS_AT_ONCE 2000000u /* then other connections of the worker get their turn: some milliseconds */

void cmd_getrange(struct call *call) {
    struct dm_read read = {0};
    int64_t start, end;
    uint64_t first;

    if (!command_integer(call, 2, &start) || !command_integer(call, 3, &end)) {
        return;
    }
    enum dm_status status = command_read_string(call, 1, &read);

    if (status == DM_OK) {
        uint64_t count = string_range_clip(start, end, read.value.length, &first);

        reply_bulk(call->reply, read.value.bytes + first, count);
        dm_read_release(call->session, &read);
    } else if (status == DM_NOT_FOUND) {
        reply_bulk(call->reply, "", 0);
    }
}

void cmd_substr(struct call *call) { cmd_getrange(call); }

void cmd_setrange(struct call *call) {
    struct dm_key key;
    struct string_overlay overlay = {.bytes_max = call->server->config->proto_max_bulk_len};
    int64_t offset;

    if (!command_integer(call, 2, &offset) || !command_key(call, 1, &key) || !command_value(call, 3, &overlay.patch)) {
        return;
    }
    if (offset < 0) {
        command_error(call, "ERR offset is out of range");
        return;
    }
    overlay.offset = (uint64_t)offset;
    if (overlay.patch.length > 0 && overlay.offset > STRING_GAP_BYTES_MAX &&
        overlay.offset + overlay.patch.length <= overlay.bytes_max) {
        command_status_error(call, DM_TOO_LARGE, overlay.offset + overlay.patch.length);
        return;
    }
    enum dm_status status = dm_update(call->session, &key, string_overlay_decide, &overlay, NULL);

    if (status != DM_OK) {
        command_status_error(call, status, overlay.length);
    } else if (string_result_ok(call, overlay.result)) {
        reply_integer(call->reply, (long long)overlay.length);
    }
}

/* ---- LCS ---- */

struct lcs_options {
    bool index, length, match_length;
    int64_t match_length_min;
};

/* False: the error was replied. */
static bool lcs_options_parse(struct call *call, struct lcs_options *options) {
    for (size_t i = 3; i < call->argc; i++) {
        const struct resp_arg *arg = &call->argv[i];

        if (word_equal(arg, "idx")) {
            options->index = true;
        } else if (word_equal(arg, "len")) {
            options->length = true;
        } else if (word_equal(arg, "withmatchlen")) {
            options->match_length = true;
        } else if (word_equal(arg, "minmatchlen") && i + 1 < call->argc) {
            if (!command_integer(call, ++i, &options->match_length_min)) {
                return false;
            }
        } else {
            command_error(call, ERROR_SYNTAX);
            return false;
        }
    }
    if (options->index && options->length) {
        command_error(call, "ERR If you want both the length and indexes, please just use IDX.");
        return false;
    }
    return true;
}

static void reply_match_side(struct reply *reply, uint32_t first, uint32_t length) {
    reply_array(reply, 2);
    reply_integer(reply, first);
    reply_integer(reply, (long long)first + length - 1);
}

static bool match_wanted(const struct lcs_match *match, const struct lcs_options *options) {
    return (int64_t)match->length >= options->match_length_min;
}

static void lcs_reply_index(struct call *call, const struct lcs *lcs, const struct lcs_options *options) {
    size_t wanted = 0;

    for (size_t i = 0; i < lcs->match_count; i++) {
        wanted += match_wanted(&lcs->matches[i], options);
    }
    reply_map(call->reply, 2);
    reply_bulk_text(call->reply, "matches");
    reply_array(call->reply, wanted);
    for (size_t i = 0; i < lcs->match_count; i++) {
        const struct lcs_match *match = &lcs->matches[i];

        if (!match_wanted(match, options)) {
            continue;
        }
        reply_array(call->reply, options->match_length ? 3 : 2);
        reply_match_side(call->reply, match->a_first, match->length);
        reply_match_side(call->reply, match->b_first, match->length);
        if (options->match_length) {
            reply_integer(call->reply, match->length);
        }
    }
    reply_bulk_text(call->reply, "len");
    reply_integer(call->reply, lcs->length);
}

static void lcs_run(struct call *call, struct lcs *lcs, const struct lcs_options *options) {
    if (lcs_table_bytes(lcs->a_length, lcs->b_length) > call->server->config->proto_max_bulk_len) {
        command_error(call, "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
        return;
    }
    lcs->length_only = options->length;
    bool enough = lcs_begin(lcs);

    while (enough && !lcs_step(lcs, LCS_CELLS_AT_ONCE)) {
        dm_coro_sleep(call->worker->sched, 0);
    }
    enough = enough && (options->length || lcs_trace(lcs));
    if (!enough) {
        command_error(call, "ERR Insufficient memory, failed allocating transient memory for LCS");
    } else if (options->length) {
        reply_integer(call->reply, lcs->length);
    } else if (options->index) {
        lcs_reply_index(call, lcs, options);
    } else {
        reply_bulk(call->reply, lcs->bytes, lcs->length);
    }
    lcs_free(lcs);
}

/* False: the error was replied. */
static bool lcs_read(struct call *call, struct dm_read reads[2], enum dm_status statuses[2]) {
    struct dm_key keys[2];

    if (!command_key(call, 1, &keys[0]) || !command_key(call, 2, &keys[1])) {
        return false;
    }
    dm_get_many(call->session, keys, 2, reads, statuses);
    for (size_t i = 0; i < 2; i++) {
        if (statuses[i] != DM_OK && statuses[i] != DM_NOT_FOUND) {
            command_status_error(call, statuses[i], 0);
            return false;
        }
        if (statuses[i] == DM_OK && reads[i].value.type != DM_TYPE_STRING) {
            command_error(call, "ERR The specified keys must contain string values");
            return false;
        }
        command_count_reads(call, statuses[i] == DM_OK, statuses[i] != DM_OK);
    }
    return true;
}

/* Two keys, one moment each: not a snapshot of both. */
void cmd_lcs(struct call *call) {
    struct dm_read reads[2] = {0};
    enum dm_status statuses[2] = {DM_NOT_FOUND, DM_NOT_FOUND};
    struct lcs_options options = {0};

    if (lcs_read(call, reads, statuses) && lcs_options_parse(call, &options)) {
        struct lcs lcs = {
            .a = reads[0].value.bytes,
            .b = reads[1].value.bytes,
            .a_length = reads[0].value.length,
            .b_length = reads[1].value.length,
        };
        lcs_run(call, &lcs, &options);
    }
    for (size_t i = 0; i < 2; i++) {
        if (statuses[i] == DM_OK) {
            dm_read_release(call->session, &reads[i]);
        }
    }
}
