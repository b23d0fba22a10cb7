/* intent.h: what an operation does that meets the intent of a transaction (transaction.h) in a slot of its key. Part of
 * find.c's state machine (FIND_INTENT). Inside a coroutine.
 *
 * An intent in a primary proves that its transaction has won all its slots: nothing can stop it. It is committed when
 * none of its primaries shows the word that it replaces there (or, r = 1, a prepared one); old words never come back.
 * The intent's object has the new content, and names all slots of the transaction. So
 *
 *   readers  READ the other slots and the old object in one batch. One shows its old word: the old content counts. None
 *            does: the new one. They never wait.
 *   writers  READ the other slots until none shows its old word, and go on from the intent as from any word.
 *
 * Content "deleted" of a committed intent is like a tombstone: the key may be in another slot, the buckets tell.
 */
#ifndef FUSEE_INTENT_H
#define FUSEE_INTENT_H

#include "fusee/session.h"

#define INTENT_AT_A_TIME 16u /* other slots in one batch */

/* The key's intent stands in `slot`; its object, whole and of this key, is taken over. Sets op->step. */
enum dm_status intent_meet(struct fusee_op *op, uint16_t slot, uint64_t word, struct buffer *object);

/* At most INTENT_AT_A_TIME + 1 operations. */
enum dm_status intent_post(struct fusee_op *op, struct dm_batch *batch);
enum dm_status intent_take(struct fusee_op *op);

/* Is this intent known to this operation as committed, with content "deleted"? */
bool intent_is_removed(const struct fusee_op *op, uint64_t word);

/* Is the content of this object "deleted"? */
static inline bool intent_removes(const void *object) {
    return (object_header(object)->intent & OBJECT_INTENT_REMOVED) != 0;
}

/* Was there a value behind this prepared word's slot? If not, its transaction has not made its check yet, and the key
 * may live in another slot: only the buckets tell. */
static inline bool intent_has_old(const void *object) {
    uint64_t v_old = object_header(object)->prev;
    return word_is_live(v_old) || word_is_intent(v_old);
}

/* May there be a value behind this intent or prepared word, the new one or the old one? */
static inline bool intent_may_show_key(uint64_t word, const void *object) {
    return intent_has_old(object) || (word_kind(word) == WORD_INTENT && !intent_removes(object));
}

/* Does `seen` in a slot of a transaction show that it has not gone past this slot? */
static inline bool intent_shows_old(const struct object_slot *slot, uint64_t seen) {
    return seen == slot->v_old || seen == word_with_kind(slot->v_new, WORD_PREPARED);
}

/* Gives back the objects held; forgets all. */
void intent_release(struct fusee_op *op);
void intent_forget(struct fusee_op *op);

#endif
