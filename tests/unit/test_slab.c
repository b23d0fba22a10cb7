/* test_slab.c: objects cut from owned blocks (fusee/slab.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "fusee/slab.h"
#include "fusee/word.h"

struct bench {
    struct fake_env fake;
    struct layout layout;
    struct slab slab;
};

static int setup(void **state) {
    static struct bench bench;
    char error[256];
    struct dm_pool_config wish = {.region_bytes = 64 << 10, .block_bytes = 16 << 10, .subtables = 1};
    memset(&bench, 0, sizeof bench);
    fake_env_init(&bench.fake);
    assert_true(layout_choose(&bench.layout, &wish, 1, 1 << 20, error, sizeof error));
    assert_true(slab_open(&bench.slab, &bench.layout, &bench.fake.env));
    *state = &bench;
    return 0;
}

static int teardown(void **state) {
    struct bench *bench = *state;
    slab_close(&bench->slab);
    assert_int_equal(bench->fake.allocations, bench->fake.releases);
    return 0;
}

static struct block *add(struct bench *bench, uint64_t number, uint8_t size_class, bool all_free) {
    struct block *block = slab_add(&bench->slab, number, block_word(BLOCK_OWNED, size_class, 1), all_free);
    assert_non_null(block);
    return block;
}

static void every_object_is_handed_out_once_and_the_last_stays_reserved(void **state) {
    struct bench *bench = *state;
    const uint8_t classes[] = {0, 1, 4, 10, 22};
    for (size_t i = 0; i < sizeof classes; i++) {
        uint32_t bytes = sizeclass_bytes(classes[i]);
        struct block *block = add(bench, 1, classes[i], true);
        uint32_t objects = (16u << 10) / bytes;
        assert_int_equal(block->objects, objects);
        bool seen[128] = {false};
        struct slab_object object;
        uint64_t next = 0;
        uint32_t count = 0;
        while (slab_take(&bench->slab, classes[i], &object)) {
            uint64_t offset = object.address - (16u << 10);
            assert_int_equal(offset % bytes, 0);
            assert_true(offset / bytes < objects);
            assert_false(seen[offset / bytes]);
            seen[offset / bytes] = true;
            assert_true(next == 0 || next == object.address); /* the log names what comes next */
            next = object.next;
            count++;
        }
        assert_int_equal(count, objects - 1);
        assert_int_equal(bench->slab.classes[classes[i]].free, 0);
        slab_unreserve(&bench->slab, classes[i]);
        slab_remove(&bench->slab, block);
        assert_int_equal(bench->slab.free_bytes, 0);
        assert_int_equal(bench->slab.owned, 0);
    }
}

static void what_is_given_back_is_handed_out_again(void **state) {
    struct bench *bench = *state;
    add(bench, 1, 0, true);
    add(bench, 2, 0, true);
    uint64_t held[256];
    uint32_t count = 0;
    uint64_t random = 1;
    struct slab_object object;
    for (uint32_t i = 0; i < 20000; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        if ((random >> 60) < 9 && slab_take(&bench->slab, 0, &object)) {
            for (uint32_t k = 0; k < count; k++) {
                assert_int_not_equal(held[k], object.address);
            }
            held[count++] = object.address;
        } else if (count > 0) {
            uint32_t k = (uint32_t)(random >> 33) % count;
            slab_give(&bench->slab, held[k]);
            held[k] = held[--count];
        }
        assert_int_equal(bench->slab.classes[0].free + count + (bench->slab.classes[0].reserved != 0), 256);
        assert_int_equal(bench->slab.free_bytes, bench->slab.classes[0].free * 128);
    }
}

static void a_block_is_empty_when_nothing_is_out_or_reserved(void **state) {
    struct bench *bench = *state;
    struct block *block = add(bench, 1, 0, true);
    struct slab_object object;
    assert_true(slab_block_empty(block));
    assert_true(slab_take(&bench->slab, 0, &object));
    slab_give(&bench->slab, object.address);
    assert_false(slab_block_empty(block)); /* one is reserved */
    slab_unreserve(&bench->slab, 0);
    assert_true(slab_block_empty(block));
    slab_unreserve(&bench->slab, 0);
    assert_true(slab_block_empty(block));
}

static void the_first_block_is_used_up_before_another_is_begun(void **state) {
    struct bench *bench = *state;
    for (uint64_t b = 1; b <= 3; b++) {
        add(bench, b, 0, true);
    }
    struct slab_object object;
    uint64_t blocks = 0; /* a bit a block */
    for (uint32_t i = 0; i < 127; i++) {
        assert_true(slab_take(&bench->slab, 0, &object));
        blocks |= UINT64_C(1) << (object.address >> 14);
    }
    assert_int_equal(__builtin_popcountll(blocks), 1);
}

/* Blocks leave in any order, from any place of the list; what is left still works. */
static void blocks_can_be_removed_in_any_order(void **state) {
    struct bench *bench = *state;
    for (uint32_t order = 0; order < 24; order++) {
        struct block *block[4];
        for (uint64_t b = 0; b < 4; b++) {
            block[b] = add(bench, b + 1, 0, true);
        }
        uint32_t rest = order;
        for (uint32_t left = 4; left > 0; left--) {
            uint32_t k = rest % left;
            rest /= left;
            slab_remove(&bench->slab, block[k]);
            block[k] = block[left - 1];
            uint64_t listed = 0;
            for (struct block *at = bench->slab.classes[0].partial; at != NULL; at = at->next) {
                assert_true(at->next == NULL || at->next->previous == at);
                listed++;
            }
            assert_int_equal(listed, left - 1);
            assert_int_equal(bench->slab.classes[0].free, (left - 1) * 128);
        }
    }
}

static void an_adopted_block_begins_with_nothing_free(void **state) {
    struct bench *bench = *state;
    struct slab_object object;
    struct block *block = add(bench, 3, 0, false);
    assert_false(slab_take(&bench->slab, 0, &object));
    assert_int_equal(block->free, 0);
    slab_give(&bench->slab, (UINT64_C(3) << 14) + 5 * 128);
    assert_false(slab_take(&bench->slab, 0, &object)); /* one to reserve, none to hand out */
    slab_give(&bench->slab, (UINT64_C(3) << 14) + 9 * 128);
    assert_true(slab_take(&bench->slab, 0, &object));
    assert_int_equal(object.address, (UINT64_C(3) << 14) + 5 * 128);
    assert_int_equal(object.next, (UINT64_C(3) << 14) + 9 * 128);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_object_is_handed_out_once_and_the_last_stays_reserved),
        TEST(what_is_given_back_is_handed_out_again),
        TEST(a_block_is_empty_when_nothing_is_out_or_reserved),
        TEST(the_first_block_is_used_up_before_another_is_begun),
        TEST(blocks_can_be_removed_in_any_order),
        TEST(an_adopted_block_begins_with_nothing_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
