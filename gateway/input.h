/* input.h: what a connection has received and not executed yet: a byte buffer and the reader over it.
 *
 * Lives only while there are such bytes: an idle connection has none, and buffers go round among the connections of
 * one worker, warm in the cache. The buffer grows with what has arrived, never by a declared length. One thread.
 * Not here: sockets (connection.c).
 */
#ifndef INPUT_H
#define INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "resp.h"

#define INPUT_BYTES_FIRST (16u * 1024)
#define INPUT_CLASSES 4 /* 16, 64, 256 and 1024 KiB: buffers that are kept for reuse */

struct input {
    char *bytes;
    size_t capacity;
    size_t start, end; /* not executed yet: bytes[start..end) */
    struct resp_reader reader;
    uint32_t executed;  /* how many of the reader's commands are done */
    struct input *next; /* the pool's */
};

/* Spare inputs and buffers of one thread; zero-initialise. */
struct input_pool {
    struct input *inputs;
    size_t input_count;
    void *buffers[INPUT_CLASSES]; /* linked through their first word */
    size_t buffer_count[INPUT_CLASSES];
};

/* An empty input; NULL: out of memory. */
struct input *input_acquire(struct input_pool *pool);
void input_release(struct input_pool *pool, struct input *input);
void input_pool_free(struct input_pool *pool);

static inline size_t input_room(const struct input *input) { return input->capacity - input->end; }

/* Commands were read and not executed yet: their arguments point into the buffer, which must stay as it is. */
static inline bool input_pinned(const struct input *input) { return input->executed < input->reader.command_count; }

/* Makes room behind the bytes when there is little, by moving them to the front or to a larger buffer; so it must
 * not be pinned. False: out of memory. */
bool input_make_room(struct input_pool *pool, struct input *input);

/* Moves to the next larger buffer; the same holds. */
bool input_grow(struct input_pool *pool, struct input *input);

#endif
