/* node_latency.c: see node_latency.h. */
#include "fusee/node_latency.h"

#include "assert.h"

static bool one_node(const struct dm_batch *batch) {
    for (uint32_t i = 1; i < batch->count; i++) {
        if (batch->ops[i].node != batch->ops[0].node) {
            return false;
        }
    }
    return batch->count > 0;
}

void node_latency_execute(struct dm_session *session, struct dm_batch *batch) {
    const struct dm_env *env = session->env;
    if (!one_node(batch)) { /* the next one may do */
        dm_fabric_execute(session->endpoint, batch);
        return;
    }
    session->batches_untimed = 0;
    struct dm_node_latency *latency = &session->node_latency[batch->ops[0].node];
    const uint64_t began_ns = env->clock_ns(env->context);
    dm_fabric_execute(session->endpoint, batch);
    const uint64_t took_ns = env->clock_ns(env->context) - began_ns;
    uint32_t bucket = 0;
    while (bucket < DM_LATENCY_BUCKETS - 1 && took_ns >= DM_LATENCY_FIRST_NS << bucket) {
        bucket++;
    }
    if (batch->failed == 0) {
        latency->batches++;
        latency->nanoseconds += took_ns;
        latency->bucket[bucket]++;
    }
}

void dm_session_node_latency(const struct dm_session *session, uint32_t node, struct dm_node_latency *out) {
    dm_assert(node < session->pool->layout.super.nodes);
    *out = session->node_latency[node];
}
