/* grammar.c: see grammar.h. Every choice is one byte of the input, so that a small change of it is a small change of
 * the commands. Left out are commands that would only make it wait (a pause, a wrong password) or that change what
 * other inputs meet (passwords, limits), and what does the same long work each time.
 *
 * A command is chosen on a ring on which each name has some places by its hash: so inputs mean the same commands when
 * others have been added to the table. */
#include "grammar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command_table.h"
#include "rdb.h"

#define WORDS_MAX 24
#define REPEATS_MAX 3
#define RING 65536u
#define PLACES_EACH 8u
#define VALUE_BYTES_MAX 40
#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *const keys[] = {"{k}0", "{k}1", "{k}2", "{k}3", "k4", "k5", "k6", "k7"};
static const char *const numbers[] = {"0",
                                      "1",
                                      "-1",
                                      "2",
                                      "7",
                                      "8",
                                      "100",
                                      "1000",
                                      "-100",
                                      "255",
                                      "256",
                                      "70000",
                                      "2147483647",
                                      "2147483648",
                                      "4294967295",
                                      "536870912",
                                      "9223372036854775807",
                                      "-9223372036854775808",
                                      "9223372036854775808",
                                      "99999999999999999999",
                                      "1700000000000",
                                      "9999999999999",
                                      "0x10",
                                      " 1",
                                      "1.5",
                                      "-0.1e3",
                                      "inf",
                                      "nan",
                                      "1e400",
                                      "#1",
                                      "",
                                      "10"};
static const char *const values[] = {"",        "a",         "value",       "12345", "3.14",   "ohmytext", "mynewtext",
                                     "HYLL",    "HYLL\1\2x", "u8",          "i64",   "u63",    "i5",       "*",
                                     "?[a-c]*", "get",       "client|list", "SAT",   "server", "+@all",    "~*",
                                     "%R~x",    "on",        "(+get ~a)",   "KEA",   "normal"};
static const char *const settings[] = {"notify-keyspace-events",
                                       "slowlog-log-slower-than",
                                       "slowlog-max-len",
                                       "latency-monitor-threshold",
                                       "maxmemory-policy",
                                       "save",
                                       "nosuch"};
static const char *const debugs[] = {"OBJECT", "PROTOCOL", "JMAP", "QUICKLIST-PACKED-THRESHOLD", "RELOAD", "ERROR"};
/* What is not asked for at all; see above. */
static const char *const left_out[] = {"auth",           "client|pause", "acl|load",  "acl|save",
                                       "config|rewrite", "shutdown",     "pfselftest"};
/* What has no reply, or more than one. */
static const char *const uncountable[] = {"monitor", "client|reply", "client|kill", "quit", "reset"};

static bool listed(const char *name, const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, list[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The words of the command that is being made. */
struct words {
    struct buffer bytes;
    uint32_t count;
};

static void word_add(struct words *words, const void *bytes, size_t length) {
    if (words->count < WORDS_MAX) {
        buffer_add_arg(&words->bytes, bytes, length);
        words->count++;
    }
}

static void word_choose(struct words *words, struct fuzz_input *input, const char *const *list, size_t count) {
    const char *word = list[fuzz_below(input, (uint32_t)count)];
    word_add(words, word, strlen(word));
}

static void raw_add(struct words *words, struct fuzz_input *input) {
    size_t taken;
    const uint8_t *bytes = fuzz_take(input, fuzz_byte(input) % VALUE_BYTES_MAX, &taken);
    word_add(words, bytes, taken);
}

/* What DUMP might have given: the input's bytes, with the right version and checksum. */
static void payload_add(struct words *words, struct fuzz_input *input) {
    uint8_t payload[1 + VALUE_BYTES_MAX + 10] = {0};
    size_t taken;
    const uint8_t *bytes = fuzz_take(input, fuzz_byte(input) % VALUE_BYTES_MAX, &taken);

    memcpy(payload + 1, bytes, taken);
    payload[1 + taken] = RDB_VERSION;
    uint64_t checksum = rdb_checksum(payload, taken + 3);
    memcpy(payload + taken + 3, &checksum, sizeof checksum);
    word_add(words, payload, taken + 3 + sizeof checksum);
}

static void any_add(struct words *words, struct fuzz_input *input) {
    switch (fuzz_below(input, 5)) {
    case 0:
        word_choose(words, input, keys, COUNT(keys));
        break;
    case 1:
        word_choose(words, input, numbers, COUNT(numbers));
        break;
    case 2:
        word_choose(words, input, values, COUNT(values));
        break;
    case 3:
        payload_add(words, input);
        break;
    default:
        raw_add(words, input);
    }
}

static void argument_add(struct words *words, struct fuzz_input *input, const struct command_argument *argument);

static void arguments_add(struct words *words, struct fuzz_input *input, const struct command_argument *arguments) {
    for (; arguments != NULL && arguments->name != NULL; arguments++) {
        argument_add(words, input, arguments);
    }
}

static void argument_once(struct words *words, struct fuzz_input *input, const struct command_argument *argument) {
    uint32_t choices = 0;

    switch (argument->type) {
    case ARGUMENT_KEY:
        word_choose(words, input, keys, COUNT(keys));
        break;
    case ARGUMENT_INTEGER:
    case ARGUMENT_DOUBLE:
    case ARGUMENT_UNIX_TIME:
        word_choose(words, input, numbers, COUNT(numbers));
        break;
    case ARGUMENT_PURE_TOKEN:
        break;
    case ARGUMENT_ONEOF:
        while (argument->arguments[choices].name != NULL) {
            choices++;
        }
        argument_add(words, input, &argument->arguments[fuzz_below(input, choices)]);
        break;
    case ARGUMENT_BLOCK:
        arguments_add(words, input, argument->arguments);
        break;
    case ARGUMENT_STRING:
    case ARGUMENT_PATTERN:
        any_add(words, input);
        break;
    }
}

static void argument_add(struct words *words, struct fuzz_input *input, const struct command_argument *argument) {
    uint32_t repeats = 1;

    if ((argument->flags & ARGUMENT_OPTIONAL) != 0 && fuzz_below(input, 2) == 0) {
        return;
    }
    if ((argument->flags & ARGUMENT_MULTIPLE) != 0) {
        repeats += fuzz_below(input, REPEATS_MAX);
    }
    for (uint32_t i = 0; i < repeats && words->count < WORDS_MAX; i++) {
        if (argument->token != NULL && (i == 0 || (argument->flags & ARGUMENT_MULTIPLE_TOKEN) != 0)) {
            word_add(words, argument->token, strlen(argument->token));
        }
        argument_once(words, input, argument);
    }
}

static void name_add(struct words *words, const char *name) {
    const char *bar = strchr(name, '|');

    word_add(words, name, bar == NULL ? strlen(name) : (size_t)(bar - name));
    if (bar != NULL) {
        word_add(words, bar + 1, strlen(bar + 1));
    }
}

/* Commands whose arguments must not be just anything. False: this is none. */
static bool special_add(struct words *words, struct fuzz_input *input, const char *name) {
    if (strcmp(name, "hello") == 0) {
        word_add(words, fuzz_below(input, 2) == 0 ? "2" : "3", 1);
    } else if (strcmp(name, "config|set") == 0) {
        word_choose(words, input, settings, COUNT(settings));
        any_add(words, input);
    } else if (strcmp(name, "debug") == 0) {
        word_choose(words, input, debugs, COUNT(debugs));
        any_add(words, input);
    } else if (strcmp(name, "acl|setuser") == 0 || strcmp(name, "acl|deluser") == 0) {
        word_choose(words, input, keys, COUNT(keys)); /* never "default" */
        any_add(words, input);
    } else {
        return false;
    }
    return true;
}

/* Appends one command; false: this row is left out. */
static bool command_add(struct fuzz_input *input, const struct command *row, struct buffer *out) {
    struct words words = {0};
    uint8_t change = fuzz_byte(input);

    if (listed(row->name, left_out, COUNT(left_out))) {
        return false;
    }
    name_add(&words, row->name);
    if (!special_add(&words, input, row->name)) {
        arguments_add(&words, input, row->arguments);
        for (int more = change % 8 == 0 ? change / 64 : 0; more > 0; more--) {
            any_add(&words, input); /* too much, or instead of what was left out */
        }
    }
    buffer_addf(out, "*%u\r\n", words.count);
    buffer_add(out, words.bytes.bytes, words.bytes.length);
    buffer_free(&words.bytes);
    return true;
}

/* ---- Which command ---- */

struct place {
    uint32_t at;
    const struct command *row;
};

static int place_order(const void *a, const void *b) {
    const struct place *x = a, *y = b;
    return x->at != y->at ? (x->at > y->at) - (x->at < y->at) : strcmp(x->row->name, y->row->name);
}

static uint32_t place_hash(const char *name, uint32_t number) {
    uint32_t hash = 2166136261u ^ number * 0x9e3779b9u;

    for (; *name != '\0'; name++) {
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    }
    return (hash ^ hash >> 15) % RING;
}

static const struct command *row_choose(struct fuzz_input *input) {
    static struct place places[FUSEGATE_COMMANDS_MAX * PLACES_EACH];
    static size_t count;

    if (count == 0) {
        const struct command *const *rows;
        size_t row_count = command_table_rows(&rows);
        for (size_t i = 0; i < row_count * PLACES_EACH; i++) {
            const struct command *row = rows[i / PLACES_EACH];
            places[count++] = (struct place){place_hash(row->name, (uint32_t)(i % PLACES_EACH)), row};
        }
        qsort(places, count, sizeof *places, place_order);
    }
    uint32_t at = fuzz_below(input, RING);
    for (size_t i = 0; i < count; i++) {
        if (places[i].at >= at) {
            return places[i].row;
        }
    }
    return places[0].row;
}

struct grammar_stream grammar_make(struct fuzz_input *input, struct buffer *out) {
    struct grammar_stream stream = {.countable = true};

    while (input->length > 0 && stream.commands < GRAMMAR_COMMANDS_MAX) {
        const struct command *row = row_choose(input);
        if (command_add(input, row, out)) {
            stream.commands++;
            stream.countable = stream.countable && strcmp(row->group, "pubsub") != 0 &&
                               !listed(row->name, uncountable, COUNT(uncountable));
        }
    }
    return stream;
}
