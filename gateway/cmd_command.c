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

static void reply_keys(struct call *call, bool with_flags) {
    const struct command *command = command_with_keys(call);
    const struct resp_arg *argv = call->argv + 2;
    size_t argc = call->argc - 2, first = 0, step = 1;

    if (command == NULL) {
        return;
    }
    size_t count = command_keys(command, argc, &first, &step);

    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++) {
        const struct resp_arg *key = &argv[first + i * step];

        if (with_flags) {
            reply_array(call->reply, 2);
        }
        reply_bulk(call->reply, key->bytes, key->length);
        if (with_flags) {
            command_describe_key_flags(call->reply, command_key_flags(command, argv, argc));
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
