/* history_many.h: is a history of operations on two or three keys strictly serializable? Exact: a search over all
 * orders (Wing and Gong, with Lowe's memoisation) with the values of all keys as the state. For short histories. Pure.
 * */
#ifndef SIM_HISTORY_MANY_H
#define SIM_HISTORY_MANY_H

#include "history.h"

#define MANY_KEYS_MAX 3u
#define MANY_OPS_MAX 128u

enum many_effect { MANY_NOTHING, MANY_SET, MANY_DELETE };

/* One operation: looks at some keys, then changes some, at one moment. */
struct many_op {
    uint64_t began, ended; /* positions in one sequence; HISTORY_OPEN */
    bool unknown;          /* may have happened at any time after it began, or never; it has seen nothing */
    uint8_t client;
    bool saw[MANY_KEYS_MAX];       /* `seen` counts */
    uint64_t seen[MANY_KEYS_MAX];  /* 0: absent */
    bool if_absent;                /* the effects happen only if no key is there */
    uint8_t effect[MANY_KEYS_MAX]; /* enum many_effect */
    uint64_t written[MANY_KEYS_MAX];
};

/* ops are sorted in place. *stuck: the operation that no order could pass, when wrong. */
enum history_verdict history_many(struct many_op *ops, uint32_t count, uint64_t limit, uint32_t *stuck);

void many_op_print(const struct many_op *op);

#endif
