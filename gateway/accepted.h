/* accepted.h: settings of Redis that a gateway does not have, and yet answers CONFIG GET and CONFIG SET for: clients,
 * tools and test suites read them at the start and give up when they cannot. What is set is checked as Redis does,
 * kept, and shown; nothing else follows.
 *
 * One set of values a process, under a lock. Any thread. Called by cmd_config.c. The rows are in accepted_table.c.
 */
#ifndef ACCEPTED_H
#define ACCEPTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACCEPTED_TEXT_BYTES 256u /* longest value, with its end */

enum accepted_kind {
    ACCEPTED_FIXED, /* cannot be set */
    ACCEPTED_TEXT,
    ACCEPTED_EMPTY, /* a text that only may be empty: anything else would be a promise */
    ACCEPTED_INTEGER,
    ACCEPTED_MEMORY, /* an integer, with kb, mb, gb */
    ACCEPTED_ENUM,
    ACCEPTED_ALIAS, /* another name of the one in `value` */
};

struct accepted_row {
    const char *name; /* NULL ends the table */
    enum accepted_kind kind;
    const char *value; /* before it is set; NULL: somebody else knows it */
    int64_t minimum, maximum;
    const char *choices; /* ACCEPTED_ENUM: as error texts show them; NULL: yes and no */
};

extern const struct accepted_row accepted_rows[];

enum accepted_result { ACCEPTED_SET, ACCEPTED_UNKNOWN /* no such setting */, ACCEPTED_REFUSED /* error says why */ };

/* By name, in any case. */
enum accepted_result accepted_set(const char *name, const char *text, char *error, size_t error_bytes);

/* False: there is no such setting, or its value is not known here. */
bool accepted_get(const char *name, char *out, size_t out_bytes);

#endif
