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
    COMMAND_MODULE = 1 << 3,
    COMMAND_ADMIN = 1 << 4,
    COMMAND_PUBSUB = 1 << 5,
    COMMAND_NOSCRIPT = 1 << 6,
    COMMAND_BLOCKING = 1 << 7,
    COMMAND_LOADING = 1 << 8,
    COMMAND_STALE = 1 << 9,
    COMMAND_SKIP_MONITOR = 1 << 10,
    COMMAND_SKIP_SLOWLOG = 1 << 11,
    COMMAND_ASKING = 1 << 12,
    COMMAND_FAST = 1 << 13,
    COMMAND_NO_AUTH = 1 << 14,
    COMMAND_MAY_REPLICATE = 1 << 15,
    COMMAND_NO_MANDATORY_KEYS = 1 << 16,
    COMMAND_NO_ASYNC_LOADING = 1 << 17,
    COMMAND_NO_MULTI = 1 << 18,
    COMMAND_MOVABLEKEYS = 1 << 19,
    COMMAND_ALLOW_BUSY = 1 << 20,
};
#define COMMAND_FLAG_COUNT 21

/* All of Redis's, in its order: ACL rules may name those, too, of which no command is here yet. */
enum command_category {
    CATEGORY_KEYSPACE = 1 << 0,
    CATEGORY_READ = 1 << 1,
    CATEGORY_WRITE = 1 << 2,
    CATEGORY_SET = 1 << 3,
    CATEGORY_SORTEDSET = 1 << 4,
    CATEGORY_LIST = 1 << 5,
    CATEGORY_HASH = 1 << 6,
    CATEGORY_STRING = 1 << 7,
    CATEGORY_BITMAP = 1 << 8,
    CATEGORY_HYPERLOGLOG = 1 << 9,
    CATEGORY_GEO = 1 << 10,
    CATEGORY_STREAM = 1 << 11,
    CATEGORY_PUBSUB = 1 << 12,
    CATEGORY_ADMIN = 1 << 13,
    CATEGORY_FAST = 1 << 14,
    CATEGORY_SLOW = 1 << 15,
    CATEGORY_BLOCKING = 1 << 16,
    CATEGORY_DANGEROUS = 1 << 17,
    CATEGORY_CONNECTION = 1 << 18,
    CATEGORY_TRANSACTION = 1 << 19,
    CATEGORY_SCRIPTING = 1 << 20,
};
#define COMMAND_CATEGORY_COUNT 21

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
    KEY_NOT_KEY = 1 << 8,         /* a name that is hashed like a key */
    KEY_INCOMPLETE = 1 << 9,      /* not all keys are found this way */
    KEY_VARIABLE_FLAGS = 1 << 10, /* depends on options: see command_key_flags */
};
#define COMMAND_KEY_FLAG_COUNT 11

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
    ARGUMENT_MULTIPLE_TOKEN = 1 << 2,
};
#define COMMAND_ARGUMENT_FLAG_COUNT 3

struct command_argument {
    const char *name; /* NULL ends the array */
    const char *token;
    const char *since, *deprecated_since;
    const struct command_argument *arguments; /* of ARGUMENT_ONEOF and ARGUMENT_BLOCK */
    enum command_argument_type type;
    uint32_t flags;
    int key_spec; /* of ARGUMENT_KEY: index of its key specification */
};

struct command_history {
    const char *since; /* NULL ends the array */
    const char *change;
};

/* What ACL rules for channels look at. */
enum command_channels {
    CHANNELS_NONE,
    CHANNELS_FIRST,   /* the first argument is a channel */
    CHANNELS_ALL,     /* all arguments are */
    CHANNELS_PATTERNS /* all arguments are patterns of channels */
};

struct command {
    const char *name;         /* lower case; "client|list" for a subcommand; NULL ends the array */
    command_handler *handler; /* NULL: only its subcommands do something */
    struct command *subcommands;
    const struct command *parent; /* of a subcommand */
    uint32_t flags, categories;
    int16_t arity;      /* with the name; negative: at least so many */
    uint16_t index;     /* of worker_stats.command */
    bool constant_time; /* by its complexity; filled in like index */
    int8_t first_key, last_key, key_step;
    const struct command_key_spec *key_specs;
    const char *const *tips;
    const char *since, *group, *summary, *complexity;
    /* NULL: nothing is said of complexity */ /* complexity: NULL when Redis says nothing of it */
    const char *deprecated_since, *replaced_by;
    bool internal;                  /* for developers of the server, not for its users */
    enum command_channels channels; /* which arguments are pub/sub channels */
    const struct command_history *history;
    const struct command_argument *arguments;
};

/* One a file, each ended by an entry without a name. */
extern struct command command_group_acl[], command_group_client[], command_group_watch[], command_group_pubsub[];
extern struct command command_group_string[], command_group_string_range[];
extern struct command command_group_bitmap[], command_group_hyperloglog[];
extern struct command command_group_cluster[], command_group_module[];
extern struct command command_group_generic[], command_group_keyspace[], command_group_object[];
extern struct command command_group_transaction[];
extern struct command command_group_connection[], command_group_client[], command_group_pubsub[];
extern struct command command_group_server[], command_group_acl[], command_group_watch[], command_group_admin[];

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
