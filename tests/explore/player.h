/* player.h: plays a world event by event: which events are possible now, and what one of them does. Above it the search
 * knows only events; below it the engine knows only its fabric and its clock.
 *
 * A client that sleeps between two looks at memory is not played again until something that it has looked at has
 * changed: looking again would show it the same. Its clock jumps over every sleep. */
#ifndef EXPLORE_PLAYER_H
#define EXPLORE_PLAYER_H

#include "world.h"

#define PLAYER_POSSIBLE_MAX 64u

/* Clients that have calls to make are stepped from now on. */
void player_start(struct world *world);

/* Ids of all events that are possible now, those first that do not take turns: `last` is the client that was played
 * last. None: all calls have returned, or something is wrong (world->fault). */
uint32_t player_possible(struct world *world, uint8_t last, uint16_t *ids);

/* Plays one, and describes it. */
void player_play(struct world *world, uint16_t id, struct event *event);

/* May this event, which has just been played, be its client's last? */
bool player_may_crash_behind(const struct world *world, const struct event *event);

/* Makes every coroutine end, so that the world can be set back. */
void player_stop(struct world *world);

/* The client begins its first call and goes on, alone: until it has posted a compare-and-swap, or to its end. */
void player_run_to_swap(struct client *client);
void player_run_to_end(struct client *client);

#endif
