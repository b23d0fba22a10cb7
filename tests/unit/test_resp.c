/* test_resp.c: the RESP reader: what it understands, wherever the stream is cut, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "resp.h"

#define LOG_BYTES (1u << 16)

static const struct resp_limits plain_limits = {.bulk_bytes = 512 << 20};

/* ---- A client of the reader that behaves as a connection does ---- */

struct stream { /* what was read so far, as text: "<length>:<bytes>,..." and a newline behind each command */
    struct resp_reader reader;
    char *buffer; /* a fresh one for every piece, so that stale pointers show under sanitizers */
    size_t length;
    char log[LOG_BYTES];
    size_t logged;
    uint32_t commands;
    enum resp_result result;
};

static void stream_open(struct stream *stream) {
    memset(stream, 0, sizeof *stream);
    resp_reader_init(&stream->reader);
}

static void stream_close(struct stream *stream) {
    resp_reader_free(&stream->reader);
    free(stream->buffer);
}

static void stream_log(struct stream *stream, const void *bytes, size_t length) {
    assert_true(stream->logged + length < LOG_BYTES);
    memcpy(stream->log + stream->logged, bytes, length);
    stream->logged += length;
}

static void stream_take_commands(struct stream *stream) {
    for (uint32_t i = 0; i < stream->reader.command_count; i++) {
        const struct resp_arg *args = resp_command_args(&stream->reader, i);
        for (uint32_t k = 0; k < stream->reader.commands[i].count; k++) {
            char head[32];
            stream_log(stream, head, (size_t)snprintf(head, sizeof head, "%zu:", args[k].length));
            stream_log(stream, args[k].bytes, args[k].length);
            stream_log(stream, ",", 1);
        }
        stream_log(stream, "\n", 1);
        stream->commands++;
    }
}

static void stream_feed_limited(struct stream *stream, const void *bytes, size_t length, uint32_t ahead,
                                const struct resp_limits *limits) {
    char *moved = malloc(stream->length + length + 1);

    if (stream->length > 0) {
        memcpy(moved, stream->buffer, stream->length);
    }
    memcpy(moved + stream->length, bytes, length);
    free(stream->buffer);
    stream->buffer = moved;
    stream->length += length;
    do {
        size_t consumed;
        stream->result = resp_read(&stream->reader, limits, stream->buffer, stream->length, ahead, &consumed);
        stream_take_commands(stream);
        assert_true(consumed <= stream->length);
        stream->length -= consumed;
        memmove(stream->buffer, stream->buffer + consumed, stream->length);
    } while (stream->result == RESP_FULL);
}

static void stream_feed(struct stream *stream, const void *bytes, size_t length) {
    stream_feed_limited(stream, bytes, length, RESP_AHEAD, &plain_limits);
}

static void assert_stream(const struct stream *stream, const char *expected, size_t expected_length) {
    assert_int_equal(stream->logged, expected_length);
    assert_memory_equal(stream->log, expected, expected_length);
}

/* ---- What is understood ---- */

static const char sample[] = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nv\r\n\0x\r\n"
                             "PING\r\n"
                             "\r\n"
                             "*0\r\n"
                             "  set  \"a b\\x41\\n\" 'it\\'s'\t\"\"  \n"
                             "*-1\r\n"
                             "*2\r\n$0\r\n\r\n$12\r\n*1\r\n$4\r\nPING\r\n"
                             "*1\r\n$4\r\nQUIT\r\n";
static const char sample_log[] = "3:SET,1:k,5:v\r\n\0x,\n"
                                 "4:PING,\n"
                                 "3:set,5:a bA\n,4:it's,0:,\n"
                                 "0:,12:*1\r\n$4\r\nPING,\n"
                                 "4:QUIT,\n";

static void a_pipeline_of_all_forms_is_understood_in_one_piece(void **state) {
    struct stream stream;

    (void)state;
    stream_open(&stream);
    stream_feed(&stream, sample, sizeof sample - 1);
    assert_int_equal(stream.result, RESP_MORE);
    assert_int_equal(stream.length, 0);
    assert_stream(&stream, sample_log, sizeof sample_log - 1);
    stream_close(&stream);
}

static void every_cut_into_three_gives_the_same_commands(void **state) {
    (void)state;
    for (size_t first = 0; first <= sizeof sample - 1; first++) {
        for (size_t second = first; second <= sizeof sample - 1; second++) {
            struct stream stream;
            stream_open(&stream);
            stream_feed(&stream, sample, first);
            stream_feed(&stream, sample + first, second - first);
            stream_feed(&stream, sample + second, sizeof sample - 1 - second);
            assert_stream(&stream, sample_log, sizeof sample_log - 1);
            stream_close(&stream);
        }
    }
}

static void one_byte_at_a_time_gives_the_same_commands_whatever_is_read_ahead(void **state) {
    (void)state;
    for (uint32_t ahead = 1; ahead <= RESP_AHEAD; ahead++) {
        struct stream stream;
        stream_open(&stream);
        for (size_t i = 0; i < sizeof sample - 1; i++) {
            stream_feed_limited(&stream, sample + i, 1, ahead, &plain_limits);
        }
        assert_stream(&stream, sample_log, sizeof sample_log - 1);
        stream_close(&stream);
    }
}

static void random_cuts_of_a_long_pipeline_give_the_same_commands(void **state) {
    static char text[32768], expected[LOG_BYTES];
    size_t length = 0, expected_length = 0;
    unsigned seed = 4711;

    (void)state;
    for (int i = 0; i < 300; i++) {
        int size = rand_r(&seed) % 40;
        length += (size_t)sprintf(text + length, "*2\r\n$4\r\nECHO\r\n$%d\r\n%0*d\r\n", size > 0 ? size : 1,
                                  size > 0 ? size : 1, 7);
        expected_length += (size_t)sprintf(expected + expected_length, "4:ECHO,%d:%0*d,\n", size > 0 ? size : 1,
                                           size > 0 ? size : 1, 7);
    }
    for (int run = 0; run < 200; run++) {
        struct stream stream;
        size_t at = 0;
        stream_open(&stream);
        while (at < length) {
            size_t piece = (size_t)rand_r(&seed) % (run % 2 == 0 ? 20 : 2000) + 1;
            piece = piece < length - at ? piece : length - at;
            stream_feed(&stream, text + at, piece);
            at += piece;
        }
        assert_int_equal(stream.commands, 300);
        assert_stream(&stream, expected, expected_length);
        stream_close(&stream);
    }
}

static void no_more_commands_than_asked_for_are_read_ahead(void **state) {
    struct resp_reader reader;
    char text[] = "PING\r\nPING\r\nPING\r\nPI";
    size_t consumed;

    (void)state;
    resp_reader_init(&reader);
    assert_int_equal(resp_read(&reader, &plain_limits, text, sizeof text - 1, 2, &consumed), RESP_FULL);
    assert_int_equal(reader.command_count, 2);
    assert_int_equal(consumed, 12);
    assert_int_equal(resp_read(&reader, &plain_limits, text + 12, sizeof text - 13, 2, &consumed), RESP_MORE);
    assert_int_equal(reader.command_count, 1);
    assert_int_equal(consumed, 6);
    resp_reader_free(&reader);
}

static void a_hundred_thousand_arguments_are_read_and_their_memory_is_given_back(void **state) {
    static char text[100000 * 7 + 32];
    size_t length = (size_t)sprintf(text, "*100000\r\n"), consumed;
    struct resp_reader reader;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        length += (size_t)sprintf(text + length, "$1\r\n%c\r\n", 'a' + i % 26);
    }
    resp_reader_init(&reader);
    assert_int_equal(resp_read(&reader, &plain_limits, text, length, 1, &consumed), RESP_FULL);
    assert_int_equal(consumed, length);
    assert_int_equal(reader.commands[0].count, 100000);
    const struct resp_arg *args = resp_command_args(&reader, 0);
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(args[i].length, 1);
        assert_int_equal(args[i].bytes[0], 'a' + i % 26);
    }
    assert_int_equal(resp_read(&reader, &plain_limits, text, 0, 1, &consumed), RESP_MORE);
    assert_int_equal(resp_reader_bytes(&reader), 0);
    resp_reader_free(&reader);
}

/* ---- Effort ---- */

/* Feeds text byte by byte in place; returns the bytes that were searched for line ends. */
static uint64_t work_of_a_slow_sender(char *text, size_t length, uint32_t commands) {
    struct resp_reader reader;
    size_t start = 0, consumed;
    uint32_t seen = 0;

    resp_reader_init(&reader);
    for (size_t end = 1; end <= length; end++) {
        assert_int_not_equal(resp_read(&reader, &plain_limits, text + start, end - start, 1, &consumed), RESP_ERROR);
        seen += reader.command_count;
        start += consumed;
    }
    assert_int_equal(seen, commands);
    uint64_t work = reader.work;
    resp_reader_free(&reader);
    return work;
}

static void a_megabyte_sent_byte_by_byte_is_never_looked_at_again(void **state) {
    size_t size = 1 << 20, length;
    char *text = malloc(size + 64);

    (void)state;
    length = (size_t)sprintf(text, "*2\r\n$4\r\nECHO\r\n$%zu\r\n", size);
    memset(text + length, 'x', size);
    memcpy(text + length + size, "\r\n", 2);
    assert_true(work_of_a_slow_sender(text, length + size + 2, 1) < 200);
    free(text);
}

static void an_inline_request_sent_byte_by_byte_is_searched_once(void **state) {
    size_t size = 60000;
    char *text = malloc(size + 2);

    (void)state;
    memset(text, 'x', size);
    memcpy(text + size, "\r\n", 2);
    uint64_t work = work_of_a_slow_sender(text, size + 2, 1);
    assert_true(work >= size && work <= size + 10);
    free(text);
}

/* ---- What is refused ---- */

struct refusal {
    const char *text, *error;
};

static void assert_refused(const char *text, size_t length, const char *error, const struct resp_limits *limits) {
    struct stream whole, bytewise;

    stream_open(&whole);
    stream_feed_limited(&whole, text, length, RESP_AHEAD, limits);
    assert_int_equal(whole.result, RESP_ERROR);
    assert_string_equal(whole.reader.error, error);
    stream_close(&whole);
    stream_open(&bytewise);
    for (size_t i = 0; i < length; i++) {
        stream_feed_limited(&bytewise, text + i, 1, RESP_AHEAD, limits);
        if (bytewise.result == RESP_ERROR) {
            break;
        }
    }
    assert_int_equal(bytewise.result, RESP_ERROR);
    assert_string_equal(bytewise.reader.error, error);
    stream_close(&bytewise);
}

static void malformed_requests_are_refused_with_redis_error_texts(void **state) {
    static const struct refusal refusals[] = {
        {"*2147483648\r\n", "Protocol error: invalid multibulk length"},
        {"*99999999999999999999999\r\n", "Protocol error: invalid multibulk length"},
        {"*9223372036854775808\r\n", "Protocol error: invalid multibulk length"},
        {"*01\r\n", "Protocol error: invalid multibulk length"},
        {"*-0\r\n", "Protocol error: invalid multibulk length"},
        {"*\r\n", "Protocol error: invalid multibulk length"},
        {"* 1\r\n", "Protocol error: invalid multibulk length"},
        {"*1x\r\n", "Protocol error: invalid multibulk length"},
        {"*1\r\n+OK\r\n", "Protocol error: expected '$', got '+'"},
        {"*1\r\n\r\n", "Protocol error: expected '$', got ' '"},
        {"*2\r\n$1\r\na\r\n:1\r\n", "Protocol error: expected '$', got ':'"},
        {"*1\r\n$\r\n", "Protocol error: invalid bulk length"},
        {"*1\r\n$-1\r\n", "Protocol error: invalid bulk length"},
        {"*1\r\n$01\r\n", "Protocol error: invalid bulk length"},
        {"*1\r\n$536870913\r\n", "Protocol error: invalid bulk length"},
        {"*1\r\n$18446744073709551616\r\n", "Protocol error: invalid bulk length"},
        {"\"foo\r\n", "Protocol error: unbalanced quotes in request"},
        {"PING \"a\"b\r\n", "Protocol error: unbalanced quotes in request"},
        {"PING 'a'b\r\n", "Protocol error: unbalanced quotes in request"},
        {"PING 'a\\'\r\n", "Protocol error: unbalanced quotes in request"},
        {"PING \"a\\\r\n", "Protocol error: unbalanced quotes in request"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        assert_refused(refusals[i].text, strlen(refusals[i].text), refusals[i].error, &plain_limits);
    }
}

static void lines_without_an_end_are_refused_beyond_64_kib(void **state) {
    static const struct refusal refusals[] = {
        {"*", "Protocol error: too big mbulk count string"},
        {"*1\r\n$", "Protocol error: too big bulk count string"},
        {"PING ", "Protocol error: too big inline request"},
    };
    size_t size = RESP_INLINE_BYTES_MAX + 16;
    char *text = malloc(size);

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct stream stream;
        memset(text, '1', size);
        memcpy(text, refusals[i].text, strlen(refusals[i].text));
        stream_open(&stream);
        stream_feed(&stream, text, RESP_INLINE_BYTES_MAX);
        assert_int_equal(stream.result, RESP_MORE);
        stream_feed(&stream, text + RESP_INLINE_BYTES_MAX, 16);
        assert_int_equal(stream.result, RESP_ERROR);
        assert_string_equal(stream.reader.error, refusals[i].error);
        stream_close(&stream);
    }
    free(text);
}

static void before_authentication_limits_are_narrow(void **state) {
    struct resp_limits limits = {.bulk_bytes = 512 << 20, .unauthenticated = true};
    struct stream stream;

    (void)state;
    assert_refused("*11\r\n", 5, "Protocol error: unauthenticated multibulk length", &limits);
    assert_refused("*1\r\n$16385\r\n", 12, "Protocol error: unauthenticated bulk length", &limits);
    stream_open(&stream);
    stream_feed_limited(&stream, "*10\r\n$16384\r\n", 13, 1, &limits);
    assert_int_equal(stream.result, RESP_MORE);
    stream_close(&stream);
}

static void the_largest_argument_is_the_configured_one(void **state) {
    struct resp_limits limits = {.bulk_bytes = 5};
    struct stream stream;

    (void)state;
    assert_refused("*1\r\n$6\r\n", 8, "Protocol error: invalid bulk length", &limits);
    stream_open(&stream);
    stream_feed_limited(&stream, "*1\r\n$5\r\nhello\r\n", 15, 1, &limits);
    assert_stream(&stream, "5:hello,\n", 9);
    stream_close(&stream);
}

static void commands_before_an_error_are_good(void **state) {
    struct resp_reader reader;
    char bad[] = "PING\r\n*x\r\nPING\r\n";
    size_t consumed;

    (void)state;
    resp_reader_init(&reader);
    assert_int_equal(resp_read(&reader, &plain_limits, bad, sizeof bad - 1, RESP_AHEAD, &consumed), RESP_ERROR);
    assert_int_equal(reader.command_count, 1);
    assert_string_equal(reader.error, "Protocol error: invalid multibulk length");
    resp_reader_free(&reader);
}

static void bytes_in_place_of_line_feeds_pass_as_in_redis(void **state) {
    struct stream stream;

    (void)state;
    stream_open(&stream);
    stream_feed(&stream, "*1\rX$4\rYPINGzz*1\r\n$4\r\nPING\r\n", 28);
    assert_stream(&stream, "4:PING,\n4:PING,\n", 16);
    stream_close(&stream);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pipeline_of_all_forms_is_understood_in_one_piece),
        cmocka_unit_test(every_cut_into_three_gives_the_same_commands),
        cmocka_unit_test(one_byte_at_a_time_gives_the_same_commands_whatever_is_read_ahead),
        cmocka_unit_test(random_cuts_of_a_long_pipeline_give_the_same_commands),
        cmocka_unit_test(no_more_commands_than_asked_for_are_read_ahead),
        cmocka_unit_test(a_hundred_thousand_arguments_are_read_and_their_memory_is_given_back),
        cmocka_unit_test(a_megabyte_sent_byte_by_byte_is_never_looked_at_again),
        cmocka_unit_test(an_inline_request_sent_byte_by_byte_is_searched_once),
        cmocka_unit_test(malformed_requests_are_refused_with_redis_error_texts),
        cmocka_unit_test(lines_without_an_end_are_refused_beyond_64_kib),
        cmocka_unit_test(before_authentication_limits_are_narrow),
        cmocka_unit_test(the_largest_argument_is_the_configured_one),
        cmocka_unit_test(commands_before_an_error_are_good),
        cmocka_unit_test(bytes_in_place_of_line_feeds_pass_as_in_redis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
