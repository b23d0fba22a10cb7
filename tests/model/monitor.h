/* monitor.h: exact linearizability on every path of a model. One thread.
 *
 * A *configuration* is one way in which the operations so far may have taken effect: the value of each key, and which
 * of the pending operations have happened, with what result. The monitor carries the set of all configurations that
 * the replies given so far allow; an empty set means: no order explains them. Sets are stored once and named by a
 * number, which is all that a model's state holds; what an event does to a set is remembered.
 *
 * An operation takes effect in the set only when some reply needs it (just in time), which loses nothing.
 */
#ifndef MODEL_MONITOR_H
#define MODEL_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

#define MONITOR_CLIENTS_MAX 4
#define MONITOR_OPS_MAX 3
#define MONITOR_KEYS_MAX 3
#define MONITOR_ABSENT 0 /* the value of an absent key */
#define MONITOR_BROKEN UINT32_MAX

enum monitor_kind {
    MONITOR_SET = 1, /* result 0 */
    MONITOR_RMW,     /* reads the old value (its result) and writes its own */
    MONITOR_GET,     /* result: the value */
    MONITOR_DEL,     /* result: 1 if there was a value */
    MONITOR_SETNX,   /* writes if there is none; result: 1 if it did */
    MONITOR_MANY,    /* several keys at once, see struct monitor_op */
};

struct monitor_op {
    uint8_t kind;
    uint8_t key;
    uint8_t value; /* what it writes, 1..15 */
    /* MONITOR_MANY: keys, a bit each. Result: the values of those read, 4 bits each, key 0 lowest; with all_absent it
     * is 1 if all keys to write were absent (only then it writes), else 0. */
    uint8_t reads, writes, removes;
    bool all_absent;
};

struct monitor;

struct monitor *monitor_open(void);
void monitor_close(struct monitor *monitor);

/* For models: the operations, then the number of the first set, where key k has values[k]. */
void monitor_plan(struct monitor *monitor, uint32_t client, uint32_t op, struct monitor_op plan);
uint32_t monitor_start(struct monitor *monitor, const uint8_t values[MONITOR_KEYS_MAX]);

uint32_t monitor_invoke(struct monitor *monitor, uint32_t set, uint32_t client, uint32_t op);
/* MONITOR_BROKEN: this reply cannot be explained. */
uint32_t monitor_reply(struct monitor *monitor, uint32_t set, uint32_t client, uint32_t result);
/* The operation was refused: it had no effect. */
uint32_t monitor_refuse(struct monitor *monitor, uint32_t set, uint32_t client);

#endif
