/* latency.h: LATENCY's events: the longest duration of each second in which one was above the threshold. Any thread; a
 * lock inside, taken only when that happens. */
#ifndef LATENCY_H
#define LATENCY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define LATENCY_SAMPLES 160u /* of an event, as in Redis */

enum latency_event {
    LATENCY_COMMAND,      /* a command */
    LATENCY_FAST_COMMAND, /* a command of which none should ever take long */
};
#define LATENCY_EVENTS 2

struct latency_sample {
    int64_t wall_s;
    uint32_t ms;
};

struct latency_series {
    struct latency_sample samples[LATENCY_SAMPLES]; /* a ring */
    uint32_t next, count;
    uint32_t max_ms;
};

struct latency {
    pthread_mutex_t lock;
    struct latency_series series[LATENCY_EVENTS];
};

void latency_open(struct latency *latency);
void latency_close(struct latency *latency);
void latency_add(struct latency *latency, enum latency_event event, int64_t wall_s, uint32_t ms);
void latency_reset(struct latency *latency, enum latency_event event);
const char *latency_event_name(enum latency_event event);

/* Under the lock: the i-th sample, the oldest first. */
const struct latency_sample *latency_sample(const struct latency_series *series, uint32_t i);

#endif
