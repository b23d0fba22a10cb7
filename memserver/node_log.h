/* node_log.h: the memory node's log: one line a message on stderr, with time and level. Main thread only. */
#ifndef NODE_LOG_H
#define NODE_LOG_H

#include "dm.h"

/* Messages below `level` are dropped; NOTICE at start. */
void node_log_level_set(enum dm_log_level level);

void node_log(enum dm_log_level level, const char *format, ...) DM_PRINTF(2, 3);

#endif
