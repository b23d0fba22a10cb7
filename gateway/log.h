/* log.h: the gateway's log: one line a message on stderr, with time, process, level and text.
 *
 * Any thread; a line is written with one write(2) and so is never mixed with another.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>

#include "dm.h"

#define LOG_LINE_BYTES_MAX 1024 /* a longer message is cut */

/* "debug", "verbose", "notice" or "warning"; false: none of them. */
bool log_level_parse(const char *name, enum dm_log_level *level);

/* Messages below this level are dropped; DM_LOG_NOTICE until set. Before threads are started. */
void log_level_set(enum dm_log_level level);

void log_write(enum dm_log_level level, const char *format, ...) DM_PRINTF(2, 3);

/* struct dm_env's log function: libdm's messages go the same way. */
void log_from_libdm(void *context, enum dm_log_level level, const char *message);

#endif
