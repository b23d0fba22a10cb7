/* hot.c: many clients through all gateways on a few hot keys, and what linearizability says of the outcome:
 *   counters   INCR: each reply is given once, the sum is exact
 *   nx         SETNX: a new key per round, exactly one winner, whose value stays
 *   append     APPEND: each record once, those of one client in order
 *   register   SET and GET: whole values of the right key; no value older than one acknowledged before the GET began,
 *              than one that this client read, or than one that this client overwrote
 *   mixed      SETNX, SET XX, INCR, DEL, GET on keys that come and go: creations minus deletions = what is left
 *   expiring   SET PX of some milliseconds, GET, DEL: a value or none, never of another key, though all expire the same
 *
 * hot [-n operations] [-t threads] [-s seed] (-l "redis|fusegate ..." ... | -m memory nodes -g gateways -r replicas)
 * With -l given twice, two servers that know nothing of each other are taken for one: that must fail.
 */
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pattern.h"
#include "report.h"
#include "servers.h"

#define THREADS_MAX 16
#define KEYS 5 /* of a kind: 20 hot keys with those of nx and append counted as one each at a time */
#define BATCH_MAX 32
#define APPENDS_PER_KEY 1000
#define VALUE_BYTES_MAX 4000
#define MIXED_UNIT INT64_C(1000000000000)
#define FAULTS_SHOWN 10

enum kind { COUNTER, NX, APPEND, SET, GET, MIXED_NX, MIXED_XX, MIXED_INCR, MIXED_DEL, MIXED_GET, EXPIRING, KIND_COUNT };

struct operation {
    enum kind kind;
    uint32_t key; /* its index, the round of nx, the number of the append key */
    uint64_t sequence;
};

struct hot {
    uint64_t wanted, seed;
    int threads, ports[CLUSTER_MAX], port_count;
    uint64_t counter_max, rounds_max, append_max;
    _Atomic uint64_t started, round, appends, faults[KIND_COUNT];
    _Atomic uint64_t *given[KEYS]; /* bitmap of the replies to INCR */
    _Atomic uint64_t incremented[KEYS], created[KEYS], deleted[KEYS];
    _Atomic uint32_t *winners, *winner; /* of each round */
    _Atomic uint32_t *attempts;
    uint32_t *appended[THREADS_MAX];                      /* records of a thread on each append key */
    _Atomic uint64_t acknowledged[KEYS][THREADS_MAX + 1]; /* SETs of each writer; the last one is the preparation */
};

struct client {
    struct hot *hot;
    uint32_t index;
    struct prng prng;
    redisContext *context;
    struct operation batch[BATCH_MAX];
    uint64_t written[KEYS], floor[KEYS][THREADS_MAX + 1], snapshot[KEYS][THREADS_MAX + 1];
    uint64_t mixed_sequence;
    uint64_t counter_seen[KEYS];
};

static void fault(struct hot *hot, enum kind kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void fault(struct hot *hot, enum kind kind, const char *format, ...) {
    char text[256];
    va_list arguments;
    if (atomic_fetch_add(&hot->faults[kind], 1) >= FAULTS_SHOWN)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    report_note("  %s", text);
}

/* ---- Sending ---- */

static void send_register(struct client *client, struct operation *operation) {
    char name[32];
    char value[VALUE_BYTES_MAX];
    snprintf(name, sizeof name, "hot:register:%u", operation->key);
    operation->sequence = ++client->written[operation->key];
    size_t length = PATTERN_BYTES_MIN + prng_below(&client->prng, VALUE_BYTES_MAX - PATTERN_BYTES_MIN);
    if (prng_chance(&client->prng, 60))
        length = PATTERN_BYTES_MIN + length % 200;
    pattern_write(value, length, name, (struct pattern){.writer = client->index, .sequence = operation->sequence});
    redisAppendCommand(client->context, "SET %s %b", name, value, length);
}

static void send_append(struct client *client, struct operation *operation) {
    struct hot *hot = client->hot;
    operation->key = (uint32_t)(atomic_fetch_add(&hot->appends, 1) / APPENDS_PER_KEY);
    operation->sequence = hot->appended[client->index][operation->key]++;
    redisAppendCommand(client->context, "APPEND hot:append:%u %u.%" PRIu64 ";", operation->key, client->index,
                       operation->sequence);
}

static void send_nx(struct client *client, struct operation *operation) {
    struct hot *hot = client->hot;
    uint64_t round = atomic_load(&hot->round);
    if (prng_chance(&client->prng, 15))
        atomic_fetch_add(&hot->round, 1);
    operation->key = (uint32_t)(round < hot->rounds_max ? round : hot->rounds_max - 1);
    atomic_fetch_add(&hot->attempts[operation->key], 1);
    redisAppendCommand(client->context, "SETNX hot:nx:%u %u", operation->key, client->index);
}

static void send_mixed(struct client *client, struct operation *operation) {
    uint32_t key = operation->key;
    int64_t value = (int64_t)(client->index + 1) * MIXED_UNIT * 1000 + (int64_t)++client->mixed_sequence * 100000;
    switch (operation->kind) {
    case MIXED_NX:
        redisAppendCommand(client->context, "SETNX hot:mixed:%u %" PRId64, key, value);
        break;
    case MIXED_XX:
        redisAppendCommand(client->context, "SET hot:mixed:%u %" PRId64 " XX", key, value);
        break;
    case MIXED_INCR:
        redisAppendCommand(client->context, "INCR hot:mixed:%u", key);
        break;
    case MIXED_DEL:
        redisAppendCommand(client->context, "DEL hot:mixed:%u", key);
        break;
    default:
        redisAppendCommand(client->context, "GET hot:mixed:%u", key);
        break;
    }
}

static void send_expiring(struct client *client, struct operation *operation) {
    uint32_t key = operation->key;
    operation->kind = EXPIRING;
    switch (prng_below(&client->prng, 4)) {
    case 0:
        redisAppendCommand(client->context, "SET hot:expiring:%u expiring:%u PX %u", key, key,
                           1 + (unsigned)prng_below(&client->prng, 5));
        break;
    case 1:
        redisAppendCommand(client->context, "SET hot:expiring:%u expiring:%u NX PX 1", key, key);
        break;
    case 2:
        redisAppendCommand(client->context, "DEL hot:expiring:%u", key);
        break;
    default:
        redisAppendCommand(client->context, "GET hot:expiring:%u", key);
        break;
    }
}

static void send_operation(struct client *client, struct operation *operation) {
    static const enum kind mixed[] = {MIXED_NX, MIXED_XX, MIXED_INCR, MIXED_DEL, MIXED_GET};
    uint64_t pick = prng_below(&client->prng, 100);
    operation->key = (uint32_t)prng_below(&client->prng, KEYS);
    if (pick < 25) {
        operation->kind = COUNTER;
        redisAppendCommand(client->context, "INCR hot:counter:%u", operation->key);
    } else if (pick < 35) {
        operation->kind = NX;
        send_nx(client, operation);
    } else if (pick < 45) {
        operation->kind = APPEND;
        send_append(client, operation);
    } else if (pick < 60) {
        operation->kind = SET;
        send_register(client, operation);
    } else if (pick < 80) {
        operation->kind = GET;
        redisAppendCommand(client->context, "GET hot:register:%u", operation->key);
    } else if (pick < 86) {
        send_expiring(client, operation);
    } else {
        operation->kind = mixed[prng_below(&client->prng, sizeof mixed / sizeof *mixed)];
        send_mixed(client, operation);
    }
}

/* ---- Judging ---- */

static void judge_counter(struct client *client, const struct operation *operation, const redisReply *reply) {
    struct hot *hot = client->hot;
    uint64_t value = (uint64_t)reply->integer;
    atomic_fetch_add(&hot->incremented[operation->key], 1);
    if (reply->type != REDIS_REPLY_INTEGER || value == 0 || value > hot->counter_max) {
        fault(hot, COUNTER, "INCR: %s %" PRIu64, reply->str ? reply->str : "", value);
        return;
    }
    if (value <= client->counter_seen[operation->key])
        fault(hot, COUNTER, "INCR went back to %" PRIu64, value);
    client->counter_seen[operation->key] = value;
    uint64_t bit = UINT64_C(1) << value % 64;
    if (atomic_fetch_or(&hot->given[operation->key][value / 64], bit) & bit) {
        fault(hot, COUNTER, "counter %u: INCR gave %" PRIu64 " twice", operation->key, value);
    }
}

static void judge_nx(struct client *client, const struct operation *operation, const redisReply *reply) {
    struct hot *hot = client->hot;
    if (reply->type != REDIS_REPLY_INTEGER)
        fault(hot, NX, "SETNX: %s", reply->str);
    if (reply->integer != 1)
        return;
    atomic_fetch_add(&hot->winners[operation->key], 1);
    atomic_store(&hot->winner[operation->key], client->index);
}

static void judge_get(struct client *client, const struct operation *operation, const redisReply *reply) {
    char name[32];
    struct pattern pattern = {0};
    snprintf(name, sizeof name, "hot:register:%u", operation->key);
    if (reply->type != REDIS_REPLY_STRING) {
        fault(client->hot, GET, "%s: GET gave no value: %s", name, reply->str ? reply->str : "nil");
        return;
    }
    const char *wrong = pattern_check(reply->str, reply->len, name, &pattern);
    if (!wrong && pattern.writer > (uint32_t)client->hot->threads)
        wrong = "of an unknown writer";
    if (wrong) {
        fault(client->hot, GET, "%s: value %s: %.60s", name, wrong, reply->str);
        return;
    }
    uint64_t *floor = &client->floor[operation->key][pattern.writer];
    if (pattern.sequence < *floor) {
        fault(client->hot, GET, "%s: client %u read number %" PRIu64 " of writer %u, which was over: at least %" PRIu64,
              name, client->index, pattern.sequence, pattern.writer, *floor);
    }
    if (pattern.sequence > *floor)
        *floor = pattern.sequence;
}

/* What others had acknowledged before this batch was sent stood before this SET, so it is over now. */
static void judge_set(struct client *client, const struct operation *operation, const redisReply *reply) {
    uint64_t *floor = client->floor[operation->key], *snapshot = client->snapshot[operation->key];
    if (reply->type != REDIS_REPLY_STATUS)
        fault(client->hot, SET, "SET: %s", reply->str);
    for (int w = 0; w <= client->hot->threads; w++) {
        if (floor[w] < snapshot[w] + 1)
            floor[w] = snapshot[w] + 1;
    }
    floor[client->index] = operation->sequence;
    atomic_store(&client->hot->acknowledged[operation->key][client->index], operation->sequence);
}

static void judge_mixed(struct client *client, const struct operation *operation, const redisReply *reply) {
    struct hot *hot = client->hot;
    uint32_t key = operation->key;
    if (reply->type == REDIS_REPLY_ERROR)
        fault(hot, operation->kind, "mixed %u: %s", key, reply->str);
    bool one = reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
    if (operation->kind == MIXED_DEL) {
        if (one)
            atomic_fetch_add(&hot->deleted[key], 1);
    } else if (one) { /* SETNX that won; INCR of nothing, for all other values are large */
        atomic_fetch_add(&hot->created[key], 1);
    } else if (operation->kind == MIXED_GET && reply->type == REDIS_REPLY_STRING) {
        int64_t value = strtoll(reply->str, NULL, 10), writer = value / (MIXED_UNIT * 1000);
        bool right = value > 0 && writer <= hot->threads && (writer > 0 || value < MIXED_UNIT);
        if (!right)
            fault(hot, MIXED_GET, "mixed %u: GET gave %s", key, reply->str);
    }
}

static void judge_expiring(struct client *client, const struct operation *operation, const redisReply *reply) {
    char expected[32];
    snprintf(expected, sizeof expected, "expiring:%u", operation->key);
    bool wrong =
        reply->type == REDIS_REPLY_ERROR || (reply->type == REDIS_REPLY_STRING && strcmp(reply->str, expected));
    if (wrong)
        fault(client->hot, EXPIRING, "expiring %u: %.100s", operation->key, reply->str);
}

static void judge(struct client *client, const struct operation *operation, const redisReply *reply) {
    switch (operation->kind) {
    case COUNTER:
        judge_counter(client, operation, reply);
        return;
    case NX:
        judge_nx(client, operation, reply);
        return;
    case APPEND:
        if (reply->type != REDIS_REPLY_INTEGER)
            fault(client->hot, APPEND, "APPEND: %s", reply->str);
        return;
    case SET:
        judge_set(client, operation, reply);
        return;
    case GET:
        judge_get(client, operation, reply);
        return;
    case EXPIRING:
        judge_expiring(client, operation, reply);
        return;
    default:
        judge_mixed(client, operation, reply);
    }
}

static void take_snapshot(struct client *client) {
    for (int key = 0; key < KEYS; key++) {
        for (int w = 0; w <= client->hot->threads; w++) {
            uint64_t sequence = atomic_load(&client->hot->acknowledged[key][w]);
            client->snapshot[key][w] = sequence;
            if (client->floor[key][w] < sequence)
                client->floor[key][w] = sequence;
        }
    }
}

static redisContext *connect_to(int port) {
    redisContext *context = redisConnect("127.0.0.1", port);
    if (!context || context->err)
        report_abort("cannot connect to port %d", port);
    redisSetTimeout(context, (struct timeval){.tv_sec = 60});
    return context;
}

static void *client_run(void *argument) {
    struct client *client = argument;
    struct hot *hot = client->hot;
    client->context = connect_to(hot->ports[client->index % (uint32_t)hot->port_count]);
    for (;;) {
        uint64_t count = prng_chance(&client->prng, 30) ? 1 : 1 + prng_below(&client->prng, BATCH_MAX);
        if (atomic_fetch_add(&hot->started, count) + count > hot->wanted)
            break;
        take_snapshot(client);
        for (uint64_t i = 0; i < count; i++)
            send_operation(client, &client->batch[i]);
        for (uint64_t i = 0; i < count; i++) {
            redisReply *reply = NULL;
            if (redisGetReply(client->context, (void **)&reply) != REDIS_OK) {
                report_abort("client %u: %s", client->index, client->context->errstr);
            }
            judge(client, &client->batch[i], reply);
            freeReplyObject(reply);
        }
    }
    redisFree(client->context);
    return NULL;
}

/* ---- What is left ---- */

static redisReply *ask_key(redisContext *context, const char *kind, uint64_t key) {
    redisReply *reply = redisCommand(context, "GET hot:%s:%" PRIu64, kind, key);
    if (!reply)
        report_abort("GET hot:%s:%" PRIu64 ": %s", kind, key, context->errstr);
    return reply;
}

static void check_counters(struct hot *hot, redisContext *context) {
    uint64_t sum = 0, wrong = 0;
    for (uint64_t key = 0; key < KEYS; key++) {
        redisReply *reply = ask_key(context, "counter", key);
        uint64_t value = reply->str ? strtoull(reply->str, NULL, 10) : 0;
        uint64_t expected = atomic_load(&hot->incremented[key]);
        if (value != expected) {
            report_note("  counter %" PRIu64 ": %" PRIu64 " after %" PRIu64 " INCRs", key, value, expected);
            wrong++;
        }
        sum += expected;
        freeReplyObject(reply);
    }
    report_case(wrong == 0 && hot->faults[COUNTER] == 0 && sum > 0,
                "INCR: %" PRIu64 " replies, each once, and the sums are exact", sum);
}

static void check_nx(struct hot *hot, redisContext *context) {
    uint64_t rounds = 0, wrong = 0;
    for (uint64_t round = 0; round < hot->rounds_max; round++) {
        if (atomic_load(&hot->attempts[round]) == 0)
            continue;
        rounds++;
        redisReply *reply = ask_key(context, "nx", round);
        bool right = hot->winners[round] == 1 && reply->str && strtoul(reply->str, NULL, 10) == hot->winner[round];
        if (!right && ++wrong <= FAULTS_SHOWN) {
            report_note("  round %" PRIu64 ": %u winners, value %s", round, hot->winners[round],
                        reply->str ? reply->str : "nil");
        }
        freeReplyObject(reply);
    }
    report_case(wrong == 0 && hot->faults[NX] == 0 && rounds > 0, "SETNX: %" PRIu64 " rounds, one winner each", rounds);
}

/* Each record of each thread once and in order; NULL or what is wrong. */
static const char *check_records(struct hot *hot, uint64_t key, const char *text) {
    uint32_t next[THREADS_MAX] = {0};
    while (*text) {
        char *end;
        unsigned long thread = strtoul(text, &end, 10);
        if (*end != '.' || thread >= (unsigned long)hot->threads)
            return "a broken record";
        unsigned long sequence = strtoul(end + 1, &end, 10);
        if (*end != ';')
            return "a broken record";
        if (sequence != next[thread]++)
            return "a record twice, missing or out of order";
        text = end + 1;
    }
    for (int thread = 0; thread < hot->threads; thread++) {
        if (next[thread] != hot->appended[thread][key])
            return "records missing at the end";
    }
    return NULL;
}

static void check_appends(struct hot *hot, redisContext *context) {
    uint64_t keys = atomic_load(&hot->appends) / APPENDS_PER_KEY + 1, wrong = 0;
    for (uint64_t key = 0; key < keys && key < hot->append_max; key++) {
        redisReply *reply = ask_key(context, "append", key);
        const char *problem = check_records(hot, key, reply->str ? reply->str : "");
        if (problem && ++wrong <= FAULTS_SHOWN)
            report_note("  append %" PRIu64 ": %s", key, problem);
        freeReplyObject(reply);
    }
    report_case(wrong == 0 && hot->faults[APPEND] == 0, "APPEND: %" PRIu64 " records, each once and in order",
                atomic_load(&hot->appends));
}

static void check_mixed(struct hot *hot, redisContext *context) {
    uint64_t wrong = 0, created = 0;
    for (uint64_t key = 0; key < KEYS; key++) {
        redisReply *reply = ask_key(context, "mixed", key);
        uint64_t left = hot->created[key] - hot->deleted[key];
        created += hot->created[key];
        if (left != (reply->type == REDIS_REPLY_STRING ? 1 : 0)) {
            report_note("  mixed %" PRIu64 ": created %" PRIu64 " times, deleted %" PRIu64 " times, now %s", key,
                        hot->created[key], hot->deleted[key], reply->str ? reply->str : "absent");
            wrong++;
        }
        freeReplyObject(reply);
    }
    for (int kind = MIXED_NX; kind <= MIXED_GET; kind++)
        wrong += hot->faults[kind];
    report_case(wrong == 0 && created > 0, "keys that come and go: %" PRIu64 " creations, each deleted once", created);
}

/* Longer than any of them lives, all are gone. */
static void check_expiring(struct hot *hot, redisContext *context) {
    uint64_t left = 0;
    sleep_s(0.05);
    for (uint64_t key = 0; key < KEYS; key++) {
        redisReply *reply = ask_key(context, "expiring", key);
        left += reply->type != REDIS_REPLY_NIL;
        freeReplyObject(reply);
    }
    report_case(left == 0 && hot->faults[EXPIRING] == 0, "keys that expire: none of another key, none left");
}

/* ---- The run ---- */

static void prepare(struct hot *hot, redisContext *context) {
    for (int i = 0; i < KEYS; i++) {
        char name[32], value[PATTERN_BYTES_MIN];
        snprintf(name, sizeof name, "hot:register:%d", i);
        pattern_write(value, sizeof value, name, (struct pattern){.writer = (uint32_t)hot->threads});
        freeReplyObject(redisCommand(context, "SET %s %b", name, value, sizeof value));
        hot->given[i] = calloc(hot->counter_max / 64 + 1, sizeof *hot->given[i]);
    }
    for (int t = 0; t < hot->threads; t++)
        hot->appended[t] = calloc(hot->append_max, sizeof *hot->appended[t]);
    hot->winners = calloc(hot->rounds_max, sizeof *hot->winners);
    hot->winner = calloc(hot->rounds_max, sizeof *hot->winner);
    hot->attempts = calloc(hot->rounds_max, sizeof *hot->attempts);
}

static void run(struct hot *hot) {
    static struct client clients[THREADS_MAX];
    pthread_t threads[THREADS_MAX];
    hot->counter_max = hot->wanted;
    hot->rounds_max = hot->wanted / 20 + 1000;
    hot->append_max = hot->wanted / APPENDS_PER_KEY + 2;
    redisContext *context = connect_to(hot->ports[0]);
    prepare(hot, context);
    double begin = clock_s();
    for (int t = 0; t < hot->threads; t++) {
        clients[t] =
            (struct client){.hot = hot, .index = (uint32_t)t, .prng = {.state = hot->seed * 1000 + (uint64_t)t}};
        pthread_create(&threads[t], NULL, client_run, &clients[t]);
    }
    for (int t = 0; t < hot->threads; t++)
        pthread_join(threads[t], NULL);
    double seconds = clock_s() - begin;
    report_note("%" PRIu64 " operations in %.1f s: %.0f a second", hot->wanted, seconds, (double)hot->wanted / seconds);
    check_counters(hot, context);
    check_nx(hot, context);
    check_appends(hot, context);
    report_case(hot->faults[SET] + hot->faults[GET] == 0, "SET and GET: no torn, foreign or stale value");
    check_mixed(hot, context);
    check_expiring(hot, context);
    redisFree(context);
}

int main(int argc, char **argv) {
    static struct hot hot = {.wanted = 300000, .threads = 8};
    struct cluster cluster = {.memserver_count = 3, .gateway_count = 3, .replicas = 3, .memory_bytes = 512u << 20};
    bool single = false;
    hot.seed = prng_fresh_seed();
    for (int option; (option = getopt(argc, argv, "n:t:s:l:m:g:r:")) != -1;) {
        switch (option) {
        case 'n':
            hot.wanted = strtoull(optarg, NULL, 10);
            break;
        case 't':
            hot.threads = atoi(optarg);
            break;
        case 's':
            hot.seed = strtoull(optarg, NULL, 10);
            break;
        case 'l':
            single = true;
            if (hot.port_count < CLUSTER_MAX)
                hot.ports[hot.port_count++] = servers_start_named(optarg)->port;
            break;
        case 'm':
            cluster.memserver_count = atoi(optarg);
            break;
        case 'g':
            cluster.gateway_count = atoi(optarg);
            break;
        case 'r':
            cluster.replicas = atoi(optarg);
            break;
        default:
            return 2;
        }
    }
    if (hot.threads < 1 || hot.threads > THREADS_MAX)
        report_abort("1 to %d threads", THREADS_MAX);
    report_note("seed %" PRIu64 ", %d clients", hot.seed, hot.threads);
    if (!single) {
        cluster_start(&cluster);
        for (; hot.port_count < cluster.gateway_count; hot.port_count++) {
            hot.ports[hot.port_count] = cluster.gateway[hot.port_count]->port;
        }
    }
    run(&hot);
    if (!single)
        report_case(cluster_stop(&cluster), "every process ends with exit code 0 after SIGTERM");
    return report_finish();
}
