/* pattern.c: see pattern.h. */
#include "pattern.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "report.h"

static uint64_t key_hash(const char *key) {
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *key; key++)
        hash = (hash ^ (unsigned char)*key) * UINT64_C(1099511628211);
    return hash;
}

static void fill_from(char *out, size_t length, uint64_t seed) {
    struct prng prng = {.state = seed};
    for (size_t i = 0; i < length; i += 8) {
        uint64_t word = prng_next(&prng);
        memcpy(out + i, &word, length - i < 8 ? length - i : 8);
    }
}

void pattern_fill(char *out, size_t length, const char *key, uint64_t sequence) {
    fill_from(out, length, key_hash(key) ^ (sequence * UINT64_C(0x9e3779b97f4a7c15)) ^ length);
}

void pattern_write(char *out, size_t length, const char *key, struct pattern pattern) {
    char head[128];
    int n = snprintf(head, sizeof head, "%.24s|%" PRIu32 "|%" PRIu64 "|%zu|", key, pattern.writer, pattern.sequence,
                     length);
    memcpy(out, head, (size_t)n);
    uint64_t seed = key_hash(key) + pattern.writer * UINT64_C(1000003) + pattern.sequence * UINT64_C(7919) + length;
    fill_from(out + n, length - (size_t)n, seed);
}

const char *pattern_check(const char *bytes, size_t length, const char *key, struct pattern *out) {
    static _Thread_local char expected[65536 + 128];
    char head[PATTERN_BYTES_MIN + 1] = "", found[25] = "";
    size_t said = 0;
    if (length < PATTERN_BYTES_MIN)
        return "too short";
    if (length > sizeof expected)
        return "too long";
    memcpy(head, bytes, PATTERN_BYTES_MIN);
    if (sscanf(head, "%24[^|]|%" SCNu32 "|%" SCNu64 "|%zu|", found, &out->writer, &out->sequence, &said) != 4) {
        return "no head";
    }
    if (strcmp(found, key) != 0)
        return "of another key";
    if (said != length)
        return "of another length";
    pattern_write(expected, length, key, *out);
    return memcmp(expected, bytes, length) == 0 ? NULL : "torn or mixed";
}
