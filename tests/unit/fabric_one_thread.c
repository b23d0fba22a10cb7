/* fabric_one_thread.c: cases of the fabric's suite that one thread runs: what each operation does, order within a
 * chain, costs, bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "fabric_cases.h"

#define AREA_BYTES 4096u

void memory_is_zeroed_and_aligned(const struct fabric_world *world) {
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

void a_read_returns_what_was_written(const struct fabric_world *world) {
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

void cas_swaps_only_what_it_expects(const struct fabric_world *world) {
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

void faa_adds_and_wraps(const struct fabric_world *world) {
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

void a_chain_takes_effect_in_order(const struct fabric_world *world) {
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

void a_fenced_write_waits_for_the_read_before(const struct fabric_world *world) {
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

void a_cas_that_does_not_match_is_no_error(const struct fabric_world *world) {
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

void a_full_batch_reaches_every_node(const struct fabric_world *world) {
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

void costs_are_counted_exactly(const struct fabric_world *world) {
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
void an_operation_outside_of_the_node_breaks_only_its_chain(const struct fabric_world *world) {
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

void the_last_bytes_of_a_node_can_be_used(const struct fabric_world *world) {
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

void another_mapping_sees_and_changes_the_same_memory(const struct fabric_world *world) {
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
