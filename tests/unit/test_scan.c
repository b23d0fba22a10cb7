/* test_scan.c: the walk over all keys (fusee/scan.h, dm_scan): what it meets, how often, and its cursors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "fusee/scan.h"
#include "pool_check.h"

#define KEYS_MAX 2000u
#define NAME_BYTES 400u

static struct world *open_sized(uint32_t replicas, uint32_t sessions, uint32_t subtables) {
    struct world_config config = world_small(replicas, sessions);
    config.node_bytes = UINT64_C(4) << 20;
    config.subtables = subtables;
    return world_open(&config);
}

/* ---- One walk --------------------------------------------------------------------------------------------------- */

struct walk {
    struct world *world;
    uint32_t s;
    struct dm_scan request;
    uint64_t cursor;
    enum dm_status status;
    struct dm_cost cost;
    uint32_t passed; /* in this call */
    uint32_t seen[KEYS_MAX];
    uint32_t others; /* keys that are not numbered */
    uint32_t bytes;  /* of the last value */
};

static void note(void *context, const struct dm_scanned *scanned) {
    struct walk *walk = context;
    unsigned number;
    char name[NAME_BYTES + 1];
    assert_in_range(scanned->key.length, 1, NAME_BYTES);
    memcpy(name, scanned->key.bytes, scanned->key.length);
    name[scanned->key.length] = 0;
    assert_int_equal(scanned->key.space, walk->request.space);
    walk->passed++;
    walk->bytes = scanned->value_length;
    if (sscanf(name, "k%u", &number) == 1 && number < KEYS_MAX) {
        walk->seen[number]++;
    } else {
        walk->others++;
    }
}

static void scan_coroutine(void *argument) {
    struct walk *walk = argument;
    struct dm_session *session = walk->world->session[walk->s];
    walk->passed = 0;
    walk->status = dm_scan(session, &walk->request, &walk->cursor);
    dm_session_last_cost(session, &walk->cost);
}

static void walk_on(struct walk *walk) {
    walk->request.fn = note;
    walk->request.context = walk;
    world_call(walk->world, walk->s, scan_coroutine, walk);
}

static void walk_all(struct walk *walk, uint32_t count) {
    walk->request.count = count;
    walk->cursor = 0;
    do {
        walk_on(walk);
        assert_int_equal(walk->status, DM_OK);
        assert_in_range(walk->passed, 0, count + 2 * 24); /* never more than the groups that are read together */
    } while (walk->cursor != 0);
}

static void put_numbered(struct world *world, uint32_t s, uint32_t number) {
    char name[16];
    snprintf(name, sizeof name, "k%u", number);
    assert_int_equal(world_put(world, s, name, "value"), DM_OK);
}

/* ---- Tests ------------------------------------------------------------------------------------------------------ */

static void every_key_is_passed_once_whatever_the_count(void **state) {
    (void)state;
    const uint32_t counts[] = {1, 10, 100, 100000};
    for (uint32_t r = 1; r <= 3; r++) {
        for (uint32_t subtables = 1; subtables <= 8; subtables *= 8) {
            struct world *world = open_sized(r, 2, subtables);
            static struct walk walk;
            for (uint32_t i = 0; i < 500; i++) {
                put_numbered(world, i % 2, i);
            }
            for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
                memset(&walk, 0, sizeof walk);
                walk.world = world;
                walk_all(&walk, counts[c]);
                for (uint32_t i = 0; i < KEYS_MAX; i++) {
                    assert_int_equal(walk.seen[i], i < 500);
                }
                assert_int_equal(walk.bytes, 5);
            }
            world_close(world);
        }
    }
}

static void an_empty_pool_ends_at_once_and_reads_no_objects(void **state) {
    (void)state;
    struct world *world = open_sized(2, 1, 8);
    static struct walk walk;
    memset(&walk, 0, sizeof walk);
    walk.world = world;
    walk.request.count = 10;
    walk_on(&walk);
    assert_int_equal(walk.status, DM_OK);
    assert_int_equal(walk.cursor, 0);
    assert_in_range(walk.cost.round_trips, 8, 16); /* a READ doubles until it is a whole subtable */
    assert_int_equal(walk.cost.reads, walk.cost.round_trips);
    world_close(world);
}

/* What is there from the beginning to the end is met, although others come and go, are overwritten, and the walk goes
 * on at another gateway each time. */
static void what_stays_is_passed_while_others_come_and_go(void **state) {
    (void)state;
    struct world *world = open_sized(2, 3, 4);
    static struct walk walk;
    memset(&walk, 0, sizeof walk);
    walk.world = world;
    for (uint32_t i = 0; i < 600; i++) {
        put_numbered(world, 0, i);
    }
    walk.request.count = 7;
    uint32_t turn = 0;
    do {
        walk.s = turn % 3;
        walk_on(&walk);
        assert_int_equal(walk.status, DM_OK);
        char name[16];
        snprintf(name, sizeof name, "k%u", 300 + turn % 300); /* the upper half goes and comes */
        assert_true(world_delete(world, (turn + 1) % 3, name) != DM_CORRUPT);
        world_jobs(world, (turn + 1) % 3);
        put_numbered(world, (turn + 2) % 3, 300 + (turn * 7 + 1) % 300);
        put_numbered(world, turn % 3, turn % 300);  /* the lower half is overwritten */
        put_numbered(world, turn % 3, 1000 + turn); /* and new keys come */
        turn++;
    } while (walk.cursor != 0);
    for (uint32_t i = 0; i < 300; i++) {
        assert_int_equal(walk.seen[i], 1);
    }
    check_at_rest(world);
    world_close(world);
}

struct put {
    struct dm_session *session;
    struct dm_key key;
    int64_t expire_ms;
};

static void put_coroutine(void *argument) {
    struct put *put = argument;
    struct dm_write write = {.part = {{"v", 1}}, .expire_ms = put->expire_ms};
    assert_int_equal(dm_put(put->session, &put->key, &write), DM_OK);
}

static void a_walk_meets_its_space_only_and_nothing_expired(void **state) {
    (void)state;
    struct world *world = open_sized(2, 1, 1);
    int64_t now_ms = world->fake.wall_ms;
    struct put puts[] = {
        {world->session[0], {"k1", 2, 0}, 0},
        {world->session[0], {"k2", 2, 5}, 0},
        {world->session[0], {"k3", 2, 0}, now_ms + 1000},
        {world->session[0], {"k4", 2, 0}, now_ms + 1000000},
    };
    for (size_t i = 0; i < sizeof puts / sizeof puts[0]; i++) {
        world_call(world, 0, put_coroutine, &puts[i]);
    }
    static struct walk walk;
    memset(&walk, 0, sizeof walk);
    walk.world = world;
    world->fake.wall_ms += 2000;
    walk_all(&walk, 10);
    assert_int_equal(walk.seen[1], 1);
    assert_int_equal(walk.seen[2] + walk.seen[3], 0);
    assert_int_equal(walk.seen[4], 1);
    world_jobs(world, 0);
    assert_int_equal(check_at_rest(world).live, 3); /* the walk has removed what had expired */
    walk.request.space = 5;
    walk_all(&walk, 10);
    assert_int_equal(walk.seen[2], 1);
    world_close(world);
}

static void long_keys_are_passed_whole(void **state) {
    (void)state;
    struct world *world = open_sized(2, 1, 1);
    static char names[40][NAME_BYTES + 1];
    for (uint32_t i = 0; i < 40; i++) { /* around the size of what is read at first */
        memset(names[i], 'a' + (int)(i % 26), 170 + i * 5);
        assert_int_equal(world_put(world, 0, names[i], "v"), DM_OK);
    }
    static struct walk walk;
    memset(&walk, 0, sizeof walk);
    walk.world = world;
    walk_all(&walk, 10);
    assert_int_equal(walk.others, 40);
    world_close(world);
}

static void a_cursor_says_where_it_is_and_any_number_is_one(void **state) {
    (void)state;
    for (uint8_t depth = 0; depth <= SCAN_HASH_BITS; depth++) {
        for (uint32_t i = 0; i < 1000; i++) {
            struct scan_place place = {.prefix = (uint32_t)((UINT64_C(1) << depth) * i / 1000),
                                       .group = i % INDEX_GROUPS};
            uint64_t cursor = scan_cursor(place, depth);
            struct scan_place back = scan_place_of(cursor, depth);
            assert_int_equal(back.prefix, place.prefix);
            assert_int_equal(back.group, place.group);
            assert_true(cursor != 0 || (place.prefix == 0 && place.group == 0));
        }
        assert_int_equal(scan_cursor((struct scan_place){.prefix = 1u << depth}, depth), 0);
        uint64_t random = depth;
        for (uint32_t i = 0; i < 1000; i++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
            struct scan_place place = scan_place_of(random, depth);
            assert_true(place.group < INDEX_GROUPS && place.prefix < 1u << depth);
        }
    }
    struct world *world = open_sized(1, 1, 4);
    put_numbered(world, 0, 1);
    static struct walk walk;
    memset(&walk, 0, sizeof walk);
    walk.world = world;
    walk.request.count = 10;
    for (uint64_t cursor = 1; cursor != 0; cursor *= 3) { /* until it has overflowed often */
        walk.cursor = cursor;
        walk_on(&walk);
        assert_int_equal(walk.status, DM_OK);
        cursor = cursor > UINT64_MAX / 3 ? 0 : cursor;
    }
    world_close(world);
}

static void a_damaged_key_is_an_error_and_the_cursor_stays(void **state) {
    (void)state;
    struct world *world = open_sized(2, 1, 1);
    static struct walk walk;
    memset(&walk, 0, sizeof walk);
    walk.world = world;
    walk.request.count = 1000;
    assert_int_equal(world_put(world, 0, "k", "v"), DM_OK);
    uint64_t word;
    check_slot_of(world, "k", &word);
    for (uint32_t j = 0; j < 2; j++) {
        ((uint8_t *)check_at(world, word_address(word), j))[sizeof(struct object_header)] ^= 1;
    }
    walk_on(&walk);
    assert_int_equal(walk.status, DM_CORRUPT);
    assert_int_equal(walk.cursor, 0);
    assert_int_equal(walk.passed, 0);
    for (uint32_t j = 0; j < 2; j++) {
        ((uint8_t *)check_at(world, word_address(word), j))[sizeof(struct object_header)] ^= 1;
    }
    walk_on(&walk);
    assert_int_equal(walk.status, DM_OK);
    assert_int_equal(walk.passed, 1);
    world_close(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_passed_once_whatever_the_count),
        cmocka_unit_test(an_empty_pool_ends_at_once_and_reads_no_objects),
        cmocka_unit_test(what_stays_is_passed_while_others_come_and_go),
        cmocka_unit_test(a_walk_meets_its_space_only_and_nothing_expired),
        cmocka_unit_test(long_keys_are_passed_whole),
        cmocka_unit_test(a_cursor_says_where_it_is_and_any_number_is_one),
        cmocka_unit_test(a_damaged_key_is_an_error_and_the_cursor_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
