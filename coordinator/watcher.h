/* watcher.h: what a coordinator does: looks at the pool's clients again and again, and fences the gateways whose lease
 * is over. Then their seats are empty, and whichever gateway lives repairs them (libdm, repair.h); without one the
 * next that starts, or `fusegate-ctl repair`. Reads only; is no client of the pool. One thread. */
#ifndef WATCHER_H
#define WATCHER_H

#include <stdbool.h>
#include <stdint.h>

#include "membership.h"

struct watcher;

/* False: error says what to do. */
bool watcher_open(struct dm_inspector *inspector, const struct membership_ops *ops, struct membership *membership,
                  struct watcher **out);
void watcher_close(struct watcher *watcher);

/* One look, and what follows from it. Returns ns until the next one. */
uint64_t watcher_look(struct watcher *watcher);

#endif
