/* tell.h: a schedule in words, for people: printed event by event while it is played again. */
#ifndef EXPLORE_TELL_H
#define EXPLORE_TELL_H

#include "world.h"

/* Who is who, and where the keys lie. */
void tell_begin(const struct world *world);

/* What this event, which is possible now, is going to do. */
void tell_event(const struct world *world, uint16_t id);

/* The same for an event that is over, from its description alone. */
void tell_past(const struct event *event);

#endif
