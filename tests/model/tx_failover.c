/* tx_failover.c: a memory node of the transaction model dies. The fence, the reports of the living clients and the
 * settling of every slot are one step (bucket_failover.c takes these apart for one key); then each client looks again.
 *
 * A transaction has passed when its batch 2 was posted. P died: the first backup's word counts; an intent that has not
 * passed goes back. A backup died: P's word counts, but where the transaction has passed and P still shows the old
 * word, the intent goes onto P too. Of a dead owner: it has passed if a living P shows the intent, or any word of its
 * slots comes behind it; without a living P, if all backups left hold it.
 */
#include "tx_state.h"

/* The replica of this slot that the dying node holds. */
static uint32_t replica_on(const struct tx *t, uint32_t node, uint32_t slot) {
    uint32_t shift = t->config.rotated ? t->key_of[slot] : 0;
    return (node + t->config.replicas - shift % t->config.replicas) % t->config.replicas;
}

/* Is the word `index` itself (not taken back), or does it come behind it? */
static bool comes_behind(const struct tx *t, const struct tx_state *s, uint32_t slot, uint8_t word, uint32_t index) {
    while (word != NOT_ITS_SLOT && index_of(word) != 0) {
        bool removed = op_behind(t, word)->plan.removes >> t->key_of[slot] & 1;
        bool own = form_of(word) == FORM_LIVE || is_intent(word) || form_of(word) == FORM_CLEANED ||
                   (is_empty(word) && removed);
        if (index_of(word) == index) {
            return own;
        }
        word = s->prev[index_of(word)][slot];
    }
    return false;
}

struct failover {
    const struct tx_state *before;
    uint32_t dead[TX_SLOTS_MAX]; /* replica of each slot */
};

/* The words of the slot that are left, the one that counts first. */
static uint8_t first_left(const struct failover *f, uint32_t slot) {
    return f->before->slots[f->dead[slot] == 0][slot];
}

static bool all_left_hold(const struct failover *f, uint32_t slot, uint8_t word) {
    bool all = true;
    for (uint32_t replica = 0; replica < f->before->replicas[slot]; replica++) {
        all &= replica == f->dead[slot] || f->before->slots[replica][slot] == word;
    }
    return all;
}

/* Does a living P show the intent or what came behind it, or, where P died, a backup what came behind it? */
static bool has_gone_on(const struct tx *t, const struct failover *f, uint32_t slot, uint8_t intent) {
    uint32_t first = f->dead[slot] == 0 ? 1 : 0;
    uint32_t last = f->dead[slot] == 0 ? f->before->replicas[slot] : 1;
    bool found = false;
    for (uint32_t replica = first; replica < last; replica++) {
        uint8_t word = f->before->slots[replica][slot];
        bool only_prepared = word == intent && f->dead[slot] == 0;
        bool blind = f->dead[slot] == 0 && without(t, SWITCH_tx_dead_owner_cleaned);
        found |= !only_prepared && !blind && comes_behind(t, f->before, slot, word, index_of(intent));
    }
    return found;
}

static bool dead_has_passed(const struct tx *t, const struct failover *f, uint8_t intent) {
    bool some_p = false;
    if (without(t, SWITCH_tx_dead_owner_back) || without(t, SWITCH_tx_dead_owner_forward)) {
        return without(t, SWITCH_tx_dead_owner_forward);
    }
    bool all_hold = true;
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        if ((tx_slots(t, f->before, intent) >> slot & 1) == 0) {
            continue;
        }
        some_p |= f->dead[slot] != 0;
        all_hold &= all_left_hold(f, slot, intent);
        if (has_gone_on(t, f, slot, intent)) {
            return true;
        }
    }
    return !some_p && all_hold;
}

static bool has_passed(const struct tx *t, const struct failover *f, uint8_t word) {
    const struct process *p = &f->before->process[owner_of(word)];
    if (p->phase == PHASE_DEAD) {
        return op_behind(t, word)->many ? dead_has_passed(t, f, word) : true; /* an insert: it stays (decision 0011) */
    }
    bool current = p->phase >= PHASE_ROUND && p->phase < PHASE_DONE && (p->flags & FLAG_CLEAN) == 0 &&
                   own_index(f->before, owner_of(word)) == index_of(word);
    return !current || p->phase == PHASE_PUBLISH || p->phase == PHASE_PUBLISHED;
}

static uint8_t primary_lost(const struct tx *t, const struct failover *f, uint32_t slot) {
    uint8_t word = first_left(f, slot);
    bool insert = form_of(word) == FORM_LIVE && index_of(word) != 0 && is_empty(f->before->prev[index_of(word)][slot]);
    if ((!is_intent(word) && !insert) || without(t, SWITCH_tx_failover_kept)) {
        return word;
    }
    bool stays = has_passed(t, f, word) && all_left_hold(f, slot, word);
    if (is_intent(word)) {
        stays = has_passed(t, f, word) && !without(t, SWITCH_tx_failover_undone);
    }
    return stays ? word : tx_back_word(t, f->before, index_of(word), slot);
}

/* The intent that has passed and whose old word P still shows; else P's word. */
static uint8_t backup_lost(const struct tx *t, const struct failover *f, uint32_t slot) {
    uint8_t word = f->before->slots[0][slot];
    for (uint32_t replica = 1; replica < f->before->replicas[slot]; replica++) {
        for (uint32_t index = 1; index < INDICES_MAX && !without(t, SWITCH_tx_backup_died_p_word); index++) {
            uint8_t intent = word_of(index, FORM_INTENT);
            bool its = owner_of(intent) < t->clients && op_behind(t, intent)->many &&
                       f->before->prev[index][slot] == word && word != NOT_ITS_SLOT;
            if (!its) {
                continue;
            }
            const struct process *p = &f->before->process[owner_of(intent)];
            bool passed = p->phase == PHASE_DEAD
                              ? dead_has_passed(t, f, intent)
                              : p->phase == PHASE_PUBLISH && own_index(f->before, owner_of(intent)) == index;
            if (passed) {
                return intent;
            }
        }
    }
    return word;
}

/* A dead client's insert that stays must be the only slot of its key. */
static void remove_beside(const struct tx *t, const struct failover *f, uint8_t *words) {
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        uint8_t word = words[slot];
        bool dead = index_of(word) != 0 && f->before->process[owner_of(word)].phase == PHASE_DEAD;
        if (!dead || f->dead[slot] != 0 || is_empty(word) || !is_empty(f->before->prev[index_of(word)][slot])) {
            continue;
        }
        for (uint32_t other = 0; other < t->slots; other++) {
            if (other != slot && t->key_of[other] == t->key_of[slot] && !is_empty(words[other])) {
                for (uint32_t its = 0; its < t->slots; its++) { /* all of the transaction goes back */
                    if (words[its] == word && (tx_slots(t, f->before, word) >> its & 1) != 0) {
                        words[its] = tx_back_word(t, f->before, index_of(word), its);
                    }
                }
            }
        }
    }
}

/* ---- The new epoch ---------------------------------------------------------------------------------------------- */

static void wake(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    bool many = op_of(t, s, c)->many;
    bool sleeps = without(t, SWITCH_tx_waiter_sleeps) && p->phase == PHASE_WAIT;
    sleeps |= without(t, SWITCH_tx_doomed_publishes) && (p->phase == PHASE_ROUND || p->phase == PHASE_FIX);
    if (p->phase == PHASE_IDLE || p->phase >= PHASE_DONE || p->phase == PHASE_CHOOSE || sleeps) {
        return;
    }
    if ((p->flags & FLAG_CLEAN) != 0) {
        p->inserts |= p->part;
        tx_committed(t, s, c); /* the clean of this slot once more */
    } else if (p->phase < PHASE_ROUND) {
        process_finish(p, p->op, p->attempt);
        tx_collect(t, s, c);
    } else if (many && (p->phase == PHASE_PUBLISH || p->phase == PHASE_PUBLISHED)) {
        p->mask = 0;
        tx_committed(t, s, c);
    } else if (many) {
        tx_next_attempt(t, s, c, p->inserts != 0 || (p->flags & FLAG_LOOKS) != 0 ? PHASE_LOOK : PHASE_COLLECT);
    } else {
        p->part = p->phase == PHASE_WAIT ? p->lost : p->part;
        p->lost = 0;
        memset(p->before, 0, sizeof p->before);
        memset(p->second, 0, sizeof p->second);
        process_enter(p, PHASE_RESOLVE, verbs(p->part, 0));
    }
}

void tx_resolved(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    uint32_t slot = (uint32_t)__builtin_ctz(p->part);
    uint8_t word = p->view[slot];
    p->view[slot] = 0;
    if (comes_behind(t, s, slot, word, own_index(s, c))) {
        tx_committed(t, s, c);
    } else {
        tx_next_attempt(t, s, c, p->inserts != 0 || (p->flags & FLAG_LOOKS) != 0 ? PHASE_LOOK : PHASE_COLLECT);
    }
}

void tx_node_dies(struct tx *t, const struct tx_state *before) {
    if (t->config.node_dies == 0 || before->died != 0) {
        return;
    }
    struct tx_state s = *before;
    struct failover f = {before, {0}};
    uint8_t words[TX_SLOTS_MAX] = {0};
    uint32_t node = t->config.node_dies - 1u;
    explore_say(t->explore, "node %u dies; settled:", node);
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        f.dead[slot] = replica_on(t, node, slot);
    }
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        words[slot] = f.dead[slot] == 0 ? primary_lost(t, &f, slot) : backup_lost(t, &f, slot);
    }
    remove_beside(t, &f, words);
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        explore_say(t->explore, " %u = %s", slot, tx_word_name(t, words[slot]));
        s.replicas[slot]--;
        for (uint32_t replica = 0; replica < t->config.replicas; replica++) {
            s.slots[replica][slot] = replica < s.replicas[slot] ? words[slot] : 0;
        }
    }
    s.died = 1;
    for (uint32_t c = 0; c < t->clients; c++) {
        wake(t, &s, c);
    }
    tx_repair_again(t, &s);
    tx_emit(t, &s);
}
