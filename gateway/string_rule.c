/* string_rule.c: what the string commands decide, apart from I/O; see string_rule.h. Pure. */
#include "string_rule.h"

#include <math.h>

#include "word.h"

/* ---- Options ---- */

static const struct option {
    const char *word;
    unsigned flag;
    unsigned excludes; /* options before it that make it an error */
} options_table[] = {
    {"nx", SET_NX, SET_XX},
    {"xx", SET_XX, SET_NX},
    {"get", SET_GET, 0},
    {"keepttl", SET_KEEPTTL, SET_PERSIST | SET_TIMES},
    {"persist", SET_PERSIST, SET_KEEPTTL | SET_TIMES},
    /* The same option twice is no error: the last one counts. */
    {"ex", SET_EX, SET_KEEPTTL | SET_PERSIST | (SET_TIMES & ~SET_EX)},
    {"px", SET_PX, SET_KEEPTTL | SET_PERSIST | (SET_TIMES & ~SET_PX)},
    {"exat", SET_EXAT, SET_KEEPTTL | SET_PERSIST | (SET_TIMES & ~SET_EXAT)},
    {"pxat", SET_PXAT, SET_KEEPTTL | SET_PERSIST | (SET_TIMES & ~SET_PXAT)},
};

static const struct option *option_find(const struct resp_arg *arg) {
    for (size_t i = 0; i < sizeof options_table / sizeof options_table[0]; i++) {
        if (word_equal(arg, options_table[i].word)) {
            return &options_table[i];
        }
    }
    return NULL;
}

bool set_options_parse(const struct resp_arg *args, size_t count, unsigned allowed, struct set_options *options) {
    options->flags = 0;
    options->expire = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct option *option = option_find(&args[i]);

        if (option == NULL || (option->flag & allowed) == 0 || (option->excludes & options->flags) != 0) {
            return false;
        }
        if ((option->flag & SET_TIMES) != 0) {
            if (++i == count) {
                return false;
            }
            options->expire = &args[i];
        }
        options->flags |= option->flag;
    }
    return true;
}

struct expire_unit set_options_unit(const struct set_options *options) {
    return (struct expire_unit){
        .seconds = (options->flags & (SET_EX | SET_EXAT)) != 0,
        .relative = (options->flags & (SET_EX | SET_PX)) != 0,
    };
}

/* ---- Updates ---- */

static void string_write(struct dm_write *write, const void *bytes, size_t length, int64_t expire_ms) {
    write->part[0] = (struct dm_bytes){bytes, (uint32_t)length};
    write->type = DM_TYPE_STRING;
    write->expire_ms = expire_ms;
}

static int64_t expiry_of(const struct dm_value *old) { return old == NULL ? DM_NO_EXPIRY : old->expire_ms; }

enum dm_action string_set_decide(void *context, const struct dm_value *old, struct dm_write *write) {
    struct string_set *set = context;

    if ((set->flags & SET_GET) != 0 && old != NULL && old->type != DM_TYPE_STRING) {
        set->result = STRING_WRONG_TYPE;
        return DM_KEEP;
    }
    if (((set->flags & SET_NX) != 0 && old != NULL) || ((set->flags & SET_XX) != 0 && old == NULL)) {
        set->result = STRING_SKIPPED;
        return DM_KEEP;
    }
    string_write(write, set->value.bytes, set->value.length,
                 (set->flags & SET_KEEPTTL) != 0 ? expiry_of(old) : set->expire_ms);
    set->result = STRING_OK;
    return DM_WRITE;
}

enum dm_action string_append_decide(void *context, const struct dm_value *old, struct dm_write *write) {
    struct string_append *append = context;
    uint64_t length = append->suffix.length + (old == NULL ? 0 : (uint64_t)old->length);

    if (old != NULL && old->type != DM_TYPE_STRING) {
        append->result = STRING_WRONG_TYPE;
        return DM_KEEP;
    }
    if (length > append->bytes_max && old != NULL) { /* what is new was measured when it was received */
        append->result = STRING_TOO_LONG;
        return DM_KEEP;
    }
    append->length = length;
    append->result = STRING_OK;
    if (old == NULL) {
        string_write(write, append->suffix.bytes, append->suffix.length, DM_NO_EXPIRY);
    } else {
        string_write(write, old->bytes, old->length, old->expire_ms);
        write->part[1] = append->suffix;
        write->encoding = STRING_RAW;
    }
    return DM_WRITE;
}

enum dm_action string_add_decide(void *context, const struct dm_value *old, struct dm_write *write) {
    struct string_add *add = context;
    int64_t value = 0;

    add->result = STRING_OK;
    if (old != NULL && old->type != DM_TYPE_STRING) {
        add->result = STRING_WRONG_TYPE;
    } else if (old != NULL && !number_parse((const char *)old->bytes, old->length, &value)) {
        add->result = STRING_NOT_INTEGER;
    } else if (__builtin_add_overflow(value, add->by, &value)) {
        add->result = STRING_OVERFLOW;
    }
    if (add->result != STRING_OK) {
        return DM_KEEP;
    }
    add->value = value;
    string_write(write, add->text, number_format(value, add->text), expiry_of(old));
    return DM_WRITE;
}

enum dm_action string_add_float_decide(void *context, const struct dm_value *old, struct dm_write *write) {
    struct string_add_float *add = context;
    long double value = 0;

    add->result = STRING_OK;
    if (old != NULL && old->type != DM_TYPE_STRING) {
        add->result = STRING_WRONG_TYPE;
    } else if (old != NULL && !number_parse_float((const char *)old->bytes, old->length, &value)) {
        add->result = STRING_NOT_FLOAT;
    } else if (!isfinite(value + add->by)) {
        add->result = STRING_NOT_FINITE;
    }
    if (add->result != STRING_OK) {
        return DM_KEEP;
    }
    add->length = number_format_float(value + add->by, add->text, sizeof add->text);
    string_write(write, add->text, add->length, expiry_of(old));
    write->encoding = STRING_TEXT;
    return DM_WRITE;
}

enum dm_action string_take_decide(void *context, const struct dm_value *old, struct dm_write *write) {
    struct string_take *take = context;

    (void)write;
    if (old != NULL && old->type != DM_TYPE_STRING) {
        take->result = STRING_WRONG_TYPE;
        return DM_KEEP;
    }
    take->result = old == NULL ? STRING_SKIPPED : STRING_OK;
    return old == NULL ? DM_KEEP : DM_DELETE;
}

enum dm_action string_expire_decide(void *context, const struct dm_value *old, struct dm_write *write) {
    struct string_expire *expire = context;

    if (old != NULL && old->type != DM_TYPE_STRING) {
        expire->result = STRING_WRONG_TYPE;
        return DM_KEEP;
    }
    expire->result = old == NULL ? STRING_SKIPPED : STRING_OK;
    if (old == NULL || expire->expire_ms == old->expire_ms) {
        return DM_KEEP;
    }
    if (expire->expire_ms != DM_NO_EXPIRY && expire->expire_ms <= expire->now_ms) {
        return DM_DELETE;
    }
    expire_write_again(old, expire->expire_ms, write);
    return DM_WRITE;
}
