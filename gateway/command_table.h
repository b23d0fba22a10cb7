/* command_table.h: what a row of the command table says, and how to go through all rows.
 *
 * The rows themselves are in command_table_<group>.c. Arrays inside a row end with an entry of zeros. Everything but
 * `index` and `parent` is constant; those two are filled in before main() runs. Any thread.
 */
#ifndef COMMAND_TABLE_H
#define COMMAND_TABLE_H

#include <stdint.h>

#include "command.h"

/* In the order in which COMMAND INFO shows them. */
enum command_flag {
    COMMAND_WRITE = 1 << 0,
    COMMAND_READONLY = 1 << 1,
    COMMAND_DENYOOM = 1 << 2,
    COMMAND_ADMIN = 1 << 3,
    COMMAND_NOSCRIPT = 1 << 4,
    COMMAND_LOADING = 1 << 5,
    COMMAND_STALE = 1 << 6,
    COMMAND_FAST = 1 << 7,
    COMMAND_NO_AUTH = 1 << 8,
    COMMAND_ALLOW_BUSY = 1 << 9,
};
#define COMMAND_FLAG_COUNT 10

enum command_category {
    CATEGORY_KEYSPACE = 1 << 0,
    CATEGORY_READ = 1 << 1,
    CATEGORY_WRITE = 1 << 2,
    CATEGORY_STRING = 1 << 3,
    CATEGORY_ADMIN = 1 << 4,
    CATEGORY_FAST = 1 << 5,
    CATEGORY_SLOW = 1 << 6,
    CATEGORY_DANGEROUS = 1 << 7,
    CATEGORY_CONNECTION = 1 << 8,
};
#define COMMAND_CATEGORY_COUNT 9

/* How a command uses its keys. */
enum command_key_flag {
    KEY_RO = 1 << 0, /* reads */
    KEY_RW = 1 << 1, /* changes what is there */
    KEY_OW = 1 << 2, /* overwrites */
    KEY_RM = 1 << 3, /* removes */
    KEY_ACCESS = 1 << 4,
    KEY_UPDATE = 1 << 5,
    KEY_INSERT = 1 << 6,
    KEY_DELETE = 1 << 7,
    KEY_VARIABLE_FLAGS = 1 << 8, /* depends on options: see command_key_flags */
};
#define COMMAND_KEY_FLAG_COUNT 9

struct command_key_spec {
    uint32_t flags; /* of enum command_key_flag; 0 ends the array */
    const char *notes;
    int begin_index;
    int last_key; /* relative to begin_index; negative: counted from the last argument */
    int key_step;
};

enum command_argument_type {
    ARGUMENT_STRING,
    ARGUMENT_INTEGER,
    ARGUMENT_DOUBLE,
    ARGUMENT_KEY,
    ARGUMENT_PATTERN,
    ARGUMENT_UNIX_TIME,
    ARGUMENT_PURE_TOKEN,
    ARGUMENT_ONEOF,
    ARGUMENT_BLOCK,
};

enum command_argument_flag {
    ARGUMENT_OPTIONAL = 1 << 0,
    ARGUMENT_MULTIPLE = 1 << 1,
};
#define COMMAND_ARGUMENT_FLAG_COUNT 2

struct command_argument {
    const char *name; /* NULL ends the array */
    const char *token;
    const char *since;
    const struct command_argument *arguments; /* of ARGUMENT_ONEOF and ARGUMENT_BLOCK */
    enum command_argument_type type;
    uint32_t flags;
};

struct command_history {
    const char *since; /* NULL ends the array */
    const char *change;
};

struct command {
    const char *name;         /* lower case; "client|list" for a subcommand; NULL ends the array */
    command_handler *handler; /* NULL: only its subcommands do something */
    struct command *subcommands;
    const struct command *parent; /* of a subcommand */
    uint32_t flags, categories;
    int16_t arity;  /* with the name; negative: at least so many */
    uint16_t index; /* of worker_stats.command */
    int8_t first_key, last_key, key_step;
    const struct command_key_spec *key_specs;
    const char *const *tips;
    const char *since, *group, *summary, *complexity;
    const char *deprecated_since, *replaced_by;
    const struct command_history *history;
    const struct command_argument *arguments;
};

extern struct command command_group_string[], command_group_generic[], command_group_connection[],
    command_group_server[];

/* All rows, subcommands after their command; returns how many. rows[i]->index is i. */
size_t command_table_rows(const struct command *const **rows);
/* Top-level commands only. */
size_t command_table_commands(void);
/* The subcommand of that name ("list"), case-insensitive; NULL when there is none. */
const struct command *command_subcommand_lookup(const struct command *command, const char *name, size_t length);
/* By full name ("get", "client|list"), case-insensitive; NULL when there is none. */
const struct command *command_full_name_lookup(const char *name, size_t length);

bool command_arity_ok(const struct command *command, size_t argc);

#endif
