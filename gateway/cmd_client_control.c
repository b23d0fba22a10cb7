/* cmd_client_control.c: CLIENT KILL, PAUSE, UNPAUSE, REPLY, NO-EVICT, UNBLOCK, and what there is to say of tracking. In
 * a coroutine of the connection's worker. The rest of CLIENT is cmd_client.c's.
 */
#include <stdlib.h>
#include <string.h>

#include "acl.h"
#include "cmd_client.h"
#include "number.h"
#include "word.h"

#define ERROR_ARGUMENT_BYTES 1000
#define NS_PER_MS UINT64_C(1000000)
#define PAUSE_MS_MAX INT64_C(315360000000) /* ten years */

/* ---- KILL ---- */

struct kill_filter {
    const struct resp_arg *peer, *local, *user;
    int64_t id; /* 0: any */
    int type;   /* of enum client_type; -1: any */
    bool skip_me;
};

struct kill_found {
    uint64_t *ids;
    size_t count, capacity;
    bool me, failed;
};

static bool text_is(const struct resp_arg *arg, const char *text) {
    return arg == NULL || (strlen(text) == arg->length && memcmp(text, arg->bytes, arg->length) == 0);
}

/* Under the connections_lock of the connection's worker. */
static bool kill_matches(const struct kill_filter *filter, const struct connection *connection) {
    return text_is(filter->peer, connection->peer) && text_is(filter->local, connection->local) &&
           (filter->user == NULL || (connection->user != NULL && text_is(filter->user, connection->user->name))) &&
           (filter->id == 0 || filter->id == (int64_t)connection->id) &&
           (filter->type < 0 || filter->type == (int)client_type_of(connection));
}

static void kill_note(struct kill_found *found, uint64_t id) {
    if (found->count == found->capacity) {
        size_t capacity = found->capacity == 0 ? 64 : found->capacity * 2;
        uint64_t *ids = realloc(found->ids, capacity * sizeof *ids);
        if (ids == NULL) {
            found->failed = true;
            return;
        }
        found->ids = ids;
        found->capacity = capacity;
    }
    found->ids[found->count++] = id;
}

/* Returns how many connections match; they are closed, this one behind its reply. */
static size_t kill_all(struct call *call, const struct kill_filter *filter) {
    struct kill_found found = {0};

    for (uint32_t i = 0; i < call->server->worker_count; i++) {
        struct worker *worker = &call->server->workers[i];

        pthread_mutex_lock(&worker->connections_lock);
        for (const struct connection *c = worker->connections; c != NULL; c = c->next) {
            if (!kill_matches(filter, c) || (c == call->connection && filter->skip_me)) {
                continue;
            }
            if (c == call->connection) {
                found.me = true;
            } else {
                kill_note(&found, c->id);
            }
        }
        pthread_mutex_unlock(&worker->connections_lock);
    }
    connection_kill_ids(call->server, found.ids, found.count);
    if (found.me) {
        call->connection->close_after_reply = true;
    }
    free(found.ids);
    return found.count + found.me;
}

/* One pair of an option and its value. False: the error was replied. */
static bool kill_option(struct call *call, size_t at, struct kill_filter *filter) {
    const struct resp_arg *option = &call->argv[at], *value = &call->argv[at + 1];

    if (word_equal(option, "id")) {
        if (!number_parse(value->bytes, value->length, &filter->id) || filter->id < 1) {
            command_error(call, "ERR client-id should be greater than 0");
            return false;
        }
    } else if (word_equal(option, "type")) {
        if (!client_type_parse(call, value, &filter->type)) {
            return false;
        }
    } else if (word_equal(option, "addr")) {
        filter->peer = value;
    } else if (word_equal(option, "laddr")) {
        filter->local = value;
    } else if (word_equal(option, "user")) {
        struct acl_user *user = acl_find(call->server->acl, value->bytes, value->length);
        if (user == NULL) {
            command_errorf(call, "ERR No such user '%.*s'", command_text_length(value, ERROR_ARGUMENT_BYTES),
                           value->bytes);
            return false;
        }
        acl_user_release(user);
        filter->user = value;
    } else if (word_equal(option, "skipme") && (word_equal(value, "yes") || word_equal(value, "no"))) {
        filter->skip_me = word_equal(value, "yes");
    } else {
        command_error(call, ERROR_SYNTAX);
        return false;
    }
    return true;
}

void cmd_client_kill(struct call *call) {
    struct kill_filter filter = {.type = -1, .skip_me = true};

    if (call->argc == 3) { /* the old form: this one must be there, and may be oneself */
        filter.peer = &call->argv[2];
        filter.skip_me = false;
        if (kill_all(call, &filter) == 0) {
            command_error(call, "ERR No such client");
        } else {
            reply_ok(call->reply);
        }
        return;
    }
    for (size_t i = 2; i < call->argc; i += 2) {
        if (i + 1 == call->argc) {
            command_error(call, ERROR_SYNTAX);
            return;
        }
        if (!kill_option(call, i, &filter)) {
            return;
        }
    }
    reply_integer(call->reply, (long long)kill_all(call, &filter));
}

static void subcommand_arity_error(struct call *call) {
    command_errorf(call, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try CLIENT HELP.",
                   command_text_length(&call->argv[1], ERROR_ARGUMENT_BYTES), call->argv[1].bytes);
}

/* ---- PAUSE ---- */

/* Two pauses at a time become one that ends with the later one and holds back what either does. */
static void pause_begin(struct server *server, uint64_t until_ns, uint64_t now_ns, bool all) {
    struct pause *pause = &server->pause;

    pthread_mutex_lock(&pause->lock);
    bool going_on = atomic_load(&pause->until_ns) > now_ns;

    atomic_store(&pause->all, all || (going_on && atomic_load(&pause->all)));
    if (!going_on || atomic_load(&pause->until_ns) < until_ns) {
        atomic_store(&pause->until_ns, until_ns);
    }
    atomic_fetch_or(&server->attention, ATTENTION_PAUSE);
    pthread_mutex_unlock(&pause->lock);
}

void cmd_client_pause(struct call *call) {
    uint64_t now_ns = call->server->env->clock_ns(call->server->env->context);
    bool all = true;
    int64_t ms;

    if (call->argc > 4) {
        subcommand_arity_error(call);
        return;
    }
    if (call->argc == 4) {
        if (!word_equal(&call->argv[3], "write") && !word_equal(&call->argv[3], "all")) {
            command_error(call, "ERR CLIENT PAUSE mode must be WRITE or ALL");
            return;
        }
        all = word_equal(&call->argv[3], "all");
    }
    if (!number_parse(call->argv[2].bytes, call->argv[2].length, &ms) || ms > PAUSE_MS_MAX) {
        command_error(call, "ERR timeout is not an integer or out of range");
    } else if (ms < 0) {
        command_error(call, "ERR timeout is negative");
    } else {
        pause_begin(call->server, now_ns + (uint64_t)ms * NS_PER_MS, now_ns, all);
        reply_ok(call->reply);
    }
}

void cmd_client_unpause(struct call *call) {
    struct pause *pause = &call->server->pause;

    pthread_mutex_lock(&pause->lock);
    atomic_store(&pause->until_ns, 0);
    atomic_fetch_and(&call->server->attention, ~(uint32_t)ATTENTION_PAUSE);
    pthread_mutex_unlock(&pause->lock);
    reply_ok(call->reply);
}

/* ---- The connection itself ---- */

void cmd_client_reply(struct call *call) {
    struct connection *connection = call->connection;
    const struct resp_arg *mode = &call->argv[2];

    if (word_equal(mode, "on")) {
        connection->replies = REPLIES_ON;
        reply_ok(call->reply);
    } else if (word_equal(mode, "off")) {
        connection->replies = REPLIES_OFF;
    } else if (word_equal(mode, "skip")) {
        if (connection->replies == REPLIES_ON) {
            connection->replies = REPLIES_SKIP_NEXT;
        }
    } else {
        command_error(call, ERROR_SYNTAX);
    }
}

/* "ON" or "OFF" into the flag, with the reply. */
static void client_switch(struct call *call, bool *flag) {
    const struct resp_arg *mode = &call->argv[2];

    if (!word_equal(mode, "on") && !word_equal(mode, "off")) {
        command_error(call, ERROR_SYNTAX);
        return;
    }
    __atomic_store_n(flag, word_equal(mode, "on"), __ATOMIC_RELAXED);
    reply_ok(call->reply);
}

/* Taken note of: nothing is ever evicted here. */
void cmd_client_no_evict(struct call *call) { client_switch(call, &call->connection->no_evict); }

/* Taken note of: no times of access are kept here. */
void cmd_client_no_touch(struct call *call) { client_switch(call, &call->connection->no_touch); }

/* No command of this gateway blocks yet, so there is nobody to be woken. */
void cmd_client_unblock(struct call *call) {
    int64_t id;

    if (call->argc > 4) {
        subcommand_arity_error(call);
        return;
    }
    if (call->argc == 4 && !word_equal(&call->argv[3], "timeout") && !word_equal(&call->argv[3], "error")) {
        command_error(call, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
        return;
    }
    if (command_integer(call, 2, &id)) {
        reply_integer(call->reply, 0);
    }
}

/* There is no tracking: what Redis answers when it is off. */
void cmd_client_getredir(struct call *call) { reply_integer(call->reply, -1); }

void cmd_client_trackinginfo(struct call *call) {
    reply_map(call->reply, 3);
    reply_bulk_text(call->reply, "flags");
    reply_set(call->reply, 1);
    reply_bulk_text(call->reply, "off");
    reply_bulk_text(call->reply, "redirect");
    reply_integer(call->reply, -1);
    reply_bulk_text(call->reply, "prefixes");
    reply_array(call->reply, 0);
}
