/* tx_read.c: how an operation of the transaction model goes on from the words that it has READ: readers answer, or look
 * at the other slots of an intent's transaction; writers wait for it and then begin their round. No verbs here.
 */
#include "tx_state.h"

void tx_collect(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    p->part = tx_slots_of_keys(t, op_of(t, s, c)->keys);
    p->lost = p->inserts = 0;
    process_enter(p, PHASE_COLLECT, verbs(p->part, 0));
}

/* The other slots of the transaction behind the word met in slot `at`. */
static void look_at_others(struct tx *t, struct tx_state *s, uint32_t c, enum phase phase, uint32_t at) {
    struct process *p = &s->process[c];
    p->at = (uint8_t)at;
    p->met = p->view[at];
    p->flags &= (uint8_t)~FLAG_OLD;
    uint8_t others = tx_slots(t, s, p->met) & (uint8_t) ~(1u << at);
    if (without(t, SWITCH_tx_one_other_slot) && phase == PHASE_PEEK) {
        others &= (uint8_t)-others;
    }
    process_enter(p, phase, verbs(others, 0));
    if (others == 0) {
        tx_advance(t, s, c);
    }
}

void tx_answer(struct tx *t, struct tx_state *s, uint32_t c, uint32_t result) {
    uint8_t op = (uint8_t)(s->process[c].op + 1);
    tx_reply(t, s, c, result);
    process_finish(&s->process[c], op, 0);
    s->process[c].phase = op == t->ops[c] ? PHASE_DONE : PHASE_IDLE;
}

static void answer_get(struct tx *t, struct tx_state *s, uint32_t c, uint8_t value) {
    struct process *p = &s->process[c];
    bool hit = p->part != tx_slots_of_keys(t, op_of(t, s, c)->keys);
    if (hit && value == MONITOR_ABSENT && !(without(t, SWITCH_tx_hit_sees_deleted) && is_intent(p->met))) {
        process_finish(p, p->op, p->attempt);
        tx_collect(t, s, c); /* the key may have moved to another slot */
    } else {
        tx_answer(t, s, c, value);
    }
}

static void get_collected(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    uint8_t value = MONITOR_ABSENT;
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        uint8_t word = p->view[slot];
        if ((p->part >> slot & 1) == 0 || is_empty(word)) {
            continue;
        }
        bool told = without(t, SWITCH_tx_new_at_sight) || without(t, SWITCH_tx_old_always);
        if (is_intent(word) && t->config.status) {
            p->at = (uint8_t)slot;
            p->met = word;
            process_enter(p, PHASE_LOOK_UP, 1);
            return;
        }
        if (is_intent(word) && !told) {
            if (value == MONITOR_ABSENT) {
                look_at_others(t, s, c, PHASE_PEEK, slot);
                return;
            }
            continue;
        }
        bool old = form_of(word) == FORM_PREPARED || (is_intent(word) && without(t, SWITCH_tx_old_always));
        word = old ? s->prev[index_of(word)][slot] : word;
        uint8_t here = tx_value(t, s, slot, word);
        value = here != MONITOR_ABSENT ? here : value;
    }
    answer_get(t, s, c, value);
}

void tx_peeked(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    if (p->phase == PHASE_AWAIT) { /* a writer: the transaction is committed, go on with its word */
        p->lost |= (uint8_t)(1u << p->at);
        p->met = p->at = 0;
        tx_collected(t, s, c);
        return;
    }
    uint8_t word = (p->flags & FLAG_OLD) != 0 ? s->prev[index_of(p->met)][p->at] : p->met;
    uint8_t value = tx_value(t, s, p->at, word);
    for (uint32_t slot = 0; slot < t->slots && value == MONITOR_ABSENT; slot++) {
        uint8_t other = p->view[slot];
        if (slot != p->at && (p->part >> slot & 1) != 0 && !is_empty(other) && slot > p->at) {
            if (is_intent(other)) {
                look_at_others(t, s, c, PHASE_PEEK, slot);
                return;
            }
            bool old = form_of(other) == FORM_PREPARED;
            value = tx_value(t, s, slot, old ? s->prev[index_of(other)][slot] : other);
        }
    }
    answer_get(t, s, c, value);
}

/* ---- MGET ------------------------------------------------------------------------------------------------------- */

static bool picture_shows_old(const struct tx *t, const struct tx_state *s, uint32_t c, uint8_t intent) {
    const struct process *p = &s->process[c];
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        bool its = (tx_slots(t, s, intent) & p->part) >> slot & 1;
        if (its && tx_shows_old(s, index_of(intent), slot, p->view[slot])) {
            return true;
        }
    }
    return false;
}

static void mget_collected(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    uint8_t all = p->part;
    uint32_t result = 0;
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        if ((p->part >> slot & 1) != 0 && is_intent(p->view[slot]) && !without(t, SWITCH_tx_mget_own_slots)) {
            all |= tx_slots(t, s, p->view[slot]);
        }
    }
    bool same = (p->flags & FLAG_SECOND) != 0 && memcmp(p->view, p->before, sizeof p->view) == 0;
    if (all != p->part || (!same && !without(t, SWITCH_tx_mget_one_collect))) {
        memcpy(p->before, p->view, sizeof p->view);
        p->flags |= FLAG_SECOND;
        p->part = all;
        process_enter(p, PHASE_COLLECT, verbs(all, 0));
        return;
    }
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        uint8_t word = p->view[slot];
        bool asked = op_of(t, s, c)->keys >> t->key_of[slot] & 1;
        if (!asked || is_empty(word)) {
            continue;
        }
        bool old = form_of(word) == FORM_PREPARED || (is_intent(word) && picture_shows_old(t, s, c, word));
        uint8_t value = tx_value(t, s, slot, old ? s->prev[index_of(word)][slot] : word);
        result |= (uint32_t)value << 4 * t->key_of[slot];
    }
    tx_answer(t, s, c, result);
}

/* ---- Writers ---------------------------------------------------------------------------------------------------- */

/* true: this writer has to wait for a transaction. */
static bool waits(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        if ((p->part >> slot & 1) == 0 || (p->lost >> slot & 1) != 0) {
            continue;
        }
        if (form_of(p->view[slot]) == FORM_PREPARED) {
            p->at = (uint8_t)slot;
            p->met = p->view[slot];
            process_enter(p, PHASE_AWAIT_ME, verbs((uint8_t)(1u << slot), 0));
            return true;
        }
        if (is_intent(p->view[slot]) && t->config.status) {
            p->at = (uint8_t)slot;
            p->met = p->view[slot];
            process_enter(p, PHASE_HELP, 1);
            return true;
        }
        if (is_intent(p->view[slot]) && !without(t, SWITCH_tx_overwrite_at_sight)) {
            look_at_others(t, s, c, PHASE_AWAIT, slot);
            return true;
        }
    }
    return false;
}

/* The slot of the key: one with a value, else one that says "deleted"; TX_SLOTS_MAX: none. */
static uint32_t slot_of(const struct tx *t, const struct tx_state *s, uint32_t c, uint32_t key) {
    const struct process *p = &s->process[c];
    uint32_t found = TX_SLOTS_MAX;
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        if (t->key_of[slot] == key && !is_empty(p->view[slot]) &&
            (found == TX_SLOTS_MAX || tx_value(t, s, slot, p->view[slot]) != MONITOR_ABSENT)) {
            found = slot;
        }
    }
    return found;
}

/* The slots of this attempt; keys that are new: all their empty slots. false: nothing is to be written. */
static bool plan(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    const struct tx_op *op = op_of(t, s, c);
    p->part = p->inserts = p->lost = 0;
    for (uint32_t key = 0; key < MONITOR_KEYS_MAX; key++) {
        if ((op->keys >> key & 1) == 0) {
            continue;
        }
        uint32_t found = slot_of(t, s, c, key);
        if (found == TX_SLOTS_MAX) {
            p->inserts |= tx_slots_of_keys(t, (uint8_t)(1u << key));
        } else {
            p->part |= (uint8_t)(1u << found);
            if (op->plan.all_absent && tx_value(t, s, found, p->view[found]) != MONITOR_ABSENT) {
                return false;
            }
        }
    }
    return true;
}

/* LOOK: is a new key of this operation on a backup, but not in P? */
static bool is_pending(const struct tx *t, const struct tx_state *s, uint32_t c) {
    const struct process *p = &s->process[c];
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        if ((p->second[slot] & 1) != 0 && slot_of(t, s, c, t->key_of[slot]) == TX_SLOTS_MAX) {
            return true;
        }
    }
    return false;
}

void tx_collected(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    const struct tx_op *op = op_of(t, s, c);
    if (op->letter == 'G') {
        get_collected(t, s, c);
        return;
    }
    if (op->letter == 'M') {
        if (t->config.status) {
            tx_status_mget(t, s, c);
        } else {
            mget_collected(t, s, c);
        }
        return;
    }
    if (p->phase == PHASE_LOOK && is_pending(t, s, c)) {
        memset(p->second, 0, sizeof p->second);
        memset(p->view, 0, sizeof p->view);
        tx_look(s, c);
        return;
    }
    memset(p->second, 0, sizeof p->second);
    if (waits(t, s, c)) {
        return;
    }
    if (!plan(t, s, c)) {
        tx_answer(t, s, c, 0);
    } else if (p->inserts != 0) {
        p->mask = 0;
        p->phase = PHASE_CHOOSE;
    } else {
        tx_round(t, s, c);
    }
}
