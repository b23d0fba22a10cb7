/* latency.c: see latency.h. Any thread. */
#include "latency.h"

#include <string.h>

void latency_open(struct latency *latency) {
    memset(latency, 0, sizeof *latency);
    pthread_mutex_init(&latency->lock, NULL);
}

void latency_close(struct latency *latency) { pthread_mutex_destroy(&latency->lock); }

const char *latency_event_name(enum latency_event event) {
    static const char *const names[LATENCY_EVENTS] = {"command", "fast-command"};

    return names[event];
}

const struct latency_sample *latency_sample(const struct latency_series *series, uint32_t i) {
    return &series->samples[(series->next + LATENCY_SAMPLES - series->count + i) % LATENCY_SAMPLES];
}

void latency_add(struct latency *latency, enum latency_event event, int64_t wall_s, uint32_t ms) {
    struct latency_series *series = &latency->series[event];

    pthread_mutex_lock(&latency->lock);
    struct latency_sample *last = &series->samples[(series->next + LATENCY_SAMPLES - 1) % LATENCY_SAMPLES];

    if (ms > series->max_ms) {
        series->max_ms = ms;
    }
    if (series->count > 0 && last->wall_s == wall_s) {
        last->ms = ms > last->ms ? ms : last->ms;
    } else {
        series->samples[series->next] = (struct latency_sample){wall_s, ms};
        series->next = (series->next + 1) % LATENCY_SAMPLES;
        series->count += series->count < LATENCY_SAMPLES;
    }
    pthread_mutex_unlock(&latency->lock);
}

void latency_reset(struct latency *latency, enum latency_event event) {
    pthread_mutex_lock(&latency->lock);
    memset(&latency->series[event], 0, sizeof latency->series[event]);
    pthread_mutex_unlock(&latency->lock);
}
