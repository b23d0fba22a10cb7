/* test_lease.c: a session keeps up its lease, and begins nothing when it may have been taken for dead
 * (libdm/fusee/lease.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "fusee/claim.h"
#include "fusee/session.h"

#define LEASE_MS 1000u
#define A 0u
#define B 1u

static struct world *open_with(uint32_t lease_ms) {
    struct world_config config = world_small(2, 2);
    config.lease_ms = lease_ms;
    return world_open(&config);
}

static struct client_record *record_of(const struct world *world, uint32_t s) {
    const struct dm_session *session = world->session[s];
    uint8_t *node = world->memory[0].base;
    return (struct client_record *)(node + session->pool->layout.clients_offset +
                                    (uint64_t)session->client * LAYOUT_CLIENT_BYTES);
}

static void a_session_renews_its_lease_long_before_its_end_idle_or_not(void **state) {
    struct world *world = open_with(LEASE_MS);
    (void)state;
    uint64_t word = record_of(world, A)->lease;
    assert_int_equal(lease_word_ms(word), LEASE_MS);
    for (int i = 0; i < 40; i++) {
        world_poll(world, LEASE_MS * MS / 2);
        assert_int_not_equal(record_of(world, A)->lease, word);
        word = record_of(world, A)->lease;
        assert_int_equal(lease_word_ms(word), LEASE_MS);
    }
    world_close(world);
}

static void without_a_lease_nothing_is_promised(void **state) {
    struct world *world = open_with(0);
    (void)state;
    world_poll(world, 5000 * MS);
    assert_int_equal(record_of(world, A)->lease, 0);
    world->fake.now_ns += 100000 * MS;
    assert_int_equal(world_put(world, A, "key", "value"), DM_OK);
    world_close(world);
}

/* It was paused, and nobody has noticed. */
static void a_session_that_slept_finds_that_it_may_go_on(void **state) {
    struct world *world = open_with(LEASE_MS);
    (void)state;
    assert_int_equal(world_put(world, A, "key", "one"), DM_OK);
    uint64_t word = record_of(world, A)->lease;
    world->fake.now_ns += 10 * LEASE_MS * MS;
    world->session[A]->now_ns = world->fake.now_ns;
    assert_int_equal(world_put(world, A, "key", "two"), DM_OK);
    assert_int_not_equal(record_of(world, A)->lease, word);
    assert_false(dm_session_is_fenced(world->session[A]));
    world_expect(world, B, "key", "two");
    world_close(world);
}

static void one_whose_repair_has_begun_begins_nothing(void **state) {
    struct world *world = open_with(LEASE_MS);
    (void)state;
    assert_int_equal(world_put(world, A, "key", "one"), DM_OK);
    struct client_record *record = record_of(world, A);
    record->claim = claim_make(world->session[B]->client, world->session[B]->client_nonce, record->owner);
    uint64_t word = record->lease;
    world->fake.now_ns += 10 * LEASE_MS * MS;
    world->session[A]->now_ns = world->fake.now_ns;
    assert_int_equal(world_put(world, A, "key", "two"), DM_NO_LEASE);
    assert_int_equal(call_run(world, A, CALL_GET, "key", NULL).status, DM_NO_LEASE);
    assert_true(dm_session_is_fenced(world->session[A]));
    assert_int_equal(record->lease, word); /* nor does it renew anything */
    world_expect(world, B, "key", "one");
    record->claim = 0;
    world->session[A]->lease.fenced = false;
    world_close(world);
}

static void one_whose_record_is_another_ones_begins_nothing(void **state) {
    struct world *world = open_with(LEASE_MS);
    (void)state;
    struct client_record *record = record_of(world, A);
    uint64_t owner = record->owner;
    record->owner = owner + 0x100;
    world->fake.now_ns += 10 * LEASE_MS * MS;
    world->session[A]->now_ns = world->fake.now_ns;
    assert_int_equal(world_put(world, A, "key", "two"), DM_NO_LEASE);
    assert_true(dm_session_is_fenced(world->session[A]));
    record->owner = owner;
    world->session[A]->lease.fenced = false;
    world_close(world);
}

/* A lease that is kept elsewhere. */
static void behind_the_time_that_it_may_serve_until_nothing_begins_and_then_it_goes_on(void **state) {
    struct world *world = open_with(0);
    (void)state;
    assert_int_equal(world_put(world, A, "key", "one"), DM_OK);
    dm_pool_serve_until(world->pool[A], world->fake.now_ns + 100 * MS);
    assert_int_equal(world_put(world, A, "key", "two"), DM_OK);
    world->fake.now_ns += 200 * MS;
    world->session[A]->now_ns = world->fake.now_ns;
    assert_int_equal(world_put(world, A, "key", "three"), DM_NO_LEASE);
    assert_int_equal(call_run(world, A, CALL_GET, "key", NULL).status, DM_NO_LEASE);
    assert_false(dm_session_is_fenced(world->session[A]));
    dm_pool_serve_until(world->pool[A], world->fake.now_ns + 100 * MS);
    world_expect(world, A, "key", "two");
    dm_pool_serve_until(world->pool[A], UINT64_MAX);
    world_close(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_renews_its_lease_long_before_its_end_idle_or_not),
        cmocka_unit_test(without_a_lease_nothing_is_promised),
        cmocka_unit_test(a_session_that_slept_finds_that_it_may_go_on),
        cmocka_unit_test(one_whose_repair_has_begun_begins_nothing),
        cmocka_unit_test(one_whose_record_is_another_ones_begins_nothing),
        cmocka_unit_test(behind_the_time_that_it_may_serve_until_nothing_begins_and_then_it_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
