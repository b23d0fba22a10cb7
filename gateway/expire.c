/* expire.c: what the arguments of SET, GETEX and EXPIRE mean for a key's expiry. Pure functions; any thread. */
#include "expire.h"

#include "number.h"
#include "word.h"

#define MS_PER_S 1000

enum expire_result expire_from_option(const struct resp_arg *arg, struct expire_unit unit, int64_t now_ms,
                                      int64_t *expire_ms) {
    int64_t value;

    if (!number_parse(arg->bytes, arg->length, &value)) {
        return EXPIRE_NOT_INTEGER;
    }
    if (value <= 0 || (unit.seconds && value > INT64_MAX / MS_PER_S)) {
        return EXPIRE_INVALID;
    }
    if (unit.seconds) {
        value *= MS_PER_S;
    }
    if (unit.relative && __builtin_add_overflow(value, now_ms, &value)) {
        return EXPIRE_INVALID;
    }
    *expire_ms = value;
    return EXPIRE_OK;
}

enum expire_result expire_from_argument(const struct resp_arg *arg, struct expire_unit unit, int64_t now_ms,
                                        int64_t *expire_ms) {
    int64_t value;

    if (!number_parse(arg->bytes, arg->length, &value)) {
        return EXPIRE_NOT_INTEGER;
    }
    if (unit.seconds && __builtin_mul_overflow(value, MS_PER_S, &value)) {
        return EXPIRE_INVALID;
    }
    if (unit.relative && __builtin_add_overflow(value, now_ms, &value)) {
        return EXPIRE_INVALID;
    }
    *expire_ms = value;
    return EXPIRE_OK;
}

enum expire_conditions_result expire_conditions_parse(const struct resp_arg *args, size_t count, unsigned *conditions,
                                                      const struct resp_arg **unknown) {
    unsigned found = 0;

    for (size_t i = 0; i < count; i++) {
        if (word_equal(&args[i], "nx")) {
            found |= EXPIRE_NX;
        } else if (word_equal(&args[i], "xx")) {
            found |= EXPIRE_XX;
        } else if (word_equal(&args[i], "gt")) {
            found |= EXPIRE_GT;
        } else if (word_equal(&args[i], "lt")) {
            found |= EXPIRE_LT;
        } else {
            *unknown = &args[i];
            return EXPIRE_CONDITIONS_UNKNOWN;
        }
    }
    if ((found & EXPIRE_NX) != 0 && found != EXPIRE_NX) {
        return EXPIRE_CONDITIONS_NX_MIXED;
    }
    if ((found & EXPIRE_GT) != 0 && (found & EXPIRE_LT) != 0) {
        return EXPIRE_CONDITIONS_GT_LT;
    }
    *conditions = found;
    return EXPIRE_CONDITIONS_OK;
}

bool expire_allowed(unsigned conditions, int64_t current_ms, int64_t wanted_ms) {
    bool none = current_ms == DM_NO_EXPIRY;

    if (((conditions & EXPIRE_NX) != 0 && !none) || ((conditions & EXPIRE_XX) != 0 && none)) {
        return false;
    }
    if ((conditions & EXPIRE_GT) != 0 && (none || wanted_ms <= current_ms)) {
        return false;
    }
    return (conditions & EXPIRE_LT) == 0 || none || wanted_ms < current_ms;
}

void expire_write_again(const struct dm_value *old, int64_t expire_ms, struct dm_write *write) {
    write->part[0] = (struct dm_bytes){old->bytes, old->length};
    write->type = old->type;
    write->encoding = old->encoding;
    write->expire_ms = expire_ms;
    write->essential = true; /* works in a full pool too: it is how memory comes back */
}

enum dm_action expire_decide(void *context, const struct dm_value *old, struct dm_write *write) {
    struct expire_update *update = context;

    update->changed = old != NULL && expire_allowed(update->conditions, old->expire_ms, update->expire_ms);
    update->bytes = old == NULL ? 0 : old->length;
    if (!update->changed) {
        return DM_KEEP;
    }
    /* Before any comparison with the old time: the time 0 is in the past, but DM_NO_EXPIRY to the store. */
    if (update->expire_ms <= update->now_ms) {
        return DM_DELETE;
    }
    if (old->expire_ms == update->expire_ms) {
        return DM_KEEP;
    }
    expire_write_again(old, update->expire_ms, write);
    return DM_WRITE;
}

enum dm_action expire_persist_decide(void *context, const struct dm_value *old, struct dm_write *write) {
    struct expire_update *update = context;

    update->changed = old != NULL && old->expire_ms != DM_NO_EXPIRY;
    update->bytes = old == NULL ? 0 : old->length;
    if (!update->changed) {
        return DM_KEEP;
    }
    expire_write_again(old, DM_NO_EXPIRY, write);
    return DM_WRITE;
}

int64_t expire_seconds(int64_t ms) { return ms / MS_PER_S + (ms % MS_PER_S >= MS_PER_S / 2); }
