/* generator_argument.h: what the files of the generator share: appending one argument of some kind. Private to
 * generator*.c. Pure. */
#ifndef TESTS_GENERATOR_ARGUMENT_H
#define TESTS_GENERATOR_ARGUMENT_H

#include "generator.h"

#define VALUE_BYTES_MAX 65536
#define COUNT(list) (sizeof(list) / sizeof *(list))

/* Texts with a length, because some hold zero bytes. */
struct text {
    const char *bytes;
    size_t length;
};
#define T(literal)                                                                                                     \
    { literal, sizeof(literal) - 1 }

void argument(struct generated *out, const void *bytes, size_t length);
void argument_text(struct generated *out, const struct text *text);
void argument_number(struct generated *out, int64_t value);
/* In any case. */
void argument_word(struct generator *generator, struct generated *out, const char *word);
void argument_integer(struct generator *generator, struct generated *out);
void argument_value(struct generator *generator, struct generated *out, size_t most);
void argument_key(struct generator *generator, struct generated *out);
/* One of the texts that keys are made of, by number; NULL behind the last. */
const struct text *argument_key_text(size_t index);

/* Letters of strings, keys and connections. `most`: bytes of a value. */
void argument_letter(struct generator *generator, struct generated *out, char letter, size_t most);
/* generator_group.c: letters of all other groups; false when it is none of them. */
bool argument_group_letter(struct generator *generator, struct generated *out, char letter);

#endif
