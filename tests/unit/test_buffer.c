/* test_buffer.c: registered memory for local ends of operations (fusee/buffer.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "fusee/buffer.h"

struct bench {
    struct fake_env fake;
    uint8_t *node;
    struct dm_fabric *fabric;
    struct dm_sched *sched;
    struct dm_endpoint *endpoint;
    struct buffer_pool pool;
};

static int setup(void **state) {
    static struct bench bench;
    memset(&bench, 0, sizeof bench);
    fake_env_init(&bench.fake);
    bench.node = dm_env_system()->allocate(NULL, 4096);
    struct dm_local_memory node = {bench.node, 4096};
    assert_int_equal(dm_fabric_open_embedded(&bench.fake.env, &node, 1, &bench.fabric), DM_OK);
    assert_int_equal(dm_sched_create(&bench.fake.env, NULL, &bench.sched), DM_OK);
    assert_int_equal(bench.fabric->ops->endpoint_open(bench.fabric, bench.sched, &bench.endpoint), DM_OK);
    buffer_pool_init(&bench.pool, bench.endpoint);
    *state = &bench;
    return 0;
}

static int teardown(void **state) {
    struct bench *bench = *state;
    bench->fabric->ops->endpoint_close(bench->endpoint);
    dm_sched_destroy(bench->sched);
    dm_fabric_close(bench->fabric);
    dm_env_system()->release(NULL, bench->node);
    assert_int_equal(bench->fake.allocations, bench->fake.releases);
    return 0;
}

static void every_size_gets_room_of_its_own(void **state) {
    struct bench *bench = *state;
    struct buffer *held[64];
    uint32_t sizes[64];
    uint32_t count = 0;
    for (uint32_t bytes = 1; bytes <= 1u << BUFFER_SHIFT_MAX; bytes *= 2) {
        for (uint32_t more = 0; more < 2 && bytes + more <= 1u << BUFFER_SHIFT_MAX; more++) {
            sizes[count] = bytes + more;
            held[count] = buffer_take(&bench->pool, sizes[count]);
            assert_non_null(held[count]);
            assert_int_equal((uintptr_t)held[count]->bytes % 64, 0);
            memset(held[count]->bytes, (int)count + 1, sizes[count]);
            count++;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(held[i]->bytes[0], i + 1);
        assert_int_equal(held[i]->bytes[sizes[i] - 1], i + 1);
        buffer_give(&bench->pool, held[i]);
    }
    struct buffer *none = buffer_take(&bench->pool, 0);
    assert_non_null(none);
    buffer_give(&bench->pool, none);
}

static void the_last_given_is_the_next_taken(void **state) {
    struct bench *bench = *state;
    struct buffer *a = buffer_take(&bench->pool, 300);
    struct buffer *b = buffer_take(&bench->pool, 400);
    assert_ptr_not_equal(a, b);
    buffer_give(&bench->pool, a);
    assert_ptr_equal(buffer_take(&bench->pool, 512), a);
    buffer_give(&bench->pool, b);
    buffer_give(&bench->pool, a);
}

static void a_steady_load_allocates_nothing(void **state) {
    struct bench *bench = *state;
    struct buffer *held[16];
    uint64_t allocations = 0;
    for (uint32_t round = 0; round < 1000; round++) {
        for (uint32_t i = 0; i < 16; i++) {
            held[i] = buffer_take(&bench->pool, (round * 977 + i * 7919) % 60000 < 30000 ? 64u << (i % 8) : 70000);
        }
        for (uint32_t i = 0; i < 16; i++) {
            buffer_give(&bench->pool, held[i]);
        }
        if (round == 100) {
            allocations = bench->pool.allocations;
            assert_true(allocations > 0);
        }
    }
    assert_int_equal(bench->pool.allocations, allocations);
}

static void the_limit_is_kept_and_is_no_end(void **state) {
    struct bench *bench = *state;
    bench->pool.bytes = BUFFER_POOL_BYTES_MAX - (5u << 20); /* as if so much were out already */
    struct buffer *held[8];
    uint32_t count = 0;
    while (count < 8 && (held[count] = buffer_take(&bench->pool, 2u << 20)) != NULL) {
        count++;
    }
    assert_int_equal(count, 2);
    assert_true(bench->pool.bytes <= BUFFER_POOL_BYTES_MAX);
    buffer_give(&bench->pool, held[0]);
    assert_ptr_equal(buffer_take(&bench->pool, 2u << 20), held[0]);
}

static void without_memory_there_is_no_buffer_until_there_is(void **state) {
    struct bench *bench = *state;
    bench->fake.allowed = 0;
    assert_null(buffer_take(&bench->pool, 1000));
    assert_int_equal(bench->pool.allocations, 0);
    bench->fake.allowed = UINT64_MAX;
    assert_non_null(buffer_take(&bench->pool, 1000));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_size_gets_room_of_its_own),
        TEST(the_last_given_is_the_next_taken),
        TEST(a_steady_load_allocates_nothing),
        TEST(the_limit_is_kept_and_is_no_end),
        TEST(without_memory_there_is_no_buffer_until_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
