/* live.c: the table of live settings and what takes effect when one is set; see live.h. Any thread. */
#include "live.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "acl.h"
#include "notify.h"
#include "server.h"
#include "setting.h"
#include "tls.h"

enum live_kind { LIVE_U32, LIVE_I64, LIVE_YES_NO, LIVE_TEXT, LIVE_NOTIFY, LIVE_LIMITS };

/* After a value was stored. False: error says why it cannot be, and the value goes back. */
typedef bool live_effect(struct server *server, char *error, size_t error_bytes);

struct live_row {
    const char *name;
    enum live_kind kind;
    size_t offset, bytes; /* in struct live */
    int64_t minimum, maximum;
    live_effect *effect;
};

static bool effect_password(struct server *server, char *error, size_t error_bytes) {
    if (acl_set_requirepass(server->acl, server->live->requirepass)) {
        return true;
    }
    snprintf(error, error_bytes, "out of memory");
    return false;
}

/* Commands look only while somebody wants to be told. */
static bool effect_notify(struct server *server, char *error, size_t error_bytes) {
    (void)error;
    (void)error_bytes;
    if ((atomic_load(&server->live->notify_classes) & (NOTIFY_KEYSPACE | NOTIFY_KEYEVENT)) != 0) {
        atomic_fetch_or(&server->attention, ATTENTION_NOTIFY);
    } else {
        atomic_fetch_and(&server->attention, ~(uint32_t)ATTENTION_NOTIFY);
    }
    return true;
}

/* A certificate and its key are replaced one after the other: see live_settle. */
static bool effect_tls(struct server *server, char *error, size_t error_bytes) {
    (void)error;
    (void)error_bytes;
    server->live->tls_changed = true;
    return true;
}

#define AT(member) offsetof(struct live, member), sizeof(((struct live *)NULL)->member)

static const struct live_row rows[] = {
    {"maxclients", LIVE_U32, AT(maxclients), 1, UINT32_MAX, NULL},
    {"timeout", LIVE_U32, AT(timeout_s), 0, INT32_MAX, NULL},
    {"tcp-keepalive", LIVE_U32, AT(tcp_keepalive_s), 0, INT32_MAX, NULL},
    {"protected-mode", LIVE_YES_NO, AT(protected_mode), 0, 1, NULL},
    {"acllog-max-len", LIVE_U32, AT(acllog_max_len), 0, 100000, NULL},
    {"slowlog-log-slower-than", LIVE_I64, AT(slowlog_slower_us), -1, INT64_MAX, NULL},
    {"slowlog-max-len", LIVE_U32, AT(slowlog_max_len), 0, 1000000, NULL},
    {"latency-monitor-threshold", LIVE_U32, AT(latency_threshold_ms), 0, INT32_MAX, NULL},
    {"latency-tracking", LIVE_YES_NO, AT(latency_tracking), 0, 1, NULL},
    {"notify-keyspace-events", LIVE_NOTIFY, AT(notify_classes), 0, 0, effect_notify},
    {"client-output-buffer-limit", LIVE_LIMITS, AT(output), 0, 0, NULL},
    {"requirepass", LIVE_TEXT, AT(requirepass), 0, 0, effect_password},
    {"tls-cert-file", LIVE_TEXT, AT(tls_cert_file), 0, 0, effect_tls},
    {"tls-key-file", LIVE_TEXT, AT(tls_key_file), 0, 0, effect_tls},
    {"tls-ca-cert-file", LIVE_TEXT, AT(tls_ca_cert_file), 0, 0, effect_tls},
    {"tls-auth-clients", LIVE_TEXT, AT(tls_auth_clients), 0, 0, effect_tls},
    {"tls-protocols", LIVE_TEXT, AT(tls_protocols), 0, 0, effect_tls},
};

#define ROWS (sizeof rows / sizeof rows[0])

static const struct live_row *row_find(const char *name) {
    for (size_t i = 0; i < ROWS; i++) {
        if (strcasecmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

static void *member(struct live *live, const struct live_row *row) { return (char *)live + row->offset; }

/* ---- Output limits: "<class> <hard> <soft> <seconds> ..." ---- */

static const char *const class_names[CLIENT_CLASSES] = {"normal", "slave", "pubsub"};

static int class_parse(const char *word) {
    for (int i = 0; i < CLIENT_CLASSES; i++) {
        if (strcasecmp(word, class_names[i]) == 0) {
            return i;
        }
    }
    return strcasecmp(word, "replica") == 0 ? CLIENT_REPLICA : -1;
}

static bool limits_parse(struct live_output_limit *limits, const char *text, bool store) {
    char copy[LIVE_TEXT_BYTES], *rest = copy, *words[4];
    uint64_t hard, soft;
    int64_t seconds;
    int count = 0;

    snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strsep(&rest, " "); word != NULL; word = strsep(&rest, " ")) {
        if (*word == '\0') {
            continue;
        }
        words[count++] = word;
        if (count < 4) {
            continue;
        }
        int class = class_parse(words[0]);
        if (class < 0 || !setting_size_parse(words[1], &hard) || !setting_size_parse(words[2], &soft) ||
            !setting_integer_parse(words[3], 0, INT32_MAX, &seconds)) {
            return false;
        }
        if (store) {
            limits[class].hard_bytes = hard;
            limits[class].soft_bytes = soft;
            limits[class].soft_s = (uint64_t)seconds;
        }
        count = 0;
    }
    return count == 0;
}

static void limits_format(const struct live_output_limit *limits, char *out, size_t out_bytes) {
    size_t length = 0;

    for (int i = 0; i < CLIENT_CLASSES; i++) {
        length += (size_t)snprintf(out + length, out_bytes - length, "%s%s %" PRIu64 " %" PRIu64 " %" PRIu64,
                                   i > 0 ? " " : "", class_names[i], limits[i].hard_bytes, limits[i].soft_bytes,
                                   limits[i].soft_s);
    }
}

/* ---- One value ---- */

/* False: not a value of this setting; nothing is stored then. */
static bool value_store(struct live *live, const struct live_row *row, const char *text) {
    int64_t number;
    uint32_t classes;

    switch (row->kind) {
    case LIVE_U32:
        if (!setting_integer_parse(text, row->minimum, row->maximum, &number)) {
            return false;
        }
        atomic_store((_Atomic uint32_t *)member(live, row), (uint32_t)number);
        return true;
    case LIVE_I64:
        if (!setting_integer_parse(text, row->minimum, row->maximum, &number)) {
            return false;
        }
        atomic_store((_Atomic int64_t *)member(live, row), number);
        return true;
    case LIVE_YES_NO:
        if (strcasecmp(text, "yes") != 0 && strcasecmp(text, "no") != 0) {
            return false;
        }
        atomic_store((_Atomic uint32_t *)member(live, row), strcasecmp(text, "yes") == 0);
        return true;
    case LIVE_NOTIFY:
        if (!notify_parse(text, strlen(text), &classes)) {
            return false;
        }
        atomic_store((_Atomic uint32_t *)member(live, row), classes);
        return true;
    case LIVE_LIMITS:
        return limits_parse(member(live, row), text, false) && limits_parse(member(live, row), text, true);
    case LIVE_TEXT:
        break;
    }
    if (strlen(text) >= row->bytes) {
        return false;
    }
    strcpy(member(live, row), text);
    return true;
}

static void value_format(struct live *live, const struct live_row *row, char *out, size_t out_bytes) {
    char letters[NOTIFY_TEXT_BYTES];

    switch (row->kind) {
    case LIVE_U32:
        snprintf(out, out_bytes, "%u", atomic_load((_Atomic uint32_t *)member(live, row)));
        return;
    case LIVE_I64:
        snprintf(out, out_bytes, "%" PRId64, atomic_load((_Atomic int64_t *)member(live, row)));
        return;
    case LIVE_YES_NO:
        snprintf(out, out_bytes, "%s", atomic_load((_Atomic uint32_t *)member(live, row)) != 0 ? "yes" : "no");
        return;
    case LIVE_NOTIFY:
        notify_format(atomic_load((_Atomic uint32_t *)member(live, row)), letters);
        snprintf(out, out_bytes, "%s", letters);
        return;
    case LIVE_LIMITS:
        limits_format(member(live, row), out, out_bytes);
        return;
    case LIVE_TEXT:
        snprintf(out, out_bytes, "%s", (const char *)member(live, row));
        return;
    }
}

static void value_allowed(const struct live_row *row, char *out, size_t out_bytes) {
    switch (row->kind) {
    case LIVE_YES_NO:
        snprintf(out, out_bytes, "argument must be 'yes' or 'no'");
        return;
    case LIVE_NOTIFY:
        snprintf(out, out_bytes, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
        return;
    case LIVE_LIMITS:
        snprintf(out, out_bytes, "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
        return;
    case LIVE_U32:
    case LIVE_I64:
        snprintf(out, out_bytes, "argument must be between %" PRId64 " and %" PRId64 " inclusive", row->minimum,
                 row->maximum);
        return;
    case LIVE_TEXT:
        snprintf(out, out_bytes, "argument is too long");
        return;
    }
}

/* ---- For others ---- */

enum live_result live_set(struct server *server, const char *name, const char *text, char *error, size_t error_bytes) {
    const struct live_row *row = row_find(name);
    struct live *live = server->live;
    char before[LIVE_TEXT_BYTES];
    bool set;

    if (row == NULL) {
        return LIVE_UNKNOWN;
    }
    pthread_mutex_lock(&live->lock);
    value_format(live, row, before, sizeof before);
    set = value_store(live, row, text);
    if (!set) {
        value_allowed(row, error, error_bytes);
    } else if (row->effect != NULL && !row->effect(server, error, error_bytes)) {
        value_store(live, row, before);
        set = false;
    }
    pthread_mutex_unlock(&live->lock);
    return set ? LIVE_SET : LIVE_REFUSED;
}

bool live_settle(struct server *server, char *error, size_t error_bytes) {
    struct live *live = server->live;
    bool settled = true;

    pthread_mutex_lock(&live->lock);
    if (live->tls_changed && server->tls != NULL) {
        settled = tls_reload(server->tls, live, error, error_bytes);
    }
    live->tls_changed = false;
    pthread_mutex_unlock(&live->lock);
    return settled;
}

bool live_get(struct server *server, const char *name, char *out, size_t out_bytes) {
    const struct live_row *row = row_find(name);

    if (row != NULL) {
        pthread_mutex_lock(&server->live->lock);
        value_format(server->live, row, out, out_bytes);
        pthread_mutex_unlock(&server->live->lock);
    }
    return row != NULL;
}

/* A live setting begins as the key of the configuration that Redis calls the same. */
static bool value_begin(struct live *live, const struct live_row *row, const struct config *config) {
    size_t count;
    const struct config_key *keys = config_keys(&count);
    char text[LIVE_TEXT_BYTES];

    for (size_t i = 0; i < count; i++) {
        if (keys[i].redis_name != NULL && strcmp(keys[i].redis_name, row->name) == 0) {
            config_value_format(config, &keys[i], text, sizeof text);
            return value_store(live, row, text);
        }
    }
    return true;
}

bool live_open(struct server *server, char *error, size_t error_bytes) {
    struct live *live = server->live;

    pthread_mutex_init(&live->lock, NULL);
    atomic_store(&live->latency_tracking, 1);
    for (size_t i = 0; i < ROWS; i++) {
        if (!value_begin(live, &rows[i], server->config)) {
            char allowed[256];
            value_allowed(&rows[i], allowed, sizeof allowed);
            snprintf(error, error_bytes, "%s: %s", rows[i].name, allowed);
            return false;
        }
    }
    return effect_notify(server, error, error_bytes);
}
