/* word.h: compares arguments with words of the protocol (options, subcommands). Pure; any thread. */
#ifndef WORD_H
#define WORD_H

#include "resp.h"

/* Is the argument this word, in any case? `word` is lower-case letters, digits and '-'. */
static inline bool word_equal(const struct resp_arg *arg, const char *word) {
    size_t i = 0;

    for (; i < arg->length && word[i] != '\0'; i++) {
        char c = arg->bytes[i];
        if (c >= 'A' && c <= 'Z') {
            c = (char)(c + ('a' - 'A'));
        }
        if (c != word[i]) {
            return false;
        }
    }
    return i == arg->length && word[i] == '\0';
}

#endif
