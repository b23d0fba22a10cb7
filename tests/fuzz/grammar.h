/* grammar.h: makes streams of commands out of a fuzzer's input by the gateway's own command table: names, arguments of
 * the right kinds with tokens and options, and, where the input says so, wrong ones. Pure. */
#ifndef FUZZ_GRAMMAR_H
#define FUZZ_GRAMMAR_H

#include <stdbool.h>

#include "fuzz.h"
#include "wire.h"

#define GRAMMAR_COMMANDS_MAX 48
#define GRAMMAR_KEYS "{k}0 {k}1 {k}2 {k}3 k4 k5 k6 k7" /* all keys that it makes, as words */

struct grammar_stream {
    uint32_t commands;
    bool countable; /* each of them has exactly one reply */
};

/* Appends commands until the input is used up. */
struct grammar_stream grammar_make(struct fuzz_input *input, struct buffer *out);

#endif
