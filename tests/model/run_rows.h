/* run_rows.h: how the rows of runs_*.c are written. For those files only. */
#ifndef MODEL_RUN_ROWS_H
#define MODEL_RUN_ROWS_H

#include "run.h"

#define HEAD(text)                                                                                                     \
    { .name = (text), .heading = true }
#define BREAKS .expectation = MUST_BREAK
#define MAY_CUT .expectation = MAY_BE_CUT

extern const struct run runs_one_slot[], runs_reuse[], runs_inserts[], runs_keys[], runs_speculation[], runs_expiry[],
    runs_crash[], runs_failover[], runs_tx[];

#endif
