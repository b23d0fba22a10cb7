/* ratio.c: what the engine adds to the adapter: GET and SET through libdm in one thread, beside perftest's raw READ,
 * WRITE and atomic through the same adapter, alternating in one run. Prints ratios of medians and no absolute figure,
 * because those of a software adapter mean nothing. Then how GETs scale with the number of operations in flight.
 *
 *   ratio [-d VALUE BYTES] [-t TURNS]   (default 1024, 3)
 *
 * Needs FUSEGATE_TEST_RDMA and FUSEGATE_TEST_SECRET (tests/common/servers.h).
 */
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dm.h"
#include "fabric/fabric.h"
#include "report.h"
#include "servers.h"

#define TURNS 3 /* medians are taken over so many, */
#define TURNS_MAX 9
#define REST_S 0.4 /* until the session has nothing open any more: nobody polls it while perftest runs */
#define SAMPLES 300
#define SAMPLES_TEXT "300"
#define KEYS 64
#define REPLICAS 2
#define VALUE_MAX 65536
#define DEPTH_MAX 32
#define DEPTH_S 0.7
#define PERFTEST_S 20.0
#define GET_GOAL 1.6 /* times a raw READ of the value's size, on an adapter that carries verbs out by itself */
#define SET_GOAL 3.0
#define GET_MOST 4.0 /* where every verb costs this machine's CPU, as with Soft-RoCE */
#define SET_MOST 9.0
#define READ_LEAST 0.6  /* of a raw READ takes a READ through fabric.h, or perftest was disturbed */
#define DEPTH_LEAST 0.7 /* in software, where one in flight already takes the whole processor */
#define DEPTH_GOAL 1.3  /* times as many GETs a second with DEPTH_MAX in flight as with one */

/* ---- perftest --------------------------------------------------------------------------------------------------- */

/* The fifth number of its result: "bytes iterations min max typical ..." of a latency test in us, "bytes iterations
 * peak average rate" of a bandwidth test in millions a second. 0: none. */
static double perftest_number(const struct process *process) {
    char *text = process_log_text(process), *rest = NULL;
    double fifth = 0;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        double number[5];
        if (sscanf(line, "%lf %lf %lf %lf %lf", &number[0], &number[1], &number[2], &number[3], &number[4]) == 5)
            fifth = number[4];
    }
    free(text);
    return isfinite(fifth) ? fifth : 0; /* it could not find out how fast the clock goes: once more */
}

static struct process *perftest_start(const char *program, const char *bytes, const char *server) {
    static int port;
    struct process_args args = {.argc = 0};
    if (!server)
        port = process_free_port();
    process_args_add(&args, "%s", program);
    process_args_add(&args, "-R");
    process_args_add(&args, "-F");
    process_args_add(&args, "-n");
    process_args_add(&args, SAMPLES_TEXT);
    process_args_add(&args, "-p");
    process_args_add(&args, "%d", port);
    if (bytes) {
        process_args_add(&args, "-s");
        process_args_add(&args, "%s", bytes);
    }
    if (strstr(program, "_bw")) { /* one at a time */
        process_args_add(&args, "-t");
        process_args_add(&args, "1");
    }
    if (server)
        process_args_add(&args, "%s", server);
    return process_start(program, 0, &args);
}

/* Time of one operation in us: the median of a latency test, the mean of ib_write_bw (for ib_write_lat needs the CPUs
 * of both sides). */
static double perftest(const char *program, const char *bytes) {
    for (int attempt = 0; attempt < 5; attempt++) {
        struct process *server = perftest_start(program, bytes, NULL);
        sleep_s(0.5 + 0.5 * attempt); /* it does not say when it listens */
        struct process *client = perftest_start(program, bytes, getenv("FUSEGATE_TEST_RDMA"));
        const bool ended = process_wait_end(client, PERFTEST_S);
        const double number = ended ? perftest_number(client) : 0;
        if (!ended)
            process_stop(client, SIGKILL);
        process_stop(server, SIGKILL);
        if (number > 0)
            return strstr(program, "_bw") ? 1 / number : number;
    }
    report_abort("%s gives no result", program);
}

/* ---- libdm ------------------------------------------------------------------------------------------------------ */

struct bench {
    struct dm_fabric *fabric;
    struct dm_pool *pool;
    struct dm_sched *sched;
    struct dm_session *session;
    char names[KEYS][16];
    uint32_t value_bytes;
    double took_us[SAMPLES];
    double end_s;
    uint64_t done, failed;
};

static uint8_t value[VALUE_MAX];

static void must(enum dm_status status, const char *what, const char *error) {
    if (status != DM_OK)
        report_abort("%s: %s", what, error);
}

static uint32_t secret_read(char *secret, size_t size) {
    const char *path = getenv("FUSEGATE_TEST_SECRET");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file || !fgets(secret, (int)size, file))
        report_abort("FUSEGATE_TEST_SECRET names no file with a secret");
    fclose(file);
    return (uint32_t)strcspn(secret, "\n");
}

static void bench_open(struct bench *bench, const struct cluster *cluster) {
    char error[512] = "", secret[257];
    const char *nodes[CLUSTER_MAX];
    for (int i = 0; i < cluster->memserver_count; i++)
        nodes[i] = cluster->socket[i];
    struct dm_verbs_config config;
    dm_verbs_config_init(&config);
    config.secret = secret;
    config.secret_bytes = secret_read(secret, sizeof secret);
    must(dm_fabric_open_verbs(dm_env_system(), &config, nodes, (uint32_t)cluster->memserver_count, &bench->fabric,
                              error, sizeof error),
         "fabric", error);
    const struct dm_pool_config pool = {.env = dm_env_system(), .fabric = bench->fabric, .replicas = REPLICAS};
    must(dm_pool_open(&pool, &bench->pool, error, sizeof error), "pool", error);
    const struct dm_sched_config few = {.coroutines = 256};
    must(dm_sched_create(dm_env_system(), &few, &bench->sched), "scheduler", "no memory");
    must(dm_session_open(bench->pool, bench->sched, &bench->session, error, sizeof error), "session", error);
    for (int i = 0; i < KEYS; i++)
        snprintf(bench->names[i], sizeof bench->names[i], "key:%d", i);
}

static void bench_close(struct bench *bench) {
    dm_session_close(bench->session);
    dm_sched_destroy(bench->sched);
    dm_pool_close(bench->pool);
    dm_fabric_close(bench->fabric);
}

static enum dm_status get(struct bench *bench, uint64_t i) {
    const struct dm_key key = {bench->names[i % KEYS], (uint32_t)strlen(bench->names[i % KEYS]), 0};
    struct dm_read read = {0};
    const enum dm_status status = dm_get(bench->session, &key, &read);
    if (status == DM_OK && read.value.length != bench->value_bytes)
        report_abort("a value of %u bytes", read.value.length);
    dm_read_release(bench->session, &read);
    return status;
}

static enum dm_status set(struct bench *bench, uint64_t i) {
    const struct dm_key key = {bench->names[i % KEYS], (uint32_t)strlen(bench->names[i % KEYS]), 0};
    struct dm_write write = {.part = {{value, bench->value_bytes}}};
    return dm_put(bench->session, &key, &write);
}

static void gets(void *argument) {
    struct bench *bench = argument;
    for (uint64_t i = 0; i < SAMPLES; i++) {
        const double start_s = clock_s();
        bench->failed += get(bench, i) != DM_OK;
        bench->took_us[i] = (clock_s() - start_s) * 1e6;
    }
}

static void sets(void *argument) {
    struct bench *bench = argument;
    for (uint64_t i = 0; i < SAMPLES; i++) {
        const double start_s = clock_s();
        bench->failed += set(bench, i) != DM_OK;
        bench->took_us[i] = (clock_s() - start_s) * 1e6;
    }
}

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[count / 2];
}

/* READs of the values' size through fabric.h alone; in pairs as a GET posts them: a slot, and an object. */
static double reads_us(struct bench *bench, bool pairs) {
    struct dm_endpoint *endpoint;
    must(bench->fabric->ops->endpoint_open(bench->fabric, NULL, &endpoint), "endpoint", "not opened");
    uint8_t *buffer = bench->fabric->ops->endpoint_memory(endpoint, VALUE_MAX + 64);
    if (!buffer)
        report_abort("no memory");
    for (int i = 0; i < SAMPLES; i++) {
        struct dm_batch batch;
        const double start_s = clock_s();
        dm_batch_init(&batch, NULL);
        if (pairs)
            dm_batch_read(&batch, 0, 0, buffer, 8);
        dm_batch_read(&batch, 0, 4096, buffer + 64, bench->value_bytes);
        dm_fabric_execute(endpoint, &batch);
        bench->took_us[i] = (clock_s() - start_s) * 1e6;
        bench->failed += batch.failed;
    }
    bench->fabric->ops->endpoint_close(endpoint);
    return median(bench->took_us, SAMPLES);
}

static void gets_until(void *argument) {
    struct bench *bench = argument;
    for (uint64_t i = bench->done; clock_s() < bench->end_s; i++) {
        bench->failed += get(bench, i) != DM_OK;
        bench->done++;
    }
}

static void run(struct bench *bench, void (*work)(void *), unsigned coroutines) {
    for (unsigned i = 0; i < coroutines; i++)
        must(dm_sched_spawn(bench->sched, work, bench), "coroutine", "too many");
    while (dm_sched_alive(bench->sched) > 0)
        dm_session_poll(bench->session);
}

static double measured(struct bench *bench, void (*work)(void *)) {
    run(bench, work, 1);
    for (const double end_s = clock_s() + REST_S; clock_s() < end_s;)
        dm_session_poll(bench->session);
    return median(bench->took_us, SAMPLES);
}

/* ---- Runs ------------------------------------------------------------------------------------------------------- */

/* On a real adapter the goal must be met. In software two READs at once take twice the time of one, so that there it is
 * only said how far away the goal is, and a looser bound holds. */
static void goal_judge(const char *what, double ratio, double goal, double most) {
    const bool software = getenv("RDMA_IN_GUEST") != NULL;
    report_note("%s: the goal of %.1f is %s", what, goal, ratio <= goal ? "met" : "missed");
    report_case(ratio <= (software ? most : goal), "%s takes %.2f times a raw READ (at most %.1f)", what, ratio,
                software ? most : goal);
}

static void latencies(struct bench *bench, int turns) {
    double gets_ratio[TURNS_MAX], sets_ratio[TURNS_MAX], writes[TURNS_MAX], atomics[TURNS_MAX], reads[TURNS_MAX],
        pairs[TURNS_MAX];
    char bytes[16];
    snprintf(bytes, sizeof bytes, "%u", bench->value_bytes);
    measured(bench, sets); /* the values, a block, the cache */
    measured(bench, sets);
    measured(bench, gets);
    for (int turn = 0; turn < turns; turn++) {
        const double before = perftest("ib_read_lat", bytes);
        const double get_us = measured(bench, gets), set_us = measured(bench, sets);
        const double raw = (before + perftest("ib_read_lat", bytes)) / 2;
        gets_ratio[turn] = get_us / raw;
        sets_ratio[turn] = set_us / raw;
        reads[turn] = reads_us(bench, false) / raw;
        pairs[turn] = reads_us(bench, true) / raw;
        writes[turn] = perftest("ib_write_bw", bytes) / raw;
        atomics[turn] = perftest("ib_atomic_lat", NULL) / raw;
        report_note("  turn %d of %d: GET %.2f, SET %.2f times a raw READ of %s bytes", turn + 1, turns,
                    gets_ratio[turn], sets_ratio[turn], bytes);
    }
    report_note("raw WRITE %.2f, raw atomic %.2f times a raw READ", median(writes, turns), median(atomics, turns));
    report_note("through fabric.h: a READ %.2f, a READ of 8 bytes and one in a chain %.2f times a raw READ",
                median(reads, turns), median(pairs, turns));
    const double read = median(reads, turns);
    report_case(read >= READ_LEAST,
                "a READ through fabric.h takes %.2f times a raw READ (%.1f or more, or perftest was disturbed)", read,
                READ_LEAST);
    goal_judge("GET (hit)", median(gets_ratio, turns), GET_GOAL, GET_MOST);
    goal_judge("SET (cached, r = 2)", median(sets_ratio, turns), SET_GOAL, SET_MOST);
}

static void depths(struct bench *bench) {
    double one = 0, last = 0;
    for (unsigned depth = 1; depth <= DEPTH_MAX; depth *= 2) {
        double rates[3];
        for (int turn = 0; turn < 3; turn++) {
            bench->done = 0;
            const double start_s = clock_s();
            bench->end_s = start_s + DEPTH_S;
            run(bench, gets_until, depth);
            rates[turn] = (double)bench->done / (clock_s() - start_s);
        }
        last = median(rates, 3);
        one = depth == 1 ? last : one;
        report_note("%2u GETs in flight: %.2f times the throughput of one", depth, last / one);
    }
    const double least = getenv("RDMA_IN_GUEST") ? DEPTH_LEAST : DEPTH_GOAL;
    report_case(last >= one * least, "%d GETs in flight bring %.2f times the throughput of one (at least %.1f)",
                DEPTH_MAX, last / one, least);
}

int main(int argc, char **argv) {
    static struct bench bench = {.value_bytes = 1024};
    int turns = TURNS;
    for (int option; (option = getopt(argc, argv, "d:t:")) != -1;) {
        if (option == 't')
            turns = atoi(optarg);
        else
            bench.value_bytes = option == 'd' ? (uint32_t)atoi(optarg) : 0;
    }
    if (turns < 1 || turns > TURNS_MAX || bench.value_bytes == 0 || bench.value_bytes > VALUE_MAX ||
        !getenv("FUSEGATE_TEST_RDMA"))
        report_abort("usage: ratio [-d VALUE BYTES] [-t TURNS], with FUSEGATE_TEST_RDMA set");
    memset(value, 'v', sizeof value);
    struct cluster cluster = {.memserver_count = 3, .replicas = REPLICAS, .memory_bytes = UINT64_C(64) << 20};
    cluster_start(&cluster);
    bench_open(&bench, &cluster);
    latencies(&bench, turns);
    depths(&bench);
    report_case(bench.failed == 0, "no operation failed");
    bench_close(&bench);
    report_case(cluster_stop(&cluster), "the memory nodes end with exit code 0");
    return report_finish();
}
