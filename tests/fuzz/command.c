/* command.c: fuzzes the whole gateway from its socket to the memory nodes of an embedded pool: connection, RESP,
 * command, replies, libdm, the local fabric. What comes back must be RESP, one reply for each command, and the gateway
 * must go on serving.
 *
 * Input: 1 byte; even: the rest makes commands by the command table (grammar.h); odd: the rest is sent as it is.
 */
#define _GNU_SOURCE
#include <string.h>

#include "fuzz.h"
#include "gateway_process.h"
#include "grammar.h"

#define SERVE_EVERY 64u /* a new client is tried after so many inputs */

/* Words of a raw stream that would only make it wait, or change what the next inputs meet. */
static const char *const avoided[] = {"pause", "sleep", "auth", "config", "acl", "user"};

static bool avoid(const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < sizeof avoided / sizeof *avoided; i++) {
        size_t n = strlen(avoided[i]);
        for (size_t at = 0; at + n <= length; at++) {
            if (strncasecmp((const char *)bytes + at, avoided[i], n) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Every input meets the same keys: none. */
static uint32_t begin(struct buffer *out) {
    buffer_add_words(out, "DEL " GRAMMAR_KEYS);
    return 1;
}

static uint32_t replies_count(const char *reply, size_t length) {
    uint32_t count = 0;

    for (size_t at = 0; at < length; count++) {
        size_t one = wire_reply_length(reply + at, length - at);
        if (one == 0 || one == SIZE_MAX) {
            fuzz_fault("reply %u is no whole RESP: %.*s", count, (int)(length - at < 100 ? length - at : 100),
                       reply + at);
        }
        at += one;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static struct buffer commands;
    static uint32_t inputs;
    struct fuzz_input input = {bytes, length};
    bool raw = fuzz_byte(&input) & 1;
    struct grammar_stream stream = {.countable = false};
    struct wire wire;
    const char *reply;
    size_t reply_length;

    if (raw && avoid(input.bytes, input.length)) {
        return -1; /* not for the corpus */
    }
    buffer_clear(&commands);
    uint32_t expected = begin(&commands);
    if (raw) {
        buffer_add(&commands, input.bytes, input.length);
    } else {
        stream = grammar_make(&input, &commands);
        expected += stream.commands;
    }
    gateway_connect(&wire);
    gateway_exchange(&wire, commands.bytes, commands.length, &reply, &reply_length);
    uint32_t count = replies_count(reply, reply_length);
    if (stream.countable && count != expected) {
        fuzz_fault("%u replies to %u commands", count, expected);
    }
    wire_close(&wire);
    if (++inputs % SERVE_EVERY == 0) {
        gateway_must_serve();
    }
    return 0;
}
