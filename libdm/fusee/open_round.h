/* open_round.h: rounds of this client that a failure has left half done and that round_run gave up waiting for. Nobody
 * else may end a living client's round, so it goes on with them itself, off the request path, until they have ended
 * (trap T7). The operations that began them have been answered with DM_UNKNOWN_OUTCOME.
 *
 * Each keeps an op, in the epoch in which it began: the words that it knows are not used again meanwhile. The memory
 * that the pool frees waits for it, as it waits for any operation.
 */
#ifndef FUSEE_OPEN_ROUND_H
#define FUSEE_OPEN_ROUND_H

#include "fusee/session.h"

/* From so many on no new write is begun: the nodes that they wait for are not there. */
#define OPEN_ROUNDS_MAX 100

/* Takes over a round that ended with DM_UNKNOWN_OUTCOME, and `object` (NULL: none), its buffer. `ended` is called when
 * it has ended; op->open holds the rest. False: nothing is open, or there is no memory for it. */
bool open_round_keep(struct fusee_op *op, const struct round *round, struct buffer *object, open_round_end_fn *ended);

/* Tries each once. Inside a coroutine. */
void open_round_run_all(struct dm_session *session);

/* Is one of the word at this address open? */
bool open_round_has(const struct dm_session *session, uint64_t address);

/* When the next try is due; UINT64_MAX: none is open. */
uint64_t open_round_due_ns(const struct dm_session *session);

#endif
