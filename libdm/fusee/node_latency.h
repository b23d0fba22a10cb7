/* node_latency.h: times a sample of the batches that a session posts, by memory node. Only batches for one node alone,
 * so that nobody's slowness is booked to another. Called by op.c, on the session's thread. */
#ifndef DM_FUSEE_NODE_LATENCY_H
#define DM_FUSEE_NODE_LATENCY_H

#include "fabric/fabric.h"
#include "fusee/session.h"

#define NODE_LATENCY_EVERY 17u /* prime: operations repeat the same batches in turn */

/* dm_fabric_execute, with the clock beside it. */
void node_latency_execute(struct dm_session *session, struct dm_batch *batch);

/* dm_fabric_execute; one in NODE_LATENCY_EVERY is timed. */
static inline void node_latency_sample(struct dm_session *session, struct dm_batch *batch) {
    if (++session->batches_untimed < NODE_LATENCY_EVERY) {
        dm_fabric_execute(session->endpoint, batch);
    } else {
        node_latency_execute(session, batch);
    }
}

#endif
