/* histogram.c: percentiles of histograms; see histogram.h. Pure; any thread. */
#include "histogram.h"

uint64_t histogram_percentile_ns(const uint64_t counts[HISTOGRAM_BUCKETS], uint32_t per_million) {
    uint64_t total = 0, below = 0;

    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        total += counts[i];
    }
    uint64_t wanted = (total * per_million + 999999) / 1000000;

    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS && total > 0; i++) {
        below += counts[i];
        if (below >= wanted) {
            return histogram_bucket_end_ns(i);
        }
    }
    return 0;
}
