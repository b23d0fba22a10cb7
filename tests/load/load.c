/* load.c: keys under load, each byte checked, and what happens to memory meanwhile.
 *
 *   load verify     sets N keys with pipelines over several connections, overwrites some, reads all
 *   load churn      overwrites of mixed sizes in a small pool: used memory stays bounded, nothing is lost
 *   load full       fills the pool until -OOM: reads and DEL go on, afterwards writes work again; twice
 *   load idle       gateway and memory nodes with idle clients use no CPU time
 *
 * Options: -n keys  -o overwrites  -d value bytes (0: mixed, 16 to 8192)  -P pipeline  -c connections  -s seed
 *          -l "fusegate ..." (server)  -m memory of each node, bytes
 */
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "info.h"
#include "pattern.h"
#include "report.h"
#include "servers.h"

#define CONNECTIONS_MAX 64
#define VALUE_BYTES_MAX 65536
#define MIXED_BYTES_MIN 16
#define MIXED_DOUBLINGS 9 /* up to 8 KiB */
#define FAULTS_SHOWN 10
#define IDLE_S 10.0
#define IDLE_TICKS_MAX 1
#define CHURN_SAMPLES 40
#define CHURN_SAY_S 10.0
#define CHURN_GROWTH 1.25 /* what the second half may take more than the first */
#define CHURN_TAKEN 2.0   /* what may be taken at the end, as a multiple of what the same keys took at first */
#define RECLAIM_S 10.0    /* deleted memory must be usable again within this time */

struct load {
    const char *mode, *server;
    uint64_t keys, overwrites, seed, memory_bytes;
    size_t value_bytes; /* 0: mixed */
    uint32_t depth, connections;
    int port;
    uint32_t *sequence; /* last one written of each key; 0: none */
    _Atomic uint64_t faults, overwritten;
};

struct client {
    struct load *load;
    uint32_t index;
    uint64_t overwrites;
    struct prng prng;
    redisContext *context;
};

static void fault(struct load *load, const char *what, uint64_t key, const char *detail) {
    if (atomic_fetch_add(&load->faults, 1) < FAULTS_SHOWN)
        report_note("  %s key %" PRIu64 ": %.120s", what, key, detail);
}

static redisContext *connect_to(int port) {
    redisContext *context = redisConnect("127.0.0.1", port);
    if (!context || context->err)
        report_abort("cannot connect to port %d", port);
    redisSetTimeout(context, (struct timeval){.tv_sec = 60});
    return context;
}

static redisReply *next_reply(redisContext *context) {
    redisReply *reply = NULL;
    if (redisGetReply(context, (void **)&reply) != REDIS_OK)
        report_abort("lost the connection: %s", context->errstr);
    return reply;
}

/* ---- Values ---- */

static size_t value_length(const struct load *load, uint64_t key, uint32_t sequence) {
    if (load->value_bytes > 0)
        return load->value_bytes;
    struct prng prng = {.state = key * 1000003 + sequence};
    uint64_t low = (uint64_t)MIXED_BYTES_MIN << prng_below(&prng, MIXED_DOUBLINGS);
    return low + prng_below(&prng, low + 1);
}

static size_t make_value(const struct load *load, uint64_t key, uint32_t sequence, char *out) {
    char name[32];
    size_t length = value_length(load, key, sequence);
    snprintf(name, sizeof name, "load:%" PRIu64, key);
    pattern_fill(out, length, name, sequence);
    return length;
}

static void send_set(struct load *load, redisContext *context, uint64_t key, uint32_t sequence) {
    static _Thread_local char value[VALUE_BYTES_MAX];
    size_t length = make_value(load, key, sequence, value);
    redisAppendCommand(context, "SET load:%llu %b", (unsigned long long)key, value, length);
}

/* True when the reply to GET is what the last SET of the key wrote. */
static bool check_value(struct load *load, uint64_t key, const redisReply *reply) {
    static _Thread_local char value[VALUE_BYTES_MAX];
    char detail[120];
    if (reply->type != REDIS_REPLY_STRING) {
        fault(load, "reading", key, reply->str ? reply->str : "absent");
        return false;
    }
    size_t length = make_value(load, key, load->sequence[key], value);
    if (length == reply->len && memcmp(value, reply->str, length) == 0)
        return true;
    snprintf(detail, sizeof detail, "%zu bytes are not the %zu of number %u", (size_t)reply->len, length,
             load->sequence[key]);
    fault(load, "reading", key, detail);
    return false;
}

/* ---- Clients: each owns the keys whose number modulo the clients is its index ---- */

static void expect_ok(struct load *load, redisContext *context, uint64_t key) {
    redisReply *reply = next_reply(context);
    if (reply->type != REDIS_REPLY_STATUS)
        fault(load, "writing", key, reply->str ? reply->str : "no status");
    freeReplyObject(reply);
}

static void *client_fill(void *argument) {
    struct client *client = argument;
    struct load *load = client->load;
    uint64_t answered = client->index;
    uint32_t open = 0;
    for (uint64_t key = client->index; key < load->keys; key += load->connections) {
        load->sequence[key] = 1;
        send_set(load, client->context, key, 1);
        if (++open < load->depth)
            continue;
        for (; open > 0; open--, answered += load->connections)
            expect_ok(load, client->context, answered);
    }
    for (; open > 0; open--, answered += load->connections)
        expect_ok(load, client->context, answered);
    return NULL;
}

static void *client_overwrite(void *argument) {
    struct client *client = argument;
    struct load *load = client->load;
    uint64_t own = (load->keys - client->index + load->connections - 1) / load->connections, done = 0;
    uint64_t *key = calloc(load->depth, sizeof *key);
    while (done < client->overwrites && own > 0) {
        for (uint32_t i = 0; i < load->depth; i++) {
            key[i] = client->index + prng_below(&client->prng, own) * load->connections;
            send_set(load, client->context, key[i], ++load->sequence[key[i]]);
        }
        for (uint32_t i = 0; i < load->depth; i++)
            expect_ok(load, client->context, key[i]);
        done += load->depth;
        atomic_fetch_add(&load->overwritten, load->depth);
    }
    free(key);
    return NULL;
}

static void *client_check(void *argument) {
    struct client *client = argument;
    struct load *load = client->load;
    for (uint64_t key = client->index; key < load->keys;) {
        uint64_t first = key;
        for (uint32_t i = 0; i < load->depth && key < load->keys; i++, key += load->connections) {
            redisAppendCommand(client->context, "GET load:%llu", (unsigned long long)key);
        }
        for (; first < key; first += load->connections) {
            redisReply *reply = next_reply(client->context);
            check_value(load, first, reply);
            freeReplyObject(reply);
        }
    }
    return NULL;
}

struct crew {
    struct client client[CONNECTIONS_MAX];
    pthread_t thread[CONNECTIONS_MAX];
};

static void crew_start(struct crew *crew, struct load *load, void *(*run)(void *)) {
    for (uint32_t i = 0; i < load->connections; i++) {
        crew->client[i] = (struct client){.load = load, .index = i, .context = connect_to(load->port)};
        crew->client[i].overwrites = load->overwrites / load->connections;
        crew->client[i].prng.state = load->seed + i * 7919;
        pthread_create(&crew->thread[i], NULL, run, &crew->client[i]);
    }
}

static void crew_wait(struct crew *crew, struct load *load) {
    for (uint32_t i = 0; i < load->connections; i++) {
        pthread_join(crew->thread[i], NULL);
        redisFree(crew->client[i].context);
    }
}

static void crew_run(struct load *load, void *(*run)(void *)) {
    struct crew crew;
    crew_start(&crew, load, run);
    crew_wait(&crew, load);
}

static struct process *start_server(struct load *load) {
    char words[512];
    snprintf(words, sizeof words, "%s", load->server);
    if (load->memory_bytes > 0) {
        snprintf(words, sizeof words, "%s --memserver.memory=%" PRIu64, load->server, load->memory_bytes);
    }
    struct process *process = servers_start_named(words);
    load->port = process->port;
    load->sequence = calloc(load->keys, sizeof *load->sequence);
    return process;
}

static void stop_server(struct process *process) {
    report_case(process_stop(process, 15) == 0, "%s ends with exit code 0 after SIGTERM", process->name);
}

/* ---- verify ---- */

static void mode_verify(struct load *load) {
    struct process *process = start_server(load);
    double start = clock_s();
    crew_run(load, client_fill);
    crew_run(load, client_overwrite);
    double written = clock_s();
    crew_run(load, client_check);
    report_case(load->faults == 0,
                "%" PRIu64 " keys of %zu bytes%s, %" PRIu64 " overwrites, depth %u, %u connections: "
                "each byte right (%.1f s, %.1f s)",
                load->keys, load->value_bytes, load->value_bytes ? "" : " (mixed)", atomic_load(&load->overwritten),
                load->depth, load->connections, written - start, clock_s() - written);
    stop_server(process);
}

/* ---- churn ---- */

/* Data memory as the server sees it: blocks nobody owns, and what is taken inside owned ones. */
struct usage {
    double blocks_total, blocks_free, taken_mb;
};

static struct usage take_usage(const struct load *load) {
    struct usage usage = {.blocks_total = info_need(load->port, "pool_blocks_total"),
                          .blocks_free = info_need(load->port, "pool_blocks_free")};
    double owned = (usage.blocks_total - usage.blocks_free) * info_need(load->port, "pool_block_bytes");
    usage.taken_mb = (owned - info_need(load->port, "bytes_owned_free")) / (1 << 20);
    return usage;
}

/* Watches until all overwrites are done; the most that was taken in each half goes to most[]. */
static void churn_watch(struct load *load, double most[2]) {
    uint64_t step = load->overwrites / CHURN_SAMPLES, next = step;
    uint64_t goal = load->overwrites / load->connections * load->connections;
    double start = clock_s(), said = start;
    while (atomic_load(&load->overwritten) < goal && atomic_load(&load->faults) == 0) {
        sleep_s(0.05);
        uint64_t done = atomic_load(&load->overwritten);
        if (done < next)
            continue;
        next += step;
        struct usage usage = take_usage(load);
        int half = done > load->overwrites / 2;
        if (usage.taken_mb > most[half])
            most[half] = usage.taken_mb;
        if (clock_s() - said < CHURN_SAY_S && done < goal)
            continue;
        said = clock_s();
        report_note("%" PRIu64 " overwrites, %.0f a second; %.0f MB taken, %.0f of %.0f blocks free", done,
                    (double)done / (said - start), usage.taken_mb, usage.blocks_free, usage.blocks_total);
    }
}

static void mode_churn(struct load *load) {
    struct process *process = start_server(load);
    struct crew crew;
    double most[2] = {0, 0};
    crew_run(load, client_fill);
    struct usage filled = take_usage(load);
    crew_start(&crew, load, client_overwrite);
    churn_watch(load, most);
    crew_wait(&crew, load);
    report_case(load->faults == 0, "%" PRIu64 " overwrites of %" PRIu64 " keys of mixed sizes: none refused",
                atomic_load(&load->overwritten), load->keys);
    sleep_s(1.0);
    struct usage last = take_usage(load);
    report_case(most[1] <= most[0] * CHURN_GROWTH && last.taken_mb <= filled.taken_mb * CHURN_TAKEN,
                "used memory stays bounded: %.0f MB after the first fill, at most %.0f and %.0f in the two halves, "
                "%.0f at the end",
                filled.taken_mb, most[0], most[1], last.taken_mb);
    crew_run(load, client_check);
    report_case(load->faults == 0, "every key has its last value");
    stop_server(process);
}

/* ---- full ---- */

/* Sets keys first, first + 1, ... of the current size until one is refused; returns how many were taken. */
static uint64_t fill_until_refused(struct load *load, redisContext *context) {
    for (uint64_t key = 0; key < load->keys; key++) {
        load->sequence[key]++;
        send_set(load, context, key, load->sequence[key]);
        redisReply *reply = next_reply(context);
        bool taken = reply->type == REDIS_REPLY_STATUS;
        if (!taken && strncmp(reply->str, "OOM ", 4) != 0)
            fault(load, "filling", key, reply->str);
        freeReplyObject(reply);
        if (!taken)
            return key;
    }
    return load->keys;
}

static void full_read(struct load *load, redisContext *context, uint64_t count, struct prng *prng) {
    uint64_t before = load->faults;
    for (int i = 0; i < 3000 && count > 0; i++) {
        uint64_t key = prng_below(prng, count);
        redisReply *reply = redisCommand(context, "GET load:%llu", (unsigned long long)key);
        check_value(load, key, reply);
        freeReplyObject(reply);
    }
    report_case(load->faults == before, "full: reads go on");
}

/* Writes that the full pool may refuse: whatever it says, key and value must be as it says. */
static void full_overwrite(struct load *load, redisContext *context, uint64_t count, struct prng *prng) {
    uint64_t before = load->faults, refused = 0;
    for (int i = 0; i < 2000 && count > 0; i++) {
        uint64_t key = prng_below(prng, count);
        send_set(load, context, key, load->sequence[key] + 1);
        redisReply *reply = next_reply(context);
        if (reply->type == REDIS_REPLY_STATUS)
            load->sequence[key]++;
        else
            refused++;
        if (reply->type != REDIS_REPLY_STATUS && strncmp(reply->str, "OOM ", 4) != 0) {
            fault(load, "overwriting", key, reply->str);
        }
        freeReplyObject(reply);
        reply = redisCommand(context, "GET load:%llu", (unsigned long long)key);
        check_value(load, key, reply);
        freeReplyObject(reply);
    }
    report_case(load->faults == before, "full: of 2000 overwrites %" PRIu64 " refused, none half done", refused);
}

static void full_delete(struct load *load, redisContext *context, uint64_t count, uint64_t begin) {
    uint64_t before = load->faults;
    for (uint64_t key = begin; key < count; key++) {
        redisReply *reply = redisCommand(context, "DEL load:%llu", (unsigned long long)key);
        bool gone = reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
        if (!gone)
            fault(load, "deleting", key, reply->str ? reply->str : "not there");
        freeReplyObject(reply);
    }
    report_case(load->faults == before, "full: DEL of %" PRIu64 " keys", count - begin);
}

/* Waits until a write of the current size is taken. */
static void full_recover(struct load *load, redisContext *context) {
    double start = clock_s();
    bool taken = false;
    while (!taken && clock_s() - start < RECLAIM_S) {
        send_set(load, context, 0, ++load->sequence[0]);
        redisReply *reply = next_reply(context);
        taken = reply->type == REDIS_REPLY_STATUS;
        freeReplyObject(reply);
        if (!taken)
            sleep_s(0.01);
    }
    report_case(taken, "after DEL writes work again (%.2f s)", clock_s() - start);
}

static void full_round(struct load *load, redisContext *context, size_t value_bytes, double least_share) {
    struct prng prng = {.state = load->seed};
    double capacity = info_need(load->port, "pool_data_bytes_total");
    load->value_bytes = value_bytes;
    uint64_t count = fill_until_refused(load, context);
    double share = (double)count * (double)value_bytes / capacity;
    report_case(count > 0 && count < load->keys && load->faults == 0 && share >= least_share,
                "%" PRIu64 " new keys of %zu bytes, then -OOM (values fill %.0f %% of the data blocks)", count,
                value_bytes, 100 * share);
    full_read(load, context, count, &prng);
    full_overwrite(load, context, count, &prng);
    full_delete(load, context, count, count / 2);
    full_recover(load, context);
    full_read(load, context, count / 2, &prng);
    full_delete(load, context, count / 2, 0);
    full_recover(load, context);
    redisReply *reply = redisCommand(context, "DEL load:0");
    freeReplyObject(reply);
}

static void mode_full(struct load *load) {
    static const struct {
        size_t value_bytes;
        double share; /* of the data blocks that values must be able to fill, for the size and what classes waste */
    } rounds[] = {{1000, 0.5}, {200, 0.3}, {4000, 0.5}, {1000, 0.5}, {16000, 0.5}};
    struct process *process = start_server(load);
    redisContext *context = connect_to(load->port);
    for (size_t i = 0; i < sizeof rounds / sizeof *rounds; i++) {
        full_round(load, context, rounds[i].value_bytes, rounds[i].share);
    }
    redisFree(context);
    stop_server(process);
}

/* ---- idle ---- */

static void measure_idle(const char *name, struct process *const *processes, int count, struct load *load) {
    redisContext *context[50];
    uint64_t ticks[CLUSTER_MAX * 2], most = 0;
    for (int i = 0; i < 50; i++) {
        context[i] = connect_to(load->port);
        freeReplyObject(redisCommand(context[i], "SET idle:%d v EX 1000", i));
    }
    sleep_s(1.0);
    for (int i = 0; i < count; i++)
        ticks[i] = process_ticks(processes[i]->pid);
    sleep_s(IDLE_S);
    for (int i = 0; i < count; i++) {
        uint64_t used = process_ticks(processes[i]->pid) - ticks[i];
        if (used > most)
            most = used;
    }
    report_case(most <= IDLE_TICKS_MAX,
                "%s, idle for %.0f s with 50 clients: at most %" PRIu64 " ticks of CPU a process", name, IDLE_S, most);
    for (int i = 0; i < 50; i++)
        redisFree(context[i]);
}

static void mode_idle(struct load *load) {
    struct process *single = start_server(load);
    measure_idle("embedded pool", &single, 1, load);
    stop_server(single);
    struct cluster cluster = {.memserver_count = 3, .gateway_count = 2, .replicas = 3, .memory_bytes = 128u << 20};
    cluster_start(&cluster);
    struct process *processes[CLUSTER_MAX * 2];
    int count = 0;
    for (int i = 0; i < cluster.gateway_count; i++)
        processes[count++] = cluster.gateway[i];
    for (int i = 0; i < cluster.memserver_count; i++)
        processes[count++] = cluster.memserver[i];
    load->port = cluster.gateway[0]->port;
    measure_idle("2 gateways and 3 memory nodes", processes, count, load);
    report_case(cluster_stop(&cluster), "every process ends with exit code 0 after SIGTERM");
}

static void options(struct load *load, int argc, char **argv) {
    for (int option; (option = getopt(argc, argv, "n:o:d:P:c:s:l:m:")) != -1;) {
        switch (option) {
        case 'n':
            load->keys = strtoull(optarg, NULL, 10);
            break;
        case 'o':
            load->overwrites = strtoull(optarg, NULL, 10);
            break;
        case 'd':
            load->value_bytes = strtoul(optarg, NULL, 10);
            break;
        case 'P':
            load->depth = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'c':
            load->connections = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 's':
            load->seed = strtoull(optarg, NULL, 10);
            break;
        case 'l':
            load->server = optarg;
            break;
        case 'm':
            load->memory_bytes = strtoull(optarg, NULL, 10);
            break;
        default:
            exit(2);
        }
    }
    bool right = load->connections >= 1 && load->connections <= CONNECTIONS_MAX && load->depth >= 1 &&
                 load->value_bytes <= VALUE_BYTES_MAX && optind == argc - 1;
    if (!right)
        report_abort("wrong options; see the top of load.c");
    load->mode = argv[optind];
}

int main(int argc, char **argv) {
    static struct load load = {.server = "fusegate", .keys = 20000, .depth = 16, .connections = 8};
    static const struct {
        const char *name;
        void (*run)(struct load *load);
    } modes[] = {{"verify", mode_verify}, {"churn", mode_churn}, {"full", mode_full}, {"idle", mode_idle}};
    load.seed = prng_fresh_seed();
    options(&load, argc, argv);
    report_note("%s, seed %" PRIu64, load.mode, load.seed);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(modes[i].name, load.mode) != 0)
            continue;
        modes[i].run(&load);
        free(load.sequence);
        return report_finish();
    }
    report_abort("no mode %s", load.mode);
}
