/* transact.h: data calls inside the function of a dm_transact: they act on the transaction's keys in memory, without
 * any fabric. Called by store.c while session->view is set. */
#ifndef LIBDM_TRANSACT_H
#define LIBDM_TRANSACT_H

#include "fusee/session.h"

/* As the calls of dm.h. DM_INVALID: not a key of this transaction. */
enum dm_status view_get(struct dm_session *session, const struct dm_key *key, struct dm_read *out);
enum dm_status view_put(struct dm_session *session, const struct dm_key *key, const struct dm_write *write);
enum dm_status view_delete(struct dm_session *session, const struct dm_key *key);
enum dm_status view_update(struct dm_session *session, const struct dm_key *key, dm_update_fn *fn, void *context,
                           struct dm_read *old_out);
enum dm_status view_watch(struct dm_session *session, const struct dm_key *key, struct dm_watched *out);

/* The keys of an operation are short enough for this pool? */
enum dm_status store_check_key(const struct dm_session *session, const struct dm_key *key);

#endif
