/* reply.c: replies in RESP2 and RESP3; see reply.h. Pure formatting into the connection's output; worker's thread. */
#include "reply.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define INTEGER_BYTES 20u /* characters of the longest 64-bit integer, sign included */
#define LINE_BYTES (INTEGER_BYTES + 3)
#define DOUBLE_BYTES 40u
#define ERROR_BYTES_MAX (OUTPUT_RESERVE_BYTES_MAX - 3) /* a longer error text is cut */

static const char digit_pairs[] =
    "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849505152535455"
    "5657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
_Static_assert(sizeof digit_pairs == 201, "00 to 99");

/* Writes value in decimal; returns the number of characters. */
static inline size_t format_unsigned(char *out, unsigned long long value) {
    char text[INTEGER_BYTES];
    char *p = text + sizeof text;

    if (value < 10) {
        *out = (char)('0' + value);
        return 1;
    }
    while (value >= 100) {
        p -= 2;
        memcpy(p, digit_pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        p -= 2;
        memcpy(p, digit_pairs + value * 2, 2);
    } else {
        *--p = (char)('0' + value);
    }
    size_t length = (size_t)(text + sizeof text - p);
    memcpy(out, p, length);
    return length;
}

static inline size_t format_integer(char *out, long long value) {
    if (value >= 0) {
        return format_unsigned(out, (unsigned long long)value);
    }
    *out = '-';
    return 1 + format_unsigned(out + 1, 0 - (unsigned long long)value);
}

static inline size_t format_line(char *out, char kind, long long value) {
    size_t length = 1;

    out[0] = kind;
    length += format_integer(out + 1, value);
    out[length] = '\r';
    out[length + 1] = '\n';
    return length + 2;
}

/* <kind><value>CRLF: a header or an integer. */
static void reply_line(struct reply *reply, char kind, long long value) {
    char *out = output_reserve(reply->output, LINE_BYTES);

    if (out != NULL) {
        output_commit(reply->output, format_line(out, kind, value));
    }
}

static void reply_text(struct reply *reply, char kind, const char *text) {
    output_append(reply->output, &kind, 1);
    output_append(reply->output, text, strlen(text));
    output_append(reply->output, "\r\n", 2);
}

void reply_status(struct reply *reply, const char *text) { reply_text(reply, '+', text); }

void reply_ok(struct reply *reply) { output_append(reply->output, "+OK\r\n", 5); }

/* Redis counts errors by their first word. */
static void error_count(struct reply_errors *errors, const char *text) {
    size_t length = strcspn(text, " \r");
    uint32_t known, at = 0;

    if (errors == NULL) {
        return;
    }
    length = length < REPLY_CODE_BYTES ? length : REPLY_CODE_BYTES - 1;
    known = atomic_load_explicit(&errors->known, memory_order_relaxed);
    while (at < known && (strncmp(errors->code[at], text, length) != 0 || errors->code[at][length] != '\0')) {
        at++;
    }
    if (at == REPLY_ERROR_CODES) {
        at--;
    } else if (at == known) {
        memcpy(errors->code[at], text, length);
        errors->code[at][length] = '\0';
        atomic_store_explicit(&errors->known, known + 1, memory_order_release);
    }
    atomic_fetch_add_explicit(&errors->count[at], 1, memory_order_relaxed);
}

void reply_error(struct reply *reply, const char *text) {
    if (strpbrk(text, "\r\n") != NULL) {
        reply_errorf(reply, "%s", text);
        return;
    }
    error_count(reply->errors, text);
    reply_text(reply, '-', text);
}

void reply_errorf(struct reply *reply, const char *format, ...) {
    char *out = output_reserve(reply->output, OUTPUT_RESERVE_BYTES_MAX);
    va_list arguments;

    if (out == NULL) {
        return;
    }
    va_start(arguments, format);
    int printed = vsnprintf(out + 1, ERROR_BYTES_MAX + 1, format, arguments);
    va_end(arguments);
    size_t length = printed < 0 ? 0 : (size_t)printed;
    length = length > ERROR_BYTES_MAX ? ERROR_BYTES_MAX : length;
    out[0] = '-';
    while (length > 0 && (out[length] == '\r' || out[length] == '\n')) {
        length--;
    }
    /* What came from the client must not end the line. */
    for (size_t i = 1; i <= length; i++) {
        if (out[i] == '\r' || out[i] == '\n') {
            out[i] = ' ';
        }
    }
    out[length + 1] = '\r';
    out[length + 2] = '\n';
    error_count(reply->errors, out + 1);
    output_commit(reply->output, length + 3);
}

void reply_integer(struct reply *reply, long long value) { reply_line(reply, ':', value); }

void reply_bulk(struct reply *reply, const void *bytes, size_t length) {
    if (length <= OUTPUT_RESERVE_BYTES_MAX - LINE_BYTES - 2) {
        char *out = output_reserve(reply->output, LINE_BYTES + length + 2);
        if (out != NULL) {
            size_t used = format_line(out, '$', (long long)length);
            if (length > 0) {
                memcpy(out + used, bytes, length);
            }
            memcpy(out + used + length, "\r\n", 2);
            output_commit(reply->output, used + length + 2);
        }
        return;
    }
    reply_line(reply, '$', (long long)length);
    output_append(reply->output, bytes, length);
    output_append(reply->output, "\r\n", 2);
}

void reply_bulk_text(struct reply *reply, const char *text) { reply_bulk(reply, text, strlen(text)); }

void reply_bulk_integer(struct reply *reply, long long value) {
    char text[INTEGER_BYTES + 1];

    reply_bulk(reply, text, format_integer(text, value));
}

void reply_verbatim(struct reply *reply, const char *text, size_t length, const char *extension) {
    if (reply->protocol == 2) {
        reply_bulk(reply, text, length);
        return;
    }
    reply_line(reply, '=', (long long)(length + 4));
    output_append(reply->output, extension, 3);
    output_append(reply->output, ":", 1);
    output_append(reply->output, text, length);
    output_append(reply->output, "\r\n", 2);
}

void reply_null(struct reply *reply) {
    if (reply->protocol == 2) {
        output_append(reply->output, "$-1\r\n", 5);
    } else {
        output_append(reply->output, "_\r\n", 3);
    }
}

void reply_null_array(struct reply *reply) {
    if (reply->protocol == 2) {
        output_append(reply->output, "*-1\r\n", 5);
    } else {
        output_append(reply->output, "_\r\n", 3);
    }
}

void reply_array(struct reply *reply, size_t count) { reply_line(reply, '*', (long long)count); }

void reply_push(struct reply *reply, size_t count) {
    reply_line(reply, reply->protocol == 2 ? '*' : '>', (long long)count);
}

void reply_map(struct reply *reply, size_t pairs) {
    bool flat = reply->protocol == 2;

    reply_line(reply, flat ? '*' : '%', (long long)(flat ? pairs * 2 : pairs));
}

void reply_set(struct reply *reply, size_t count) {
    reply_line(reply, reply->protocol == 2 ? '*' : '~', (long long)count);
}

void reply_double(struct reply *reply, double value) {
    char text[DOUBLE_BYTES];

    if (isinf(value)) {
        strcpy(text, value > 0 ? "inf" : "-inf");
    } else if (isnan(value)) {
        strcpy(text, "nan");
    } else {
        snprintf(text, sizeof text, "%.17g", value);
    }
    if (reply->protocol == 2) {
        reply_bulk_text(reply, text);
    } else {
        reply_text(reply, ',', text);
    }
}

void reply_boolean(struct reply *reply, bool value) {
    if (reply->protocol == 2) {
        reply_integer(reply, value ? 1 : 0);
    } else {
        output_append(reply->output, value ? "#t\r\n" : "#f\r\n", 4);
    }
}
