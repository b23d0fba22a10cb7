/* command_table_string_range.c: rows of the command table for parts of strings: facts only, no code.
 *
 * The facts are those that Redis 7.0.15 tells about its commands, so that COMMAND INFO and COMMAND DOCS say the same.
 * The order of flags, categories and arguments is that in which they are shown. Read by command_table.c.
 */
#include "cmd.h"
#include "command_table.h"

static const struct command_key_spec getrange_keys[] = {
    {.flags = KEY_RO | KEY_ACCESS, .begin_index = 1, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const struct command_argument getrange_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "start", .type = ARGUMENT_INTEGER},
    {.name = "end", .type = ARGUMENT_INTEGER},
    {.name = NULL},
};

static const struct command_key_spec setrange_keys[] = {
    {.flags = KEY_RW | KEY_UPDATE, .begin_index = 1, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const struct command_argument setrange_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "offset", .type = ARGUMENT_INTEGER},
    {.name = "value", .type = ARGUMENT_STRING},
    {.name = NULL},
};

static const struct command_key_spec lcs_keys[] = {
    {.flags = KEY_RO | KEY_ACCESS, .begin_index = 1, .last_key = 1, .key_step = 1},
    {.flags = 0},
};

static const struct command_argument lcs_arguments[] = {
    {.name = "key1", .type = ARGUMENT_KEY},
    {.name = "key2", .type = ARGUMENT_KEY},
    {.name = "len", .type = ARGUMENT_PURE_TOKEN, .token = "LEN", .flags = ARGUMENT_OPTIONAL},
    {.name = "idx", .type = ARGUMENT_PURE_TOKEN, .token = "IDX", .flags = ARGUMENT_OPTIONAL},
    {.name = "len", .type = ARGUMENT_INTEGER, .token = "MINMATCHLEN", .flags = ARGUMENT_OPTIONAL},
    {.name = "withmatchlen", .type = ARGUMENT_PURE_TOKEN, .token = "WITHMATCHLEN", .flags = ARGUMENT_OPTIONAL},
    {.name = NULL},
};

struct command command_group_string_range[] = {
    {
        .name = "getrange",
        .handler = cmd_getrange,
        .arity = 4,
        .flags = COMMAND_READONLY,
        .categories = CATEGORY_READ | CATEGORY_STRING | CATEGORY_SLOW,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = getrange_keys,
        .since = "2.4.0",
        .group = "string",
        .summary = "Get a substring of the string stored at a key",
        .complexity = "O(N) where N is the length of the returned string. The complexity is ultimately determined by "
                      "the returned length, but because creating a substring from an existing string is very cheap, it "
                      "can be considered O(1) for small strings.",
        .arguments = getrange_arguments,
    },
    {
        .name = "setrange",
        .handler = cmd_setrange,
        .arity = 4,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM,
        .categories = CATEGORY_WRITE | CATEGORY_STRING | CATEGORY_SLOW,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = setrange_keys,
        .since = "2.2.0",
        .group = "string",
        .summary = "Overwrite part of a string at key starting at the specified offset",
        .complexity = "O(1), not counting the time taken to copy the new string in place. Usually, this string is very "
                      "small so the amortized complexity is O(1). Otherwise, complexity is O(M) with M being the "
                      "length of the value argument.",
        .arguments = setrange_arguments,
    },
    {
        .name = "substr",
        .handler = cmd_substr,
        .arity = 4,
        .flags = COMMAND_READONLY,
        .categories = CATEGORY_READ | CATEGORY_STRING | CATEGORY_SLOW,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = getrange_keys,
        .since = "1.0.0",
        .group = "string",
        .summary = "Get a substring of the string stored at a key",
        .complexity = "O(N) where N is the length of the returned string. The complexity is ultimately determined by "
                      "the returned length, but because creating a substring from an existing string is very cheap, it "
                      "can be considered O(1) for small strings.",
        .deprecated_since = "2.0.0",
        .replaced_by = "`GETRANGE`",
        .arguments = getrange_arguments,
    },
    {
        .name = "lcs",
        .handler = cmd_lcs,
        .arity = -3,
        .flags = COMMAND_READONLY,
        .categories = CATEGORY_READ | CATEGORY_STRING | CATEGORY_SLOW,
        .first_key = 1,
        .last_key = 2,
        .key_step = 1,
        .key_specs = lcs_keys,
        .since = "7.0.0",
        .group = "string",
        .summary = "Find longest common substring",
        .complexity = "O(N*M) where N and M are the lengths of s1 and s2, respectively",
        .arguments = lcs_arguments,
    },
    {.name = NULL},
};
