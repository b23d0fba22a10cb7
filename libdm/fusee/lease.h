/* lease.h: the word in its record by which a client shows that it lives. Pure; any thread.
 *
 *    63          40 39                                    0
 *   +--------------+---------------------------------------+
 *   | lease, ms 24 | how often it was renewed 40           |      0: this client promises nothing
 *   +--------------+---------------------------------------+
 *
 * The client WRITES another number long before the lease has run out. Nobody's clock is compared with another's: who
 * watches measures with its own for how long the word has stayed the same.
 */
#ifndef FUSEE_LEASE_H
#define FUSEE_LEASE_H

#include <stdint.h>

#define LEASE_MS_MAX ((1u << 24) - 1)
#define LEASE_COUNT_MASK ((UINT64_C(1) << 40) - 1)

static inline uint64_t lease_word(uint32_t lease_ms, uint64_t count) {
    return (uint64_t)lease_ms << 40 | (count & LEASE_COUNT_MASK);
}
static inline uint32_t lease_word_ms(uint64_t word) { return (uint32_t)(word >> 40); }

#endif
