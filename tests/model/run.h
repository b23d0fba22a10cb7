/* run.h: one row of the model checker's table: a model with rules on or off, and what must come out. */
#ifndef MODEL_RUN_H
#define MODEL_RUN_H

#include "bucket.h"
#include "reuse.h"
#include "tx.h"

enum run_expectation {
    MUST_PASS,  /* all states, no error */
    MUST_BREAK, /* a counterexample */
    MAY_BE_CUT, /* no error in the states that the limit allows */
};

enum run_class {
    RUN_SHORT = 0,
    RUN_LONG = 1, /* with LONG=1 only */
    RUN_ENDS = 2, /* also: from every state somebody can still finish everything */
};

struct run {
    const char *name;
    /* One of these has a program. */
    struct bucket_config bucket;
    struct reuse_config reuse;
    struct tx_config tx;
    enum run_expectation expectation;
    int class; /* of enum run_class */
    bool heading;
};

#endif
