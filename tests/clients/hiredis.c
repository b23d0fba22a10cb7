/* hiredis.c: the C client hiredis against a running server: blocking, pipelined, and asynchronous with libevent. Called
 * by tests/clients/run with the port in CLIENTS_PORT. One thread.
 *
 * hiredis
 */
#include <event2/event.h>
#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

#define PIPELINED 10000
#define ASYNC_COMMANDS 2000
#define VALUE_BYTES 100000
#define ASYNC_LIMIT_S 15

static int server_port(void) {
    const char *text = getenv("CLIENTS_PORT");
    if (text == NULL || atoi(text) <= 0)
        report_abort("CLIENTS_PORT has to name the server's port");
    return atoi(text);
}

static redisContext *client_open(void) {
    struct timeval limit = {10, 0};
    redisContext *client = redisConnectWithTimeout("127.0.0.1", server_port(), limit);
    if (client == NULL || client->err != 0 || redisSetTimeout(client, limit) != REDIS_OK)
        report_abort("cannot connect: %s", client == NULL ? "no memory" : client->errstr);
    return client;
}

/* ---- Blocking ---- */

/* Is the reply of this type, with this text (NULL: any) or integer? */
static bool reply_is(redisContext *client, int type, const char *text, long long integer, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = redisvCommand(client, format, arguments);
    va_end(arguments);
    bool right = reply != NULL && reply->type == type && (type != REDIS_REPLY_INTEGER || reply->integer == integer) &&
                 (text == NULL || (reply->str != NULL && strncmp(reply->str, text, strlen(text)) == 0));
    if (!right)
        report_note("%s: type %d, %s, %lld", format, reply == NULL ? -1 : reply->type,
                    reply == NULL ? client->errstr : reply->str, reply == NULL ? 0 : reply->integer);
    freeReplyObject(reply);
    return right;
}

static void case_types(redisContext *client) {
    report_case(reply_is(client, REDIS_REPLY_STATUS, "OK", 0, "FLUSHALL"), "a status");
    report_case(reply_is(client, REDIS_REPLY_STATUS, "OK", 0, "SET %s %b EX %d", "key", "a b", (size_t)3, 100) &&
                    reply_is(client, REDIS_REPLY_STRING, "a b", 0, "GET key"),
                "a string");
    report_case(reply_is(client, REDIS_REPLY_NIL, NULL, 0, "GET none"), "nil");
    report_case(reply_is(client, REDIS_REPLY_INTEGER, NULL, 7, "INCRBY number 7") &&
                    reply_is(client, REDIS_REPLY_INTEGER, NULL, 2, "EXISTS key number none"),
                "an integer");
    report_case(reply_is(client, REDIS_REPLY_ERROR, "ERR value is not an integer", 0, "INCR key") &&
                    reply_is(client, REDIS_REPLY_ERROR, "ERR unknown command", 0, "NOSUCH x") &&
                    reply_is(client, REDIS_REPLY_STATUS, "PONG", 0, "PING"),
                "an error, after which the connection goes on");
}

static void case_array(redisContext *client) {
    redisReply *reply = redisCommand(client, "MGET key none number");
    report_case(reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
                    strcmp(reply->element[0]->str, "a b") == 0 && reply->element[1]->type == REDIS_REPLY_NIL &&
                    strcmp(reply->element[2]->str, "7") == 0,
                "an array");
    freeReplyObject(reply);
    reply = redisCommand(client, "COMMAND INFO get none");
    report_case(reply != NULL && reply->elements == 2 && reply->element[0]->type == REDIS_REPLY_ARRAY &&
                    strcmp(reply->element[0]->element[0]->str, "get") == 0 &&
                    reply->element[1]->type == REDIS_REPLY_NIL,
                "an array in an array");
    freeReplyObject(reply);
}

static void case_bytes(redisContext *client) {
    static char value[VALUE_BYTES];
    for (size_t i = 0; i < sizeof value; i++)
        value[i] = (char)(i * 7);
    const char *words[] = {"SET", "bytes\0\r\n", value};
    size_t lengths[] = {3, 8, sizeof value};
    redisReply *reply = redisCommandArgv(client, 3, words, lengths);
    bool set = reply != NULL && reply->type == REDIS_REPLY_STATUS;
    freeReplyObject(reply);
    words[0] = "GET";
    reply = redisCommandArgv(client, 2, words, lengths);
    report_case(set && reply != NULL && reply->type == REDIS_REPLY_STRING && reply->len == sizeof value &&
                    memcmp(reply->str, value, sizeof value) == 0,
                "100,000 bytes of any kind come back");
    freeReplyObject(reply);
}

static void case_pipeline(redisContext *client) {
    int right = 0;
    for (int i = 0; i < PIPELINED; i++) {
        redisAppendCommand(client, "SET pipe:%d %d", i, i);
        redisAppendCommand(client, "GET pipe:%d", i);
    }
    for (int i = 0; i < PIPELINED; i++) {
        redisReply *set = NULL, *get = NULL;
        if (redisGetReply(client, (void **)&set) == REDIS_OK && redisGetReply(client, (void **)&get) == REDIS_OK)
            right += get->type == REDIS_REPLY_STRING && atoi(get->str) == i;
        freeReplyObject(set);
        freeReplyObject(get);
    }
    report_case(right == PIPELINED, "20,000 commands go at once, and are answered in order");
}

static void case_messages(redisContext *client) {
    redisContext *subscriber = client_open();
    redisReply *reply = redisCommand(subscriber, "SUBSCRIBE news");
    bool subscribed = reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->element[2]->integer == 1;
    freeReplyObject(reply);
    bool published = reply_is(client, REDIS_REPLY_INTEGER, NULL, 1, "PUBLISH news %s", "hello");
    reply = NULL;
    redisGetReply(subscriber, (void **)&reply);
    report_case(subscribed && published && reply != NULL && reply->elements == 3 &&
                    strcmp(reply->element[0]->str, "message") == 0 && strcmp(reply->element[2]->str, "hello") == 0,
                "a message");
    freeReplyObject(reply);
    redisFree(subscriber);
}

static void case_reconnect(redisContext *client) {
    redisContext *victim = client_open();
    redisReply *reply = redisCommand(victim, "CLIENT ID");
    long long id = reply == NULL ? 0 : reply->integer;
    freeReplyObject(reply);
    bool killed = reply_is(client, REDIS_REPLY_INTEGER, NULL, 1, "CLIENT KILL ID %lld", id);
    reply = redisCommand(victim, "PING");
    bool broken = reply == NULL && victim->err != 0;
    freeReplyObject(reply);
    report_case(killed && broken && redisReconnect(victim) == REDIS_OK &&
                    reply_is(victim, REDIS_REPLY_STATUS, "PONG", 0, "PING"),
                "a killed connection is connected again");
    redisFree(victim);
}

/* ---- Asynchronous ---- */

struct async {
    struct event_base *base;
    redisAsyncContext *commands, *subscriber;
    int connected, disconnected, answered, wrong, messages;
};

static void on_connect(const redisAsyncContext *context, int status) {
    struct async *async = context->data;
    async->connected += status == REDIS_OK;
}

static void on_disconnect(const redisAsyncContext *context, int status) {
    struct async *async = context->data;
    async->disconnected += status == REDIS_OK;
    if (async->disconnected == 2)
        event_base_loopbreak(async->base);
}

static void on_answer(redisAsyncContext *context, void *answer, void *number) {
    struct async *async = context->data;
    redisReply *reply = answer;
    if (reply == NULL || reply->type != REDIS_REPLY_INTEGER || reply->integer != (long long)(size_t)number)
        async->wrong++;
    if (++async->answered == ASYNC_COMMANDS) {
        redisAsyncCommand(context, NULL, NULL, "PUBLISH %s %s", "async", "last");
        redisAsyncDisconnect(context);
    }
}

static void begin_commands(struct async *async) {
    for (size_t i = 1; i <= ASYNC_COMMANDS; i++)
        redisAsyncCommand(async->commands, on_answer, (void *)i, "INCR %s", "async:counter");
}

static void on_message(redisAsyncContext *context, void *answer, void *data) {
    (void)data;
    struct async *async = context->data;
    redisReply *reply = answer;
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
        return;
    if (strcmp(reply->element[0]->str, "subscribe") == 0)
        begin_commands(async);
    if (strcmp(reply->element[0]->str, "message") == 0 && strcmp(reply->element[2]->str, "last") == 0) {
        async->messages++;
        redisAsyncDisconnect(context);
    }
}

static redisAsyncContext *async_open(struct async *async) {
    redisAsyncContext *context = redisAsyncConnect("127.0.0.1", server_port());
    if (context == NULL || context->err != 0)
        report_abort("cannot connect: %s", context == NULL ? "no memory" : context->errstr);
    context->data = async;
    redisLibeventAttach(context, async->base);
    redisAsyncSetConnectCallback(context, on_connect);
    redisAsyncSetDisconnectCallback(context, on_disconnect);
    return context;
}

static void case_async(void) {
    struct async async = {.base = event_base_new()};
    struct timeval limit = {ASYNC_LIMIT_S, 0};
    async.commands = async_open(&async);
    async.subscriber = async_open(&async);
    redisAsyncCommand(async.commands, NULL, NULL, "DEL async:counter");
    redisAsyncCommand(async.subscriber, on_message, NULL, "SUBSCRIBE async");
    event_base_loopexit(async.base, &limit);
    event_base_dispatch(async.base);
    report_case(async.connected == 2, "asynchronous: two connections");
    report_case(async.answered == ASYNC_COMMANDS && async.wrong == 0, "asynchronous: 2,000 answers in order");
    report_case(async.messages == 1, "asynchronous: the message of one reaches the other");
    report_case(async.disconnected == 2, "asynchronous: both end in good order");
    event_base_free(async.base);
}

int main(void) {
    redisContext *client = client_open();
    case_types(client);
    case_array(client);
    case_bytes(client);
    case_pipeline(client);
    case_messages(client);
    case_reconnect(client);
    case_async();
    redisFree(client);
    return report_finish();
}
