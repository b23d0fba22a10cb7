/* gateway_call.c: see gateway_call.h. */
#include "gateway_call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "command_table.h"
#include "server.h"

#define WORDS_MAX 8u

struct execution {
    struct gateway_call *outside;
    struct server server;
    struct worker worker;
    struct connection connection;
    struct reply reply;
    struct resp_arg argv[WORDS_MAX];
    struct call call;
    char text[64];
};

static void call_coroutine(void *argument) {
    struct execution *execution = argument;
    execution->call.command->handler(&execution->call);
    execution->outside->ended = true;
    free(execution);
}

void gateway_call_begin(struct gateway_call *gateway_call, const char *text) {
    struct execution *execution = calloc(1, sizeof *execution);
    assert_non_null(execution);
    output_init(&gateway_call->output);
    gateway_call->ended = false;
    execution->outside = gateway_call;
    execution->server.pool = gateway_call->pool;
    execution->worker.server = &execution->server;
    execution->worker.sched = gateway_call->sched;
    execution->worker.session = gateway_call->session;
    execution->connection.worker = &execution->worker;
    execution->reply = (struct reply){.output = &gateway_call->output, .protocol = 2};
    snprintf(execution->text, sizeof execution->text, "%s", text);
    size_t argc = 0;
    for (char *word = strtok(execution->text, " "); word != NULL && argc < WORDS_MAX; word = strtok(NULL, " ")) {
        execution->argv[argc++] = (struct resp_arg){word, strlen(word)};
    }
    execution->call = (struct call){.connection = &execution->connection,
                                    .worker = &execution->worker,
                                    .server = &execution->server,
                                    .session = execution->worker.session,
                                    .reply = &execution->reply,
                                    .command = command_lookup(execution->argv[0].bytes, execution->argv[0].length),
                                    .argc = argc,
                                    .argv = execution->argv};
    assert_non_null(execution->call.command);
    assert_int_equal(dm_sched_spawn(gateway_call->sched, call_coroutine, execution), DM_OK);
}
