/* test_reply.c: every kind of reply in both protocols, to the byte. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "reply.h"

struct pen { /* a reply whose output can be read back */
    struct output output;
    struct reply reply;
};

static void pen_open(struct pen *pen, int protocol) {
    output_init(&pen->output);
    pen->reply.output = &pen->output;
    pen->reply.protocol = protocol;
}

/* What was written since, in order; through a socket, as a client sees it. */
static void assert_written(struct pen *pen, const char *expected, size_t length) {
    char *seen = malloc(length + 1);
    size_t written = 0;
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(pen->output.bytes, length);
    assert_int_equal(output_flush(&pen->output, ends[0], &written), 1);
    assert_int_equal(written, length);
    assert_int_equal(recv(ends[1], seen, length, MSG_WAITALL), (int)length);
    assert_memory_equal(seen, expected, length);
    free(seen);
    close(ends[0]);
    close(ends[1]);
}

static void assert_text(struct pen *pen, const char *expected) { assert_written(pen, expected, strlen(expected)); }

static void status_error_and_bulk_are_the_same_in_both_protocols(void **state) {
    (void)state;
    for (int protocol = 2; protocol <= 3; protocol++) {
        struct pen pen;
        pen_open(&pen, protocol);
        reply_status(&pen.reply, "PONG");
        reply_ok(&pen.reply);
        reply_error(&pen.reply, "ERR syntax error");
        reply_errorf(&pen.reply, "ERR unknown command '%s', %d", "a\r\nb", 7);
        reply_error(&pen.reply, "ERR modifier 'a\r\n+OK\r\nb'");
        reply_bulk(&pen.reply, "a\0b", 3);
        reply_bulk(&pen.reply, NULL, 0);
        reply_bulk_text(&pen.reply, "text");
        reply_bulk_integer(&pen.reply, -12);
        reply_array(&pen.reply, 3);
        static const char expected[] = "+PONG\r\n+OK\r\n-ERR syntax error\r\n-ERR unknown command 'a  b', 7\r\n"
                                       "-ERR modifier 'a  +OK  b'\r\n"
                                       "$3\r\na\0b\r\n$0\r\n\r\n$4\r\ntext\r\n$3\r\n-12\r\n*3\r\n";
        assert_written(&pen, expected, sizeof expected - 1);
    }
}

static void resp2_flattens_what_only_resp3_has(void **state) {
    struct pen pen;

    (void)state;
    pen_open(&pen, 2);
    reply_null(&pen.reply);
    reply_null_array(&pen.reply);
    reply_map(&pen.reply, 4);
    reply_set(&pen.reply, 5);
    reply_boolean(&pen.reply, true);
    reply_boolean(&pen.reply, false);
    reply_verbatim(&pen.reply, "abc", 3, "txt");
    assert_text(&pen, "$-1\r\n*-1\r\n*8\r\n*5\r\n:1\r\n:0\r\n$3\r\nabc\r\n");
}

static void resp3_has_types_of_its_own(void **state) {
    struct pen pen;

    (void)state;
    pen_open(&pen, 3);
    reply_null(&pen.reply);
    reply_null_array(&pen.reply);
    reply_map(&pen.reply, 4);
    reply_set(&pen.reply, 5);
    reply_boolean(&pen.reply, true);
    reply_boolean(&pen.reply, false);
    reply_verbatim(&pen.reply, "abc", 3, "txt");
    assert_text(&pen, "_\r\n_\r\n%4\r\n~5\r\n#t\r\n#f\r\n=7\r\ntxt:abc\r\n");
}

static void doubles_have_17_digits(void **state) {
    static const struct {
        double value;
        const char *text;
    } doubles[] = {{0, "0"},
                   {-0.0, "-0"},
                   {1, "1"},
                   {0.1, "0.10000000000000001"},
                   {-1.5, "-1.5"},
                   {1e22, "1e+22"},
                   {3.14159265358979312, "3.1415926535897931"},
                   {INFINITY, "inf"},
                   {-INFINITY, "-inf"},
                   {NAN, "nan"},
                   {-NAN, "nan"},
                   {-1.7976931348623157e308, "-1.7976931348623157e+308"}};

    (void)state;
    for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++) {
        struct pen pen;
        char expected[64];
        pen_open(&pen, 2);
        reply_double(&pen.reply, doubles[i].value);
        snprintf(expected, sizeof expected, "$%zu\r\n%s\r\n", strlen(doubles[i].text), doubles[i].text);
        assert_text(&pen, expected);
        pen_open(&pen, 3);
        reply_double(&pen.reply, doubles[i].value);
        snprintf(expected, sizeof expected, ",%s\r\n", doubles[i].text);
        assert_text(&pen, expected);
    }
}

static void assert_integer(long long value) {
    struct pen pen;
    char expected[128], digits[32];

    snprintf(digits, sizeof digits, "%lld", value);
    snprintf(expected, sizeof expected, ":%s\r\n$%zu\r\n%s\r\n", digits, strlen(digits), digits);
    pen_open(&pen, 2);
    reply_integer(&pen.reply, value);
    reply_bulk_integer(&pen.reply, value);
    assert_text(&pen, expected);
}

static void integers_of_every_length_and_sign_are_right(void **state) {
    (void)state;
    for (long long value = -1200; value <= 1200; value++) {
        assert_integer(value);
    }
    for (unsigned long long power = 1; power < UINT64_C(9000000000000000000); power *= 10) {
        assert_integer((long long)power - 1);
        assert_integer((long long)power);
        assert_integer(-(long long)power);
        if (power == UINT64_C(1000000000000000000)) {
            break;
        }
    }
    assert_integer(INT64_MAX);
    assert_integer(INT64_MIN);
}

static void bulks_of_every_size_around_the_chunk_are_whole(void **state) {
    static const size_t sizes[] = {1, 4060, 4070, 4071, 4072, 4073, 4096, 16300, 16384, 16400, 70000};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct pen pen;
        size_t size = sizes[i];
        char *value = malloc(size), *expected = malloc(2 * size + 64);
        for (size_t k = 0; k < size; k++) {
            value[k] = (char)(k * 7);
        }
        size_t length = (size_t)sprintf(expected, "$%zu\r\n", size);
        memcpy(expected + length, value, size);
        memcpy(expected + length + size, "\r\n", 2);
        pen_open(&pen, 2);
        reply_bulk(&pen.reply, value, size);
        assert_written(&pen, expected, length + size + 2);
        free(value);
        free(expected);
    }
}

static void a_very_long_error_is_cut_and_stays_one_line(void **state) {
    struct pen pen;
    char *name = malloc(10001), *expected = malloc(OUTPUT_RESERVE_BYTES_MAX);

    (void)state;
    memset(name, 'x', 10000);
    name[10000] = '\0';
    memset(expected, 'x', OUTPUT_RESERVE_BYTES_MAX);
    memcpy(expected, "-ERR ", 5);
    memcpy(expected + OUTPUT_RESERVE_BYTES_MAX - 2, "\r\n", 2);
    pen_open(&pen, 2);
    reply_errorf(&pen.reply, "ERR %s", name);
    assert_written(&pen, expected, OUTPUT_RESERVE_BYTES_MAX);
    free(name);
    free(expected);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_error_and_bulk_are_the_same_in_both_protocols),
        cmocka_unit_test(resp2_flattens_what_only_resp3_has),
        cmocka_unit_test(resp3_has_types_of_its_own),
        cmocka_unit_test(doubles_have_17_digits),
        cmocka_unit_test(integers_of_every_length_and_sign_are_right),
        cmocka_unit_test(bulks_of_every_size_around_the_chunk_are_whole),
        cmocka_unit_test(a_very_long_error_is_cut_and_stays_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
