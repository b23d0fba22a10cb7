/* fabric_suite.c: see fabric_suite.h. Linked into the test program of each provider. */
#include "fabric_suite.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define AREA_BYTES 4096u
#define THREADS 4u
#define CONTENTION_ROUNDS 20000u
#define TEAR_ROUNDS 100000u
#define LITMUS_ROUNDS 30000u
#define LITMUS_SPOTS 500u /* used in turn, a cache line each */

/* ---- Tools ------------------------------------------------------------------------------------------------------ */

static struct dm_endpoint *endpoint_of(struct dm_fabric *fabric, struct dm_sched *sched) {
    struct dm_endpoint *endpoint = NULL;
    assert_int_equal(fabric->ops->endpoint_open(fabric, sched, &endpoint), DM_OK);
    return endpoint;
}

static void *memory_of(struct dm_endpoint *endpoint, size_t bytes) {
    void *memory = endpoint->fabric->ops->endpoint_memory(endpoint, bytes);
    assert_non_null(memory);
    return memory;
}

static void close_endpoint(struct dm_endpoint *endpoint) { endpoint->fabric->ops->endpoint_close(endpoint); }

static void area_clear(struct dm_endpoint *endpoint, uint16_t node, uint64_t remote, uint32_t bytes) {
    void *zeroes = memory_of(endpoint, bytes);
    struct dm_batch batch;
    dm_batch_init(&batch, NULL);
    dm_batch_write(&batch, node, remote, zeroes, bytes);
    dm_fabric_execute(endpoint, &batch);
    assert_int_equal(batch.failed, 0);
}

/* One word, in a batch of its own; the buffer is an endpoint's. */
static uint64_t word_read(struct dm_endpoint *endpoint, uint16_t node, uint64_t remote, uint64_t *buffer) {
    struct dm_batch batch;
    dm_batch_init(&batch, NULL);
    dm_batch_read(&batch, node, remote, buffer, 8);
    dm_fabric_execute(endpoint, &batch);
    return *buffer;
}

static void word_write(struct dm_endpoint *endpoint, uint16_t node, uint64_t remote, uint64_t *buffer) {
    struct dm_batch batch;
    dm_batch_init(&batch, NULL);
    dm_batch_write(&batch, node, remote, buffer, 8);
    dm_fabric_execute(endpoint, &batch);
}

/* ---- One thread ------------------------------------------------------------------------------------------------- */

static void memory_is_zeroed_and_aligned(const struct fabric_world *world) {
    struct dm_endpoint *endpoint = endpoint_of(world->fabric, world->sched);
    static const size_t sizes[] = {1, 64, 100, 4096, 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const uint8_t *memory = memory_of(endpoint, sizes[i]);
        assert_int_equal((uintptr_t)memory % 64, 0);
        for (size_t at = 0; at < sizes[i]; at++)
            assert_int_equal(memory[at], 0);
    }
    close_endpoint(endpoint);
}

static void a_read_returns_what_was_written(const struct fabric_world *world) {
    static const uint32_t lengths[] = {1,  2,   7,   8,   9,   15,  16,  24,  31,  32,   33,  64,
                                       96, 100, 128, 255, 256, 257, 264, 500, 512, 1000, 4000};
    struct dm_endpoint *endpoint = endpoint_of(world->fabric, world->sched);
    uint8_t *source = memory_of(endpoint, AREA_BYTES);
    uint8_t *target = memory_of(endpoint, AREA_BYTES);
    for (uint32_t i = 0; i < AREA_BYTES; i++)
        source[i] = (uint8_t)(i * 7 + i / 256 + 1);
    for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++)
        for (uint32_t shift = 0; shift < 64; shift++) { /* remote by 0..7, local by 0..7 */
            const uint32_t length = lengths[l];
            const uint64_t remote = 8192 + shift % 8;
            const uint32_t local = 8 + shift / 8;
            area_clear(endpoint, 1, 8184, 8 + length + 16);
            memset(target, 0xee, AREA_BYTES);
            struct dm_batch batch;
            dm_batch_init(&batch, NULL);
            dm_batch_write(&batch, 1, remote, source + local, length);
            dm_batch_read(&batch, 1, remote - 1, target + local - 1, length + 2); /* with both neighbours */
            dm_batch_read(&batch, 1, remote, target + AREA_BYTES - 1, 1);
            dm_fabric_execute(endpoint, &batch);
            assert_int_equal(batch.failed, 0);
            assert_memory_equal(target + local, source + local, length);
            assert_int_equal(target[local - 1], 0); /* nothing before or after was written */
            assert_int_equal(target[local + length], 0);
            assert_int_equal(target[local - 2], 0xee); /* ... nor read */
            assert_int_equal(target[local + length + 1], 0xee);
            assert_int_equal(target[AREA_BYTES - 1], source[local]);
        }
    close_endpoint(endpoint);
}

static void cas_swaps_only_what_it_expects(const struct fabric_world *world) {
    struct dm_endpoint *endpoint = endpoint_of(world->fabric, world->sched);
    uint64_t *buffer = memory_of(endpoint, 64);
    area_clear(endpoint, 0, 64, 64);
    struct dm_batch batch;
    dm_batch_init(&batch, NULL);
    const struct dm_op *first = dm_batch_cas(&batch, 0, 72, 0, 11);
    const struct dm_op *second = dm_batch_cas(&batch, 0, 72, 5, 22);
    const struct dm_op *third = dm_batch_cas(&batch, 0, 72, 11, UINT64_MAX);
    dm_fabric_execute(endpoint, &batch);
    assert_int_equal(batch.failed, 0);
    assert_int_equal(first->result, 0);
    assert_int_equal(second->result, 11);
    assert_int_equal(third->result, 11);
    assert_true(word_read(endpoint, 0, 72, buffer) == UINT64_MAX);
    assert_int_equal(word_read(endpoint, 0, 64, buffer), 0); /* neighbours stay */
    assert_int_equal(word_read(endpoint, 0, 80, buffer), 0);
    close_endpoint(endpoint);
}

static void faa_adds_and_wraps(const struct fabric_world *world) {
    struct dm_endpoint *endpoint = endpoint_of(world->fabric, world->sched);
    uint64_t *buffer = memory_of(endpoint, 64);
    area_clear(endpoint, 2, 64, 64);
    struct dm_batch batch;
    dm_batch_init(&batch, NULL);
    const struct dm_op *first = dm_batch_faa(&batch, 2, 72, UINT64_MAX);
    const struct dm_op *second = dm_batch_faa(&batch, 2, 72, 3);
    dm_fabric_execute(endpoint, &batch);
    assert_int_equal(batch.failed, 0);
    assert_int_equal(first->result, 0);
    assert_true(second->result == UINT64_MAX);
    assert_int_equal(word_read(endpoint, 2, 72, buffer), 2);
    assert_int_equal(word_read(endpoint, 2, 64, buffer), 0);
    assert_int_equal(word_read(endpoint, 2, 80, buffer), 0);
    close_endpoint(endpoint);
}

static void a_chain_takes_effect_in_order(const struct fabric_world *world) {
    struct dm_endpoint *endpoint = endpoint_of(world->fabric, world->sched);
    uint64_t *words = memory_of(endpoint, 128);
    area_clear(endpoint, 1, 128, 8);
    words[0] = 1;
    words[1] = 2;
    struct dm_batch batch;
    dm_batch_init(&batch, NULL);
    dm_batch_write(&batch, 1, 128, &words[0], 8);
    dm_batch_read(&batch, 1, 128, &words[8], 8); /* WRITE->READ */
    dm_batch_write(&batch, 1, 128, &words[1], 8)->flags = DM_OP_FENCE;
    const struct dm_op *cas = dm_batch_cas(&batch, 1, 128, 2, 30); /* WRITE->CAS */
    dm_batch_read(&batch, 1, 128, &words[9], 8);                   /* CAS->READ */
    struct dm_op *faa = dm_batch_faa(&batch, 1, 128, 4);
    faa->flags = DM_OP_FENCE;
    const struct dm_op *last = dm_batch_cas(&batch, 1, 128, 34, 50); /* FAA->CAS */
    dm_batch_read(&batch, 1, 128, &words[10], 8);
    dm_fabric_execute(endpoint, &batch);
    assert_int_equal(batch.failed, 0);
    assert_int_equal(words[8], 1);
    assert_int_equal(cas->result, 2);
    assert_int_equal(words[9], 30);
    assert_int_equal(faa->result, 30);
    assert_int_equal(last->result, 34);
    assert_int_equal(words[10], 50);
    close_endpoint(endpoint);
}

static void a_fenced_write_waits_for_the_read_before(const struct fabric_world *world) {
    struct dm_endpoint *endpoint = endpoint_of(world->fabric, world->sched);
    uint64_t *words = memory_of(endpoint, 64);
    area_clear(endpoint, 0, 256, 8);
    words[1] = 9;
    struct dm_batch batch;
    dm_batch_init(&batch, NULL);
    dm_batch_read(&batch, 0, 256, &words[0], 8);
    dm_batch_write(&batch, 0, 256, &words[1], 8)->flags = DM_OP_FENCE;
    dm_fabric_execute(endpoint, &batch);
    assert_int_equal(words[0], 0);
    assert_int_equal(word_read(endpoint, 0, 256, &words[2]), 9);
    close_endpoint(endpoint);
}

static void a_cas_that_does_not_match_is_no_error(const struct fabric_world *world) {
    struct dm_endpoint *endpoint = endpoint_of(world->fabric, world->sched);
    uint64_t *words = memory_of(endpoint, 64);
    area_clear(endpoint, 0, 320, 16);
    words[0] = 7;
    struct dm_batch batch;
    dm_batch_init(&batch, NULL);
    const struct dm_op *cas = dm_batch_cas(&batch, 0, 320, 1, 2);
    dm_batch_write(&batch, 0, 328, &words[0], 8);
    dm_batch_read(&batch, 0, 320, &words[2], 16);
    dm_fabric_execute(endpoint, &batch);
    assert_int_equal(batch.failed, 0);
    assert_int_equal(cas->status, DM_OP_DONE);
    assert_int_equal(cas->result, 0);
    assert_int_equal(words[2], 0);
    assert_int_equal(words[3], 7);
    close_endpoint(endpoint);
}

static void a_full_batch_reaches_every_node(const struct fabric_world *world) {
    struct dm_endpoint *endpoint = endpoint_of(world->fabric, world->sched);
    uint64_t *words = memory_of(endpoint, 2 * DM_BATCH_OPS * sizeof(uint64_t));
    struct dm_batch batch;
    dm_batch_init(&batch, NULL);
    for (uint16_t i = 0; dm_batch_room(&batch) > 0; i++) {
        words[i] = 1000 + i;
        dm_batch_write(&batch, i % SUITE_NODES, 1024 + 8u * i, &words[i], 8);
    }
    assert_int_equal(batch.count, DM_BATCH_OPS);
    dm_fabric_execute(endpoint, &batch);
    assert_int_equal(batch.failed, 0);
    for (uint16_t i = 0; i < DM_BATCH_OPS; i++)
        assert_int_equal(word_read(endpoint, i % SUITE_NODES, 1024 + 8u * i, &words[DM_BATCH_OPS + i]), 1000 + i);
    close_endpoint(endpoint);
}

static void costs_are_counted_exactly(const struct fabric_world *world) {
    struct dm_endpoint *endpoint = endpoint_of(world->fabric, world->sched);
    uint8_t *buffer = memory_of(endpoint, 1024);
    struct dm_cost account = {.reads = 100};
    struct dm_batch batch;
    dm_batch_init(&batch, &account);
    dm_fabric_execute(endpoint, &batch); /* nothing posted */
    assert_int_equal(account.round_trips, 0);
    dm_batch_read(&batch, 0, 0, buffer, 100);
    dm_batch_read(&batch, 1, 0, buffer + 128, 28);
    dm_batch_write(&batch, 2, 2048, buffer + 256, 300);
    dm_batch_cas(&batch, 0, 2048, 1, 1);
    dm_batch_cas(&batch, 1, 2048, 1, 1);
    dm_batch_cas(&batch, 2, 3072, 1, 1);
    dm_batch_faa(&batch, 2, 3080, 0);
    dm_fabric_execute(endpoint, &batch);
    dm_batch_init(&batch, &account);
    dm_batch_write(&batch, 0, 2048, buffer, 1);
    dm_fabric_execute(endpoint, &batch);
    const struct dm_cost total = {.round_trips = 2,
                                  .reads = 2,
                                  .writes = 2,
                                  .compare_swaps = 3,
                                  .fetch_adds = 1,
                                  .bytes_read = 128 + 4 * 8,
                                  .bytes_written = 301 + 4 * 8};
    assert_memory_equal(&endpoint->total, &total, sizeof total);
    account.reads -= 100; /* was added to, not set */
    assert_memory_equal(&account, &total, sizeof total);
    assert_int_equal(endpoint->operations_failed, 0);
    assert_int_equal(endpoint->fabric->ops->pending(endpoint), 0);
    close_endpoint(endpoint);
}

/* What lies outside of the node fails; the rest of that chain is flushed, other chains are not concerned. */
static void an_operation_outside_of_the_node_breaks_only_its_chain(const struct fabric_world *world) {
    static const struct {
        uint64_t remote;
        uint32_t length;
    } outside[] = {{SUITE_NODE_BYTES, 8},     {SUITE_NODE_BYTES - 8, 16},
                   {SUITE_NODE_BYTES - 4, 8}, {UINT64_MAX - 7, 8},
                   {UINT64_MAX - 7, 1024},    {UINT64_MAX, 1},
                   {SUITE_NODE_BYTES + 1, 1}, {0, UINT32_MAX}};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
        for (int write = 0; write < 2; write++) {
            struct dm_endpoint *endpoint = endpoint_of(world->fabric, world->sched);
            uint64_t *words = memory_of(endpoint, 1024);
            words[0] = 77;
            struct dm_batch batch;
            dm_batch_init(&batch, NULL);
            dm_batch_write(&batch, 0, 4096, &words[0], 8);
            if (write)
                dm_batch_write(&batch, 0, outside[i].remote, words, outside[i].length);
            else
                dm_batch_read(&batch, 0, outside[i].remote, words, outside[i].length);
            dm_batch_write(&batch, 1, 4096, &words[0], 8);
            dm_batch_faa(&batch, 0, 4104, 1);
            dm_batch_read(&batch, 0, 4096, &words[8], 8);
            dm_batch_read(&batch, 1, 4096, &words[9], 8);
            dm_fabric_execute(endpoint, &batch);
            static const uint8_t expected[] = {DM_OP_DONE,    DM_OP_FAILED,  DM_OP_DONE,
                                               DM_OP_FLUSHED, DM_OP_FLUSHED, DM_OP_DONE};
            for (size_t op = 0; op < sizeof expected; op++)
                assert_int_equal(batch.ops[op].status, expected[op]);
            assert_int_equal(batch.failed, 3);
            assert_int_equal(endpoint->operations_failed, 3);
            assert_int_equal(words[9], 77);
            close_endpoint(endpoint);
        }
}

static void the_last_bytes_of_a_node_can_be_used(const struct fabric_world *world) {
    struct dm_endpoint *endpoint = endpoint_of(world->fabric, world->sched);
    uint64_t *words = memory_of(endpoint, 64);
    area_clear(endpoint, 1, SUITE_NODE_BYTES - 8, 8);
    struct dm_batch batch;
    dm_batch_init(&batch, NULL);
    dm_batch_faa(&batch, 1, SUITE_NODE_BYTES - 8, 6);
    dm_batch_read(&batch, 1, SUITE_NODE_BYTES - 8, words, 8);
    dm_batch_read(&batch, 1, SUITE_NODE_BYTES, words + 1, 0);
    dm_fabric_execute(endpoint, &batch);
    assert_int_equal(batch.failed, 0);
    assert_int_equal(words[0], 6);
    close_endpoint(endpoint);
}

static void another_mapping_sees_and_changes_the_same_memory(const struct fabric_world *world) {
    struct dm_endpoint *here = endpoint_of(world->fabric, world->sched);
    struct dm_endpoint *there = endpoint_of(world->other, world->sched);
    uint64_t *mine = memory_of(here, 64);
    uint64_t *theirs = memory_of(there, 64);
    for (uint16_t node = 0; node < SUITE_NODES; node++) {
        *mine = 500 + node;
        word_write(here, node, 5120, mine);
        assert_int_equal(word_read(there, node, 5120, theirs), 500 + node);
        struct dm_batch batch;
        dm_batch_init(&batch, NULL);
        const struct dm_op *cas = dm_batch_cas(&batch, node, 5120, 500 + node, 900);
        dm_fabric_execute(there, &batch);
        assert_int_equal(cas->result, 500 + node);
        assert_int_equal(word_read(here, node, 5120, mine), 900);
    }
    close_endpoint(there);
    close_endpoint(here);
}

/* ---- Several threads -------------------------------------------------------------------------------------------- */

struct contender {
    pthread_t thread;
    struct dm_endpoint *endpoint;
    uint64_t *buffer;
    uint64_t swaps;
    uint64_t wrong;
    unsigned index;
    struct dm_sched *sched;
    struct dm_fabric *fabric;
};

/* Half of the threads come through the other mapping. */
static void contenders_run(const struct fabric_world *world, struct contender *all, unsigned count,
                           void *(*work)(void *)) {
    for (unsigned i = 0; i < count; i++) {
        all[i] = (struct contender){.index = i, .sched = world->sched, .fabric = i % 2 ? world->other : world->fabric};
        assert_int_equal(pthread_create(&all[i].thread, NULL, work, &all[i]), 0);
    }
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(pthread_join(all[i].thread, NULL), 0);
}

/* Endpoints belong to the thread that opens them. False: could not, and counted as wrong. */
static bool contender_begin(struct contender *contender) {
    struct dm_fabric *fabric = contender->fabric;
    contender->wrong = 1;
    if (fabric->ops->endpoint_open(fabric, contender->sched, &contender->endpoint) != DM_OK)
        return false;
    contender->buffer = fabric->ops->endpoint_memory(contender->endpoint, 1024);
    if (!contender->buffer) {
        close_endpoint(contender->endpoint);
        return false;
    }
    contender->wrong = 0;
    return true;
}

static void *contend(void *argument) {
    struct contender *contender = argument;
    if (!contender_begin(contender))
        return NULL;
    uint64_t guess = 0;
    for (unsigned i = 0; i < CONTENTION_ROUNDS; i++) {
        struct dm_batch batch;
        dm_batch_init(&batch, NULL);
        const struct dm_op *cas = dm_batch_cas(&batch, 0, 6144, guess, guess + 1);
        dm_batch_faa(&batch, 1, 6144, 3);
        dm_fabric_execute(contender->endpoint, &batch);
        contender->wrong += batch.failed;
        const bool swapped = cas->result == guess;
        contender->swaps += swapped;
        guess = swapped ? guess + 1 : cas->result;
    }
    close_endpoint(contender->endpoint);
    return NULL;
}

static void atomics_of_many_threads_add_up_exactly(const struct fabric_world *world) {
    struct dm_endpoint *endpoint = endpoint_of(world->fabric, world->sched);
    uint64_t *buffer = memory_of(endpoint, 64);
    area_clear(endpoint, 0, 6144, 8);
    area_clear(endpoint, 1, 6144, 8);
    struct contender all[THREADS];
    contenders_run(world, all, THREADS, contend);
    uint64_t swaps = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(all[i].wrong, 0);
        assert_true(all[i].swaps > 0);
        swaps += all[i].swaps;
    }
    assert_int_equal(word_read(endpoint, 0, 6144, buffer), swaps);
    assert_int_equal(word_read(endpoint, 1, 6144, buffer), (uint64_t)THREADS * CONTENTION_ROUNDS * 3);
    close_endpoint(endpoint);
}

/* Even threads write 16 words, each of one byte repeated; odd ones read and look for a word of two kinds. */
static void *tear(void *argument) {
    struct contender *contender = argument;
    if (!contender_begin(contender))
        return NULL;
    const bool writes = contender->index < THREADS / 2;
    const uint64_t ones = UINT64_C(0x0101010101010101);
    for (unsigned i = 0; i < TEAR_ROUNDS; i++) {
        struct dm_batch batch;
        dm_batch_init(&batch, NULL);
        for (unsigned word = 0; writes && word < 16; word++)
            contender->buffer[word] = ones * ((i + word + contender->index * 101) % 256);
        if (writes)
            dm_batch_write(&batch, 0, 7168, contender->buffer, 128);
        else
            dm_batch_read(&batch, 0, 7168, contender->buffer, 128);
        dm_fabric_execute(contender->endpoint, &batch);
        for (unsigned word = 0; !writes && word < 16; word++)
            contender->wrong += contender->buffer[word] != ones * (contender->buffer[word] & 0xff);
    }
    close_endpoint(contender->endpoint);
    return NULL;
}

static void words_are_never_torn(const struct fabric_world *world) {
    struct dm_endpoint *endpoint = endpoint_of(world->fabric, world->sched);
    area_clear(endpoint, 0, 7168, 128);
    struct contender all[THREADS];
    contenders_run(world, all, THREADS, tear);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(all[i].wrong, 0);
    close_endpoint(endpoint);
}

/* Store buffering: two threads each write one word and read the other's. If a WRITE were not visible when its batch
 * ends (or, on one chain, when the READ behind it is done), both could read the old value. */
static uint32_t litmus_turn[2];
static uint8_t litmus_seen[2][LITMUS_ROUNDS];

static void litmus_meet(unsigned self, uint32_t round) {
    __atomic_store_n(&litmus_turn[self], round + 1, __ATOMIC_SEQ_CST);
    for (unsigned spins = 0; __atomic_load_n(&litmus_turn[1 - self], __ATOMIC_SEQ_CST) < round + 1; spins++)
        if (spins > 2000)
            sched_yield();
}

static void *litmus(void *argument) {
    struct contender *contender = argument;
    if (!contender_begin(contender)) {
        __atomic_store_n(&litmus_turn[contender->index], UINT32_MAX, __ATOMIC_SEQ_CST);
        return NULL;
    }
    const uint64_t x = 65536, y = x + 64 * LITMUS_SPOTS;
    const uint64_t own = contender->index ? y : x, others = contender->index ? x : y;
    contender->buffer[0] = 1;
    for (uint32_t i = 0; i < LITMUS_ROUNDS; i++) {
        const uint64_t at = i % LITMUS_SPOTS * UINT64_C(64);
        struct dm_batch batch;
        dm_batch_init(&batch, NULL);
        contender->buffer[0] = i + 1;
        dm_batch_write(&batch, 0, own + at, contender->buffer, 8);
        if (i % 2) { /* two batches; the other case is one chain */
            litmus_meet(contender->index, i);
            dm_fabric_execute(contender->endpoint, &batch);
            dm_batch_init(&batch, NULL);
        } else {
            litmus_meet(contender->index, i);
        }
        dm_batch_read(&batch, 0, others + at, contender->buffer + 8, 8);
        dm_fabric_execute(contender->endpoint, &batch);
        litmus_seen[contender->index][i] = contender->buffer[8] >= i + 1;
        contender->wrong += batch.failed;
    }
    close_endpoint(contender->endpoint);
    return NULL;
}

static void a_write_is_visible_before_a_later_read(const struct fabric_world *world) {
    struct dm_endpoint *endpoint = endpoint_of(world->fabric, world->sched);
    area_clear(endpoint, 0, 65536, 2 * 64 * LITMUS_SPOTS);
    memset(litmus_turn, 0, sizeof litmus_turn);
    struct contender all[2];
    contenders_run(world, all, 2, litmus);
    assert_int_equal(all[0].wrong + all[1].wrong, 0);
    unsigned neither = 0;
    for (uint32_t i = 0; i < LITMUS_ROUNDS; i++)
        neither += !litmus_seen[0][i] && !litmus_seen[1][i];
    assert_int_equal(neither, 0);
    close_endpoint(endpoint);
}

/* ---- Table ------------------------------------------------------------------------------------------------------ */

#define CASE(function)                                                                                                 \
    { #function, function }

const struct fabric_case fabric_cases[] = {
    CASE(memory_is_zeroed_and_aligned),
    CASE(a_read_returns_what_was_written),
    CASE(cas_swaps_only_what_it_expects),
    CASE(faa_adds_and_wraps),
    CASE(a_chain_takes_effect_in_order),
    CASE(a_fenced_write_waits_for_the_read_before),
    CASE(a_cas_that_does_not_match_is_no_error),
    CASE(a_full_batch_reaches_every_node),
    CASE(costs_are_counted_exactly),
    CASE(an_operation_outside_of_the_node_breaks_only_its_chain),
    CASE(the_last_bytes_of_a_node_can_be_used),
    CASE(another_mapping_sees_and_changes_the_same_memory),
    CASE(atomics_of_many_threads_add_up_exactly),
    CASE(words_are_never_torn),
    CASE(a_write_is_visible_before_a_later_read),
};
const unsigned fabric_case_count = sizeof fabric_cases / sizeof fabric_cases[0];

struct suite_state {
    const struct fabric_case *one;
    const struct fabric_world *world;
};

static void case_run(void **state) {
    const struct suite_state *suite = *state;
    suite->one->run(suite->world);
}

int fabric_suite_run(const char *group, const struct fabric_world *world) {
    struct CMUnitTest tests[sizeof fabric_cases / sizeof fabric_cases[0]];
    struct suite_state states[sizeof fabric_cases / sizeof fabric_cases[0]];
    for (unsigned i = 0; i < fabric_case_count; i++) {
        states[i] = (struct suite_state){&fabric_cases[i], world};
        tests[i] =
            (struct CMUnitTest){.name = fabric_cases[i].name, .test_func = case_run, .initial_state = &states[i]};
    }
    return _cmocka_run_group_tests(group, tests, fabric_case_count, NULL, NULL);
}
