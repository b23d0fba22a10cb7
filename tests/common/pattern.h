/* pattern.h: values that say what they are: key, writer, sequence number, length, and bytes that follow from these, so
 * that a torn, foreign, shortened or mixed value is recognised. Pure. */
#ifndef TESTS_PATTERN_H
#define TESTS_PATTERN_H

#include <stddef.h>
#include <stdint.h>

#define PATTERN_BYTES_MIN 64

struct pattern {
    uint32_t writer;
    uint64_t sequence;
};

/* Writes exactly `length` (at least PATTERN_BYTES_MIN) bytes; the key has at most 24. */
void pattern_write(char *out, size_t length, const char *key, struct pattern pattern);
/* Writes `length` bytes, also fewer than PATTERN_BYTES_MIN, that follow from key and sequence alone. */
void pattern_fill(char *out, size_t length, const char *key, uint64_t sequence);
/* NULL when these bytes are what pattern_write made for this key; else what is wrong with them. */
const char *pattern_check(const char *bytes, size_t length, const char *key, struct pattern *out);

#endif
