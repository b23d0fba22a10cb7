/* members.h: which memory nodes count, and how a session goes from one set of them to the next.
 *
 * One word says it, in the epoch line of every node:    63        40 39                  0
 *                                                      +-----------+--------------------+
 *                                                      | number    | nodes that are lost|
 *                                                      +-----------+--------------------+
 * An even number: this set counts. An odd one: it is being settled (settle.h). The highest number that any node shows
 * is the one. A session works by one set at a time; whatever it posts, it posts by that one. A session that sees an
 * odd number
 *
 *   rests      it posts nothing any more, and waits until what was posted has ended, and cannot take effect later
 *   undoes     what it has begun and nobody can finish: rounds (round_members.h), transactions (transaction_members.c)
 *   says so    in its client record, on every node that is left
 *
 * and waits for an even number. Then it adopts that set: the first of a region's nodes that is left is its primary,
 * the others are its backups. Its operations find that the set has changed (op_execute refuses them) and begin again,
 * or look for what has become of their words.
 *
 * A session that has not announced itself has nothing under way, and nobody waits for it: when it announces itself, it
 * READs the word behind that, on each node that the announcement goes to.
 *
 * The epoch line, space table, announce words and client records lie on the first r nodes that are left, the *control*
 * nodes; the first of them counts.
 */
#ifndef FUSEE_MEMBERS_H
#define FUSEE_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dm.h"
#include "fusee/layout.h"

struct dm_session;

#define MEMBERS_NODES_MAX 40u /* pools of more nodes cannot lose any */
#define MEMBERS_LOST_MASK ((UINT64_C(1) << MEMBERS_NODES_MAX) - 1)

static inline uint64_t members_lost(uint64_t word) { return word & MEMBERS_LOST_MASK; }
static inline uint64_t members_number(uint64_t word) { return word >> MEMBERS_NODES_MAX; }
static inline bool members_settled(uint64_t word) { return (members_number(word) & 1) == 0; }
static inline uint64_t members_word(uint64_t number, uint64_t lost) { return number << MEMBERS_NODES_MAX | lost; }
static inline bool members_has(uint64_t word, uint32_t node) {
    return node >= MEMBERS_NODES_MAX || (word >> node & 1) == 0;
}

/* A session's part; in struct dm_session. */
struct members {
    uint64_t word;    /* by which it works; even */
    uint64_t seen;    /* the newest that it has seen */
    bool changing;    /* it rests */
    bool resting;     /* a coroutine sees to that */
    bool leads;       /* its own dm_session_settle does */
    bool fails;       /* a batch has failed: look at all nodes with the next tick */
    uint32_t batches; /* under way */
    uint16_t control[LAYOUT_REPLICAS_MAX];
    uint32_t control_count;
};

/* At open, in a coroutine: room for the map, and the set that counts now. */
enum dm_status members_open(struct dm_session *session);
void members_close(struct dm_session *session);

/* A word that was read on some node. */
void members_note(struct dm_session *session, uint64_t word);

/* READs the word on every node that answers. DM_UNREACHABLE: none does. Inside a coroutine. */
enum dm_status members_look(struct dm_session *session);

/* Looks, if a batch has failed since the last time: who does not answer may be lost, and who says so is another node.
 * Inside a coroutine. */
void members_tick(struct dm_session *session);

/* The first control node that is not known to be lost, settled or not. */
uint16_t members_first(const struct dm_session *session);

/* Waits, for a bounded time, until the session does not rest. False: it still does. Inside a coroutine. */
bool members_wait(struct dm_session *session);

/* May an operation that works by `word` post? If not, waits as above. */
bool members_allow(struct dm_session *session, uint64_t word);

/* What the session does when it rests for `word`: see above. Repeatable. DM_UNREACHABLE: not yet. */
enum dm_status members_rest(struct dm_session *session, uint64_t word);

/* From here on the session works by `word`; DM_UNREACHABLE: call again. Nothing is under way, it rests still. */
enum dm_status members_follow(struct dm_session *session, uint64_t word);

/* Goes on resting, by a coroutine: behind a settling that has not come to its end. */
void members_go_on(struct dm_session *session);

/* Has the set of nodes that hold this address changed since `word`? */
bool members_touch(const struct dm_session *session, uint64_t word, uint64_t address);

/* The control nodes of `word`, first r that are left; returns how many. */
uint32_t members_control(const struct dm_pool *pool, uint64_t word, uint16_t *nodes);

/* CASes a word on the first control node, and then on the others. *done: it was `from` on the first. Words that must
 * not fall behind there are kept up by those who write them. Inside a coroutine. */
enum dm_status members_cas(struct dm_session *session, uint64_t offset, uint64_t from, uint64_t to, bool *done);

static inline uint64_t members_offset(const struct layout *layout) {
    return layout->epoch_offset + offsetof(struct epoch_line, members);
}

#endif
