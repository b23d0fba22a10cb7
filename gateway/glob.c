/* glob.c: Redis's glob patterns. Pure; any thread.
 *
 * Only the last `*` is ever gone back to, so a hostile pattern cannot make the match exponential.
 */
#include <ctype.h>

#include "glob.h"

static int fold(char c, bool exact) { return exact ? (unsigned char)c : tolower((unsigned char)c); }

/* Matches one character against the element of the pattern at *at (not a `*`), and moves *at behind it. */
static bool element_match(const char *pattern, size_t length, size_t *at, char character, bool exact) {
    size_t i = *at;
    int c = fold(character, exact);
    bool found = false, negated;

    if (pattern[i] != '[') {
        bool any = pattern[i] == '?';
        if (pattern[i] == '\\' && i + 1 < length) {
            i++;
        }
        *at = i + 1;
        return any || fold(pattern[i], exact) == c;
    }
    i++;
    negated = i < length && pattern[i] == '^';
    i += negated;
    while (i < length && pattern[i] != ']') {
        if (pattern[i] == '\\' && i + 1 < length) {
            i++;
            found |= fold(pattern[i], exact) == c;
        } else if (i + 2 < length && pattern[i + 1] == '-') {
            int low = fold(pattern[i], exact), high = fold(pattern[i + 2], exact);
            found |= low <= high ? c >= low && c <= high : c >= high && c <= low;
            i += 2;
        } else {
            found |= fold(pattern[i], exact) == c;
        }
        i++;
    }
    *at = i < length ? i + 1 : length;
    return found != negated;
}

static bool match(const char *pattern, size_t pattern_length, const char *text, size_t text_length, bool exact) {
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
        if (t < text_length && p < pattern_length && element_match(pattern, pattern_length, &p, text[t], exact)) {
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

bool glob_match(const char *pattern, size_t pattern_length, const char *text, size_t text_length) {
    return match(pattern, pattern_length, text, text_length, false);
}

bool glob_match_case(const char *pattern, size_t pattern_length, const char *text, size_t text_length) {
    return match(pattern, pattern_length, text, text_length, true);
}

bool glob_is_pattern(const char *pattern, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (pattern[i] == '*' || pattern[i] == '?' || pattern[i] == '[') {
            return true;
        }
    }
    return false;
}
