/* pair.c: see pair.h. */
#include "pair.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "servers.h"

bool pair_mask_find(const char *name, size_t length, enum pair_mask *out) {
    static const char *const names[] = {"exact", "seconds", "milliseconds", "digits", "type", "kind", "error"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i]) != length || memcmp(names[i], name, length) != 0)
            continue;
        *out = (enum pair_mask)i;
        return true;
    }
    return false;
}

void pair_start(struct pair *pair, const char *left, const char *right) {
    *pair = (struct pair){.wire = {{.fd = -1}, {.fd = -1}}};
    pair->process[0] = servers_start_named(left);
    pair->process[1] = servers_start_named(right);
}

void pair_connect(struct pair *pair, int protocol) {
    const char *reply;
    size_t length;
    pair_disconnect(pair);
    for (int i = 0; i < 2; i++) {
        if (!wire_open(&pair->wire[i], pair->process[i]->port))
            report_abort("cannot connect to server %d", i);
        if (protocol == 3 && wire_ask(&pair->wire[i], "HELLO 3", &reply, &length) != WIRE_OK) {
            report_abort("no reply to HELLO 3 from %s", pair->process[i]->name);
        }
    }
}

void pair_disconnect(struct pair *pair) {
    for (int i = 0; i < 2; i++)
        wire_close(&pair->wire[i]);
}

static bool same_digits(const char *left, size_t left_length, const char *right, size_t right_length) {
    size_t i = 0, j = 0;
    while (i < left_length && j < right_length) {
        bool digit = isdigit((unsigned char)left[i]);
        if (digit != (bool)isdigit((unsigned char)right[j]))
            return false;
        if (!digit && left[i] != right[j])
            return false;
        i++, j++;
        if (!digit)
            continue;
        while (i < left_length && isdigit((unsigned char)left[i]))
            i++;
        while (j < right_length && isdigit((unsigned char)right[j]))
            j++;
    }
    return i == left_length && j == right_length;
}

static bool same_within(long long tolerance, const char *left, const char *right) {
    if (*left != ':' || *right != ':')
        return false;
    long long a = strtoll(left + 1, NULL, 10), b = strtoll(right + 1, NULL, 10);
    return a > 0 && b > 0 && llabs(a - b) <= tolerance;
}

static bool same_type(const char *left, const char *right) {
    if (*left != *right)
        return false;
    return !strchr("*~%>", *left) || strtol(left + 1, NULL, 10) == strtol(right + 1, NULL, 10);
}

static bool same_error(const char *left, const char *right) {
    if (*left != '-' || *right != '-')
        return *left != '-' && *right != '-';
    size_t word = strcspn(left, " \r");
    return word == strcspn(right, " \r") && memcmp(left, right, word) == 0;
}

bool pair_same(enum pair_mask mask, const char *left, size_t left_length, const char *right, size_t right_length) {
    if (left_length == right_length && memcmp(left, right, left_length) == 0)
        return true;
    switch (mask) {
    case PAIR_EXACT:
        return false;
    case PAIR_SECONDS:
        return same_within(10, left, right);
    case PAIR_MILLISECONDS:
        return same_within(10000, left, right);
    case PAIR_DIGITS:
        return same_digits(left, left_length, right, right_length);
    case PAIR_TYPE:
        return same_type(left, right);
    case PAIR_KIND:
        return *left == *right;
    case PAIR_ERROR:
        return same_error(left, right);
    }
    return false;
}
