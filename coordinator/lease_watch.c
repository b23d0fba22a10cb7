/* lease_watch.c: see lease_watch.h. */
#include "lease_watch.h"

#define NS_PER_MS UINT64_C(1000000)
#define GAPS_IN_LEASE 2u

uint64_t lease_watch_gap_ns(uint32_t lease_ms) { return lease_ms * NS_PER_MS / GAPS_IN_LEASE; }

bool lease_watch_look(struct lease_watch *watch, const struct lease_sight *sight) {
    const uint64_t lease_ns = sight->lease_ms * NS_PER_MS;
    bool same = watch->owner == sight->owner && watch->lease == sight->lease;
    bool away = sight->ended_ns - watch->last_ns > lease_watch_gap_ns(sight->lease_ms);
    watch->last_ns = sight->ended_ns;
    if (!same || away) {
        *watch = (struct lease_watch){
            .owner = sight->owner, .lease = sight->lease, .since_ns = sight->ended_ns, .last_ns = sight->ended_ns};
        return false;
    }
    watch->looks++;
    return sight->lease_ms != 0 && watch->looks >= LEASE_WATCH_LOOKS_MIN &&
           sight->began_ns - watch->since_ns >= lease_ns + lease_ns / 4;
}
