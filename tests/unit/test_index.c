/* test_index.c: where a key may lie, and which slot an insert takes (fusee/index.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fusee/index.h"
#include "fusee/word.h"

#define KEYS 20000u
#define SEED UINT64_C(77)

static uint64_t hash_of(uint32_t i) {
    char name[16];
    struct dm_key key = {name, (uint32_t)snprintf(name, sizeof name, "key%u", i), 0};
    return index_hash(&key, SEED);
}

/* A hash whose two buckets lie in one group (both mains share the overflow bucket), or in two. */
static uint64_t hash_with(bool one_group) {
    for (uint32_t i = 0;; i++) {
        struct index_place place = index_place(hash_of(i));
        int apart = place.first_slot[0] - place.first_slot[1];
        if ((abs(apart) == INDEX_BUCKET_SLOTS) == one_group) {
            return hash_of(i);
        }
    }
}

static uint64_t live(uint8_t fingerprint, uint32_t unit) {
    return word_make((struct word_parts){fingerprint, WORD_LIVE_BLIND, 0, 0, UINT64_C(64) * unit});
}

struct table {
    uint64_t slots[INDEX_SLOTS];
    uint64_t buckets[2][INDEX_COMBINED_SLOTS];
    struct index_view view;
};

static const struct index_view *look(struct table *table, uint64_t hash) {
    struct index_place place = index_place(hash);
    for (uint32_t b = 0; b < 2; b++) {
        memcpy(table->buckets[b], table->slots + place.first_slot[b], INDEX_COMBINED_BYTES);
    }
    table->view = (struct index_view){place, (const uint64_t(*)[INDEX_COMBINED_SLOTS])table->buckets};
    return &table->view;
}

static void both_buckets_lie_in_the_subtable_and_have_different_mains(void **state) {
    (void)state;
    uint32_t used[INDEX_MAINS] = {0};
    for (uint32_t i = 0; i < KEYS; i++) {
        struct index_place place = index_place(hash_of(i));
        uint32_t mains[2];
        for (uint32_t b = 0; b < 2; b++) {
            assert_true(place.first_slot[b] % INDEX_BUCKET_SLOTS == 0);
            assert_true(place.first_slot[b] + INDEX_COMBINED_SLOTS <= INDEX_SLOTS);
            uint32_t bucket = place.first_slot[b] / INDEX_BUCKET_SLOTS; /* groups of main, overflow, main */
            assert_int_equal(bucket % 3, place.main_second[b] ? 1 : 0);
            mains[b] = bucket / 3 * 2 + place.main_second[b];
            used[mains[b]]++;
        }
        assert_int_not_equal(mains[0], mains[1]);
    }
    for (uint32_t m = 0; m < INDEX_MAINS; m++) { /* 476 expected, within 6 standard deviations */
        assert_in_range(used[m], 476 - 130, 476 + 130);
    }
    assert_int_equal(index_slot_offset(INDEX_SLOTS - 1) + 8, 8192 - 64); /* 64 bytes stay unused */
}

static void a_hash_depends_on_key_space_and_seed(void **state) {
    (void)state;
    struct dm_key a = {"same", 4, 0};
    struct dm_key b = {"same", 4, 1};
    struct dm_key c = {"sama", 4, 0};
    assert_int_equal(index_hash(&a, 1), index_hash(&a, 1));
    assert_int_not_equal(index_hash(&a, 1), index_hash(&b, 1));
    assert_int_not_equal(index_hash(&a, 1), index_hash(&c, 1));
    assert_int_not_equal(index_hash(&a, 1), index_hash(&a, 2));
    assert_int_equal(index_prefix(UINT64_MAX, 0), 0);
    assert_int_equal(index_prefix(UINT64_C(5) << 60, 4), 5);
}

static void fingerprint_prefix_and_place_are_independent(void **state) {
    (void)state;
    uint32_t same = 0;
    for (uint32_t i = 0; i < KEYS; i++) { /* keys that share prefix and place share the fingerprint by chance only */
        uint64_t x = hash_of(i);
        uint64_t y = hash_of(i + KEYS);
        same += index_fingerprint(x) == index_fingerprint(y);
    }
    assert_in_range(same, 20, 160); /* 78 expected */
}

static void every_candidate_is_found_once(void **state) {
    (void)state;
    for (int one_group = 0; one_group < 2; one_group++) {
        uint64_t hash = hash_with(one_group);
        uint8_t fingerprint = index_fingerprint(hash);
        struct table table = {0};
        for (uint32_t s = 0; s < INDEX_SLOTS; s++) {
            table.slots[s] = live(fingerprint, s + 1);
        }
        struct index_candidate found[INDEX_CANDIDATES_MAX];
        uint32_t count = index_candidates(look(&table, hash), fingerprint, INDEX_WANT_LIVE, found);
        assert_int_equal(count, one_group ? 24 : 32);
        bool seen[INDEX_SLOTS] = {false};
        for (uint32_t i = 0; i < count; i++) {
            assert_false(seen[found[i].slot]);
            seen[found[i].slot] = true;
            assert_int_equal(found[i].word, table.slots[found[i].slot]);
        }
    }
}

static void only_wanted_kinds_of_the_fingerprint_are_candidates(void **state) {
    (void)state;
    uint64_t hash = hash_with(false);
    uint8_t fingerprint = index_fingerprint(hash);
    struct index_place place = index_place(hash);
    static const struct {
        enum word_kind kind;
        uint32_t want;
    } kinds[] = {
        {WORD_LIVE_BLIND, INDEX_WANT_LIVE},
        {WORD_LIVE_RMW, INDEX_WANT_LIVE},
        {WORD_TOMBSTONE, INDEX_WANT_TOMBSTONE},
        {WORD_PROVISIONAL, INDEX_WANT_PROVISIONAL},
        {WORD_EMPTY, 0},
        {WORD_FROZEN_LIVE, 0},
    };
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        for (uint32_t want = 0; want < 8; want++) {
            struct table table = {0};
            struct index_candidate found[INDEX_CANDIDATES_MAX];
            table.slots[place.first_slot[1] + 9] = word_with_kind(live(fingerprint, 5), kinds[k].kind);
            table.slots[place.first_slot[0] + 3] = live((uint8_t)(fingerprint + 1), 6);
            uint32_t count = index_candidates(look(&table, hash), fingerprint, want, found);
            assert_int_equal(count, (kinds[k].want & want) != 0);
            assert_true(count == 0 || found[0].slot == place.first_slot[1] + 9);
            assert_int_equal(index_has_unknown(&table.view), kinds[k].kind == WORD_FROZEN_LIVE);
        }
    }
}

static bool is_main(const struct index_place *place, uint16_t slot, uint32_t b) {
    int i = slot - place->first_slot[b];
    return i >= 0 && i < (int)INDEX_COMBINED_SLOTS && (i >= (int)INDEX_BUCKET_SLOTS) == place->main_second[b];
}

static void an_insert_takes_the_less_loaded_bucket_and_its_main_first(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 500; i++) {
        uint64_t hash = hash_of(i);
        struct index_place place = index_place(hash);
        for (uint32_t full = 0; full < 2; full++) {
            struct table table = {0};
            uint64_t word = 1;
            uint32_t main_at = place.first_slot[full] + (place.main_second[full] ? INDEX_BUCKET_SLOTS : 0u);
            table.slots[main_at] = live(1, 1);
            uint16_t slot = index_choose_empty(look(&table, hash), i, &word);
            assert_true(is_main(&place, slot, 1 - full));
            assert_int_equal(word, 0);
        }
    }
}

static void inserts_fill_every_slot_of_both_buckets_and_then_no_more(void **state) {
    (void)state;
    for (int one_group = 0; one_group < 2; one_group++) {
        for (uint32_t start = 0; start < 8; start++) {
            uint64_t hash = hash_with(one_group);
            struct table table = {0};
            uint64_t word;
            uint32_t taken = 0;
            uint16_t slot;
            while ((slot = index_choose_empty(look(&table, hash), start, &word)) != INDEX_NO_SLOT) {
                assert_int_equal(table.slots[slot], 0);
                table.slots[slot] = live(9, ++taken);
                assert_true(taken <= 32);
            }
            assert_int_equal(taken, one_group ? 24 : 32);
        }
    }
}

static void a_used_empty_word_is_handed_out_as_it_is_found(void **state) {
    (void)state;
    uint64_t hash = hash_with(false);
    struct index_place place = index_place(hash);
    struct table table = {0};
    for (uint32_t s = 0; s < INDEX_SLOTS; s++) {
        table.slots[s] = live(9, s + 1);
    }
    table.slots[place.first_slot[1] + 12] = word_emptied(live(3, 999));
    uint64_t word;
    assert_int_equal(index_choose_empty(look(&table, hash), 0, &word), place.first_slot[1] + 12);
    assert_int_equal(word, word_emptied(live(3, 999)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_buckets_lie_in_the_subtable_and_have_different_mains),
        cmocka_unit_test(a_hash_depends_on_key_space_and_seed),
        cmocka_unit_test(fingerprint_prefix_and_place_are_independent),
        cmocka_unit_test(every_candidate_is_found_once),
        cmocka_unit_test(only_wanted_kinds_of_the_fingerprint_are_candidates),
        cmocka_unit_test(an_insert_takes_the_less_loaded_bucket_and_its_main_first),
        cmocka_unit_test(inserts_fill_every_slot_of_both_buckets_and_then_no_more),
        cmocka_unit_test(a_used_empty_word_is_handed_out_as_it_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
