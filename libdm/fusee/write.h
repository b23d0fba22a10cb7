/* write.h: every write: SET, DEL and read-modify-write are one loop of find, decide, round. Inside a coroutine. */
#ifndef FUSEE_WRITE_H
#define FUSEE_WRITE_H

#include "fusee/session.h"

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

/* The value that find_run has fetched into op->object. */
void write_value_of(const struct fusee_op *op, struct dm_value *out);

/* The same; false when it has expired. */
bool write_value(const struct fusee_op *op, struct dm_value *out);

#endif
