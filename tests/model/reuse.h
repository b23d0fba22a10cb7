/* reuse.h: the model of address reuse (trap T3): one slot on a primary and a backup, objects in two to four addresses
 * that are freed and taken again, clients whose caches outlive their operations. Used by main.c.
 *
 * Cures, each a switch: a tag in the word that grows with each use of an address; a header in the object that names
 * its word, compared by every reader; a grace period (no reuse before all operations that ran at the time of the free
 * have ended). Or, instead of all that, reclamation epochs as in fusee/epoch.h.
 */
#ifndef MODEL_REUSE_H
#define MODEL_REUSE_H

#include "explore.h"

struct reuse_config {
    const char *program; /* S R G, and V: GET that answers from a cached value when the slot still holds its word */
    uint8_t addresses;
    uint8_t attempts;
    uint8_t tag_bits; /* 0: no tag */
    bool tag_wraps;   /* false: an address whose tags are used up is not taken again */
    bool header;
    bool grace;
    /* Not 0: tags, grace and guesses by reclamation epochs, which go from REUSE_EPOCH_FIRST up to this. tag = the
     * epoch in which the allocating operation began. A word that an operation begun in s1 saw in P may be guessed, and
     * a value cached with it be answered, by one begun in s2 only if s2 - s1 < (tag - (s1 + 1)) mod 2^tag_bits. */
    uint8_t epochs;
    /* Mutations of that. */
    bool any_guess;     /* no rule */
    bool one_too_late;  /* <= instead of < */
    bool seen_late;     /* s1: the epoch when it was noted, not when the operation began */
    bool reuse_at_once; /* an address is taken again one epoch after its free, not two */
    bool tag_clock;     /* the tag comes from a clock that knows nothing of epochs */
};

#define REUSE_EPOCH_FIRST 2

struct reuse;

struct reuse *reuse_open(const struct reuse_config *config, const char **error);
void reuse_close(struct reuse *reuse);
struct explore_model reuse_model(struct reuse *reuse);

#endif
