/* generator.c: see generator.h.
 *
 * A command is a row: its name, its group and a text with one letter for each argument:
 *   k key   v value   n integer   f float   d database   e E relative seconds, milliseconds
 *   a A absolute seconds, milliseconds   o O x options of SET, GETEX, EXPIRE   + the rest, once or more
 * and those of generator_group.c.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "generator_argument.h"

struct shape {
    const char *name, *group, *arguments;
    unsigned weight;
    enum pair_mask mask;
};

static const struct shape shapes[] = {
    {"get", "string", "k", 60, PAIR_EXACT},
    {"set", "string", "kv", 60, PAIR_EXACT},
    {"set", "string", "kvo", 90, PAIR_EXACT},
    {"setnx", "string", "kv", 20, PAIR_EXACT},
    {"setex", "string", "kev", 15, PAIR_EXACT},
    {"psetex", "string", "kEv", 15, PAIR_EXACT},
    {"getset", "string", "kv", 20, PAIR_EXACT},
    {"getdel", "string", "k", 20, PAIR_EXACT},
    {"getex", "string", "kO", 30, PAIR_EXACT},
    {"mget", "string", "+k", 25, PAIR_EXACT},
    {"mset", "string", "+kv", 25, PAIR_EXACT},
    {"strlen", "string", "k", 20, PAIR_EXACT},
    {"append", "string", "kv", 30, PAIR_EXACT},
    {"incr", "string", "k", 25, PAIR_EXACT},
    {"decr", "string", "k", 25, PAIR_EXACT},
    {"incrby", "string", "kn", 30, PAIR_EXACT},
    {"decrby", "string", "kn", 30, PAIR_EXACT},
    {"incrbyfloat", "string", "kf", 40, PAIR_EXACT},
    {"del", "key", "+k", 25, PAIR_EXACT},
    {"unlink", "key", "+k", 15, PAIR_EXACT},
    {"exists", "key", "+k", 20, PAIR_EXACT},
    {"touch", "key", "+k", 10, PAIR_EXACT},
    {"type", "key", "k", 10, PAIR_EXACT},
    {"expire", "key", "kex", 30, PAIR_EXACT},
    {"pexpire", "key", "kEx", 30, PAIR_EXACT},
    {"expireat", "key", "kax", 30, PAIR_EXACT},
    {"pexpireat", "key", "kAx", 30, PAIR_EXACT},
    {"ttl", "key", "k", 20, PAIR_SECONDS},
    {"pttl", "key", "k", 20, PAIR_MILLISECONDS},
    {"expiretime", "key", "k", 20, PAIR_SECONDS},
    {"pexpiretime", "key", "k", 20, PAIR_MILLISECONDS},
    {"persist", "key", "k", 20, PAIR_EXACT},
    {"ping", "connection", "", 5, PAIR_EXACT},
    {"ping", "connection", "v", 5, PAIR_EXACT},
    {"echo", "connection", "v", 5, PAIR_EXACT},
    {"select", "connection", "d", 12, PAIR_EXACT},
    {"time", "connection", "", 2, PAIR_DIGITS},
    {"reset", "connection", "", 1, PAIR_EXACT},
    {"getrange", "range", "kii", 30, PAIR_EXACT},
    {"substr", "range", "kii", 10, PAIR_EXACT},
    {"setrange", "range", "kIv", 25, PAIR_EXACT},
    {"lcs", "range", "jjl", 8, PAIR_EXACT},
    {"set", "range", "jw", 8, PAIR_EXACT},
    {"setbit", "bitmap", "kbB", 50, PAIR_EXACT},
    {"getbit", "bitmap", "kb", 30, PAIR_EXACT},
    {"bitcount", "bitmap", "kc", 40, PAIR_EXACT},
    {"bitpos", "bitmap", "kBp", 50, PAIR_EXACT},
    {"bitop", "bitmap", "tkK", 30, PAIR_EXACT},
    {"bitfield", "bitmap", "ky", 50, PAIR_EXACT},
    {"bitfield_ro", "bitmap", "kY", 20, PAIR_EXACT},
    {"pfadd", "hyperloglog", "Hh", 80, PAIR_EXACT},
    {"pfcount", "hyperloglog", "H", 25, PAIR_EXACT},
    {"pfcount", "hyperloglog", "HG", 15, PAIR_EXACT},
    {"pfmerge", "hyperloglog", "HG", 20, PAIR_EXACT},
    {"pfdebug", "hyperloglog", "DH", 8, PAIR_EXACT},
    {"get", "hyperloglog", "H", 30, PAIR_EXACT},
    {"strlen", "hyperloglog", "H", 10, PAIR_EXACT},
    {"del", "hyperloglog", "H", 4, PAIR_EXACT},
    {"setrange", "hyperloglog", "HIv", 1, PAIR_EXACT},
    {"setbit", "hyperloglog", "HbB", 1, PAIR_EXACT},
    {"append", "hyperloglog", "Hv", 1, PAIR_EXACT},
    {"expire", "hyperloglog", "Hex", 3, PAIR_EXACT},
    {"pexpiretime", "hyperloglog", "H", 3, PAIR_MILLISECONDS},
    {"dump", "object", "k", 30, PAIR_EXACT},
    {"restore", "object", "kTRr", 40, PAIR_EXACT},
    {"object", "object", "Xk", 60, PAIR_EXACT},
    {"msetnx", "rename", "+kv", 25, PAIR_EXACT},
    {"rename", "rename", "kk", 25, PAIR_EXACT},
    {"renamenx", "rename", "kk", 25, PAIR_EXACT},
    {"copy", "rename", "kkq", 40, PAIR_EXACT},
    {"move", "rename", "kd", 20, PAIR_EXACT},
    {"multi", "transaction", "", 60, PAIR_EXACT},
    {"exec", "transaction", "", 60, PAIR_EXACT},
    {"discard", "transaction", "", 8, PAIR_EXACT},
    {"watch", "transaction", "k", 30, PAIR_EXACT},
    {"watch", "transaction", "+k", 10, PAIR_EXACT},
    {"unwatch", "transaction", "", 8, PAIR_EXACT},
    {"select", "transaction", "d", 10, PAIR_EXACT},
    {"ping", "transaction", "v", 5, PAIR_EXACT},
    {"reset", "transaction", "", 1, PAIR_EXACT},
    {"", "connection", "", 12, PAIR_EXACT},
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
            if (!argument_group_letter(generator, out, *letter))
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
        argument_text(out, name);
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

/* Transactions are asked for by name: not every command may be inside one, and EXEC's replies are compared exactly. */
static bool in_groups(const struct generator *generator, const char *group) {
    if (generator->groups == NULL) {
        return strcmp(group, "transaction") != 0;
    }
    const char *found = generator->groups ? strstr(generator->groups, group) : group;
    return found && (!generator->groups || strchr(",", found[strlen(group)]));
}

static const struct shape *shape_pick(struct generator *generator) {
    uint64_t total = 0;
    for (size_t i = 0; i < COUNT(shapes); i++)
        total += in_groups(generator, shapes[i].group) ? shapes[i].weight : 0;
    if (total == 0)
        report_abort("no commands in the groups %s", generator->groups);
    uint64_t pick = prng_below(&generator->prng, total);
    const struct shape *shape = shapes;
    for (;; shape++) {
        uint64_t weight = in_groups(generator, shape->group) ? shape->weight : 0;
        if (pick < weight)
            return shape;
        pick -= weight;
    }
}

void generator_next(struct generator *generator, struct generated *out) {
    const struct shape *shape = shape_pick(generator);
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
        const struct text *text = argument_key_text(i);
        if (text) {
            buffer_clear(key);
            buffer_add(key, text->bytes, text->length);
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

const char *generator_name(size_t index, const char **group) {
    if (index >= COUNT(shapes))
        return NULL;
    *group = shapes[index].group;
    return shapes[index].name;
}
