/* test_object.c: filling, sealing and believing the record behind a slot (fusee/object.h, trap T6). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fusee/object.h"
#include "fusee/sizeclass.h"
#include "fusee/word.h"

#define HASH UINT64_C(0x0123456789abcdef)
#define OBJECT_MAX 4096u

struct sample {
    _Alignas(64) uint8_t memory[OBJECT_MAX];
    uint32_t bytes, room; /* of the object, of its class */
    uint64_t word;
    struct dm_key key;
};

static const char whole_value[] = "a value that was put together from three parts";

/* A value of three parts, of which one is empty, as APPEND makes it. */
static struct sample sample_make(const char *key, uint16_t space) {
    struct sample sample = {.key = {key, (uint32_t)strlen(key), space}};
    memset(sample.memory, 0xee, sizeof sample.memory);
    struct object_content content = {
        .key = &sample.key,
        .hash = HASH,
        .write = {.part = {{whole_value, 10}, {NULL, 0}, {whole_value + 10, sizeof whole_value - 11}},
                  .type = 3,
                  .encoding = 9,
                  .expire_ms = 1234567},
    };
    sample.bytes = object_fill(sample.memory, &content);
    uint8_t size_class = sizeclass_for(sample.bytes);
    sample.room = sizeclass_bytes(size_class);
    sample.word = word_make((struct word_parts){7, WORD_LIVE_BLIND, size_class, 5, 1 << 20});
    object_seal(sample.memory, &(struct object_names){sample.word, 64, 99, sample.word, {4096, 17 << 16 | 2}});
    return sample;
}

static enum object_verdict check(const struct sample *sample, uint64_t word, const struct dm_key *key) {
    return object_check(sample->memory, sample->room, word, key, HASH);
}

static void a_sealed_object_is_good_and_says_what_was_put_in(void **state) {
    (void)state;
    struct sample sample = sample_make("key", 4);
    const struct object_header *header = object_header(sample.memory);
    assert_int_equal(sample.bytes, object_bytes(3, sizeof whole_value - 1));
    assert_int_equal(sample.bytes % 8, 0);
    assert_int_equal(check(&sample, sample.word, &sample.key), OBJECT_GOOD);
    assert_int_equal(header->key_length, 3);
    assert_int_equal(header->value_length, sizeof whole_value - 1);
    assert_int_equal(header->expire_ms, 1234567);
    assert_int_equal(header->type, 3);
    assert_int_equal(header->encoding, 9);
    assert_int_equal(header->space, 4);
    assert_int_equal(header->prev, 99);
    assert_int_equal(header->origin, sample.word);
    assert_memory_equal(object_key(sample.memory), "key", 3);
    assert_memory_equal(object_value(sample.memory), whole_value, sizeof whole_value - 1);
    const struct object_log *log = (const void *)(sample.memory + sample.bytes - sizeof *log);
    assert_int_equal(log->next, 4096);
    assert_int_equal(log->sequence_client, 17 << 16 | 2);
    assert_int_equal(sample.memory[sample.bytes], 0xee); /* nothing behind it was touched */
}

static void no_flipped_bit_goes_unnoticed(void **state) {
    (void)state;
    struct sample sample = sample_make("key", 4);
    for (uint32_t i = 0; i < sample.bytes * 8; i++) {
        sample.memory[i / 8] ^= (uint8_t)(1u << i % 8);
        if (check(&sample, sample.word, &sample.key) != OBJECT_BAD ||
            object_whole(sample.memory, sample.room, sample.word)) {
            /* Kind and fingerprint of `self` are not its identity, but the checksum covers them. */
            fail_msg("bit %u of byte %u flipped, and nobody saw it", i % 8, i / 8);
        }
        sample.memory[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    assert_int_equal(check(&sample, sample.word, &sample.key), OBJECT_GOOD);
}

static void every_torn_write_is_bad(void **state) {
    (void)state;
    struct sample old = sample_make("key", 4);
    struct sample new = sample_make("key", 4);
    new.word = word_make((struct word_parts){7, WORD_LIVE_BLIND, word_class(old.word), 6, 1 << 20});
    object_seal(new.memory, &(struct object_names){new.word, 64, 100, new.word, {8192, 18 << 16 | 2}});
    for (uint32_t cut = 8; cut < old.bytes; cut += 8) { /* torn at words, either part first */
        struct sample torn = old;
        memcpy(torn.memory, new.memory, cut);
        assert_int_equal(check(&torn, new.word, &new.key), OBJECT_BAD);
        assert_int_equal(check(&torn, old.word, &old.key), OBJECT_BAD);
        torn = new;
        memcpy(torn.memory, old.memory, cut);
        assert_int_equal(check(&torn, new.word, &new.key), OBJECT_BAD);
        assert_int_equal(check(&torn, old.word, &old.key), OBJECT_BAD);
    }
}

static void a_truncated_object_is_bad(void **state) {
    (void)state;
    struct sample sample = sample_make("key", 4);
    for (uint32_t bytes = 0; bytes < sample.bytes; bytes++) {
        assert_int_equal(object_check(sample.memory, bytes, sample.word, &sample.key, HASH), OBJECT_BAD);
    }
    assert_int_equal(object_check(sample.memory, sample.room, sample.word, &sample.key, HASH), OBJECT_GOOD);
}

static void lengths_that_lie_are_not_followed(void **state) {
    (void)state;
    static const uint32_t lengths[] = {0, 1, 4000, 65535, 0x7fffffff, UINT32_MAX - 63, UINT32_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct sample sample = sample_make("key", 4);
        ((struct object_header *)(void *)sample.memory)->key_length = lengths[i];
        assert_int_equal(check(&sample, sample.word, &sample.key), OBJECT_BAD);
        sample = sample_make("key", 4);
        ((struct object_header *)(void *)sample.memory)->value_length = lengths[i];
        assert_int_equal(check(&sample, sample.word, &sample.key), OBJECT_BAD);
    }
}

static void an_object_of_another_tag_or_address_is_bad(void **state) {
    (void)state;
    struct sample sample = sample_make("key", 4);
    uint8_t size_class = word_class(sample.word);
    assert_int_equal(
        check(&sample, word_make((struct word_parts){7, WORD_LIVE_BLIND, size_class, 4, 1 << 20}), &sample.key),
        OBJECT_BAD);
    assert_int_equal(
        check(&sample, word_make((struct word_parts){7, WORD_LIVE_BLIND, size_class, 5, 2 << 20}), &sample.key),
        OBJECT_BAD);
    assert_int_equal(
        check(&sample, word_make((struct word_parts){7, WORD_LIVE_RMW, size_class, 5, 1 << 20}), &sample.key),
        OBJECT_GOOD); /* the kind is not its name */
}

static void another_key_is_another_key(void **state) {
    (void)state;
    struct sample sample = sample_make("key", 4);
    const struct dm_key others[] = {{"kez", 3, 4}, {"ke", 2, 4}, {"key1", 4, 4}, {"key", 3, 5}, {"", 0, 4}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(check(&sample, sample.word, &others[i]), OBJECT_OTHER_KEY);
        assert_false(object_key_matches(sample.memory, sample.room, sample.word, &others[i], HASH));
    }
    assert_int_equal(object_check(sample.memory, sample.room, sample.word, &sample.key, HASH + 1), OBJECT_OTHER_KEY);
}

static void the_key_alone_can_be_compared(void **state) {
    (void)state;
    struct sample sample = sample_make("key", 4);
    uint32_t need = (uint32_t)sizeof(struct object_header) + 3;
    memset(sample.memory + need, 0, sizeof sample.memory - need); /* not read */
    assert_true(object_key_matches(sample.memory, need, sample.word, &sample.key, HASH));
    assert_false(object_key_matches(sample.memory, need - 1, sample.word, &sample.key, HASH));
    assert_false(object_key_matches(sample.memory, need, sample.word + 1, &sample.key, HASH));
}

static void an_object_can_be_sealed_again(void **state) {
    (void)state;
    struct sample sample = sample_make("key", 4);
    uint64_t word = word_make((struct word_parts){7, WORD_LIVE_RMW, word_class(sample.word), 9, 3 << 20});
    object_seal(sample.memory, &(struct object_names){word, 128, sample.word, word, {0, 18 << 16 | 2}});
    assert_int_equal(check(&sample, sample.word, &sample.key), OBJECT_BAD);
    assert_int_equal(check(&sample, word, &sample.key), OBJECT_GOOD);
}

static void empty_keys_and_values_make_an_object(void **state) {
    (void)state;
    _Alignas(64) uint8_t memory[SIZECLASS_BYTES_MIN];
    struct dm_key key = {"", 0, 0};
    struct object_content content = {.key = &key, .hash = HASH};
    assert_int_equal(object_fill(memory, &content), object_bytes(0, 0));
    assert_int_equal(object_bytes(0, 0), 80);
    uint64_t word = word_make((struct word_parts){0, WORD_TOMBSTONE, 0, 1, 64});
    object_seal(memory, &(struct object_names){word, 0, 0, word, {0, 0}});
    assert_int_equal(object_check(memory, sizeof memory, word, &key, HASH), OBJECT_GOOD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sealed_object_is_good_and_says_what_was_put_in),
        cmocka_unit_test(no_flipped_bit_goes_unnoticed),
        cmocka_unit_test(every_torn_write_is_bad),
        cmocka_unit_test(a_truncated_object_is_bad),
        cmocka_unit_test(lengths_that_lie_are_not_followed),
        cmocka_unit_test(an_object_of_another_tag_or_address_is_bad),
        cmocka_unit_test(another_key_is_another_key),
        cmocka_unit_test(the_key_alone_can_be_compared),
        cmocka_unit_test(an_object_can_be_sealed_again),
        cmocka_unit_test(empty_keys_and_values_make_an_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
