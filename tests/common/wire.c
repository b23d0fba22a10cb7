/* wire.c: see wire.h. */
#define _GNU_SOURCE /* vasprintf */
#include "wire.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "report.h"

#define WIRE_TIMEOUT_S 20.0
#define READ_BYTES (64 * 1024)

static void buffer_room(struct buffer *buffer, size_t more) {
    if (buffer->length + more <= buffer->capacity)
        return;
    size_t capacity = buffer->capacity ? buffer->capacity : 256;
    while (capacity < buffer->length + more)
        capacity *= 2;
    buffer->bytes = realloc(buffer->bytes, capacity);
    if (!buffer->bytes)
        report_abort("out of memory");
    buffer->capacity = capacity;
}

void buffer_add(struct buffer *buffer, const void *bytes, size_t length) {
    buffer_room(buffer, length + 1);
    if (length)
        memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
    buffer->bytes[buffer->length] = 0;
}

void buffer_addf(struct buffer *buffer, const char *format, ...) {
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        report_abort("out of memory");
    buffer_add(buffer, text, (size_t)length);
    free(text);
}

void buffer_clear(struct buffer *buffer) { buffer->length = 0; }

void buffer_free(struct buffer *buffer) {
    free(buffer->bytes);
    *buffer = (struct buffer){0};
}

void buffer_add_arg(struct buffer *buffer, const void *bytes, size_t length) {
    char head[32];
    int n = snprintf(head, sizeof head, "$%zu\r\n", length);
    buffer_add(buffer, head, (size_t)n);
    buffer_add(buffer, bytes, length);
    buffer_add(buffer, "\r\n", 2);
}

void buffer_add_words(struct buffer *buffer, const char *words) {
    size_t count = 1;
    for (const char *p = words; *p; p++)
        count += *p == ' ';
    buffer_addf(buffer, "*%zu\r\n", count);
    for (;;) {
        size_t length = strcspn(words, " ");
        buffer_add_arg(buffer, words, length);
        if (!words[length])
            return;
        words += length + 1;
    }
}

const char *wire_printable(const char *bytes, size_t length, size_t most, struct buffer *out) {
    buffer_clear(out);
    buffer_add(out, "", 0);
    for (size_t i = 0; i < length && i < most; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c == '\r')
            buffer_add(out, "\\r", 2);
        else if (c == '\n')
            buffer_add(out, "\\n", 2);
        else if (c == '\\')
            buffer_add(out, "\\\\", 2);
        else if (isprint(c))
            buffer_add(out, &bytes[i], 1);
        else
            buffer_addf(out, "\\x%02x", c);
    }
    if (length > most)
        buffer_addf(out, "... (%zu bytes)", length);
    return out->bytes;
}

const char *wire_result_text(enum wire_result result) {
    static const char *const text[] = {"ok", "connection closed", "no reply in time", "bytes that are no RESP"};
    return text[result];
}

bool wire_open(struct wire *wire, int port) {
    *wire = (struct wire){.fd = socket(AF_INET, SOCK_STREAM, 0), .timeout_s = WIRE_TIMEOUT_S};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int yes = 1;
    setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(wire->fd, (struct sockaddr *)&address, sizeof address) == 0)
        return true;
    wire_close(wire);
    return false;
}

void wire_close(struct wire *wire) {
    if (wire->fd >= 0)
        close(wire->fd);
    wire->fd = -1;
    buffer_free(&wire->in);
    wire->position = 0;
}

static enum wire_result wire_receive(struct wire *wire) {
    if (wire->position > 0 && wire->position == wire->in.length) {
        buffer_clear(&wire->in);
        wire->position = 0;
    } else if (wire->position > (1 << 20)) {
        memmove(wire->in.bytes, wire->in.bytes + wire->position, wire->in.length - wire->position);
        wire->in.length -= wire->position;
        wire->position = 0;
    }
    buffer_room(&wire->in, READ_BYTES);
    ssize_t n = recv(wire->fd, wire->in.bytes + wire->in.length, READ_BYTES, MSG_DONTWAIT);
    if (n > 0)
        wire->in.length += (size_t)n;
    if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
        return WIRE_OK;
    return WIRE_CLOSED;
}

enum wire_result wire_send(struct wire *wire, const void *bytes, size_t length) {
    const char *next = bytes;
    double end = clock_s() + wire->timeout_s;
    while (length > 0) {
        ssize_t n = send(wire->fd, next, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            next += n;
            length -= (size_t)n;
            continue;
        }
        if (errno != EAGAIN && errno != EINTR)
            return WIRE_CLOSED;
        struct pollfd wait = {.fd = wire->fd, .events = POLLIN | POLLOUT};
        if (clock_s() > end)
            return WIRE_TIMEOUT;
        poll(&wait, 1, 1000);
        if ((wait.revents & POLLIN) && wire_receive(wire) != WIRE_OK)
            return WIRE_CLOSED;
    }
    return WIRE_OK;
}

static enum wire_result wire_wait_more(struct wire *wire, double end) {
    double left = end - clock_s();
    if (left <= 0)
        return WIRE_TIMEOUT;
    struct pollfd wait = {.fd = wire->fd, .events = POLLIN};
    if (poll(&wait, 1, (int)(left * 1000) + 1) <= 0)
        return WIRE_OK;
    return wire_receive(wire);
}

/* Handles one element at *position: returns how many elements it announces inside itself, -1 when it is not
 * complete, -2 when it is no RESP. */
static long element(const char *bytes, size_t length, size_t *position) {
    const char *line = bytes + *position;
    if (*position >= length)
        return -1;
    if (!strchr("+-:$*_,#!=(%~>|", *line))
        return -2;
    const char *end = memchr(line, '\n', length - *position);
    if (!end)
        return -1;
    if (end[-1] != '\r')
        return -2;
    size_t after = (size_t)(end - bytes) + 1;
    long number = strtol(line + 1, NULL, 10);
    if (strchr("$!=", *line) && number >= 0) {
        after += (size_t)number + 2;
        if (after > length)
            return -1;
        if (bytes[after - 2] != '\r' || bytes[after - 1] != '\n')
            return -2;
    }
    *position = after;
    if (strchr("*~>", *line))
        return number > 0 ? number : 0;
    if (*line == '%')
        return number > 0 ? 2 * number : 0;
    if (*line == '|')
        return 2 * number + 1;
    return 0;
}

size_t wire_reply_length(const char *bytes, size_t length) {
    size_t position = 0;
    for (long open = 1; open > 0; open--) {
        long inside = element(bytes, length, &position);
        if (inside == -1)
            return 0;
        if (inside == -2)
            return SIZE_MAX;
        open += inside;
    }
    return position;
}

enum wire_result wire_reply(struct wire *wire, const char **bytes, size_t *length) {
    double end = clock_s() + wire->timeout_s;
    for (;;) {
        size_t have = wire->in.length - wire->position;
        size_t n = have ? wire_reply_length(wire->in.bytes + wire->position, have) : 0;
        if (n == SIZE_MAX)
            return WIRE_MALFORMED;
        if (n > 0) {
            *bytes = wire->in.bytes + wire->position;
            *length = n;
            wire->position += n;
            return WIRE_OK;
        }
        enum wire_result result = wire_wait_more(wire, end);
        if (result != WIRE_OK)
            return result;
    }
}

enum wire_result wire_drain(struct wire *wire, const char **bytes, size_t *length) {
    double end = clock_s() + wire->timeout_s;
    enum wire_result result;
    while ((result = wire_wait_more(wire, end)) == WIRE_OK) {
    }
    *bytes = wire->in.bytes + wire->position;
    *length = wire->in.length - wire->position;
    wire->position = wire->in.length;
    return result == WIRE_CLOSED ? WIRE_OK : result;
}

enum wire_result wire_ask(struct wire *wire, const char *words, const char **bytes, size_t *length) {
    struct buffer command = {0};
    buffer_add_words(&command, words);
    enum wire_result result = wire_send(wire, command.bytes, command.length);
    buffer_free(&command);
    return result == WIRE_OK ? wire_reply(wire, bytes, length) : result;
}

bool wire_expect(struct wire *wire, const char *words, const char *reply) {
    const char *bytes;
    size_t length;
    if (wire_ask(wire, words, &bytes, &length) != WIRE_OK)
        return false;
    return length == strlen(reply) && memcmp(bytes, reply, length) == 0;
}
