/* claim.h: the word in a dead client's record that says who repairs it. Pure; any thread.
 *
 *    63       48 47                  24 23                0
 *   +-----------+----------------------+-------------------+
 *   | repairer  | 24 bits of its nonce | 24 bits of owner's |      nonces: the owner words of the records
 *   +-----------+----------------------+-------------------+
 *
 * It stays in the record when the repair has ended, and names an owner that is no more.
 */
#ifndef FUSEE_CLAIM_H
#define FUSEE_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#define CLAIM_NONCE_MASK UINT64_C(0xffffff)

static inline uint64_t claim_nonce_bits(uint64_t owner) { return owner >> 8 & CLAIM_NONCE_MASK; }

static inline uint64_t claim_make(uint32_t repairer, uint64_t repairer_owner, uint64_t owner) {
    return (uint64_t)repairer << 48 | claim_nonce_bits(repairer_owner) << 24 | claim_nonce_bits(owner);
}

static inline uint32_t claim_client(uint64_t claim) { return (uint32_t)(claim >> 48); }

/* Is it about this owner of the record? */
static inline bool claim_is_of(uint64_t claim, uint64_t owner) {
    return claim != 0 && (claim & CLAIM_NONCE_MASK) == claim_nonce_bits(owner);
}

/* Was it made by the client whose record has this owner? */
static inline bool claim_is_by(uint64_t claim, uint64_t repairer_owner) {
    return claim_nonce_bits(repairer_owner) == (claim >> 24 & CLAIM_NONCE_MASK);
}

#endif
