/* number.c: numbers as Redis reads and writes them. Pure functions; any thread. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"

bool number_parse(const char *text, size_t length, int64_t *out) {
    bool negative = length > 0 && text[0] == '-';
    size_t i = negative ? 1 : 0;
    uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    uint64_t value = 0;

    if (length == 1 && text[0] == '0') {
        *out = 0;
        return true;
    }
    if (i == length || length > NUMBER_TEXT_BYTES || text[i] < '1' || text[i] > '9') {
        return false;
    }
    for (; i < length; i++) {
        unsigned digit = (unsigned char)text[i] - (unsigned)'0';

        if (digit > 9 || value > (limit - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

size_t number_format(int64_t value, char text[NUMBER_TEXT_BYTES]) {
    char reversed[NUMBER_TEXT_BYTES];
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    size_t digits = 0, length = 0;

    do {
        reversed[digits++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) {
        text[length++] = '-';
    }
    while (digits > 0) {
        text[length++] = reversed[--digits];
    }
    return length;
}

bool number_parse_float(const char *text, size_t length, long double *out) {
    char copy[NUMBER_FLOAT_BYTES];
    char *end;

    if (length == 0 || length >= sizeof copy || isspace((unsigned char)text[0])) {
        return false;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    errno = 0;
    long double value = strtold(copy, &end);

    if (end != copy + length || isnan(value) || (errno == ERANGE && (isinf(value) || value == 0))) {
        return false;
    }
    *out = value;
    return true;
}

size_t number_format_float(long double value, char *text, size_t bytes) {
    int written = snprintf(text, bytes, "%.17Lf", value);

    if (written < 0 || (size_t)written >= bytes) {
        return 0;
    }
    size_t length = (size_t)written;

    while (text[length - 1] == '0') { /* there is a point, so this ends */
        length--;
    }
    if (text[length - 1] == '.') {
        length--;
    }
    if (length == 2 && text[0] == '-' && text[1] == '0') {
        text[0] = '0';
        length = 1;
    }
    return length;
}
