/* find.h: finds a key: cached slot, buckets, objects. Only the primary's words count.
 *
 * A small state machine, so that one operation runs it alone and a fan-out runs many in shared batches: find_start,
 * then { find_post into a batch, execute, find_take } until op->step is FIND_DONE. Inside a coroutine.
 *
 *     FIND_SLOT     hit: READ slot (and object, where it is wanted)            -> DONE, OTHER, BUCKETS
 *     FIND_OTHER    the slot holds a newer word: READ its object               -> DONE, BUCKETS
 *     FIND_BUCKETS  READ both combined buckets                                 -> DONE (absent), OBJECTS
 *     FIND_OBJECTS  READ the objects whose fingerprint matches                 -> DONE, INTENT, BUCKETS (torn: again)
 *     FIND_INTENT   an intent was met: READ other slots of its transaction     -> DONE, BUCKETS (deleted; a writer
 *     waits)
 */
#ifndef FUSEE_FIND_H
#define FUSEE_FIND_H

#include "fusee/session.h"

/* Begins with the cache (or with the buckets when `use_cache` is false). */
void find_start(struct fusee_op *op, enum find_want want, bool use_cache);

/* Goes on from a word that was just read in the primary of op->slot (a lost round ended with it). */
void find_start_from(struct fusee_op *op, uint64_t word);

/* Operations that find_post will add now. */
uint32_t find_room(const struct fusee_op *op);

/* DM_BUSY: no buffer. */
enum dm_status find_post(struct fusee_op *op, struct dm_batch *batch);

/* Looks at what came back; sets op->step, and op->result with slot, word and object once it is FIND_DONE.
 * DM_CORRUPT after FIND_REREADS_MAX rereads; DM_INCOMPATIBLE for words of a newer version. */
#define FIND_REREADS_MAX 10000
enum dm_status find_take(struct fusee_op *op);

/* All steps for one operation. */
enum dm_status find_run(struct fusee_op *op);

/* After a lost or aborted insert: reads both buckets on all replicas until the primary shows the key, or no replica
 * does (FIND_ABSENT, op->buckets[0] is fresh). */
enum dm_status find_look(struct fusee_op *op);

/* Does op->buckets[replica] show this key in another slot than `own`, committed or not, or a word whose object
 * cannot be read whole? */
enum dm_status find_other_slot(struct fusee_op *op, uint32_t replica, uint16_t own, bool *found);

/* For intent.c: adds a READ of a word's object; begins again with the buckets, as behind an unreadable object; ends
 * with this result, of which cache and copies may know if it is `current`. */
enum dm_status find_post_object(struct fusee_op *op, struct dm_batch *batch, uint64_t word, struct buffer **object);
enum dm_status find_again(struct fusee_op *op);
void find_finish(struct fusee_op *op, enum find_result result, bool current);

/* Gives back the objects that the op still holds. */
void find_release(struct fusee_op *op);

#endif
