/* test_engine_full.c: how much of a pool of few blocks several sessions with objects of several sizes can fill, and
 * that it stays theirs to delete and to fill again (T13). Time is the test's. Not here: what else memory does
 * (test_engine_memory.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fusee/block.h"
#include "fusee/object.h"
#include "fusee/session.h"
#include "pool_account.h"
#include "pool_check.h"

#define SESSIONS 4u
#define SIZES 3u
#define TRIES_MAX 60000u
#define NAME_BYTES 400u
#define PADDING_MAX 350u      /* of names: deletes have a reserve for these */
#define REFUSED_IN_A_ROW 400u /* then it counts as full */

/* What a round of writes has left. */
struct filled {
    uint32_t keys, tried;
    bool is_there[TRIES_MAX];
    uint64_t bytes; /* of the classes of their objects */
    uint32_t of_session[SESSIONS];
};

static char text[4096];

static int setup(void **state) {
    (void)state;
    memset(text, 'x', sizeof text - 1);
    return 0;
}

/* One region of 512 KiB in 16 blocks, 15 of them for data. */
static struct world *open_tiny(uint32_t replicas) {
    struct world_config config = world_small(replicas, SESSIONS);
    config.region_bytes = 512u << 10;
    config.block_bytes = 32u << 10;
    config.subtables = 2;
    config.polled = true;
    struct world *world = world_open(&config);
    assert_int_equal(layout_data_blocks(check_layout(world)), 15);
    return world;
}

static uint64_t data_bytes(const struct world *world) {
    const struct layout *layout = check_layout(world);
    return layout_data_blocks(layout) * layout->super.block_bytes;
}

/* padding 0: short names; else of all lengths, so that objects and tombstones are of many classes. */
static void name_of(char *name, const char *prefix, uint32_t i, uint32_t padding) {
    int length = snprintf(name, NAME_BYTES, "%s%u:", prefix, i);
    uint32_t more = padding == 0 ? 0 : i * 37 % padding;
    memset(name + length, 'n', more);
    name[(uint32_t)length + more] = 0;
}

/* All sessions write new keys of all sizes by turns, until nobody can any more. */
static void fill(struct world *world, const char *prefix, uint32_t padding, const uint32_t *sizes,
                 struct filled *filled) {
    memset(filled, 0, sizeof *filled);
    for (uint32_t refused = 0; refused < REFUSED_IN_A_ROW; filled->tried++) {
        char name[NAME_BYTES];
        uint32_t s = filled->tried % SESSIONS;
        uint32_t bytes = sizes[filled->tried / SESSIONS % SIZES];
        assert_true(filled->tried < TRIES_MAX);
        name_of(name, prefix, filled->tried, padding);
        enum dm_status status = world_put(world, s, name, text + sizeof text - 1 - bytes);
        refused = status == DM_OK ? 0 : refused + 1;
        if (status == DM_OK) {
            filled->is_there[filled->tried] = true;
            filled->bytes += sizeclass_bytes(sizeclass_for(object_bytes((uint32_t)strlen(name), bytes)));
            filled->keys++;
            filled->of_session[s]++;
        } else {
            assert_int_equal(status, DM_NO_MEMORY);
        }
        world_poll(world, 2 * MS);
    }
}

/* So much of all data blocks holds values, and no session has been left out. */
static void expect_shared(const struct world *world, const struct filled *filled, uint32_t percent) {
    uint64_t reserve = block_reserve(world->session[0]) * 100 / layout_data_blocks(check_layout(world));
    assert_in_range(filled->bytes * 100 / data_bytes(world), percent, 100 - reserve);
    for (uint32_t s = 0; s < SESSIONS; s++) {
        assert_true(filled->of_session[s] * SESSIONS * 2 > filled->keys);
    }
}

/* Each key by another session than the one that wrote it. */
static void delete_all(struct world *world, const char *prefix, uint32_t padding, const struct filled *filled) {
    for (uint32_t i = 0; i < filled->tried; i++) {
        char name[NAME_BYTES];
        name_of(name, prefix, i, padding);
        enum dm_status there = filled->is_there[i] ? DM_OK : DM_NOT_FOUND;
        assert_int_equal(call_run(world, i % SESSIONS, CALL_GET, name, NULL).status, there);
        assert_int_equal(world_delete(world, (i + 1) % SESSIONS, name), there);
        world_poll(world, 1 * MS);
    }
}

/* Eleven of fifteen blocks are not the reserve's; of those hardly anything may be left over, although four sessions
 * want a block of their own for each of three classes. */
static void sessions_with_several_classes_fill_few_blocks(void **state) {
    (void)state;
    static const uint32_t sizes[][SIZES] = {{200, 400, 800}, {250, 600, 1500}, {700, 1500, 3000}};
    static struct filled filled;
    for (uint32_t r = 1; r <= 3; r++) {
        for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct world *world = open_tiny(r);
            fill(world, "k", 0, sizes[i], &filled);
            expect_shared(world, &filled, 65);
            world_close(world);
        }
    }
}

/* T13: whoever has filled it, all can delete, also keys for which they never had a block; and it can be filled again.
 * Names of all lengths make for more classes than there are blocks: less of the pool can be filled. */
static void t13_what_fills_few_blocks_can_be_deleted_and_written_again(void **state) {
    (void)state;
    static const uint32_t sizes[SIZES] = {200, 400, 800};
    static struct filled filled;
    for (uint32_t r = 1; r <= 3; r++) {
        struct world *world = open_tiny(r);
        for (uint32_t round = 0; round < 4; round++) {
            char prefix[] = {(char)('a' + round), 0};
            uint32_t padding = round % 2 == 0 ? PADDING_MAX : 0;
            fill(world, prefix, padding, sizes, &filled);
            expect_shared(world, &filled, padding == 0 ? 65 : 55);
            delete_all(world, prefix, padding, &filled);
            world_poll(world, 500 * MS);
            assert_int_equal(check_at_rest(world).live, 0);
            account_pool(world);
        }
        world_close(world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_with_several_classes_fill_few_blocks),
        cmocka_unit_test(t13_what_fills_few_blocks_can_be_deleted_and_written_again),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
