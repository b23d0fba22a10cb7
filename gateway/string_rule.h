/* string_rule.h: what the string commands decide, apart from I/O: options, and updates of one value.
 *
 * Pure functions without clock or pool; the *_decide functions have the shape of dm_update_fn and may be called several
 * times for one command, so they set every result afresh. Called by cmd_string*.c in coroutines, and by unit tests.
 */
#ifndef STRING_RULE_H
#define STRING_RULE_H

#include "dm.h"
#include "expire.h"
#include "number.h"
#include "resp.h"

/* ---- Options of SET and GETEX ---- */

enum set_flag {
    SET_NX = 1 << 0,
    SET_XX = 1 << 1,
    SET_GET = 1 << 2,
    SET_KEEPTTL = 1 << 3,
    SET_PERSIST = 1 << 4, /* GETEX only */
    SET_EX = 1 << 5,
    SET_PX = 1 << 6,
    SET_EXAT = 1 << 7,
    SET_PXAT = 1 << 8,
};
#define SET_TIMES (SET_EX | SET_PX | SET_EXAT | SET_PXAT)

struct set_options {
    unsigned flags;
    const struct resp_arg *expire; /* the number behind EX, PX, EXAT or PXAT; NULL without one */
};

/* args: what follows key and value (SET) or key (GETEX). `allowed`: flags of that command. False: syntax error. */
bool set_options_parse(const struct resp_arg *args, size_t count, unsigned allowed, struct set_options *options);
#define SET_OPTIONS_ALLOWED (SET_NX | SET_XX | SET_GET | SET_KEEPTTL | SET_TIMES)
#define GETEX_OPTIONS_ALLOWED (SET_PERSIST | SET_TIMES)

struct expire_unit set_options_unit(const struct set_options *options);

/* ---- Updates of one value ---- */

/* dm_value.encoding of a string: what OBJECT ENCODING is to say. Commands do not care. */
enum string_encoding {
    STRING_NATURAL = 0, /* by its content: an integer, or short, or long */
    STRING_RAW,         /* was changed in place: "raw" in any case */
    STRING_TEXT,        /* not an integer, although it may look like one: INCRBYFLOAT's results */
    STRING_COPIED,      /* as natural, but a small integer is not shared: COPY's results */
};

enum string_result {
    STRING_OK,
    STRING_SKIPPED, /* NX or XX said no, or there is no value to change */
    STRING_WRONG_TYPE,
    STRING_TOO_LONG, /* beyond proto-max-bulk-len */
    STRING_NOT_INTEGER,
    STRING_OVERFLOW,
    STRING_NOT_FLOAT,
    STRING_NOT_FINITE,
};

struct string_set { /* SET, SETNX, GETSET */
    struct dm_bytes value;
    unsigned flags; /* NX, XX, GET, KEEPTTL */
    int64_t expire_ms;
    enum string_result result;
};
enum dm_action string_set_decide(void *set, const struct dm_value *old, struct dm_write *write);

struct string_append {
    struct dm_bytes suffix;
    uint64_t bytes_max;
    uint64_t length; /* result: of the whole value */
    enum string_result result;
};
enum dm_action string_append_decide(void *append, const struct dm_value *old, struct dm_write *write);

struct string_add { /* INCR and its kin */
    int64_t by;
    int64_t value; /* result */
    enum string_result result;
    char text[NUMBER_TEXT_BYTES];
};
enum dm_action string_add_decide(void *add, const struct dm_value *old, struct dm_write *write);

struct string_add_float {
    long double by;
    size_t length; /* result: of the text */
    enum string_result result;
    char text[NUMBER_FLOAT_BYTES];
};
enum dm_action string_add_float_decide(void *add, const struct dm_value *old, struct dm_write *write);

struct string_take { /* GETDEL; its context is the result alone */
    enum string_result result;
};
enum dm_action string_take_decide(void *take, const struct dm_value *old, struct dm_write *write);

struct string_expire { /* GETEX with an option */
    int64_t expire_ms; /* DM_NO_EXPIRY: PERSIST */
    int64_t now_ms;
    enum string_result result;
};
enum dm_action string_expire_decide(void *expire, const struct dm_value *old, struct dm_write *write);

#endif
