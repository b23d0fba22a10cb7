/* write.h: every write: SET, DEL and read-modify-write are one loop of find, decide, round. Inside a coroutine. */
#ifndef FUSEE_WRITE_H
#define FUSEE_WRITE_H

#include "fusee/find.h"

struct write_request {
    /* Blind: `write` as it is, or a delete. Otherwise fn decides from the value found. */
    const struct dm_write *write;
    bool remove;
    dm_update_fn *fn;
    void *context;
};

/* op has its key. DM_OK: done (or nothing to do); DM_NOT_FOUND: a delete found nothing.
 * With fn, op->object holds the value that its last call saw (NULL: absent); the caller releases it. */
enum dm_status write_run(struct fusee_op *op, const struct write_request *request);

/* Begins from a copy of the key's object, with as much of it as is needed, instead of reading slot and object: op
 * looks as if find had found it. False: there is none that would do. */
enum guess_need { GUESS_SLOT, GUESS_HEADER, GUESS_VALUE };
bool write_guess(struct fusee_op *op, enum find_want want, enum guess_need need);
/* Books what became of it. */
void write_note_guess(struct fusee_op *op, bool stale);

/* The value that find_run has fetched into op->object. */
void write_value_of(const struct fusee_op *op, struct dm_value *out);

/* The same; false when there is none to be shown: it has expired, or notes an absence. */
bool write_value(const struct fusee_op *op, struct dm_value *out);

/* Behind that false: notes a job where it has expired. */
void write_note_expired(struct fusee_op *op);

#endif
