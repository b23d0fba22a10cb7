/* report.c: see report.h. */
#include "report.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "process.h"

static struct {
    pthread_mutex_t lock;
    uint32_t passed, failed;
} report = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool report_case(bool passed, const char *format, ...) {
    va_list arguments;
    pthread_mutex_lock(&report.lock);
    printf("%s - ", passed ? "ok" : "FAIL");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
    if (passed)
        report.passed++;
    else
        report.failed++;
    pthread_mutex_unlock(&report.lock);
    return passed;
}

void report_note(const char *format, ...) {
    va_list arguments;
    pthread_mutex_lock(&report.lock);
    printf("# ");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
    pthread_mutex_unlock(&report.lock);
}

void report_abort(const char *format, ...) {
    va_list arguments;
    printf("FAIL - cannot test: ");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    process_print_logs();
    fflush(stdout);
    exit(2);
}

uint32_t report_failures(void) { return report.failed; }

int report_finish(void) {
    if (report.failed > 0)
        process_print_logs();
    printf("%u passed, %u failed\n", report.passed, report.failed);
    fflush(stdout);
    return report.failed > 0 || report.passed == 0;
}

double clock_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void sleep_s(double seconds) {
    struct timespec wait = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (nanosleep(&wait, &wait) != 0) {
    }
}

bool report_long(void) {
    const char *text = getenv("LONG");
    return text && *text && strcmp(text, "0") != 0;
}

uint64_t prng_next(struct prng *prng) {
    uint64_t z = (prng->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t prng_below(struct prng *prng, uint64_t bound) { return bound ? prng_next(prng) % bound : 0; }

bool prng_chance(struct prng *prng, unsigned percent) { return prng_below(prng, 100) < percent; }

uint64_t prng_fresh_seed(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct prng prng = {.state = (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec + (uint64_t)getpid()};
    return prng_next(&prng) >> 16;
}
