/* node_log.c: see node_log.h. A line is written by one write, so that lines of several processes on one stderr do not
 * mix; a failing stderr is nobody's concern. */
#include "node_log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES_MAX 1024

static enum dm_log_level lowest_level = DM_LOG_NOTICE;

static const char *const level_names[] = {
    [DM_LOG_DEBUG] = "debug", [DM_LOG_VERBOSE] = "verbose", [DM_LOG_NOTICE] = "notice", [DM_LOG_WARNING] = "warning"};

void node_log_level_set(enum dm_log_level level) { lowest_level = level; }

void node_log(enum dm_log_level level, const char *format, ...) {
    if (level < lowest_level)
        return;
    struct timespec now;
    struct tm date;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &date);
    char line[LINE_BYTES_MAX];
    size_t used = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &date);
    used += (size_t)snprintf(line + used, sizeof line - used, ".%03ldZ %ld %s: ", now.tv_nsec / 1000000, (long)getpid(),
                             level_names[level]);
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(line + used, sizeof line - used, format, arguments);
    va_end(arguments);
    if (written > 0)
        used += (size_t)written;
    if (used > sizeof line - 1)
        used = sizeof line - 1; /* cut; the newline takes the place of the 0 */
    line[used++] = '\n';
    if (write(STDERR_FILENO, line, used) < 0)
        return;
}
