/* multi_picture.h: commands inside MULTI that look at all keys: SCAN, KEYS, RANDOMKEY, DBSIZE. They cannot be part of
 * the store's transaction, so they are executed when it has taken effect; of the transaction's own keys they are shown
 * what was there at their place in it. In a coroutine of the connection's worker.
 */
#ifndef MULTI_PICTURE_H
#define MULTI_PICTURE_H

#include "command.h"

struct multi_picture {
    const struct dm_key *keys; /* of the transaction: in order, each once */
    size_t count;
    const bool *there; /* at the command's place, */
    const bool *after; /* and when the transaction had taken effect */
};

bool multi_picture_wanted(const struct command *command);

/* Brings keys into order; returns how many different ones there are: the first of `keys` then. */
size_t multi_picture_sort(struct dm_key *keys, size_t count);

/* Notes which keys are there; inside the function of the store's transaction. */
void multi_picture_note(struct dm_session *session, const struct dm_key *keys, size_t count, bool *there);

/* The rest takes NULL for a command that is not inside MULTI. */

/* A key that a walk has met behind the transaction: was it not there at the command's place? */
bool multi_picture_hides(const struct multi_picture *picture, const struct dm_key *key);

/* The next key of this database that was there at the command's place, but is not any more; NULL: none. *at is 0 to
 * begin. */
const struct dm_key *multi_picture_next_gone(const struct multi_picture *picture, uint16_t database, size_t *at);

/* How many keys of this database more there were at the command's place than afterwards. */
int64_t multi_picture_difference(const struct multi_picture *picture, uint16_t database);

#endif
