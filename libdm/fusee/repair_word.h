/* repair_word.h: ends the round that a dead client has left open on one replicated word, by repair_rule.h. Inside a
 * coroutine. Any number of times, by anybody, from any state that a repairer who died has left.
 *
 * Whose round it is: an index word names an object, whose log entry names its writer; a block-table word names its
 * owner. Of an object that is whole nowhere the block's owner tells, if that is the dead client. Where that does not
 * tell either (an orphan; a client that is gone without having been repaired), time does: an operation that is under
 * way holds up the epoch. A word that still decides the same round when the epoch has advanced twice belongs to
 * nobody who lives.
 */
#ifndef FUSEE_REPAIR_WORD_H
#define FUSEE_REPAIR_WORD_H

#include "fusee/client_set.h"
#include "fusee/session.h"

enum repair_word_state {
    REPAIR_WORD_REST,    /* no round is open */
    REPAIR_WORD_CLOSED,  /* one was, and is not any more */
    REPAIR_WORD_OTHERS,  /* one is, of a client that is not ours to repair */
    REPAIR_WORD_SUSPECT, /* one is, and nothing tells yet whose */
};

struct repair_word {
    uint64_t address; /* global */
    bool slot;        /* an index slot, not a block-table word */
    bool proven;      /* primary and decider were seen two epochs ago */
    uint64_t primary; /* out, if it is SUSPECT */
    uint64_t decider;
};

/* DM_OK: *state. Anything else: try again later. */
enum dm_status repair_word_close(struct fusee_op *op, const struct client_set *dead, struct repair_word *word,
                                 enum repair_word_state *state);

/* Who wrote `word`'s object? *whole: it is, on all replicas. *client is UINT32_MAX when it is whole on none. */
enum dm_status repair_word_writer(struct fusee_op *op, uint64_t word, bool *whole, uint32_t *client);

#endif
