/* gate.h: a fabric around another one that a test can hold up at any verb: a session whose gate is closed stops with
 * every batch that it posts, and the test decides which of its operations happen when, and whether they happen at
 * all. Also watches that no chain relies on an order that the fabric does not promise (trap T9).
 *
 * Within a chain a test must keep the order of the operations. One thread. */
#ifndef GATE_H
#define GATE_H

#include "fabric/fabric.h"
#include "fixture.h"

/* Takes `inner` over. */
struct dm_fabric *gate_fabric_open(struct dm_fabric *inner, struct fake_env *fake);

/* Chains posted so far in which a WRITE or an atomic follows a READ without a fence. */
uint64_t gate_unordered(const struct dm_fabric *fabric);

/* For endpoints that are no session's: something to give to the functions below; the caller frees it. */
struct dm_session *gate_stand_in(struct dm_endpoint *endpoint);

/* Closes a session's gate: its next batches wait. */
void gate_close(struct dm_session *session);
/* Opens it: what waits is carried out, and nothing waits any more. */
void gate_open(struct dm_session *session);

/* The batch that waits (the oldest), NULL if none. */
struct dm_batch *gate_batch(const struct dm_session *session);
uint32_t gate_waiting(const struct dm_session *session);

/* Puts the oldest batch behind the others. */
void gate_rotate(struct dm_session *session);

/* Carries out operation `index` of the waiting batch, if it has not been yet. */
void gate_apply(struct dm_session *session, uint32_t index);
/* The operations for one node, and those of one kind for one node. */
void gate_apply_node(struct dm_session *session, uint16_t node);
void gate_apply_kind(struct dm_session *session, uint16_t node, enum dm_op_kind kind);
/* The next one that has not been carried out, of one node; false if there is none. */
bool gate_apply_next(struct dm_session *session, uint16_t node);

/* Carries out the rest of the waiting batch and lets its coroutine go on to its next batch, or to its end; time passes
 * where it waits for time. */
void gate_pass(struct dm_session *session);
/* Passes batches until one waits that holds a CAS: the round of a write. */
void gate_pass_to_cas(struct dm_session *session);
/* Passes batches until none waits, at most `most`; returns how many. */
uint32_t gate_pass_all(struct dm_session *session, uint32_t most);

/* The oldest waiting batch fails: of it only that happens which has been carried out. */
void gate_break(struct dm_session *session);
/* Carries out `places` operations of what the session posts, of one node after the other beginning with `first`, and
 * breaks the batch that waits then. False: there was no such place. */
bool gate_break_at(struct dm_session *session, uint32_t nodes, uint32_t first, uint32_t places);
/* Every batch that the session posts fails from now on, and nothing of it happens; until it is not cut any more. */
void gate_cut(struct dm_session *session, bool cut);
/* The same for its next `batches`. */
void gate_cut_next(struct dm_session *session, uint32_t batches);

/* The memory node is gone: every operation on it fails from now on, of all sessions. While no batch waits at a gate. */
void gate_lose_node(struct dm_fabric *fabric, uint32_t node);

/* The client dies: nothing more of what waits, or of what it posts later, takes effect. */
void gate_kill(struct dm_session *session);

#endif
