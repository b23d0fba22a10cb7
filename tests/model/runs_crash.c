/* runs_crash.c: rows of the table: expiry, and a client that dies at any step and is repaired. See run.h. */
#include "run_rows.h"

#define ROW(replicas_, slots_, program_, starts_, ...)                                                                 \
    .bucket = {.program = (program_),                                                                                  \
               .slots = (slots_),                                                                                      \
               .replicas = (replicas_),                                                                                \
               .attempts = 3,                                                                                          \
               .starts = (starts_),                                                                                    \
               __VA_ARGS__}
#define EXPIRED .expired = true
#define DIES .crash = 1 /* the first client */
#define APART .objects = true
#define READ START_READ
#define HIT (START_READ | START_HIT)
#define GUESS (START_READ | START_HIT | START_GUESS | START_INSERT)

const struct run runs_expiry[] = {
    HEAD("expired values: X deletes what it has read, and is nobody's "
         "operation"),
    {"expiry", ROW(2, "A", "X|SG|R", HIT, EXPIRED), .class = RUN_ENDS},
    {"expiry", ROW(2, "A0", "X|SG|D", HIT, EXPIRED), .class = RUN_ENDS},
    {"expiry", ROW(2, "A0", "X|X|RG", HIT, EXPIRED), .class = RUN_ENDS},
    {"expiry", ROW(2, "A0", "X|SG|s", HIT, EXPIRED), .class = RUN_ENDS},
    {"expiry", ROW(2, "A0", "X|SG|R", GUESS, EXPIRED)},
    {"expiry", ROW(3, "A0", "X|SG|R", HIT, EXPIRED), .class = RUN_ENDS},
    {"expiry", ROW(3, "A", "X|SG|sg", HIT, EXPIRED), .class = RUN_ENDS},
    {"expiry", ROW(1, "A0", "X|X|SG", GUESS, EXPIRED), .class = RUN_ENDS},
    {"tombstone_is_blind", ROW(2, "A", "X|SG", READ, EXPIRED, .without = WITHOUT(tombstone_is_blind)), BREAKS},
    {"tombstone_is_blind", ROW(3, "A", "X|SG", READ, EXPIRED, .without = WITHOUT(tombstone_is_blind)), BREAKS},
    {0},
};

const struct run runs_crash[] = {
    HEAD("U dies at any step, is fenced, and its rounds are repaired"),
    {"crash_update", ROW(2, "A", "SD|RG|S", READ, DIES), .class = RUN_ENDS},
    {"crash_update", ROW(2, "A", "RS|SG|R", GUESS, DIES, APART)},
    {"crash_update", ROW(3, "A", "S|R|SG", READ, DIES, APART), .class = RUN_ENDS},
    {"crash_update", ROW(3, "A", "R|S|S", GUESS, DIES, APART), .class = RUN_ENDS},
    {"crash_update", ROW(3, "A", "SD|RG", READ, DIES, APART), .class = RUN_ENDS},
    {"crash_update", ROW(4, "A", "R|S|S", READ, DIES), .class = RUN_ENDS},
    {"crash_update", ROW(4, "A", "S|RG", READ, DIES, APART), .class = RUN_ENDS},
    {"crash_insert", ROW(2, "00", "S|S|G", HIT, DIES), .class = RUN_ENDS},
    {"crash_insert", ROW(2, "00", "SD|SG", GUESS, DIES)},
    {"crash_insert", ROW(2, "A0", "DS|SG", HIT, DIES, APART), .class = RUN_ENDS},
    {"crash_insert", ROW(2, "T0", "S|RG", HIT, DIES, APART), .class = RUN_ENDS},
    {"crash_insert", ROW(3, "00", "S|SG", HIT, DIES, APART), .class = RUN_ENDS},
    {"crash_insert", ROW(3, "A0", "D|S|G", GUESS, DIES)},
    {"crash_insert", ROW(3, "A0", "DS|S", HIT, DIES)},
    {"crash_insert", ROW(1, "00", "S|S|G", GUESS, DIES), .class = RUN_ENDS},
    {"crash_insert", ROW(1, "A0", "DS|SG|D", HIT, DIES)},
    {"crash_keys", ROW(2, "0", "SD|sg|S", HIT, DIES), .class = RUN_ENDS},
    {"crash_keys", ROW(2, "A0", "DS|sd", HIT, DIES, APART, .same_print = true)},
    {"crash_keys", ROW(3, "A0", "DS|sg", HIT, DIES), .class = RUN_ENDS},
    {"crash_expiry", ROW(3, "A0", "X|SG", HIT, DIES, APART, EXPIRED), .class = RUN_ENDS},
    {"no_repair", ROW(2, "A", "S|S", READ, DIES, .without = WITHOUT(no_repair)), BREAKS},
    {"repair_back_to_old", ROW(2, "A", "S|S", READ, DIES, APART, .without = WITHOUT(repair_back_to_old)), BREAKS},
    {"repair_back_to_old", ROW(3, "A", "S|S", READ, DIES, APART, .without = WITHOUT(repair_back_to_old)), BREAKS},
    {"repair_partial_list", ROW(3, "A", "S|S", READ, DIES, .without = WITHOUT(repair_partial_list)), BREAKS},
    {"repair_commits_live", ROW(3, "A", "S|R", READ, DIES, .without = WITHOUT(repair_commits_live)), BREAKS},
    {"insert_rolled_forward", ROW(2, "00", "S|S", READ, DIES, .without = WITHOUT(insert_rolled_forward)), BREAKS},
    {"insert_rolled_forward", ROW(3, "00", "S|S", READ, DIES, .without = WITHOUT(insert_rolled_forward)), BREAKS},
    {"insert_rolled_forward", ROW(1, "00", "S|S", READ, DIES, .without = WITHOUT(insert_rolled_forward)), BREAKS},
    {"unfenced_late_cas", ROW(2, "A", "S|S", READ, DIES, .without = WITHOUT(unfenced_late_cas)), BREAKS},
    {"unfenced_late_cas", ROW(3, "A", "S|S", READ, DIES, .without = WITHOUT(unfenced_late_cas)), BREAKS},
    {0},
};

#define P_DIES .nodes = 1, .deaths = 1
#define B1_DIES .nodes = 2, .deaths = 1
#define B2_DIES .nodes = 4, .deaths = 1
#define ONE (START_READ | START_GUESS)
#define NODE(replicas_, program_, starts_, ...)                                                                        \
    .bucket = {.program = (program_),                                                                                  \
               .slots = "A",                                                                                           \
               .replicas = (replicas_),                                                                                \
               .attempts = 4,                                                                                          \
               .starts = (starts_),                                                                                    \
               .keep_tombstones = true,                                                                                \
               __VA_ARGS__}

/* The first two clients may die. */
#define INSERTERS(attempts_, replicas_, slots_, program_, ...)                                                         \
    .bucket = {.program = (program_),                                                                                  \
               .slots = (slots_),                                                                                      \
               .replicas = (replicas_),                                                                                \
               .attempts = (attempts_),                                                                                \
               .starts = HIT,                                                                                          \
               .crash = 1,                                                                                             \
               .crash_also = 2,                                                                                        \
               __VA_ARGS__}
#define ALSO .crash_also = 2 /* the second client too */

const struct run runs_failover[] = {
    HEAD("a memory node dies at any step; update rounds in one slot"),
    {"failover_primary", NODE(2, "SR|RG|D", READ, P_DIES), .class = RUN_ENDS},
    {"failover_primary", NODE(2, "SR|RG|D", ONE, P_DIES), .class = RUN_LONG},
    {"failover_primary", NODE(3, "SD|RG", READ, P_DIES), .class = RUN_ENDS},
    {"failover_primary", NODE(3, "R|RG|S", ONE, P_DIES), .class = RUN_LONG},
    {"failover_primary", NODE(4, "R|S|G", READ, P_DIES)},
    {"failover_backup", NODE(2, "SR|RG|D", READ, B1_DIES), .class = RUN_ENDS},
    {"failover_backup", NODE(3, "R|RG|S", READ, B1_DIES)},
    {"failover_backup", NODE(3, "SD|RG", READ, B2_DIES), .class = RUN_ENDS},
    {"failover_backup_no_chain", NODE(3, "R|RG", READ, B1_DIES, .without = WITHOUT(chain_needed))},
    {"chain_needed", NODE(2, "R|R", READ, P_DIES, .without = WITHOUT(chain_needed)), BREAKS},
    {"chain_needed", NODE(3, "R|R", READ, P_DIES, .without = WITHOUT(chain_needed)), BREAKS},
    {"failover_without_settling", NODE(3, "S|S", READ, P_DIES, .without = WITHOUT(failover_without_settling)), BREAKS},
    {"failover_no_fence", NODE(3, "S|S", READ, P_DIES, .without = WITHOUT(failover_no_fence)), BREAKS},
    {"backup_read_suspect", NODE(2, "S|GG", READ, .without = WITHOUT(backup_read_suspect)), BREAKS},
    {"backup_read_suspect", NODE(3, "S|GG", READ, .without = WITHOUT(backup_read_suspect)), BREAKS},
    HEAD("... two nodes, one after the other; a coordinator that dies half way; a node that joins"),
    {"two_deaths", NODE(3, "R|RG", READ, .nodes = 7, .deaths = 2), .class = RUN_ENDS},
    {"two_deaths", NODE(3, "SD|R", READ, .nodes = 7, .deaths = 2)},
    {"two_deaths", NODE(4, "R|S", READ, .nodes = 15, .deaths = 2)},
    {"coordinator_dies", NODE(2, "SR|RG", READ, P_DIES, .coordinators_lost = 1), .class = RUN_ENDS},
    {"coordinator_dies", NODE(3, "R|RG", READ, P_DIES, .coordinators_lost = 2)},
    {"coordinator_dies", NODE(3, "R|S", READ, .nodes = 7, .deaths = 2, .coordinators_lost = 1)},
    {"join", NODE(2, "R|RG", READ, P_DIES, .joins = 1), .class = RUN_ENDS},
    {"join", NODE(3, "R|RG", READ, .nodes = 3, .deaths = 1, .joins = 1)},
    {"join", NODE(3, "S|R", READ, .nodes = 3, .deaths = 2, .joins = 1, .coordinators_lost = 1)},
    {"join_without_fence", NODE(2, "R|RG", READ, P_DIES, .joins = 1, .without = WITHOUT(join_without_fence)), BREAKS},
    {"join_counts_at_once", NODE(2, "S|GG", READ, P_DIES, .joins = 1, .without = WITHOUT(join_counts_at_once)), BREAKS},
    HEAD("inserts, deletes and clears while a node dies"),
    {"failover_insert", ROW(2, "00", "S|S|G", HIT, P_DIES)},
    {"failover_insert", ROW(2, "00", "SD|S", HIT, P_DIES), .class = RUN_ENDS},
    {"failover_insert", ROW(2, "A0", "DS|R", HIT, P_DIES), .class = RUN_ENDS},
    {"failover_insert", ROW(2, "00", "N|N|G", HIT, P_DIES), .class = RUN_LONG},
    {"failover_insert", ROW(3, "00", "S|SG", HIT, P_DIES), .class = RUN_LONG},
    {"failover_insert", ROW(3, "A0", "D|S", HIT, P_DIES), .class = RUN_ENDS},
    {"failover_insert", ROW(3, "00", "N|R", HIT, P_DIES), .class = RUN_LONG},
    {"failover_insert", ROW(2, "00", "S|S|G", HIT, B1_DIES), .class = RUN_LONG},
    {"failover_insert", ROW(2, "A0", "DS|R", HIT, B1_DIES), .class = RUN_LONG | RUN_ENDS},
    {"failover_insert", ROW(3, "00", "S|SG", HIT, B1_DIES), .class = RUN_LONG},
    {"failover_insert", ROW(3, "00", "N|S", HIT, .nodes = 7, .deaths = 2, .coordinators_lost = 1), .class = RUN_LONG},
    {"failover_insert", ROW(2, "00", "S|SG", HIT, P_DIES, .joins = 1, .coordinators_lost = 1)},
    {"failover_insert_kept", ROW(2, "00", "S|S", HIT, P_DIES, .without = WITHOUT(failover_insert_kept)), BREAKS},
    {"failover_insert_kept", ROW(3, "00", "S|S", HIT, P_DIES, .without = WITHOUT(failover_insert_kept)), BREAKS},
    {"failover_insert_undone", ROW(2, "00", "S|GG", HIT, P_DIES, .without = WITHOUT(failover_insert_undone)), BREAKS},
    {"failover_insert_undone", ROW(3, "00", "S|GG", HIT, P_DIES, .without = WITHOUT(failover_insert_undone)), BREAKS},
    {"failover_backup_word", ROW(3, "00", "S|S", HIT, B1_DIES, .without = WITHOUT(failover_backup_word)), BREAKS},
    HEAD("a client dies and a node dies, in any order: inserts of the dead are decided without them"),
    {"both_die", ROW(2, "A", "S|RG", READ, P_DIES, DIES), .class = RUN_ENDS},
    {"both_die", ROW(3, "A", "S|RG", READ, P_DIES, DIES), .class = RUN_ENDS},
    {"both_die", ROW(2, "A", "R|SG", READ, P_DIES, DIES, APART), .class = RUN_ENDS},
    {"both_die", ROW(3, "A", "S|RG", READ, P_DIES, DIES, APART)},
    {"both_die", ROW(3, "A", "R|SG", READ, B1_DIES, DIES)},
    {"both_die_insert", ROW(2, "00", "S|S|G", HIT, P_DIES, DIES), .class = RUN_LONG},
    {"both_die_insert", ROW(2, "00", "S|GG", HIT, P_DIES, DIES), .class = RUN_ENDS},
    {"both_die_insert", ROW(2, "00", "S|DG", HIT, P_DIES, DIES), .class = RUN_ENDS},
    {"both_die_insert", ROW(2, "A0", "DS|RG", HIT, P_DIES, DIES), .class = RUN_LONG},
    {"both_die_insert", ROW(2, "00", "N|SG", HIT, P_DIES, DIES), .class = RUN_ENDS},
    {"both_die_insert", ROW(2, "00", "N|NG", HIT, P_DIES, DIES), .class = RUN_ENDS},
    {"both_die_insert", ROW(3, "00", "S|SG", HIT, P_DIES, DIES), .class = RUN_LONG},
    {"both_die_insert", ROW(3, "00", "N|SG", HIT, P_DIES, DIES), .class = RUN_LONG},
    {"both_die_insert", ROW(3, "00", "S|NG", HIT, B1_DIES, DIES), .class = RUN_LONG},
    {"all_die_insert", ROW(2, "00", "S|S", HIT, P_DIES, DIES, ALSO), .class = RUN_ENDS},
    {"all_die_insert", ROW(2, "00", "S|N", HIT, P_DIES, DIES, ALSO)},
    {"all_die_insert", ROW(2, "00", "N|N", HIT, P_DIES, DIES, ALSO)},
    {"all_die_insert", INSERTERS(2, 2, "00", "S|S|G", P_DIES)},
    {"all_die_insert", INSERTERS(2, 2, "00", "N|N|G", P_DIES)},
    {"all_die_insert", INSERTERS(2, 2, "00", "S|N|GG", P_DIES), .class = RUN_LONG},
    {"all_die_insert", INSERTERS(2, 3, "00", "S|R", P_DIES), .class = RUN_LONG},
    {"all_die_insert", INSERTERS(1, 3, "00", "N|N", P_DIES), .class = RUN_ENDS},
    {"all_die_insert", INSERTERS(1, 3, "00", "S|R", P_DIES), .class = RUN_ENDS},
    {"all_die_insert", INSERTERS(2, 3, "00", "N|N", P_DIES), .class = RUN_LONG},
    {"all_die_insert", INSERTERS(2, 3, "00", "N|N|G", P_DIES), .class = RUN_LONG},
    {"all_die_insert", INSERTERS(1, 3, "00", "S|S|G", .nodes = 3, .deaths = 2)},
    {"all_die_insert", INSERTERS(2, 3, "00", "S|S", .nodes = 3, .deaths = 2), .class = RUN_LONG},
    {"all_die_insert", INSERTERS(2, 3, "00", "S|S|G", .nodes = 3, .deaths = 2), .class = RUN_LONG},
    {"all_die_insert", INSERTERS(2, 2, "00", "N|S|G", P_DIES, .coordinators_lost = 1)},
    {"all_die_insert", ROW(2, "00", "S|S|GG", HIT, P_DIES, DIES, ALSO), .class = RUN_LONG},
    {"all_die_insert", ROW(2, "00", "S|N|GG", HIT, P_DIES, DIES, ALSO), .class = RUN_LONG},
    {"all_die_insert", ROW(2, "00", "N|N|GG", HIT, P_DIES, DIES, ALSO), .class = RUN_LONG},
    {"all_die_insert", ROW(2, "00", "S|S|D", HIT, P_DIES, DIES, ALSO), .class = RUN_LONG},
    {"all_die_insert", ROW(3, "00", "N|N|G", HIT, P_DIES, DIES, ALSO), .class = RUN_LONG},
    {"all_die_insert", ROW(3, "00", "S|R|G", HIT, P_DIES, DIES, ALSO), .class = RUN_LONG},
    {"all_die_insert", ROW(2, "00", "N|S|G", HIT, P_DIES, DIES, ALSO, .coordinators_lost = 1), .class = RUN_LONG,
     MAY_CUT},
    {"all_die_insert", ROW(3, "00", "S|S|G", HIT, .nodes = 3, .deaths = 2, DIES, ALSO), .class = RUN_LONG, MAY_CUT},
    {"dead_insert_undone", ROW(2, "00", "S|GG", HIT, P_DIES, DIES, .without = WITHOUT(dead_insert_undone)), BREAKS},
    {"dead_inserts_kept", ROW(2, "00", "S|S", HIT, P_DIES, DIES, ALSO, .without = WITHOUT(dead_inserts_kept)), BREAKS},
    {"dead_insert_beside_live", ROW(2, "00", "S|SG", HIT, P_DIES, DIES, .without = WITHOUT(dead_insert_beside_live)),
     BREAKS},
    {"rmw_insert_unmarked", ROW(2, "00", "N|N|GG", HIT, P_DIES, DIES, ALSO, .without = WITHOUT(rmw_insert_unmarked)),
     BREAKS},
    {"torn_word_kept", ROW(2, "A", "S|G", READ, P_DIES, DIES, APART, .without = WITHOUT(torn_word_kept)), BREAKS},
    {"torn_word_kept", ROW(3, "A", "S|G", READ, P_DIES, DIES, APART, .without = WITHOUT(torn_word_kept)), BREAKS},
    {"reports_torn", ROW(2, "A", "R|SG", READ, P_DIES, DIES, APART, .without = WITHOUT(reports_torn)), BREAKS},
    HEAD("two repairers at once; a repairer that dies"),
    {"two_repairers", ROW(2, "A", "SD|RG", READ, DIES, APART, .repairers = 2), .class = RUN_ENDS},
    {"two_repairers", ROW(2, "00", "S|SG", HIT, DIES, APART, .repairers = 2)},
    {"two_repairers", ROW(3, "A", "S|R", READ, DIES, .repairers = 2)},
    {"two_repairers", ROW(3, "A", "S|R", READ, DIES, APART, .repairers = 2)},
    {"two_repairers", ROW(3, "A", "R|SG", READ, DIES, APART, .repairers = 2, .repairs_lost = 1)},
    {"two_repairers", ROW(3, "00", "S|S", HIT, DIES, .repairers = 2), .class = RUN_LONG},
    {"repair_all_at_once",
     ROW(3, "A", "S|R", READ, DIES, APART, .repairers = 2, .without = WITHOUT(repair_all_at_once)), BREAKS},
    {"two_repairers", ROW(1, "00", "S|SG", HIT, DIES, .repairers = 2)},
    {"repairer_dies", ROW(2, "A", "SD|RG", READ, DIES, APART, .repairs_lost = 1), .class = RUN_ENDS},
    {"repairer_dies", ROW(2, "A0", "DS|S", HIT, DIES, .repairs_lost = 1)},
    {"repairer_dies", ROW(3, "A", "S|R", READ, DIES, APART, .repairs_lost = 1), .class = RUN_ENDS},
    {"repairer_dies", ROW(3, "00", "S|S", HIT, DIES, .repairs_lost = 1)},
    {0},
};
