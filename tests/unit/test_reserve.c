/* test_reserve.c: what of a full pool is kept back for deletes (T13): a block for each client at work, however many
 * these are, and whatever the others do with theirs. Writes that may use the reserve, too (EXPIRE), leave objects in it
 * that stay, so it is not enough that what deletes take comes back. Time is the test's. See fusee/allocator.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "fusee/block.h"
#include "fusee/session.h"
#include "pool_account.h"
#include "pool_check.h"

#define SESSIONS 6u
#define FILLER 0u
#define SMALL_KEYS                                                                                                     \
    (28u * 128u - 1u) /* they and the object that is handed out next fill blocks: there is none to give up */
#define APART 5u      /* of so many small keys one is written again: too few for the filler to give a block up */
#define LOOK_NS (2 * MS)

static char large[900];

/* ---- Clients at work -------------------------------------------------------------------------------------------- */

struct full {
    struct world *world;
    bool stop;
    uint32_t at_work;
    struct reader {
        struct full *full;
        uint32_t s;
    } readers[SESSIONS];
    uint32_t large_keys;
};

static const char *name_of(const char *prefix, uint32_t i) {
    static char name[32];
    snprintf(name, sizeof name, "%s%u", prefix, i);
    return name;
}

static void read_now_and_then(void *argument) {
    const struct reader *reader = argument;
    struct full *full = reader->full;
    struct dm_session *session = full->world->session[reader->s];
    while (!full->stop) {
        struct dm_read read = {0};
        assert_int_equal(dm_get(session, &(struct dm_key){.bytes = "s0", .length = 2}, &read), DM_OK);
        dm_read_release(session, &read);
        dm_coro_sleep(full->world->sched[reader->s], LOOK_NS);
    }
    full->at_work--;
}

static enum dm_status run(struct full *full, struct call call) {
    call_begin(&call);
    while (!call.ended) {
        world_poll(full->world, MS);
    }
    return call.status;
}

static enum dm_status put(struct full *full, uint32_t s, const char *name, const char *value) {
    return run(full, call_make(full->world, s, CALL_PUT, name, value));
}

static enum dm_status delete_key(struct full *full, uint32_t s, uint32_t large_key) {
    return run(full, call_make(full->world, s, CALL_DELETE, name_of("l", large_key), NULL));
}

/* The small key gets another object, in memory of the reserve. */
static enum dm_status expire(struct full *full, uint32_t s, uint32_t small_key) {
    struct call call = call_make(full->world, s, CALL_PUT, name_of("s", small_key), "1");
    call.write.essential = true;
    return run(full, call);
}

/* One session writes until it is refused; all others are at work, and own nothing. */
static void full_open(struct full *full, uint32_t replicas) {
    struct world_config config = world_small(replicas, SESSIONS);
    config.node_bytes = 2u << 20;
    config.region_bytes = 512u << 10;
    config.subtables = 8;
    memset(large, 'x', sizeof large - 1);
    *full = (struct full){.world = world_open(&config)};
    struct world *world = full->world;
    for (uint32_t i = 0; i < SMALL_KEYS; i++) {
        assert_int_equal(world_put(world, FILLER, name_of("s", i), "1"), DM_OK);
    }
    for (uint32_t s = FILLER + 1; s < SESSIONS; s++, full->at_work++) {
        full->readers[s] = (struct reader){full, s};
        assert_int_equal(dm_sched_spawn(world->sched[s], read_now_and_then, &full->readers[s]), DM_OK);
    }
    world_poll(world, 100 * MS);
    enum dm_status status;
    while ((status = put(full, FILLER, name_of("l", full->large_keys), large)) == DM_OK) {
        full->large_keys++;
    }
    assert_int_equal(status, DM_NO_MEMORY);
    for (uint32_t s = 0; s < SESSIONS; s++) {
        assert_true(world->session[s]->clients_active >= SESSIONS - 1); /* the filler may rest */
        assert_int_equal(world->session[s]->slab.owned != 0, s == FILLER);
    }
}

static void full_close(struct full *full) {
    full->stop = true;
    world_poll(full->world, 500 * MS);
    assert_int_equal(full->at_work, 0);
    account_pool(full->world);
    world_close(full->world);
}

/* ---- Cases ------------------------------------------------------------------------------------------------------ */

/* All but one of the clients at work leave an object in their block of the reserve; the last one finds its block. */
static void t13_each_client_at_work_finds_a_block_of_the_reserve(void **state) {
    (void)state;
    for (uint32_t r = 2; r <= 3; r++) {
        struct full full;
        full_open(&full, r);
        assert_true(SESSIONS > layout_reserve_blocks(check_layout(full.world)) + 1);
        for (uint32_t s = FILLER + 1; s + 1 < SESSIONS; s++) {
            assert_int_equal(expire(&full, s, s * APART), DM_OK);
        }
        assert_int_equal(delete_key(&full, SESSIONS - 1, full.large_keys / 2), DM_OK);
        full_close(&full);
    }
}

/* One client writes until it is refused, and has then had no block of the others. */
static void t13_who_has_its_block_of_the_reserve_leaves_the_others_theirs(void **state) {
    (void)state;
    for (uint32_t r = 2; r <= 3; r++) {
        struct full full;
        full_open(&full, r);
        enum dm_status status = DM_OK;
        for (uint32_t i = 0; i < SMALL_KEYS && status == DM_OK; i += APART) {
            status = expire(&full, FILLER + 1, i);
        }
        assert_int_equal(status, DM_NO_MEMORY);
        for (uint32_t s = FILLER + 2; s < SESSIONS; s++) {
            assert_int_equal(delete_key(&full, s, full.large_keys / SESSIONS * s), DM_OK);
        }
        full_close(&full);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t13_each_client_at_work_finds_a_block_of_the_reserve),
        cmocka_unit_test(t13_who_has_its_block_of_the_reserve_leaves_the_others_theirs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
