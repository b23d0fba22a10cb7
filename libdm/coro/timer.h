/* timer.h: a binary heap of due times with fixed capacity. Pure rules, no clock; belongs to one scheduler's thread. */
#ifndef DM_TIMER_H
#define DM_TIMER_H

#include <stdint.h>

struct dm_coro;

struct timer {
    uint64_t due_ns;
    uint64_t sequence; /* order of entry: breaks ties, so that equal times fire first in, first out */
    struct dm_coro *coro;
};

struct timer_heap {
    struct timer *timers; /* timers[0] is the earliest */
    uint32_t count, capacity;
    uint64_t next_sequence;
};

/* The caller sees to it that count < capacity. */
void timer_heap_push(struct timer_heap *heap, uint64_t due_ns, struct dm_coro *coro);

/* Takes the earliest; the caller sees to it that there is one. */
struct dm_coro *timer_heap_pop(struct timer_heap *heap);

#endif
