/* cmd_config.c: CONFIG GET: the gateway's settings under Redis's names, and those settings of Redis that clients and
 * tools ask for and that are fixed here. In a coroutine of the connection's worker.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "glob.h"

#define SETTINGS_MAX 128u
#define SETTING_BYTES 512u /* longest value */
#define SETTING_ABSENT 0u  /* mark of a setting that was not asked for; argument 0 is no pattern */

/* What can have no other value here. A limit or a log that does not exist is shown as switched off. */
static const struct {
    const char *name, *value;
} settings_fixed[] = {
    {"activedefrag", "no"},
    {"aclfile", ""},
    {"appendonly", "no"},
    {"cluster-enabled", "no"},
    {"daemonize", "no"},
    {"databases", "16"},
    {"latency-monitor-threshold", "0"},
    {"latency-tracking", "no"},
    {"logfile", ""},
    {"maxmemory-clients", "0"},
    {"maxmemory-policy", "noeviction"},
    {"min-replicas-to-write", "0"},
    {"min-slaves-to-write", "0"},
    {"notify-keyspace-events", ""},
    {"pidfile", ""},
    {"protected-mode", "no"},
    {"replica-read-only", "yes"},
    {"replicaof", ""},
    {"save", ""},
    {"slave-read-only", "yes"},
    {"slaveof", ""},
    {"slowlog-log-slower-than", "-1"},
    {"slowlog-max-len", "0"},
    {"tls-port", "0"},
    {"unixsocket", ""},
};
_Static_assert(FUSEGATE_DATABASES == 16, "as above");

/* One setting: a row of the configuration, a fixed one, or what only the running process knows. */
struct setting {
    const char *name;
    const struct config_key *key;
    const char *value;
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

    for (size_t i = 0; i < sizeof settings_fixed / sizeof settings_fixed[0]; i++) {
        settings[count++] = (struct setting){.name = settings_fixed[i].name, .value = settings_fixed[i].value};
    }
    settings[count++] = (struct setting){.name = "maxmemory", .number = number_of_bytes};
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

static void setting_reply_value(const struct call *call, const struct setting *setting) {
    char text[SETTING_BYTES];

    if (setting->value != NULL) {
        reply_bulk_text(call->reply, setting->value);
        return;
    }
    if (setting->number != NULL) {
        snprintf(text, sizeof text, "%" PRIu64, setting->number(call->server));
    } else {
        config_value_format(call->server->config, setting->key, text, sizeof text);
    }
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

void cmd_config_help(struct call *call) {
    static const char *const lines[] = {
        "GET <pattern> [<pattern> ...]",
        "    The settings whose names match, with their values.",
    };
    command_help(call, lines, sizeof lines / sizeof lines[0]);
}
