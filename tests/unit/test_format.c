/* test_format.c: joining a pool: formatting a blank one once, whoever comes first, and refusing what is not the pool
 * that was meant, with a message that names the cause. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "coro/coro.h"
#include "fusee/pool.h"
#include "gate.h"
#include "pool_check.h"

#define ERROR_BYTES 512u

/* ---- Pools on given memory -------------------------------------------------------------------------------------- */

struct nodes {
    struct fake_env fake;
    struct dm_local_memory memory[WORLD_NODES_MAX];
    uint32_t count;
    char error[ERROR_BYTES];
};

static void nodes_make(struct nodes *nodes, uint32_t count) {
    memset(nodes, 0, sizeof *nodes);
    fake_env_init(&nodes->fake);
    nodes->count = count;
    for (uint32_t n = 0; n < count; n++) {
        nodes->memory[n] = (struct dm_local_memory){dm_env_system()->allocate(NULL, 1 << 20), 1 << 20};
    }
}

static void nodes_free(struct nodes *nodes) {
    for (uint32_t n = 0; n < nodes->count; n++) {
        dm_env_system()->release(NULL, nodes->memory[n].base);
    }
    assert_int_equal(nodes->fake.allocations, nodes->fake.releases);
}

/* Opens and closes a pool; what was wrong is in nodes->error. */
static enum dm_status try_open(struct nodes *nodes, const struct dm_pool_config *wish, struct dm_pool_info *info) {
    struct dm_pool_config config = *wish;
    struct dm_pool *pool;
    config.env = &nodes->fake.env;
    config.cache_bytes = 4096;
    assert_int_equal(dm_fabric_open_embedded(config.env, nodes->memory, nodes->count, &config.fabric), DM_OK);
    nodes->error[0] = 0;
    enum dm_status status = dm_pool_open(&config, &pool, nodes->error, sizeof nodes->error);
    if (status == DM_OK) {
        if (info != NULL) {
            dm_pool_info(pool, info);
        }
        dm_pool_close(pool);
    }
    dm_fabric_close(config.fabric);
    return status;
}

static const struct dm_pool_config any = {.replicas = 0};

static void assert_refused(struct nodes *nodes, enum dm_status status, const char *message) {
    assert_int_equal(try_open(nodes, &any, NULL), status);
    if (strstr(nodes->error, message) == NULL) {
        fail_msg("expected '%s' in '%s'", message, nodes->error);
    }
}

static struct superblock *super_of(const struct nodes *nodes, uint32_t n) { return nodes->memory[n].base; }

/* ---- Formatting ------------------------------------------------------------------------------------------------- */

static void the_first_to_open_formats_and_the_others_join(void **state) {
    (void)state;
    struct nodes nodes;
    struct dm_pool_info first;
    struct dm_pool_info second;
    nodes_make(&nodes, 3);
    assert_int_equal(try_open(&nodes, &any, &first), DM_OK);
    assert_int_equal(try_open(&nodes, &any, &second), DM_OK);
    assert_int_equal(first.pool_id, second.pool_id);
    assert_int_not_equal(first.pool_id, 0);
    assert_int_equal(first.replicas, 2);
    assert_int_equal(first.nodes, 3);
    assert_memory_equal(&first, &second, sizeof first);
    assert_true(first.blocks_total > first.blocks_reserve);
    nodes_free(&nodes);
}

struct joiner {
    struct world *world;
    struct dm_pool *pool;
    struct dm_sched *sched;
    struct dm_endpoint *endpoint;
    struct dm_pool_config config;
    enum dm_status status;
    bool ended;
    char error[ERROR_BYTES];
};

static void join_coroutine(void *argument) {
    struct joiner *joiner = argument;
    joiner->status = pool_attach(joiner->pool, joiner->endpoint, &joiner->config, joiner->error, sizeof joiner->error);
    joiner->ended = true;
}

/* Two clients at one blank pool, verb by verb in a random order; neither is a session yet, so their batches are held up
 * by a stand-in that has only what the gate looks at. */
static void two_that_open_a_blank_pool_together_format_it_once(void **state) {
    (void)state;
    for (uint32_t seed = 1; seed <= 30; seed++) {
        struct world_config config = world_small(2, 0);
        struct world *world = world_open(&config);
        struct joiner joiners[2];
        struct dm_session *stand_in[2];
        uint64_t random = seed;
        for (uint32_t i = 0; i < 2; i++) {
            struct joiner *joiner = &joiners[i];
            *joiner = (struct joiner){.world = world};
            joiner->config = (struct dm_pool_config){.replicas = i + 1, .region_bytes = 64 << 10, .subtables = 1};
            assert_int_equal(dm_sched_create(&world->fake.env, NULL, &joiner->sched), DM_OK);
            assert_int_equal(world->fabric->ops->endpoint_open(world->fabric, joiner->sched, &joiner->endpoint), DM_OK);
            joiner->pool = world->fake.env.allocate(&world->fake, sizeof *joiner->pool);
            joiner->pool->env = &world->fake.env;
            joiner->pool->fabric = world->fabric;
            stand_in[i] = gate_stand_in(joiner->endpoint);
            gate_close(stand_in[i]);
            assert_int_equal(dm_sched_spawn(joiner->sched, join_coroutine, joiner), DM_OK);
        }
        while (!joiners[0].ended || !joiners[1].ended) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
            uint32_t i = random >> 63;
            if (gate_batch(stand_in[i]) != NULL) {
                gate_pass(stand_in[i]);
            }
        }
        /* They asked for different geometries: who came first decides, the other is refused. */
        bool first_won = joiners[0].status == DM_OK;
        assert_int_equal(joiners[first_won ? 0 : 1].status, DM_OK);
        assert_int_equal(joiners[first_won ? 1 : 0].status, DM_INCOMPATIBLE);
        assert_non_null(strstr(joiners[first_won ? 1 : 0].error, "replicas"));
        const struct superblock *super = world->memory[0].base;
        assert_int_equal(super->state & 0xff, LAYOUT_READY);
        assert_int_equal(super->replicas, first_won ? 1 : 2);
        assert_int_equal(super->pool_id, ((const struct superblock *)world->memory[1].base)->pool_id);
        for (uint32_t i = 0; i < 2; i++) {
            world->fabric->ops->endpoint_close(joiners[i].endpoint);
            dm_sched_destroy(joiners[i].sched);
            dm_pool_close(joiners[i].pool);
            free(stand_in[i]);
        }
        world_close(world);
    }
}

static void a_pool_keeps_its_data_when_all_have_left(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 3; r++) {
        struct world_config config = world_small(r, 2);
        struct world *world = world_open(&config);
        char name[16];
        for (uint32_t i = 0; i < 200; i++) {
            snprintf(name, sizeof name, "k%u", i);
            assert_int_equal(world_put(world, i % 2, name, name), DM_OK);
        }
        for (uint32_t s = 0; s < 2; s++) {
            world_session_close(world, s);
        }
        for (uint32_t s = 0; s < 2; s++) {
            dm_pool_close(world->pool[s]);
            world->pool[s] = NULL;
        }
        world_session_open(world, 0);
        for (uint32_t i = 0; i < 200; i++) {
            snprintf(name, sizeof name, "k%u", i);
            world_expect(world, 0, name, name);
        }
        assert_int_equal(check_at_rest(world).live, 200);
        world_close(world);
    }
}

/* ---- Refusals --------------------------------------------------------------------------------------------------- */

static void what_is_not_the_pool_that_was_meant_is_refused(void **state) {
    (void)state;
    struct nodes nodes;
    struct nodes other;
    nodes_make(&nodes, 3);
    nodes_make(&other, 3);
    other.fake.random = 99;
    assert_int_equal(try_open(&nodes, &any, NULL), DM_OK);
    assert_int_equal(try_open(&other, &any, NULL), DM_OK);

    struct superblock good = *super_of(&nodes, 1);
    super_of(&nodes, 1)->version = LAYOUT_VERSION + 1;
    assert_refused(&nodes, DM_INCOMPATIBLE, "this program knows version 4");
    *super_of(&nodes, 1) = good;
    super_of(&nodes, 1)->clients++;
    assert_refused(&nodes, DM_INCOMPATIBLE, "damaged");
    *super_of(&nodes, 1) = good;
    super_of(&nodes, 1)->magic = 42;
    assert_refused(&nodes, DM_INCOMPATIBLE, "not a Fusegate pool");
    memset(super_of(&nodes, 1), 0, sizeof good);
    assert_refused(&nodes, DM_INCOMPATIBLE, "memory node 1 is blank");
    *super_of(&nodes, 1) = good;

    struct dm_local_memory kept = nodes.memory[1];
    nodes.memory[1] = other.memory[1];
    assert_refused(&nodes, DM_INCOMPATIBLE, "belongs to pool");
    nodes.memory[1] = nodes.memory[2];
    nodes.memory[2] = kept;
    assert_refused(&nodes, DM_INCOMPATIBLE, "list them in the pool's order");
    nodes.memory[2] = nodes.memory[1];
    nodes.memory[1] = kept;
    nodes.count = 2;
    assert_refused(&nodes, DM_INCOMPATIBLE, "pool of 3 nodes, 2 are listed");
    nodes.count = 3;
    nodes.memory[2].bytes /= 2;
    assert_refused(&nodes, DM_INCOMPATIBLE, "less memory");
    nodes.memory[2].bytes *= 2;
    assert_int_equal(try_open(&nodes, &any, NULL), DM_OK);
    nodes_free(&other);
    nodes_free(&nodes);
}

static void a_blank_first_node_beside_a_pool_is_refused_and_stays_blank(void **state) {
    (void)state;
    struct nodes nodes;
    nodes_make(&nodes, 2);
    assert_int_equal(try_open(&nodes, &any, NULL), DM_OK);
    memset(nodes.memory[0].base, 0, 1 << 20);
    assert_refused(&nodes, DM_INCOMPATIBLE, "node 0 is blank");
    assert_int_equal(super_of(&nodes, 0)->state, LAYOUT_BLANK);
    nodes_free(&nodes);
}

static void a_formatter_that_died_is_reported(void **state) {
    (void)state;
    struct nodes nodes;
    nodes_make(&nodes, 2);
    super_of(&nodes, 0)->state = LAYOUT_FORMATTING | 77 << 8;
    nodes.fake.step_ns = 1 * MS;
    assert_refused(&nodes, DM_UNREACHABLE, "restart the memory nodes");
    nodes_free(&nodes);
}

static void wishes_that_differ_from_the_pool_are_refused(void **state) {
    (void)state;
    struct nodes nodes;
    struct dm_pool_info info;
    nodes_make(&nodes, 2);
    struct dm_pool_config wish = {.replicas = 2, .region_bytes = 64 << 10, .block_bytes = 16 << 10, .subtables = 2};
    assert_int_equal(try_open(&nodes, &wish, &info), DM_OK);
    assert_int_equal(info.subtables, 2);
    assert_int_equal(try_open(&nodes, &wish, NULL), DM_OK);
    const struct {
        struct dm_pool_config wish;
        const char *message;
    } wishes[] = {
        {{.replicas = 1}, "replicas = 2"},
        {{.region_bytes = 128 << 10}, "region size = 65536"},
        {{.block_bytes = 32 << 10}, "block size = 16384"},
        {{.subtables = 1}, "subtables = 2"},
    };
    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        assert_int_equal(try_open(&nodes, &wishes[i].wish, NULL), DM_INCOMPATIBLE);
        assert_non_null(strstr(nodes.error, wishes[i].message));
    }
    nodes_free(&nodes);
}

static void a_wish_that_cannot_be_leaves_the_pool_blank(void **state) {
    (void)state;
    struct nodes nodes;
    nodes_make(&nodes, 2);
    assert_int_equal(try_open(&nodes, &(struct dm_pool_config){.replicas = 3}, NULL), DM_INVALID);
    assert_non_null(strstr(nodes.error, "replicas = 3"));
    assert_int_equal(super_of(&nodes, 0)->state, LAYOUT_BLANK);
    assert_int_equal(try_open(&nodes, &any, NULL), DM_OK);
    nodes_free(&nodes);
}

static void damaged_maps_are_refused(void **state) {
    (void)state;
    struct nodes nodes;
    nodes_make(&nodes, 2);
    assert_int_equal(try_open(&nodes, &any, NULL), DM_OK);
    struct layout layout;
    char error[256];
    assert_true(layout_from_superblock(&layout, super_of(&nodes, 0), error, sizeof error));
    uint8_t *node = nodes.memory[0].base;
    struct region_replica *map = (void *)(node + layout.region_map_offset);
    struct region_replica kept = map[1];
    map[1].node = 2;
    assert_refused(&nodes, DM_CORRUPT, "region map is damaged at entry 1");
    map[1] = (struct region_replica){kept.node, 1u << 30};
    assert_refused(&nodes, DM_CORRUPT, "region map is damaged at entry 1");
    map[1] = kept;
    uint64_t *directory = (void *)(node + layout.directory_offset);
    uint64_t leaf = directory[layout.super.subtables];
    directory[layout.super.subtables] = 0;
    assert_refused(&nodes, DM_CORRUPT, "directory is damaged at leaf 0");
    directory[layout.super.subtables] = leaf | 0xffffffff;
    assert_refused(&nodes, DM_CORRUPT, "directory is damaged at leaf 0");
    directory[layout.super.subtables] = leaf;
    assert_int_equal(try_open(&nodes, &any, NULL), DM_OK);
    nodes_free(&nodes);
}

static void memory_that_runs_out_while_joining_leaks_nothing(void **state) {
    (void)state;
    bool opened = false;
    for (uint64_t allowed = 2; !opened; allowed++) { /* two for the fabric, and no more than so many for the pool */
        struct nodes nodes;
        nodes_make(&nodes, 2);
        nodes.fake.allowed = allowed;
        opened = try_open(&nodes, &any, NULL) == DM_OK;
        nodes.fake.allowed = UINT64_MAX;
        if (!opened) {
            assert_true(strlen(nodes.error) > 5);
            assert_int_equal(try_open(&nodes, &any, NULL), DM_OK);
        }
        nodes_free(&nodes);
        assert_true(allowed < 50);
    }
}

static void all_client_records_taken_is_said_and_one_given_back_is_taken(void **state) {
    (void)state;
    struct world_config config = world_small(1, 1);
    struct world *world = world_open(&config);
    const struct layout *layout = check_layout(world);
    uint8_t *records = (uint8_t *)world->memory[0].base + layout->clients_offset;
    for (uint32_t i = 1; i < layout->super.clients; i++) {
        ((struct client_record *)(void *)(records + (size_t)i * LAYOUT_CLIENT_BYTES))->owner = 1;
    }
    struct dm_session *session;
    char error[ERROR_BYTES] = "";
    assert_int_equal(dm_session_open(world->pool[0], world->sched[0], &session, error, sizeof error), DM_BUSY);
    assert_non_null(strstr(error, "all 128 client records"));
    world_session_close(world, 0);
    world_session_open(world, 0);
    world_close(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_to_open_formats_and_the_others_join),
        cmocka_unit_test(two_that_open_a_blank_pool_together_format_it_once),
        cmocka_unit_test(a_pool_keeps_its_data_when_all_have_left),
        cmocka_unit_test(what_is_not_the_pool_that_was_meant_is_refused),
        cmocka_unit_test(a_blank_first_node_beside_a_pool_is_refused_and_stays_blank),
        cmocka_unit_test(a_formatter_that_died_is_reported),
        cmocka_unit_test(wishes_that_differ_from_the_pool_are_refused),
        cmocka_unit_test(a_wish_that_cannot_be_leaves_the_pool_blank),
        cmocka_unit_test(damaged_maps_are_refused),
        cmocka_unit_test(memory_that_runs_out_while_joining_leaks_nothing),
        cmocka_unit_test(all_client_records_taken_is_said_and_one_given_back_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
