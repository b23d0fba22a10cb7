/* cmd_config.c: CONFIG: the gateway's settings under Redis's names, and those settings of Redis that clients and
 * tools ask for and from which nothing follows here. In a coroutine of the connection's worker.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "accepted.h"
#include "cmd.h"
#include "config_rewrite.h"
#include "glob.h"
#include "live.h"
#include "worker.h"

#define SETTINGS_MAX 256u
#define SETTING_BYTES LIVE_TEXT_BYTES /* longest value */
#define SETTING_ABSENT 0u             /* mark of a setting that was not asked for; argument 0 is no pattern */
_Static_assert(FUSEGATE_DATABASES == 16, "as accepted_table.c says");

/* One setting: a row of the configuration, one that is only accepted, or what only the running process knows. */
struct setting {
    const char *name;
    const struct config_key *key;
    const struct accepted_row *accepted;
    uint64_t (*number)(const struct server *server);
};

/* What can be written is bounded by the pool's data blocks, counted once for all replicas. */
static uint64_t number_of_bytes(const struct server *server) {
    struct dm_pool_info pool;

    dm_pool_info(server->pool, &pool);
    return pool.data_bytes_total;
}

/* Configured 0 means that the process has chosen. */
static uint64_t number_of_workers(const struct server *server) { return server->worker_count; }

static size_t settings_collect(struct setting settings[SETTINGS_MAX]) {
    size_t key_count, count = 0;
    const struct config_key *keys = config_keys(&key_count);

    for (const struct accepted_row *row = accepted_rows; row->name != NULL && count < SETTINGS_MAX; row++) {
        settings[count] = (struct setting){.name = row->name, .accepted = row};
        if (strcmp(row->name, "maxmemory") == 0) {
            settings[count].number = number_of_bytes;
        }
        count++;
    }
    for (size_t i = 0; i < key_count && count < SETTINGS_MAX; i++) {
        if (keys[i].redis_name == NULL) {
            continue;
        }
        settings[count] = (struct setting){.name = keys[i].redis_name, .key = &keys[i]};
        if (strcmp(keys[i].redis_name, "io-threads") == 0) {
            settings[count].number = number_of_workers;
        }
        count++;
    }
    return count;
}

static void setting_value(const struct call *call, const struct setting *setting, char text[SETTING_BYTES]) {
    if (setting->accepted != NULL && accepted_get(setting->name, text, SETTING_BYTES)) {
        return;
    }
    if (setting->number != NULL) {
        snprintf(text, SETTING_BYTES, "%" PRIu64, setting->number(call->server));
    } else if (!live_get(call->server, setting->name, text, SETTING_BYTES)) {
        config_value_format(call->server->config, setting->key, text, SETTING_BYTES);
    }
}

static void setting_reply_value(const struct call *call, const struct setting *setting) {
    char text[SETTING_BYTES];

    setting_value(call, setting, text);
    reply_bulk_text(call->reply, text);
}

/* Index of the first argument that asks for this setting, SETTING_ABSENT if none does. */
static size_t setting_asked_by(const struct call *call, const char *name) {
    size_t length = strlen(name);

    for (size_t i = 2; i < call->argc; i++) {
        if (glob_match(call->argv[i].bytes, call->argv[i].length, name, length)) {
            return i;
        }
    }
    return SETTING_ABSENT;
}

void cmd_config_get(struct call *call) {
    struct setting settings[SETTINGS_MAX];
    size_t asked_by[SETTINGS_MAX], matching = 0;
    size_t count = settings_collect(settings);

    for (size_t i = 0; i < count; i++) {
        asked_by[i] = setting_asked_by(call, settings[i].name);
        matching += asked_by[i] != SETTING_ABSENT;
    }
    reply_map(call->reply, matching);
    for (size_t i = 0; i < count; i++) {
        const struct resp_arg *arg = &call->argv[asked_by[i]];

        if (asked_by[i] == SETTING_ABSENT) {
            continue;
        }
        if (glob_is_pattern(arg->bytes, arg->length)) {
            reply_bulk_text(call->reply, settings[i].name);
        } else { /* as Redis does: spelled as it was asked for */
            reply_bulk(call->reply, arg->bytes, arg->length);
        }
        setting_reply_value(call, &settings[i]);
    }
}

/* ---- CONFIG SET ---- */

#define PAIRS_MAX 64u

struct change {
    char name[64], text[SETTING_BYTES], before[SETTING_BYTES];
};

static void change_error(struct call *call, const char *name, const char *reason) {
    command_errorf(call, "ERR CONFIG SET failed (possibly related to argument '%s') - %s", name, reason);
}

static const struct setting *setting_find(const struct setting *settings, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(settings[i].name, name) == 0) {
            return &settings[i];
        }
    }
    return NULL;
}

/* One pair of arguments, not in effect yet. False: the error was replied. */
static bool change_read(struct call *call, size_t at, const struct setting *settings, size_t count,
                        struct change *change) {
    const struct resp_arg *name = &call->argv[at], *text = &call->argv[at + 1];

    snprintf(change->name, sizeof change->name, "%.*s", command_text_length(name, sizeof change->name - 1),
             name->bytes);
    const struct setting *setting = setting_find(settings, count, change->name);

    if (setting == NULL && !live_get(call->server, change->name, change->before, sizeof change->before)) {
        command_errorf(call, "ERR Unknown option or number of arguments for CONFIG SET - '%s'", change->name);
        return false;
    }
    if (setting != NULL) {
        setting_value(call, setting, change->before);
    }
    if (text->length >= sizeof change->text || memchr(text->bytes, '\0', text->length) != NULL) {
        change_error(call, change->name, "argument is too long or has a zero byte");
        return false;
    }
    snprintf(change->text, sizeof change->text, "%.*s", (int)text->length, text->bytes);
    return true;
}

/* False: the error was replied, and nothing has changed by this one. */
static bool change_apply(struct call *call, const struct change *change) {
    char error[SETTING_BYTES] = "";

    switch (live_set(call->server, change->name, change->text, error, sizeof error)) {
    case LIVE_SET:
        return true;
    case LIVE_REFUSED:
        change_error(call, change->name, error);
        return false;
    case LIVE_UNKNOWN:
        break;
    }
    switch (accepted_set(change->name, change->text, error, sizeof error)) {
    case ACCEPTED_SET:
        return true;
    case ACCEPTED_REFUSED:
        change_error(call, change->name, error);
        return false;
    case ACCEPTED_UNKNOWN: /* it is read at the start: to ask for what it is does no harm */
        break;
    }
    if (strcasecmp(change->text, change->before) == 0) {
        return true;
    }
    change_error(call, change->name, "can't set immutable config");
    return false;
}

static bool change_is_double(const struct change *changes, size_t index) {
    for (size_t i = 0; i < index; i++) {
        if (strcasecmp(changes[i].name, changes[index].name) == 0) {
            return true;
        }
    }
    return false;
}

static void changes_undo(struct call *call, const struct change *changes, size_t count) {
    char error[SETTING_BYTES];

    while (count-- > 0) {
        if (live_set(call->server, changes[count].name, changes[count].before, error, sizeof error) == LIVE_UNKNOWN) {
            accepted_set(changes[count].name, changes[count].before, error, sizeof error);
        }
    }
}

/* All or nothing. */
static void changes_apply(struct call *call, const struct change *changes, size_t count) {
    char error[SETTING_BYTES] = "", ignored[SETTING_BYTES];

    for (size_t i = 0; i < count; i++) {
        if (!change_apply(call, &changes[i])) {
            changes_undo(call, changes, i);
            live_settle(call->server, ignored, sizeof ignored);
            return;
        }
    }
    if (live_settle(call->server, error, sizeof error)) {
        reply_ok(call->reply);
        return;
    }
    changes_undo(call, changes, count);
    live_settle(call->server, ignored, sizeof ignored);
    change_error(call, changes[count - 1].name, error);
}

void cmd_config_set(struct call *call) {
    struct setting settings[SETTINGS_MAX];
    size_t count = settings_collect(settings), pairs = (call->argc - 2) / 2;

    if (call->argc % 2 != 0 || pairs > PAIRS_MAX) {
        command_error(call, ERROR_SYNTAX);
        return;
    }
    struct change *changes = calloc(pairs, sizeof *changes);

    if (changes == NULL) {
        command_status_error(call, DM_BUSY, 0);
        return;
    }
    for (size_t i = 0; i < pairs; i++) {
        if (!change_read(call, 2 + i * 2, settings, count, &changes[i])) {
            free(changes);
            return;
        }
        if (change_is_double(changes, i)) {
            change_error(call, changes[i].name, "duplicate parameter");
            free(changes);
            return;
        }
    }
    changes_apply(call, changes, pairs);
    free(changes);
}

/* ---- CONFIG RESETSTAT ---- */

void cmd_config_resetstat(struct call *call) {
    for (uint32_t i = 0; i < call->server->worker_count; i++) {
        worker_reset_stats(&call->server->workers[i]);
    }
    reply_ok(call->reply);
}

/* ---- CONFIG REWRITE ---- */

void cmd_config_rewrite(struct call *call) {
    char error[SETTING_BYTES];

    if (call->server->config->path[0] == '\0') {
        command_error(call, "ERR The server is running without a config file");
    } else if (config_rewrite(call->server, error, sizeof error)) {
        reply_ok(call->reply);
    } else {
        command_errorf(call, "ERR Rewriting config file: %s", error);
    }
}

void cmd_config_help(struct call *call) {
    static const char *const lines[] = {
        "GET <pattern> [<pattern> ...]",
        "    The settings whose names match, with their values.",
        "RESETSTAT",
        "    Set the counters of INFO to zero.",
        "REWRITE",
        "    Write what was changed into the configuration file.",
        "SET <setting> <value> [<setting> <value> ...]",
        "    Change settings until the gateway ends: all of them or none.",
    };
    command_help(call, lines, sizeof lines / sizeof lines[0]);
}
