/* tx_repair.c: the transaction model's crash of one client, and the repair of its rounds: {READ P of all slots of its
 * transaction}: one shows the intent: forward, else back; then slot by slot as for a single key (bucket_repair.c),
 * where the transaction's intent becomes what that says. Abort and clean rounds go forward.
 */
#include "tx_state.h"

static uint32_t dead_client(const struct tx *t) { return t->config.crash - 1u; }

bool tx_can_die(const struct tx *t, const struct tx_state *s) {
    if (t->config.crash == 0) {
        return false;
    }
    uint8_t phase = s->process[dead_client(t)].phase;
    return phase != PHASE_DONE && phase != PHASE_GAVE_UP && phase != PHASE_DEAD && phase != PHASE_IDLE;
}

static void begin_slot(const struct tx *t, struct process *p, uint32_t slot) {
    uint8_t met = p->met;
    uint8_t flags = p->flags & FLAG_FORWARD;
    process_finish(p, 0, 0);
    p->met = met;
    p->flags = flags;
    if (slot < t->slots) {
        p->at = (uint8_t)slot;
        process_enter(p, PHASE_REPAIR_P, 1);
    } else {
        p->met = p->flags = 0;
        p->phase = PHASE_DONE;
    }
}

/* From the beginning, because the client has died, or the epoch is new. */
void tx_repair_again(const struct tx *t, struct tx_state *s) {
    struct process *p = &s->process[t->clients];
    uint8_t met = p->met;
    if (p->phase == PHASE_IDLE || p->phase == PHASE_DONE) {
        return;
    }
    process_finish(p, 0, 0);
    p->met = met;
    if (met == 0) {
        begin_slot(t, p, 0);
    } else {
        process_enter(p, PHASE_REPAIR_LOOK, verbs(tx_slots(t, s, met), 0));
    }
}

/* The fence: what the client had posted and was not done yet is lost. */
void tx_die(struct tx *t, struct tx_state *s) {
    uint32_t c = dead_client(t);
    struct process *p = &s->process[c];
    struct process *repair = &s->process[t->clients];
    explore_say(t->explore, "%s dies", tx_process_name(t, c));
    bool posted = p->phase >= PHASE_ROUND && p->phase < PHASE_DONE;
    uint8_t met = posted && op_of(t, s, c)->many ? word_of(own_index(s, c), FORM_INTENT) : 0;
    process_finish(p, 0, 0);
    p->phase = PHASE_DEAD;
    if (without(t, SWITCH_tx_no_repair) || t->config.status) {
        return;
    }
    repair->phase = PHASE_REPAIR_P;
    repair->met = met;
    tx_repair_again(t, s);
}

void tx_repair_verb(struct tx *t, struct tx_state *s, uint32_t c, uint32_t verb) {
    struct process *p = &s->process[c];
    uint32_t slot = p->at;
    switch ((enum phase)p->phase) {
    case PHASE_REPAIR_LOOK:
        explore_say(t->explore, "repair: READ P.%u = %s", verb / 4, tx_word_name(t, s->slots[0][verb / 4]));
        p->flags |= s->slots[0][verb / 4] == p->met ? FLAG_FORWARD : 0;
        break;
    case PHASE_REPAIR_P:
        p->v_old[slot] = s->slots[0][slot];
        explore_say(t->explore, "repair: READ P.%u = %s", slot, tx_word_name(t, p->v_old[slot]));
        break;
    case PHASE_REPAIR_L:
        (verb == 0 ? p->before : p->second)[slot] = s->slots[verb + 1][slot];
        explore_say(t->explore, "repair: READ B%u.%u = %s", verb + 1, slot, tx_word_name(t, s->slots[verb + 1][slot]));
        break;
    case PHASE_REPAIR_P2:
        p->view[slot] = s->slots[0][slot];
        explore_say(t->explore, "repair: READ P.%u = %s again", slot, tx_word_name(t, p->view[slot]));
        break;
    case PHASE_REPAIR_FILL:
        (void)tx_cas(t, s, c, slot, verb + 1, p->v_old[slot], p->to);
        break;
    case PHASE_REPAIR_SET: {
        uint8_t from = (verb == 0 ? p->before : p->second)[slot];
        if (tx_cas(t, s, c, slot, verb + 1, from, p->to) != from) {
            explore_violate(t->explore, "the repair's CAS of a backup fails");
        }
        break;
    }
    case PHASE_REPAIR_PUBLISH:
        if (tx_cas(t, s, c, slot, 0, p->v_old[slot], p->to) != p->v_old[slot]) {
            explore_violate(t->explore, "the repair's CAS of the primary fails");
        }
        break;
    default:
        break;
    }
}

/* What takes the place of the dead client's word w. */
static uint8_t settled_word(const struct tx *t, const struct tx_state *s, const struct process *p, uint8_t w) {
    uint32_t slot = p->at;
    bool forward = (p->flags & FLAG_FORWARD) != 0 || without(t, SWITCH_tx_repair_forward);
    switch (form_of(w)) {
    case FORM_PREPARED:
        if (!op_behind(t, w)->many) {
            return word_of(index_of(w), FORM_EMPTY);
        }
        /* fall through */
    case FORM_INTENT:
        if (index_of(w) != index_of(p->met)) {
            return w; /* of an earlier one */
        }
        return forward && !without(t, SWITCH_tx_repair_back) ? p->met : tx_back_word(t, s, index_of(w), slot);
    case FORM_LIVE:
        return is_empty(p->v_old[slot]) ? word_of(index_of(w), FORM_EMPTY) : w;
    default:
        return w;
    }
}

static void decide_single(const struct tx *t, const struct tx_state *s, struct process *p) {
    uint8_t w = p->v_old[p->at];
    if (form_of(w) == FORM_PREPARED && owner_of(w) == dead_client(t)) {
        p->to = settled_word(t, s, p, w);
        process_enter(p, PHASE_REPAIR_PUBLISH, 1);
    } else {
        begin_slot(t, p, p->at + 1u);
    }
}

static bool is_dead(const struct tx *t, uint8_t word) {
    return index_of(word) != 0 && owner_of(word) == dead_client(t);
}

static void decide(const struct tx *t, const struct tx_state *s, struct process *p) {
    uint32_t slot = p->at;
    bool two = s->replicas[slot] == 3;
    uint8_t old = p->v_old[slot];
    uint8_t first = p->before[slot];
    uint8_t second = two ? p->second[slot] : first;
    bool moved = p->view[slot] != old;
    uint8_t w = first == old && is_dead(t, second) ? second : first;
    p->view[slot] = 0;
    if (moved || (first == old && second == old) || w == old || !is_dead(t, w)) {
        begin_slot(t, p, slot + 1);
        return;
    }
    uint32_t unset = (first == old ? 1u : 0) | (two && second == old ? 2u : 0);
    if (unset != 0) {
        p->to = w;
        p->before[slot] = p->second[slot] = 0;
        process_enter(p, PHASE_REPAIR_FILL, unset);
        return;
    }
    p->to = settled_word(t, s, p, w);
    uint32_t set = (first != p->to ? 1u : 0) | (two && second != p->to ? 2u : 0);
    process_enter(p, set != 0 ? PHASE_REPAIR_SET : PHASE_REPAIR_PUBLISH, set != 0 ? set : 1);
}

void tx_repair_advance(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    switch ((enum phase)p->phase) {
    case PHASE_REPAIR_LOOK:
        begin_slot(t, p, 0);
        break;
    case PHASE_REPAIR_P:
        if (s->replicas[p->at] == 1) {
            decide_single(t, s, p);
        } else {
            process_enter(p, PHASE_REPAIR_L, s->replicas[p->at] == 3 ? 3 : 1);
        }
        break;
    case PHASE_REPAIR_L:
        process_enter(p, PHASE_REPAIR_P2, 1);
        break;
    case PHASE_REPAIR_P2:
        decide(t, s, p);
        break;
    case PHASE_REPAIR_FILL:
        begin_slot(t, p, p->at);
        break;
    case PHASE_REPAIR_SET:
        p->before[p->at] = p->second[p->at] = 0;
        process_enter(p, PHASE_REPAIR_PUBLISH, 1);
        break;
    case PHASE_REPAIR_PUBLISH:
        begin_slot(t, p, p->at + 1u);
        break;
    default:
        break;
    }
}
