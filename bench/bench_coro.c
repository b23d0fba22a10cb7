/* bench_coro.c: what a coroutine costs, beside a call through a pointer in the same run. Ratios; absolute figures
 * depend on the machine. Prints one line per case: median of several rounds. One thread, no pool.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "coro/coro.h"
#include "dm.h"

#define ROUNDS 9
#define TURNS 1000000u
#define PARKED 256u /* coroutines that take turns, as requests in flight do */

struct bench {
    const struct dm_env *env;
    struct dm_sched *sched;
    struct dm_coro *parked[PARKED];
    uint32_t parked_count;
    uint64_t counter;
    bool stopping;
};

static void count_one(void *argument) { ((struct bench *)argument)->counter++; }

static void park_forever(void *argument) {
    struct bench *bench = argument;

    bench->parked[bench->parked_count++] = dm_coro_self(bench->sched);
    while (!bench->stopping) {
        dm_coro_park(bench->sched);
        bench->counter++;
    }
}

static void turn_call(struct bench *bench) {
    void (*volatile fn)(void *) = count_one;

    for (uint32_t i = 0; i < TURNS; i++) {
        fn(bench);
    }
}

static void turn_spawn(struct bench *bench) {
    for (uint32_t i = 0; i < TURNS; i++) {
        if (dm_sched_spawn(bench->sched, count_one, bench) != DM_OK) {
            exit(1);
        }
    }
}

static void wake_all(struct bench *bench) {
    for (uint32_t i = 0; i < bench->parked_count; i++) {
        dm_coro_wake(bench->parked[i]);
    }
    dm_sched_run(bench->sched);
}

static void turn_park(struct bench *bench) {
    for (uint32_t done = 0; done < TURNS; done += bench->parked_count) {
        wake_all(bench);
    }
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Median ns of one turn. */
static double measure_ns(struct bench *bench, void (*turn)(struct bench *)) {
    double rounds[ROUNDS];

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t counted = bench->counter;
        uint64_t started_ns = bench->env->clock_ns(bench->env->context);
        turn(bench);
        uint64_t spent_ns = bench->env->clock_ns(bench->env->context) - started_ns;
        rounds[round] = (double)spent_ns / (double)(bench->counter - counted);
    }
    qsort(rounds, ROUNDS, sizeof rounds[0], compare_doubles);
    return rounds[ROUNDS / 2];
}

int main(void) {
    struct bench bench = {.env = dm_env_system()};

    if (dm_sched_create(bench.env, NULL, &bench.sched) != DM_OK) {
        return 1;
    }
    double call_ns = measure_ns(&bench, turn_call);
    double spawn_ns = measure_ns(&bench, turn_spawn);
    while (bench.parked_count < PARKED) {
        if (dm_sched_spawn(bench.sched, park_forever, &bench) != DM_OK) {
            return 1;
        }
    }
    double park_ns = measure_ns(&bench, turn_park);

    printf("call through a pointer        %7.1f ns  1.0\n", call_ns);
    printf("spawn and end                 %7.1f ns  %.1f calls\n", spawn_ns, spawn_ns / call_ns);
    printf("wake, resume, park (of %u)   %7.1f ns  %.1f calls\n", PARKED, park_ns, park_ns / call_ns);
    bench.stopping = true;
    wake_all(&bench);
    dm_sched_destroy(bench.sched);
    return 0;
}
