/* histogram.h: how long commands take: counts by duration, a little finer than powers of two.
 *
 * A bucket holds durations of one octave's fourth, from about a microsecond on. Written by one thread, read by any.
 */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#define HISTOGRAM_SHIFT 9u    /* below 2^(9+1) = 1024 ns: the first bucket */
#define HISTOGRAM_OCTAVES 28u /* up to about 4.6 minutes; the last bucket takes what is longer */
#define HISTOGRAM_BUCKETS (HISTOGRAM_OCTAVES * 4 + 1)

static inline uint32_t histogram_bucket(uint64_t ns) {
    if (ns >> (HISTOGRAM_SHIFT + 1) == 0) {
        return 0;
    }
    uint32_t top = 63u - (uint32_t)__builtin_clzll(ns), fourth = (uint32_t)(ns >> (top - 2)) & 3;
    uint32_t bucket = 1 + (top - HISTOGRAM_SHIFT - 1) * 4 + fourth;

    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The longest duration of a bucket, in ns. */
static inline uint64_t histogram_bucket_end_ns(uint32_t bucket) {
    uint32_t octave = bucket == 0 ? 0 : (bucket - 1) / 4, fourth = bucket == 0 ? 3 : (bucket - 1) % 4;
    uint32_t top = bucket == 0 ? HISTOGRAM_SHIFT : octave + HISTOGRAM_SHIFT + 1;

    return ((UINT64_C(5) + fourth) << (top - 2)) - 1;
}

static inline void histogram_add(_Atomic uint64_t *buckets, uint64_t ns, uint64_t weight) {
    _Atomic uint64_t *bucket = &buckets[histogram_bucket(ns)];

    atomic_store_explicit(bucket, atomic_load_explicit(bucket, memory_order_relaxed) + weight, memory_order_relaxed);
}

/* The duration that `per_million` of all counts do not exceed, in ns; 0: nothing was counted. */
uint64_t histogram_percentile_ns(const uint64_t counts[HISTOGRAM_BUCKETS], uint32_t per_million);

#endif
