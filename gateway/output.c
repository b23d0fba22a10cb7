/* output.c: the chain of chunks of output.h. One thread; called by reply.c (append) and connection.c (flush).
 *
 *   first -> [ sent | waiting      ] -> [ waiting ] -> last [ waiting | free ]
 *                   ^start       ^end                        ^start    ^cursor  ^limit
 *
 * Chunks have OUTPUT_CHUNK_BYTES, but for a large piece, which gets one chunk of its own size: it is copied once.
 */
#include "output.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define OUTPUT_CHUNK_BYTES (16u * 1024) /* with its head */
#define OUTPUT_POOL_CHUNKS 256u         /* spare chunks kept: 4 MiB a thread */
#define OUTPUT_IOVECS 64
#define OUTPUT_FLUSH_BYTES (256u * 1024) /* most bytes offered to one writev: others want to be served, too */

struct output_chunk {
    struct output_chunk *next;
    size_t capacity;
    size_t start, end; /* waiting: bytes[start..end); end is not kept for the last chunk, see cursor */
    char bytes[];
};

_Static_assert(OUTPUT_CHUNK_BYTES - sizeof(struct output_chunk) >= OUTPUT_RESERVE_BYTES_MAX, "a reserve fits a chunk");

void output_init(struct output *output) { memset(output, 0, sizeof *output); }

static struct output_chunk *chunk_make(struct output *output, size_t capacity) {
    struct output_pool *pool = output->pool;
    struct output_chunk *chunk;
    size_t ordinary = OUTPUT_CHUNK_BYTES - sizeof *chunk;

    if (capacity <= ordinary) {
        capacity = ordinary;
        if (pool != NULL && pool->first != NULL) {
            chunk = pool->first;
            pool->first = chunk->next;
            pool->count--;
            return chunk;
        }
    }
    chunk = malloc(sizeof *chunk + capacity);
    if (chunk != NULL) {
        chunk->capacity = capacity;
    }
    return chunk;
}

static void chunk_free(struct output_pool *pool, struct output_chunk *chunk) {
    if (pool != NULL && chunk->capacity == OUTPUT_CHUNK_BYTES - sizeof *chunk && pool->count < OUTPUT_POOL_CHUNKS) {
        chunk->next = pool->first;
        pool->first = chunk;
        pool->count++;
    } else {
        free(chunk);
    }
}

void output_pool_free(struct output_pool *pool) {
    while (pool->first != NULL) {
        struct output_chunk *chunk = pool->first;
        pool->first = chunk->next;
        free(chunk);
    }
    pool->count = 0;
}

static void output_drop_chunks(struct output *output) {
    while (output->first != NULL) {
        struct output_chunk *chunk = output->first;
        output->first = chunk->next;
        chunk_free(output->pool, chunk);
    }
    output->last = NULL;
    output->cursor = NULL;
    output->limit = NULL;
    output->bytes = 0;
}

void output_free(struct output *output) { output_drop_chunks(output); }

/* A new last chunk with room for `capacity` bytes at least. */
static bool output_extend(struct output *output, size_t capacity) {
    bool full = output->bytes_max > 0 && output->bytes > output->bytes_max;
    struct output_chunk *chunk = output->failed || full ? NULL : chunk_make(output, capacity);

    if (chunk == NULL) {
        output->failed = true;
        return false;
    }
    chunk->next = NULL;
    chunk->start = 0;
    chunk->end = 0;
    if (output->last == NULL) {
        output->first = chunk;
    } else {
        output->last->end = (size_t)(output->cursor - output->last->bytes);
        output->last->next = chunk;
    }
    output->last = chunk;
    output->cursor = chunk->bytes;
    output->limit = chunk->bytes + chunk->capacity;
    return true;
}

char *output_reserve_chunk(struct output *output) {
    return output_extend(output, OUTPUT_RESERVE_BYTES_MAX) ? output->cursor : NULL;
}

void output_append_slow(struct output *output, const void *bytes, size_t length) {
    size_t room = (size_t)(output->limit - output->cursor);
    size_t head = length < room ? length : room;

    if (head > 0) {
        memcpy(output->cursor, bytes, head);
        output_commit(output, head);
    }
    if (length > head && output_extend(output, length - head)) {
        memcpy(output->cursor, (const char *)bytes + head, length - head);
        output_commit(output, length - head);
    }
}

static int output_gather(const struct output *output, struct iovec *vector) {
    const struct output_chunk *chunk = output->first;
    size_t total = 0;
    int count = 0;

    for (; chunk != NULL && count < OUTPUT_IOVECS && total < OUTPUT_FLUSH_BYTES; chunk = chunk->next) {
        size_t end = chunk == output->last ? (size_t)(output->cursor - chunk->bytes) : chunk->end;
        if (end > chunk->start) {
            vector[count].iov_base = (char *)chunk->bytes + chunk->start;
            vector[count].iov_len = end - chunk->start;
            total += vector[count].iov_len;
            count++;
        }
    }
    return count;
}

/* Forgets the first `count` waiting bytes. */
static void output_advance(struct output *output, size_t count) {
    output->bytes -= count;
    if (output->bytes == 0) {
        output_drop_chunks(output);
        return;
    }
    while (count > 0) {
        struct output_chunk *chunk = output->first;
        size_t end = chunk == output->last ? (size_t)(output->cursor - chunk->bytes) : chunk->end;
        size_t here = end - chunk->start;
        if (count < here) {
            chunk->start += count;
            return;
        }
        count -= here;
        chunk->start = end;
        if (chunk != output->last) {
            output->first = chunk->next;
            chunk_free(output->pool, chunk);
        }
    }
}

int output_flush(struct output *output, int socket, size_t *written) {
    struct iovec vector[OUTPUT_IOVECS];

    while (output->bytes > 0) {
        int count = output_gather(output, vector);
        ssize_t sent =
            count == 1 ? write(socket, vector[0].iov_base, vector[0].iov_len) : writev(socket, vector, count);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
        }
        *written += (size_t)sent;
        output_advance(output, (size_t)sent);
    }
    return 1;
}

int output_flush_through(struct output *output, output_write *write, void *context, size_t *written) {
    struct iovec vector[OUTPUT_IOVECS];

    while (output->bytes > 0) {
        output_gather(output, vector);
        ssize_t sent = write(context, vector[0].iov_base, vector[0].iov_len);
        if (sent < 0) {
            return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
        }
        *written += (size_t)sent;
        output_advance(output, (size_t)sent);
    }
    return 1;
}

const char *output_peek(const struct output *output) {
    return output->bytes == 0 ? "" : output->first->bytes + output->first->start;
}

void output_move(struct output *to, struct output *from) {
    to->failed |= from->failed;
    if (from->bytes == 0) {
        return;
    }
    from->last->end = (size_t)(from->cursor - from->last->bytes);
    if (to->last == NULL) {
        to->first = from->first;
    } else {
        to->last->end = (size_t)(to->cursor - to->last->bytes);
        to->last->next = from->first;
    }
    to->last = from->last;
    to->cursor = from->cursor;
    to->limit = from->limit;
    to->bytes += from->bytes;
    from->first = NULL;
    from->last = NULL;
    from->cursor = NULL;
    from->limit = NULL;
    from->bytes = 0;
}
