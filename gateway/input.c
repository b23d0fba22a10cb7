/* input.c: see input.h. Called by connection.c on the worker's thread. */
#include "input.h"

#include <stdlib.h>
#include <string.h>

#define INPUTS_KEPT 256u              /* spare inputs of a thread */
#define INPUT_READER_KEPT_BYTES 4096u /* a longer argument vector is not kept in a spare input */
#define INPUT_ROOM_FEW_BYTES 2048u    /* less room than this is not worth a read */

static const size_t class_bytes[INPUT_CLASSES] = {16384, 65536, 262144, 1048576};
static const size_t class_kept[INPUT_CLASSES] = {256, 32, 16, 8}; /* at most 18 MiB of spare buffers a thread */

static int buffer_class(size_t bytes) {
    for (int i = 0; i < INPUT_CLASSES; i++) {
        if (bytes == class_bytes[i]) {
            return i;
        }
    }
    return -1;
}

static char *buffer_acquire(struct input_pool *pool, size_t bytes) {
    int class = buffer_class(bytes);

    if (class >= 0 && pool->buffers[class] != NULL) {
        void *buffer = pool->buffers[class];
        memcpy(&pool->buffers[class], buffer, sizeof(void *));
        pool->buffer_count[class]--;
        return buffer;
    }
    return malloc(bytes);
}

static void buffer_release(struct input_pool *pool, char *buffer, size_t bytes) {
    int class = buffer_class(bytes);

    if (class < 0 || pool->buffer_count[class] >= class_kept[class]) {
        free(buffer);
        return;
    }
    memcpy(buffer, &pool->buffers[class], sizeof(void *));
    pool->buffers[class] = buffer;
    pool->buffer_count[class]++;
}

struct input *input_acquire(struct input_pool *pool) {
    struct input *input = pool->inputs;

    if (input != NULL) {
        pool->inputs = input->next;
        pool->input_count--;
        return input;
    }
    input = malloc(sizeof *input);
    if (input == NULL) {
        return NULL;
    }
    input->bytes = buffer_acquire(pool, INPUT_BYTES_FIRST);
    if (input->bytes == NULL) {
        free(input);
        return NULL;
    }
    input->capacity = INPUT_BYTES_FIRST;
    input->start = 0;
    input->end = 0;
    input->executed = 0;
    resp_reader_init(&input->reader);
    return input;
}

static void input_free(struct input *input) {
    resp_reader_free(&input->reader);
    free(input->bytes);
    free(input);
}

void input_release(struct input_pool *pool, struct input *input) {
    /* Else its reader is half way through a command, or has an error. */
    bool plain = input->start == input->end && !input_pinned(input) && input->reader.error[0] == '\0';

    if (input->capacity != INPUT_BYTES_FIRST) {
        buffer_release(pool, input->bytes, input->capacity);
        input->capacity = INPUT_BYTES_FIRST;
        input->bytes = buffer_acquire(pool, INPUT_BYTES_FIRST);
    }
    if (!plain || input->bytes == NULL || pool->input_count >= INPUTS_KEPT ||
        resp_reader_bytes(&input->reader) > INPUT_READER_KEPT_BYTES) {
        input_free(input);
        return;
    }
    input->start = 0;
    input->end = 0;
    input->executed = 0;
    input->reader.command_count = 0;
    input->next = pool->inputs;
    pool->inputs = input;
    pool->input_count++;
}

void input_pool_free(struct input_pool *pool) {
    while (pool->inputs != NULL) {
        struct input *input = pool->inputs;
        pool->inputs = input->next;
        input_free(input);
    }
    pool->input_count = 0;
    for (int i = 0; i < INPUT_CLASSES; i++) {
        while (pool->buffers[i] != NULL) {
            void *buffer = pool->buffers[i];
            memcpy(&pool->buffers[i], buffer, sizeof(void *));
            free(buffer);
        }
        pool->buffer_count[i] = 0;
    }
}

bool input_grow(struct input_pool *pool, struct input *input) {
    bool largest = input->capacity >= class_bytes[INPUT_CLASSES - 1];
    size_t capacity = largest ? input->capacity * 2 : input->capacity * 4;
    size_t waiting = input->end - input->start;

    if (largest && input->start == 0) { /* the kernel moves pages instead of bytes */
        char *bytes = realloc(input->bytes, capacity);
        if (bytes == NULL) {
            return false;
        }
        input->bytes = bytes;
        input->capacity = capacity;
        return true;
    }
    char *bytes = buffer_acquire(pool, capacity);
    if (bytes == NULL) {
        return false;
    }
    memcpy(bytes, input->bytes + input->start, waiting);
    buffer_release(pool, input->bytes, input->capacity);
    input->bytes = bytes;
    input->capacity = capacity;
    input->start = 0;
    input->end = waiting;
    return true;
}

bool input_make_room(struct input_pool *pool, struct input *input) {
    size_t waiting = input->end - input->start;

    if (waiting == 0) {
        input->start = 0;
        input->end = 0;
    }
    if (input_room(input) >= INPUT_ROOM_FEW_BYTES) {
        return true;
    }
    if (waiting > input->capacity / 2) {
        return input_grow(pool, input);
    }
    memmove(input->bytes, input->bytes + input->start, waiting);
    input->start = 0;
    input->end = waiting;
    return true;
}
