/* space.h: the spaces that a caller names (Redis: databases 0 to 15) and the numbers under which their keys lie in the
 * pool. To flush a space is to give it a new number, to swap two is to exchange theirs: at once for all clients,
 * however many keys there are. What lies under numbers that nobody uses any more is removed behind it.
 *
 * The table is on the control nodes (members.h) behind the epoch line, and every client reads that of the first of
 * them whenever it reads that line. A change:
 *
 *     1  CAS table.change: what is to be done. Who sees it begins no operation until 5
 *     2  wait until no operation that began before it is under way: the epoch has advanced twice
 *     3  CAS table.change: it is certain. Before that anybody may call it off who has waited for too long
 *     4  CAS the words of the spaces, each from what it was
 *     5  CAS table.change: done
 *
 * Every step can be repeated and any client may take it, so one that dies in between holds nobody up for long. Each CAS
 * carries the count of its change, so that one that comes late finds nothing to do.
 *
 * A READ of the table can be torn: `change` from behind 5, the words from before 4. So the words count only that were
 * read by a READ that was posted when a change was known to be done; until then the client is held as in 1.
 */
#ifndef FUSEE_SPACE_H
#define FUSEE_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "dm.h"

struct dm_session;

/* In a node's memory. */
struct space_table {
    uint64_t change; /* kind 2 | a 4 | b 4 | number of a 16 | number of b 16 | certain 1 | count of changes 21 */
    uint64_t purged; /* the change behind which nothing of older numbers is left */
    uint64_t words[DM_SPACES]; /* number 16 | 0 27 | change that wrote it 21; 0: the space's own number */
    uint64_t reserved[6];
};
#define SPACE_TABLE_BYTES 192u
_Static_assert(sizeof(struct space_table) == SPACE_TABLE_BYTES, "format");

enum space_change_kind { SPACE_CHANGE_NONE, SPACE_CHANGE_FLUSH, SPACE_CHANGE_FLUSH_ALL, SPACE_CHANGE_SWAP };

#define SPACE_COUNT_BITS 21
#define SPACE_COUNT_MASK ((1u << SPACE_COUNT_BITS) - 1)

struct space_change {
    enum space_change_kind kind;
    uint16_t a, b;
    uint16_t number_a, number_b; /* FLUSH: the new number of a. SWAP: the numbers before */
    bool certain;
    uint32_t count;
};

uint64_t space_change_word(struct space_change change);
struct space_change space_change_of(uint64_t word);
static inline uint16_t space_number(uint64_t word, uint16_t space) {
    return word == 0 ? space : (uint16_t)(word >> 48);
}
/* What the word of a space becomes; the same word: nothing is to be done, or it has been. Pure. */
uint64_t space_word_after(uint64_t word, uint16_t space, const struct space_change *change);

/* A client's view of the table. */
struct space_view {
    uint64_t change;
    uint64_t done;    /* a later change that is done, and whose words are still to be read; 0: none */
    uint64_t done_at; /* `looks` when that was known */
    uint64_t looks;
    uint16_t number[DM_SPACES];
    bool finishing; /* a coroutine waits for the change's end */
};

static inline bool space_is_held(const struct space_view *view) {
    return view->change >> 62 != SPACE_CHANGE_NONE || view->done != 0;
}
/* The space that has this number now; DM_SPACE_ALL: none. */
uint16_t space_of_number(const struct space_view *view, uint16_t number);

void space_view_init(struct space_view *view);
/* A table that was read by a client that is announced; `look` is what space_look said before the READ was posted. */
static inline uint64_t space_look(struct space_view *view) { return ++view->looks; }
void space_note(struct space_view *view, const struct space_table *table, uint64_t look);

/* Waits until no change is under way; ends it if need be, or calls it off. Not inside an operation. DM_UNREACHABLE. */
enum dm_status space_wait(struct dm_session *session);

#endif
