/* bucket_decide.c: the word that each slot of the bucket model is settled to when nodes have died (or one joins), from
 * the words on the replicas that are left, what the living clients report, and which clients are dead. Decides nothing
 * else; see bucket_failover.c.
 *
 * P lives: its word. P is dead, the backups differ: nobody has committed: an insert goes back, of an update any word
 * will do. They are equal: the word stays, but an insert of a living client that has not posted its CAS of P goes
 * back. An insert of a dead client cannot be asked: it stays, unless the key has another slot; of several dead
 * clients' inserts of one key one stays. That is right because a dead client's operation is open for ever: if the word
 * was in P, it stays or is followed at once by the other's write; if it was not, it takes effect now. It holds for
 * blind writes only: what a read-modify-write inserts is marked on the backups (provisional -> live) before its CAS of
 * P, and goes back unmarked.
 */
#include "bucket_state.h"

struct plan {
    uint8_t word[BUCKET_SLOTS_MAX];
    bool dead_insert[BUCKET_SLOTS_MAX];
};

static bool is_insert(const struct bucket *b, const struct bucket_state *s, uint8_t word) {
    enum form form = (enum form)(word & 3);
    (void)b;
    return (form == FORM_FULL || form == FORM_PROVISIONAL) && (s->inserts >> (word >> 2) & 1) != 0;
}

/* The living owner's report: is this word its open insert, and has it posted the CAS of P? */
static bool is_open(const struct bucket *b, const struct bucket_state *s, uint8_t word, bool *passed) {
    uint32_t c = owner_of(word);
    const struct process *p = &s->process[c];
    bool running = p->phase >= PHASE_ROUND && p->phase <= PHASE_ABORT_PRIMARY;
    running |= p->phase == PHASE_PUBLISHED;
    *passed = p->phase == PHASE_PUBLISH || p->phase == PHASE_PUBLISHED;
    return running && (p->flags & FLAG_INSERT) != 0 && word >> 2 == own_index(b, s, c);
}

/* The words of the replicas that live; the number of them. */
static uint32_t words_left(const struct bucket_state *s, uint32_t slot, uint8_t words[BUCKET_REPLICAS_MAX]) {
    uint32_t count = 0;
    for (uint32_t replica = 0; replica < s->replicas; replica++) {
        if ((s->dead >> replica & 1) == 0) {
            words[count++] = s->slots[replica][slot];
        }
    }
    return count;
}

static void settle_equal(const struct bucket *b, const struct bucket_state *s, struct plan *plan, uint32_t slot,
                         uint8_t word) {
    bool passed;
    plan->word[slot] = word;
    if (!is_insert(b, s, word) || without(b, SWITCH_failover_insert_kept)) {
        return;
    }
    if (is_dead(s, word)) {
        plan->dead_insert[slot] = true;
    } else if (is_open(b, s, word, &passed) && (!passed || without(b, SWITCH_failover_insert_undone))) {
        plan->word[slot] = emptied(word);
    }
}

static void settle_different(const struct bucket *b, const struct bucket_state *s, struct plan *plan, uint32_t slot,
                             const uint8_t *words, uint32_t count, uint32_t pick) {
    bool insert_round = true;
    uint8_t insert = words[pick % count];
    for (uint32_t i = 0; i < count; i++) {
        insert_round &= kind(b, words[i]) == WORD_EMPTY || is_insert(b, s, words[i]);
        insert = kind(b, words[i]) != WORD_EMPTY ? words[i] : insert;
    }
    plan->word[slot] = insert_round ? emptied(insert) : words[pick % count];
}

/* A dead client's word whose object nobody has whole: a copy of what it replaced, which is written beside the word. */
static void settle_torn(struct bucket *b, struct bucket_state *s, struct plan *plan, uint32_t slot) {
    uint8_t word = plan->word[slot];
    if ((word & 3) != FORM_FULL || !is_dead(s, word) || bucket_object_whole(b, s, word) ||
        without(b, SWITCH_torn_word_kept)) {
        return;
    }
    uint8_t old = s->process[owner_of(word)].v_old;
    if (!word_is_live(real(b, old))) {
        plan->word[slot] = emptied(word);
    } else {
        uint32_t copy = b->words[old].key + 2u;
        s->copied[copy] = old;
        plan->word[slot] = word_of(INDEX_REPAIR + copy, FORM_FULL);
    }
}

static void settle_slot(struct bucket *b, struct bucket_state *s, struct plan *plan, uint32_t slot, uint32_t pick) {
    uint8_t words[BUCKET_REPLICAS_MAX] = {0};
    uint32_t count = words_left(s, slot, words);
    plan->dead_insert[slot] = false;
    if ((s->dead & 1) == 0) {
        plan->word[slot] = words[without(b, SWITCH_failover_backup_word) ? count - 1 : 0];
        if (kind(b, plan->word[slot]) == WORD_PROVISIONAL) {
            plan->word[slot] = emptied(plan->word[slot]); /* r = 1 until now */
        }
        return;
    }
    bool equal = true;
    uint8_t word = words[0];
    for (uint32_t i = 1; i < count; i++) {
        equal &= words[i] >> 2 == word >> 2 && (words[i] & 3) != FORM_EMPTY && (word & 3) != FORM_EMPTY;
        word = (words[i] & 3) == FORM_FULL ? words[i] : word; /* marked on one is marked */
    }
    if (equal || count == 1) {
        settle_equal(b, s, plan, slot, word);
    } else {
        bool same = true;
        for (uint32_t i = 1; i < count; i++) {
            same &= words[i] == words[0];
        }
        settle_different(b, s, plan, slot, words, count, same ? 0 : pick);
    }
    settle_torn(b, s, plan, slot);
}

/* The inserts of dead clients: at most one slot of a key stays. */
static void settle_dead_inserts(const struct bucket *b, struct plan *plan, uint8_t key, bool highest) {
    bool beside = false;
    uint32_t kept = BUCKET_SLOTS_MAX;
    uint32_t marked = BUCKET_SLOTS_MAX;
    for (uint32_t slot = 0; slot < b->slots; slot++) {
        uint8_t word = plan->word[slot];
        if (!plan->dead_insert[slot]) {
            beside |= live_of(b, word, key) || tombstone_of(b, word, key);
        } else if (b->words[word].key == key && (word & 3) == FORM_FULL) {
            kept = kept == BUCKET_SLOTS_MAX || highest ? slot : kept;
            bool rmw = kind(b, word) == WORD_LIVE_RMW && !without(b, SWITCH_rmw_insert_unmarked);
            marked = rmw ? slot : marked;
        }
    }
    kept = marked != BUCKET_SLOTS_MAX ? marked : kept;
    if ((beside && !without(b, SWITCH_dead_insert_beside_live)) || without(b, SWITCH_dead_insert_undone)) {
        kept = BUCKET_SLOTS_MAX;
    }
    for (uint32_t slot = 0; slot < b->slots; slot++) {
        uint8_t word = plan->word[slot];
        bool stays = slot == kept || (without(b, SWITCH_dead_inserts_kept) && (word & 3) == FORM_FULL);
        if (plan->dead_insert[slot] && b->words[word].key == key && !stays) {
            plan->word[slot] = emptied(word);
        }
    }
}

static void emit_plan(struct bucket *b, const struct bucket_state *from, uint32_t c, const struct plan *plan) {
    struct bucket_state s = *from;
    struct process *p = &s.process[c];
    bool joins = (p->flags & FLAG_JOIN) != 0;
    uint32_t mask = 0;
    explore_say(b->explore, "coordinator decides:");
    for (uint32_t slot = 0; slot < b->slots; slot++) {
        p->view[slot] = plan->word[slot];
        explore_say(b->explore, " %c = %s", 'a' + slot, bucket_word_name(b, plan->word[slot]));
        for (uint32_t replica = 0; replica < s.replicas + (joins ? 1u : 0u); replica++) {
            bool dead = s.dead >> replica & 1;
            bool differs = replica == s.replicas ? !without(b, SWITCH_join_counts_at_once) : !dead;
            mask |= (differs && s.slots[replica][slot] != plan->word[slot] ? 1u : 0) << (4 * slot + replica);
        }
    }
    if (without(b, SWITCH_failover_without_settling)) {
        mask = 0;
    }
    process_enter(p, mask != 0 ? PHASE_SETTLE : PHASE_EPOCH, mask);
    explore_emit(b->explore, &s);
}

/* A living client reports only when the object of its open round is whole on the nodes that are left. */
static void objects_are_whole(const struct bucket *b, struct bucket_state *s) {
    for (uint32_t c = 0; c < b->clients; c++) {
        struct process *p = &s->process[c];
        if (p->phase == PHASE_ROUND || p->phase == PHASE_FIX || p->phase == PHASE_MARK || p->phase == PHASE_PUBLISH) {
            p->mask &= (uint16_t) ~(1u << VERB_OBJECT);
        }
    }
}

void bucket_decide(struct bucket *b, const struct bucket_state *from, uint32_t c) {
    struct plan done[2 * BUCKET_REPLICAS_MAX];
    uint32_t count = 0;
    uint32_t left = 0;
    for (uint32_t replica = 0; replica < from->replicas; replica++) {
        left += (from->dead >> replica & 1) == 0;
    }
    bool joins = (from->process[c].flags & FLAG_JOIN) != 0;
    for (uint32_t choice = 0; choice < 2 * left; choice++) {
        struct bucket_state s = *from;
        struct plan plan = {{0}, {0}};
        if (!without(b, SWITCH_reports_torn)) {
            objects_are_whole(b, &s);
        }
        for (uint32_t slot = 0; slot < b->slots; slot++) {
            settle_slot(b, &s, &plan, slot, choice / 2);
        }
        settle_dead_inserts(b, &plan, 0, choice % 2 != 0);
        settle_dead_inserts(b, &plan, 1, choice % 2 != 0);
        for (uint32_t slot = 0; slot < b->slots && left == 1 && !joins; slot++) {
            bool tombstone = kind(b, plan.word[slot]) == WORD_TOMBSTONE;
            plan.word[slot] = tombstone ? emptied(plan.word[slot]) : plan.word[slot];
        }
        bool again = false;
        for (uint32_t i = 0; i < count; i++) {
            again |= memcmp(done[i].word, plan.word, sizeof plan.word) == 0;
        }
        if (!again) {
            done[count++] = plan;
            emit_plan(b, &s, c, &plan);
        }
    }
}
