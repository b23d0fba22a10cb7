/* many.h: many operations with shared batches: find_run for all of them at once, and one picture of all that they have
 * found. Inside a coroutine.
 *
 * A *picture* is what stood in the primaries at one moment. Each operation has looked for its key by itself; a second
 * READ of all words that the answers rest on shows whether these stood there all at once (a double collect: no word
 * ever comes back).
 */
#ifndef FUSEE_MANY_H
#define FUSEE_MANY_H

#include "fusee/session.h"

/* Runs the find of every operation to its end; statuses[i] is that of ops[i], which is left alone where it is not
 * DM_OK. The batches are `lead`'s, which is none of them. */
void many_find(struct fusee_op *lead, struct fusee_op *const *ops, uint32_t count, enum dm_status *statuses);

/* READs again what the results of all operations rest on. changed[i]: ops[i] has to look again. *any: one has. */
enum dm_status many_look_again(struct fusee_op *lead, struct fusee_op *const *ops, uint32_t count, bool *changed,
                               bool *any);

/* Both, until nothing changes: FIND_FOR_READ of all keys in one picture. `changed` is the caller's space for `count`.
 * */
enum dm_status many_read(struct fusee_op *lead, struct fusee_op *const *ops, uint32_t count, enum dm_status *statuses,
                         bool *changed);

#endif
