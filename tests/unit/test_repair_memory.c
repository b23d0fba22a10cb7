/* test_repair_memory.c: what only a dead client knew to be free comes back, whoever has its block meanwhile
 * (fusee/sweep.h); and what becomes of a repair that fails. Each case ends with an account of every object of the pool.
 * See crash.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "crash.h"
#include "fusee/session.h"
#include "pool_check.h"

#define FOR_R(r) for (uint32_t r = 1; r <= 3; r++)
#define FOUND_EPOCHS 8u    /* behind its counting a repair has found the blocks that it looks at, */
#define WAITING_EPOCHS 12u /* and waits still before it says what is lost in them */

static char large[600]; /* of a size class that no session has a block of */

static struct crash open_pool(uint32_t replicas) {
    memset(large, 'x', sizeof large - 1);
    return crash_open(&(struct crash_pool){.replicas = replicas, .nodes = replicas});
}

static struct dm_session *session_of(const struct crash *crash, uint32_t s) { return crash->world->session[s]; }

/* U replaces the key's value and dies before it could mark the old object. */
static void lose_an_object(struct crash *crash, const char *key) {
    session_of(crash, U)->memory_busy = true;
    assert_int_equal(world_put(crash->world, U, key, "u"), DM_OK);
    assert_int_equal(session_of(crash, U)->foreign_count, 1);
    crash_kill(crash, U);
}

static uint64_t recovered(const struct crash *crash, uint32_t s) {
    struct dm_session_stats stats;
    dm_session_stats(session_of(crash, s), &stats);
    return stats.objects_recovered;
}

static uint64_t block_of(const struct crash *crash, const char *key) {
    uint64_t word;
    check_slot_of(crash->world, key, &word);
    return layout_block_number(check_layout(crash->world), word_address(word));
}

static enum block_state state_of(const struct crash *crash, uint64_t block) {
    const struct layout *layout = check_layout(crash->world);
    return block_word_state(*(const uint64_t *)check_at(crash->world, layout_block_word_address(layout, block), 0));
}

/* A block of V's with two objects in it. */
static uint64_t prepare_block(struct crash *crash) {
    assert_int_equal(world_put(crash->world, V, "k", large), DM_OK);
    assert_int_equal(world_put(crash->world, V, "stays", large), DM_OK);
    return block_of(crash, "k");
}

/* W repairs U, and is so many epochs behind the counting. */
static void begin_to_repair(struct repair_call *repair, struct crash *crash, uint32_t epochs) {
    struct dm_session *session = session_of(crash, W);
    repair_begin(repair, crash, W);
    while (session->repairs == 0 || session->epoch < repairs_epoch(session->repairs) + epochs) {
        world_poll(crash->world, MS);
    }
    assert_false(repair->ended);
}

/* X takes the block that V or U has given up, and finds the object. */
static void adopt_and_find(struct crash *crash, uint64_t block) {
    assert_int_equal(world_put(crash->world, X, "l", large), DM_OK);
    assert_non_null(session_of(crash, X)->slab.blocks[block]);
    world_poll(crash->world, 2000 * MS);
    assert_int_equal(recovered(crash, X), 1);
}

/* V gives its blocks up when the repair has found those that it looks at, and before V has looked into its own. */
static void a_block_given_up_before_it_was_swept_is_swept_by_its_next_owner(void **state) {
    (void)state;
    FOR_R(r) {
        struct crash crash = open_pool(r);
        struct repair_call repair;
        uint64_t block = prepare_block(&crash);
        lose_an_object(&crash, "k");
        begin_to_repair(&repair, &crash, FOUND_EPOCHS);
        world_session_close(crash.world, V);
        assert_int_equal(state_of(&crash, block), BLOCK_UNSWEPT);
        repair_finish(&repair);
        assert_int_equal(state_of(&crash, block), BLOCK_UNSWEPT);
        world_poll(crash.world, 1000 * MS);
        adopt_and_find(&crash, block);
        crash_close(&crash);
    }
}

/* The repair looks at an orphan; X adopts it before the repair could mark what is lost in it. */
static void an_orphan_adopted_while_a_repair_looks_at_it_is_swept_by_its_new_owner(void **state) {
    (void)state;
    FOR_R(r) {
        struct crash crash = open_pool(r);
        struct repair_call repair;
        uint64_t block = prepare_block(&crash);
        world_session_close(crash.world, V);
        assert_int_equal(state_of(&crash, block), BLOCK_ORPHAN);
        lose_an_object(&crash, "k");
        begin_to_repair(&repair, &crash, WAITING_EPOCHS);
        struct call put = call_make(crash.world, X, CALL_PUT, "other", large);
        call_begin(&put);
        while (!put.ended) {
            world_poll(crash.world, MS);
        }
        assert_int_equal(put.status, DM_OK);
        assert_non_null(session_of(&crash, X)->slab.blocks[block]);
        assert_false(repair.ended);
        repair_finish(&repair);
        adopt_and_find(&crash, block);
        crash_close(&crash);
    }
}

/* Nobody adopts it: the repair leaves an orphan with nothing lost in it, and who adopts that need not look. */
static void an_orphan_is_one_again_behind_the_repair(void **state) {
    (void)state;
    FOR_R(r) {
        struct crash crash = open_pool(r);
        uint64_t block = prepare_block(&crash);
        world_session_close(crash.world, V);
        lose_an_object(&crash, "k");
        repair_all(&crash, W);
        assert_int_equal(state_of(&crash, block), BLOCK_ORPHAN);
        world_poll(crash.world, 1000 * MS);
        assert_int_equal(world_put(crash.world, X, "l", large), DM_OK);
        assert_non_null(session_of(&crash, X)->slab.blocks[block]);
        assert_int_equal(session_of(&crash, X)->slab.blocks[block]->swept, session_of(&crash, X)->repairs);
        world_poll(crash.world, 2000 * MS);
        assert_int_equal(recovered(&crash, X), 0);
        crash_close(&crash);
    }
}

/* W cannot read a backup any more, X can: W's claim must not keep X from it. */
static void who_cannot_get_further_leaves_the_repair_to_others(void **state) {
    (void)state;
    struct crash crash = open_pool(3);
    crash_kill(&crash, U);
    gate_close(session_of(&crash, W));
    struct repair_call first;
    struct repair_call second;
    repair_begin(&first, &crash, W);
    while (!first.ended) {
        const struct dm_batch *batch = gate_batch(session_of(&crash, W));
        bool backup = false;
        for (uint32_t i = 0; batch != NULL && i < batch->count; i++) {
            backup |=
                batch->ops[i].node != 0 && batch->ops[i].length >= 1024; /* of the index, say; records are small */
        }
        if (batch == NULL) {
            world_poll(crash.world, MS);
        } else if (backup) {
            gate_break(session_of(&crash, W));
        } else {
            gate_pass(session_of(&crash, W));
        }
    }
    gate_open(session_of(&crash, W));
    assert_int_equal(first.status, DM_UNREACHABLE);
    repair_begin(&second, &crash, X);
    repair_finish(&second);
    crash_close(&crash);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_given_up_before_it_was_swept_is_swept_by_its_next_owner),
        cmocka_unit_test(an_orphan_adopted_while_a_repair_looks_at_it_is_swept_by_its_new_owner),
        cmocka_unit_test(an_orphan_is_one_again_behind_the_repair),
        cmocka_unit_test(who_cannot_get_further_leaves_the_repair_to_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
