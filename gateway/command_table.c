/* command_table.c: finds rows of the command table. The rows are in command_table_<group>.c.
 *
 * Top-level names lie in a fixed hash table with open addressing, filled before main() runs and never changed after,
 * so every thread reads it without locks. Names are ASCII letters, with '-' and '_' here and there.
 */
#include <string.h>

#include "assert.h"
#include "command_table.h"

#define TABLE_SLOTS 512u /* power of two, several times the number of commands: chains are short */
#define NAME_BYTES_MAX 32u
#define CASE_BIT 0x20

static struct command *const table_groups[] = {
    command_group_cluster,     command_group_module,   command_group_admin,      command_group_object,
    command_group_hyperloglog, command_group_bitmap,   command_group_string,     command_group_string_range,
    command_group_generic,     command_group_keyspace, command_group_connection, command_group_server,
    command_group_acl,         command_group_client,   command_group_watch,      command_group_pubsub,
    command_group_transaction,
};

static const struct command *table_rows[FUSEGATE_COMMANDS_MAX];
static size_t table_row_count, table_command_count;
static const struct command *table_slots[TABLE_SLOTS];

static char name_fold(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | CASE_BIT) : c; }

static uint32_t name_hash(const char *name, size_t length) {
    uint32_t hash = (uint32_t)length;

    for (size_t i = 0; i < length; i++) {
        hash = hash * 31 + (uint32_t)name_fold(name[i]);
    }
    return hash ^ hash >> 8;
}

/* `row` is lower case and ends with a zero, which may also stand anywhere in `name`. */
static bool name_equal(const char *row, const char *name, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (row[i] == '\0' || row[i] != name_fold(name[i])) {
            return false;
        }
    }
    return row[length] == '\0';
}

static void table_add(struct command *row, const struct command *parent) {
    dm_assert(table_row_count < FUSEGATE_COMMANDS_MAX);
    row->parent = parent;
    row->index = (uint16_t)table_row_count;
    row->constant_time = row->complexity != NULL && strcmp(row->complexity, "O(1)") == 0;
    table_rows[table_row_count++] = row;
    if (parent != NULL) {
        return;
    }
    size_t length = strlen(row->name);
    uint32_t slot = name_hash(row->name, length) % TABLE_SLOTS;

    dm_assert(length <= NAME_BYTES_MAX && ++table_command_count < TABLE_SLOTS / 2);
    while (table_slots[slot] != NULL) {
        slot = (slot + 1) % TABLE_SLOTS;
    }
    table_slots[slot] = row;
}

__attribute__((constructor)) static void table_build(void) {
    for (size_t i = 0; i < sizeof table_groups / sizeof table_groups[0]; i++) {
        for (struct command *row = table_groups[i]; row->name != NULL; row++) {
            table_add(row, NULL);
            for (struct command *sub = row->subcommands; sub != NULL && sub->name != NULL; sub++) {
                table_add(sub, row);
            }
        }
    }
}

size_t command_table_rows(const struct command *const **rows) {
    *rows = table_rows;
    return table_row_count;
}

size_t command_table_commands(void) { return table_command_count; }

const struct command *command_lookup(const char *name, size_t length) {
    if (length > NAME_BYTES_MAX) {
        return NULL;
    }
    uint32_t slot = name_hash(name, length) % TABLE_SLOTS;
    const struct command *row;

    while ((row = table_slots[slot]) != NULL && !name_equal(row->name, name, length)) {
        slot = (slot + 1) % TABLE_SLOTS;
    }
    return row;
}

const struct command *command_subcommand_lookup(const struct command *command, const char *name, size_t length) {
    if (command->subcommands == NULL || length > NAME_BYTES_MAX) {
        return NULL;
    }
    size_t prefix = strlen(command->name) + 1;

    for (const struct command *sub = command->subcommands; sub->name != NULL; sub++) {
        if (name_equal(sub->name + prefix, name, length)) {
            return sub;
        }
    }
    return NULL;
}

const struct command *command_full_name_lookup(const char *name, size_t length) {
    const char *bar = memchr(name, '|', length);

    if (bar == NULL) {
        return command_lookup(name, length);
    }
    const struct command *command = command_lookup(name, (size_t)(bar - name));

    return command == NULL ? NULL : command_subcommand_lookup(command, bar + 1, length - (size_t)(bar + 1 - name));
}

bool command_arity_ok(const struct command *command, size_t argc) {
    return command->arity >= 0 ? argc == (size_t)command->arity : argc >= (size_t)-command->arity;
}

size_t command_keys(const struct command *command, size_t argc, size_t *first, size_t *step) {
    if (command->first_key == 0 || argc <= (size_t)command->first_key) {
        return 0;
    }
    size_t last = command->last_key >= 0 ? (size_t)command->last_key : argc - (size_t)-command->last_key;

    *first = (size_t)command->first_key;
    *step = (size_t)command->key_step;
    if (last >= argc) {
        last = argc - 1;
    }
    return (last - *first) / *step + 1;
}
