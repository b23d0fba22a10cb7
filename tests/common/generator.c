/* generator.c: see generator.h.
 *
 * A command is a row: its name and a text with one letter for each argument:
 *   k key   v value   n integer   f float   d database   e E relative seconds, milliseconds
 *   a A absolute seconds, milliseconds   o O x options of SET, GETEX, EXPIRE   + the rest, once or more
 */
#include "generator.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_BYTES_MAX 65536
#define FAR_FUTURE_S INT64_C(4102444800)
#define COUNT(list) (sizeof(list) / sizeof *(list))

struct shape {
    const char *name, *arguments;
    unsigned weight;
    enum pair_mask mask;
};

static const struct shape shapes[] = {
    {"get", "k", 60, PAIR_EXACT},
    {"set", "kv", 60, PAIR_EXACT},
    {"set", "kvo", 90, PAIR_EXACT},
    {"setnx", "kv", 20, PAIR_EXACT},
    {"setex", "kev", 15, PAIR_EXACT},
    {"psetex", "kEv", 15, PAIR_EXACT},
    {"getset", "kv", 20, PAIR_EXACT},
    {"getdel", "k", 20, PAIR_EXACT},
    {"getex", "kO", 30, PAIR_EXACT},
    {"mget", "+k", 25, PAIR_EXACT},
    {"mset", "+kv", 25, PAIR_EXACT},
    {"strlen", "k", 20, PAIR_EXACT},
    {"append", "kv", 30, PAIR_EXACT},
    {"incr", "k", 25, PAIR_EXACT},
    {"decr", "k", 25, PAIR_EXACT},
    {"incrby", "kn", 30, PAIR_EXACT},
    {"decrby", "kn", 30, PAIR_EXACT},
    {"incrbyfloat", "kf", 40, PAIR_EXACT},
    {"del", "+k", 25, PAIR_EXACT},
    {"unlink", "+k", 15, PAIR_EXACT},
    {"exists", "+k", 20, PAIR_EXACT},
    {"touch", "+k", 10, PAIR_EXACT},
    {"type", "k", 10, PAIR_EXACT},
    {"expire", "kex", 30, PAIR_EXACT},
    {"pexpire", "kEx", 30, PAIR_EXACT},
    {"expireat", "kax", 30, PAIR_EXACT},
    {"pexpireat", "kAx", 30, PAIR_EXACT},
    {"ttl", "k", 20, PAIR_SECONDS},
    {"pttl", "k", 20, PAIR_MILLISECONDS},
    {"expiretime", "k", 20, PAIR_SECONDS},
    {"pexpiretime", "k", 20, PAIR_MILLISECONDS},
    {"persist", "k", 20, PAIR_EXACT},
    {"ping", "", 5, PAIR_EXACT},
    {"ping", "v", 5, PAIR_EXACT},
    {"echo", "v", 5, PAIR_EXACT},
    {"select", "d", 12, PAIR_EXACT},
    {"time", "", 2, PAIR_DIGITS},
    {"reset", "", 1, PAIR_EXACT},
    {"", "", 12, PAIR_EXACT},
};

/* Texts with a length, because some hold zero bytes. */
struct text {
    const char *bytes;
    size_t length;
};
#define T(literal)                                                                                                     \
    { literal, sizeof(literal) - 1 }

static const struct text integers[] = {
    T("0"),
    T("1"),
    T("-1"),
    T("+1"),
    T("01"),
    T("-01"),
    T("-0"),
    T(" 1"),
    T("1 "),
    T(""),
    T("-"),
    T("+"),
    T("1\n"),
    T("9223372036854775807"),
    T("9223372036854775808"),
    T("-9223372036854775808"),
    T("-9223372036854775809"),
    T("9223372036854775806"),
    T("-9223372036854775807"),
    T("18446744073709551615"),
    T("18446744073709551616"),
    T("1e3"),
    T("0x10"),
    T("1.0"),
    T("1.5"),
    T("abc"),
    T("1\0"),
    T("\0"),
    T("99999999999999999999999999"),
    T("2147483647"),
    T("2147483648"),
    T("-2147483648"),
    T("4294967296"),
    T("nan"),
    T("inf"),
    T("100"),
    T("-100"),
    T("10000000000000000000"),
    T("1000000000000000000"),
    T("0000000000000000000000000000001"),
    T("10"),
    T("7"),
};
static const struct text floats[] = {
    T("0"),
    T("1"),
    T("-1"),
    T("+1.5"),
    T("1.5"),
    T("-1.5"),
    T("3.0e3"),
    T("inf"),
    T("-inf"),
    T("+inf"),
    T("nan"),
    T("-nan"),
    T("1e400"),
    T("1e4932"),
    T("1e5000"),
    T("1e-400"),
    T("1e-5000"),
    T("0x1p3"),
    T("0x10"),
    T("1.7e308"),
    T(".5"),
    T("5."),
    T("."),
    T(" 1"),
    T("1 "),
    T(""),
    T("infinity"),
    T("1e17"),
    T("1e18"),
    T("1e-17"),
    T("1e-20"),
    T("0.1"),
    T("0.2"),
    T("0.3"),
    T("-0"),
    T("-0.0"),
    T("123456789.123456789"),
    T("1e"),
    T("abc"),
    T("1\0"),
    T("3.14159265358979323846264338327950288"),
    T("9223372036854775807"),
    T("-9223372036854775808"),
    T("1e30"),
    T("10000000000000000.5"),
    T("0.00000000000000001"),
    T("99999999999999999999999"),
    T("1,5"),
    T("1e+3"),
    T("1E3"),
};
static const struct text times[] = {
    /* relative: none that passes while a test runs */
    T("0"),
    T("-1"),
    T("-1000000"),
    T("abc"),
    T(""),
    T("1.5"),
    T("+100000"),
    T(" 100000"),
    T("0100000"),
    T("9223372036854775807"),
    T("9223372036854775"),
    T("9223372036854800"), /* above what seconds may be; not beside the one before: LT and GT compare two clocks */
    T("9223372036854775808"),
    T("-9223372036854775808"),
    T("-9223372036854775809"),
    T("-9223372036854775"),
    T("9223372036854775806"),
    T("100000000000"),
    T("9000000000000000000"),
    T("nan"),
    T("100000\0"),
};
static const struct text texts[] = {
    T(""),
    T("a"),
    T("\0"),
    T("\r\n"),
    T("$5\r\nhello\r\n"),
    T("*1\r\n$4\r\nPING\r\n"),
    T("\xff\xfe\x80"),
    T("hello world"),
    T("'quoted'"),
    T("\"quoted\""),
    T("\\x00"),
    T("nil"),
    T("%s%n"),
    T("\xc3\xa9t\xc3\xa9"),
    T("*"),
    T("-ERR no"),
};
/* No known name with a zero byte behind it: redis-server takes "get\0" for GET or not, by the seed of its hash. */
static const struct text unknown[] = {
    T("foo"),
    T(""),
    T("\0"),
    T("getx"),
    T("ge"),
    T("set "),
    T("a\r\nb"),
    T("hgetallx"),
    T("\xff\x01"),
    T("client|id"),
    T("%s"),
    T("ThisIsAVeryLongCommandNameThatNobodyWouldEverTypeButThatAServerMustAnswerWithAnErrorAnyway"
      "AndThatErrorIsCutAtOneHundredAndTwentyEightBytesOfTheName"),
};
static const char *const set_options[] = {"NX", "XX", "GET", "KEEPTTL", "EX", "PX", "EXAT", "PXAT"};
static const char *const getex_options[] = {"PERSIST", "EX", "PX", "EXAT", "PXAT"};
static const char *const expire_options[] = {"NX", "XX", "GT", "LT"};

/* ---- Arguments ---- */

static void argument(struct generated *out, const void *bytes, size_t length) {
    if (out->argc == GENERATOR_ARGS_MAX)
        return;
    buffer_add(&out->text, bytes, length);
    out->start[++out->argc] = out->text.length;
}

static void argument_word(struct generator *generator, struct generated *out, const char *word) {
    char copy[256];
    size_t length = strlen(word);
    unsigned style = (unsigned)prng_below(&generator->prng, 3);
    for (size_t i = 0; i < length; i++) {
        bool upper = style == 0 || (style == 1 && prng_chance(&generator->prng, 50));
        copy[i] = (char)(upper ? toupper((unsigned char)word[i]) : tolower((unsigned char)word[i]));
    }
    argument(out, copy, length);
}

static void argument_integer(struct generator *generator, struct generated *out) {
    char number[32];
    if (prng_chance(&generator->prng, 45)) {
        const struct text *text = &integers[prng_below(&generator->prng, COUNT(integers))];
        argument(out, text->bytes, text->length);
        return;
    }
    int64_t value = (int64_t)(prng_next(&generator->prng) >> prng_below(&generator->prng, 64));
    int n = snprintf(number, sizeof number, "%lld", (long long)(prng_chance(&generator->prng, 50) ? value : -value));
    argument(out, number, (size_t)n);
}

static void argument_float(struct generator *generator, struct generated *out) {
    char number[64];
    struct prng *prng = &generator->prng;
    if (prng_chance(prng, 40)) {
        const struct text *text = &floats[prng_below(prng, COUNT(floats))];
        argument(out, text->bytes, text->length);
        return;
    }
    double value = (double)(int64_t)prng_next(prng) / (double)(UINT64_C(1) << prng_below(prng, 64));
    int n = snprintf(number, sizeof number, prng_chance(prng, 50) ? "%.*f" : "%.*g", (int)prng_below(prng, 18), value);
    argument(out, number, (size_t)n);
}

static void argument_value(struct generator *generator, struct generated *out, size_t most) {
    struct prng *prng = &generator->prng;
    unsigned kind = (unsigned)prng_below(prng, 100);
    if (kind < 30) {
        argument_integer(generator, out);
    } else if (kind < 40) {
        argument_float(generator, out);
    } else if (kind < 50) {
        const struct text *text = &texts[prng_below(prng, COUNT(texts))];
        argument(out, text->bytes, text->length);
    } else {
        static const size_t sizes[] = {8, 32, 64, 512, 4096, VALUE_BYTES_MAX};
        size_t length = prng_below(prng, sizes[prng_below(prng, kind < 85 ? 3 : COUNT(sizes))] + 1);
        if (length > most)
            length = most;
        static unsigned char bytes[VALUE_BYTES_MAX];
        uint64_t pattern = prng_next(prng);
        for (size_t i = 0; i < length; i++)
            bytes[i] = (unsigned char)((pattern >> (i % 8 * 8)) + i);
        argument(out, bytes, length);
    }
}

static void argument_key(struct generator *generator, struct generated *out) {
    struct prng *prng = &generator->prng;
    /* Half of them among a few keys, so that commands meet. */
    const struct buffer *key = &generator->key[prng_below(prng, prng_chance(prng, 50) ? 8 : GENERATOR_KEYS)];
    argument(out, key->bytes, key->length);
}

static void argument_time(struct generator *generator, struct generated *out, char kind) {
    struct prng *prng = &generator->prng;
    int64_t value = 1000 + (int64_t)prng_below(prng, 10000000);
    bool absolute = kind == 'a' || kind == 'A';
    char number[32];
    if (prng_chance(prng, 30)) {
        const struct text *text = &times[prng_below(prng, COUNT(times))];
        argument(out, text->bytes, text->length);
        return;
    }
    if (absolute)
        value += prng_chance(prng, 80) ? FAR_FUTURE_S : 0;
    if (kind == 'E' || kind == 'A')
        value = value * 1000 + (int64_t)prng_below(prng, 1000);
    int n = snprintf(number, sizeof number, "%lld", (long long)value);
    argument(out, number, (size_t)n);
}

static void option(struct generator *generator, struct generated *out, const char *word) {
    argument_word(generator, out, word);
    char kind = 0;
    if (strcmp(word, "EX") == 0)
        kind = 'e';
    else if (strcmp(word, "PX") == 0)
        kind = 'E';
    else if (strcmp(word, "EXAT") == 0)
        kind = 'a';
    else if (strcmp(word, "PXAT") == 0)
        kind = 'A';
    if (kind && !prng_chance(&generator->prng, 4))
        argument_time(generator, out, kind);
}

static void options(struct generator *generator, struct generated *out, const char *const *words, size_t count) {
    struct prng *prng = &generator->prng;
    unsigned wanted = (unsigned)prng_below(prng, 100);
    wanted = wanted < 25 ? 0 : wanted < 75 ? 1 : wanted < 93 ? 2 : 4;
    for (unsigned i = 0; i < wanted; i++)
        option(generator, out, words[prng_below(prng, count)]);
    if (prng_chance(prng, 2))
        argument_word(generator, out, "foo");
}

static void argument_letter(struct generator *generator, struct generated *out, char letter, size_t most) {
    char number[16];
    switch (letter) {
    case 'k':
        argument_key(generator, out);
        return;
    case 'v':
        argument_value(generator, out, most);
        return;
    case 'n':
        argument_integer(generator, out);
        return;
    case 'f':
        argument_float(generator, out);
        return;
    case 'd':
        if (prng_chance(&generator->prng, 15)) {
            argument_integer(generator, out);
            return;
        }
        snprintf(number, sizeof number, "%d", (int)prng_below(&generator->prng, 18));
        argument(out, number, strlen(number));
        return;
    case 'o':
        options(generator, out, set_options, COUNT(set_options));
        return;
    case 'O':
        options(generator, out, getex_options, COUNT(getex_options));
        return;
    case 'x':
        options(generator, out, expire_options, COUNT(expire_options));
        return;
    default:
        argument_time(generator, out, letter);
    }
}

/* ---- Commands ---- */

static void arguments(struct generator *generator, struct generated *out, const char *letters) {
    struct prng *prng = &generator->prng;
    bool many = *letters == '+';
    size_t times_over = 1, most = VALUE_BYTES_MAX;
    if (many) {
        letters++;
        times_over = 1 + prng_below(prng, 6);
        if (prng_below(prng, 300) == 0)
            times_over = 100 + prng_below(prng, 3000);
        if (times_over > 10)
            most = 32;
    }
    for (size_t i = 0; i < times_over; i++) {
        for (const char *letter = letters; *letter; letter++)
            argument_letter(generator, out, *letter, most);
    }
}

static void command_unknown(struct generator *generator, struct generated *out) {
    static const char *const groups[] = {"client", "config", "command"};
    struct prng *prng = &generator->prng;
    if (prng_chance(prng, 40)) {
        size_t group = prng_below(prng, COUNT(groups));
        argument_word(generator, out, groups[group]);
        bool bare = strcmp(groups[group], "command") != 0 && prng_chance(prng, 20); /* COMMAND alone lists all */
        if (!bare)
            argument_word(generator, out, prng_chance(prng, 50) ? "nosuch" : "i\r\nd");
    } else {
        const struct text *name = &unknown[prng_below(prng, COUNT(unknown))];
        argument(out, name->bytes, name->length);
    }
    for (uint64_t n = prng_below(prng, 6); n > 0; n--)
        argument_value(generator, out, 300);
}

/* Takes the last argument off, or adds some. */
static void spoil(struct generator *generator, struct generated *out) {
    if (out->argc > 1 && prng_chance(&generator->prng, 60)) {
        out->argc--;
        out->text.length = out->start[out->argc];
        return;
    }
    for (uint64_t n = 1 + prng_below(&generator->prng, 3); n > 0; n--)
        argument_value(generator, out, 64);
}

static void write_inline(struct generator *generator, struct generated *out) {
    for (size_t i = 0; i < out->argc; i++) {
        const char *bytes = out->text.bytes + out->start[i];
        size_t length = out->start[i + 1] - out->start[i];
        bool plain = length > 0;
        for (size_t b = 0; b < length; b++)
            plain &= isalnum((unsigned char)bytes[b]) != 0;
        if (i > 0)
            buffer_addf(&out->wire, "%*s", 1 + (int)prng_below(&generator->prng, 2), "");
        if (plain && prng_chance(&generator->prng, 80)) {
            buffer_add(&out->wire, bytes, length);
            continue;
        }
        buffer_add(&out->wire, "\"", 1);
        for (size_t b = 0; b < length; b++) {
            if (isalnum((unsigned char)bytes[b]))
                buffer_add(&out->wire, &bytes[b], 1);
            else
                buffer_addf(&out->wire, "\\x%02x", (unsigned char)bytes[b]);
        }
        buffer_add(&out->wire, "\"", 1);
    }
    buffer_addf(&out->wire, "%s", prng_chance(&generator->prng, 80) ? "\r\n" : "\n");
}

static void write_wire(struct generator *generator, struct generated *out) {
    buffer_clear(&out->wire);
    if (out->text.length < 1000 && out->argc < 20 && out->start[1] > 0 && prng_chance(&generator->prng, 4)) {
        write_inline(generator, out);
        return;
    }
    buffer_addf(&out->wire, "*%zu\r\n", out->argc);
    for (size_t i = 0; i < out->argc; i++) {
        buffer_add_arg(&out->wire, out->text.bytes + out->start[i], out->start[i + 1] - out->start[i]);
    }
}

void generator_next(struct generator *generator, struct generated *out) {
    static unsigned total;
    if (total == 0) {
        for (size_t i = 0; i < COUNT(shapes); i++)
            total += shapes[i].weight;
    }
    uint64_t pick = prng_below(&generator->prng, total);
    const struct shape *shape = shapes;
    for (; pick >= shape->weight; shape++)
        pick -= shape->weight;
    buffer_clear(&out->text);
    buffer_add(&out->text, "", 0);
    out->argc = 0;
    out->start[0] = 0;
    out->name = shape->name;
    out->mask = shape->mask;
    if (*shape->name) {
        argument_word(generator, out, shape->name);
        arguments(generator, out, shape->arguments);
        if (prng_chance(&generator->prng, 2))
            spoil(generator, out);
    } else {
        command_unknown(generator, out);
    }
    write_wire(generator, out);
}

void generator_init(struct generator *generator, uint64_t seed) {
    generator->prng.state = seed;
    for (size_t i = 0; i < GENERATOR_KEYS; i++) {
        struct buffer *key = &generator->key[i];
        *key = (struct buffer){0};
        buffer_addf(key, "key:%zu", i);
        if (i < COUNT(texts)) {
            buffer_clear(key);
            buffer_add(key, texts[i].bytes, texts[i].length);
        } else if (i % 16 == 0) {
            for (size_t n = 0; n < i * 40; n++)
                buffer_add(key, "\x01\xff long", 7);
        }
    }
}

void generator_free(struct generator *generator) {
    for (size_t i = 0; i < GENERATOR_KEYS; i++)
        buffer_free(&generator->key[i]);
}

void generated_free(struct generated *generated) {
    buffer_free(&generated->wire);
    buffer_free(&generated->text);
}
