/* cmd_rename.h: which key a queued RENAME and its like touch beside those of the command table. */
#ifndef CMD_RENAME_H
#define CMD_RENAME_H

#include "command.h"

/* The key in another database that COPY and MOVE write, if the call means one. */
bool rename_other_key(const struct call *call, struct dm_key *key);

#endif
