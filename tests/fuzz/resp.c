/* resp.c: fuzzes the reader of commands (gateway/resp.c): whatever arrives, cut anywhere and moved about, it must stay
 * within its bytes, read the same commands as from one piece, and do work that is linear in what was sent.
 *
 * Input: 1 byte of limits and of commands read ahead, 1 byte how it is cut, then the stream.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "resp.h"

#define OUT_BYTES_MAX (1u << 20)
#define WORK_FACTOR 8u /* searches: a byte is looked at so often at most */

/* What was read, as text, to be compared. */
struct readings {
    char *bytes;
    size_t length;
    enum resp_result end;
    char error[96];
};

static void note(struct readings *readings, const void *bytes, size_t length) {
    if (readings->length + length + sizeof length > OUT_BYTES_MAX) {
        fuzz_fault("more was read than was sent");
    }
    memcpy(readings->bytes + readings->length, &length, sizeof length);
    memcpy(readings->bytes + readings->length + sizeof length, bytes, length);
    readings->length += sizeof length + length;
}

static void note_commands(struct readings *readings, const struct resp_reader *reader) {
    for (uint32_t i = 0; i < reader->command_count; i++) {
        const struct resp_arg *args = resp_command_args(reader, i);
        note(readings, "command", strlen("command"));
        for (uint32_t j = 0; j < reader->commands[i].count; j++) {
            note(readings, args[j].bytes, args[j].length);
        }
    }
}

/* Reads all that can be read of the bytes, which lie in memory of just their size; what is left stays in there. */
static enum resp_result read_all(struct resp_reader *reader, const struct resp_limits *limits, uint32_t ahead,
                                 char **bytes, size_t *length, struct readings *readings) {
    for (;;) {
        size_t consumed = 0;
        enum resp_result result = resp_read(reader, limits, *bytes, *length, ahead, &consumed);

        if (consumed > *length) {
            fuzz_fault("%zu of %zu bytes consumed", consumed, *length);
        }
        note_commands(readings, reader);
        char *rest = malloc(*length - consumed + 1);
        memcpy(rest, *bytes + consumed, *length - consumed);
        free(*bytes);
        *length -= consumed;
        *bytes = realloc(rest, *length + (*length == 0));
        if (result != RESP_FULL) {
            return result;
        }
        if (consumed == 0) {
            fuzz_fault("it stands still");
        }
    }
}

/* `step`: bytes that arrive at a time; 0: all at once. */
static void read_stream(const uint8_t *stream, size_t length, const struct resp_limits *limits, uint32_t ahead,
                        size_t step, struct readings *readings) {
    struct resp_reader reader;
    size_t held = 0;
    char *bytes = malloc(1);

    resp_reader_init(&reader);
    readings->end = RESP_MORE;
    for (size_t at = 0; at < length && readings->end == RESP_MORE;) {
        size_t more = step == 0 || step > length - at ? length - at : step;
        char *larger = malloc(held + more);
        memcpy(larger, bytes, held);
        memcpy(larger + held, stream + at, more);
        free(bytes);
        bytes = larger;
        held += more;
        at += more;
        readings->end = read_all(&reader, limits, ahead, &bytes, &held, readings);
    }
    if (reader.work > WORK_FACTOR * (length + 1)) {
        fuzz_fault("%llu bytes searched for %zu bytes sent", (unsigned long long)reader.work, length);
    }
    if (readings->end == RESP_ERROR) {
        memcpy(readings->error, reader.error, sizeof readings->error);
    }
    resp_reader_free(&reader);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct fuzz_input input = {bytes, length};
    uint8_t how = fuzz_byte(&input), step = fuzz_byte(&input);
    struct resp_limits limits = {.bulk_bytes = how & 2 ? 100 : 1 << 29, .unauthenticated = how & 1};
    uint32_t ahead = how & 4 ? 1 : RESP_AHEAD;
    static char memory[2][OUT_BYTES_MAX];
    struct readings whole = {.bytes = memory[0]}, cut = {.bytes = memory[1]};

    read_stream(input.bytes, input.length, &limits, ahead, 0, &whole);
    read_stream(input.bytes, input.length, &limits, RESP_AHEAD, step % 17 + 1, &cut);
    if (whole.length != cut.length || memcmp(whole.bytes, cut.bytes, whole.length) != 0) {
        fuzz_fault("other commands were read when the stream came in pieces of %d", step % 17 + 1);
    }
    if (whole.end != cut.end || strcmp(whole.error, cut.error) != 0) {
        fuzz_fault("another end when the stream came in pieces: '%s', '%s'", whole.error, cut.error);
    }
    return 0;
}
