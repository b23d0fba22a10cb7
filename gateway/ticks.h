/* ticks.h: the CPU's own counter, for durations of single commands: reading it costs a few nanoseconds, a clock three
 * times that. Not for points in time. Any thread.
 *
 * The rate is found by comparing it with the clock over the life of the process, so that it is the better known the
 * longer that lasts.
 */
#ifndef TICKS_H
#define TICKS_H

#include <stdint.h>

#if defined(__x86_64__)
#include <x86intrin.h>
static inline uint64_t ticks_now(void) { return __rdtsc(); }
#elif defined(__aarch64__)
static inline uint64_t ticks_now(void) {
    uint64_t ticks;

    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
}
#else
#include <time.h>
static inline uint64_t ticks_now(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}
#endif

/* Nanoseconds a tick, in 2^-32: of two readings of both at least some milliseconds apart. */
static inline uint64_t ticks_rate(uint64_t ticks, uint64_t ns) {
    return ticks == 0 ? UINT64_C(1) << 32 : (uint64_t)(((__uint128_t)ns << 32) / ticks);
}

static inline uint64_t ticks_to_ns(uint64_t ticks, uint64_t rate) {
    return (uint64_t)(((__uint128_t)ticks * rate) >> 32);
}

#endif
