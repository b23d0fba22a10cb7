/* wire.h: a client connection at the level of bytes: RESP commands are built here, raw replies are cut out of the
 * stream, nothing is interpreted. One thread per connection. */
#ifndef TESTS_WIRE_H
#define TESTS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Growing bytes. */
struct buffer {
    char *bytes;
    size_t length, capacity;
};
void buffer_add(struct buffer *buffer, const void *bytes, size_t length);
void buffer_addf(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_clear(struct buffer *buffer);
void buffer_free(struct buffer *buffer);
/* Adds one argument: "$length\r\nbytes\r\n". */
void buffer_add_arg(struct buffer *buffer, const void *bytes, size_t length);
/* Adds a whole command whose words are separated by single spaces. */
void buffer_add_words(struct buffer *buffer, const char *words);
/* The bytes as C would print them, cut after `most` bytes, into `out` (ends with 0). */
const char *wire_printable(const char *bytes, size_t length, size_t most, struct buffer *out);

enum wire_result { WIRE_OK, WIRE_CLOSED, WIRE_TIMEOUT, WIRE_MALFORMED };
const char *wire_result_text(enum wire_result result);

struct wire {
    int fd; /* -1: not open */
    struct buffer in;
    size_t position; /* bytes of `in` handed out already */
    double timeout_s;
};

/* Connects to 127.0.0.1:port; timeout 20 s until changed. */
bool wire_open(struct wire *wire, int port);
void wire_close(struct wire *wire);
/* Sends all of it, and reads replies meanwhile so that neither side blocks for ever. */
enum wire_result wire_send(struct wire *wire, const void *bytes, size_t length);
/* The next reply's raw bytes, valid until the next call. */
enum wire_result wire_reply(struct wire *wire, const char **bytes, size_t *length);
/* Everything until the server closes the connection. */
enum wire_result wire_drain(struct wire *wire, const char **bytes, size_t *length);
/* wire_send of the words, then wire_reply. */
enum wire_result wire_ask(struct wire *wire, const char *words, const char **bytes, size_t *length);
/* True when the reply to the words is exactly the text. */
bool wire_expect(struct wire *wire, const char *words, const char *reply);

/* Length of the first complete reply (RESP2 or RESP3, nested); 0: not complete; SIZE_MAX: no RESP. */
size_t wire_reply_length(const char *bytes, size_t length);

#endif
