/* benchmark.c: redis-benchmark against a server without an error, and afterwards every key it can have written, read
 * and compared. What it writes is learnt from a run against redis-server: all values of one size are the same bytes.
 *
 * benchmark [-n requests] [-r key range] [-P pipeline] [-d value bytes] [-l "server ..."]
 */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"
#include "servers.h"

#define CLIENTS 50
#define READ_AT_ONCE 100

struct benchmark {
    int requests, range, depth, value_bytes;
    redisContext *context;
    const redisReply *expected;
    int keys, keys_wrong, counters, counters_wrong;
    long long sum;
};

static struct process *run_benchmark(const struct benchmark *benchmark, int port, const char *tests, int requests) {
    struct process_args args = {.argc = 0};
    process_args_add(&args, "redis-benchmark");
    process_args_add(&args, "-q");
    process_args_add(&args, "-t");
    process_args_add(&args, "%s", tests);
    const struct {
        const char *option;
        int value;
    } numbers[] = {{"-p", port},
                   {"-n", requests},
                   {"-c", CLIENTS},
                   {"-r", benchmark->range},
                   {"-P", benchmark->depth},
                   {"-d", benchmark->value_bytes}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        process_args_add(&args, "%s", numbers[i].option);
        process_args_add(&args, "%d", numbers[i].value);
    }
    struct process *process = process_start("redis-benchmark", 0, &args);
    if (!process_wait_end(process, 600))
        report_abort("redis-benchmark does not end");
    return process;
}

static redisContext *connect_to(int port) {
    redisContext *context = redisConnect("127.0.0.1", port);
    if (!context || context->err)
        report_abort("cannot connect to port %d", port);
    redisSetTimeout(context, (struct timeval){.tv_sec = 60});
    return context;
}

/* The value that redis-benchmark writes, out of a real Redis. */
static redisReply *learn_value(struct benchmark *benchmark) {
    struct process *redis = servers_start_redis(NULL);
    struct benchmark few = *benchmark;
    few.range = 1;
    few.depth = 1;
    run_benchmark(&few, redis->port, "set", CLIENTS);
    redisContext *context = connect_to(redis->port);
    redisReply *reply = redisCommand(context, "GET key:000000000000");
    if (!reply || reply->type != REDIS_REPLY_STRING)
        report_abort("redis-benchmark wrote no key:000000000000");
    redisFree(context);
    process_stop(redis, 15);
    return reply;
}

static void judge_key(struct benchmark *benchmark, int number, const redisReply *reply) {
    if (reply->type == REDIS_REPLY_NIL)
        return;
    benchmark->keys++;
    bool right = reply->type == REDIS_REPLY_STRING && reply->len == benchmark->expected->len &&
                 memcmp(reply->str, benchmark->expected->str, reply->len) == 0;
    if (!right && ++benchmark->keys_wrong <= 5)
        report_note("  key %d: %.60s", number, reply->str ? reply->str : "");
}

static void judge_counter(struct benchmark *benchmark, int number, const redisReply *reply) {
    if (reply->type == REDIS_REPLY_NIL)
        return;
    benchmark->counters++;
    char *end = NULL;
    long long value = reply->type == REDIS_REPLY_STRING ? strtoll(reply->str, &end, 10) : 0;
    benchmark->sum += value;
    bool right = end && !*end && value > 0;
    if (!right && ++benchmark->counters_wrong <= 5)
        report_note("  counter %d: %.60s", number, reply->str);
}

static void read_all(struct benchmark *benchmark, const char *prefix,
                     void (*judge)(struct benchmark *, int, const redisReply *)) {
    for (int first = 0; first < benchmark->range; first += READ_AT_ONCE) {
        int count = benchmark->range - first < READ_AT_ONCE ? benchmark->range - first : READ_AT_ONCE;
        for (int i = 0; i < count; i++)
            redisAppendCommand(benchmark->context, "GET %s:%012d", prefix, first + i);
        for (int i = 0; i < count; i++) {
            redisReply *reply;
            if (redisGetReply(benchmark->context, (void **)&reply) != REDIS_OK)
                report_abort("connection lost");
            judge(benchmark, first + i, reply);
            freeReplyObject(reply);
        }
    }
}

int main(int argc, char **argv) {
    struct benchmark benchmark = {.requests = 500000, .range = 200000, .depth = 1, .value_bytes = 64};
    const char *server = "fusegate";
    for (int option; (option = getopt(argc, argv, "n:r:P:d:l:")) != -1;) {
        switch (option) {
        case 'n':
            benchmark.requests = atoi(optarg);
            break;
        case 'r':
            benchmark.range = atoi(optarg);
            break;
        case 'P':
            benchmark.depth = atoi(optarg);
            break;
        case 'd':
            benchmark.value_bytes = atoi(optarg);
            break;
        case 'l':
            server = optarg;
            break;
        default:
            return 2;
        }
    }
    redisReply *expected = learn_value(&benchmark);
    benchmark.expected = expected;
    struct process *process = servers_start_named(server);
    struct process *client = run_benchmark(&benchmark, process->port, "ping,set,get,incr,mset", benchmark.requests);
    bool silent =
        process_exit_code(client) == 0 && !process_log_contains(client, "rror") && process_log_contains(client, "MSET");
    report_case(silent, "redis-benchmark -n %d -r %d -P %d -d %d: no error", benchmark.requests, benchmark.range,
                benchmark.depth, benchmark.value_bytes);
    benchmark.context = connect_to(process->port);
    read_all(&benchmark, "key", judge_key);
    read_all(&benchmark, "counter", judge_counter);
    report_case(benchmark.keys > 0 && benchmark.keys_wrong == 0, "%d keys of %d bytes, each byte right", benchmark.keys,
                benchmark.value_bytes);
    long long surplus = benchmark.sum - benchmark.requests;
    report_case(benchmark.counters_wrong == 0 && surplus >= 0 && surplus <= CLIENTS * benchmark.depth,
                "%d counters, together %lld", benchmark.counters, benchmark.sum);
    freeReplyObject(expected);
    redisFree(benchmark.context);
    report_case(process_stop(process, 15) == 0, "ends with exit code 0 after SIGTERM");
    return report_finish();
}
