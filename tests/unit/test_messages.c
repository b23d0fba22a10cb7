/* test_messages.c: the pure parts of messages and their watching: channel tables, frames between gateways, letters of
 * notifications, histograms, moving output. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bus_frame.h"
#include "channel_map.h"
#include "histogram.h"
#include "notify.h"
#include "output.h"
#include "ticks.h"

static void a_channel_map_holds_each_name_once(void **state) {
    struct channel_map map = {0};
    char name[16];

    (void)state;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 1000; i++) {
            int length = snprintf(name, sizeof name, "channel%d", i);
            struct channel_entry *entry = channel_map_add(&map, name, (size_t)length);
            assert_non_null(entry);
            assert_int_equal(entry->count++, round);
        }
    }
    assert_int_equal(map.count, 1000);
    size_t seen = 0;
    for (struct channel_entry *e = channel_map_next(&map, NULL); e != NULL; e = channel_map_next(&map, e)) {
        seen++;
    }
    assert_int_equal(seen, 1000);
    for (int i = 0; i < 1000; i += 2) {
        int length = snprintf(name, sizeof name, "channel%d", i);
        channel_map_remove(&map, channel_map_find(&map, name, (size_t)length));
        assert_null(channel_map_find(&map, name, (size_t)length));
    }
    assert_int_equal(map.count, 500);
    assert_non_null(channel_map_find(&map, "channel999", 10));
    assert_null(channel_map_find(&map, "channel99", 0));
    channel_map_free(&map);
    assert_null(channel_map_any(&map));
}

static void both_sides_derive_the_same_keys_only_from_the_same_secret(void **state) {
    uint8_t a[BUS_NONCE_BYTES], c[BUS_NONCE_BYTES];
    struct bus_keys one, same, other;

    (void)state;
    assert_true(bus_nonce(a) && bus_nonce(c));
    bus_keys_derive("secret", a, c, &one);
    bus_keys_derive("secret", a, c, &same);
    bus_keys_derive("Secret", a, c, &other);
    assert_memory_equal(&one, &same, sizeof one);
    assert_false(bus_proof_equal(one.proof_connector, other.proof_connector));
    assert_false(bus_proof_equal(one.proof_connector, one.proof_acceptor));
    bus_keys_derive("secret", c, a, &other);
    assert_false(bus_proof_equal(one.frames, other.frames));
}

static void a_frame_that_was_changed_is_not_proven(void **state) {
    const uint8_t key[BUS_PROOF_BYTES] = {1};
    uint8_t head[BUS_HEAD_BYTES];
    char body[] = "channelmessage";
    struct bus_frame frame = {7, 7, 2, 42}, read;

    (void)state;
    bus_head_write(key, &frame, body, head);
    assert_true(bus_head_read(head, &read));
    assert_int_equal(read.sequence, 42);
    assert_true(bus_frame_proven(key, head, body));
    body[3] ^= 1;
    assert_false(bus_frame_proven(key, head, body));
    body[3] ^= 1;
    for (size_t i = 0; i < BUS_HEAD_BYTES; i++) {
        head[i] ^= 1;
        if (bus_head_read(head, &read) && read.channel_bytes + read.message_bytes <= 14) {
            assert_false(bus_frame_proven(key, head, body));
        }
        head[i] ^= 1;
    }
    const uint8_t wrong[BUS_PROOF_BYTES] = {2};
    assert_false(bus_frame_proven(wrong, head, body));
}

static void a_head_promises_no_more_than_there_may_be(void **state) {
    uint8_t head[BUS_HEAD_BYTES] = {0};
    struct bus_frame frame;

    (void)state;
    assert_true(bus_head_read(head, &frame));
    memset(head, 0xff, 4); /* the channel's length */
    assert_false(bus_head_read(head, &frame));
    memset(head, 0, sizeof head);
    head[8] = 3; /* no such kind */
    assert_false(bus_head_read(head, &frame));
}

static void assert_letters(const char *given, const char *shown) {
    char text[NOTIFY_TEXT_BYTES];
    uint32_t classes = 0;

    assert_true(notify_parse(given, strlen(given), &classes));
    notify_format(classes, text);
    assert_string_equal(text, shown);
}

static void letters_of_notifications(void **state) {
    uint32_t classes = 99;

    (void)state;
    assert_letters("", "");
    assert_letters("KEA", "AKE");
    assert_letters("g$lshzxetdKE", "AKE");
    assert_letters("Elnm", "lnEm");
    assert_letters("KEAmn", "AKEm");
    assert_false(notify_parse("KEy", 3, &classes));
    assert_int_equal(classes, 99);
}

static void every_duration_has_its_bucket(void **state) {
    (void)state;
    for (uint64_t ns = 1; ns < UINT64_C(1) << 37; ns += ns / 7 + 1) {
        uint32_t bucket = histogram_bucket(ns);
        assert_true(ns <= histogram_bucket_end_ns(bucket));
        assert_true(bucket == 0 || ns > histogram_bucket_end_ns(bucket - 1));
    }
    assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static void percentiles_are_the_ends_of_buckets(void **state) {
    uint64_t counts[HISTOGRAM_BUCKETS] = {0};

    (void)state;
    assert_int_equal(histogram_percentile_ns(counts, 500000), 0);
    counts[0] = 98;
    counts[5] = 1;
    counts[9] = 1;
    assert_int_equal(histogram_percentile_ns(counts, 500000), 1023);
    assert_int_equal(histogram_percentile_ns(counts, 990000), histogram_bucket_end_ns(5));
    assert_int_equal(histogram_percentile_ns(counts, 999000), histogram_bucket_end_ns(9));
}

static void ticks_become_nanoseconds(void **state) {
    (void)state;
    assert_int_equal(ticks_to_ns(1000, ticks_rate(3000000, 1000000)), 333);
    assert_int_equal(ticks_to_ns(5, ticks_rate(1000, 1000)), 5);
    assert_true(ticks_to_ns(UINT64_C(1) << 60, ticks_rate(1 << 20, 1 << 20)) == UINT64_C(1) << 60);
}

struct sink {
    char bytes[200000];
    size_t length;
};

static ssize_t sink_write(void *context, const void *bytes, size_t length) {
    struct sink *sink = context;

    assert_true(sink->length + length <= sizeof sink->bytes);
    memcpy(sink->bytes + sink->length, bytes, length);
    sink->length += length;
    return (ssize_t)length;
}

static void moved_output_comes_behind_what_waits(void **state) {
    struct output_pool pool = {0};
    struct output to, from;
    static struct sink sink;
    char big[40000];
    size_t written = 0;

    (void)state;
    memset(big, 'b', sizeof big);
    output_init(&to);
    output_init(&from);
    to.pool = from.pool = &pool;
    output_move(&to, &from); /* nothing */
    assert_string_equal(output_peek(&to), "");
    for (int round = 0; round < 3; round++) {
        output_append(&to, "one ", 4);
        output_append(&from, "two ", 4);
        output_append(&from, big, sizeof big);
        output_move(&to, &from);
        assert_int_equal(from.bytes, 0);
    }
    assert_int_equal(to.bytes, 3 * (8 + sizeof big));
    assert_memory_equal(output_peek(&to), "one ", 4);
    output_append(&from, "rest", 4);
    output_move(&to, &from);
    output_append(&to, " end", 4);
    assert_int_equal(output_flush_through(&to, sink_write, &sink, &written), 1);
    assert_int_equal(written, 3 * (8 + sizeof big) + 8);
    assert_int_equal(sink.length, written);
    for (int round = 0; round < 3; round++) {
        assert_memory_equal(sink.bytes + (size_t)round * (8 + sizeof big), "one two bbb", 11);
    }
    assert_memory_equal(sink.bytes + written - 8, "rest end", 8);
    output_free(&to);
    output_free(&from);
    output_pool_free(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_channel_map_holds_each_name_once),
        cmocka_unit_test(both_sides_derive_the_same_keys_only_from_the_same_secret),
        cmocka_unit_test(a_frame_that_was_changed_is_not_proven),
        cmocka_unit_test(a_head_promises_no_more_than_there_may_be),
        cmocka_unit_test(letters_of_notifications),
        cmocka_unit_test(every_duration_has_its_bucket),
        cmocka_unit_test(percentiles_are_the_ends_of_buckets),
        cmocka_unit_test(ticks_become_nanoseconds),
        cmocka_unit_test(moved_output_comes_behind_what_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
