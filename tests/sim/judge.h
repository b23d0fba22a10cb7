/* judge.h: every key's history of a run through the checkers (history.h). Called by main.c when the run is over. */
#ifndef SIM_JUDGE_H
#define SIM_JUDGE_H

#include "world.h"

/* Operations that have not ended count as unknown. Says what is wrong and ends the process if a history has no
 * explanation; returns how many were too hard to decide. */
uint32_t judge_histories(struct world *world);

#endif
