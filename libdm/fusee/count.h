/* count.h: how many keys there are, without looking at them. Inside coroutines of the session, but for what is said.
 *
 * Every client counts, for each space, the keys that it has created less those that it has removed: whose round or
 * transaction made the change counts it, once; and likewise keys that will expire. The sum over all clients, those
 * included that are no more, is the number of keys. An expired key counts until it is removed. On the control nodes
 * (members.h), one word a client and row, and one more (recount.c's; on the first of these nodes only):
 *
 *     row 0 .. 15    of the spaces' numbers with this remainder     63       48 47      40 39                     0
 *                                                                  +-----------+----------+------------------------+
 *                                                                  |  number   | mended   |  keys, modulo 2^40     |
 *                                                                  +-----------+----------+------------------------+
 *     row 16 .. 31   the same of those that will expire
 *     row 32         changes that the client has counted; only grows
 *
 * A word counts for the space that has its number now, so a flush needs no change of any of them, and a swap neither
 * (space.h). Of the numbers of one row only the newest is in use, and numbers only grow.
 *
 * A client's words are written by its housekeeping, off the request path, some 10 ms behind a change; what the sessions
 * of a process have counted, all of them know at once. What is not written yet holds the epoch up (epoch.h), so two
 * epochs later all is written that was done before. The words stay in the record of a client that closes, and whoever
 * has it next goes on from there. A client that dies takes what it had not written with it: see recount.h.
 */
#ifndef FUSEE_COUNT_H
#define FUSEE_COUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "fusee/layout.h"

struct dm_session;
struct fusee_op;

#define COUNT_KEYS_BITS 40
#define COUNT_KEYS_MASK ((UINT64_C(1) << COUNT_KEYS_BITS) - 1)
#define COUNT_MENDED_MASK UINT64_C(0xff)
#define COUNT_EXPIRING_ROW DM_SPACES /* the first */
#define COUNT_CHANGES_ROW (2u * DM_SPACES)

/* What a slot's word means. */
enum count_as { COUNT_NOTHING, COUNT_KEY, COUNT_EXPIRING };

/* In struct dm_session. */
struct counts {
    uint64_t words[LAYOUT_COUNT_ROWS];
    uint64_t unwritten;            /* rows, a bit each */
    uint64_t epoch;                /* in which the oldest operation began that is not written; UINT64_MAX: none */
    uint64_t posted_epoch;         /* the same, of what is being written */
    bool doubt;                    /* something became of an operation that nobody knows: all counts are in doubt */
    uint64_t miscounts, recounted; /* of the epoch line, as last read */
};

/* Pure. */
static inline uint16_t count_number(uint64_t word) { return (uint16_t)(word >> 48); }
static inline uint64_t count_word(uint16_t number, uint64_t keys) {
    return (uint64_t)number << 48 | (keys & COUNT_KEYS_MASK);
}
/* Is this word's number behind `number`, which is of the same row? */
static inline bool count_is_old(uint64_t word, uint16_t number) { return (int16_t)(number - count_number(word)) > 0; }
/* Sum of the words of a row that have this number. */
uint64_t count_sum(const uint64_t *words, uint32_t count, uint16_t number);

/* A new session goes on from what stands in its record, and all of its process know that it counts here. */
enum dm_status count_open(struct dm_session *session);
/* The nodes that hold the words have changed: all are to be written once more. No I/O. */
void count_again(struct dm_session *session);
/* All is written; others read it from now on. */
void count_close(struct dm_session *session);

/* An object that is not a tombstone's. Expired ones are keys, notes of an absence are not. */
enum count_as count_object(const void *object);
/* The word that `op` has found. */
enum count_as count_found(const struct fusee_op *op);
/* A change of the key of `op` has taken effect. No I/O. */
void count_change(struct fusee_op *op, enum count_as had, enum count_as has);
/* The counts may be wrong from here on. No I/O. */
void count_doubt(struct dm_session *session);

/* WRITEs what has changed since the last time. One coroutine at a time. */
enum dm_status count_write(struct dm_session *session);
/* The oldest epoch that this holds up; UINT64_MAX: none. */
static inline uint64_t count_epoch(const struct counts *counts) {
    return counts->epoch < counts->posted_epoch ? counts->epoch : counts->posted_epoch;
}

/* What a tick has read. Own words of older numbers begin again at nothing. */
void count_note(struct dm_session *session, const struct epoch_line *line, const struct space_table *table);

/* Behind the walk that removes what flushes have left: words of older numbers go, because numbers come back. */
enum dm_status count_forget(struct dm_session *session, const struct space_table *table);

#endif
