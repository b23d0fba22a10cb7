/* cmd_command.h: rows of the command table as replies (cmd_command_describe.c), for cmd_command.c. Worker's thread. */
#ifndef CMD_COMMAND_H
#define CMD_COMMAND_H

#include "cmd.h"
#include "command_table.h"

/* A row of COMMAND INFO, with its subcommands. */
void command_describe(struct reply *reply, const struct command *command);

/* Name and map of COMMAND DOCS: one pair of a map. */
void command_document(struct reply *reply, const struct command *command);

/* Flags of enum command_key_flag, as a set. */
void command_describe_key_flags(struct reply *reply, uint32_t flags);

/* How this very call uses its keys. */
uint32_t command_key_flags(const struct command *command, const struct resp_arg *argv, size_t argc);

/* Without the '@'; index below COMMAND_CATEGORY_COUNT. */
const char *command_category_name(size_t index);

/* The bit of an ACL category by name; 0 when there is none. */
uint32_t command_category_parse(const struct resp_arg *name);

#endif
