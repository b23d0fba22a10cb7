/* setting.h: reading one value of a configuration: sizes, integers, words. Strict: nothing may follow, nothing may
 * overflow. No file, no message, no state: whoever calls knows the key and the limits, and says so. Any thread. */
#ifndef SETTING_H
#define SETTING_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes: a decimal number, optionally with kb, mb, gb or tb (any case; powers of 1024). *out is set only on success. */
bool setting_size_parse(const char *text, uint64_t *out);

/* A decimal integer in [min, max], optionally signed. *out is set only on success. */
bool setting_integer_parse(const char *text, int64_t min, int64_t max, int64_t *out);

#endif
