/* setting.c: see setting.h. Used by the memory node's and the gateway's configuration, and by nothing at run time. */
#include "setting.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

static const struct {
    const char *suffix;
    unsigned shift;
} size_units[] = {{"", 0}, {"b", 0}, {"kb", 10}, {"mb", 20}, {"gb", 30}, {"tb", 40}};

bool setting_size_parse(const char *text, uint64_t *out) {
    if (!isdigit((unsigned char)text[0]))
        return false; /* strtoull would take blanks and signs */
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0)
        return false;
    for (size_t i = 0; i < sizeof size_units / sizeof size_units[0]; i++) {
        if (strcasecmp(end, size_units[i].suffix) != 0)
            continue;
        if (number > UINT64_MAX >> size_units[i].shift)
            return false;
        *out = (uint64_t)number << size_units[i].shift;
        return true;
    }
    return false;
}

bool setting_integer_parse(const char *text, int64_t min, int64_t max, int64_t *out) {
    if (!isdigit((unsigned char)text[text[0] == '-' || text[0] == '+']))
        return false;
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || number < min || number > max)
        return false;
    *out = number;
    return true;
}
