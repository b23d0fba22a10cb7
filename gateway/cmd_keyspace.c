/* cmd_keyspace.c: commands that look at all keys: SCAN, KEYS, RANDOMKEY, DBSIZE, FLUSHDB, FLUSHALL, SWAPDB.
 * In a coroutine of
 * the connection's worker, which lets others run between one part of the index and the next. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cmd.h"
#include "glob.h"
#include "log.h"
#include "multi_picture.h"
#include "number.h"

#define SCAN_COUNT_DEFAULT 10
#define SCAN_COUNT_MAX 100000 /* keys of one reply, whatever the client wants: it is asked to call again */
#define KEYS_AT_ONCE 1000u
#define LIST_BYTES_FIRST 4096u

/* ---- Lists of keys ---------------------------------------------------------------------------------------------- */

/* Keys one after the other: space, length, bytes. */
struct key_list {
    uint8_t *bytes;
    size_t used, capacity;
    size_t count;
    bool failed; /* there was no memory for all */
};

struct key_entry {
    uint16_t space;
    uint32_t length;
};

static void key_list_add(struct key_list *list, const struct dm_key *key) {
    struct key_entry entry = {key->space, key->length};
    size_t need = list->used + sizeof entry + key->length;

    if (need > list->capacity) {
        size_t capacity = list->capacity == 0 ? LIST_BYTES_FIRST : list->capacity * 2;

        capacity = capacity < need ? need : capacity;
        uint8_t *bytes = realloc(list->bytes, capacity);

        if (bytes == NULL) {
            list->failed = true;
            return;
        }
        list->bytes = bytes;
        list->capacity = capacity;
    }
    memcpy(list->bytes + list->used, &entry, sizeof entry);
    memcpy(list->bytes + list->used + sizeof entry, key->bytes, key->length);
    list->used = need;
    list->count++;
}

/* Goes on to the next key; *at is 0 to begin. */
static bool key_list_next(const struct key_list *list, size_t *at, struct dm_key *key) {
    struct key_entry entry;

    if (*at == list->used) {
        return false;
    }
    memcpy(&entry, list->bytes + *at, sizeof entry);
    *key = (struct dm_key){list->bytes + *at + sizeof entry, entry.length, entry.space};
    *at += sizeof entry + entry.length;
    return true;
}

static void key_list_reply(struct call *call, const struct key_list *list) {
    struct dm_key key;

    reply_array(call->reply, list->count);
    for (size_t at = 0; key_list_next(list, &at, &key);) {
        reply_bulk(call->reply, key.bytes, key.length);
    }
}

/* ---- Walks ------------------------------------------------------------------------------------------------------ */

/* What a walk keeps of the keys that it meets. */
struct filter {
    const struct resp_arg *pattern; /* NULL: any */
    bool none;                      /* a type of which there is no key */
    const struct multi_picture *picture;
    struct key_list list;
};

static void filter_add(struct filter *filter, const struct dm_key *key) {
    const struct resp_arg *pattern = filter->pattern;

    if (!filter->none &&
        (pattern == NULL || glob_match_case(pattern->bytes, pattern->length, key->bytes, key->length))) {
        key_list_add(&filter->list, key);
    }
}

static void filter_take(void *context, const struct dm_scanned *scanned) {
    struct filter *filter = context;

    if (!multi_picture_hides(filter->picture, &scanned->key)) {
        filter_add(filter, &scanned->key);
    }
}

/* Keys that the command sees, but the store has not any more. */
static void filter_add_gone(const struct call *call, struct filter *filter) {
    const struct dm_key *key;
    size_t at = 0;

    while ((key = multi_picture_next_gone(call->picture, call->connection->database, &at)) != NULL) {
        filter_add(filter, key);
    }
}

/* One step of a walk. False: the error was replied. */
static bool walk(struct call *call, const struct dm_scan *scan, uint64_t *cursor) {
    enum dm_status status = dm_scan(call->session, scan, cursor);

    if (status != DM_OK) {
        command_status_error(call, status, 0);
        return false;
    }
    dm_coro_sleep(call->worker->sched, 0); /* others want to run, too */
    return true;
}

/* All of it. */
static bool walk_all(struct call *call, const struct dm_scan *scan) {
    uint64_t cursor = 0;

    do {
        if (!walk(call, scan, &cursor)) {
            return false;
        }
    } while (cursor != 0);
    return true;
}

static bool list_complete(struct call *call, const struct key_list *list) {
    if (list->failed) {
        command_error(call, "ERR not enough memory in this gateway for a list of so many keys");
    }
    return !list->failed;
}

/* ---- SCAN, KEYS, RANDOMKEY, DBSIZE ------------------------------------------------------------------------------ */

static bool argument_is(const struct resp_arg *arg, const char *word) {
    return arg->length == strlen(word) && strncasecmp(arg->bytes, word, arg->length) == 0;
}

/* As Redis: strtoul on the whole argument. */
static bool scan_cursor_argument(struct call *call, uint64_t *cursor) {
    const struct resp_arg *arg = &call->argv[1];
    char text[32];
    char *end = text;

    if (arg->length < sizeof text && memchr(arg->bytes, 0, arg->length) == NULL) {
        memcpy(text, arg->bytes, arg->length);
        text[arg->length] = '\0';
        errno = 0;
        *cursor = strtoull(text, &end, 10);
        if (*end == '\0' && errno == 0 && (text[0] == '\0' || strchr(" \t\n\v\f\r", text[0]) == NULL)) {
            return true;
        }
    }
    command_error(call, "ERR invalid cursor");
    return false;
}

static bool scan_options(struct call *call, struct filter *filter, uint32_t *count) {
    for (size_t i = 2; i < call->argc; i += 2) {
        const struct resp_arg *option = &call->argv[i];
        bool last = i + 1 == call->argc;
        int64_t number;

        if (!last && argument_is(option, "count")) {
            if (!command_integer(call, i + 1, &number)) {
                return false;
            }
            if (number < 1) {
                command_error(call, ERROR_SYNTAX);
                return false;
            }
            *count = number > SCAN_COUNT_MAX ? SCAN_COUNT_MAX : (uint32_t)number;
        } else if (!last && argument_is(option, "match")) {
            const struct resp_arg *pattern = &call->argv[i + 1];

            filter->pattern = pattern->length == 1 && pattern->bytes[0] == '*' ? NULL : pattern;
        } else if (!last && argument_is(option, "type")) {
            filter->none = !argument_is(&call->argv[i + 1], "string");
        } else {
            command_error(call, ERROR_SYNTAX);
            return false;
        }
    }
    return true;
}

void cmd_scan(struct call *call) {
    struct filter filter = {.picture = call->picture};
    uint32_t count = SCAN_COUNT_DEFAULT;
    uint64_t cursor;

    if (!scan_cursor_argument(call, &cursor) || !scan_options(call, &filter, &count)) {
        return;
    }
    struct dm_scan scan = {call->connection->database, count, filter_take, &filter};

    if (walk(call, &scan, &cursor) && list_complete(call, &filter.list)) {
        char text[NUMBER_TEXT_BYTES];
        size_t length = number_format((int64_t)cursor, text); /* cursors have 36 bits */

        reply_array(call->reply, 2);
        reply_bulk(call->reply, text, length);
        key_list_reply(call, &filter.list);
    }
    free(filter.list.bytes);
}

void cmd_keys(struct call *call) {
    struct filter filter = {.pattern = &call->argv[1], .picture = call->picture};
    struct dm_scan scan = {call->connection->database, KEYS_AT_ONCE, filter_take, &filter};

    filter_add_gone(call, &filter);
    if (walk_all(call, &scan) && list_complete(call, &filter.list)) {
        key_list_reply(call, &filter.list);
    }
    free(filter.list.bytes);
}

/* From a place drawn at random to the first keys behind it, and once around. Keys behind empty parts of the index are
 * met more often than others. */
void cmd_randomkey(struct call *call) {
    const struct dm_env *env = call->server->env;
    struct filter filter = {.picture = call->picture};
    struct dm_scan scan = {call->connection->database, 1, filter_take, &filter};
    uint64_t cursor = env->random_u64(env->context);
    uint32_t turns = 0;

    while (turns < 2 && filter.list.count == 0 && !filter.list.failed) {
        if (!walk(call, &scan, &cursor)) {
            free(filter.list.bytes);
            return;
        }
        turns += cursor == 0;
    }
    if (filter.list.count == 0) {
        filter_add_gone(call, &filter);
    }
    if (list_complete(call, &filter.list)) {
        struct dm_key key = {0};
        size_t chosen = filter.list.count == 0 ? 0 : env->random_u64(env->context) % filter.list.count + 1;
        size_t at = 0;

        for (size_t i = 0; i < chosen; i++) {
            key_list_next(&filter.list, &at, &key);
        }
        if (chosen == 0) {
            reply_null(call->reply);
        } else {
            reply_bulk(call->reply, key.bytes, key.length);
        }
    }
    free(filter.list.bytes);
}

void cmd_dbsize(struct call *call) {
    struct dm_count count;
    enum dm_status status = dm_count(call->session, call->connection->database, &count);

    if (status == DM_OK) {
        int64_t keys = (int64_t)count.keys + multi_picture_difference(call->picture, call->connection->database);

        reply_integer(call->reply, keys < 0 ? 0 : keys);
    } else {
        command_status_error(call, status, 0);
    }
}

/* ---- FLUSHDB, FLUSHALL ------------------------------------------------------------------------------------------ */

/* Gives the memory back behind an ASYNC flush. */
static void purge_coroutine(void *argument) {
    struct worker *worker = argument;
    enum dm_status status = dm_space_purge(worker->session);

    if (status != DM_OK) {
        log_write(DM_LOG_WARNING, "memory of flushed keys was not all given back: %s", dm_status_text(status));
    }
}

/* The keys are gone for everybody when the flush returns. SYNC, as in Redis, replies when their memory is back, too. */
static void flush_command(struct call *call, uint16_t space) {
    bool async = call->argc == 2 && argument_is(&call->argv[1], "async");

    if (call->argc > 2 || (call->argc == 2 && !async && !argument_is(&call->argv[1], "sync"))) {
        command_error(call, ERROR_SYNTAX);
        return;
    }
    enum dm_status status = dm_space_flush(call->session, space);

    if (status == DM_OK && !(async && dm_sched_spawn(call->worker->sched, purge_coroutine, call->worker) == DM_OK)) {
        status = dm_space_purge(call->session);
    }
    if (status == DM_OK) {
        reply_ok(call->reply);
    } else {
        command_status_error(call, status, 0);
    }
}

void cmd_flushdb(struct call *call) { flush_command(call, call->connection->database); }
void cmd_flushall(struct call *call) { flush_command(call, DM_SPACE_ALL); }

/* As Redis: a C int. */
static bool database_argument(struct call *call, size_t at, const char *error, int64_t *database) {
    bool good = number_parse(call->argv[at].bytes, call->argv[at].length, database) && *database >= INT32_MIN &&
                *database <= INT32_MAX;

    if (!good) {
        command_error(call, error);
    }
    return good;
}

void cmd_swapdb(struct call *call) {
    int64_t first;
    int64_t second;

    if (!database_argument(call, 1, "ERR invalid first DB index", &first) ||
        !database_argument(call, 2, "ERR invalid second DB index", &second)) {
        return;
    }
    if (first < 0 || first >= FUSEGATE_DATABASES || second < 0 || second >= FUSEGATE_DATABASES) {
        command_error(call, "ERR DB index is out of range");
        return;
    }
    enum dm_status status = dm_space_swap(call->session, (uint16_t)first, (uint16_t)second);

    if (status == DM_OK) {
        reply_ok(call->reply);
    } else {
        command_status_error(call, status, 0);
    }
}
