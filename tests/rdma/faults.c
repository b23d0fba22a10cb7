/* faults.c: a cluster over RDMA under load while parts of it break: three memory-node and two gateway processes, and
 * clients that know for each of their keys which values it may have. Nothing may crash or hang, no acknowledged write
 * may be lost, logs must say what happened, and everything must go on when the part is back.
 *
 *   faults [-c COMMAND]   COMMAND "down" and COMMAND "up" cut and mend the cable; without it, no cable is cut
 *
 * Before the faults, and without load: idle processes use no CPU time, and the first request afterwards is served.
 */
#include <getopt.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "register.h"
#include "report.h"
#include "servers.h"

#define GATEWAYS 2
#define MEMSERVERS 3
#define REPLICAS 2
#define CLIENTS 4 /* the even ones use gateway 0 */
#define KEYS 24   /* of each client */
#define REPLY_S 40.0
#define BACK_S 30.0   /* until everything must go on when a part is back */
#define REJOIN_S 15.0 /* ... by itself; then a gateway that was fenced is started again */
#define LOAD_S 2.0
#define CUT_S 7.0  /* longer than Soft-RoCE's patience (1.07 s, five times): links break */
#define AWAY_S 4.0 /* a memory node */
#define IDLE_S 5.0
#define IDLE_TICKS_MAX 1
#define IDLE_TICKS_MAX_GUEST 20 /* of 500, on an emulated processor: three READs a second cost 4 to 8 */
#define FIRST_REQUEST_S 1.0

struct client {
    pthread_t thread;
    unsigned index;
    _Atomic int port; /* 0: pause */
    _Atomic bool stop, paused;
    _Atomic uint64_t good, refused, lost_connections, wrong;
    _Atomic double slowest_s;
    uint64_t sequence;
    struct register_history keys[KEYS];
    char error[160]; /* the last reply that was one */
};

static struct cluster cluster = {
    .memserver_count = MEMSERVERS, .gateway_count = GATEWAYS, .replicas = REPLICAS, .memory_bytes = UINT64_C(64) << 20};
static struct client clients[CLIENTS];

/* ---- Load ------------------------------------------------------------------------------------------------------- */

/* NULL: the connection is gone. */
static redisReply *ask(struct client *client, redisContext **context, const char *command, unsigned key,
                       uint64_t value) {
    const double start_s = clock_s();
    redisReply *reply = strcmp(command, "SET") == 0
                            ? redisCommand(*context, "SET c%u:%u %" PRIu64, client->index, key, value)
                            : redisCommand(*context, "GET c%u:%u", client->index, key);
    const double took_s = clock_s() - start_s;
    if (took_s > client->slowest_s)
        client->slowest_s = took_s;
    if (!reply) {
        client->lost_connections++;
        redisFree(*context);
        *context = NULL;
    } else if (reply->type == REDIS_REPLY_ERROR) {
        client->refused++;
        snprintf(client->error, sizeof client->error, "%s", reply->str);
    } else {
        client->good++;
    }
    return reply;
}

static void judge(struct client *client, unsigned key, const redisReply *reply) {
    if (reply->type == REDIS_REPLY_ERROR)
        return;
    struct register_history *history = &client->keys[key];
    const uint64_t before = history->current;
    const uint64_t seen = reply->type == REDIS_REPLY_STRING ? strtoull(reply->str, NULL, 10) : 0;
    if (register_seen(history, seen))
        return;
    client->wrong++;
    report_note("  key c%u:%u is %" PRIu64 ", but was %" PRIu64 "; this client has written up to %" PRIu64
                ", and %u with unknown outcome",
                client->index, key, seen, before, client->sequence, history->open_count);
}

static void client_get(struct client *client, redisContext **context, unsigned key) {
    redisReply *reply = ask(client, context, "GET", key, 0);
    if (reply)
        judge(client, key, reply);
    freeReplyObject(reply);
}

static void client_turn(struct client *client, redisContext **context) {
    const uint64_t value = ++client->sequence;
    const unsigned key = (unsigned)(value % KEYS);
    redisReply *reply = ask(client, context, "SET", key, value);
    if (reply && reply->type == REDIS_REPLY_STATUS)
        register_acknowledged(&client->keys[key], value);
    else if (!register_unknown(&client->keys[key], value))
        report_abort("more errors than the checker can follow");
    freeReplyObject(reply);
    if (*context)
        client_get(client, context, (unsigned)(value * 7 % KEYS));
}

static void *client_run(void *argument) {
    struct client *client = argument;
    redisContext *context = NULL;
    int port = 0;
    while (!client->stop) {
        if (context && client->port != port) {
            redisFree(context);
            context = NULL;
        }
        port = client->port;
        client->paused = port == 0;
        if (!context && port != 0) {
            context = redisConnect("127.0.0.1", port);
            if (context && context->err) {
                redisFree(context);
                context = NULL;
            } else if (context) {
                redisSetTimeout(context, (struct timeval){.tv_sec = (long)REPLY_S});
            }
        }
        if (context)
            client_turn(client, &context);
        else
            sleep_s(0.05);
    }
    if (context)
        redisFree(context);
    return NULL;
}

static void clients_to_gateways(void) {
    for (unsigned i = 0; i < CLIENTS; i++)
        clients[i].port = cluster.gateway[i % GATEWAYS]->port;
}

static uint64_t sum(size_t offset) {
    uint64_t total = 0;
    for (unsigned i = 0; i < CLIENTS; i++)
        total += *(_Atomic uint64_t *)(void *)((char *)&clients[i] + offset);
    return total;
}
#define SUM(field) sum(offsetof(struct client, field))

static double slowest_s(bool reset) {
    double slowest = 0;
    for (unsigned i = 0; i < CLIENTS; i++) {
        slowest = clients[i].slowest_s > slowest ? clients[i].slowest_s : slowest;
        if (reset)
            clients[i].slowest_s = 0;
    }
    return slowest;
}

/* Until every client of these gateways (a bit each) has had 20 good replies in a row of time; the time, or -1. */
static double wait_progress(unsigned gateways, double most_s) {
    const double start_s = clock_s();
    uint64_t before[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++)
        before[i] = clients[i].good;
    while (clock_s() - start_s < most_s) {
        bool all = true;
        for (unsigned i = 0; i < CLIENTS; i++)
            all &= (gateways >> i % GATEWAYS & 1) == 0 || clients[i].good >= before[i] + 20;
        if (all)
            return clock_s() - start_s;
        sleep_s(0.02);
    }
    return -1;
}

static bool all_alive(void) {
    bool alive = true;
    for (int i = 0; i < GATEWAYS; i++)
        alive &= process_alive(cluster.gateway[i]);
    for (int i = 0; i < MEMSERVERS; i++)
        alive &= process_alive(cluster.memserver[i]);
    return alive;
}

static void say_load(void) {
    report_note("  so far %" PRIu64 " good replies, %" PRIu64 " errors, %" PRIu64 " lost connections", SUM(good),
                SUM(refused), SUM(lost_connections));
    for (unsigned i = 0; i < CLIENTS; i++)
        if (clients[i].error[0]) {
            report_note("  client %u: %s", i, clients[i].error);
            clients[i].error[0] = '\0';
        }
}

/* Everything goes on: with these gateways, within BACK_S; nothing acknowledged was lost so far. */
static void case_goes_on(unsigned gateways, const char *after) {
    const double took_s = wait_progress(gateways, BACK_S);
    report_case(took_s >= 0, "%s: clients are served (after %.1f s)", after, took_s);
    report_case(SUM(wrong) == 0, "%s: no acknowledged write is lost", after);
    say_load();
}

/* ---- Cases ------------------------------------------------------------------------------------------------------ */

static bool log_has(const struct process *process, const char *words) {
    char *text = process_log_text(process);
    bool found = false;
    char *rest = NULL, *copy = strdup(words);
    for (char *word = strtok_r(copy, "|", &rest); word; word = strtok_r(NULL, "|", &rest))
        found |= strstr(text, word) != NULL;
    free(copy);
    free(text);
    return found;
}

static bool any_memserver_log_has(const char *words) {
    bool found = false;
    for (int i = 0; i < MEMSERVERS; i++)
        found |= log_has(cluster.memserver[i], words);
    return found;
}

static void case_idle(void) {
    uint64_t before[GATEWAYS + MEMSERVERS], most = 0;
    const char *busiest = "gateway";
    struct process *all[GATEWAYS + MEMSERVERS];
    for (int i = 0; i < GATEWAYS; i++)
        all[i] = cluster.gateway[i];
    for (int i = 0; i < MEMSERVERS; i++)
        all[GATEWAYS + i] = cluster.memserver[i];
    redisContext *context = redisConnect("127.0.0.1", cluster.gateway[0]->port);
    if (!context || context->err)
        report_abort("no connection to gateway 0");
    freeReplyObject(redisCommand(context, "SET idle before"));
    sleep_s(2.0); /* sessions retire, spins end */
    for (int i = 0; i < GATEWAYS + MEMSERVERS; i++)
        before[i] = process_ticks(all[i]->pid);
    sleep_s(IDLE_S);
    for (int i = 0; i < GATEWAYS + MEMSERVERS; i++) {
        const uint64_t used = process_ticks(all[i]->pid) - before[i];
        if (used > most)
            busiest = i < GATEWAYS ? "gateway" : "memory node";
        most = used > most ? used : most;
    }
    const uint64_t limit = getenv("RDMA_IN_GUEST") ? IDLE_TICKS_MAX_GUEST : IDLE_TICKS_MAX;
    report_case(most <= limit, "idle for %.0f s: at most %" PRIu64 " ticks of CPU time a process (a %s)", IDLE_S, most,
                busiest);
    const double start_s = clock_s();
    redisReply *reply = redisCommand(context, "GET idle");
    const double took_s = clock_s() - start_s;
    report_case(reply && reply->type == REDIS_REPLY_STRING && strcmp(reply->str, "before") == 0 &&
                    took_s < FIRST_REQUEST_S,
                "the first request after that is served (in %.0f ms)", took_s * 1000);
    freeReplyObject(reply);
    redisFree(context);
}

static void case_gateway_killed(void) {
    report_note("# gateway 1 is killed");
    process_stop(cluster.gateway[1], SIGKILL);
    case_goes_on(1, "a gateway killed");
    report_case(any_memserver_log_has("gone|left|disconnect|closed"), "the memory nodes' logs say that it is gone");
    cluster.gateway[1] = cluster_start_gateway(&cluster, NULL);
    clients_to_gateways();
    case_goes_on(3, "another gateway started");
    report_case(all_alive(), "everybody else lives");
}

static void case_memory_process_stopped(void) {
    report_note("# the process of memory node 1 is stopped");
    kill(cluster.memserver[1]->pid, SIGSTOP);
    case_goes_on(3, "a memory node's process stopped, its adapter not");
    kill(cluster.memserver[1]->pid, SIGCONT);
}

static void cable(const char *command, const char *how) {
    char line[512];
    snprintf(line, sizeof line, "%s %s", command, how);
    if (system(line) != 0)
        report_abort("'%s' failed", line);
}

/* Who was cut off for long may have been taken for dead by another gateway and fenced; its log says that it must be
 * started again. */
static void restart_fenced(void) {
    if (wait_progress(3, REJOIN_S) >= 0)
        return;
    for (int i = 0; i < GATEWAYS; i++) {
        if (!log_has(cluster.gateway[i], "was fenced"))
            continue;
        report_note("  gateway %d was taken for dead and fenced meanwhile: it is started again, as its log asks for",
                    i);
        report_case(process_stop(cluster.gateway[i], SIGTERM) == 0, "a fenced gateway ends with exit code 0");
        cluster.gateway[i] = cluster_start_gateway(&cluster, NULL);
    }
    clients_to_gateways();
}

static void case_cable_cut(const char *command) {
    report_note("# the cable is cut for %.0f s", CUT_S);
    const uint64_t good = SUM(good);
    cable(command, "down");
    sleep_s(CUT_S);
    report_note("  %" PRIu64 " good replies meanwhile", SUM(good) - good);
    report_case(all_alive(), "a cable cut, everybody lives");
    cable(command, "up");
    report_note("# the cable is mended");
    struct process *witness[GATEWAYS]; /* one that was fenced is replaced */
    memcpy(witness, cluster.gateway, sizeof witness);
    restart_fenced();
    case_goes_on(3, "the cable mended");
    for (int i = 0; i < GATEWAYS; i++) {
        report_case(log_has(witness[i], "broke:|closed by|cannot be connected"), "gateway %d's log says what happened",
                    i);
        report_case(log_has(witness[i], "is connected again|was fenced"), "... and how it ended");
    }
    const double slowest = slowest_s(true);
    report_case(slowest < REPLY_S, "no request hung: the slowest took %.1f s", slowest);
}

static void case_memory_node_killed(void) {
    report_note("# memory node 2 is killed");
    process_stop(cluster.memserver[2], SIGKILL);
    sleep_s(AWAY_S);
    say_load();
    for (int i = 0; i < GATEWAYS; i++) {
        report_case(process_alive(cluster.gateway[i]), "a memory node killed, gateway %d lives", i);
        report_case(log_has(cluster.gateway[i], "memory node 2"), "gateway %d's log names the memory node", i);
    }
    for (int i = 0; i < GATEWAYS; i++) {
        redisContext *context = redisConnect("127.0.0.1", cluster.gateway[i]->port);
        redisReply *reply = context && !context->err ? redisCommand(context, "PING") : NULL;
        report_case(reply && reply->type == REDIS_REPLY_STATUS, "gateway %d answers PING", i);
        freeReplyObject(reply);
        redisFree(context);
    }
    report_note("# an empty memory node starts at its address");
    cluster_start_memserver(&cluster, 2);
    sleep_s(AWAY_S);
    say_load();
    report_case(SUM(wrong) == 0, "an empty memory node is not taken for the old one");
}

/* Each key once more; behind the load, so that nothing hides what went wrong last. */
static void read_all(struct client *client) {
    redisContext *context = redisConnect("127.0.0.1", cluster.gateway[0]->port);
    if (!context || context->err)
        report_abort("no connection to gateway 0");
    for (unsigned key = 0; key < KEYS && context; key++)
        client_get(client, &context, key);
    if (context)
        redisFree(context);
}

static void load_end(void) {
    for (unsigned i = 0; i < CLIENTS; i++)
        clients[i].stop = true;
    for (unsigned i = 0; i < CLIENTS; i++)
        pthread_join(clients[i].thread, NULL);
    for (unsigned i = 0; i < CLIENTS; i++)
        read_all(&clients[i]);
    report_case(SUM(wrong) == 0, "at the end no acknowledged write is lost");
    const double slowest = slowest_s(false);
    report_case(slowest < REPLY_S, "no request hung: the slowest took %.1f s", slowest);
    for (int i = 0; i < GATEWAYS; i++) {
        const double start_s = clock_s();
        const int code = process_stop(cluster.gateway[i], SIGTERM);
        report_case(code == 0, "gateway %d ends after SIGTERM with exit code %d, in %.1f s", i, code,
                    clock_s() - start_s);
    }
    for (int i = 0; i < MEMSERVERS; i++) {
        const int code = process_stop(cluster.memserver[i], SIGTERM);
        report_case(code == 0, "memory node %d ends after SIGTERM with exit code %d", i, code);
    }
}

int main(int argc, char **argv) {
    const char *command = NULL;
    for (int option; (option = getopt(argc, argv, "c:")) != -1;) {
        if (option != 'c') {
            fprintf(stderr, "usage: faults [-c COMMAND]\n");
            return 2;
        }
        command = optarg;
    }
    cluster_start(&cluster);
    case_idle();
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i].index = i;
        clients[i].port = cluster.gateway[i % GATEWAYS]->port;
        if (pthread_create(&clients[i].thread, NULL, client_run, &clients[i]) != 0)
            report_abort("no thread");
    }
    sleep_s(LOAD_S);
    case_goes_on(3, "in peace");
    case_gateway_killed();
    case_memory_process_stopped();
    if (command) {
        case_cable_cut(command);
        case_memory_node_killed();
    }
    load_end();
    return report_finish();
}
