/* scan.c: walks over all keys through three gateways, while others insert, overwrite and delete; DBSIZE behind loads
 * of all that creates and removes keys; DEL and EXISTS of many keys; and FLUSHALL and SWAPDB with readers at the other
 * gateways. One thread a client. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "report.h"
#include "servers.h"

#define GATEWAYS 3
#define STABLE 2000 /* keys that are there all the time */
#define FLEETING 3000
#define READERS 2
#define LATE_US 50000 /* by then every gateway knows what the others have counted */

static redisContext *client(int port) {
    redisContext *context = redisConnect("127.0.0.1", port);
    if (context == NULL || context->err != 0)
        report_abort("cannot connect to port %d", port);
    return context;
}

/* Its reply; free it. */
static redisReply *ask(redisContext *context, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = redisvCommand(context, format, arguments);
    va_end(arguments);
    if (reply == NULL)
        report_abort("a gateway does not answer: %s", context->errstr);
    if (reply->type == REDIS_REPLY_ERROR)
        report_abort("%s: %s", format, reply->str);
    return reply;
}

static void run(redisContext *context, const char *format, int number) {
    freeReplyObject(ask(context, format, number));
}

/* ---- Walks ---- */

struct churn {
    int port;
    uint64_t seed;
    _Atomic bool *stop;
    uint64_t operations;
};

static void *churn(void *argument) {
    struct churn *churn = argument;
    struct prng prng = {churn->seed};
    redisContext *context = client(churn->port);
    while (!atomic_load(churn->stop)) {
        int fleeting = (int)prng_below(&prng, FLEETING);
        switch (prng_below(&prng, 4)) {
        case 0:
            run(context, "SET stable:%d again", (int)prng_below(&prng, STABLE));
            break;
        case 1:
            run(context, "SET fleeting:%d x", fleeting);
            break;
        case 2:
            run(context, "APPEND fleeting:%d y", fleeting);
            break;
        default:
            run(context, "DEL fleeting:%d", fleeting);
            break;
        }
        churn->operations++;
    }
    redisFree(context);
    return NULL;
}

struct walk {
    int seen[STABLE];
    int fleeting, foreign, calls;
};

/* One walk, each call at the next gateway. */
static void walk_run(redisContext *const *context, int count, struct walk *walk) {
    char cursor[32] = "0";
    memset(walk, 0, sizeof *walk);
    do {
        redisReply *reply = ask(context[walk->calls++ % GATEWAYS], "SCAN %s COUNT %d", cursor, count);
        snprintf(cursor, sizeof cursor, "%s", reply->element[0]->str);
        for (size_t i = 0; i < reply->element[1]->elements; i++) {
            int number;
            if (sscanf(reply->element[1]->element[i]->str, "stable:%d", &number) == 1 && number < STABLE)
                walk->seen[number]++;
            else if (sscanf(reply->element[1]->element[i]->str, "fleeting:%d", &number) == 1)
                walk->fleeting++;
            else
                walk->foreign++;
        }
        freeReplyObject(reply);
    } while (strcmp(cursor, "0") != 0);
}

static void case_walks(redisContext *const *context, const struct cluster *cluster) {
    static struct walk walk;
    _Atomic bool stop = false;
    struct churn churns[GATEWAYS];
    pthread_t threads[GATEWAYS];
    int walks = report_long() ? 200 : 12, calls = 0, missed = 0, twice = 0, foreign = 0, fleeting = 0;
    for (int i = 0; i < STABLE; i++)
        run(context[i % GATEWAYS], "SET stable:%d 1", i);
    for (int i = 0; i < GATEWAYS; i++) {
        churns[i] = (struct churn){cluster->gateway[i]->port, prng_fresh_seed() + (uint64_t)i, &stop, 0};
        pthread_create(&threads[i], NULL, churn, &churns[i]);
    }
    for (int w = 0; w < walks; w++) {
        walk_run(context, w % 2 == 0 ? 100 : 1000, &walk);
        calls += walk.calls;
        fleeting += walk.fleeting;
        foreign += walk.foreign;
        for (int i = 0; i < STABLE; i++) {
            missed += walk.seen[i] == 0;
            twice += walk.seen[i] > 1;
        }
    }
    atomic_store(&stop, true);
    uint64_t operations = 0;
    for (int i = 0; i < GATEWAYS; i++) {
        pthread_join(threads[i], NULL);
        operations += churns[i].operations;
    }
    report_note("%d walks of %d calls, %llu writes meanwhile, %d fleeting keys met", walks, calls,
                (unsigned long long)operations, fleeting);
    report_case(missed == 0, "SCAN misses no key that is there all the time: %d missed", missed);
    report_case(twice == 0 && foreign == 0, "none comes twice (%d), no other key comes (%d)", twice, foreign);
    report_case(operations > 100 && fleeting > 0, "and there was something to miss");
}

static void case_counts(redisContext *const *context) {
    static struct walk walk;
    usleep(LATE_US);
    walk_run(context, 1000, &walk);
    bool same = true;
    for (int i = 0; i < GATEWAYS; i++) {
        redisReply *size = ask(context[i], "DBSIZE");
        redisReply *keys = ask(context[i], "KEYS *");
        same &= size->integer == STABLE + walk.fleeting && keys->elements == (size_t)size->integer;
        freeReplyObject(size);
        freeReplyObject(keys);
    }
    report_case(same, "at rest DBSIZE, KEYS and SCAN agree at every gateway: %d keys", STABLE + walk.fleeting);
}

/* ---- DBSIZE ---- */

#define SIZE_KEYS 400
#define SIZE_WORKERS 6
#define SETTLE_MS 2000 /* within so long a pool at rest must have the right size at every gateway */

static long long integer(redisContext *context, const char *format) {
    redisReply *reply = ask(context, format);
    long long value = reply->integer;
    freeReplyObject(reply);
    return value;
}

/* Creates and removes keys in all the ways there are. */
static void *size_churn(void *argument) {
    struct churn *churn = argument;
    struct prng prng = {churn->seed};
    redisContext *context = client(churn->port);
    while (!atomic_load(churn->stop)) {
        int a = (int)prng_below(&prng, SIZE_KEYS), b = (int)prng_below(&prng, SIZE_KEYS);
        static const char *const commands[] = {
            "SET size:%d 1",
            "SET size:%d 1 PX 3",
            "INCR size:%d",
            "DEL size:%d",
            "GETDEL size:%d",
            "PEXPIRE size:%d 2",
            "SETNX size:%d 1",
            "GET size:%d",
            "MSET size:%d 1 size:%d 2",
            "RENAME size:%d size:%d",
            "COPY size:%d size:%d",
            "MSETNX size:%d 1 size:%d 2",
            "DEL size:%d size:%d",
            "SET size:%d 1 EX 100",
            "APPEND size:%d x",
        };
        redisReply *reply;
        if (prng_below(&prng, 8) == 0) {
            static const char *const steps[] = {"MULTI", "SET size:%d 1", "DEL size:%d", "EXEC"};
            for (int i = 0; i < 4; i++)
                freeReplyObject(redisCommand(context, steps[i], i == 1 ? a : b));
        } else {
            reply = redisCommand(context, commands[prng_below(&prng, sizeof commands / sizeof commands[0])], a, b);
            if (reply == NULL)
                report_abort("a gateway does not answer: %s", context->errstr);
            freeReplyObject(reply); /* RENAME of no key is an error */
        }
        if (prng_below(&prng, 2000) == 0)
            freeReplyObject(ask(context, "FLUSHDB"));
        churn->operations++;
    }
    redisFree(context);
    return NULL;
}

static int walked(redisContext *const *context) {
    redisReply *keys = ask(context[0], "KEYS *"); /* removes what has expired */
    int count = (int)keys->elements;
    freeReplyObject(keys);
    return count;
}

/* ms until all gateways say the right size, at most `most`. */
static int settle(redisContext *const *context, int most, int *size) {
    *size = walked(context);
    for (int ms = 0;; ms++) {
        bool right = true;
        for (int i = 0; i < GATEWAYS; i++)
            right &= integer(context[i], "DBSIZE") == *size;
        if (right || ms >= most)
            return ms;
        usleep(1000);
    }
}

/* Removed keys, which the walk has met, are removed in the background: two rounds, a few ms. */
static void case_sizes(redisContext *const *context, const struct cluster *cluster) {
    int rounds = report_long() ? 60 : 6, late = 0, slowest = 0, size = 0;
    uint64_t operations = 0;
    for (int r = 0; r < rounds; r++) {
        _Atomic bool stop = false;
        struct churn churns[SIZE_WORKERS];
        pthread_t threads[SIZE_WORKERS];
        for (int i = 0; i < SIZE_WORKERS; i++) {
            churns[i] = (struct churn){cluster->gateway[i % GATEWAYS]->port, prng_fresh_seed() + (uint64_t)i, &stop, 0};
            pthread_create(&threads[i], NULL, size_churn, &churns[i]);
        }
        usleep(300000);
        atomic_store(&stop, true);
        for (int i = 0; i < SIZE_WORKERS; i++) {
            pthread_join(threads[i], NULL);
            operations += churns[i].operations;
        }
        usleep(5000); /* PEXPIRE's 2 ms */
        int ms = settle(context, SETTLE_MS, &size);
        late += ms >= SETTLE_MS;
        slowest = ms > slowest ? ms : slowest;
    }
    report_note("%llu operations, %d keys at the end, the right size after %d ms at most",
                (unsigned long long)operations, size, slowest);
    report_case(late == 0 && operations > 1000, "at rest DBSIZE is the number of keys at every gateway: %d times not",
                late);
}

static long long dm_reads(redisContext *context) {
    redisReply *info = ask(context, "INFO dm");
    const char *line = strstr(info->str, "dm_scan:operations=");
    const char *trips = line == NULL ? NULL : strstr(line, "round_trips=");
    const char *reads = line == NULL ? NULL : strstr(line, "reads=");
    if (trips == NULL || reads == NULL)
        report_abort("INFO has no dm_scan");
    long long sum = atoll(trips + strlen("round_trips=")) + atoll(reads + strlen("reads="));
    freeReplyObject(info);
    return sum;
}

static long long size_cost(redisContext *context) {
    usleep(300000); /* counters of other workers are up to 0.1 s old */
    long long before = dm_reads(context);
    for (int i = 0; i < 100; i++)
        (void)integer(context, "DBSIZE");
    usleep(300000);
    return dm_reads(context) - before;
}

static void case_size_cost(redisContext *const *context) {
    freeReplyObject(ask(context[0], "FLUSHALL"));
    long long few = size_cost(context[1]);
    for (int i = 0; i < STABLE; i++)
        run(context[i % GATEWAYS], "SET stable:%d 1", i);
    long long many = size_cost(context[1]);
    report_case(few == 400 && many == 400,
                "100 times DBSIZE cost 100 round trips with 3 READs each: %lld, %lld with %d keys", few, many, STABLE);
    redisReply *info = ask(context[2], "INFO keyspace");
    report_case(strstr(info->str, "db0:keys=2000,expires=0\r\n") != NULL, "INFO keyspace knows, too");
    freeReplyObject(info);
}

/* ---- DEL and EXISTS of several keys ---- */

#define GROUP 100 /* keys that come and go together */

struct group {
    int port;
    bool writes;
    _Atomic bool *stop;
    int operations, whole, torn;
};

static redisReply *ask_group(redisContext *context, const char *command, bool values) {
    const char *argv[1 + 2 * GROUP] = {command};
    static const char *const value = "v";
    char names[GROUP][16];
    int argc = 1;
    for (int i = 0; i < GROUP; i++) {
        snprintf(names[i], sizeof names[i], "group:%d", i);
        argv[argc++] = names[i];
        if (values)
            argv[argc++] = value;
    }
    redisReply *reply = redisCommandArgv(context, argc, argv, NULL);
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
        report_abort("%s: %s", command, reply == NULL ? context->errstr : reply->str);
    return reply;
}

static void *group_client(void *argument) {
    struct group *group = argument;
    redisContext *context = client(group->port);
    while (!atomic_load(group->stop)) {
        if (group->writes)
            freeReplyObject(ask_group(context, "MSET", true));
        redisReply *reply = ask_group(context, group->writes ? "DEL" : "EXISTS", false);
        group->whole += reply->integer == GROUP;
        group->torn += reply->integer != GROUP && reply->integer != 0;
        group->operations++;
        freeReplyObject(reply);
    }
    redisFree(context);
    return NULL;
}

static void case_groups(const struct cluster *cluster) {
    _Atomic bool stop = false;
    struct group groups[2 * GATEWAYS];
    pthread_t threads[2 * GATEWAYS];
    int deleted = 0, seen = 0, torn = 0, operations = 0;
    for (int i = 0; i < 2 * GATEWAYS; i++) {
        groups[i] = (struct group){.port = cluster->gateway[i % GATEWAYS]->port, .writes = i < GATEWAYS, .stop = &stop};
        pthread_create(&threads[i], NULL, group_client, &groups[i]);
    }
    usleep(report_long() ? 10000000 : 1000000);
    atomic_store(&stop, true);
    for (int i = 0; i < 2 * GATEWAYS; i++) {
        pthread_join(threads[i], NULL);
        deleted += groups[i].writes ? groups[i].whole : 0;
        seen += groups[i].writes ? 0 : groups[i].whole;
        torn += groups[i].torn;
        operations += groups[i].operations;
    }
    report_case(torn == 0 && deleted > 0 && seen > 0,
                "DEL of %d keys removes and EXISTS sees all of them or none: %d of %d not (%d removed, %d seen)", GROUP,
                torn, operations, deleted, seen);
}

/* ---- FLUSHALL ---- */

struct reader {
    int port;
    _Atomic int *round; /* how many have been flushed */
    int rounds, reads;
    int late; /* reads that began behind a flush's reply and gave a value of before it */
};

static void *reader(void *argument) {
    struct reader *reader = argument;
    redisContext *context = client(reader->port);
    for (int i = 0; atomic_load(reader->round) < reader->rounds; i = (i + 1) % STABLE) {
        int flushed = atomic_load(reader->round);
        redisReply *reply = ask(context, "GET flush:%d", i);
        reader->reads++;
        reader->late += reply->type == REDIS_REPLY_STRING && atoi(reply->str) < flushed;
        freeReplyObject(reply);
    }
    redisFree(context);
    return NULL;
}

static void case_flush(redisContext *const *context, const struct cluster *cluster) {
    _Atomic int round = 0;
    struct reader readers[READERS];
    pthread_t threads[READERS];
    int rounds = report_long() ? 30 : 4, late = 0, reads = 0, left = 0;
    for (int i = 0; i < READERS; i++) {
        readers[i] = (struct reader){cluster->gateway[i + 1]->port, &round, rounds, 0, 0};
        pthread_create(&threads[i], NULL, reader, &readers[i]);
    }
    for (int r = 0; r < rounds; r++) { /* values tell the round in which they were written */
        for (int i = 0; i < STABLE; i++)
            freeReplyObject(ask(context[i % GATEWAYS], "SET flush:%d %d", i, r));
        freeReplyObject(ask(context[0], r % 2 == 0 ? "FLUSHALL" : "FLUSHDB"));
        atomic_store(&round, r + 1);
        redisReply *size = ask(context[1], "DBSIZE");
        left += (int)size->integer;
        freeReplyObject(size);
    }
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        late += readers[i].late;
        reads += readers[i].reads;
    }
    report_case(late == 0 && reads > 100, "behind FLUSHALL's reply no gateway gives an older value: %d of %d reads",
                late, reads);
    report_case(left == 0, "and nothing is left");
}

/* ---- SWAPDB ---- */

/* Databases 1 and 2 hold the same keys with values 1 and 2, and are swapped again and again: readers at the other
 * gateways must see all keys of one database change at one moment. So: once a reader has seen that database 1 was
 * swapped s times, no later read shows fewer. */
struct swap_reader {
    int port;
    _Atomic int *begun, *done; /* swaps */
    int rounds, reads, wrong;
};

static void *swap_reader(void *argument) {
    struct swap_reader *reader = argument;
    redisContext *context = client(reader->port);
    run(context, "SELECT %d", 1);
    int swaps = 0; /* at least so many have happened */
    for (int i = 0; atomic_load(reader->done) < reader->rounds; i = (i + 1) % 64) {
        int done = atomic_load(reader->done);
        redisReply *reply = ask(context, "GET swap:%d", i);
        int begun = atomic_load(reader->begun);
        int value = reply->type == REDIS_REPLY_STRING ? atoi(reply->str) : 0;
        freeReplyObject(reply);
        swaps = swaps < done ? done : swaps;
        while (swaps <= begun && swaps % 2 + 1 != value)
            swaps++;
        reader->wrong += swaps > begun;
        reader->reads++;
    }
    redisFree(context);
    return NULL;
}

static void case_swap(redisContext *const *context, const struct cluster *cluster) {
    _Atomic int begun = 0, done = 0;
    struct swap_reader readers[READERS];
    pthread_t threads[READERS];
    int rounds = report_long() ? 300 : 30, wrong = 0, reads = 0;
    for (int d = 1; d <= 2; d++) {
        run(context[0], "SELECT %d", d);
        for (int i = 0; i < 64; i++)
            freeReplyObject(ask(context[0], "SET swap:%d %d", i, d));
    }
    for (int i = 0; i < READERS; i++) {
        readers[i] = (struct swap_reader){cluster->gateway[i + 1]->port, &begun, &done, rounds, 0, 0};
        pthread_create(&threads[i], NULL, swap_reader, &readers[i]);
    }
    for (int r = 0; r < rounds; r++) {
        atomic_store(&begun, r + 1);
        freeReplyObject(ask(context[0], "SWAPDB 1 2"));
        atomic_store(&done, r + 1);
    }
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        wrong += readers[i].wrong;
        reads += readers[i].reads;
    }
    report_case(wrong == 0 && reads > rounds, "SWAPDB happens at one moment for all keys and gateways: %d of %d reads",
                wrong, reads);
}

int main(void) {
    struct cluster cluster = {
        .memserver_count = 3, .gateway_count = GATEWAYS, .replicas = 2, .memory_bytes = CLUSTER_NODE_BYTES};
    redisContext *context[GATEWAYS];
    cluster_start(&cluster);
    for (int i = 0; i < GATEWAYS; i++)
        context[i] = client(cluster.gateway[i]->port);
    case_walks(context, &cluster);
    case_counts(context);
    case_sizes(context, &cluster);
    case_size_cost(context);
    case_groups(&cluster);
    case_flush(context, &cluster);
    case_swap(context, &cluster);
    for (int i = 0; i < GATEWAYS; i++)
        redisFree(context[i]);
    report_case(cluster_stop(&cluster), "every process ends with exit code 0 after SIGTERM");
    return report_finish();
}
