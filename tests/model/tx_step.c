/* tx_step.c: what a client of the transaction model does when a batch has ended. No verbs here. */
#include "tx_state.h"

void tx_reply(struct tx *t, struct tx_state *s, uint32_t c, uint32_t result) {
    explore_say(t->explore, "; replies %x", result);
    uint32_t set = monitor_reply(t->monitor, s->monitor, c, result);
    if (set == MONITOR_BROKEN) {
        explore_violate(t->explore, "not linearizable");
    } else {
        s->monitor = set;
    }
}

void tx_look(struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    uint32_t mask = 0;
    for (uint32_t replica = 0; replica < s->replicas[0]; replica++) {
        mask |= verbs(p->part, replica);
    }
    process_enter(p, PHASE_LOOK, mask);
}

void tx_next_attempt(struct tx *t, struct tx_state *s, uint32_t c, enum phase phase) {
    struct process *p = &s->process[c];
    uint8_t attempt = (uint8_t)(p->attempt + 1);
    process_finish(p, p->op, attempt);
    if (attempt == t->config.attempts) {
        explore_say(t->explore, "; gives up");
        process_finish(p, 0, 0);
        p->phase = PHASE_GAVE_UP;
        return;
    }
    tx_collect(t, s, c);
    if (phase == PHASE_LOOK) {
        tx_look(s, c);
    }
}

/* ---- After the commit ------------------------------------------------------------------------------------------- */

static void clean_next(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    uint8_t left = p->inserts;
    uint8_t op = (uint8_t)(p->op + 1);
    if (left == 0) {
        process_finish(p, op, 0);
        p->phase = op == t->ops[c] ? PHASE_DONE : PHASE_IDLE;
        return;
    }
    uint32_t slot = (uint32_t)__builtin_ctz(left);
    process_finish(p, p->op, p->attempt);
    p->flags = FLAG_CLEAN;
    p->inserts = left & (uint8_t)(left - 1);
    p->part = (uint8_t)(1u << slot);
    p->v_old[slot] = word_of(own_index(s, c), FORM_INTENT);
    process_enter(p, PHASE_ROUND, verbs(p->part, 0) | (s->replicas[slot] == 3 ? verbs(p->part, 1) : 0));
    bool removed = op_of(t, s, c)->plan.removes >> t->key_of[slot] & 1;
    if (removed && without(t, SWITCH_tx_clear_p_first)) {
        process_enter(p, PHASE_CLEAN_PRIMARY, verbs(p->part, 0));
    }
}

static uint32_t result_of(const struct tx *t, const struct tx_state *s, uint32_t c) {
    const struct process *p = &s->process[c];
    const struct tx_op *op = op_of(t, s, c);
    uint32_t result = op->plan.all_absent;
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        uint32_t key = t->key_of[slot];
        bool its = ((p->part | p->met) >> slot & 1) != 0;
        uint32_t value = its ? tx_value(t, s, slot, p->v_old[slot]) : MONITOR_ABSENT;
        if (op->letter == 'R' && its) {
            result = value;
        } else if (op->many && its && (op->plan.reads >> key & 1) != 0) {
            result |= value << 4 * key;
        }
    }
    return result;
}

void tx_committed(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    if ((p->flags & FLAG_CLEAN) != 0) {
        clean_next(t, s, c);
        return;
    }
    if ((p->flags & FLAG_FORWARD) == 0) {
        tx_reply(t, s, c, result_of(t, s, c));
    }
    p->inserts = op_of(t, s, c)->many && t->config.clean ? p->part : 0;
    if (t->config.status && op_of(t, s, c)->many) {
        bool decided = p->phase == PHASE_STATUS; /* st_reply_first: the CAS of the status is still to come */
        p->flags |= FLAG_FORWARD;
        p->inserts = p->part;
        p->to = STATUS_COMMITTED;
        process_enter(p, decided ? PHASE_TAKE_OUT : PHASE_STATUS, decided ? verbs(p->part, 0) : 1);
        return;
    }
    clean_next(t, s, c);
}

/* ---- Abort ------------------------------------------------------------------------------------------------------ */

uint8_t tx_back_word(const struct tx *t, const struct tx_state *s, uint32_t index, uint32_t slot) {
    (void)t;
    return word_of(index, is_empty(s->prev[index][slot]) ? FORM_EMPTY : FORM_COPY);
}

static void wait_for_lost(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    memset(p->before, 0, sizeof p->before);
    memset(p->second, 0, sizeof p->second);
    p->part = 0;
    p->met = 0;
    if (p->lost == 0) {
        tx_next_attempt(t, s, c, (p->flags & FLAG_LOOKS) != 0 ? PHASE_LOOK : PHASE_COLLECT);
    } else {
        process_enter(p, PHASE_WAIT, verbs(p->lost, 0));
    }
}

static void abort_round(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    p->part &= (uint8_t)~p->lost;
    if (p->part == 0) {
        wait_for_lost(t, s, c);
    } else if (s->replicas[0] == 1) {
        process_enter(p, PHASE_ABORT_PRIMARY, verbs(p->part, 0));
    } else {
        process_enter(p, PHASE_ABORT_BACKUPS, verbs(p->part, 0) | (s->replicas[0] == 3 ? verbs(p->part, 1) : 0));
    }
}

/* ---- Rounds ----------------------------------------------------------------------------------------------------- */

void tx_round(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    const struct tx_op *op = op_of(t, s, c);
    uint32_t own = own_index(s, c);
    bool recheck = without(t, SWITCH_tx_reads_checked_on_p) || without(t, SWITCH_tx_reads_checked_on_b1);
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        if ((p->part >> slot & 1) == 0) {
            p->view[slot] = 0;
            continue;
        }
        p->v_old[slot] = p->view[slot];
        p->view[slot] = 0;
        if (recheck && (op->reads_only >> t->key_of[slot] & 1) != 0) {
            p->part &= (uint8_t) ~(1u << slot);
            p->met |= (uint8_t)(1u << slot); /* a set of slots here: those to look at again */
        } else {
            s->prev[own][slot] = p->v_old[slot];
        }
    }
    if (t->config.status && op->many) {
        s->prev[own][STATUS_COLUMN] = STATUS_UNDECIDED;
    }
    uint8_t checks = 0;
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        bool alone = tx_slots_of_keys(t, (uint8_t)(1u << t->key_of[slot])) == 1u << slot;
        checks |= (uint8_t)((p->inserts & 1u << slot) != 0 && !alone) << slot;
    }
    uint32_t mask = verbs(p->part, 0);
    mask |= s->replicas[0] == 3 ? verbs(p->part, 1) : 0;
    mask |= without(t, SWITCH_tx_insert_no_check) && op->many ? 0 : verbs(checks, 2);
    mask |= without(t, SWITCH_tx_no_barrier) && op->many && s->replicas[0] > 1 ? verbs(p->part, 3) : 0;
    p->lost = 0;
    process_enter(p, PHASE_ROUND, mask);
}

static void publish(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    bool in_one_step =
        s->replicas[0] == 1 && ((p->flags & FLAG_CLEAN) != 0 || (!op_of(t, s, c)->many && p->inserts == 0));
    memset(p->before, 0, sizeof p->before);
    memset(p->second, 0, sizeof p->second);
    if (in_one_step) {
        tx_committed(t, s, c);
        return;
    }
    if (without(t, SWITCH_tx_reply_prepared) && op_of(t, s, c)->many && p->flags == 0) {
        tx_reply(t, s, c, result_of(t, s, c));
        p->flags |= FLAG_FORWARD;
    }
    process_enter(p, PHASE_PUBLISH, verbs(p->part, 0));
}

static void won(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    uint32_t fix = 0;
    for (uint32_t slot = 0; slot < t->slots && s->replicas[0] == 3; slot++) {
        bool split = (p->part >> slot & 1) != 0 && p->second[slot] != p->v_old[slot];
        fix |= split ? verbs((uint8_t)(1u << slot), 0) : 0;
    }
    if (fix != 0) {
        process_enter(p, PHASE_FIX, fix);
    } else {
        publish(t, s, c);
    }
}

static void lost(struct tx *t, struct tx_state *s, uint32_t c, uint8_t slots) {
    struct process *p = &s->process[c];
    bool looks = (p->flags & FLAG_CONFLICT) != 0 || (slots & p->inserts) != 0;
    p->lost = slots;
    p->flags = looks ? FLAG_LOOKS : 0;
    p->met = 0;
    if (without(t, SWITCH_tx_wait_holding) && slots != 0 && slots != p->part) {
        process_enter(p, PHASE_HOLD, verbs(slots, 0));
    } else {
        abort_round(t, s, c);
    }
}

static void round_ended(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    uint8_t slots = 0;
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        bool mine = (p->part >> slot & 1) == 0 || p->before[slot] == p->v_old[slot];
        slots |= (uint8_t)(!mine << slot);
    }
    p->mask = 0;
    if (t->config.status && op_of(t, s, c)->many) {
        tx_status_round_ended(t, s, c, slots);
    } else if ((p->flags & FLAG_CLEAN) != 0 && slots != 0) {
        clean_next(t, s, c); /* somebody has replaced the intent */
    } else if (slots != 0 || (p->flags & FLAG_CONFLICT) != 0) {
        lost(t, s, c, slots);
    } else if (p->met != 0) {
        process_enter(p, PHASE_RECHECK, verbs(p->met, 0));
    } else {
        won(t, s, c);
    }
}

static void waited(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    const struct tx_op *op = op_of(t, s, c);
    uint32_t slot = (uint32_t)__builtin_ctz(p->lost);
    uint8_t word = p->view[slot];
    bool blind = form_of(word) == FORM_LIVE && (index_of(word) == 0 || op_behind(t, word)->letter == 'S');
    blind |= is_intent(word) && without(t, SWITCH_tx_set_ok_by_intent);
    bool insert = (p->flags & FLAG_LOOKS) != 0;
    if (op->letter == 'S' && s->replicas[0] > 1 && blind && !insert) {
        tx_reply(t, s, c, 0);
        p->inserts = 0;
        clean_next(t, s, c);
    } else {
        tx_next_attempt(t, s, c, insert ? PHASE_LOOK : PHASE_COLLECT);
    }
}

/* tx_clear_p_first only */
static void primary_cleaned(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    uint32_t slot = (uint32_t)__builtin_ctz(p->part);
    if (p->before[slot] != p->v_old[slot] || s->replicas[0] == 1) {
        clean_next(t, s, c);
    } else {
        process_enter(p, PHASE_CLEAN_BACKUPS, verbs(p->part, 0) | (s->replicas[0] == 3 ? verbs(p->part, 1) : 0));
    }
}

/* Every slot is mine. */
static void won_batch_ended(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    switch ((enum phase)p->phase) {
    case PHASE_RECHECK:
        if ((p->flags & FLAG_CONFLICT) != 0) {
            lost(t, s, c, 0);
        } else {
            won(t, s, c);
        }
        break;
    case PHASE_FIX:
        publish(t, s, c);
        break;
    case PHASE_PUBLISH:
        if (t->config.node_dies != 0) {
            process_enter(p, PHASE_PUBLISHED, 1);
        } else {
            tx_committed(t, s, c);
        }
        break;
    default: /* PHASE_PUBLISHED */
        tx_committed(t, s, c);
        break;
    }
}

void tx_advance(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    uint16_t left = p->mask;
    if (p->phase == PHASE_ROUND) {
        left &= (uint16_t)~verbs(p->part, 3); /* tx_no_barrier: what was not published yet is later */
    }
    if (left != 0) {
        return;
    }
    switch ((enum phase)p->phase) {
    case PHASE_COLLECT:
    case PHASE_LOOK:
        tx_collected(t, s, c);
        break;
    case PHASE_PEEK:
    case PHASE_AWAIT:
        tx_peeked(t, s, c);
        break;
    case PHASE_AWAIT_ME: {
        uint8_t attempt = p->attempt;
        process_finish(p, p->op, attempt);
        tx_collect(t, s, c);
        break;
    }
    case PHASE_ROUND:
        round_ended(t, s, c);
        break;
    case PHASE_STATUS:
    case PHASE_TAKE_OUT:
    case PHASE_HELP:
    case PHASE_REPLACE:
    case PHASE_LOOK_UP:
        tx_status_advance(t, s, c);
        break;
    case PHASE_RECHECK:
    case PHASE_FIX:
    case PHASE_PUBLISH:
    case PHASE_PUBLISHED:
        won_batch_ended(t, s, c);
        break;
    case PHASE_ABORT_BACKUPS:
        if (without(t, SWITCH_tx_abort_old_word)) {
            wait_for_lost(t, s, c);
        } else {
            process_enter(p, PHASE_ABORT_PRIMARY, verbs(p->part, 0));
        }
        break;
    case PHASE_ABORT_PRIMARY:
        wait_for_lost(t, s, c);
        break;
    case PHASE_HOLD:
        memset(p->view, 0, sizeof p->view);
        abort_round(t, s, c);
        break;
    case PHASE_WAIT:
        waited(t, s, c);
        break;
    case PHASE_CLEAN_PRIMARY:
        primary_cleaned(t, s, c);
        break;
    case PHASE_CLEAN_BACKUPS:
        clean_next(t, s, c);
        break;
    case PHASE_RESOLVE:
        tx_resolved(t, s, c);
        break;
    default:
        tx_repair_advance(t, s, c);
        break;
    }
}
