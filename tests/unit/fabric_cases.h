/* fabric_cases.h: the cases of the fabric's suite, in three files, and the tools that they share. Included by
 * fabric_*.c only; what a test program uses is fabric_suite.h. */
#ifndef FABRIC_CASES_H
#define FABRIC_CASES_H

#include <stddef.h>
#include <stdint.h>

#include "fabric_suite.h"

/* ---- Tools: fail the test when something goes wrong ------------------------------------------------------------ */

struct dm_endpoint *endpoint_of(struct dm_fabric *fabric, struct dm_sched *sched);
void *memory_of(struct dm_endpoint *endpoint, size_t bytes);
void close_endpoint(struct dm_endpoint *endpoint);
void area_clear(struct dm_endpoint *endpoint, uint16_t node, uint64_t remote, uint32_t bytes);
/* One word, in a batch of its own; the buffer is an endpoint's. */
uint64_t word_read(struct dm_endpoint *endpoint, uint16_t node, uint64_t remote, uint64_t *buffer);
void word_write(struct dm_endpoint *endpoint, uint16_t node, uint64_t remote, uint64_t *buffer);

/* ---- fabric_one_thread.c ---------------------------------------------------------------------------------------- */

void memory_is_zeroed_and_aligned(const struct fabric_world *world);
void a_read_returns_what_was_written(const struct fabric_world *world);
void cas_swaps_only_what_it_expects(const struct fabric_world *world);
void faa_adds_and_wraps(const struct fabric_world *world);
void a_chain_takes_effect_in_order(const struct fabric_world *world);
void a_fenced_write_waits_for_the_read_before(const struct fabric_world *world);
void a_cas_that_does_not_match_is_no_error(const struct fabric_world *world);
void a_full_batch_reaches_every_node(const struct fabric_world *world);
void costs_are_counted_exactly(const struct fabric_world *world);
void an_operation_outside_of_the_node_breaks_only_its_chain(const struct fabric_world *world);
void the_last_bytes_of_a_node_can_be_used(const struct fabric_world *world);
void another_mapping_sees_and_changes_the_same_memory(const struct fabric_world *world);

/* ---- fabric_threads.c ------------------------------------------------------------------------------------------- */

void atomics_of_many_threads_add_up_exactly(const struct fabric_world *world);
void words_are_never_torn(const struct fabric_world *world);
void a_write_is_visible_before_a_later_read(const struct fabric_world *world);
void who_sees_a_cas_sees_the_write_before_it(const struct fabric_world *world);
void of_two_that_swap_and_read_one_sees_the_other(const struct fabric_world *world);

/* ---- fabric_limits.c -------------------------------------------------------------------------------------------- */

void large_transfers_arrive_whole(const struct fabric_world *world);
void a_chain_of_reads_brings_every_word(const struct fabric_world *world);
void chains_of_many_coroutines_take_turns(const struct fabric_world *world);
void many_endpoints_live_side_by_side(const struct fabric_world *world);
void an_endpoint_goes_on_after_an_error(const struct fabric_world *world);
void what_the_node_refuses_breaks_only_its_chain(const struct fabric_world *world);

#endif
