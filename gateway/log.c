/* log.c: see log.h. "2026-01-31T12:00:00.123Z 4711 * text"; the level is . (debug) - (verbose) * (notice) # (warning),
 * as in Redis's log. Any thread. */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum dm_log_level log_level = DM_LOG_NOTICE;

bool log_level_parse(const char *name, enum dm_log_level *level) {
    static const char *const names[] = {"debug", "verbose", "notice", "warning"};

    for (int i = 0; i <= DM_LOG_WARNING; i++) {
        if (strcmp(name, names[i]) == 0) {
            *level = (enum dm_log_level)i;
            return true;
        }
    }
    return false;
}

void log_level_set(enum dm_log_level level) { log_level = level; }

void log_write(enum dm_log_level level, const char *format, ...) {
    char line[LOG_LINE_BYTES_MAX];
    struct timespec now;
    struct tm calendar;
    va_list arguments;

    if (level < log_level) {
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &calendar);
    size_t used = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &calendar);
    used += (size_t)snprintf(line + used, sizeof line - used, ".%03ldZ %d %c ", now.tv_nsec / 1000000, (int)getpid(),
                             ".-*#"[level]);
    va_start(arguments, format);
    int printed = vsnprintf(line + used, sizeof line - used - 1, format, arguments);
    va_end(arguments);
    size_t room = sizeof line - used - 2;
    used += printed < 0 ? 0 : (size_t)printed < room ? (size_t)printed : room;
    line[used++] = '\n';
    if (write(STDERR_FILENO, line, used) < 0) {
        return; /* nowhere to say so */
    }
}

void log_from_libdm(void *context, enum dm_log_level level, const char *message) {
    (void)context;
    log_write(level, "%s", message);
}
