/* event.c: see event.h. */
#include "event.h"

#include <stddef.h>
#include <string.h>

static bool range_meets(const struct range *a, const struct range *b) {
    return a->node == b->node && a->offset < b->offset + b->length && b->offset < a->offset + a->length;
}

/* Do they touch a byte that one of them has changed? */
static bool event_meets(const struct event *a, const struct event *b) {
    if (!a->changes && !b->changes) {
        return false;
    }
    for (uint32_t i = 0; i < a->range_count; i++) {
        for (uint32_t j = 0; j < b->range_count; j++) {
            if (range_meets(&a->ranges[i], &b->ranges[j])) {
                return true;
            }
        }
    }
    return false;
}

static bool is_heard(const struct event *a, const struct event *b) {
    return a->audible && b->audible && a->kind != b->kind;
}

static enum relation own_relation(const struct event *first, const struct event *second) {
    if (second->kind == EVENT_CRASH) {
        bool open = first->kind == EVENT_VERB && first->changes && first->step == second->step;
        bool read = first->kind == EVENT_VERB && !first->changes;
        return open ? RELATION_RACE : read ? RELATION_NONE : RELATION_ORDERED;
    }
    if (first->step != second->step || first->kind != EVENT_VERB) {
        return RELATION_ORDERED;
    }
    if ((second->behind >> first->piece & 1) != 0) {
        return RELATION_ORDERED;
    }
    return event_meets(first, second) ? RELATION_RACE : RELATION_NONE;
}

enum relation event_relation(const struct event *first, const struct event *second) {
    if (first->kind == EVENT_TIMEOUT || second->kind == EVENT_TIMEOUT) {
        return RELATION_ORDERED;
    }
    if (first->kind == EVENT_CRASH && second->heals) {
        return RELATION_ORDERED;
    }
    if (first->client == second->client) {
        return own_relation(first, second);
    }
    return event_meets(first, second) || is_heard(first, second) ? RELATION_RACE : RELATION_NONE;
}

bool event_depends(const struct event *a, const struct event *b) {
    if (a->client != b->client) {
        return event_meets(a, b) || is_heard(a, b);
    }
    if (a->kind == EVENT_CRASH || b->kind == EVENT_CRASH) {
        const struct event *other = a->kind == EVENT_CRASH ? b : a;
        return other->kind != EVENT_VERB || other->changes;
    }
    return event_meets(a, b);
}

void event_copy(struct event *to, const struct event *from) {
    memcpy(to, from, offsetof(struct event, ranges) + from->range_count * sizeof from->ranges[0]);
}
