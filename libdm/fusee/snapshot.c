/* snapshot.c: see snapshot.h. */
#include "fusee/snapshot.h"

#include "assert.h"
#include "fusee/word.h"

enum snapshot_verdict snapshot_judge(const uint64_t *seen, uint32_t backups, uint64_t v_old, uint64_t v_new) {
    dm_assert(backups >= 1 && backups <= SNAPSHOT_BACKUPS_MAX);
    uint32_t mine = 0;
    for (uint32_t i = 0; i < backups; i++) {
        mine += snapshot_mine(seen[i], v_old, v_new);
    }
    if (!snapshot_mine(seen[0], v_old, v_new)) {
        return SNAPSHOT_LOST;
    }
    return mine == backups ? SNAPSHOT_WON : SNAPSHOT_FIX;
}

enum snapshot_verdict snapshot_judge_guess(const uint64_t *seen, uint32_t backups, uint64_t v_old, uint64_t v_new,
                                           uint64_t primary) {
    bool mine = false;
    for (uint32_t i = 0; i < backups; i++) {
        mine |= snapshot_mine(seen[i], v_old, v_new);
    }
    return !mine && primary != v_old ? SNAPSHOT_STALE : snapshot_judge(seen, backups, v_old, v_new);
}

bool snapshot_loser_may_answer(bool blind_write, uint64_t moved_to) {
    return blind_write && word_kind(moved_to) == WORD_LIVE_BLIND;
}
