/* repair_intent.h: what becomes of a dead client's transaction (transaction.h). Inside a coroutine; part of the repair.
 *
 * READ the primaries of all its slots. One shows its intent: then it had won all of them, and goes forward; else back.
 * No later look can tell otherwise: its client is fenced, and only the repair moves these words now. Each slot is
 * ended by itself (repair_word.c); when all are, what went forward is cleaned (repair_intent_clean), not before: until
 * the last primary has moved, readers take the old content of every key.
 */
#ifndef FUSEE_REPAIR_INTENT_H
#define FUSEE_REPAIR_INTENT_H

#include "fusee/client_set.h"
#include "fusee/session.h"

/* `word`: an intent, or a prepared word (r = 1). */
enum dm_status repair_intent_passed(struct fusee_op *op, uint64_t word, bool *passed);

/* Cleans the intent that stands in the primary of the slot at `address`, if a dead client has written it. */
enum dm_status repair_intent_clean(struct fusee_op *op, const struct client_set *dead, uint64_t address,
                                   uint64_t intent, bool *cleaned);

/* READs the whole object of a word, from the first replica where it is whole, into `into`, which has room for its
 * class. DM_CORRUPT: it is whole on none. */
enum dm_status repair_read_whole(struct fusee_op *op, uint64_t word, struct buffer *into);

#endif
