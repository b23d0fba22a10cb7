/* accepted.c: checks, keeps and shows settings from which nothing follows; see accepted.h. */
#include "accepted.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "assert.h"
#include "number.h"

#define ROWS_MAX 192u

/* What was set, by index of the row; NULL: nothing yet. */
static pthread_mutex_t values_lock = PTHREAD_MUTEX_INITIALIZER;
static char *values[ROWS_MAX];

/* The row that holds the value of this name; NULL when there is none. */
static const struct accepted_row *row_find(const char *name) {
    for (const struct accepted_row *row = accepted_rows; row->name != NULL; row++) {
        if (strcasecmp(row->name, name) == 0) {
            return row->kind == ACCEPTED_ALIAS ? row_find(row->value) : row;
        }
    }
    return NULL;
}

static char **value_of(const struct accepted_row *row) {
    size_t index = (size_t)(row - accepted_rows);

    dm_assert(index < ROWS_MAX);
    return &values[index];
}

/* ---- Checking: false: error says why. `out` gets the value as CONFIG GET shows it. ---- */

static bool refuse(char *error, size_t error_bytes, const char *reason) {
    snprintf(error, error_bytes, "%s", reason);
    return false;
}

static bool within(const struct accepted_row *row, int64_t value, char *error, size_t error_bytes) {
    if (value >= row->minimum && value <= row->maximum) {
        return true;
    }
    snprintf(error, error_bytes, "argument must be between %" PRId64 " and %" PRId64 " inclusive", row->minimum,
             row->maximum);
    return false;
}

static bool check_integer(const struct accepted_row *row, const char *text, char *out, char *error,
                          size_t error_bytes) {
    int64_t value;

    if (!number_parse(text, strlen(text), &value)) {
        return refuse(error, error_bytes, "argument couldn't be parsed into an integer");
    }
    snprintf(out, ACCEPTED_TEXT_BYTES, "%" PRId64, value);
    return within(row, value, error, error_bytes);
}

static bool memory_parse(const char *text, int64_t *value) {
    static const struct {
        const char *unit;
        int64_t bytes;
    } units[] = {{"", 1},        {"b", 1},        {"k", 1000},       {"kb", 1 << 10},
                 {"m", 1000000}, {"mb", 1 << 20}, {"g", 1000000000}, {"gb", 1 << 30}};
    size_t digits = strspn(text, "0123456789");

    for (size_t i = 0; digits > 0 && i < sizeof units / sizeof units[0]; i++) {
        if (strcasecmp(text + digits, units[i].unit) == 0) {
            return number_parse(text, digits, value) && !__builtin_mul_overflow(*value, units[i].bytes, value);
        }
    }
    return false;
}

static bool check_memory(const struct accepted_row *row, const char *text, char *out, char *error, size_t error_bytes) {
    int64_t value;

    if (!memory_parse(text, &value)) {
        return refuse(error, error_bytes, "argument must be a memory value");
    }
    snprintf(out, ACCEPTED_TEXT_BYTES, "%" PRId64, value);
    return within(row, value, error, error_bytes);
}

static bool check_choice(const struct accepted_row *row, const char *text, char *out, char *error, size_t error_bytes) {
    const char *choices = row->choices == NULL ? "yes, no" : row->choices;
    size_t length = strlen(text);

    for (const char *choice = choices; *choice != '\0';) {
        size_t bytes = strcspn(choice, ",");

        if (bytes == length && strncasecmp(choice, text, length) == 0) {
            snprintf(out, ACCEPTED_TEXT_BYTES, "%.*s", (int)bytes, choice);
            return true;
        }
        choice += bytes;
        choice += strspn(choice, ", ");
    }
    if (row->choices == NULL) {
        return refuse(error, error_bytes, "argument must be 'yes' or 'no'");
    }
    snprintf(error, error_bytes, "argument(s) must be one of the following: %s", row->choices);
    return false;
}

static bool check(const struct accepted_row *row, const char *text, char *out, char *error, size_t error_bytes) {
    switch (row->kind) {
    case ACCEPTED_INTEGER:
        return check_integer(row, text, out, error, error_bytes);
    case ACCEPTED_MEMORY:
        return check_memory(row, text, out, error, error_bytes);
    case ACCEPTED_ENUM:
        return check_choice(row, text, out, error, error_bytes);
    case ACCEPTED_EMPTY:
        *out = '\0';
        return *text == '\0' || refuse(error, error_bytes, "nothing is saved to files: memory nodes keep the data");
    case ACCEPTED_TEXT:
        if (strlen(text) >= ACCEPTED_TEXT_BYTES) {
            return refuse(error, error_bytes, "argument is too long");
        }
        snprintf(out, ACCEPTED_TEXT_BYTES, "%s", text);
        return true;
    case ACCEPTED_FIXED:
    case ACCEPTED_ALIAS:
        break;
    }
    return refuse(error, error_bytes, "can't set immutable config");
}

enum accepted_result accepted_set(const char *name, const char *text, char *error, size_t error_bytes) {
    const struct accepted_row *row = row_find(name);
    char value[ACCEPTED_TEXT_BYTES];

    if (row == NULL) {
        return ACCEPTED_UNKNOWN;
    }
    if (!check(row, text, value, error, error_bytes)) {
        return ACCEPTED_REFUSED;
    }
    char *copy = strdup(value);

    if (copy == NULL) {
        refuse(error, error_bytes, "out of memory");
        return ACCEPTED_REFUSED;
    }
    pthread_mutex_lock(&values_lock);
    char **kept = value_of(row);

    free(*kept);
    *kept = copy;
    pthread_mutex_unlock(&values_lock);
    return ACCEPTED_SET;
}

bool accepted_get(const char *name, char *out, size_t out_bytes) {
    const struct accepted_row *row = row_find(name);

    if (row == NULL) {
        return false;
    }
    pthread_mutex_lock(&values_lock);
    const char *kept = *value_of(row), *value = kept == NULL ? row->value : kept;

    if (value != NULL) {
        snprintf(out, out_bytes, "%s", value);
    }
    pthread_mutex_unlock(&values_lock);
    return value != NULL;
}
