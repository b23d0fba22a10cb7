/* verbs_mark.h: has the answer of an operation come? Soft-RoCE (Linux 6.1, and others) can complete a READ or an atomic
 * with success although it never took the answer: when packets were reordered or sent again on the way, its requester
 * takes an answer that comes once more for the end of the operation and does not deliver it. What the caller then finds
 * is what was in the buffer before: a CAS that won looks lost, a READ shows an old word. So on such devices each place
 * where a packet's answer begins is marked before posting, with a number that is never used twice; a mark that is still
 * there when the chain has succeeded means that the chain has failed. Adapters that keep the specification need none of
 * it, and get none.
 *
 * Pure: no device, no state. Called by verbs_chain.c and verbs_completion.c, and tested by itself. */
#ifndef DM_FABRIC_VERBS_MARK_H
#define DM_FABRIC_VERBS_MARK_H

#include "verbs.h"

/* No packet but the last of a READ brings less, whatever the path's MTU. */
#define VERBS_MARK_APART_BYTES 256u

/* The number of the n-th chain; never 0. */
uint64_t verbs_mark_make(uint64_t n);

/* Marks where the answer of the operation will be: the destination of a READ of 8 bytes or more (shorter ones cannot be
 * told), or *result of an atomic. */
void verbs_mark_put(const struct dm_op *op, uint64_t *result, uint64_t mark);

/* The first operation of the chain whose answer did not come; DM_BATCH_OPS: all have. */
uint32_t verbs_mark_left(const struct verbs_chain *chain);

#endif
