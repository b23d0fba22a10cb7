/* test_snapshot.c: SNAPSHOT's verdicts with "the first backup decides" (fusee/snapshot.h), exhaustively over small
 * words, and by playing every order in which the CASes of several writers can reach the backups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fusee/snapshot.h"
#include "fusee/word.h"

#define WORDS 6u /* 0: v_old, 1: v_new, others: somebody else's */

static void the_verdict_is_what_the_first_backup_says(void **state) {
    (void)state;
    for (uint32_t backups = 1; backups <= SNAPSHOT_BACKUPS_MAX; backups++) {
        uint32_t cases = backups == 1 ? WORDS : backups == 2 ? WORDS * WORDS : WORDS * WORDS * WORDS;
        for (uint32_t c = 0; c < cases; c++) {
            uint64_t seen[SNAPSHOT_BACKUPS_MAX] = {c % WORDS + 10, c / WORDS % WORDS + 10, c / WORDS / WORDS + 10};
            bool all = true;
            for (uint32_t i = 0; i < backups; i++) {
                bool mine = seen[i] == 10 || seen[i] == 11;
                assert_int_equal(snapshot_mine(seen[i], 10, 11), mine);
                all &= mine;
            }
            enum snapshot_verdict expected = seen[0] > 11 ? SNAPSHOT_LOST : all ? SNAPSHOT_WON : SNAPSHOT_FIX;
            assert_int_equal(snapshot_judge(seen, backups, 10, 11), expected);
        }
    }
}

/* All orders of the CASes of 2 or 3 writers on 1 to 3 backups: exactly one does not lose. */
static void exactly_one_writer_wins_in_every_order(void **state) {
    (void)state;
    for (uint32_t backups = 1; backups <= SNAPSHOT_BACKUPS_MAX; backups++) {
        for (uint32_t writers = 2; writers <= 3; writers++) {
            uint32_t orders = writers; /* who comes first on each backup; the later ones fail alike */
            for (uint32_t i = 1; i < backups; i++) {
                orders *= writers;
            }
            for (uint32_t order = 0; order < orders; order++) {
                uint32_t first[SNAPSHOT_BACKUPS_MAX] = {order % writers, order / writers % writers,
                                                        order / writers / writers % writers};
                uint32_t winners = 0;
                for (uint32_t w = 0; w < writers; w++) {
                    uint64_t seen[SNAPSHOT_BACKUPS_MAX];
                    for (uint32_t i = 0; i < backups; i++) {
                        seen[i] = first[i] == w ? 10 : 20 + first[i];
                    }
                    winners += snapshot_judge(seen, backups, 10, 20 + w) != SNAPSHOT_LOST;
                }
                assert_int_equal(winners, 1);
            }
        }
    }
}

/* T1: the table of who may answer OK after a loss. */
static void t1_only_a_blind_write_may_answer_and_only_to_a_blind_one(void **state) {
    (void)state;
    for (uint32_t kind = 0; kind < 16; kind++) {
        uint64_t moved_to = word_make((struct word_parts){3, (enum word_kind)kind, 1, 2, 64});
        assert_false(snapshot_loser_may_answer(false, moved_to));
        /* Not to a tombstone: a GETDEL or an expiry may have written it. */
        assert_int_equal(snapshot_loser_may_answer(true, moved_to), kind == WORD_LIVE_BLIND);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_verdict_is_what_the_first_backup_says),
        cmocka_unit_test(exactly_one_writer_wins_in_every_order),
        cmocka_unit_test(t1_only_a_blind_write_may_answer_and_only_to_a_blind_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
