/* bucket.h: the model of one bucket: one to three slots on r replicas, one or two keys, clients that run short programs
 * of SET, RMW, GET, DEL verb by verb. One slot: SNAPSHOT rounds. Two slots: inserts and deletes. Used by main.c.
 *
 * The verdicts are those of the engine (fusee/snapshot.h, fusee/word.h): only the moves are modelled, as in round.c,
 * find.c, write.c and job.c. Each rule is a switch; taking it away must break something.
 *
 * A word is one byte: (index << 2 | form). An index names one attempt of one operation, so that no two attempts ever
 * write the same word; index 0 is the slot that was never used.
 */
#ifndef MODEL_BUCKET_H
#define MODEL_BUCKET_H

#include "explore.h"
#include "monitor.h"

#define BUCKET_REPLICAS_MAX 4
#define BUCKET_SLOTS_MAX 3
#define BUCKET_CLIENTS_MAX MONITOR_CLIENTS_MAX
#define BUCKET_OPS_MAX MONITOR_OPS_MAX
#define BUCKET_ATTEMPTS_MAX 4
#define BUCKET_PROCESSES_MAX 8
#define BUCKET_KNOWN_MAX 16

/* Rules that can be taken away; the names are those of the runs. Bit numbers. */
#define BUCKET_SWITCHES(X)                                                                                             \
    X(t1_blind_loses_to_rmw)    /* a blind loser says OK whatever stands in P */                                       \
    X(t2_stale_guess)           /* a stale guess counts as a lost round */                                             \
    X(guess_uncommitted)        /* a guess may be a word seen on a backup only */                                      \
    X(guess_uncertain)          /* a guess may be a word of the same fingerprint whose key was never compared */       \
    X(keep_unverified)          /* what needs no write is answered from a guess, without a READ of P */                \
    X(loser_must_wait)          /* a blind loser says OK before P has moved */                                         \
    X(fix_before_commit)        /* the winner of a split round does not fix the other backups */                       \
    X(publish_without_backups)  /* any backup won is enough to CAS P */                                                \
    X(publish_before_object)    /* the CAS of P does not wait for the object's WRITE */                                \
    X(del_plain_zero)           /* DEL writes 0 */                                                                     \
    X(clear_plain_zero)         /* the clear writes 0 */                                                               \
    X(clear_primary_first)      /* the clear CASes P, then the backups */                                              \
    X(del_without_tombstone)    /* DEL writes a unique empty word at once */                                           \
    X(tombstone_is_no_conflict) /* the check of an insert ignores tombstones */                                        \
    X(hit_sees_tombstone)       /* a hit that reads a tombstone says absent */                                         \
    X(t4_lowest_stays)          /* inserts commit without a check; afterwards the lowest slot stays */                 \
    X(insert_without_check)     /* inserts commit without a check */                                                   \
    X(insert_check_before_cas)  /* the check's READ is not ordered behind the CAS */                                   \
    X(abort_plain_zero)         /* an aborted insert leaves 0 */                                                       \
    X(abort_primary_first)      /* an abort CASes P first */                                                           \
    X(r1_without_provisional)   /* r = 1: an insert CASes the live word at once */                                     \
    X(r1_reads_provisional)     /* r = 1: readers take a provisional word for a live one */                            \
    X(mine_by_value)          /* the empty word of a clear, or of a DEL at r = 1, counts as own wherever it is met */  \
    X(foreign_winner_is_mine) /* a blind loser does not look whose key the word in P is */                             \
    X(tombstone_is_blind)     /* a blind loser takes a tombstone for its successor */                                  \
    X(key_not_compared)       /* a matching fingerprint counts as the key */                                           \
    X(insert_loser_says_ok)   /* a blind inserter that lost says OK by the rule for updates */                         \
    X(repair_back_to_old)     /* repair writes v_old back */                                                           \
    X(repair_partial_list)    /* repair decides before every backup has a word */                                      \
    X(insert_rolled_forward)  /* repair commits an insert */                                                           \
    X(repair_commits_live)    /* repair commits a living client's word */                                              \
    X(unfenced_late_cas)      /* verbs of the dead client arrive after its repair has begun */                         \
    X(repair_all_at_once)     /* two repairers CAS all backups in one batch, not the first one before the others */    \
    X(chain_needed)           /* after a death a client looks for its word in the slot only */                         \
    X(failover_without_settling) /* the nodes that are left keep their words */                                        \
    X(failover_no_fence)         /* verbs of the old epoch still arrive while the slots are settled */                 \
    X(failover_backup_word)      /* a backup dies: the last replica's word goes everywhere, not P's */                 \
    X(failover_insert_kept)      /* P dies: every insert stays, nobody is asked */                                     \
    X(failover_insert_undone)    /* P dies: every insert is taken back */                                              \
    X(dead_insert_undone)        /* P dies: a dead client's insert is taken back */                                    \
    X(dead_inserts_kept)         /* P dies: all dead clients' inserts of a key stay */                                 \
    X(dead_insert_beside_live)   /* P dies: a dead client's insert stays beside another slot of the key */             \
    X(rmw_insert_unmarked)       /* a read-modify-write inserts like a blind SET, in two round trips */                \
    X(torn_word_kept)            /* P and a client die: its word stays, although no replica of the object is whole */  \
    X(reports_torn)              /* a client reports before its object is whole */                                     \
    X(join_without_fence)        /* a node joins while writers of the old epoch run */                                 \
    X(join_counts_at_once)       /* a node that joins is a backup before it has the words */                           \
    X(backup_read_suspect)       /* a reader that takes P for dead reads the first backup */                           \
    X(no_repair)                 /* nobody repairs the dead */

#define BUCKET_SWITCH_ENUM(name) SWITCH_##name,
enum bucket_switch { BUCKET_SWITCHES(BUCKET_SWITCH_ENUM) SWITCH_COUNT };
#define WITHOUT(name) (1ull << SWITCH_##name)

/* How an operation may begin; all that are allowed are tried. */
enum {
    START_READ = 1,   /* READ all slots at P */
    START_HIT = 2,    /* READ one slot at P, any: the cache names it */
    START_GUESS = 4,  /* a round on any word of the key that was ever seen in P */
    START_INSERT = 8, /* an insert on any empty word that was ever seen in P */
};

struct bucket_config {
    const char *program; /* one client: S R G D, the second key's in small letters; "SG|D|s": three clients.
                            N is SETNX. X deletes a value that has expired, and is no operation of anybody's */
    const char *slots;   /* one slot a letter: A, a live (first, second key); T, t tombstone; E emptied; 0 never used */
    uint8_t replicas;
    uint8_t attempts;     /* of an operation; a path stops behind the last */
    uint8_t starts;       /* START_* */
    bool same_print;      /* the keys share a fingerprint */
    bool objects;         /* object WRITEs are verbs of their own, on another node */
    bool keep_tombstones; /* nobody clears them */
    bool two_clearers;    /* two clear each tombstone, with the same empty word */
    bool expired;         /* the values at the start have expired */
    bool two_live;        /* do not assert that a key has one live slot (to see what comes of it) */
    uint8_t crash;        /* client + 1 that may die at any step; 0: nobody */
    uint8_t crash_also;   /* another one */
    uint8_t repairers;    /* at once; 0 is 1 */
    uint8_t repairs_lost; /* how often a repairer may die half way; another one starts over */
    uint8_t nodes;        /* replicas that may die at any step, a bit each (1: the primary). Not objects at r = 1 */
    uint8_t deaths;       /* how many of them */
    uint8_t joins;        /* how often a new node may take the place of a dead one */
    uint8_t coordinators_lost; /* how often the coordinator may die half way */
    uint64_t without;          /* rules taken away */
};

struct bucket;

/* NULL and *error when the configuration is not one. */
struct bucket *bucket_open(const struct bucket_config *config, const char **error);
void bucket_close(struct bucket *bucket);
struct explore_model bucket_model(struct bucket *bucket);

#endif
