/* timer.c: see timer.h. */
#include "coro/timer.h"

#include <stdbool.h>

#include "assert.h"

static bool timer_before(const struct timer *a, const struct timer *b) {
    return a->due_ns < b->due_ns || (a->due_ns == b->due_ns && a->sequence < b->sequence);
}

void timer_heap_push(struct timer_heap *heap, uint64_t due_ns, struct dm_coro *coro) {
    struct timer entry = {.due_ns = due_ns, .sequence = heap->next_sequence++, .coro = coro};
    uint32_t hole = heap->count++;

    dm_assert(heap->count <= heap->capacity);
    while (hole > 0) {
        uint32_t parent = (hole - 1) / 2;
        if (!timer_before(&entry, &heap->timers[parent])) {
            break;
        }
        heap->timers[hole] = heap->timers[parent];
        hole = parent;
    }
    heap->timers[hole] = entry;
}

struct dm_coro *timer_heap_pop(struct timer_heap *heap) {
    dm_assert(heap->count > 0);
    struct dm_coro *first = heap->timers[0].coro;
    const struct timer last = heap->timers[--heap->count];
    uint32_t hole = 0;

    for (;;) {
        uint32_t child = 2 * hole + 1;
        if (child >= heap->count) {
            break;
        }
        if (child + 1 < heap->count && timer_before(&heap->timers[child + 1], &heap->timers[child])) {
            child++;
        }
        if (!timer_before(&heap->timers[child], &last)) {
            break;
        }
        heap->timers[hole] = heap->timers[child];
        hole = child;
    }
    heap->timers[hole] = last;
    return first;
}
