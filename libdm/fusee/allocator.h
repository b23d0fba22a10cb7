/* allocator.h: memory for objects: blocks from the pool (FUSEE section 4.4, first level) and what becomes of freed
 * objects. Inside a coroutine; off the request path but for the first two functions.
 *
 * Blocks are granted one-sidedly: a block-table word is a replicated word like a slot, and taking a block is a
 * SNAPSHOT round on it, free -> owned by me. Nobody grants a block twice, because a round has one winner.
 *
 *   free --round--> owned (client, class) --round--> free      all its objects are free
 *                        |                 `round--> orphan    given up with the free objects marked in its free map
 *                        `<-------------round------- orphan    adopted, free objects read from the map
 *
 * An object freed in a block of somebody else gets its bit set in that block's free map (FAA); the owner collects.
 */
#ifndef FUSEE_ALLOCATOR_H
#define FUSEE_ALLOCATOR_H

#include "fusee/session.h"

/* How much of the reserve a request may take. Those that may take of it get a larger object if need be. */
enum allocator_need {
    NEED_USUAL,     /* nothing */
    NEED_ESSENTIAL, /* deletes and expiry */
    NEED_REPAIR,    /* all of it */
};

/* An object of this class, or a larger one (out->size_class).
 * DM_NO_MEMORY: the pool is full.
 * *waited: op has left its epoch and entered another, and must begin again with what it reads. */
enum dm_status allocator_take(struct fusee_op *op, uint8_t size_class, enum allocator_need need,
                              struct slab_object *out, bool *waited);

/* An object that was taken and not used. */
void allocator_give_back(struct dm_session *session, const struct slab_object *object);

/* For who needs several: one object, if there is one at once; and one back that nothing was ever posted of, to be used
 * again at once. Nobody may hold an unused object while it waits for another: a sweep would take it for lost.
 * */
bool allocator_try(struct dm_session *session, uint8_t size_class, struct slab_object *out);
void allocator_return(struct dm_session *session, const struct slab_object *object);
/* Gets more of a class that has been in use, if that can be done without waiting: try again. */
bool allocator_refill(struct dm_session *session, uint8_t size_class);

/* `word`'s object is no longer in any slot (or never was). */
void allocator_free(struct dm_session *session, uint64_t word);

/* Moves objects whose grace period is over to where they can be used again. No I/O. */
void allocator_drain(struct dm_session *session);

/* Marks freed objects of others in their free maps, returns empty blocks, answers others' need. */
enum dm_status allocator_maintain(struct dm_session *session);

/* The pressure word as a tick has read it: a new random value when somebody ran out of memory. */
void allocator_note_pressure(struct dm_session *session, uint64_t pressure);

/* Gives all blocks up (free or orphan). The session does nothing else any more. */
enum dm_status allocator_close(struct dm_session *session);

#endif
