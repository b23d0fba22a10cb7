/* transact_call.h: a transaction as a test runs it: a few keys, each read, written, deleted or only held, in a
 * coroutine of its own. See fixture.h. One thread. */
#ifndef TRANSACT_CALL_H
#define TRANSACT_CALL_H

#include "fixture.h"

#define TRANSACT_KEYS_MOST 24u

struct transact_step {
    const char *key;
    const char *write; /* NULL: only read; "": delete; "+": one more than was there */
};

struct transact_call {
    struct world *world;
    uint32_t s, count;
    bool blind;
    bool if_absent; /* writes nothing if one of the keys is there */
    const struct transact_step *steps;
    struct dm_key keys[TRANSACT_KEYS_MOST];
    /* out */
    bool ended, refused; /* refused: by if_absent */
    uint32_t decisions;
    enum dm_status status;
    bool found[TRANSACT_KEYS_MOST];
    char seen[TRANSACT_KEYS_MOST][24];
    struct dm_cost cost;
};

/* The steps outlive the call. */
struct transact_call transact_make(struct world *world, uint32_t s, const struct transact_step *steps, uint32_t count);
/* `call` must stay where it is until it has ended. */
void transact_begin(struct transact_call *call);
void transact_finish(struct transact_call *call);
/* Both. */
void transact_run(struct transact_call *call);

#define TRANSACT_STEPS(...)                                                                                            \
    (const struct transact_step[]){__VA_ARGS__},                                                                       \
        (uint32_t)(sizeof((const struct transact_step[]){__VA_ARGS__}) / sizeof(struct transact_step))

#endif
