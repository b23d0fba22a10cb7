/* number.h: numbers as Redis reads and writes them. Pure functions; any thread. */
#ifndef NUMBER_H
#define NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NUMBER_TEXT_BYTES 20    /* longest 64-bit integer: "-9223372036854775808" */
#define NUMBER_FLOAT_BYTES 5120 /* longest float text that is read or written */

/* A whole 64-bit integer in canonical form: no spaces, no '+', no leading zero, no "-0". *out is set only on true. */
bool number_parse(const char *text, size_t length, int64_t *out);

/* Writes without a terminator; returns the length. */
size_t number_format(int64_t value, char text[NUMBER_TEXT_BYTES]);

/* What strtold reads, whole and without leading space, but neither NaN nor out of range. Infinity is read. */
bool number_parse_float(const char *text, size_t length, long double *out);

/* Fixed notation, 17 digits after the point at most, no trailing zeros, no "-0". Returns the length, 0 when `bytes`
 * are too few. The value must be finite. */
size_t number_format_float(long double value, char *text, size_t bytes);

#endif
