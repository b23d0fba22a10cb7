/* output.h: bytes on their way to one client: a chain of chunks, written to the socket with writev.
 *
 * Bounded: the connection stops reading while more than the soft limit waits (back-pressure), and is closed beyond
 * the hard one. One thread. Not here: what the bytes mean (reply.h), when to write (connection.c).
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/types.h>

#define OUTPUT_RESERVE_BYTES_MAX 4096u

struct output_chunk;

/* Spare chunks, shared by the connections of one thread; zero-initialise. */
struct output_pool {
    struct output_chunk *first;
    size_t count;
};

struct output {
    struct output_chunk *first, *last;
    char *cursor, *limit;     /* free room of the last chunk */
    size_t bytes;             /* waiting */
    size_t bytes_max;         /* beyond this much waiting, appending fails; 0 = no limit */
    bool failed;              /* out of memory or beyond bytes_max: what came later was dropped, close the connection */
    struct output_pool *pool; /* NULL: chunks come from malloc and go back there */
};

void output_init(struct output *output);
void output_free(struct output *output);
void output_pool_free(struct output_pool *pool);

/* Slow path of output_reserve. */
char *output_reserve_chunk(struct output *output);
void output_append_slow(struct output *output, const void *bytes, size_t length);

/* Room for `length` (at most OUTPUT_RESERVE_BYTES_MAX) contiguous bytes; commit what was used.
 * NULL only when `failed`. */
static inline char *output_reserve(struct output *output, size_t length) {
    return (size_t)(output->limit - output->cursor) >= length ? output->cursor : output_reserve_chunk(output);
}

static inline void output_commit(struct output *output, size_t used) {
    output->cursor += used;
    output->bytes += used;
}

static inline void output_append(struct output *output, const void *bytes, size_t length) {
    if (length > 0 && (size_t)(output->limit - output->cursor) >= length) {
        memcpy(output->cursor, bytes, length);
        output_commit(output, length);
    } else if (length > 0) {
        output_append_slow(output, bytes, length);
    }
}

/* Writes to the socket: 1 all written, 0 would block, -1 error (errno). Adds what was written to *written. */
int output_flush(struct output *output, int socket, size_t *written);

/* The same through a function that behaves like write(2) on `context`. */
typedef ssize_t output_write(void *context, const void *bytes, size_t length);
int output_flush_through(struct output *output, output_write *write, void *context, size_t *written);

/* The beginning of what waits, not terminated, at least one whole line of a reply; "" when nothing does. */
const char *output_peek(const struct output *output);

/* Puts all that waits in `from` behind what waits in `to`; both take their chunks from the same pool. */
void output_move(struct output *to, struct output *from);

#endif
