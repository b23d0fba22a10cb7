/* reply.h: writes RESP2 and RESP3 replies into a connection's output, each to the byte as Redis 7 does.
 *
 * One writer per connection, on its worker's thread. Handlers use nothing else to answer. With RESP2 a map becomes a
 * flat array, a set an array, a null "$-1" or "*-1", a double a bulk string, as Redis does it.
 */
#ifndef REPLY_H
#define REPLY_H

#include <stdatomic.h>
#include <stdint.h>

#include "output.h"

#define REPLY_ERROR_CODES 64u /* different first words of errors that are counted apart; more count together */
#define REPLY_CODE_BYTES 24u

/* How often errors were sent, by their first word. Written by one thread, read by any. */
struct reply_errors {
    _Atomic uint32_t known;
    char code[REPLY_ERROR_CODES][REPLY_CODE_BYTES];
    _Atomic uint64_t count[REPLY_ERROR_CODES];
};

struct reply {
    struct output *output;
    int protocol;                /* 2 or 3 */
    struct reply_errors *errors; /* NULL: they are not counted */
};

void reply_status(struct reply *reply, const char *text); /* +text */
void reply_ok(struct reply *reply);                       /* +OK */
void reply_error(struct reply *reply, const char *text);  /* -text; text begins with its code word */
void reply_errorf(struct reply *reply, const char *format, ...) __attribute__((format(printf, 2, 3)));
void reply_integer(struct reply *reply, long long value);
void reply_bulk(struct reply *reply, const void *bytes, size_t length);
void reply_bulk_text(struct reply *reply, const char *text);
void reply_bulk_integer(struct reply *reply, long long value);
void reply_verbatim(struct reply *reply, const char *text, size_t length, const char *extension); /* "txt" */
void reply_null(struct reply *reply);                                                             /* $-1 or _ */
void reply_null_array(struct reply *reply);                                                       /* *-1 or _ */
void reply_array(struct reply *reply, size_t count);
/* With RESP3 out of turn; with RESP2 an array like any other. */
void reply_push(struct reply *reply, size_t count);
void reply_map(struct reply *reply, size_t pairs);
void reply_set(struct reply *reply, size_t count);
void reply_double(struct reply *reply, double value);
void reply_boolean(struct reply *reply, bool value);

#endif
