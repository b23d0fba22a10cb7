/* cmd_command_describe.c: rows of the command table in the shapes of COMMAND INFO and COMMAND DOCS.
 *
 * Clients index these replies by position and type: the shapes are exactly those of Redis 7. Worker's thread.
 */
#include <string.h>

#include "cmd_command.h"
#include "word.h"

#define INFO_FIELDS 10u
#define NAMES(array) (sizeof(array) / sizeof((array)[0]))

static const char *const flag_names[] = {
    "write",         "readonly",          "denyoom",          "module",   "admin",
    "pubsub",        "noscript",          "blocking",         "loading",  "stale",
    "skip_monitor",  "skip_slowlog",      "asking",           "fast",     "no_auth",
    "may_replicate", "no_mandatory_keys", "no_async_loading", "no_multi", "movablekeys",
    "allow_busy"};
_Static_assert(NAMES(flag_names) == COMMAND_FLAG_COUNT, "one name a flag");

static const char *const category_names[] = {
    "@keyspace", "@read",   "@write",       "@set",       "@sortedset",  "@list",        "@hash",
    "@string",   "@bitmap", "@hyperloglog", "@geo",       "@stream",     "@pubsub",      "@admin",
    "@fast",     "@slow",   "@blocking",    "@dangerous", "@connection", "@transaction", "@scripting"};
_Static_assert(NAMES(category_names) == COMMAND_CATEGORY_COUNT, "one name a category");

static const char *const key_flag_names[] = {"RO",     "RW",     "OW",      "RM",         "access",        "update",
                                             "insert", "delete", "not_key", "incomplete", "variable_flags"};
_Static_assert(NAMES(key_flag_names) == COMMAND_KEY_FLAG_COUNT, "one name a flag");

static const char *const argument_flag_names[] = {"optional", "multiple", "multiple_token"};
_Static_assert(NAMES(argument_flag_names) == COMMAND_ARGUMENT_FLAG_COUNT, "one name a flag");

static const char *argument_type_name(enum command_argument_type type) {
    switch (type) {
    case ARGUMENT_STRING:
        return "string";
    case ARGUMENT_INTEGER:
        return "integer";
    case ARGUMENT_DOUBLE:
        return "double";
    case ARGUMENT_KEY:
        return "key";
    case ARGUMENT_PATTERN:
        return "pattern";
    case ARGUMENT_UNIX_TIME:
        return "unix-time";
    case ARGUMENT_PURE_TOKEN:
        return "pure-token";
    case ARGUMENT_ONEOF:
        return "oneof";
    case ARGUMENT_BLOCK:
        return "block";
    }
    return "string";
}

static void bits_describe(struct reply *reply, uint32_t bits, const char *const *names) {
    reply_set(reply, (size_t)__builtin_popcount(bits));
    for (size_t i = 0; bits >> i != 0; i++) {
        if ((bits >> i & 1) != 0) {
            reply_status(reply, names[i]);
        }
    }
}

static void field_text(struct reply *reply, const char *name, const char *text) {
    reply_bulk_text(reply, name);
    reply_bulk_text(reply, text);
}

static void field_integer(struct reply *reply, const char *name, long long value) {
    reply_bulk_text(reply, name);
    reply_integer(reply, value);
}

/* ---- COMMAND INFO ---- */

void command_describe_key_flags(struct reply *reply, uint32_t flags) { bits_describe(reply, flags, key_flag_names); }

static void key_spec_describe(struct reply *reply, const struct command_key_spec *spec) {
    reply_map(reply, spec->notes != NULL ? 4 : 3);
    if (spec->notes != NULL) {
        field_text(reply, "notes", spec->notes);
    }
    reply_bulk_text(reply, "flags");
    command_describe_key_flags(reply, spec->flags);
    reply_bulk_text(reply, "begin_search");
    reply_map(reply, 2);
    field_text(reply, "type", "index");
    reply_bulk_text(reply, "spec");
    reply_map(reply, 1);
    field_integer(reply, "index", spec->begin_index);
    reply_bulk_text(reply, "find_keys");
    reply_map(reply, 2);
    field_text(reply, "type", "range");
    reply_bulk_text(reply, "spec");
    reply_map(reply, 3);
    field_integer(reply, "lastkey", spec->last_key);
    field_integer(reply, "keystep", spec->key_step);
    field_integer(reply, "limit", 0);
}

static void key_specs_describe(struct reply *reply, const struct command_key_spec *specs) {
    size_t count = 0;

    while (specs != NULL && specs[count].flags != 0) {
        count++;
    }
    reply_set(reply, count);
    for (size_t i = 0; i < count; i++) {
        key_spec_describe(reply, &specs[i]);
    }
}

static void tips_describe(struct reply *reply, const char *const *tips) {
    size_t count = 0;

    while (tips != NULL && tips[count] != NULL) {
        count++;
    }
    reply_set(reply, count);
    for (size_t i = 0; i < count; i++) {
        reply_bulk_text(reply, tips[i]);
    }
}

static size_t subcommand_count(const struct command *command) {
    size_t count = 0;

    while (command->subcommands != NULL && command->subcommands[count].name != NULL) {
        count++;
    }
    return count;
}

/* But for the subcommands, which are rows of the same shape. */
static void row_describe(struct reply *reply, const struct command *command) {
    reply_array(reply, INFO_FIELDS);
    reply_bulk_text(reply, command->name);
    reply_integer(reply, command->arity);
    bits_describe(reply, command->flags, flag_names);
    reply_integer(reply, command->first_key);
    reply_integer(reply, command->last_key);
    reply_integer(reply, command->key_step);
    bits_describe(reply, command->categories, category_names);
    tips_describe(reply, command->tips);
    key_specs_describe(reply, command->key_specs);
}

void command_describe(struct reply *reply, const struct command *command) {
    size_t count = subcommand_count(command);

    row_describe(reply, command);
    if (count == 0) {
        reply_set(reply, 0);
        return;
    }
    reply_array(reply, count);
    for (size_t i = 0; i < count; i++) {
        row_describe(reply, &command->subcommands[i]);
        reply_set(reply, 0);
    }
}

/* ---- COMMAND DOCS ---- */

/* Arguments nest: a oneof or a block has arguments. The table's depth bounds the recursion. */
static void arguments_document(struct reply *reply, const struct command_argument *arguments) {
    size_t count = 0;

    while (arguments[count].name != NULL) {
        count++;
    }
    reply_array(reply, count);
    for (size_t i = 0; i < count; i++) {
        const struct command_argument *argument = &arguments[i];

        reply_map(reply, (size_t)2 + (argument->type == ARGUMENT_KEY) + (argument->token != NULL) +
                             (argument->since != NULL) + (argument->deprecated_since != NULL) + (argument->flags != 0) +
                             (argument->arguments != NULL));
        field_text(reply, "name", argument->name);
        field_text(reply, "type", argument_type_name(argument->type));
        if (argument->type == ARGUMENT_KEY) {
            field_integer(reply, "key_spec_index", argument->key_spec);
        }
        if (argument->token != NULL) {
            field_text(reply, "token", argument->token);
        }
        if (argument->since != NULL) {
            field_text(reply, "since", argument->since);
        }
        if (argument->deprecated_since != NULL) {
            field_text(reply, "deprecated_since", argument->deprecated_since);
        }
        if (argument->flags != 0) {
            reply_bulk_text(reply, "flags");
            bits_describe(reply, argument->flags, argument_flag_names);
        }
        if (argument->arguments != NULL) {
            reply_bulk_text(reply, "arguments");
            arguments_document(reply, argument->arguments);
        }
    }
}

static void history_document(struct reply *reply, const struct command_history *history) {
    size_t count = 0;

    while (history[count].since != NULL) {
        count++;
    }
    reply_bulk_text(reply, "history");
    reply_set(reply, count);
    for (size_t i = 0; i < count; i++) {
        reply_array(reply, 2);
        reply_bulk_text(reply, history[i].since);
        reply_bulk_text(reply, history[i].change);
    }
}

/* But for the subcommands, which are documents of the same shape. */
static void row_document(struct reply *reply, const struct command *command) {
    bool deprecated = command->deprecated_since != NULL;

    reply_bulk_text(reply, command->name);
    reply_map(reply, (size_t)3 + (command->complexity != NULL) + (deprecated || command->internal) + 2 * deprecated +
                         (command->history != NULL) + (command->arguments != NULL) + (command->subcommands != NULL));
    field_text(reply, "summary", command->summary);
    field_text(reply, "since", command->since);
    field_text(reply, "group", command->group);
    if (command->complexity != NULL) {
        if (command->complexity != NULL) {
            field_text(reply, "complexity", command->complexity);
        }
    }
    if (deprecated || command->internal) {
        reply_bulk_text(reply, "doc_flags");
        reply_set(reply, 1);
        reply_status(reply, deprecated ? "deprecated" : "syscmd");
    }
    if (deprecated) {
        field_text(reply, "deprecated_since", command->deprecated_since);
        field_text(reply, "replaced_by", command->replaced_by);
    }
    if (command->history != NULL) {
        history_document(reply, command->history);
    }
    if (command->arguments != NULL) {
        reply_bulk_text(reply, "arguments");
        arguments_document(reply, command->arguments);
    }
}

void command_document(struct reply *reply, const struct command *command) {
    size_t count = subcommand_count(command);

    row_document(reply, command);
    if (count == 0) {
        return;
    }
    reply_bulk_text(reply, "subcommands");
    reply_map(reply, count);
    for (size_t i = 0; i < count; i++) {
        row_document(reply, &command->subcommands[i]);
    }
}

/* ---- Names and flags ---- */

const char *command_category_name(size_t index) { return category_names[index] + 1; }

uint32_t command_category_parse(const struct resp_arg *name) {
    for (size_t i = 0; i < COMMAND_CATEGORY_COUNT; i++) {
        if (word_equal(name, category_names[i] + 1)) {
            return UINT32_C(1) << i;
        }
    }
    return 0;
}

/* SET: with GET it reads, without it overwrites. */
static uint32_t set_key_flags(const struct resp_arg *argv, size_t argc) {
    for (size_t i = 3; i < argc; i++) {
        if (word_equal(&argv[i], "get")) {
            return KEY_RW | KEY_ACCESS | KEY_UPDATE;
        }
    }
    return KEY_OW | KEY_UPDATE;
}

/* BITFIELD: GET alone reads only; whatever is no operation counts as a write. */
static uint32_t bitfield_key_flags(const struct resp_arg *argv, size_t argc) {
    for (size_t i = 2; i < argc;) {
        size_t behind = argc - i - 1;

        if (word_equal(&argv[i], "get") && behind >= 2) {
            i += 3;
        } else if (word_equal(&argv[i], "overflow") && behind >= 1) {
            i += 2;
        } else {
            return KEY_RW | KEY_ACCESS | KEY_UPDATE;
        }
    }
    return KEY_RO | KEY_ACCESS;
}

uint32_t command_key_flags(const struct command *command, const struct resp_arg *argv, size_t argc) {
    uint32_t flags = command->key_specs[0].flags;

    if ((flags & KEY_VARIABLE_FLAGS) == 0) {
        return flags;
    }
    return strcmp(command->name, "bitfield") == 0 ? bitfield_key_flags(argv, argc) : set_key_flags(argv, argc);
}
