/* glob.h: Redis's glob patterns: `*`, `?`, `[a-z]`, `[^a]`, `\x`. Pure; any thread. */
#ifndef GLOB_H
#define GLOB_H

#include <stdbool.h>
#include <stddef.h>

/* Does `text` match `pattern`? ASCII case is ignored. Time is bounded by pattern_length * text_length. */
bool glob_match(const char *pattern, size_t pattern_length, const char *text, size_t text_length);

/* The same where case counts: keys and channels. */
bool glob_match_case(const char *pattern, size_t pattern_length, const char *text, size_t text_length);

/* Has the pattern any special character? */
bool glob_is_pattern(const char *pattern, size_t length);

#endif
