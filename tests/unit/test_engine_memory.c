/* test_engine_memory.c: memory of a tiny pool through the data calls: what is freed is used again, a full pool refuses
 * cleanly and recovers (T13), blocks change hands, nothing is lost and nothing is given twice. Time is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fusee/session.h"
#include "gate.h"
#include "pool_check.h"

#define NAME_BYTES 16u
#define VALUE_MAX 5000u

static char text[VALUE_MAX + 1]; /* 'x' throughout; a value is its tail */

static int setup(void **state) {
    (void)state;
    memset(text, 'x', VALUE_MAX);
    return 0;
}

static const char *value_of(uint32_t bytes) { return text + VALUE_MAX - bytes; }

static struct world *open_sized(uint32_t replicas, uint32_t sessions, uint32_t subtables) {
    struct world_config config = world_small(replicas, sessions);
    config.subtables = subtables;
    config.polled = true;
    return world_open(&config);
}

static uint64_t used_blocks(const struct world *world) {
    struct census census = check_at_rest(world);
    return census.blocks_owned + census.blocks_orphan;
}

static enum dm_status put_numbered(struct world *world, uint32_t s, const char *prefix, uint32_t i, uint32_t bytes) {
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s%u", prefix, i);
    return world_put(world, s, name, value_of(bytes));
}

/* May take from the reserve. */
static enum dm_status put_essential(struct world *world, uint32_t s, const char *prefix, uint32_t i) {
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s%u", prefix, i);
    struct call call = call_make(world, s, CALL_PUT, name, "essential");
    call.write.essential = true;
    call_begin(&call);
    call_finish(&call);
    return call.status;
}

static enum dm_status delete_numbered(struct world *world, uint32_t s, const char *prefix, uint32_t i) {
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s%u", prefix, i);
    return world_delete(world, s, name);
}

static enum dm_status get_numbered(struct world *world, uint32_t s, const char *prefix, uint32_t i, uint32_t bytes) {
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s%u", prefix, i);
    struct call call = call_run(world, s, CALL_GET, name, NULL);
    if (call.status == DM_OK) {
        assert_int_equal(call.length, bytes);
    }
    return call.status;
}

/* Writes until the pool is full; returns how many keys there are then. */
static uint32_t fill(struct world *world, uint32_t s, const char *prefix, uint32_t bytes) {
    uint32_t i = 0;
    while (put_numbered(world, s, prefix, i, bytes) == DM_OK) {
        i++;
        assert_true(i < 100000);
    }
    assert_int_equal(put_numbered(world, s, prefix, i, bytes), DM_NO_MEMORY);
    return i;
}

/* ---- Churn ------------------------------------------------------------------------------------------------------ */

static void overwriting_the_same_keys_takes_no_more_memory_with_time(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 2; r++) {
        struct world *world = open_sized(r, 2, 1);
        uint64_t most[2] = {0, 0};
        uint64_t random = 7;
        for (uint32_t half = 0; half < 2; half++) {
            for (uint32_t i = 0; i < 20000; i++) {
                random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
                uint32_t bytes = (uint32_t)(random >> 33) % 300;
                assert_int_equal(put_numbered(world, i % 2, "k", (uint32_t)(random >> 50) % 20, bytes), DM_OK);
                if (i % 20 == 0) {
                    world_poll(world, 5 * MS);
                }
                if (i % 500 == 0) {
                    uint64_t used = used_blocks(world);
                    most[half] = used > most[half] ? used : most[half];
                }
            }
        }
        assert_in_range(most[1], 1, most[0] + 2);
        world_close(world);
    }
}

/* A put that finds all memory on its way back waits for it, and gets it. */
static void a_put_that_waits_for_the_grace_period_gets_its_memory(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 2; r++) {
        struct world *world = open_sized(r, 1, 1);
        for (uint32_t i = 0; i < 2000; i++) { /* no poll, hardly any time: nothing is free in the end */
            assert_int_equal(world_put(world, 0, "k", value_of(1000)), DM_OK);
        }
        world_close(world);
    }
}

/* ... also when all of it was freed just now, behind the last look at the epoch. */
static void a_put_right_behind_many_deletes_gets_their_memory(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 2; r++) {
        struct world *world = open_sized(r, 1, 4);
        uint32_t count = fill(world, 0, "k", 1000);
        world_poll(world, 200 * MS); /* the refusal is over */
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(delete_numbered(world, 0, "k", i), DM_OK);
        }
        assert_int_equal(put_numbered(world, 0, "k", 0, 1000), DM_OK);
        world_close(world);
    }
}

/* ---- Full ------------------------------------------------------------------------------------------------------- */

static void *copy_of_slots(const struct world *world, size_t *bytes) {
    const struct layout *layout = check_layout(world);
    *bytes = (size_t)layout->super.subtables * layout->super.replicas * INDEX_SUBTABLE_BYTES;
    uint8_t *copy = malloc(*bytes);
    uint8_t *to = copy;
    for (uint32_t t = 0; t < layout->super.subtables; t++) {
        for (uint32_t j = 0; j < layout->super.replicas; j++) {
            memcpy(to, check_at(world, layout_subtable_address(layout, t), j), INDEX_SUBTABLE_BYTES);
            to += INDEX_SUBTABLE_BYTES;
        }
    }
    return copy;
}

static void t13_a_refused_write_changes_nothing(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 3; r++) {
        struct world *world = open_sized(r, 1, 4);
        uint32_t count = fill(world, 0, "k", 1000);
        size_t bytes;
        void *before = copy_of_slots(world, &bytes);
        assert_int_equal(put_numbered(world, 0, "k", 0, 1001), DM_NO_MEMORY);
        assert_int_equal(put_numbered(world, 0, "n", 0, 1001), DM_NO_MEMORY);
        struct call call = call_run(world, 0, CALL_APPEND, "k1", "more");
        assert_int_equal(call.status, DM_NO_MEMORY);
        void *after = copy_of_slots(world, &bytes);
        assert_memory_equal(before, after, bytes);
        free(before);
        free(after);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(get_numbered(world, 0, "k", i, 1000), DM_OK);
        }
        world_close(world);
    }
}

static void t13_a_full_pool_serves_reads_deletes_and_essential_writes(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 3; r++) {
        struct world *world = open_sized(r, 2, 4);
        uint32_t small = 0;
        for (; small < 20; small++) {
            assert_int_equal(put_numbered(world, 0, "s", small, 10), DM_OK);
        }
        uint32_t count = fill(world, 0, "k", 1000);
        assert_true(count > 300);
        for (uint32_t i = 0; i < small; i++) { /* EXPIRE and its like */
            assert_int_equal(put_essential(world, i % 2, "s", i), DM_OK);
        }
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(get_numbered(world, i % 2, "k", i, 1000), DM_OK);
        }
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(delete_numbered(world, i % 2, "k", i), DM_OK);
        }
        for (uint32_t i = 0; i < small; i++) {
            assert_int_equal(delete_numbered(world, i % 2, "s", i), DM_OK);
        }
        world_poll(world, 500 * MS);
        assert_int_equal(check_at_rest(world).live, 0);
        world_close(world);
    }
}

static void t13_after_deletes_a_full_pool_takes_writes_of_any_size(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 2; r++) {
        for (uint32_t sessions = 1; sessions <= 2; sessions++) {
            struct world *world = open_sized(r, sessions, 4);
            uint32_t count = fill(world, 0, "k", 1000);
            for (uint32_t i = 0; i < count; i++) { /* the last session frees objects of the first */
                assert_int_equal(delete_numbered(world, sessions - 1, "k", i), DM_OK);
            }
            world_poll(world, 1000 * MS);
            assert_int_equal(put_numbered(world, 0, "k", 0, 1000), DM_OK); /* same class */
            uint32_t large = 0;
            while (large < 40 && put_numbered(world, sessions - 1, "l", large, 4000) == DM_OK) {
                large++;
                world_poll(world, 100 * MS);
            }
            assert_int_equal(large, 40); /* 14 blocks of another class */
            check_at_rest(world);
            world_close(world);
        }
    }
}

/* Fill with one size, delete, fill with the next, and so on: each time about as much fits as the first time. */
static void a_pool_can_be_filled_again_and_again(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 2; r++) {
        struct world *world = open_sized(r, 1, 4);
        const uint32_t sizes[] = {1000, 3000, 400, 4000};
        uint64_t first[4] = {0};
        for (uint32_t round = 0; round < 12; round++) {
            uint32_t bytes = sizes[round % 4];
            uint32_t count = fill(world, 0, "k", bytes);
            for (uint32_t i = 0; i < count; i++) {
                assert_int_equal(delete_numbered(world, 0, "k", i), DM_OK);
            }
            world_poll(world, 1000 * MS);
            assert_int_equal(check_at_rest(world).live, 0);
            if (first[round % 4] == 0) {
                first[round % 4] = count;
            }
            assert_in_range(count, first[round % 4] * 8 / 10, first[round % 4] * 13 / 10);
        }
        world_close(world);
    }
}

static void an_emptied_pool_uses_nearly_nothing(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 2; r++) {
        struct world *world = open_sized(r, 1, 4);
        for (uint32_t i = 0; i < 600; i++) {
            assert_int_equal(put_numbered(world, 0, "k", i, i % 500), DM_OK);
        }
        uint64_t used = used_blocks(world);
        for (uint32_t i = 0; i < 600; i++) {
            assert_int_equal(delete_numbered(world, 0, "k", i), DM_OK);
        }
        world_poll(world, 1000 * MS);
        struct dm_session_stats stats;
        dm_session_stats(world->session[0], &stats);
        assert_true(used > 12);
        assert_in_range(used_blocks(world), 0, 10); /* one a class that was used, eight of them */
        /* All but the reserved object of each class is free. */
        assert_int_equal(stats.objects_allocated, stats.objects_freed);
        world_close(world);
        world = NULL;
    }
}

/* ---- Sessions --------------------------------------------------------------------------------------------------- */

static void sessions_that_free_each_others_objects_lose_none(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 2; r++) {
        struct world *world = open_sized(r, 3, 4);
        uint64_t random = 3;
        uint64_t most[2] = {0, 0};
        for (uint32_t i = 0; i < 30000; i++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
            uint32_t s = (uint32_t)(random >> 60) % 3;
            uint32_t key = (uint32_t)(random >> 33) % 200;
            enum dm_status status = (random >> 20) % 4 == 0
                                        ? delete_numbered(world, s, "k", key)
                                        : put_numbered(world, s, "k", key, (uint32_t)(random >> 45) % 200);
            assert_true(status == DM_OK || status == DM_NOT_FOUND);
            if (i % 20 == 0) {
                world_poll(world, 5 * MS);
            }
            if (i % 1000 == 0) {
                uint64_t used = used_blocks(world);
                uint64_t *half = &most[i / 15000];
                *half = used > *half ? used : *half;
            }
        }
        assert_in_range(most[1], 1, most[0] + 4);
        for (uint32_t i = 0; i < 200; i++) {
            enum dm_status status = delete_numbered(world, i % 3, "k", i);
            assert_true(status == DM_OK || status == DM_NOT_FOUND);
        }
        world_poll(world, 1000 * MS);
        assert_int_equal(check_at_rest(world).live, 0);
        world_close(world);
    }
}

static void blocks_of_a_closed_session_are_adopted(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 2; r++) {
        struct world *world = open_sized(r, 2, 4);
        for (uint32_t i = 0; i < 300; i++) {
            assert_int_equal(put_numbered(world, 1, "k", i, 10), DM_OK);
        }
        for (uint32_t i = 0; i < 300; i += 2) {
            assert_int_equal(delete_numbered(world, 1, "k", i), DM_OK);
        }
        world_poll(world, 500 * MS);
        assert_int_equal(check_at_rest(world).blocks_orphan, 0);
        world_session_close(world, 1);
        uint64_t orphans = check_at_rest(world).blocks_orphan;
        assert_true(orphans >= 2);
        for (uint32_t i = 1; i < 300; i += 2) {
            assert_int_equal(get_numbered(world, 0, "k", i, 10), DM_OK);
        }
        world_session_open(world, 1);
        uint64_t free_before = check_at_rest(world).blocks_free;
        for (uint32_t i = 0; i < 100; i++) { /* fits into what the orphans have free */
            assert_int_equal(put_numbered(world, i % 2, "n", i, 10), DM_OK);
            world_poll(world, 10 * MS);
        }
        struct census census = check_at_rest(world);
        assert_true(census.blocks_orphan < orphans);
        assert_in_range(census.blocks_free, free_before - 2, free_before);
        for (uint32_t i = 1; i < 300; i += 2) {
            assert_int_equal(get_numbered(world, 0, "k", i, 10), DM_OK);
        }
        world_close(world);
    }
}

static void sessions_come_and_go_and_no_block_stays_behind(void **state) {
    (void)state;
    struct world *world = open_sized(2, 2, 4);
    uint64_t used = 0;
    for (uint32_t round = 0; round < 60; round++) {
        for (uint32_t i = 0; i < 100; i++) {
            assert_int_equal(put_numbered(world, round % 2, "k", i, 10 + round), DM_OK);
        }
        world_poll(world, 150 * MS);
        uint32_t s = round % 3 % 2;
        world_session_close(world, s);
        check_at_rest(world);
        world_session_open(world, s);
        if (round == 20) {
            used = used_blocks(world);
        }
    }
    assert_in_range(used_blocks(world), 1, used + 8);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(get_numbered(world, 0, "k", i, 10 + 59), DM_OK);
        assert_int_equal(delete_numbered(world, 0, "k", i), DM_OK);
    }
    world_poll(world, 1000 * MS);
    world_session_close(world, 1);
    world_session_close(world, 0);
    struct census census = check_at_rest(world);
    assert_int_equal(census.blocks_owned, 0);
    assert_int_equal(census.live, 0);
    world_session_open(world, 0);
    world_close(world);
}

/* One session's need makes the others give up blocks that are largely free, while they go on working. */
static void in_need_sessions_give_up_blocks_that_they_hardly_use(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 2; r++) {
        for (uint32_t seed = 0; seed < 40; seed++) {
            struct world *world = open_sized(r, 2, 4);
            for (uint32_t i = 0; i < 380 + seed; i++) {
                assert_int_equal(put_numbered(world, 0, "k", i, 10), DM_OK);
            }
            for (uint32_t i = 0; i < 380; i++) {
                if ((i * 7 + seed) % 5 != 0) {
                    assert_int_equal(delete_numbered(world, 0, "k", i), DM_OK);
                }
            }
            world_poll(world, 300 * MS);
            uint64_t owned = world->session[0]->slab.owned;
            fill(world, 1, "l", 1000);
            world_poll(world, 1500 * MS); /* an idle session looks once a second */
            assert_true(world->session[0]->slab.owned < owned);
            for (uint32_t i = 0; i < 300; i++) {
                enum dm_status status = put_numbered(world, 0, "k", i, 10);
                assert_true(status == DM_OK || status == DM_NO_MEMORY);
            }
            world_poll(world, 300 * MS);
            check_at_rest(world);
            world_close(world);
        }
    }
}

/* The object that the log names as the next one stays ours, also when its block is largely free and not the first. */
static void a_block_with_the_reserved_object_is_not_given_up(void **state) {
    (void)state;
    struct world *world = open_sized(1, 2, 4);
    const struct slab_class *class = &world->session[0]->slab.classes[0];
    for (uint32_t i = 0; i < 255; i++) { /* two blocks of 128; the last object of the second is the reserved one */
        assert_int_equal(put_numbered(world, 0, "k", i, 10), DM_OK);
        if (i == 199) {
            for (uint32_t k = 0; k < 40; k++) { /* so that the first has something to give again */
                assert_int_equal(delete_numbered(world, 0, "k", k), DM_OK);
            }
            world_poll(world, 300 * MS);
        }
    }
    for (uint32_t k = 128; k < 188; k++) {
        assert_int_equal(delete_numbered(world, 0, "k", k), DM_OK);
    }
    world_poll(world, 300 * MS);
    const struct block *block = slab_block_of(&world->session[0]->slab, class->reserved);
    assert_true(block->listed && block != class->partial && block->free >= block->objects / 4);
    fill(world, 1, "l", 1000);
    world_poll(world, 1500 * MS);
    for (uint32_t i = 0; i < 50; i++) {
        assert_int_equal(put_essential(world, 0, "n", i), DM_OK);
    }
    for (uint32_t i = 188; i < 255; i++) {
        assert_int_equal(get_numbered(world, 0, "k", i, 10), DM_OK);
    }
    check_at_rest(world);
    world_close(world);
}

/* While the free objects of a block are being marked for its next owner, nobody here may take one of them. */
static void a_block_that_is_given_up_is_not_used_meanwhile(void **state) {
    (void)state;
    struct world *world = open_sized(2, 2, 4);
    for (uint32_t i = 0; i < 384; i++) {
        assert_int_equal(put_numbered(world, 0, "k", i, 10), DM_OK);
    }
    for (uint32_t i = 0; i < 384; i += 2) {
        assert_int_equal(delete_numbered(world, 0, "k", i), DM_OK);
    }
    world_poll(world, 300 * MS);
    fill(world, 1, "l", 1000);
    struct dm_session *session = world->session[0];
    gate_close(session);
    world->fake.now_ns += 1100 * MS; /* an idle session looks once a second */
    dm_session_poll(session);
    for (uint32_t i = 0; i < 100; i++) { /* housekeeping, until it marks the free objects of one of our blocks */
        const struct dm_batch *batch = gate_batch(session);
        assert_non_null(batch);
        if (batch->ops[0].kind == DM_OP_FAA) {
            break;
        }
        gate_pass(session);
    }
    assert_int_equal(gate_batch(session)->ops[0].kind, DM_OP_FAA);
    for (uint32_t i = 0; i < 250; i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "n%u", i);
        struct call call = call_make(world, 0, CALL_PUT, name, "v");
        call.write.essential = true;
        call_begin(&call);
        for (uint32_t passed = 0; passed < 50 && !call.ended; passed++) {
            gate_rotate(session); /* the batch of housekeeping stays where it is */
            if (gate_waiting(session) > 1) {
                gate_pass(session);
            } else {
                world->fake.now_ns += 1 * MS;
                dm_sched_run(world->sched[0]);
            }
        }
        if (!call.ended) {
            gate_open(session);
            call_finish(&call);
            break;
        }
    }
    gate_open(session);
    world_run(world);
    world_poll(world, 300 * MS);
    check_at_rest(world);
    world_session_open(world, 2); /* adopts what was given up */
    for (uint32_t i = 0; i < 350; i++) {
        assert_int_equal(put_essential(world, 2, "m", i), DM_OK);
        world_poll(world, 10 * MS);
        check_at_rest(world); /* no object in two slots */
    }
    world_close(world);
}

static void a_process_without_memory_gets_an_error_and_loses_nothing(void **state) {
    (void)state;
    for (uint64_t allowed = 0; allowed < 12; allowed++) {
        struct world *world = open_sized(2, 1, 4);
        assert_int_equal(put_numbered(world, 0, "k", 0, 10), DM_OK);
        world->fake.allowed = allowed;
        for (uint32_t i = 0; i < 400; i++) {
            enum dm_status status = put_numbered(world, 0, "k", i, i);
            assert_true(status == DM_OK || status == DM_NO_MEMORY || status == DM_BUSY);
        }
        world->fake.allowed = UINT64_MAX;
        world_poll(world, 300 * MS);
        for (uint32_t i = 0; i < 400; i++) {
            assert_int_equal(put_numbered(world, 0, "k", i, i), DM_OK);
            assert_int_equal(get_numbered(world, 0, "k", i, i), DM_OK);
        }
        check_at_rest(world);
        world_close(world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overwriting_the_same_keys_takes_no_more_memory_with_time),
        cmocka_unit_test(a_put_that_waits_for_the_grace_period_gets_its_memory),
        cmocka_unit_test(a_put_right_behind_many_deletes_gets_their_memory),
        cmocka_unit_test(t13_a_refused_write_changes_nothing),
        cmocka_unit_test(t13_a_full_pool_serves_reads_deletes_and_essential_writes),
        cmocka_unit_test(t13_after_deletes_a_full_pool_takes_writes_of_any_size),
        cmocka_unit_test(a_pool_can_be_filled_again_and_again),
        cmocka_unit_test(an_emptied_pool_uses_nearly_nothing),
        cmocka_unit_test(sessions_that_free_each_others_objects_lose_none),
        cmocka_unit_test(blocks_of_a_closed_session_are_adopted),
        cmocka_unit_test(sessions_come_and_go_and_no_block_stays_behind),
        cmocka_unit_test(in_need_sessions_give_up_blocks_that_they_hardly_use),
        cmocka_unit_test(a_block_with_the_reserved_object_is_not_given_up),
        cmocka_unit_test(a_block_that_is_given_up_is_not_used_meanwhile),
        cmocka_unit_test(a_process_without_memory_gets_an_error_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
