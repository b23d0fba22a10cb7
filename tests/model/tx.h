/* tx.h: the model of transactions over several keys: prepare on the backups, publish on the primaries
 * (ARCHITECTURE.md: not in the engine yet), beside single-key rounds, readers of one and of several keys. Used by
 * main.c.
 *
 * Batch 1 CASes an intent on the backups of every key that the transaction reads or writes; batch 2 CASes all
 * primaries; then the reply. It is committed when none of its primaries shows the word it replaced. Nobody aborts a
 * living owner. r = 1: the prepared word in the only copy takes the place of the backups.
 *
 * A word is one byte: (index << 3 | form). An index names one attempt of one operation; in different slots the same
 * byte is a different word.
 */
#ifndef MODEL_TX_H
#define MODEL_TX_H

#include "explore.h"
#include "monitor.h"

#define TX_REPLICAS_MAX 3
#define TX_SLOTS_MAX 4
#define TX_CLIENTS_MAX MONITOR_CLIENTS_MAX
#define TX_OPS_MAX 2
#define TX_ATTEMPTS_MAX 3

/* Rules that can be taken away; the names are those of the runs. Bit numbers. */
#define TX_SWITCHES(X)                                                                                                 \
    X(tx_new_at_sight)        /* GET takes an intent for committed */                                                  \
    X(tx_old_always)          /* GET takes an intent for uncommitted */                                                \
    X(tx_one_other_slot)      /* GET looks at one other slot only */                                                   \
    X(tx_reply_prepared)      /* the reply comes before batch 2 */                                                     \
    X(tx_no_barrier)          /* publishes slot by slot, as each is won */                                             \
    X(tx_set_ok_by_intent)    /* a blind loser says OK when P shows an intent */                                       \
    X(tx_mget_one_collect)    /* MGET answers from one collect */                                                      \
    X(tx_mget_own_slots)      /* MGET does not look at the other slots of an intent's transaction */                   \
    X(tx_abort_old_word)      /* an abort writes the old word back */                                                  \
    X(tx_wait_holding)        /* a transaction that lost a slot waits for it while it holds others */                  \
    X(tx_insert_no_check)     /* an inserting transaction does not check */                                            \
    X(tx_check_before_cas)    /* the check's READ is not ordered behind the CAS */                                     \
    X(tx_check_skips_intents) /* the check of an insert ignores intents */                                             \
    X(tx_clear_p_first)       /* the clean of a deleted key CASes P first */                                           \
    X(tx_clear_zero)          /* the clean of a deleted key writes 0 */                                                \
    X(tx_hit_sees_deleted)    /* a hit that reads "deleted" says absent */                                             \
    X(tx_overwrite_at_sight)  /* a writer replaces an intent without waiting for its transaction */                    \
    X(tx_reads_checked_on_p)  /* keys only read get no intent, but a second look at P */                               \
    X(tx_reads_checked_on_b1) /* ... a look at B1 behind the locks */                                                  \
    X(tx_repair_back)         /* repair takes every dead transaction back */                                           \
    X(tx_repair_forward)      /* repair commits every dead transaction */                                              \
    X(tx_no_repair)           /* nobody repairs */                                                                     \
    X(st_new_undecided)       /* status word: GET takes an undecided intent for committed */                           \
    X(st_old_always)          /* GET never looks at the status */                                                      \
    X(st_reply_first)         /* the reply comes before the CAS of the status */                                       \
    X(st_one_collect)         /* MGET answers from one collect */                                                      \
    X(st_status_at_once)      /* MGET READs the status in the batch of the second collect, and answers */              \
    X(st_helper_commits)      /* who meets an undecided intent commits it */                                           \
    X(tx_failover_kept)       /* a node dies: intents stay, nobody is asked */                                         \
    X(tx_failover_undone)     /* a node dies: all intents are taken back */                                            \
    X(tx_backup_died_p_word)  /* a backup dies: P's word counts, although the transaction has passed */                \
    X(tx_doomed_publishes)    /* who has reported "not passed" goes on all the same */                                 \
    X(tx_dead_owner_back)     /* a node dies: dead owners' transactions go back */                                     \
    X(tx_dead_owner_forward)  /* a node dies: dead owners' transactions stay */                                        \
    X(tx_dead_owner_cleaned)  /* ... a cleaned word on a backup is not taken for a proof */                            \
    X(tx_waiter_sleeps)       /* a loser that waits does not notice a new epoch */

#define TX_SWITCH_ENUM(name) SWITCH_##name,
enum tx_switch { TX_SWITCHES(TX_SWITCH_ENUM) TX_SWITCH_COUNT };

struct tx_config {
    const char *program; /* operations with their keys: "T01 G0|S1|M01": SET, RMW, GET;
                            T: MSET; E: EXEC that reads the first key and writes the second; N: MSETNX; V: deletes the
                            first key, writes the second; M: MGET */
    const char *slots;   /* a letter each: a b c: live, key 0 1 2; 0 1 2: never used, for that key */
    uint8_t replicas;
    uint8_t attempts;
    bool clean;    /* the owner replaces its intents after the reply */
    bool hit;      /* operations may READ one slot of the key only */
    bool guess;    /* S and R may begin with an insert into a slot that was empty at the start */
    bool status;   /* r = 1, three slots at most: the older way, intents with a status word that any writer may abort */
    uint8_t crash; /* client + 1 that may die at any step */
    uint8_t node_dies; /* node + 1 that may die at any step */
    bool rotated;      /* key 1's primary is another node than key 0's */
    uint64_t without;
};

struct tx;

struct tx *tx_open(const struct tx_config *config, const char **error);
void tx_close(struct tx *tx);
struct explore_model tx_model(struct tx *tx);

#endif
