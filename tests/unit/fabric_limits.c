/* fabric_limits.c: cases of the fabric's suite at the limits of a provider: long transfers, more operations at once
 * than a queue pair holds, many endpoints, and the way back from an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "fabric_cases.h"

#define LARGE_BYTES (2u << 20)
#define AREA UINT64_C(0x180000) /* where these cases work, in each node */
#define COROUTINES 96u
#define ENDPOINTS 24u
#define RECOVERY_MS 10000u

/* ---- Long ------------------------------------------------------------------------------------------------------- */

void large_transfers_arrive_whole(const struct fabric_world *world) {
    static const uint32_t lengths[] = {4096, 4097, 65536, 1000003, LARGE_BYTES};
    struct dm_endpoint *endpoint = endpoint_of(world->fabric, world->sched);
    uint8_t *source = memory_of(endpoint, LARGE_BYTES);
    uint8_t *target = memory_of(endpoint, LARGE_BYTES);
    for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
        for (uint32_t i = 0; i < lengths[l]; i++)
            source[i] = (uint8_t)(i * 31 + i / 251 + l);
        memset(target, 0, lengths[l]);
        struct dm_batch batch;
        dm_batch_init(&batch, NULL);
        dm_batch_write(&batch, 1, AREA + l, source, lengths[l]);
        dm_batch_read(&batch, 1, AREA + l, target, lengths[l]); /* behind the WRITE, on one chain */
        dm_fabric_execute(endpoint, &batch);
        assert_int_equal(batch.failed, 0);
        assert_memory_equal(target, source, lengths[l]);
    }
    close_endpoint(endpoint);
}

/* ---- Many at once ----------------------------------------------------------------------------------------------- */

/* More READs on one chain than adapters work on at a time. */
void a_chain_of_reads_brings_every_word(const struct fabric_world *world) {
    struct dm_endpoint *endpoint = endpoint_of(world->fabric, world->sched);
    uint64_t *words = memory_of(endpoint, 2 * DM_BATCH_OPS * sizeof *words);
    for (uint32_t i = 0; i < DM_BATCH_OPS; i++)
        words[i] = 7000 + i;
    struct dm_batch batch;
    dm_batch_init(&batch, NULL);
    dm_batch_write(&batch, 2, AREA, words, DM_BATCH_OPS * sizeof *words);
    dm_fabric_execute(endpoint, &batch);
    dm_batch_init(&batch, NULL);
    for (uint32_t i = 0; i < DM_BATCH_OPS; i++)
        dm_batch_read(&batch, 2, AREA + 8 * i, &words[DM_BATCH_OPS + i], 8);
    dm_fabric_execute(endpoint, &batch);
    assert_int_equal(batch.failed, 0);
    assert_memory_equal(words, words + DM_BATCH_OPS, DM_BATCH_OPS * sizeof *words);
    close_endpoint(endpoint);
}

struct chain {
    struct dm_endpoint *endpoint;
    uint64_t *words;
    uint32_t index;
    uint64_t wrong;
    struct dm_batch batch;
};

/* A full chain: each coroutine adds to the words in turn, and reads what is its own alone. */
static void chain_run(void *argument) {
    struct chain *chain = argument;
    struct dm_batch *batch = &chain->batch;
    dm_batch_init(batch, NULL);
    chain->words[0] = chain->index;
    dm_batch_write(batch, 0, AREA + 4096 + 8 * chain->index, &chain->words[0], 8);
    while (dm_batch_room(batch) > 1) {
        dm_batch_faa(batch, 0, AREA + 8 * batch->count, chain->index);
    }
    dm_batch_read(batch, 0, AREA + 4096 + 8 * chain->index, &chain->words[1], 8);
    dm_fabric_execute(chain->endpoint, batch);
    chain->wrong = batch->failed + (chain->words[1] != chain->index);
}

/* Many coroutines post full chains at once: together more than a send queue holds. The provider makes them wait. */
void chains_of_many_coroutines_take_turns(const struct fabric_world *world) {
    static struct chain chains[COROUTINES];
    const struct dm_sched_config config = {.coroutines = COROUTINES};
    struct dm_sched *sched;
    assert_int_equal(dm_sched_create(world->fabric->env, &config, &sched), DM_OK);
    struct dm_endpoint *plain = endpoint_of(world->fabric, world->sched);
    area_clear(plain, 0, AREA, 4096 + 8 * COROUTINES);
    struct dm_endpoint *endpoint = endpoint_of(world->fabric, sched);
    uint64_t *words = memory_of(endpoint, 2 * COROUTINES * sizeof *words);
    for (uint32_t i = 0; i < COROUTINES; i++) {
        chains[i] = (struct chain){.endpoint = endpoint, .words = words + 2 * i, .index = i};
        assert_int_equal(dm_sched_spawn(sched, chain_run, &chains[i]), DM_OK);
    }
    while (dm_sched_alive(sched) > 0) {
        world->fabric->ops->poll(endpoint);
        dm_sched_run(sched);
    }
    for (uint32_t i = 0; i < COROUTINES; i++)
        assert_int_equal(chains[i].wrong, 0);
    assert_int_equal(world->fabric->ops->pending(endpoint), 0);
    uint64_t *seen = memory_of(plain, 8);
    for (uint32_t i = 1; i < DM_BATCH_OPS - 1; i++)
        assert_int_equal(word_read(plain, 0, AREA + 8 * i, seen), COROUTINES * (COROUTINES - 1) / 2);
    close_endpoint(endpoint);
    close_endpoint(plain);
    dm_sched_destroy(sched);
}

void many_endpoints_live_side_by_side(const struct fabric_world *world) {
    struct dm_endpoint *endpoints[ENDPOINTS];
    for (uint32_t i = 0; i < ENDPOINTS; i++)
        endpoints[i] = endpoint_of(i % 2 ? world->other : world->fabric, world->sched);
    uint64_t *word = memory_of(endpoints[0], 8);
    area_clear(endpoints[0], 0, AREA, 8);
    for (uint32_t turn = 0; turn < 3; turn++)
        for (uint32_t i = 0; i < ENDPOINTS; i++) {
            struct dm_batch batch;
            dm_batch_init(&batch, NULL);
            const struct dm_op *faa = dm_batch_faa(&batch, 0, AREA, 1);
            dm_fabric_execute(endpoints[i], &batch);
            assert_int_equal(batch.failed, 0);
            assert_int_equal(faa->result, turn * ENDPOINTS + i);
        }
    assert_int_equal(word_read(endpoints[0], 0, AREA, word), 3 * ENDPOINTS);
    for (uint32_t i = ENDPOINTS; i-- > 0;)
        close_endpoint(endpoints[i]);
}

/* ---- Errors ----------------------------------------------------------------------------------------------------- */

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A broken queue pair is connected again behind the endpoint's back; until then batches for that node fail, but not at
 * once: whoever tries again and again does not spin. */
static void expect_recovery(struct dm_endpoint *endpoint, uint16_t node, uint64_t *buffer) {
    const uint64_t begin_ms = now_ms();
    uint64_t failures = 0;
    struct dm_batch batch;
    do {
        dm_batch_init(&batch, NULL);
        *buffer = 4711;
        dm_batch_write(&batch, node, AREA, buffer, 8);
        dm_batch_read(&batch, node, AREA, buffer + 1, 8);
        dm_fabric_execute(endpoint, &batch);
        failures += batch.failed != 0;
    } while (batch.failed != 0 && now_ms() - begin_ms < RECOVERY_MS);
    assert_int_equal(batch.failed, 0);
    assert_int_equal(buffer[1], 4711);
    assert_in_range(failures, 0, 1 + now_ms() - begin_ms);
}

void an_endpoint_goes_on_after_an_error(const struct fabric_world *world) {
    struct dm_endpoint *endpoint = endpoint_of(world->fabric, world->sched);
    uint64_t *buffer = memory_of(endpoint, 64);
    for (uint32_t turn = 0; turn < 3; turn++) {
        struct dm_batch batch;
        dm_batch_init(&batch, NULL);
        dm_batch_read(&batch, 1, SUITE_NODE_BYTES, buffer, 8);
        dm_batch_faa(&batch, 1, AREA, 1);
        dm_fabric_execute(endpoint, &batch);
        assert_int_equal(batch.ops[0].status, DM_OP_FAILED);
        assert_int_equal(batch.ops[1].status, DM_OP_FLUSHED);
        expect_recovery(endpoint, 1, buffer);
    }
    close_endpoint(endpoint);
}

/* The node itself is asked for what it has not: this side believes that there is more. */
void what_the_node_refuses_breaks_only_its_chain(const struct fabric_world *world) {
    struct dm_endpoint *endpoint = endpoint_of(world->fabric, world->sched);
    uint64_t *buffer = memory_of(endpoint, 4096);
    const uint64_t real_bytes = world->fabric->node_bytes[1];
    for (enum dm_op_kind kind = DM_OP_READ; kind <= DM_OP_FAA; kind++) {
        struct dm_batch batch;
        dm_batch_init(&batch, NULL);
        world->fabric->node_bytes[1] = real_bytes + 65536;
        dm_batch_write(&batch, 1, AREA, buffer, 8);
        struct dm_op *refused = dm_batch_read(&batch, 1, real_bytes + 4096, buffer + 8, 8);
        refused->kind = (uint8_t)kind;
        dm_batch_faa(&batch, 1, AREA + 8, 1);
        dm_batch_write(&batch, 2, AREA, buffer, 8);
        dm_fabric_execute(endpoint, &batch);
        world->fabric->node_bytes[1] = real_bytes;
        static const uint8_t expected[] = {DM_OP_DONE, DM_OP_FAILED, DM_OP_FLUSHED, DM_OP_DONE};
        for (size_t i = 0; i < sizeof expected; i++)
            assert_int_equal(batch.ops[i].status, expected[i]);
        assert_int_equal(batch.failed, 2);
        expect_recovery(endpoint, 1, buffer);
    }
    close_endpoint(endpoint);
}
