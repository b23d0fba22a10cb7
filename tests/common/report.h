/* report.h: a line per case, the totals, the clock and the random numbers of the test programs. One process, any
 * thread. A failing case prints why; the tail of each server's log follows at the end. */
#ifndef TESTS_REPORT_H
#define TESTS_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Prints "ok - text" or "FAIL - text" and counts it; returns `passed`. */
bool report_case(bool passed, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints a line that counts nothing. */
void report_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints the totals as the last line; returns the exit code of the program. */
int report_finish(void);
/* A defect of the surroundings: says so and exits with code 2. */
void report_abort(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
uint32_t report_failures(void);

double clock_s(void);
void sleep_s(double seconds);

/* The environment asks for the long runs (LONG=1). */
bool report_long(void);

/* SplitMix64: every stream of random numbers of a test comes from one printed seed. */
struct prng {
    uint64_t state;
};
uint64_t prng_next(struct prng *prng);
/* In [0, bound); 0 when bound is 0. */
uint64_t prng_below(struct prng *prng, uint64_t bound);
bool prng_chance(struct prng *prng, unsigned percent);
/* From the clock. */
uint64_t prng_fresh_seed(void);

#endif
