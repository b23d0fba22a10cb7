/* test_word.c: the 8-byte index word, the block-table word and the directory word (fusee/word.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fusee/word.h"

#define TRIES 100000

static uint64_t next_random(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return *state ^ (*state >> 29);
}

static struct word_parts random_parts(uint64_t *random) {
    return (struct word_parts){
        .fingerprint = (uint8_t)(next_random(random) >> 20),
        .kind = (enum word_kind)(next_random(random) >> 20) % (WORD_FROZEN_VOID + 1),
        .size_class = (uint8_t)(next_random(random) >> 20) & 31,
        .tag = (uint8_t)(next_random(random) >> 20) & WORD_TAG_MASK,
        .address = (next_random(random) & WORD_ADDRESS_MASK) * WORD_UNIT_BYTES,
    };
}

static void assert_parts(uint64_t word, const struct word_parts *parts) {
    assert_int_equal(word_fingerprint(word), parts->fingerprint);
    assert_int_equal(word_kind(word), parts->kind);
    assert_int_equal(word_class(word), parts->size_class);
    assert_int_equal(word_tag(word), parts->tag);
    assert_int_equal(word_address(word), parts->address);
}

static void a_word_gives_back_what_was_packed(void **state) {
    (void)state;
    uint64_t random = 1;
    for (int i = 0; i < TRIES; i++) {
        struct word_parts parts = random_parts(&random);
        assert_parts(word_make(parts), &parts);
    }
    struct word_parts most = {255, WORD_FROZEN_VOID, 31, 127, WORD_ADDRESS_MASK * WORD_UNIT_BYTES};
    assert_parts(word_make(most), &most);
    assert_int_equal(word_make((struct word_parts){0}), 0);
}

static void the_identity_is_class_tag_and_address_whatever_the_kind(void **state) {
    (void)state;
    uint64_t random = 2;
    for (int i = 0; i < TRIES; i++) {
        struct word_parts a = random_parts(&random);
        struct word_parts b = a;
        b.kind = (enum word_kind)((a.kind + 1) % 9);
        b.fingerprint ^= 0x55;
        assert_int_equal(word_identity(word_make(a)), word_identity(word_make(b)));
        b = a;
        b.tag ^= 1u << (i % 7);
        assert_int_not_equal(word_identity(word_make(a)), word_identity(word_make(b)));
        b = a;
        b.address ^= UINT64_C(64) << (i % 40);
        assert_int_not_equal(word_identity(word_make(a)), word_identity(word_make(b)));
        b = a;
        b.size_class ^= 1u << (i % 5);
        assert_int_not_equal(word_identity(word_make(a)), word_identity(word_make(b)));
    }
}

static void a_changed_kind_changes_nothing_else(void **state) {
    (void)state;
    uint64_t random = 3;
    for (int i = 0; i < TRIES; i++) {
        struct word_parts parts = random_parts(&random);
        uint64_t word = word_make(parts);
        parts.kind = (enum word_kind)(i % 9);
        assert_parts(word_with_kind(word, parts.kind), &parts);
    }
}

static void an_emptied_word_is_empty_unique_and_never_the_unused_slot(void **state) {
    (void)state;
    uint64_t random = 4;
    for (int i = 0; i < TRIES; i++) {
        struct word_parts a = random_parts(&random);
        struct word_parts b = random_parts(&random);
        a.address |= WORD_UNIT_BYTES; /* no object lies at 0 */
        uint64_t empty = word_emptied(word_make(a));
        assert_int_equal(word_kind(empty), WORD_EMPTY);
        assert_int_not_equal(empty, 0);
        if (a.address != b.address || a.tag != b.tag) {
            assert_int_not_equal(empty, word_emptied(word_make(b)));
        }
    }
}

static void kinds_are_what_they_are_called(void **state) {
    (void)state;
    static const struct {
        enum word_kind kind;
        bool live, known;
    } kinds[] = {
        {WORD_EMPTY, false, true},     {WORD_LIVE_BLIND, true, true},    {WORD_LIVE_RMW, true, true},
        {WORD_TOMBSTONE, false, true}, {WORD_PROVISIONAL, false, true},  {WORD_INTENT, false, true},
        {WORD_PREPARED, false, true},  {WORD_FROZEN_LIVE, false, false}, {WORD_FROZEN_VOID, false, false},
    };
    uint64_t random = 5;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct word_parts parts = random_parts(&random);
        parts.kind = kinds[i].kind;
        assert_int_equal(word_is_live(word_make(parts)), kinds[i].live);
        assert_int_equal(word_is_known(word_make(parts)), kinds[i].known);
    }
}

static void a_block_word_gives_back_what_was_packed(void **state) {
    (void)state;
    uint64_t random = 6;
    for (int i = 0; i < TRIES; i++) {
        enum block_state kind = (enum block_state)(i % 4);
        uint8_t size_class = (uint8_t)(next_random(&random) >> 9) & 31;
        uint16_t client = (uint16_t)(next_random(&random) >> 9);
        uint64_t word = block_word(kind, size_class, client);
        for (int turn = 0; turn < 2; turn++) {
            assert_int_equal(block_word_state(word), kind);
            assert_int_equal(block_word_class(word), size_class);
            assert_int_equal(block_word_client(word), client);
            word = block_word_after(next_random(&random), word);
        }
    }
}

static void a_block_word_never_comes_back(void **state) {
    (void)state;
    uint64_t owned = block_word(BLOCK_OWNED, 3, 7);
    uint64_t free_word = block_word(BLOCK_FREE, 3, 0);
    uint64_t word = 0;
    uint64_t first = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t before = word;
        word = block_word_after(before, i % 2 == 0 ? owned : free_word);
        assert_int_equal(word & BLOCK_GENERATION_MASK, (before & BLOCK_GENERATION_MASK) + 1);
        assert_int_not_equal(word, first);
        first = i == 0 ? word : first;
    }
    /* Its generation wraps within itself. */
    word = block_word_after(free_word | BLOCK_GENERATION_MASK, owned);
    assert_int_equal(word, owned);
}

static void a_directory_word_has_kind_and_address(void **state) {
    (void)state;
    uint64_t word = directory_word(DIRECTORY_LEAF, 5, UINT64_C(1) << 45);
    assert_int_equal(directory_word_kind(word), DIRECTORY_LEAF);
    assert_int_equal(word_address(word), UINT64_C(1) << 45);
    assert_int_equal(directory_word_kind(0), DIRECTORY_NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_gives_back_what_was_packed),
        cmocka_unit_test(the_identity_is_class_tag_and_address_whatever_the_kind),
        cmocka_unit_test(a_changed_kind_changes_nothing_else),
        cmocka_unit_test(an_emptied_word_is_empty_unique_and_never_the_unused_slot),
        cmocka_unit_test(kinds_are_what_they_are_called),
        cmocka_unit_test(a_block_word_gives_back_what_was_packed),
        cmocka_unit_test(a_block_word_never_comes_back),
        cmocka_unit_test(a_directory_word_has_kind_and_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
