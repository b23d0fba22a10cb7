/* monitor.c: see monitor.h. A line is made once, on the thread of the command, and posted to all workers, whose threads
 * know their monitors. Commands for administration are not shown, passwords neither. */
#include "monitor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command_table.h"
#include "worker.h"

#define NS_PER_US 1000
#define WAIT_NS UINT64_C(100000)      /* between looks at a worker that has much to do */
#define ARGUMENT_BYTES_MAX (1u << 20) /* more of an argument is not shown */

struct monitor_task {
    struct worker_task task;
    size_t length;
    char line[];
};

void monitor_join(struct call *call) {
    if (!call->connection->monitoring) {
        __atomic_store_n(&call->connection->monitoring, true, __ATOMIC_RELAXED);
        if (atomic_fetch_add(&call->server->monitors, 1) == 0) {
            atomic_fetch_or(&call->server->attention, ATTENTION_MONITOR);
        }
    }
}

void monitor_leave(struct connection *connection) {
    struct server *server = connection->worker->server;

    if (connection->monitoring) {
        __atomic_store_n(&connection->monitoring, false, __ATOMIC_RELAXED);
        if (atomic_fetch_sub(&server->monitors, 1) == 1) {
            atomic_fetch_and(&server->attention, ~(uint32_t)ATTENTION_MONITOR);
            if (atomic_load(&server->monitors) > 0) { /* another one has joined meanwhile */
                atomic_fetch_or(&server->attention, ATTENTION_MONITOR);
            }
        }
    }
}

static void argument_print(FILE *out, const struct resp_arg *argument) {
    static const char escapes[] = "\n\r\t\a\b", letters[] = "nrtab";
    size_t shown = argument->length < ARGUMENT_BYTES_MAX ? argument->length : ARGUMENT_BYTES_MAX;

    fputc('"', out);
    for (size_t i = 0; i < shown; i++) {
        unsigned char c = (unsigned char)argument->bytes[i];
        const char *escape = c != '\0' ? strchr(escapes, c) : NULL;

        if (c == '\\' || c == '"') {
            fprintf(out, "\\%c", c);
        } else if (escape != NULL) {
            fprintf(out, "\\%c", letters[escape - escapes]);
        } else if (c >= ' ' && c <= '~') {
            fputc(c, out);
        } else {
            fprintf(out, "\\x%02x", c);
        }
    }
    fputc('"', out);
}

static char *line_make(const struct call *call, size_t *length) {
    const struct connection *connection = call->connection;
    const struct resp_arg redacted = {"(redacted)", 10};
    size_t secret = command_secret_from(call);
    struct timespec now;
    char *line = NULL;
    FILE *out = open_memstream(&line, length);

    if (out == NULL) {
        return NULL;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    fprintf(out, "+%lld.%06ld [%u %s%s]", (long long)now.tv_sec, now.tv_nsec / NS_PER_US, connection->database,
            connection->kind == CONNECTION_UNIX ? "unix:" : "", connection->peer);
    for (size_t i = 0; i < call->argc; i++) {
        fputc(' ', out);
        argument_print(out, i < secret ? &call->argv[i] : &redacted);
    }
    fputs("\r\n", out);
    return fclose(out) == 0 ? line : NULL;
}

static void show_run(struct worker *worker, struct worker_task *task) {
    struct monitor_task *show = (struct monitor_task *)task;

    for (struct connection *connection = worker->connections; connection != NULL; connection = connection->next) {
        if (connection->monitoring) {
            connection_push(connection, show->line, show->length);
        }
    }
    free(show);
}

static void show_post(struct call *call, struct worker *worker, const char *line, size_t length) {
    struct monitor_task *show = malloc(sizeof *show + length);

    if (show == NULL) {
        return;
    }
    show->task = (struct worker_task){.run = show_run, .bytes = sizeof *show + length};
    show->length = length;
    memcpy(show->line, line, length);
    while (worker_tasks_full(worker) && !atomic_load_explicit(&call->server->stopping, memory_order_relaxed)) {
        dm_coro_sleep(call->worker->sched, WAIT_NS);
    }
    worker_post(worker, &show->task);
}

void monitor_show(struct call *call) {
    size_t length = 0;

    if ((call->command->flags & (COMMAND_ADMIN | COMMAND_SKIP_MONITOR)) != 0) {
        return;
    }
    char *line = line_make(call, &length);

    for (uint32_t i = 0; line != NULL && i < call->server->worker_count; i++) {
        show_post(call, &call->server->workers[i], line, length);
    }
    free(line);
}
