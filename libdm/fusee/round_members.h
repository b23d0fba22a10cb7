/* round_members.h: what becomes of a round when the nodes that count change under it (members.h). Before the change its
 * client takes back what nobody could finish; behind it, it looks what the settling has made of its word:
 *
 *   the primary lives     its word counts; the settling puts it on the backups
 *   it is lost            the first backup's word counts. So an insert that had not passed its check, and whose word
 *                         may be on a backup, is taken back before: a fresh empty word. Any other word of a client
 *                         that lives stays, if the settling finds it there; its object is made whole before
 *
 * Inside coroutines of the round's session.
 */
#ifndef FUSEE_ROUND_MEMBERS_H
#define FUSEE_ROUND_MEMBERS_H

#include "fusee/round.h"

struct dm_session;

/* Into and out of the list of rounds that have been begun. */
void round_enlist(struct fusee_op *op, struct round *round);
void round_delist(struct fusee_op *op, struct round *round);

/* Nothing of the session is under way: before the change to `word`. Repeatable. */
enum dm_status round_rest(struct dm_session *session, struct round *round, uint64_t word);

/* Behind the change. DM_OK: go on with round->stage, which may be its end with *result. DM_UNKNOWN_OUTCOME: call again,
 * or, at ROUND_AT_END, nothing can tell. */
enum dm_status round_follow(struct fusee_op *op, struct round *round, enum round_result *result);

#endif
