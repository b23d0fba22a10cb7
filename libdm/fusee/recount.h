/* recount.h: counts of keys (count.h) that have become wrong: a client died, or something happened that nobody knows
 * about. Inside coroutines of the session.
 *
 * Who notices raises epoch_line.miscounts. As long as `recounted` is behind it, dm_count walks the index. Housekeeping
 * mends the counts:
 *
 *   1  READ all counts; walk, counting; wait for two epochs, so that all is written that was done before; READ again
 *   2  nothing has changed meanwhile: CAS the last word of each row by what is missing there, then `recounted`
 *
 * Something has: again later. So under a load that creates and removes keys all the time the counts stay in doubt, and
 * are mended when it has come to rest for as long as that takes. Several may do it at a time: all CAS the same.
 */
#ifndef FUSEE_RECOUNT_H
#define FUSEE_RECOUNT_H

#include "dm.h"

/* Counts keys of all spaces, or of one, by looking at all of them. */
enum dm_status recount_walk(struct dm_session *session, uint16_t space, struct dm_count out[DM_SPACES]);

/* Raises miscounts at once, for a client that died. */
enum dm_status recount_order(struct dm_session *session);

/* From the session's tick; starts what is due in a coroutine of its own. */
void recount_tick(struct dm_session *session);

#endif
