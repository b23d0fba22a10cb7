/* trap.h: what the tests of the protocol's traps share: a small pool with four warm gateways, and operations that stop
 * at every batch (gate.h). Session 0 is U, 1 is V in the names of the counterexamples. One thread. */
#ifndef TRAP_H
#define TRAP_H

#include "fixture.h"
#include "gate.h"

#define P 0u  /* nodes: the primary of every slot, */
#define B1 1u /* its first backup, */
#define B2 2u /* and its second */

enum { U, V, W, X };

struct trap {
    struct world *world;
    uint32_t replicas;
};

struct trap trap_open(uint32_t replicas);

/* Opens all gates, lets everything come to rest, checks the whole pool, closes it. No warning may have been logged:
 * whoever had won a round has never lost it again. */
void trap_close(struct trap *trap);

/* Begins an operation of a session whose gate it closes. */
struct call trap_call(struct trap *trap, uint32_t s, enum call_kind kind, const char *key, const char *value);
/* `call` must stay where it is until it has ended. */
void trap_begin(struct trap *trap, struct call *call);
/* The same, and passes its batches until that of its round waits. */
void trap_begin_round(struct trap *trap, struct call *call);
/* Passes all batches of a call. */
void trap_end(struct trap *trap, struct call *call, enum dm_status status);

static inline struct dm_session *trap_session(const struct trap *trap, uint32_t s) { return trap->world->session[s]; }

/* Never two live slots for this key, whatever is in flight. */
void trap_one_live(const struct trap *trap, const char *key);

/* A key that an insert would now put into the same slot as `key`; its name goes to `name` (16 bytes). */
void trap_rival(const struct trap *trap, const char *key, char *name);

/* An insert of "k" by session s that waits with its round in slot b, while slot a, which the next inserter of "k"
 * will choose, is empty. */
void trap_insert_in_b(struct trap *trap, struct call *call);

#endif
