/* glob.c: Redis's glob patterns. Pure; any thread.
 *
 * Only the last `*` is ever gone back to, so a hostile pattern cannot make the match exponential.
 */
#include <ctype.h>

#include "glob.h"

static int fold(char c) { return tolower((unsigned char)c); }

/* Matches one character against the element of the pattern at *at (not a `*`), and moves *at behind it. */
static bool element_match(const char *pattern, size_t length, size_t *at, char character) {
    size_t i = *at;
    int c = fold(character);
    bool found = false, negated;

    if (pattern[i] != '[') {
        bool any = pattern[i] == '?';
        if (pattern[i] == '\\' && i + 1 < length) {
            i++;
        }
        *at = i + 1;
        return any || fold(pattern[i]) == c;
    }
    i++;
    negated = i < length && pattern[i] == '^';
    i += negated;
    while (i < length && pattern[i] != ']') {
        if (pattern[i] == '\\' && i + 1 < length) {
            i++;
            found |= fold(pattern[i]) == c;
        } else if (i + 2 < length && pattern[i + 1] == '-') {
            int low = fold(pattern[i]), high = fold(pattern[i + 2]);
            found |= low <= high ? c >= low && c <= high : c >= high && c <= low;
            i += 2;
        } else {
            found |= fold(pattern[i]) == c;
        }
        i++;
    }
    *at = i < length ? i + 1 : length;
    return found != negated;
}

bool glob_match(const char *pattern, size_t pattern_length, const char *text, size_t text_length) {
    size_t p = 0, t = 0;
    size_t star = 0, star_text = 0; /* behind the last `*`, and what it has not taken: where to go on */
    bool starred = false;

    while (t < text_length || p < pattern_length) {
        if (p < pattern_length && pattern[p] == '*') {
            star = ++p;
            star_text = t;
            starred = true;
            continue;
        }
        if (t < text_length && p < pattern_length && element_match(pattern, pattern_length, &p, text[t])) {
            t++;
            continue;
        }
        if (!starred || star_text >= text_length) {
            return false;
        }
        t = ++star_text;
        p = star;
    }
    return true;
}

bool glob_is_pattern(const char *pattern, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (pattern[i] == '*' || pattern[i] == '?' || pattern[i] == '[') {
            return true;
        }
    }
    return false;
}
