/* test_engine.c: the data calls of dm.h over an embedded pool, r = 1, 2, 3: what they mean, that they allocate nothing,
 * and that many at once stay exact. What they cost: test_engine_cost.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "gate.h"
#include "pool_check.h"
#include "provider.h"

#define REPLICAS_MOST 3u

static struct world *open_small(uint32_t replicas, uint32_t sessions) {
    struct world_config config = world_small(replicas, sessions);
    return world_open(&config);
}

/* ---- Meaning ---------------------------------------------------------------------------------------------------- */

static void a_value_is_read_overwritten_and_deleted(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= REPLICAS_MOST; r++) {
        struct world *world = open_small(r, 2);
        world_expect(world, 0, "k", NULL);
        assert_int_equal(world_put(world, 0, "k", "first"), DM_OK);
        world_expect(world, 1, "k", "first");
        assert_int_equal(world_put(world, 1, "k", "second"), DM_OK);
        world_expect(world, 0, "k", "second");
        assert_int_equal(world_delete(world, 0, "k"), DM_OK);
        assert_int_equal(world_delete(world, 0, "k"), DM_NOT_FOUND);
        assert_int_equal(world_delete(world, 1, "k"), DM_NOT_FOUND);
        world_expect(world, 1, "k", NULL);
        world_poll(world, 20 * MS);
        world_expect(world, 0, "k", NULL);
        assert_int_equal(world_put(world, 1, "k", "third"), DM_OK);
        world_expect(world, 0, "k", "third");
        world_poll(world, 20 * MS);
        struct census census = check_at_rest(world);
        assert_int_equal(census.live, 1);
        assert_int_equal(census.tombstones, 0);
        world_close(world);
    }
}

static void an_update_sees_the_old_value_and_decides(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= REPLICAS_MOST; r++) {
        struct world *world = open_small(r, 1);
        struct call call = call_run(world, 0, CALL_INCR, "n", NULL);
        assert_int_equal(call.status, DM_OK);
        assert_false(call.found);
        assert_int_equal(call.decisions, 1);
        call = call_run(world, 0, CALL_INCR, "n", NULL);
        assert_true(call.found);
        assert_string_equal(call.value, "1");
        world_expect(world, 0, "n", "2");
        call = call_run(world, 0, CALL_SETNX, "n", "other");
        assert_int_equal(call.status, DM_OK);
        assert_string_equal(call.value, "2");
        assert_int_equal(call.cost.writes, 0);
        world_expect(world, 0, "n", "2");
        call = call_run(world, 0, CALL_APPEND, "n", "-and-more");
        assert_string_equal(call.value, "2");
        world_expect(world, 0, "n", "2-and-more");
        call = call_run(world, 0, CALL_GETDEL, "n", NULL);
        assert_int_equal(call.status, DM_OK);
        assert_string_equal(call.value, "2-and-more");
        world_expect(world, 0, "n", NULL);
        call = call_run(world, 0, CALL_GETDEL, "n", NULL);
        assert_int_equal(call.status, DM_OK);
        assert_false(call.found);
        world_poll(world, 20 * MS);
        assert_int_equal(check_at_rest(world).live, 0);
        world_close(world);
    }
}

static void empty_keys_and_values_are_keys_and_values(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 2; r++) {
        struct world *world = open_small(r, 1);
        assert_int_equal(world_put(world, 0, "", "of the empty key"), DM_OK);
        assert_int_equal(world_put(world, 0, "e", ""), DM_OK);
        world_expect(world, 0, "", "of the empty key");
        struct call call = call_run(world, 0, CALL_GET, "e", NULL);
        assert_int_equal(call.status, DM_OK);
        assert_int_equal(call.length, 0);
        assert_int_equal(world_put(world, 0, "", ""), DM_OK);
        world_expect(world, 0, "", "");
        assert_int_equal(world_delete(world, 0, ""), DM_OK);
        world_expect(world, 0, "", NULL);
        world_close(world);
    }
}

static void keys_of_different_spaces_never_meet(void **state) {
    (void)state;
    struct world *world = open_small(2, 1);
    char value[8];
    for (uint16_t space = 0; space < 16; space++) {
        snprintf(value, sizeof value, "%u", space);
        struct call call = call_make(world, 0, CALL_PUT, "k", value);
        call.key.space = space;
        call_begin(&call);
        call_finish(&call);
        assert_int_equal(call.status, DM_OK);
    }
    struct call call = call_make(world, 0, CALL_DELETE, "k", NULL);
    call.key.space = 7;
    call_begin(&call);
    call_finish(&call);
    for (uint16_t space = 0; space < 16; space++) {
        snprintf(value, sizeof value, "%u", space);
        call = call_make(world, 0, CALL_GET, "k", NULL);
        call.key.space = space;
        call_begin(&call);
        call_finish(&call);
        assert_int_equal(call.status, space == 7 ? DM_NOT_FOUND : DM_OK);
        assert_true(space == 7 || strcmp(call.value, value) == 0);
    }
    world_close(world);
}

static void a_version_changes_with_every_write_and_only_then(void **state) {
    (void)state;
    struct world *world = open_small(2, 1);
    assert_int_equal(world_put(world, 0, "k", "same"), DM_OK);
    uint64_t first = call_run(world, 0, CALL_GET, "k", NULL).version;
    assert_int_equal(call_run(world, 0, CALL_GET, "k", NULL).version, first);
    assert_int_equal(world_put(world, 0, "k", "same"), DM_OK);
    assert_true(call_run(world, 0, CALL_GET, "k", NULL).version != first);
    world_close(world);
}

/* ---- Sizes ------------------------------------------------------------------------------------------------------ */

struct sized {
    struct world *world;
    uint32_t key_bytes, value_bytes;
    enum dm_status status;
};

static uint8_t pattern(uint32_t seed, uint32_t i) { return (uint8_t)(seed * 31 + i * 7 + (i >> 8)); }

static void put_and_read_sized(void *argument) {
    struct sized *sized = argument;
    struct dm_session *session = sized->world->session[0];
    uint8_t *key_bytes = malloc(sized->key_bytes + 1);
    uint8_t *value_bytes = malloc(sized->value_bytes + 1);
    for (uint32_t i = 0; i < sized->key_bytes; i++) {
        key_bytes[i] = pattern(sized->key_bytes, i);
    }
    for (uint32_t i = 0; i < sized->value_bytes; i++) {
        value_bytes[i] = pattern(sized->value_bytes, i);
    }
    struct dm_key key = {key_bytes, sized->key_bytes, 3};
    uint32_t half = sized->value_bytes / 2;
    struct dm_write write = {.part = {{value_bytes, half}, {NULL, 0}, {value_bytes + half, sized->value_bytes - half}},
                             .type = 5,
                             .encoding = 6};
    sized->status = dm_put(session, &key, &write);
    struct dm_read read = {0};
    enum dm_status status = dm_get(session, &key, &read);
    if (sized->status == DM_OK) {
        assert_int_equal(status, DM_OK);
        assert_int_equal(read.value.length, sized->value_bytes);
        assert_memory_equal(read.value.bytes, value_bytes, sized->value_bytes);
        assert_int_equal(read.value.type, 5);
        assert_int_equal(read.value.encoding, 6);
        assert_int_equal(dm_delete(session, &key), DM_OK);
    } else {
        assert_int_equal(status, DM_NOT_FOUND);
        assert_int_equal(dm_delete(session, &key), DM_NOT_FOUND);
    }
    dm_read_release(session, &read);
    free(key_bytes);
    free(value_bytes);
}

static enum dm_status sized_status(struct world *world, uint32_t key_bytes, uint32_t value_bytes) {
    struct sized sized = {world, key_bytes, value_bytes, DM_OK};
    world_call(world, 0, put_and_read_sized, &sized);
    world_poll(world, 300 * MS);
    return sized.status;
}

static void values_of_every_class_come_back_and_larger_ones_are_refused(void **state) {
    (void)state;
    struct world_config config = world_small(2, 1);
    config.node_bytes = UINT64_C(80) << 20; /* every class keeps a block */
    config.region_bytes = UINT64_C(16) << 20;
    config.block_bytes = UINT64_C(1) << 20;
    struct world *world = world_open(&config);
    for (uint8_t c = 0; c < SIZECLASS_COUNT; c++) {
        uint32_t most = sizeclass_bytes(c) - 80 - 8; /* header and log entry; a key of 8 bytes */
        for (uint32_t bytes = most - 1; bytes <= most + 1; bytes++) {
            bool fits = c + 1 < SIZECLASS_COUNT || bytes <= most;
            assert_int_equal(sized_status(world, 8, bytes), fits ? DM_OK : DM_TOO_LARGE);
        }
    }
    struct dm_pool_info info;
    dm_pool_info(world->pool[0], &info);
    assert_int_equal(sized_status(world, 0, (uint32_t)info.value_bytes_max), DM_OK);
    assert_int_equal(sized_status(world, 0, (uint32_t)info.value_bytes_max + 1), DM_TOO_LARGE);
    assert_int_equal(info.key_bytes_max, DM_KEY_BYTES_MAX);
    assert_int_equal(sized_status(world, DM_KEY_BYTES_MAX, 0), DM_OK);
    assert_int_equal(sized_status(world, DM_KEY_BYTES_MAX, 100000), DM_OK);
    assert_int_equal(sized_status(world, DM_KEY_BYTES_MAX + 1, 1), DM_TOO_LARGE);
    assert_int_equal(sized_status(world, 8, UINT32_MAX / 4), DM_TOO_LARGE);
    check_at_rest(world);
    world_close(world);
}

/* ---- Expiry ----------------------------------------------------------------------------------------------------- */

static void put_expiring(struct world *world, const char *key, const char *value, int64_t expire_ms) {
    struct call call = call_make(world, 0, CALL_PUT, key, value);
    call.write.expire_ms = expire_ms;
    call_begin(&call);
    call_finish(&call);
    assert_int_equal(call.status, DM_OK);
}

static void an_expired_value_is_absent_everywhere_and_goes_away(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= REPLICAS_MOST; r++) {
        struct world *world = open_small(r, 2);
        int64_t due_ms = world->fake.wall_ms + 1000;
        const char *keys[] = {"a", "b", "c", "d"};
        for (size_t i = 0; i < 4; i++) {
            put_expiring(world, keys[i], "5", due_ms);
        }
        assert_int_equal(call_run(world, 1, CALL_GET, "a", NULL).expire_ms, due_ms);
        world->fake.wall_ms = due_ms - 1;
        world_expect(world, 1, "a", "5");
        world->fake.wall_ms = due_ms;
        world_expect(world, 1, "a", NULL);
        assert_int_equal(world_delete(world, 1, "b"), DM_NOT_FOUND);
        struct call call = call_run(world, 1, CALL_INCR, "c", NULL);
        assert_false(call.found);
        assert_int_equal(call.number, 1);
        assert_true(call_run(world, 1, CALL_SETNX, "d", "new").status == DM_OK);
        world_expect(world, 0, "d", "new");
        world_poll(world, 50 * MS);
        struct census census = check_at_rest(world);
        assert_int_equal(census.live, 2); /* c and d */
        assert_int_equal(census.tombstones, 0);
        struct dm_session_stats stats;
        dm_session_stats(world->session[1], &stats);
        assert_int_equal(stats.expired_keys, 2); /* a and b */
        world_close(world);
    }
}

static void expiry_removes_only_the_word_that_was_seen(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= REPLICAS_MOST; r++) {
        struct world *world = open_small(r, 2);
        put_expiring(world, "k", "old", world->fake.wall_ms + 10);
        world->fake.wall_ms += 20;
        world_expect(world, 0, "k", NULL); /* notes a job */
        assert_int_equal(world_put(world, 1, "k", "new"), DM_OK);
        world_jobs(world, 0);
        world_expect(world, 1, "k", "new");
        world_poll(world, 50 * MS);
        world_expect(world, 0, "k", "new");
        struct dm_session_stats stats;
        dm_session_stats(world->session[0], &stats);
        assert_int_equal(stats.expired_keys, 0);
        world_close(world);
    }
}

static void an_expiry_that_moved_to_the_future_keeps_the_key(void **state) {
    (void)state;
    struct world *world = open_small(2, 2);
    put_expiring(world, "k", "old", world->fake.wall_ms + 10);
    world->fake.wall_ms += 20;
    world_expect(world, 0, "k", NULL);
    world->fake.wall_ms -= 15; /* this gateway's clock was ahead */
    world_jobs(world, 0);
    world_expect(world, 1, "k", "old");
    world_close(world);
}

/* ---- Full index ------------------------------------------------------------------------------------------------- */

static void a_full_index_refuses_new_keys_and_serves_the_old_ones(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 2; r++) {
        struct world *world = open_small(r, 1);
        char name[16];
        uint32_t written = 0;
        uint32_t refused = 0;
        static bool present[2000];
        for (uint32_t i = 0; i < 1500; i++) {
            snprintf(name, sizeof name, "f%u", i);
            enum dm_status status = world_put(world, 0, name, name);
            assert_true(status == DM_OK || status == DM_NO_MEMORY);
            present[i] = status == DM_OK;
            written += present[i];
            refused += !present[i];
        }
        assert_true(refused >= 1500 - 1008);
        assert_true(written > 850); /* two choices of 16 slots fill a table well */
        for (uint32_t i = 0; i < 1500; i++) {
            snprintf(name, sizeof name, "f%u", i);
            world_expect(world, 0, name, present[i] ? name : NULL);
        }
        for (uint32_t i = 0; i < 1500; i++) {
            snprintf(name, sizeof name, "f%u", i);
            if (present[i]) {
                assert_int_equal(world_put(world, 0, name, "again"), DM_OK);
                assert_int_equal(world_delete(world, 0, name), DM_OK);
            }
        }
        world_poll(world, 300 * MS);
        struct census census = check_at_rest(world);
        assert_int_equal(census.live, 0);
        assert_int_equal(census.tombstones, 0);
        assert_int_equal(world_put(world, 0, "f1400", "fits now"), DM_OK);
        world_close(world);
    }
}

/* ---- Allocation ------------------------------------------------------------------------------------------------- */

struct mix {
    struct world *world;
    uint32_t operations;
    uint64_t random;
};

static void mixed_operations(void *argument) {
    struct mix *mix = argument;
    struct dm_session *session = mix->world->session[0];
    static char value[700];
    for (uint32_t i = 0; i < mix->operations; i++) {
        mix->random = mix->random * UINT64_C(6364136223846793005) + 1442695040888963407;
        uint32_t chance = (uint32_t)(mix->random >> 33);
        char name[16];
        uint32_t length = (uint32_t)snprintf(name, sizeof name, "k%u", chance / 8 % 300);
        struct dm_key key = {name, length, 0};
        struct dm_read read = {0};
        enum dm_status status;
        if (chance % 8 < 4) {
            status = dm_get(session, &key, &read);
        } else if (chance % 8 < 7) {
            struct dm_write write = {.part = {{value, chance / 4096 % (uint32_t)sizeof value}}};
            status = dm_put(session, &key, &write);
        } else {
            status = dm_delete(session, &key);
        }
        assert_true(status == DM_OK || status == DM_NOT_FOUND);
        dm_read_release(session, &read);
    }
}

static void run_mixed(struct mix *mix, uint32_t turns) {
    for (uint32_t i = 0; i < turns; i++) {
        world_call(mix->world, 0, mixed_operations, mix);
        world_poll(mix->world, 2 * MS);
    }
}

static void a_request_allocates_no_memory(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 2; r++) {
        struct world_config config = world_small(r, 1);
        config.node_bytes = UINT64_C(4) << 20;
        struct world *world = world_open(&config);
        struct mix mix = {world, 100, 1};
        run_mixed(&mix, 2000); /* warm: peaks of buffers, of the limbo, of blocks owned */
        uint64_t allocations = world->fake.allocations;
        run_mixed(&mix, 1000); /* 100,000 operations, and the housekeeping between them */
        assert_int_equal(world->fake.allocations, allocations);
        check_at_rest(world);
        world_close(world);
    }
}

/* ---- Many at once ----------------------------------------------------------------------------------------------- */

#define HOT_KEYS 3u
#define HOT_COROUTINES 24u
#define HOT_ROUNDS 20u

struct hot {
    struct world *world;
    uint32_t s;
    uint32_t *ended;
};

static enum dm_action hot_increment(void *context, const struct dm_value *old, struct dm_write *write) {
    char number[24] = "0";
    if (old != NULL) {
        memcpy(number, old->bytes, old->length);
        number[old->length] = 0;
    }
    write->part[0].bytes = context;
    write->part[0].length = (uint32_t)snprintf(context, 24, "%lld", strtoll(number, NULL, 10) + 1);
    return DM_WRITE;
}

static void hot_coroutine(void *argument) {
    struct hot *hot = argument;
    static const char *const names[HOT_KEYS] = {"h0", "h1", "h2"};
    for (uint32_t i = 0; i < HOT_ROUNDS; i++) {
        struct dm_key key = {names[(i + hot->s) % HOT_KEYS], 2, 0};
        char text[24];
        assert_int_equal(dm_update(hot->world->session[hot->s], &key, hot_increment, text, NULL), DM_OK);
        dm_coro_sleep(hot->world->sched[hot->s], i % 3 * 500);
    }
    ++*hot->ended;
}

/* All sessions' gates are closed; batches are let through in a random order, one operation at a time. */
static void pass_at_random(struct world *world, uint32_t sessions, uint64_t *random) {
    for (;;) {
        uint32_t open = 0;
        for (uint32_t s = 0; s < sessions; s++) {
            dm_session_poll(world->session[s]);
            open += gate_batch(world->session[s]) != NULL;
        }
        if (open == 0 && world->fake.now_ns > 0) {
            uint64_t next_ns = UINT64_MAX;
            for (uint32_t s = 0; s < sessions; s++) {
                uint64_t wait_ns = dm_sched_next_ns(world->sched[s]);
                next_ns = wait_ns < next_ns ? wait_ns : next_ns;
            }
            if (next_ns == UINT64_MAX) {
                return;
            }
            world->fake.now_ns += next_ns;
            continue;
        }
        *random = *random * UINT64_C(6364136223846793005) + 1442695040888963407;
        uint32_t s = (uint32_t)(*random >> 40) % sessions;
        struct dm_batch *batch = gate_batch(world->session[s]);
        if (batch == NULL) {
            continue;
        }
        if (!gate_apply_next(world->session[s], (uint16_t)((*random >> 33) % world->config.nodes))) {
            gate_pass(world->session[s]);
        }
    }
}

static void increments_of_hot_keys_add_up_exactly(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= REPLICAS_MOST; r++) {
        for (uint32_t sessions = 1; sessions <= 3; sessions += 2) {
            struct world_config config = world_small(r, sessions);
            config.node_bytes = UINT64_C(8) << 20; /* losers' objects wait for a grace period that hardly passes */
            struct world *world = world_open(&config);
            struct hot hot[3];
            uint32_t ended = 0;
            uint64_t random = r * 10 + sessions;
            for (uint32_t s = 0; s < sessions; s++) {
                hot[s] = (struct hot){world, s, &ended};
                gate_close(world->session[s]);
                for (uint32_t c = 0; c < HOT_COROUTINES / sessions; c++) {
                    assert_int_equal(dm_sched_spawn(world->sched[s], hot_coroutine, &hot[s]), DM_OK);
                }
            }
            pass_at_random(world, sessions, &random);
            assert_int_equal(ended, HOT_COROUTINES);
            for (uint32_t s = 0; s < sessions; s++) {
                gate_open(world->session[s]);
            }
            uint64_t sum = 0;
            for (uint32_t k = 0; k < HOT_KEYS; k++) {
                char name[4] = {'h', (char)('0' + k), 0};
                struct call call = call_run(world, 0, CALL_GET, name, NULL);
                assert_int_equal(call.status, DM_OK);
                sum += strtoull(call.value, NULL, 10);
            }
            assert_int_equal(sum, HOT_COROUTINES * HOT_ROUNDS);
            world_poll(world, 20 * MS);
            assert_int_equal(check_at_rest(world).live, HOT_KEYS);
            world_close(world);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_read_overwritten_and_deleted),
        cmocka_unit_test(an_update_sees_the_old_value_and_decides),
        cmocka_unit_test(empty_keys_and_values_are_keys_and_values),
        cmocka_unit_test(keys_of_different_spaces_never_meet),
        cmocka_unit_test(a_version_changes_with_every_write_and_only_then),
        cmocka_unit_test(values_of_every_class_come_back_and_larger_ones_are_refused),
        cmocka_unit_test(an_expired_value_is_absent_everywhere_and_goes_away),
        cmocka_unit_test(expiry_removes_only_the_word_that_was_seen),
        cmocka_unit_test(an_expiry_that_moved_to_the_future_keeps_the_key),
        cmocka_unit_test(a_full_index_refuses_new_keys_and_serves_the_old_ones),
        cmocka_unit_test(a_request_allocates_no_memory),
        cmocka_unit_test(increments_of_hot_keys_add_up_exactly),
    };
    if (provider_is_remote()) { /* 600,000 operations about memory of this process: minutes over RDMA */
        cmocka_set_skip_filter("a_request_allocates_no_memory");
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
