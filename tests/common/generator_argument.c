/* generator_argument.c: arguments of commands on strings, keys and connections; see generator_argument.h. */
#include "generator_argument.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define FAR_FUTURE_S INT64_C(4102444800)

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
static const char *const set_options[] = {"NX", "XX", "GET", "KEEPTTL", "EX", "PX", "EXAT", "PXAT"};
static const char *const getex_options[] = {"PERSIST", "EX", "PX", "EXAT", "PXAT"};
static const char *const expire_options[] = {"NX", "XX", "GT", "LT"};

void argument(struct generated *out, const void *bytes, size_t length) {
    if (out->argc == GENERATOR_ARGS_MAX)
        return;
    buffer_add(&out->text, bytes, length);
    out->start[++out->argc] = out->text.length;
}

void argument_text(struct generated *out, const struct text *text) { argument(out, text->bytes, text->length); }

void argument_number(struct generated *out, int64_t value) {
    char number[32];
    int length = snprintf(number, sizeof number, "%lld", (long long)value);
    argument(out, number, (size_t)length);
}

void argument_word(struct generator *generator, struct generated *out, const char *word) {
    char copy[256];
    size_t length = strlen(word);
    unsigned style = (unsigned)prng_below(&generator->prng, 3);
    for (size_t i = 0; i < length; i++) {
        bool upper = style == 0 || (style == 1 && prng_chance(&generator->prng, 50));
        copy[i] = (char)(upper ? toupper((unsigned char)word[i]) : tolower((unsigned char)word[i]));
    }
    argument(out, copy, length);
}

void argument_integer(struct generator *generator, struct generated *out) {
    char number[32];
    if (prng_chance(&generator->prng, 45)) {
        const struct text *text = &integers[prng_below(&generator->prng, COUNT(integers))];
        argument_text(out, text);
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
        argument_text(out, text);
        return;
    }
    double value = (double)(int64_t)prng_next(prng) / (double)(UINT64_C(1) << prng_below(prng, 64));
    int n = snprintf(number, sizeof number, prng_chance(prng, 50) ? "%.*f" : "%.*g", (int)prng_below(prng, 18), value);
    argument(out, number, (size_t)n);
}

void argument_value(struct generator *generator, struct generated *out, size_t most) {
    struct prng *prng = &generator->prng;
    unsigned kind = (unsigned)prng_below(prng, 100);
    if (kind < 30) {
        argument_integer(generator, out);
    } else if (kind < 40) {
        argument_float(generator, out);
    } else if (kind < 50) {
        const struct text *text = &texts[prng_below(prng, COUNT(texts))];
        argument_text(out, text);
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

void argument_key(struct generator *generator, struct generated *out) {
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
        argument_text(out, text);
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

void argument_letter(struct generator *generator, struct generated *out, char letter, size_t most) {
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

const struct text *argument_key_text(size_t index) { return index < COUNT(texts) ? &texts[index] : NULL; }
