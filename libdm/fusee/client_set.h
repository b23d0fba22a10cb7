/* client_set.h: a set of the pool's clients, by the numbers of their records. Pure; any thread. */
#ifndef FUSEE_CLIENT_SET_H
#define FUSEE_CLIENT_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "fusee/layout.h"

struct client_set {
    uint64_t bits[LAYOUT_CLIENTS_MAX / 64];
};

static inline void client_set_add(struct client_set *set, uint32_t client) {
    set->bits[client / 64] |= UINT64_C(1) << (client % 64);
}
static inline void client_set_remove(struct client_set *set, uint32_t client) {
    set->bits[client / 64] &= ~(UINT64_C(1) << (client % 64));
}
static inline bool client_set_has(const struct client_set *set, uint32_t client) {
    return client < LAYOUT_CLIENTS_MAX && (set->bits[client / 64] >> (client % 64) & 1) != 0;
}

#endif
