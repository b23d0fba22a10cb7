/* test_expired.c: who removes an expired key is told of it, once, whoever of the pool's sessions it is. */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SESSIONS 2u
#define KEYS_TOLD_MAX 8u
#define SPACE 3

struct told {
    uint32_t count;
    char keys[KEYS_TOLD_MAX]; /* of one letter each */
    uint16_t spaces[KEYS_TOLD_MAX];
};

static void on_expired(void *context, const struct dm_key *key) {
    struct told *told = context;

    assert_true(told->count < KEYS_TOLD_MAX);
    assert_int_equal(key->length, 1);
    told->keys[told->count] = *(const char *)key->bytes;
    told->spaces[told->count++] = key->space;
}

static struct world *world_with(uint32_t replicas, struct told told[SESSIONS]) {
    struct world_config config = world_small(replicas, SESSIONS);
    struct world *world = world_open(&config);

    memset(told, 0, SESSIONS * sizeof *told);
    for (uint32_t s = 0; s < SESSIONS; s++) {
        dm_session_on_expired(world->session[s], on_expired, &told[s]);
    }
    return world;
}

static void put_expiring(struct world *world, const char *key, uint16_t space, int64_t expire_ms) {
    struct call call = call_make(world, 0, CALL_PUT, key, "v");

    call.key.space = space;
    call.write.expire_ms = expire_ms;
    call_begin(&call);
    call_finish(&call);
    assert_int_equal(call.status, DM_OK);
}

static void get(struct world *world, uint32_t s, const char *key, uint16_t space) {
    struct call call = call_make(world, s, CALL_GET, key, NULL);

    call.key.space = space;
    call_begin(&call);
    call_finish(&call);
    assert_int_equal(call.status, DM_NOT_FOUND);
}

static void one_of_those_who_meet_it_is_told_once(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 3; r++) {
        struct told told[SESSIONS];
        struct world *world = world_with(r, told);
        int64_t due_ms = world->fake.wall_ms + 1000;

        put_expiring(world, "a", SPACE, due_ms);
        world->fake.wall_ms = due_ms;
        for (int times = 0; times < 3; times++) {
            get(world, 0, "a", SPACE);
            get(world, 1, "a", SPACE);
        }
        world_poll(world, 50 * MS);
        get(world, 1, "a", SPACE);
        world_poll(world, 50 * MS);
        assert_int_equal(told[0].count + told[1].count, 1);
        const struct told *who = told[0].count == 1 ? &told[0] : &told[1];
        assert_int_equal(who->keys[0], 'a');
        assert_int_equal(who->spaces[0], SPACE);
        world_close(world);
    }
}

static void what_was_deleted_or_written_again_is_not_told(void **state) {
    struct told told[SESSIONS];
    struct world *world = world_with(2, told);
    int64_t due_ms = world->fake.wall_ms + 1000;

    (void)state;
    put_expiring(world, "d", 0, due_ms);
    put_expiring(world, "w", 0, due_ms);
    put_expiring(world, "n", 0, due_ms + 1000);
    assert_int_equal(world_delete(world, 1, "d"), DM_OK);
    world->fake.wall_ms = due_ms;
    assert_int_equal(world_put(world, 1, "w", "new"), DM_OK);
    world_expect(world, 1, "w", "new");
    world_expect(world, 1, "n", "v");
    world_poll(world, 50 * MS);
    assert_int_equal(told[0].count + told[1].count, 0);
    world_close(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_of_those_who_meet_it_is_told_once),
        cmocka_unit_test(what_was_deleted_or_written_again_is_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
