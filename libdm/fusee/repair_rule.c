/* repair_rule.c: see repair_rule.h. */
#include "fusee/repair_rule.h"

#include "fusee/word.h"

bool repair_view_open(const struct repair_view *view) {
    bool differs = false;
    for (uint32_t i = 0; i < view->backups; i++) {
        differs |= view->backup[i] != view->primary;
    }
    return differs && view->again == view->primary;
}

bool repair_view_partial(const struct repair_view *view) {
    bool partial = false;
    for (uint32_t i = 0; i < view->backups; i++) {
        partial |= view->backup[i] == view->primary;
    }
    return partial;
}

enum repair_end repair_rule_end(uint64_t primary, uint64_t word, bool whole) {
    if (word_kind(word) == WORD_EMPTY) {
        return REPAIR_FORWARD;
    }
    if (word_kind(primary) == WORD_EMPTY) {
        return REPAIR_EMPTY;
    }
    if (whole) {
        return REPAIR_FORWARD;
    }
    return word_kind(primary) == WORD_TOMBSTONE ? REPAIR_EMPTY : REPAIR_COPY;
}
