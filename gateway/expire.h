/* expire.h: what the arguments of SET, GETEX and EXPIRE mean for a key's expiry. Pure functions; any thread.
 *
 * Times are Unix milliseconds; DM_NO_EXPIRY means that a key has none. The caller reads the clock.
 */
#ifndef EXPIRE_H
#define EXPIRE_H

#include "dm.h"
#include "resp.h"

enum expire_result {
    EXPIRE_OK,
    EXPIRE_NOT_INTEGER,
    EXPIRE_INVALID, /* zero or negative where that is refused, or beyond 64 bits */
};

struct expire_unit {
    bool seconds;  /* otherwise milliseconds */
    bool relative; /* to now; otherwise to the epoch */
};

/* The time given to SET, SETEX or GETEX: must be positive. *expire_ms is set only on EXPIRE_OK. */
enum expire_result expire_from_option(const struct resp_arg *arg, struct expire_unit unit, int64_t now_ms,
                                      int64_t *expire_ms);

/* The time given to EXPIRE and its kin: may lie in the past. *expire_ms is set only on EXPIRE_OK. */
enum expire_result expire_from_argument(const struct resp_arg *arg, struct expire_unit unit, int64_t now_ms,
                                        int64_t *expire_ms);

enum expire_condition {                     /* of EXPIRE */
                        EXPIRE_NX = 1 << 0, /* has none */
                        EXPIRE_XX = 1 << 1, /* has one */
                        EXPIRE_GT = 1 << 2, /* later than the one it has; none counts as never */
                        EXPIRE_LT = 1 << 3, /* earlier than the one it has */
};

enum expire_conditions_result {
    EXPIRE_CONDITIONS_OK,
    EXPIRE_CONDITIONS_UNKNOWN,  /* *unknown is the argument */
    EXPIRE_CONDITIONS_NX_MIXED, /* NX with any other */
    EXPIRE_CONDITIONS_GT_LT,    /* both */
};

enum expire_conditions_result expire_conditions_parse(const struct resp_arg *args, size_t count, unsigned *conditions,
                                                      const struct resp_arg **unknown);

/* May the expiry change from current_ms to wanted_ms? */
bool expire_allowed(unsigned conditions, int64_t current_ms, int64_t wanted_ms);

/* ---- Updates of a value of any type, in the shape of dm_update_fn: called again, they set every result afresh ---- */

struct expire_update {
    unsigned conditions;
    int64_t expire_ms, now_ms;
    bool changed;   /* result */
    uint64_t bytes; /* result: size of the value */
};
/* EXPIRE and its kin: a time that has come removes the key. */
enum dm_action expire_decide(void *update, const struct dm_value *old, struct dm_write *write);
/* PERSIST. */
enum dm_action expire_persist_decide(void *update, const struct dm_value *old, struct dm_write *write);

/* The old value written again, with another expiry. */
void expire_write_again(const struct dm_value *old, int64_t expire_ms, struct dm_write *write);

/* Rounded to the nearest second. */
int64_t expire_seconds(int64_t ms);

#endif
