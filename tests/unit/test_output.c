/* test_output.c: what is appended arrives, in order, once, however little the socket takes at a time. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "output.h"

struct pipe_ends {
    int near, far;
};

/* A pair of non-blocking sockets with the smallest buffers that the kernel gives. */
static struct pipe_ends pipe_open(void) {
    int ends[2], small = 1;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    setsockopt(ends[1], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    return (struct pipe_ends){ends[0], ends[1]};
}

static void pipe_close(struct pipe_ends ends) {
    close(ends.near);
    if (ends.far >= 0) {
        close(ends.far);
    }
}

static void pieces_of_every_size_arrive_in_order_through_a_tiny_socket(void **state) {
    struct pipe_ends ends = pipe_open();
    struct output_pool pool = {0};
    struct output output;
    size_t total = 0, got = 0, written = 0;
    unsigned seed = 99;
    size_t capacity = 4 << 20;
    char *sent = malloc(capacity), *seen = malloc(capacity);
    int blocked = 0, result;

    (void)state;
    output_init(&output);
    output.pool = &pool;
    for (int i = 0; i < 400; i++) {
        size_t size = (size_t)rand_r(&seed) % (i % 40 == 0 ? 100000 : 900);
        for (size_t k = 0; k < size; k++) {
            sent[total + k] = (char)rand_r(&seed);
        }
        if (i % 3 == 0 && size <= OUTPUT_RESERVE_BYTES_MAX) {
            char *room = output_reserve(&output, size);
            memcpy(room, sent + total, size);
            output_commit(&output, size);
        } else {
            output_append(&output, sent + total, size);
        }
        total += size;
    }
    assert_int_equal(output.bytes, total);
    while ((result = output_flush(&output, ends.near, &written)) == 0) {
        ssize_t count = read(ends.far, seen + got, 1 + (size_t)rand_r(&seed) % 3000);
        got += count > 0 ? (size_t)count : 0;
        assert_int_equal(output.bytes, total - written);
        blocked++;
    }
    assert_int_equal(result, 1);
    assert_true(blocked > 10);
    for (ssize_t count; (count = read(ends.far, seen + got, capacity - got)) > 0;) {
        got += (size_t)count;
    }
    assert_int_equal(written, total);
    assert_int_equal(got, total);
    assert_memory_equal(seen, sent, total);
    assert_null(output.first);
    output_free(&output);
    output_pool_free(&pool);
    free(sent);
    free(seen);
    pipe_close(ends);
}

static void bytes_appended_while_blocked_come_behind_those_that_wait(void **state) {
    struct pipe_ends ends = pipe_open();
    struct output output;
    size_t written = 0, got = 0;
    char big[200000];
    static char seen[sizeof big * 2 + 16];

    (void)state;
    output_init(&output);
    memset(big, 'a', sizeof big);
    output_append(&output, big, sizeof big);
    assert_int_equal(output_flush(&output, ends.near, &written), 0);
    memset(big, 'b', sizeof big);
    output_append(&output, big, sizeof big);
    while (output_flush(&output, ends.near, &written) == 0) {
        ssize_t count = read(ends.far, seen + got, sizeof seen - got);
        got += count > 0 ? (size_t)count : 0;
    }
    for (ssize_t count; (count = read(ends.far, seen + got, sizeof seen - got)) > 0;) {
        got += (size_t)count;
    }
    assert_int_equal(got, sizeof big * 2);
    for (size_t i = 0; i < got; i++) {
        assert_int_equal(seen[i], i < sizeof big ? 'a' : 'b');
    }
    pipe_close(ends);
}

static void a_closed_peer_is_an_error(void **state) {
    struct pipe_ends ends = pipe_open();
    struct output output;
    size_t written = 0;

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    close(ends.far);
    ends.far = -1;
    output_init(&output);
    output_append(&output, "x", 1);
    assert_int_equal(output_flush(&output, ends.near, &written), -1);
    assert_int_equal(errno, EPIPE);
    assert_int_equal(output.bytes, 1);
    output_free(&output);
    pipe_close(ends);
}

static void nothing_to_send_is_all_sent(void **state) {
    struct output output;
    size_t written = 0;

    (void)state;
    output_init(&output);
    output_append(&output, "", 0);
    assert_int_equal(output_flush(&output, -1, &written), 1);
    assert_int_equal(written, 0);
}

static void chunks_are_reused_and_large_ones_are_not_kept(void **state) {
    struct pipe_ends ends = pipe_open();
    struct output_pool pool = {0};
    struct output output;
    size_t written = 0;

    (void)state;
    output_init(&output);
    output.pool = &pool;
    output_append(&output, "x", 1);
    const void *first = output.first;
    assert_int_equal(output_flush(&output, ends.near, &written), 1);
    assert_int_equal(pool.count, 1);
    output_append(&output, "y", 1);
    assert_ptr_equal(output.first, first);
    assert_int_equal(pool.count, 0);
    output_free(&output);
    assert_int_equal(pool.count, 1);
    char *big = calloc(1, 1 << 20);
    output_append(&output, big, 1 << 20);
    assert_int_equal(output.bytes, 1 << 20);
    output_free(&output);
    assert_int_equal(pool.count, 1);
    assert_int_equal(output.bytes, 0);
    free(big);
    output_pool_free(&pool);
    pipe_close(ends);
}

static void appending_fails_beyond_the_limit_and_keeps_what_there_was(void **state) {
    struct output output;
    char *piece = calloc(1, 10000);

    (void)state;
    output_init(&output);
    output.bytes_max = 100000;
    for (int i = 0; i < 1000; i++) {
        output_append(&output, piece, 10000);
    }
    assert_true(output.failed);
    assert_true(output.bytes > 100000 && output.bytes < 150000);
    assert_null(output_reserve(&output, OUTPUT_RESERVE_BYTES_MAX));
    output_free(&output);
    free(piece);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_of_every_size_arrive_in_order_through_a_tiny_socket),
        cmocka_unit_test(bytes_appended_while_blocked_come_behind_those_that_wait),
        cmocka_unit_test(a_closed_peer_is_an_error),
        cmocka_unit_test(nothing_to_send_is_all_sent),
        cmocka_unit_test(appending_fails_beyond_the_limit_and_keeps_what_there_was),
        cmocka_unit_test(chunks_are_reused_and_large_ones_are_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
