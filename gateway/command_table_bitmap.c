/* command_table_bitmap.c: rows of the command table for bitmaps: facts only, no code.
 *
 * The facts are those that Redis 7.0.15 tells about its commands, so that COMMAND INFO and COMMAND DOCS say the same.
 * The order of flags, categories and arguments is that in which they are shown. Read by command_table.c.
 */
#include "cmd.h"
#include "command_table.h"

static const struct command_key_spec setbit_keys[] = {
    {.flags = KEY_RW | KEY_ACCESS | KEY_UPDATE, .begin_index = 1, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const struct command_argument setbit_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "offset", .type = ARGUMENT_INTEGER},
    {.name = "value", .type = ARGUMENT_INTEGER},
    {.name = NULL},
};

static const struct command_key_spec getbit_keys[] = {
    {.flags = KEY_RO | KEY_ACCESS, .begin_index = 1, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const struct command_argument getbit_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "offset", .type = ARGUMENT_INTEGER},
    {.name = NULL},
};

static const struct command_key_spec bitfield_keys[] = {
    {.flags = KEY_RW | KEY_ACCESS | KEY_UPDATE | KEY_VARIABLE_FLAGS,
     .notes = "This command allows both access and modification of the key",
     .begin_index = 1,
     .last_key = 0,
     .key_step = 1},
    {.flags = 0},
};

static const struct command_argument bitfield_arguments_get[] = {
    {.name = "encoding", .type = ARGUMENT_STRING},
    {.name = "offset", .type = ARGUMENT_INTEGER},
    {.name = NULL},
};

static const struct command_argument bitfield_arguments_overflow[] = {
    {.name = "wrap", .type = ARGUMENT_PURE_TOKEN, .token = "WRAP"},
    {.name = "sat", .type = ARGUMENT_PURE_TOKEN, .token = "SAT"},
    {.name = "fail", .type = ARGUMENT_PURE_TOKEN, .token = "FAIL"},
    {.name = NULL},
};

static const struct command_argument bitfield_arguments_set[] = {
    {.name = "encoding", .type = ARGUMENT_STRING},
    {.name = "offset", .type = ARGUMENT_INTEGER},
    {.name = "value", .type = ARGUMENT_INTEGER},
    {.name = NULL},
};

static const struct command_argument bitfield_arguments_incrby[] = {
    {.name = "encoding", .type = ARGUMENT_STRING},
    {.name = "offset", .type = ARGUMENT_INTEGER},
    {.name = "increment", .type = ARGUMENT_INTEGER},
    {.name = NULL},
};

static const struct command_argument bitfield_arguments_write[] = {
    {.name = "encoding_offset_value", .type = ARGUMENT_BLOCK, .token = "SET", .arguments = bitfield_arguments_set},
    {.name = "encoding_offset_increment",
     .type = ARGUMENT_BLOCK,
     .token = "INCRBY",
     .arguments = bitfield_arguments_incrby},
    {.name = NULL},
};

static const struct command_argument bitfield_arguments_operation_write[] = {
    {.name = "wrap_sat_fail",
     .type = ARGUMENT_ONEOF,
     .token = "OVERFLOW",
     .flags = ARGUMENT_OPTIONAL,
     .arguments = bitfield_arguments_overflow},
    {.name = "write_operation", .type = ARGUMENT_ONEOF, .arguments = bitfield_arguments_write},
    {.name = NULL},
};

static const struct command_argument bitfield_arguments_operation[] = {
    {.name = "encoding_offset", .type = ARGUMENT_BLOCK, .token = "GET", .arguments = bitfield_arguments_get},
    {.name = "write", .type = ARGUMENT_BLOCK, .arguments = bitfield_arguments_operation_write},
    {.name = NULL},
};

static const struct command_argument bitfield_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "operation",
     .type = ARGUMENT_ONEOF,
     .flags = ARGUMENT_OPTIONAL | ARGUMENT_MULTIPLE,
     .arguments = bitfield_arguments_operation},
    {.name = NULL},
};

static const struct command_argument bitfield_ro_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "encoding_offset",
     .type = ARGUMENT_BLOCK,
     .token = "GET",
     .flags = ARGUMENT_OPTIONAL | ARGUMENT_MULTIPLE | ARGUMENT_MULTIPLE_TOKEN,
     .arguments = bitfield_arguments_get},
    {.name = NULL},
};

static const struct command_key_spec bitop_keys[] = {
    {.flags = KEY_OW | KEY_UPDATE, .begin_index = 2, .last_key = 0, .key_step = 1},
    {.flags = KEY_RO | KEY_ACCESS, .begin_index = 3, .last_key = -1, .key_step = 1},
    {.flags = 0},
};

static const struct command_argument bitop_arguments[] = {
    {.name = "operation", .type = ARGUMENT_STRING},
    {.name = "destkey", .type = ARGUMENT_KEY},
    {.name = "key", .type = ARGUMENT_KEY, .key_spec = 1, .flags = ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static const struct command_history bitcount_history[] = {
    {"7.0.0", "Added the `BYTE|BIT` option."},
    {NULL, NULL},
};

static const struct command_argument bitcount_arguments_index_index_unit[] = {
    {.name = "byte", .type = ARGUMENT_PURE_TOKEN, .token = "BYTE"},
    {.name = "bit", .type = ARGUMENT_PURE_TOKEN, .token = "BIT"},
    {.name = NULL},
};

static const struct command_argument bitcount_arguments_index[] = {
    {.name = "start", .type = ARGUMENT_INTEGER},
    {.name = "end", .type = ARGUMENT_INTEGER},
    {.name = "index_unit",
     .type = ARGUMENT_ONEOF,
     .since = "7.0.0",
     .flags = ARGUMENT_OPTIONAL,
     .arguments = bitcount_arguments_index_index_unit},
    {.name = NULL},
};

static const struct command_argument bitcount_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "index", .type = ARGUMENT_BLOCK, .flags = ARGUMENT_OPTIONAL, .arguments = bitcount_arguments_index},
    {.name = NULL},
};

static const struct command_argument bitpos_arguments_index_end_index[] = {
    {.name = "end", .type = ARGUMENT_INTEGER},
    {.name = "index_unit",
     .type = ARGUMENT_ONEOF,
     .since = "7.0.0",
     .flags = ARGUMENT_OPTIONAL,
     .arguments = bitcount_arguments_index_index_unit},
    {.name = NULL},
};

static const struct command_argument bitpos_arguments_index[] = {
    {.name = "start", .type = ARGUMENT_INTEGER},
    {.name = "end_index",
     .type = ARGUMENT_BLOCK,
     .flags = ARGUMENT_OPTIONAL,
     .arguments = bitpos_arguments_index_end_index},
    {.name = NULL},
};

static const struct command_argument bitpos_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "bit", .type = ARGUMENT_INTEGER},
    {.name = "index", .type = ARGUMENT_BLOCK, .flags = ARGUMENT_OPTIONAL, .arguments = bitpos_arguments_index},
    {.name = NULL},
};

struct command command_group_bitmap[] = {
    {
        .name = "setbit",
        .handler = cmd_setbit,
        .arity = 4,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM,
        .categories = CATEGORY_WRITE | CATEGORY_BITMAP | CATEGORY_SLOW,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = setbit_keys,
        .since = "2.2.0",
        .group = "bitmap",
        .summary = "Sets or clears the bit at offset in the string value stored at key",
        .complexity = "O(1)",
        .arguments = setbit_arguments,
    },
    {
        .name = "getbit",
        .handler = cmd_getbit,
        .arity = 3,
        .flags = COMMAND_READONLY | COMMAND_FAST,
        .categories = CATEGORY_READ | CATEGORY_BITMAP | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = getbit_keys,
        .since = "2.2.0",
        .group = "bitmap",
        .summary = "Returns the bit value at offset in the string value stored at key",
        .complexity = "O(1)",
        .arguments = getbit_arguments,
    },
    {
        .name = "bitfield",
        .handler = cmd_bitfield,
        .arity = -2,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM,
        .categories = CATEGORY_WRITE | CATEGORY_BITMAP | CATEGORY_SLOW,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = bitfield_keys,
        .since = "3.2.0",
        .group = "bitmap",
        .summary = "Perform arbitrary bitfield integer operations on strings",
        .complexity = "O(1) for each subcommand specified",
        .arguments = bitfield_arguments,
    },
    {
        .name = "bitfield_ro",
        .handler = cmd_bitfield_ro,
        .arity = -2,
        .flags = COMMAND_READONLY | COMMAND_FAST,
        .categories = CATEGORY_READ | CATEGORY_BITMAP | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = getbit_keys,
        .since = "6.0.0",
        .group = "bitmap",
        .summary = "Perform arbitrary bitfield integer operations on strings. Read-only variant of BITFIELD",
        .complexity = "O(1) for each subcommand specified",
        .arguments = bitfield_ro_arguments,
    },
    {
        .name = "bitop",
        .handler = cmd_bitop,
        .arity = -4,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM,
        .categories = CATEGORY_WRITE | CATEGORY_BITMAP | CATEGORY_SLOW,
        .first_key = 2,
        .last_key = -1,
        .key_step = 1,
        .key_specs = bitop_keys,
        .since = "2.6.0",
        .group = "bitmap",
        .summary = "Perform bitwise operations between strings",
        .complexity = "O(N)",
        .arguments = bitop_arguments,
    },
    {
        .name = "bitcount",
        .handler = cmd_bitcount,
        .arity = -2,
        .flags = COMMAND_READONLY,
        .categories = CATEGORY_READ | CATEGORY_BITMAP | CATEGORY_SLOW,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = getbit_keys,
        .since = "2.6.0",
        .group = "bitmap",
        .summary = "Count set bits in a string",
        .complexity = "O(N)",
        .history = bitcount_history,
        .arguments = bitcount_arguments,
    },
    {
        .name = "bitpos",
        .handler = cmd_bitpos,
        .arity = -3,
        .flags = COMMAND_READONLY,
        .categories = CATEGORY_READ | CATEGORY_BITMAP | CATEGORY_SLOW,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = getbit_keys,
        .since = "2.8.7",
        .group = "bitmap",
        .summary = "Find first bit set or clear in a string",
        .complexity = "O(N)",
        .history = bitcount_history,
        .arguments = bitpos_arguments,
    },
    {.name = NULL},
};
