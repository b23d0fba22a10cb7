/* fabric_suite.c: see fabric_suite.h: the table of cases, and their tools. Linked into the test program of each
 * provider. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "fabric_cases.h"

/* ---- Tools ------------------------------------------------------------------------------------------------------ */

struct dm_endpoint *endpoint_of(struct dm_fabric *fabric, struct dm_sched *sched) {
    struct dm_endpoint *endpoint = NULL;
    assert_int_equal(fabric->ops->endpoint_open(fabric, sched, &endpoint), DM_OK);
    return endpoint;
}

void *memory_of(struct dm_endpoint *endpoint, size_t bytes) {
    void *memory = endpoint->fabric->ops->endpoint_memory(endpoint, bytes);
    assert_non_null(memory);
    return memory;
}

void close_endpoint(struct dm_endpoint *endpoint) { endpoint->fabric->ops->endpoint_close(endpoint); }

void area_clear(struct dm_endpoint *endpoint, uint16_t node, uint64_t remote, uint32_t bytes) {
    void *zeroes = memory_of(endpoint, bytes);
    struct dm_batch batch;
    dm_batch_init(&batch, NULL);
    dm_batch_write(&batch, node, remote, zeroes, bytes);
    dm_fabric_execute(endpoint, &batch);
    assert_int_equal(batch.failed, 0);
}

uint64_t word_read(struct dm_endpoint *endpoint, uint16_t node, uint64_t remote, uint64_t *buffer) {
    struct dm_batch batch;
    dm_batch_init(&batch, NULL);
    dm_batch_read(&batch, node, remote, buffer, 8);
    dm_fabric_execute(endpoint, &batch);
    return *buffer;
}

void word_write(struct dm_endpoint *endpoint, uint16_t node, uint64_t remote, uint64_t *buffer) {
    struct dm_batch batch;
    dm_batch_init(&batch, NULL);
    dm_batch_write(&batch, node, remote, buffer, 8);
    dm_fabric_execute(endpoint, &batch);
}

/* ---- Table ------------------------------------------------------------------------------------------------------ */

#define CASE(function)                                                                                                 \
    { #function, function, false }

const struct fabric_case fabric_cases[] = {
    CASE(memory_is_zeroed_and_aligned),
    CASE(a_read_returns_what_was_written),
    CASE(cas_swaps_only_what_it_expects),
    CASE(faa_adds_and_wraps),
    CASE(a_chain_takes_effect_in_order),
    CASE(a_fenced_write_waits_for_the_read_before),
    CASE(a_cas_that_does_not_match_is_no_error),
    CASE(a_full_batch_reaches_every_node),
    CASE(costs_are_counted_exactly),
    CASE(an_operation_outside_of_the_node_breaks_only_its_chain),
    CASE(the_last_bytes_of_a_node_can_be_used),
    CASE(another_mapping_sees_and_changes_the_same_memory),
    CASE(atomics_of_many_threads_add_up_exactly),
    CASE(words_are_never_torn),
    CASE(a_write_is_visible_before_a_later_read),
    CASE(who_sees_a_cas_sees_the_write_before_it),
    CASE(of_two_that_swap_and_read_one_sees_the_other),
    CASE(large_transfers_arrive_whole),
    CASE(a_chain_of_reads_brings_every_word),
    CASE(chains_of_many_coroutines_take_turns),
    CASE(many_endpoints_live_side_by_side),
    CASE(an_endpoint_goes_on_after_an_error),
    {"what_the_node_refuses_breaks_only_its_chain", what_the_node_refuses_breaks_only_its_chain, true},
};
const unsigned fabric_case_count = sizeof fabric_cases / sizeof fabric_cases[0];

struct suite_state {
    const struct fabric_case *one;
    const struct fabric_world *world;
};

static void case_run(void **state) {
    const struct suite_state *suite = *state;
    suite->one->run(suite->world);
}

int fabric_suite_run(const char *group, const struct fabric_world *world) {
    struct CMUnitTest tests[sizeof fabric_cases / sizeof fabric_cases[0]];
    struct suite_state states[sizeof fabric_cases / sizeof fabric_cases[0]];
    unsigned count = 0;
    for (unsigned i = 0; i < fabric_case_count; i++) {
        if (fabric_cases[i].remote && !world->remote)
            continue;
        states[count] = (struct suite_state){&fabric_cases[i], world};
        tests[count] =
            (struct CMUnitTest){.name = fabric_cases[i].name, .test_func = case_run, .initial_state = &states[count]};
        count++;
    }
    return _cmocka_run_group_tests(group, tests, count, NULL, NULL);
}
