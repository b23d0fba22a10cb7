/* tx_verb.c: the transaction model's verbs: what they do to the memory nodes, and the assertions on every CAS of a
 * winner. Decides nothing; see tx_step.c.
 */
#include "tx_state.h"

static bool removes(const struct tx *t, const struct tx_state *s, uint32_t c, uint32_t slot) {
    return op_of(t, s, c)->plan.removes >> t->key_of[slot] & 1;
}

uint8_t tx_new_word(const struct tx *t, const struct tx_state *s, uint32_t c, uint32_t slot) {
    uint32_t own = own_index(s, c);
    if ((s->process[c].flags & FLAG_CLEAN) != 0) {
        if (removes(t, s, c, slot)) {
            return without(t, SWITCH_tx_clear_zero) ? word_of(0, FORM_EMPTY) : word_of(own, FORM_EMPTY);
        }
        return word_of(own, FORM_CLEANED);
    }
    return word_of(own, op_of(t, s, c)->many ? FORM_INTENT : FORM_LIVE);
}

static const char *replica_name(uint32_t replica) {
    static const char *const names[] = {"P", "B1", "B2"};
    return names[replica];
}

/* Two live slots of one key never exist. */
static void primary_changed(struct tx *t, struct tx_state *s, uint32_t slot, uint8_t word) {
    for (uint32_t other = 0; other < t->slots; other++) {
        uint8_t there = s->slots[0][other];
        bool live = form_of(there) != FORM_PREPARED && form_of(word) != FORM_PREPARED;
        if (other != slot && t->key_of[other] == t->key_of[slot] && live && !is_intent(there) && !is_intent(word) &&
            tx_value(t, s, slot, word) != MONITOR_ABSENT && tx_value(t, s, other, there) != MONITOR_ABSENT) {
            explore_violate(t->explore, "two live slots of one key");
        }
    }
}

uint8_t tx_cas(struct tx *t, struct tx_state *s, uint32_t c, uint32_t slot, uint32_t replica, uint8_t from,
               uint8_t to) {
    uint8_t seen = s->slots[replica][slot];
    explore_say(t->explore, "%s: CAS %s.%u %s -> %s", tx_process_name(t, c), replica_name(replica), slot,
                tx_word_name(t, from), tx_word_name(t, to));
    if (seen != from) {
        explore_say(t->explore, ": finds %s", tx_word_name(t, seen));
        return seen;
    }
    s->slots[replica][slot] = to;
    if (replica == 0) {
        primary_changed(t, s, slot, to);
    }
    return seen;
}

static uint8_t read_slot(struct tx *t, const struct tx_state *s, uint32_t c, uint32_t slot, uint32_t replica) {
    explore_say(t->explore, "%s: READ %s.%u = %s", tx_process_name(t, c), replica_name(replica), slot,
                tx_word_name(t, s->slots[replica][slot]));
    return s->slots[replica][slot];
}

/* A CAS that a winner cannot lose. */
static void winners_cas(struct tx *t, struct tx_state *s, uint32_t c, uint32_t verb, uint32_t replica, uint8_t from,
                        uint8_t to) {
    if (from != to && tx_cas(t, s, c, verb / 4, replica, from, to) != from) {
        explore_violate(t->explore,
                        replica == 0 ? "a winner's CAS of the primary fails" : "a winner's CAS of a backup fails");
    }
}

static void check(struct tx *t, struct tx_state *s, uint32_t c, uint32_t slot) {
    for (uint32_t other = 0; other < t->slots; other++) {
        if (other == slot || t->key_of[other] != t->key_of[slot]) {
            continue;
        }
        uint8_t word = read_slot(t, s, c, other, single(s, slot) ? 0 : 1);
        bool skipped = is_intent(word) && without(t, SWITCH_tx_check_skips_intents);
        s->process[c].flags |= !is_empty(word) && !skipped ? FLAG_CONFLICT : 0;
    }
}

static void round_verb(struct tx *t, struct tx_state *s, uint32_t c, uint32_t verb) {
    struct process *p = &s->process[c];
    uint32_t slot = verb / 4;
    uint8_t to = tx_new_word(t, s, c, slot);
    switch (verb % 4) {
    case 0:
        if (single(s, slot)) {
            bool in_two_steps =
                !t->config.status && (p->flags & FLAG_CLEAN) == 0 && (is_intent(to) || (p->inserts >> slot & 1) != 0);
            to = in_two_steps ? word_of(index_of(to), FORM_PREPARED) : to;
        }
        p->before[slot] = tx_cas(t, s, c, slot, single(s, slot) ? 0 : 1, p->v_old[slot], to);
        break;
    case 1:
        p->second[slot] = tx_cas(t, s, c, slot, 2, p->v_old[slot], to);
        break;
    case 2:
        check(t, s, c, slot);
        break;
    default: /* tx_no_barrier */
        (void)tx_cas(t, s, c, slot, 0, p->v_old[slot], to);
        break;
    }
}

static void abort_verb(struct tx *t, struct tx_state *s, uint32_t c, uint32_t verb) {
    struct process *p = &s->process[c];
    uint32_t slot = verb / 4;
    uint32_t own = own_index(s, c);
    uint8_t own_word = tx_new_word(t, s, c, slot);
    uint8_t to = without(t, SWITCH_tx_abort_old_word) ? p->v_old[slot] : tx_back_word(t, s, own, slot);
    if (p->phase == PHASE_ABORT_PRIMARY) {
        bool published = without(t, SWITCH_tx_no_barrier) && s->slots[0][slot] == own_word;
        uint8_t from = single(s, slot) ? word_of(own, FORM_PREPARED) : published ? own_word : p->v_old[slot];
        winners_cas(t, s, c, verb, 0, from, to);
    } else if (verb % 4 == 0) {
        winners_cas(t, s, c, verb, 1, own_word, to);
    } else {
        winners_cas(t, s, c, verb, 2, p->second[slot] == p->v_old[slot] ? own_word : p->second[slot], to);
    }
}

static void look_verb(struct tx *t, struct tx_state *s, uint32_t c, uint32_t verb) {
    struct process *p = &s->process[c];
    uint8_t word = read_slot(t, s, c, verb / 4, verb % 4);
    if (verb % 4 == 0) {
        p->view[verb / 4] = word;
    } else if (!is_empty(word)) {
        p->second[verb / 4] = 1;
    }
}

void tx_verb(struct tx *t, struct tx_state *s, uint32_t c, uint32_t verb) {
    struct process *p = &s->process[c];
    uint32_t slot = verb / 4;
    p->mask &= (uint16_t) ~(1u << verb);
    switch ((enum phase)p->phase) {
    case PHASE_COLLECT:
        if (slot == STATUS_COLUMN && t->config.status) {
            tx_status_verb(t, s, c, verb);
            break;
        }
        p->view[slot] = read_slot(t, s, c, slot, 0);
        break;
    case PHASE_STATUS:
    case PHASE_TAKE_OUT:
    case PHASE_HELP:
    case PHASE_REPLACE:
    case PHASE_LOOK_UP:
        tx_status_verb(t, s, c, verb);
        break;
    case PHASE_WAIT:
    case PHASE_HOLD:
    case PHASE_AWAIT_ME:
    case PHASE_RESOLVE:
        p->view[slot] = read_slot(t, s, c, slot, 0);
        break;
    case PHASE_LOOK:
        look_verb(t, s, c, verb);
        break;
    case PHASE_PEEK:
    case PHASE_AWAIT:
        p->flags |= tx_shows_old(s, index_of(p->met), slot, read_slot(t, s, c, slot, 0)) ? FLAG_OLD : 0;
        break;
    case PHASE_RECHECK:
        if (read_slot(t, s, c, slot, without(t, SWITCH_tx_reads_checked_on_p) || single(s, slot) ? 0 : 1) !=
            p->v_old[slot]) {
            p->flags |= FLAG_CONFLICT;
        }
        break;
    case PHASE_ROUND:
        round_verb(t, s, c, verb);
        break;
    case PHASE_FIX:
        winners_cas(t, s, c, verb, 2, p->second[slot], tx_new_word(t, s, c, slot));
        break;
    case PHASE_PUBLISH: {
        uint8_t to = tx_new_word(t, s, c, slot);
        if (!without(t, SWITCH_tx_no_barrier) || s->slots[0][slot] != to) {
            winners_cas(t, s, c, verb, 0, single(s, slot) ? word_of(index_of(to), FORM_PREPARED) : p->v_old[slot], to);
        }
        break;
    }
    case PHASE_PUBLISHED:
        explore_say(t->explore, "%s learns that it has committed", tx_process_name(t, c));
        break;
    case PHASE_ABORT_BACKUPS:
    case PHASE_ABORT_PRIMARY:
        abort_verb(t, s, c, verb);
        break;
    case PHASE_CLEAN_PRIMARY:
        p->before[slot] = tx_cas(t, s, c, slot, 0, p->v_old[slot], tx_new_word(t, s, c, slot));
        break;
    case PHASE_CLEAN_BACKUPS:
        (void)tx_cas(t, s, c, slot, verb % 4 + 1, p->v_old[slot], tx_new_word(t, s, c, slot));
        break;
    default:
        tx_repair_verb(t, s, c, verb);
        break;
    }
}

bool tx_verb_enabled(const struct tx *t, const struct tx_state *s, uint32_t c, uint32_t verb) {
    const struct process *p = &s->process[c];
    uint32_t slot = verb / 4;
    switch ((enum phase)p->phase) {
    case PHASE_DEAD:
        return false;
    case PHASE_WAIT:
    case PHASE_HOLD:
        return s->slots[0][slot] != p->v_old[slot];
    case PHASE_AWAIT:
        return !tx_shows_old(s, index_of(p->met), slot, s->slots[0][slot]);
    case PHASE_AWAIT_ME:
        return s->slots[0][slot] != p->met;
    case PHASE_ROUND:
        if (verb % 4 == 2) {
            return (p->mask >> 4 * slot & 1) == 0 || without(t, SWITCH_tx_check_before_cas);
        }
        if (verb % 4 == 3) { /* tx_no_barrier */
            bool two = s->replicas[slot] == 3;
            return (p->mask >> 4 * slot & 3) == 0 && p->before[slot] == p->v_old[slot] &&
                   (!two || p->second[slot] == p->v_old[slot]);
        }
        return true;
    default:
        return true;
    }
}
