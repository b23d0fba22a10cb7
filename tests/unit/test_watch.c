/* test_watch.c: dm_watch: versions of what keys hold, and of their absence, r = 1, 2, 3. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fusee/session.h"
#include "pool_account.h"
#include "pool_check.h"
#include "transact_call.h"

#define FOR_R(r) for (uint32_t r = 1; r <= 3; r++)

static struct world *open_small(uint32_t replicas) {
    struct world_config config = world_small(replicas, 2);
    config.polled = true;
    return world_open(&config);
}

/* Everything has come to rest, and no memory is lost; `notes` are left. */
static void close_clean(struct world *world, uint32_t live) {
    world_poll(world, 300 * MS);
    struct census census = check_at_rest(world);
    assert_int_equal(census.tombstones, 0);
    assert_int_equal(census.provisional, 0);
    assert_int_equal(account_pool(world).objects_used, census.live);
    assert_int_equal(world->fake.warnings, 0);
    assert_int_equal(census.live, live);
    world_close(world);
}

struct watching {
    struct dm_session *session;
    struct dm_key key;
    enum dm_status status;
    struct dm_watched seen;
};

static void watch(void *argument) {
    struct watching *watching = argument;
    watching->status = dm_watch(watching->session, &watching->key, &watching->seen);
}

static uint64_t watched(struct world *world, uint32_t s, const char *key) {
    struct watching watching = {.session = world->session[s], .key = {key, (uint32_t)strlen(key), 0}};
    world_call(world, s, watch, &watching);
    assert_int_equal(watching.status, DM_OK);
    assert_true(watching.seen.version != 0);
    return watching.seen.version;
}

/* As EXEC compares: inside a transaction. */
static void watch_inside(void *argument) {
    struct watching *watching = argument;
    struct dm_transact request = {.keys = &watching->key, .count = 1, .decide = watch, .context = watching};
    watching->status = DM_BUSY;
    assert_int_equal(dm_transact(watching->session, &request), DM_OK);
}

static uint64_t compared(struct world *world, uint32_t s, const char *key) {
    struct watching watching = {.session = world->session[s], .key = {key, (uint32_t)strlen(key), 0}};
    world_call(world, s, watch_inside, &watching);
    assert_int_equal(watching.status, DM_OK);
    return watching.seen.version;
}

static void the_version_of_a_value_changes_with_every_write(void **state) {
    (void)state;
    FOR_R(r) {
        struct world *world = open_small(r);
        assert_int_equal(world_put(world, 0, "a", "1"), DM_OK);
        uint64_t version = watched(world, 0, "a");
        assert_true(watched(world, 1, "a") == version);
        assert_true(compared(world, 1, "a") == version);
        assert_int_equal(world_put(world, 1, "a", "1"), DM_OK);
        assert_true(compared(world, 0, "a") != version);
        assert_true(compared(world, 0, "a") != 0);
        version = watched(world, 0, "a");
        assert_int_equal(world_delete(world, 1, "a"), DM_OK);
        assert_true(compared(world, 0, "a") == 0);
        assert_true(watched(world, 0, "a") != version);
        close_clean(world, 1);
    }
}

static void an_absent_key_that_nobody_touches_stays_the_same(void **state) {
    (void)state;
    FOR_R(r) {
        struct world *world = open_small(r);
        assert_int_equal(world_put(world, 0, "other", "1"), DM_OK);
        uint64_t version = watched(world, 0, "a");
        world_expect(world, 0, "a", NULL);
        world_expect(world, 1, "a", NULL);
        assert_int_equal(world_delete(world, 1, "a"), DM_NOT_FOUND);
        assert_int_equal(call_run(world, 1, CALL_GETDEL, "a", NULL).found, false);
        assert_true(watched(world, 1, "a") == version);
        struct transact_call call = transact_make(world, 1, TRANSACT_STEPS({"a", NULL}, {"other", "2"}, {"b", "3"}));
        transact_run(&call);
        assert_int_equal(call.status, DM_OK);
        assert_false(call.found[0]);
        assert_true(compared(world, 0, "a") == version);
        world_poll(world, 30 * MS);
        assert_true(compared(world, 0, "a") == version);
        close_clean(world, 3);
    }
}

static void an_absent_key_that_came_and_went_has_changed(void **state) {
    (void)state;
    static const enum call_kind comes[] = {CALL_PUT, CALL_SETNX, CALL_INCR, CALL_APPEND};
    FOR_R(r) {
        for (uint32_t i = 0; i < sizeof comes / sizeof comes[0]; i++) {
            struct world *world = open_small(r);
            uint64_t version = watched(world, 0, "a");
            struct call call = call_run(world, 1, comes[i], "a", "1");
            assert_int_equal(call.status, DM_OK);
            assert_false(call.found);
            world_expect(world, 0, "a", "1");
            assert_true(compared(world, 0, "a") != version);
            assert_int_equal(world_delete(world, 1, "a"), DM_OK);
            world_poll(world, 30 * MS);
            assert_true(compared(world, 0, "a") == 0);
            assert_true(watched(world, 1, "a") != version); /* another absence */
            assert_true(compared(world, 0, "a") != version);
            close_clean(world, 1);
        }
    }
}

static void a_transaction_that_creates_and_one_that_deletes_change_an_absent_key(void **state) {
    (void)state;
    FOR_R(r) {
        struct world *world = open_small(r);
        uint64_t version = watched(world, 0, "a");
        struct transact_call call = transact_make(world, 1, TRANSACT_STEPS({"a", "1"}, {"b", "2"}));
        transact_run(&call);
        assert_int_equal(call.status, DM_OK);
        assert_false(call.found[0]);
        call = transact_make(world, 1, TRANSACT_STEPS({"a", ""}, {"b", ""}));
        transact_run(&call);
        assert_int_equal(call.status, DM_OK);
        assert_true(compared(world, 0, "a") != version);
        close_clean(world, 0);
    }
}

static void count(void *context, const struct dm_scanned *scanned) {
    (void)scanned;
    ++*(uint32_t *)context;
}

struct scanning {
    struct dm_session *session;
    uint32_t keys;
};

static void scan_all(void *argument) {
    struct scanning *scanning = argument;
    uint64_t cursor = 0;
    struct dm_scan scan = {.space = DM_SPACE_ALL, .count = 100, .fn = count, .context = &scanning->keys};
    do {
        assert_int_equal(dm_scan(scanning->session, &scan, &cursor), DM_OK);
    } while (cursor != 0);
}

static uint32_t scanned(struct world *world) {
    struct scanning scanning = {world->session[1], 0};
    world_call(world, 1, scan_all, &scanning);
    return scanning.keys;
}

static void expired(void *context, const struct dm_key *key) {
    (void)key;
    ++*(uint32_t *)context;
}

static void a_note_is_never_shown_and_goes_when_its_time_has_come(void **state) {
    (void)state;
    FOR_R(r) {
        struct world *world = open_small(r);
        uint32_t told = 0;
        dm_session_on_expired(world->session[1], expired, &told);
        uint64_t version = watched(world, 0, "a");
        assert_int_equal(scanned(world), 0);
        world->fake.wall_ms += DM_WATCH_MS / 2 - 1;
        assert_int_equal(scanned(world), 0);
        world_poll(world, 30 * MS);
        assert_true(compared(world, 0, "a") == version);
        assert_true(watched(world, 1, "a") == version); /* lasts long enough */
        world->fake.wall_ms += DM_WATCH_MS / 2 + 1;
        assert_int_equal(scanned(world), 0);
        world_poll(world, 30 * MS);
        assert_true(compared(world, 0, "a") == 0);
        close_clean(world, 0);
        assert_int_equal(told, 0);
    }
}

static void watching_again_in_time_keeps_the_version_for_as_long_as_one_likes(void **state) {
    (void)state;
    FOR_R(r) {
        struct world *world = open_small(r);
        uint64_t version = watched(world, 0, "a");
        for (uint32_t i = 0; i < 10; i++) {
            world->fake.wall_ms += DM_WATCH_MS / 2 - 1000;
            assert_true(watched(world, i % 2, "a") == version);
            assert_int_equal(scanned(world), 0);
            world_poll(world, 30 * MS);
        }
        assert_true(compared(world, 1, "a") == version);
        close_clean(world, 1);
    }
}

static void an_expired_value_is_an_absent_key(void **state) {
    (void)state;
    FOR_R(r) {
        struct world *world = open_small(r);
        struct call call = call_make(world, 0, CALL_PUT, "a", "1");
        call.write.expire_ms = world->fake.wall_ms + 1000;
        call_begin(&call);
        call_finish(&call);
        uint64_t version = watched(world, 0, "a");
        assert_true(compared(world, 1, "a") == version);
        world->fake.wall_ms += 1000;
        assert_true(compared(world, 1, "a") == 0); /* it went */
        uint64_t absent = watched(world, 1, "a");
        assert_true(absent != version);
        assert_true(compared(world, 0, "a") == absent);
        close_clean(world, 1);
    }
}

static void flush(void *argument) { assert_int_equal(dm_space_flush(argument, 0), DM_OK); }

static void a_flush_changes_keys_that_are_there(void **state) {
    (void)state;
    FOR_R(r) {
        struct world *world = open_small(r);
        struct watching before[2], now = {.session = world->session[1]};
        const char *keys[2] = {"there", "absent"};
        assert_int_equal(world_put(world, 0, "there", "1"), DM_OK);
        for (uint32_t i = 0; i < 2; i++) {
            before[i] = (struct watching){.session = world->session[1], .key = {keys[i], (uint32_t)strlen(keys[i]), 0}};
            world_call(world, 1, watch, &before[i]);
            assert_int_equal(before[i].seen.absent, i == 1);
        }
        world_call(world, 0, flush, world->session[0]);
        for (uint32_t i = 0; i < 2; i++) {
            now.key = before[i].key;
            world_call(world, 1, watch_inside, &now);
            assert_true(now.seen.absent);
            assert_int_equal(dm_watched_same(&before[i].seen, &now.seen), i == 1);
        }
        world_close(world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_version_of_a_value_changes_with_every_write),
        cmocka_unit_test(an_absent_key_that_nobody_touches_stays_the_same),
        cmocka_unit_test(an_absent_key_that_came_and_went_has_changed),
        cmocka_unit_test(a_transaction_that_creates_and_one_that_deletes_change_an_absent_key),
        cmocka_unit_test(a_note_is_never_shown_and_goes_when_its_time_has_come),
        cmocka_unit_test(watching_again_in_time_keeps_the_version_for_as_long_as_one_likes),
        cmocka_unit_test(an_expired_value_is_an_absent_key),
        cmocka_unit_test(a_flush_changes_keys_that_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
