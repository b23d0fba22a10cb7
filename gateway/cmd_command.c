/* cmd_command.c: the COMMAND command: lists, finds keys. The long descriptions are in cmd_command_describe.c.
 *
 * All of it is derived from the command table. In a coroutine of the connection's worker.
 */
#include <string.h>

#include "cmd_command.h"
#include "glob.h"
#include "word.h"

void cmd_command(struct call *call) {
    const struct command *const *rows;
    size_t count = command_table_rows(&rows);

    reply_array(call->reply, command_table_commands());
    for (size_t i = 0; i < count; i++) {
        if (rows[i]->parent == NULL) {
            command_describe(call->reply, rows[i]);
        }
    }
}

void cmd_command_count(struct call *call) { reply_integer(call->reply, (long long)command_table_commands()); }

void cmd_command_info(struct call *call) {
    if (call->argc == 2) {
        cmd_command(call);
        return;
    }
    reply_array(call->reply, call->argc - 2);
    for (size_t i = 2; i < call->argc; i++) {
        const struct command *command = command_full_name_lookup(call->argv[i].bytes, call->argv[i].length);

        if (command != NULL) {
            command_describe(call->reply, command);
        } else {
            reply_null(call->reply);
        }
    }
}

void cmd_command_docs(struct call *call) {
    const struct command *const *rows;
    size_t rows_count = command_table_rows(&rows), known = 0;

    if (call->argc == 2) {
        reply_map(call->reply, command_table_commands());
        for (size_t i = 0; i < rows_count; i++) {
            if (rows[i]->parent == NULL) {
                command_document(call->reply, rows[i]);
            }
        }
        return;
    }
    for (size_t i = 2; i < call->argc; i++) {
        known += command_full_name_lookup(call->argv[i].bytes, call->argv[i].length) != NULL;
    }
    reply_map(call->reply, known);
    for (size_t i = 2; i < call->argc; i++) {
        const struct command *command = command_full_name_lookup(call->argv[i].bytes, call->argv[i].length);

        if (command != NULL) {
            command_document(call->reply, command);
        }
    }
}

/* ---- COMMAND LIST ---- */

enum list_filter_kind { LIST_ALL, LIST_OF_MODULE, LIST_OF_CATEGORY, LIST_OF_PATTERN };

static bool list_filter_parse(const struct call *call, enum list_filter_kind *kind) {
    *kind = LIST_ALL;
    if (call->argc == 2) {
        return true;
    }
    if (call->argc != 5 || !word_equal(&call->argv[2], "filterby")) {
        return false;
    }
    if (word_equal(&call->argv[3], "module")) {
        *kind = LIST_OF_MODULE;
    } else if (word_equal(&call->argv[3], "aclcat")) {
        *kind = LIST_OF_CATEGORY;
    } else if (word_equal(&call->argv[3], "pattern")) {
        *kind = LIST_OF_PATTERN;
    }
    return *kind != LIST_ALL;
}

static bool list_filter_matches(enum list_filter_kind kind, const struct resp_arg *argument,
                                const struct command *command) {
    switch (kind) {
    case LIST_ALL:
        return true;
    case LIST_OF_MODULE: /* there are none */
        return false;
    case LIST_OF_CATEGORY:
        return (command->categories & command_category_parse(argument)) != 0;
    case LIST_OF_PATTERN:
        return glob_match(argument->bytes, argument->length, command->name, strlen(command->name));
    }
    return false;
}

void cmd_command_list(struct call *call) {
    const struct command *const *rows;
    size_t rows_count = command_table_rows(&rows), matching = 0;
    enum list_filter_kind kind;

    if (!list_filter_parse(call, &kind)) {
        command_error(call, ERROR_SYNTAX);
        return;
    }
    const struct resp_arg *argument = &call->argv[call->argc - 1];

    for (size_t i = 0; i < rows_count; i++) {
        matching += list_filter_matches(kind, argument, rows[i]);
    }
    reply_array(call->reply, matching);
    for (size_t i = 0; i < rows_count; i++) {
        if (list_filter_matches(kind, argument, rows[i])) {
            reply_bulk_text(call->reply, rows[i]->name);
        }
    }
}

/* ---- COMMAND GETKEYS ---- */

/* The row of the command in argv[2..], if it has keys; NULL when an error was replied. */
static const struct command *command_with_keys(struct call *call) {
    const struct resp_arg *argv = call->argv + 2;
    size_t argc = call->argc - 2;
    const struct command *command = command_lookup(argv[0].bytes, argv[0].length);

    if (command != NULL && command->subcommands != NULL && argc > 1) {
        command = command_subcommand_lookup(command, argv[1].bytes, argv[1].length);
    }
    if (command == NULL) {
        command_error(call, "ERR Invalid command specified");
    } else if (command->key_specs == NULL) {
        command_error(call, "ERR The command has no key arguments");
        command = NULL;
    } else if (!command_arity_ok(command, argc)) {
        command_error(call, "ERR Invalid number of arguments specified for command");
        command = NULL;
    }
    return command;
}

/* How many keys the specification finds, from *first on; 0 when the arguments are too few. */
static size_t spec_keys(const struct command_key_spec *spec, size_t argc, size_t *first) {
    size_t last = spec->last_key >= 0 ? (size_t)(spec->begin_index + spec->last_key) : argc - (size_t)-spec->last_key;

    *first = (size_t)spec->begin_index;
    return last >= argc || last < *first ? 0 : (last - *first) / (size_t)spec->key_step + 1;
}

/* All keys; 0 when a specification finds none: then the arguments are not right. */
static size_t count_keys(const struct command_key_spec *specs, size_t argc) {
    size_t total = 0, first;

    for (const struct command_key_spec *spec = specs; spec->flags != 0; spec++) {
        size_t count = spec_keys(spec, argc, &first);

        if (count == 0) {
            return 0;
        }
        total += count;
    }
    return total;
}

static void reply_key(struct call *call, const struct resp_arg *key, const uint32_t *flags) {
    if (flags != NULL) {
        reply_array(call->reply, 2);
    }
    reply_bulk(call->reply, key->bytes, key->length);
    if (flags != NULL) {
        command_describe_key_flags(call->reply, *flags);
    }
}

static void reply_keys(struct call *call, bool with_flags) {
    const struct command *command = command_with_keys(call);
    const struct resp_arg *argv = call->argv + 2;
    size_t argc = call->argc - 2;

    if (command == NULL) {
        return;
    }
    size_t total = count_keys(command->key_specs, argc);

    if (total == 0) {
        command_error(call, "ERR Invalid arguments specified for command");
        return;
    }
    reply_array(call->reply, total);
    for (const struct command_key_spec *spec = command->key_specs; spec->flags != 0; spec++) {
        uint32_t flags = (spec->flags & KEY_VARIABLE_FLAGS) != 0 ? command_key_flags(command, argv, argc) : spec->flags;
        size_t first, count = spec_keys(spec, argc, &first);

        for (size_t i = 0; i < count; i++) {
            reply_key(call, &argv[first + i * (size_t)spec->key_step], with_flags ? &flags : NULL);
        }
    }
}

void cmd_command_getkeys(struct call *call) { reply_keys(call, false); }

void cmd_command_getkeysandflags(struct call *call) { reply_keys(call, true); }

void cmd_command_help(struct call *call) {
    static const char *const lines[] = {
        "(no subcommand)",
        "    What is known about all commands.",
        "COUNT",
        "    How many commands there are.",
        "DOCS [<command-name> ...]",
        "    Documentation of these commands, or of all.",
        "GETKEYS <full-command>",
        "    The keys in a command with its arguments.",
        "GETKEYSANDFLAGS <full-command>",
        "    The keys in a command with its arguments, and how they are used.",
        "INFO [<command-name> ...]",
        "    What is known about these commands, or about all.",
        "LIST [FILTERBY (MODULE <module>|ACLCAT <category>|PATTERN <pattern>)]",
        "    The names of all commands and subcommands.",
    };
    command_help(call, lines, sizeof lines / sizeof lines[0]);
}
