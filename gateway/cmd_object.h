/* cmd_object.h: what Redis would say of the inside of a string (cmd_object.c), for DEBUG and MEMORY. Pure. */
#ifndef CMD_OBJECT_H
#define CMD_OBJECT_H

#include "cmd.h"

/* "int", "embstr" or "raw". */
const char *object_encoding(const struct dm_value *value);

int32_t object_references(const struct dm_value *value);

#endif
