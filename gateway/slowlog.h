/* slowlog.h: commands that took long: the entries of SLOWLOG. Any thread; a lock inside, taken for slow commands only.
 */
#ifndef SLOWLOG_H
#define SLOWLOG_H

#include <pthread.h>

#include "command.h"

#define SLOWLOG_ARGS_MAX 32u       /* more are only counted, as in Redis */
#define SLOWLOG_ARG_BYTES_MAX 128u /* more of one is only counted */

struct slowlog_entry {
    struct slowlog_entry *next; /* the one before it */
    uint64_t id;
    int64_t wall_s;
    uint64_t duration_us;
    uint32_t argc;
    struct resp_arg argv[SLOWLOG_ARGS_MAX]; /* malloc'ed */
    char *peer, *name;
};

struct slowlog {
    pthread_mutex_t lock;
    struct slowlog_entry *first;
    uint64_t count, next_id;
};

void slowlog_open(struct slowlog *log);
void slowlog_close(struct slowlog *log);
/* Notes a call that has been executed. Beyond `entries_max` the oldest entries go. */
void slowlog_add(struct slowlog *log, const struct call *call, uint64_t duration_us, uint32_t entries_max);
void slowlog_reset(struct slowlog *log);

#endif
