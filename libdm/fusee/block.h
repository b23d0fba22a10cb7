/* block.h: rounds on the block table: count, acquire, release, collect. Inside a coroutine, kind MAINTENANCE. */
#ifndef FUSEE_BLOCK_H
#define FUSEE_BLOCK_H

#include "fusee/session.h"

#define BLOCK_ORPHAN_EPOCHS 2u /* until all operations that began before an epoch have ended */

struct block_census {
    uint64_t free, orphans; /* data blocks in all regions; orphans of the class asked for */
    uint64_t candidate;     /* block number of one that may be taken */
    uint64_t word;          /* its word */
    bool found;             /* is there a candidate at all? */
};

/* Free data blocks that are kept for deletes and expiry: the pool's share, but one for each client at work. */
uint64_t block_reserve(const struct dm_session *session);

/* Reads all block tables. Chooses an orphan of the class, else a free block, beginning at a region that moves on. */
enum dm_status block_count(struct dm_session *session, uint8_t size_class, struct block_census *out);

/* Takes a counted block for this class into the slab. DM_BUSY: somebody else was first, count again. */
enum dm_status block_acquire(struct dm_session *session, uint8_t size_class, const struct block_census *census);

/* Gives a block up: as free when all its objects are free, else as orphan with its free map written; unswept if it may
 * hold lost objects (sweep.h). */
enum dm_status block_release(struct dm_session *session, struct block *block);

/* Makes an orphan, *word, an unswept one or the other way round; *word is then what it has become. DM_BUSY: it is not
 * what it was. */
enum dm_status block_mark_orphan(struct dm_session *session, uint64_t number, enum block_state state, uint64_t *word);

/* Takes the objects that others have freed in our blocks of this class into the limbo. */
enum dm_status block_collect(struct dm_session *session, uint8_t size_class);

/* Sets the free-map bits of these objects (global addresses, any order; sorted in place). */
enum dm_status block_mark_free(struct dm_session *session, uint64_t *addresses, uint32_t count);

/* In place of an owner, an orphan's word has the epoch (mod 2^16) in which it was given up, or an earlier one if no
 * operation of its owner was under way. Nobody adopts it before all those have ended: they may have taken objects in it
 * that no slot names yet, and whose block an unlinked object lies in is whose it is (repair_word.c). */
static inline uint16_t block_orphan_since(const struct dm_session *session) {
    return (uint16_t)(session->epoch - (session->in_flight_total == 0 ? BLOCK_ORPHAN_EPOCHS : 0));
}
static inline bool block_orphan_is_ripe(uint64_t word, uint64_t epoch) {
    return (uint16_t)(epoch - block_word_client(word)) >= BLOCK_ORPHAN_EPOCHS;
}

#endif
