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

#define P_DIES .node_dies = 1
#define B1_DIES .node_dies = 2
#define B2_DIES .node_dies = 3
#define ONE (START_READ | START_GUESS)
#define NODE(replicas_, program_, starts_, ...)                                                                        \
    .bucket = {.program = (program_),                                                                                  \
               .slots = "A",                                                                                           \
               .replicas = (replicas_),                                                                                \
               .attempts = 4,                                                                                          \
               .starts = (starts_),                                                                                    \
               .keep_tombstones = true,                                                                                \
               __VA_ARGS__}

const struct run runs_failover[] = {
    HEAD("a memory node dies at any step; update rounds in one slot; the fence and the settling are one step"),
    {"failover_primary", NODE(2, "SR|RG|D", READ, P_DIES), .class = RUN_ENDS},
    {"failover_primary", NODE(2, "SR|RG|D", ONE, P_DIES)},
    {"failover_primary", NODE(2, "SR|RG|SD", ONE, P_DIES), .class = RUN_LONG},
    {"failover_primary", NODE(3, "SD|RG|S", READ, P_DIES), .class = RUN_ENDS},
    {"failover_primary", NODE(3, "R|RG|S", ONE, P_DIES), .class = RUN_ENDS},
    {"failover_primary", NODE(4, "R|S|G", ONE, P_DIES), .class = RUN_ENDS},
    {"failover_backup", NODE(2, "SR|RG|D", READ, B1_DIES), .class = RUN_ENDS},
    {"failover_backup", NODE(3, "R|RG|S", ONE, B1_DIES), .class = RUN_ENDS},
    {"failover_backup", NODE(3, "SD|RG|S", READ, B2_DIES), .class = RUN_ENDS},
    {"failover_backup_no_chain", NODE(3, "R|RG|S", READ, B1_DIES, .without = WITHOUT(chain_needed))},
    {"chain_needed", NODE(2, "R|R", READ, P_DIES, .without = WITHOUT(chain_needed)), BREAKS},
    {"chain_needed", NODE(3, "R|R", READ, P_DIES, .without = WITHOUT(chain_needed)), BREAKS},
    {"failover_without_settling", NODE(3, "S|S", READ, P_DIES, .without = WITHOUT(failover_without_settling)), BREAKS},
    {"backup_read_suspect", NODE(2, "S|GG", READ, .without = WITHOUT(backup_read_suspect)), BREAKS},
    {"backup_read_suspect", NODE(3, "S|GG", READ, .without = WITHOUT(backup_read_suspect)), BREAKS},
    {0},
};
