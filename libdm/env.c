/* env.c: the operating system behind struct dm_env, and the end of a failed dm_assert.
 *
 * The only file of libdm outside providers that asks the system for time, chance or memory, and the only one with
 * thread-local state (the random generator). Any thread.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "assert.h"
#include "dm.h"

#define ENV_ALIGN_BYTES 64u

static uint64_t env_clock_ns(void *context) {
    struct timespec now;

    (void)context;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int64_t env_wall_ms(void *context) {
    struct timespec now;

    (void)context;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* xoshiro256** (Blackman, Vigna 2018), seeded by the kernel once a thread. An all-zero state is its one fixed point,
 * which makes it our mark for "not seeded". */
static _Thread_local uint64_t env_random_state[4];

static void env_random_seed(void) {
    char *next = (char *)env_random_state;
    size_t left = sizeof env_random_state;

    while (left > 0) {
        ssize_t got = getrandom(next, left, 0);
        if (got < 0) {
            dm_assert(errno == EINTR);
            continue;
        }
        next += got;
        left -= (size_t)got;
    }
    env_random_state[0] |= 1;
}

static uint64_t rotate_left(uint64_t word, unsigned bits) { return (word << bits) | (word >> (64 - bits)); }

static uint64_t env_random_u64(void *context) {
    uint64_t *s = env_random_state;

    (void)context;
    if ((s[0] | s[1] | s[2] | s[3]) == 0) {
        env_random_seed();
    }
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

/* calloc, because it gives large memory that is touched only when it is used (aligned_alloc would have to be cleared).
 * The line before the aligned memory ends with the address that calloc gave. */
static void *env_allocate(void *context, size_t bytes) {
    (void)context;
    if (bytes > SIZE_MAX - 2 * ENV_ALIGN_BYTES) {
        return NULL;
    }
    char *given = calloc(1, bytes + 2 * ENV_ALIGN_BYTES);

    if (given == NULL) {
        return NULL;
    }
    char *memory = given + 2 * ENV_ALIGN_BYTES - (uintptr_t)given % ENV_ALIGN_BYTES;

    memcpy(memory - sizeof given, &given, sizeof given);
    return memory;
}

static void env_release(void *context, void *memory) {
    char *given;

    (void)context;
    if (memory != NULL) {
        memcpy(&given, (char *)memory - sizeof given, sizeof given);
        free(given);
    }
}

static void env_log(void *context, enum dm_log_level level, const char *message) {
    (void)context;
    if (level >= DM_LOG_NOTICE) {
        fprintf(stderr, "libdm: %s%s\n", level == DM_LOG_WARNING ? "warning: " : "", message);
    }
}

const struct dm_env *dm_env_system(void) {
    static const struct dm_env system = {
        .clock_ns = env_clock_ns,
        .wall_ms = env_wall_ms,
        .random_u64 = env_random_u64,
        .allocate = env_allocate,
        .release = env_release,
        .log = env_log,
    };
    return &system;
}

_Noreturn void dm_assert_fail(const char *condition, const char *file, int line) {
    fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, condition);
    abort();
}
