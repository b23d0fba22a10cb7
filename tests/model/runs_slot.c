/* runs_slot.c: rows of the table: one slot, and address reuse. See run.h. */
#include "run_rows.h"

/* One slot, key present; tombstones stay. Guess: any word ever seen in P; read: v_old is READ first. */
#define ONE(replicas_, program_, starts_, ...)                                                                         \
    .bucket = {.program = (program_),                                                                                  \
               .slots = "A",                                                                                           \
               .replicas = (replicas_),                                                                                \
               .attempts = 4,                                                                                          \
               .starts = (starts_),                                                                                    \
               .keep_tombstones = true,                                                                                \
               __VA_ARGS__}
#define READ START_READ
#define GUESS (START_READ | START_GUESS)

const struct run runs_one_slot[] = {
    HEAD("one slot, key present: rounds of SET, RMW, DEL and GET; the first "
         "backup decides"),
    {"slot_read", ONE(2, "SS|SS|SS", READ)},
    {"slot_read", ONE(2, "SR|DG|SD", READ), .class = RUN_ENDS},
    {"slot_read", ONE(2, "S|R|D|G", READ), .class = RUN_ENDS},
    {"slot_read", ONE(3, "SS|SS|SS", READ)},
    {"slot_read", ONE(3, "SR|RG|SD", READ)},
    {"slot_read", ONE(3, "S|R|D|G", READ), .class = RUN_ENDS},
    {"slot_read", ONE(4, "SR|DG|S", READ), .class = RUN_ENDS},
    {"slot_read", ONE(4, "S|S|R|G", READ)},
    {"slot_guess", ONE(2, "S|R|D", GUESS), .class = RUN_ENDS},
    {"slot_guess", ONE(2, "SR|DG|S", GUESS), .class = RUN_ENDS},
    {"slot_guess", ONE(2, "SS|SS|SS", GUESS), .class = RUN_LONG},
    {"slot_guess", ONE(2, "SR|DG|SD", GUESS)},
    {"slot_guess", ONE(3, "SR|DG", GUESS), .class = RUN_ENDS},
    {"slot_guess", ONE(3, "S|R|SG", GUESS), .class = RUN_ENDS},
    {"slot_guess", ONE(3, "RG|RG|DS", GUESS)},
    {"slot_guess", ONE(3, "SR|RD|S", GUESS), .class = RUN_LONG},
    {"slot_guess", ONE(3, "SS|SS|S", GUESS), .class = RUN_LONG},
    {"slot_guess", ONE(4, "SR|RD", GUESS), .class = RUN_ENDS},
    {"slot_guess", ONE(4, "S|R|S", GUESS), .class = RUN_LONG},
    {"slot_objects_apart", ONE(2, "SG|R|G", GUESS, .objects = true)},
    {"slot_objects_apart", ONE(3, "SG|RG", GUESS, .objects = true)},
    {"t1_blind_loses_to_rmw", ONE(2, "S|R|G", READ, .without = WITHOUT(t1_blind_loses_to_rmw)), BREAKS},
    {"t1_blind_loses_to_rmw", ONE(3, "S|R|G", READ, .without = WITHOUT(t1_blind_loses_to_rmw)), BREAKS},
    {"t1_blind_loses_to_rmw", ONE(4, "S|R|G", READ, .without = WITHOUT(t1_blind_loses_to_rmw)), BREAKS},
    {"t2_stale_guess", ONE(2, "S|G", GUESS, .without = WITHOUT(t2_stale_guess)), BREAKS},
    {"t2_stale_guess", ONE(3, "S|G", GUESS, .without = WITHOUT(t2_stale_guess)), BREAKS},
    {"guess_uncommitted", ONE(2, "S|S", GUESS, .without = WITHOUT(guess_uncommitted)), BREAKS},
    {"guess_uncommitted", ONE(3, "S|S", GUESS, .without = WITHOUT(guess_uncommitted)), BREAKS},
    {"loser_must_wait", ONE(2, "S|S|G", READ, .without = WITHOUT(loser_must_wait)), BREAKS},
    {"loser_must_wait", ONE(3, "S|S|G", READ, .without = WITHOUT(loser_must_wait)), BREAKS},
    {"del_plain_zero", ONE(2, "D|D", READ, .without = WITHOUT(del_plain_zero)), BREAKS},
    {"del_plain_zero", ONE(3, "D|D", READ, .without = WITHOUT(del_plain_zero)), BREAKS},
    {"fix_before_commit", ONE(3, "S|S", READ, .without = WITHOUT(fix_before_commit)), BREAKS},
    {"publish_without_backups", ONE(3, "S|S", READ, .without = WITHOUT(publish_without_backups)), BREAKS},
    {"publish_before_object", ONE(3, "S|G", READ, .objects = true, .without = WITHOUT(publish_before_object)), BREAKS},
    HEAD("one slot, r = 1: the CAS of the only copy decides"),
    {"single_read", ONE(1, "SS|RR|DG", READ), .class = RUN_ENDS},
    {"single_guess", ONE(1, "SS|RR|DG", GUESS), .class = RUN_ENDS},
    {"single_guess", ONE(1, "SR|RD|SG", GUESS)},
    {"mine_by_value", ONE(1, "X|X", READ, .expired = true, .without = WITHOUT(mine_by_value)), BREAKS},
    {"mine_by_value", ONE(1, "D|D", READ, .without = WITHOUT(mine_by_value)), BREAKS},
    {0},
};

#define REUSE(program_, addresses_, ...)                                                                               \
    .reuse = {.program = (program_), .addresses = (addresses_), .attempts = 3, __VA_ARGS__}

#define EPOCHS(program_, addresses_, epochs_, ...)                                                                     \
    REUSE(program_, addresses_, .tag_bits = 2, .epochs = (epochs_), __VA_ARGS__)

const struct run runs_reuse[] = {
    HEAD("addresses that are used again, caches that outlive operations (r = "
         "2)"),
    {"reuse_tag_header", REUSE("SS|GG", 3, .tag_bits = 3, .header = true)},
    {"reuse_tag_header", REUSE("SSS|GG", 2, .tag_bits = 3, .header = true)},
    {"reuse_tag_header", REUSE("SS|RR|G", 3, .tag_bits = 3, .header = true)},
    {"reuse_tag_header", REUSE("SR|R|GR", 3, .tag_bits = 3, .header = true)},
    {"reuse_tag_header", REUSE("SR|RS|GR", 3, .tag_bits = 3, .header = true), .class = RUN_LONG},
    {"reuse_tag_grace", REUSE("SS|GG", 3, .tag_bits = 3, .grace = true)},
    {"reuse_tag_grace", REUSE("SS|RR|G", 4, .tag_bits = 3, .grace = true)},
    {"reuse_all", REUSE("SS|RG|G", 4, .tag_bits = 3, .header = true, .grace = true)},
    {"reuse_all", REUSE("SS|RG|SG", 4, .tag_bits = 3, .header = true, .grace = true), .class = RUN_LONG},
    {"reuse_cached_value", REUSE("SSS|VV", 2, .tag_bits = 3, .header = true)},
    {"reuse_cached_value", REUSE("SS|RV|VV", 3, .tag_bits = 3, .header = true)},
    {"reuse_cached_value", REUSE("SS|RV|VV", 4, .tag_bits = 3, .header = true, .grace = true)},
    {"no_tag", REUSE("SS|G", 2, .tag_wraps = true), BREAKS},
    {"no_tag_but_header", REUSE("SS|GG", 2, .tag_wraps = true, .header = true), BREAKS},
    {"grace_alone", REUSE("SSS|GG", 3, .tag_wraps = true, .grace = true), BREAKS},
    {"tag_not_compared", REUSE("SS|GG", 2, .tag_bits = 3), BREAKS},
    {"cached_value_without_tag", REUSE("SS|V", 2, .tag_wraps = true, .header = true, .grace = true), BREAKS},
    {"cached_rmw_without_tag", REUSE("SS|R", 3, .tag_wraps = true, .header = true, .grace = true), BREAKS},
    {"aba_wrap", REUSE("SSS|SV", 2, .tag_bits = 1, .tag_wraps = true, .header = true, .grace = true), BREAKS},
    HEAD(
        "tags of two bits from the reclamation epoch; a guess, or a cached value, only while its word cannot have come "
        "back"),
    {"epoch_tag", EPOCHS("SS|R", 3, 7)},
    {"epoch_tag", EPOCHS("SS|RR", 3, 7), .class = RUN_LONG},
    {"epoch_tag", EPOCHS("SS|GG", 2, 8)},
    {"epoch_tag", EPOCHS("SS|VV", 2, 7)},
    {"epoch_tag", EPOCHS("SS|VR", 3, 6)},
    {"epoch_tag", EPOCHS("SSS|VR", 2, 8), .class = RUN_LONG},
    {"epoch_tag", EPOCHS("RR|SV", 3, 8), .class = RUN_LONG},
    {"epoch_tag", EPOCHS("SS|R|V", 3, 6), .class = RUN_LONG},
    {"epoch_guess_always", EPOCHS("SS|R", 3, 7, .any_guess = true), BREAKS},
    {"epoch_guess_always", EPOCHS("SS|V", 2, 7, .any_guess = true), BREAKS},
    {"epoch_guess_always", EPOCHS("SS|G", 2, 7, .any_guess = true), BREAKS},
    {"epoch_guess_one_too_late", EPOCHS("SS|R", 3, 7, .one_too_late = true), BREAKS},
    {"epoch_guess_one_too_late", EPOCHS("SS|V", 2, 7, .one_too_late = true), BREAKS},
    {"epoch_seen_late", EPOCHS("SS|VR", 3, 8, .seen_late = true), BREAKS, .class = RUN_LONG},
    {"epoch_seen_late", EPOCHS("SS|VV", 2, 8, .seen_late = true), BREAKS},
    {"epoch_reuse_at_once", EPOCHS("SS|R", 2, 7, .reuse_at_once = true), BREAKS},
    {"epoch_tag_clock", EPOCHS("SS|V", 2, 6, .tag_clock = true), BREAKS},
    {0},
};
