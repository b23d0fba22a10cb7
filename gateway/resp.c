/* resp.c: the RESP reader; see resp.h. Pure functions, no I/O, no locks: any thread, one at a time per reader.
 *
 *   *3\r\n $3\r\n SET\r\n $1\r\n k\r\n $1\r\n v\r\n     what clients send
 *   set k "a value"\r\n                                 what people type: "inline"
 *
 * Rules and error texts are those of Redis 7.0 to the byte, its leniencies included: after CR any byte passes for LF,
 * and the two bytes behind an argument are skipped unseen. The half-read command is kept as counters, so that the
 * bytes of an argument are never looked at and those of a line only once, however the stream is cut.
 */
#include "resp.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_FIRST 32u
#define ARGS_KEPT 1024u       /* a longer vector is given back once its commands are done */
#define FAST_DIGITS 17        /* digits that cannot overflow 64 bits */
#define INTEGER_DIGITS_MAX 20 /* characters of the longest 64-bit integer */

enum step { STEP_MORE, STEP_DONE, STEP_EMPTY, STEP_ERROR };

void resp_reader_init(struct resp_reader *reader) {
    reader->command_count = 0;
    reader->arg_count = 0;
    reader->arg_capacity = 0;
    reader->args = NULL;
    reader->half_first = 0;
    reader->args_expected = -1;
    reader->bulk_expected = -1;
    reader->position = 0;
    reader->scanned = 0;
    reader->base = NULL;
    reader->work = 0;
    reader->error[0] = '\0';
}

void resp_reader_free(struct resp_reader *reader) {
    free(reader->args);
    resp_reader_init(reader);
}

static enum step reader_fail(struct resp_reader *reader, const char *text) {
    snprintf(reader->error, sizeof reader->error, "Protocol error: %s", text);
    return STEP_ERROR;
}

static bool reader_grow(struct resp_reader *reader) {
    uint32_t capacity = reader->arg_capacity == 0 ? ARGS_FIRST : reader->arg_capacity * 2;
    struct resp_arg *args = NULL;

    if (capacity > reader->arg_capacity) {
        args = realloc(reader->args, capacity * sizeof *args);
    }
    if (args == NULL) {
        reader_fail(reader, "out of memory");
        return false;
    }
    reader->args = args;
    reader->arg_capacity = capacity;
    return true;
}

static inline bool reader_push(struct resp_reader *reader, const char *bytes, size_t length) {
    if (__builtin_expect(reader->arg_count == reader->arg_capacity, 0) && !reader_grow(reader)) {
        return false;
    }
    reader->args[reader->arg_count].bytes = bytes;
    reader->args[reader->arg_count].length = length;
    reader->arg_count++;
    return true;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* A decimal integer as Redis writes it: no blanks, no plus, no leading zeros. */
static bool integer_parse(const char *text, size_t length, int64_t *out) {
    bool negative = length > 0 && text[0] == '-';
    size_t i = negative ? 1 : 0;
    uint64_t value = 0;
    uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;

    if (length == 1 && text[0] == '0') {
        *out = 0;
        return true;
    }
    if (i == length || length > INTEGER_DIGITS_MAX || text[i] == '0') {
        return false;
    }
    for (; i < length; i++) {
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (!is_digit(text[i]) || value > (limit - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

/* Finds `end` from the current position on; *at is its index. Every byte is searched once over all calls. */
static bool reader_find(struct resp_reader *reader, const char *bytes, size_t length, char end, size_t *at) {
    size_t from = reader->scanned > reader->position ? reader->scanned : reader->position;
    const char *found = from < length ? memchr(bytes + from, end, length - from) : NULL;

    if (found == NULL) {
        reader->work += length - from;
        reader->scanned = length;
        return false;
    }
    *at = (size_t)(found - bytes);
    reader->work += *at - from + 1;
    reader->scanned = *at;
    return true;
}

/* The length line at the current position, whole: "?<digits>CR<any>". *text, *text_length: what stands between. */
static enum step reader_line(struct resp_reader *reader, const char *bytes, size_t length, size_t *text_length) {
    size_t at;

    if (!reader_find(reader, bytes, length, '\r', &at)) {
        return length - reader->position > RESP_INLINE_BYTES_MAX ? STEP_ERROR : STEP_MORE;
    }
    if (at + 1 >= length) {
        return STEP_MORE;
    }
    *text_length = at - reader->position;
    return STEP_DONE;
}

/* The common case of a length line, "?<digits>CR<any>" whole and without a leading zero: the next position, or 0. */
static inline size_t line_number_fast(const char *bytes, size_t position, size_t length, int64_t *out) {
    const char *p = bytes + position + 1, *end = bytes + length;
    const char *stop = end - p > FAST_DIGITS ? p + FAST_DIGITS : end;
    int64_t value;

    if (position + 1 >= length || *p < '1' || *p > '9') {
        return 0;
    }
    value = *p++ - '0';
    while (p < stop && is_digit(*p)) {
        value = value * 10 + (*p++ - '0');
    }
    if (end - p < 2 || *p != '\r') {
        return 0;
    }
    *out = value;
    return (size_t)(p - bytes) + 2;
}

static enum step reader_array_length(struct resp_reader *reader, const struct resp_limits *limits, const char *bytes,
                                     size_t length) {
    int64_t value;
    size_t text_length, next = line_number_fast(bytes, 0, length, &value);

    if (next == 0) {
        enum step step = reader_line(reader, bytes, length, &text_length);
        if (step == STEP_ERROR) {
            return reader_fail(reader, "too big mbulk count string");
        }
        if (step == STEP_MORE) {
            return STEP_MORE;
        }
        if (!integer_parse(bytes + 1, text_length - 1, &value)) {
            return reader_fail(reader, "invalid multibulk length");
        }
        next = text_length + 2;
    }
    if (value > RESP_ARGS_MAX) {
        return reader_fail(reader, "invalid multibulk length");
    }
    if (limits->unauthenticated && value > RESP_UNAUTHENTICATED_ARGS_MAX) {
        return reader_fail(reader, "unauthenticated multibulk length");
    }
    reader->position = next;
    if (value <= 0) {
        return STEP_EMPTY;
    }
    reader->args_expected = value;
    return STEP_DONE;
}

static enum step reader_bulk_length(struct resp_reader *reader, const struct resp_limits *limits, const char *bytes,
                                    size_t length) {
    size_t text_length, next = 0;
    int64_t value;

    if (reader->position < length && bytes[reader->position] == '$') {
        next = line_number_fast(bytes, reader->position, length, &value);
    }
    if (next == 0) {
        enum step step = reader_line(reader, bytes, length, &text_length);
        if (step == STEP_ERROR) {
            return reader_fail(reader, "too big bulk count string");
        }
        if (step == STEP_MORE) {
            return STEP_MORE;
        }
        char kind = bytes[reader->position];
        if (kind != '$') {
            snprintf(reader->error, sizeof reader->error, "Protocol error: expected '$', got '%c'",
                     kind == '\r' || kind == '\n' ? ' ' : kind);
            return STEP_ERROR;
        }
        if (!integer_parse(bytes + reader->position + 1, text_length - 1, &value) || value < 0) {
            return reader_fail(reader, "invalid bulk length");
        }
        next = reader->position + text_length + 2;
    }
    if (value > limits->bulk_bytes) {
        return reader_fail(reader, "invalid bulk length");
    }
    if (limits->unauthenticated && value > RESP_UNAUTHENTICATED_BULK_BYTES_MAX) {
        return reader_fail(reader, "unauthenticated bulk length");
    }
    reader->position = next;
    reader->bulk_expected = value;
    return STEP_DONE;
}

static enum step reader_array(struct resp_reader *reader, const struct resp_limits *limits, const char *bytes,
                              size_t length) {
    if (reader->args_expected < 0) {
        enum step step = reader_array_length(reader, limits, bytes, length);
        if (step != STEP_DONE) {
            return step;
        }
    }
    while (reader->args_expected > 0) {
        if (reader->bulk_expected < 0) {
            enum step step = reader_bulk_length(reader, limits, bytes, length);
            if (step != STEP_DONE) {
                return step;
            }
        }
        if (length - reader->position < (size_t)reader->bulk_expected + 2) {
            return STEP_MORE;
        }
        if (!reader_push(reader, bytes + reader->position, (size_t)reader->bulk_expected)) {
            return STEP_ERROR;
        }
        reader->position += (size_t)reader->bulk_expected + 2;
        reader->bulk_expected = -1;
        reader->args_expected--;
    }
    return STEP_DONE;
}

static int hex_digit(char c) {
    if (is_digit(c)) {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char escape_byte(char c) {
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return c;
    }
}

static bool is_blank(char c) { return isspace((unsigned char)c) != 0; }

/* One quoted stretch; *from stands behind the opening quote. The line ends with a NUL, which bounds every look-ahead.
 * Unquotes to *to, which never overtakes *from. False: the quote is not closed, or something sticks to it. */
static bool inline_unquote(const char **from, char **to, char quote) {
    const char *p = *from;
    char *out = *to;

    for (; *p != quote; p++) {
        if (*p == '\0') {
            return false;
        }
        if (quote == '"' && p[0] == '\\' && p[1] == 'x' && hex_digit(p[2]) >= 0 && hex_digit(p[3]) >= 0) {
            *out++ = (char)(hex_digit(p[2]) * 16 + hex_digit(p[3]));
            p += 3;
        } else if (quote == '"' && p[0] == '\\' && p[1] != '\0') {
            *out++ = escape_byte(*++p);
        } else if (quote == '\'' && p[0] == '\\' && p[1] == '\'') {
            *out++ = *++p;
        } else {
            *out++ = *p;
        }
    }
    p++;
    *from = p;
    *to = out;
    return *p == '\0' || is_blank(*p);
}

/* Splits a NUL-terminated line into arguments, in place. */
static enum step inline_split(struct resp_reader *reader, char *line) {
    const char *p = line;

    for (;;) {
        while (is_blank(*p)) {
            p++;
        }
        if (*p == '\0') {
            return STEP_DONE;
        }
        char *start = line + (p - line), *out = start;
        /* Inside a word only these end it: vertical tabs and form feeds do not, as in Redis. */
        while (*p != '\0' && *p != ' ' && *p != '\t' && *p != '\r' && *p != '\n') {
            if (*p != '"' && *p != '\'') {
                *out++ = *p++;
                continue;
            }
            char quote = *p++;
            if (!inline_unquote(&p, &out, quote)) {
                return reader_fail(reader, "unbalanced quotes in request");
            }
            break;
        }
        if (!reader_push(reader, start, (size_t)(out - start))) {
            return STEP_ERROR;
        }
    }
}

static enum step reader_inline(struct resp_reader *reader, char *bytes, size_t length) {
    size_t at;

    if (!reader_find(reader, bytes, length, '\n', &at)) {
        return length > RESP_INLINE_BYTES_MAX ? reader_fail(reader, "too big inline request") : STEP_MORE;
    }
    reader->position = at + 1;
    /* The line end makes room for the NUL. */
    bytes[at] = '\0';
    if (at > 0 && bytes[at - 1] == '\r') {
        bytes[at - 1] = '\0';
    }
    enum step step = inline_split(reader, bytes);
    return step == STEP_DONE && reader->arg_count == reader->half_first ? STEP_EMPTY : step;
}

/* Makes room for new commands: the arguments of the half-read one move to the front, and with the bytes. */
static void reader_begin(struct resp_reader *reader, const char *bytes) {
    uint32_t half = reader->arg_count - reader->half_first;

    reader->command_count = 0;
    reader->error[0] = '\0';
    if (half > 0) {
        if (reader->half_first > 0) {
            memmove(reader->args, reader->args + reader->half_first, half * sizeof *reader->args);
        }
        if (bytes != reader->base) {
            for (uint32_t i = 0; i < half; i++) {
                reader->args[i].bytes = bytes + ((uintptr_t)reader->args[i].bytes - (uintptr_t)reader->base);
            }
        }
    } else if (reader->arg_capacity > ARGS_KEPT) {
        free(reader->args);
        reader->args = NULL;
        reader->arg_capacity = 0;
    }
    reader->half_first = 0;
    reader->arg_count = half;
}

enum resp_result resp_read(struct resp_reader *reader, const struct resp_limits *limits, char *bytes, size_t length,
                           uint32_t ahead, size_t *consumed) {
    size_t start = 0;
    enum resp_result result = RESP_FULL;

    reader_begin(reader, bytes);
    while (reader->command_count < ahead) {
        char *from = bytes + start;
        enum step step = STEP_MORE;
        if (start < length) {
            step = from[0] == '*' ? reader_array(reader, limits, from, length - start)
                                  : reader_inline(reader, from, length - start);
        }
        if (step == STEP_MORE || step == STEP_ERROR) {
            result = step == STEP_MORE ? RESP_MORE : RESP_ERROR;
            break;
        }
        if (step == STEP_DONE) {
            reader->commands[reader->command_count].first = reader->half_first;
            reader->commands[reader->command_count].count = reader->arg_count - reader->half_first;
            reader->command_count++;
        }
        start += reader->position;
        reader->half_first = reader->arg_count;
        reader->args_expected = -1;
        reader->position = 0;
        reader->scanned = 0;
    }
    reader->base = bytes + start;
    *consumed = start;
    return result;
}
