/* generator.h: random Redis commands for the oracle: commands with their options, and their
 * ways of being wrong. Deterministic from the seed. Pure. */
#ifndef TESTS_GENERATOR_H
#define TESTS_GENERATOR_H

#include "pair.h"
#include "report.h"
#include "wire.h"

#define GENERATOR_KEYS 72
#define GENERATOR_ARGS_MAX 8000

struct generator {
    struct prng prng;
    const char *groups; /* only commands of these, separated by commas; NULL: of all */
    struct buffer key[GENERATOR_KEYS];
};

struct generated {
    struct buffer wire;                   /* as sent: a RESP array or an inline command */
    struct buffer text;                   /* the arguments, one after the other */
    size_t start[GENERATOR_ARGS_MAX + 1]; /* of each argument in text; one more than arguments */
    size_t argc;
    const char *name;    /* lower case; "" when it is no known command */
    enum pair_mask mask; /* how its replies compare */
};

void generator_init(struct generator *generator, uint64_t seed);
void generator_free(struct generator *generator);
void generator_next(struct generator *generator, struct generated *out);
/* The command of a row, "" for unknown commands, and its group; NULL behind the last row. */
const char *generator_name(size_t index, const char **group);
void generated_free(struct generated *generated);

#endif
