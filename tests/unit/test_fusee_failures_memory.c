/* test_fusee_failures_memory.c: the failures of FUSEE's published code (see test_fusee_failures.c) that have to do with
 * memory, cache and index: 3.6 and 3.10 - 3.18 of the measurement. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fusee/session.h"
#include "pool_check.h"
#include "trap.h"

#define NAME_BYTES 16u
#define FOR_R(r) for (uint32_t r = 1; r <= 3; r++)

static void put_numbered(struct world *world, uint32_t s, const char *prefix, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "%s%u", prefix, i);
        assert_int_equal(world_put(world, s, name, name), DM_OK);
    }
}

static void expect_numbered(struct world *world, uint32_t s, const char *prefix, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "%s%u", prefix, i);
        world_expect(world, s, name, name);
    }
}

static uint8_t pattern(uint32_t key, uint32_t at) { return (uint8_t)(key * 37 + at * 11 + at / 256); }

struct sized {
    struct world *world;
    uint32_t count, refused;
    uint32_t (*bytes_of)(uint32_t i);
};

static uint32_t growing(uint32_t i) { return i * 61; }

static void sized_put_and_read(void *argument) {
    struct sized *sized = argument;
    struct dm_session *session = sized->world->session[0];
    uint8_t *value = malloc(sized->bytes_of(sized->count) + 1);
    bool *there = calloc(sized->count, sizeof *there);
    assert_true(value != NULL && there != NULL);
    for (uint32_t pass = 0; pass < 2; pass++) { /* all are written before any is read */
        for (uint32_t i = 0; i < sized->count; i++) {
            char name[NAME_BYTES];
            struct dm_key key = {name, (uint32_t)snprintf(name, sizeof name, "s%u", i), 0};
            uint32_t bytes = sized->bytes_of(i);
            struct dm_read read = {0};
            for (uint32_t at = 0; at < bytes; at++) {
                value[at] = pattern(i, at);
            }
            if (pass == 0) {
                struct dm_write write = {.part = {{value, bytes}}};
                enum dm_status status = dm_put(session, &key, &write);
                assert_true(status == DM_OK || status == DM_TOO_LARGE);
                there[i] = status == DM_OK;
                sized->refused += !there[i];
                continue;
            }
            assert_int_equal(dm_get(session, &key, &read), there[i] ? DM_OK : DM_NOT_FOUND);
            if (there[i]) {
                assert_int_equal(read.value.length, bytes);
                assert_memory_equal(read.value.bytes, value, bytes);
            }
            dm_read_release(session, &read);
        }
    }
    free(value);
    free(there);
}

/* There: a value of 400 bytes in objects of 256 was accepted, and overwrote its neighbours. */
static void f3_6_values_of_any_size_come_back_whole_or_are_refused(void **state) {
    (void)state;
    FOR_R(r) {
        struct world_config config = world_small(r, 1);
        config.node_bytes = UINT64_C(8) << 20;
        config.region_bytes = UINT64_C(512) << 10;
        struct world *world = world_open(&config);
        struct sized sized = {world, 290, 0, growing}; /* up to 17 KB; the largest object is a block of 16 KiB */
        world_call(world, 0, sized_put_and_read, &sized);
        assert_in_range(sized.refused, 1, 60);
        check_at_rest(world);
        world_close(world);
    }
}

/* There: a client's own UPDATE put the key out of its cache, for about ten accesses. */
static void f3_10_ones_own_update_is_a_cache_hit(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        assert_int_equal(world_put(trap.world, U, "k", "1"), DM_OK);
        struct dm_cost first = call_run(trap.world, U, CALL_PUT, "k", "2").cost;
        for (uint32_t i = 0; i < 50; i++) {
            assert_int_equal(call_run(trap.world, U, CALL_GET, "k", NULL).cost.round_trips, 1);
            struct call put = call_run(trap.world, U, CALL_PUT, "k", "3");
            assert_int_equal(put.cost.round_trips, first.round_trips);
        }
        struct dm_session_stats stats;
        dm_session_stats(trap_session(&trap, U), &stats);
        assert_int_equal(stats.cache_stale, 0);
        trap_close(&trap);
    }
}

/* There: a hash map that only grows, and leaks what is removed. */
static void f3_11_the_cache_stays_within_its_budget(void **state) {
    (void)state;
    struct world_config config = world_small(2, 1);
    config.node_bytes = UINT64_C(8) << 20;
    config.region_bytes = UINT64_C(512) << 10;
    config.subtables = 8;
    config.cache_bytes = 4096;
    struct world *world = world_open(&config);
    put_numbered(world, 0, "warm", 500);
    uint64_t allocations = world->fake.allocations;
    put_numbered(world, 0, "k", 3000);
    expect_numbered(world, 0, "k", 3000);
    struct dm_pool_info info;
    dm_pool_info(world->pool[0], &info);
    assert_int_equal(info.cache_bytes, 4096);
    assert_in_range(info.cache_entries, 1, 4096 / 128 * 5);
    assert_true(world->fake.allocations - allocations < 200); /* blocks of the slab, not entries */
    world_close(world);
}

/* There: the store was used up after 2,000 updates of 100 keys; freed objects were marked, and nobody looked. */
static void f3_12_space_is_used_again(void **state) {
    (void)state;
    FOR_R(r) {
        struct world_config config = world_small(r, 2);
        config.polled = true;
        struct world *world = world_open(&config);
        struct dm_pool_info info;
        dm_pool_info(world->pool[0], &info);
        uint32_t most = (uint32_t)(info.data_bytes_total / SIZECLASS_BYTES_MIN); /* more objects there cannot be */
        for (uint32_t i = 0; i < most * 2; i++) {
            char name[NAME_BYTES];
            snprintf(name, sizeof name, "k%u", i % 100);
            assert_int_equal(world_put(world, i / 100 % 2, name, name), DM_OK);
            if (i % 10 == 0) {
                world_poll(world, 2 * MS);
            }
        }
        expect_numbered(world, 0, "k", 100);
        check_at_rest(world);
        world_close(world);
    }
}

/* There: SIGSEGV or abort right behind "no space". */
static void f3_13_a_full_store_refuses_and_goes_on(void **state) {
    (void)state;
    static char large[3001];
    memset(large, 'x', sizeof large - 1);
    FOR_R(r) {
        struct world_config config = world_small(r, 2);
        config.polled = true;
        struct world *world = world_open(&config);
        uint32_t refused = 0;
        uint32_t written = 0;
        for (uint32_t i = 0; refused < 20; i++) {
            char name[NAME_BYTES];
            snprintf(name, sizeof name, "k%u", i);
            enum dm_status status = world_put(world, i % 2, name, large);
            assert_true(status == DM_OK || status == DM_NO_MEMORY);
            written += status == DM_OK;
            refused += status == DM_NO_MEMORY;
            if (status == DM_NO_MEMORY) {
                world_expect(world, 0, name, NULL);
            }
            assert_true(i < 5000);
        }
        assert_true(written > 10);
        struct call read = call_run(world, 1, CALL_GET, "k0", NULL);
        assert_int_equal(read.length, sizeof large - 1);
        assert_int_equal(world_put(world, 0, "k0", large) == DM_CORRUPT, false);
        for (uint32_t i = 0; i < 10; i++) {
            char name[NAME_BYTES];
            snprintf(name, sizeof name, "k%u", i);
            assert_int_equal(world_delete(world, 0, name), DM_OK);
        }
        world_poll(world, 500 * MS);
        assert_int_equal(world_put(world, 1, "fits again", large), DM_OK);
        check_at_rest(world);
        world_close(world);
    }
}

/* There: the first block's end was the end, unless a second thread polled. */
static void f3_14_one_coroutine_alone_gets_past_its_first_block(void **state) {
    (void)state;
    FOR_R(r) {
        struct world_config config = world_small(r, 1);
        config.node_bytes = UINT64_C(8) << 20;
        struct world *world = world_open(&config);
        put_numbered(world, 0, "k", 600); /* 128 objects a block; nothing is polled */
        struct census census = check_at_rest(world);
        assert_true(census.blocks_owned >= 600 / 128);
        expect_numbered(world, 0, "k", 600);
        world_close(world);
    }
}

/* There: one object size for all; a value of 8 bytes takes, and writes, what the largest does. */
static void f3_15_a_small_value_takes_and_writes_little_beside_large_ones(void **state) {
    (void)state;
    static char large[8001];
    memset(large, 'x', sizeof large - 1);
    FOR_R(r) {
        struct world_config config = world_small(r, 1);
        config.node_bytes = UINT64_C(4) << 20;
        struct world *world = world_open(&config);
        for (uint32_t i = 0; i < 8; i++) {
            char name[NAME_BYTES];
            snprintf(name, sizeof name, "large%u", i);
            assert_int_equal(world_put(world, 0, name, large), DM_OK);
        }
        struct dm_cost cost = call_run(world, 0, CALL_PUT, "small", "12345678").cost;
        assert_true(cost.bytes_written <= r * SIZECLASS_BYTES_MIN + 16 * (r + 1));
        uint64_t word;
        check_slot_of(world, "small", &word);
        assert_int_equal(sizeclass_bytes(word_class(word)), SIZECLASS_BYTES_MIN);
        world_close(world);
    }
}

/* There: subtables overlap, two thirds of the slots can be used, and a full bucket makes INSERT fail for good. */
static void f3_16_an_index_takes_nearly_what_it_has_slots_for_and_a_full_bucket_harms_nobody(void **state) {
    (void)state;
    struct world_config config = world_small(2, 1);
    config.node_bytes = UINT64_C(8) << 20;
    config.region_bytes = UINT64_C(512) << 10;
    config.subtables = 2;
    struct world *world = world_open(&config);
    static bool there[2 * INDEX_SLOTS];
    uint32_t written = 0;
    uint32_t at_first_refusal = 0;
    for (uint32_t i = 0; i < 2 * INDEX_SLOTS; i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "k%u", i);
        enum dm_status status = world_put(world, 0, name, name);
        assert_true(status == DM_OK || status == DM_NO_MEMORY);
        there[i] = status == DM_OK;
        written += there[i];
        at_first_refusal = there[i] || at_first_refusal != 0 ? at_first_refusal : i;
    }
    assert_true(written > 2 * INDEX_SLOTS * 85 / 100);
    assert_true(at_first_refusal > 2 * INDEX_SLOTS * 60 / 100);
    for (uint32_t i = 0; i < 2 * INDEX_SLOTS; i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "k%u", i);
        world_expect(world, 0, name, there[i] ? name : NULL);
        if (there[i]) {
            assert_int_equal(world_put(world, 0, name, name), DM_OK); /* what is there can be written */
        }
    }
    world_close(world);
}

/* There: no checksum is computed or looked at. Here no byte of an object can change unnoticed. */
static void f3_17_no_changed_byte_of_an_object_is_ever_shown(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        assert_int_equal(world_put(trap.world, V, "k", "precious"), DM_OK);
        world_expect(trap.world, W, "k", "precious");
        uint64_t word;
        check_slot_of(trap.world, "k", &word);
        uint32_t bytes = (uint32_t)object_bytes(1, sizeof "precious" - 1);
        for (uint32_t at = 0; at < bytes; at++) {
            for (uint32_t j = 0; j < r; j++) {
                ((uint8_t *)check_at(trap.world, word_address(word), j))[at] ^= 1u << at % 8;
            }
            for (uint32_t s = V; s <= X; s++) { /* cached by its writer, by a reader, by nobody */
                assert_int_not_equal(call_run(trap.world, s, CALL_GET, "k", NULL).status, DM_OK);
            }
            for (uint32_t j = 0; j < r; j++) {
                ((uint8_t *)check_at(trap.world, word_address(word), j))[at] ^= 1u << at % 8;
            }
        }
        world_expect(trap.world, W, "k", "precious");
        trap.world->fake.warnings = 0; /* they were right */
        trap_close(&trap);
    }
}

/* There: every operation leaks a little. */
static void f3_18_no_operation_keeps_memory(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        uint64_t held = 0;
        for (uint32_t i = 0; i < 4000; i++) {
            const enum call_kind kinds[] = {CALL_PUT, CALL_GET, CALL_INCR, CALL_DELETE, CALL_GET, CALL_SETNX};
            struct call call = call_run(trap.world, i % 4, kinds[i % 6], "k", "1");
            assert_true(call.status == DM_OK || call.status == DM_NOT_FOUND);
            world_poll(trap.world, 1 * MS);
            if (i == 2000) {
                held = trap.world->fake.allocations - trap.world->fake.releases;
            }
        }
        assert_in_range(trap.world->fake.allocations - trap.world->fake.releases, 1, held + 8); /* a block's map */
        trap_close(&trap);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f3_6_values_of_any_size_come_back_whole_or_are_refused),
        cmocka_unit_test(f3_10_ones_own_update_is_a_cache_hit),
        cmocka_unit_test(f3_11_the_cache_stays_within_its_budget),
        cmocka_unit_test(f3_12_space_is_used_again),
        cmocka_unit_test(f3_13_a_full_store_refuses_and_goes_on),
        cmocka_unit_test(f3_14_one_coroutine_alone_gets_past_its_first_block),
        cmocka_unit_test(f3_15_a_small_value_takes_and_writes_little_beside_large_ones),
        cmocka_unit_test(f3_16_an_index_takes_nearly_what_it_has_slots_for_and_a_full_bucket_harms_nobody),
        cmocka_unit_test(f3_17_no_changed_byte_of_an_object_is_ever_shown),
        cmocka_unit_test(f3_18_no_operation_keeps_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
