/* chain.h: did a word ever stand in a slot? Every object names the word that it replaced (`prev`), so the words of a
 * slot are a chain, newest first. It tells a writer at r = 1 whether its CAS of unknown outcome took effect before
 * others overwrote it (trap T7). At r > 1 the backups tell. Inside a coroutine.
 *
 * The words that followed mine were overwritten in the epoch of this operation or later, so their objects are still
 * there.
 */
#ifndef FUSEE_CHAIN_H
#define FUSEE_CHAIN_H

#include "fusee/session.h"

enum chain_verdict {
    CHAIN_HAPPENED, /* v_new stood in the slot */
    CHAIN_NOT,      /* v_old was replaced by another word */
    CHAIN_SILENT,   /* nothing can tell */
};

#define CHAIN_WORDS_MAX 1000

/* `word` was just read in the slot; v_old was to be replaced by v_new. DM_UNREACHABLE, DM_BUSY: ask again. */
enum dm_status chain_look(struct fusee_op *op, uint64_t word, uint64_t v_old, uint64_t v_new,
                          enum chain_verdict *verdict);

#endif
