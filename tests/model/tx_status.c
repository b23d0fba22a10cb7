/* tx_status.c: the older way of transactions at r = 1, beside tx_step.c: an intent names a status word. {READ slots}
 * {CAS each slot old -> intent} {CAS status undecided -> committed} reply {CAS each intent -> new}. A writer that
 * meets an intent CASes the status undecided -> aborted, then replaces the intent by what the status says; so nobody
 * waits and nothing needs a repair. Readers: undecided means old.
 */
#include "tx_state.h"

static uint8_t settled(uint8_t word, uint8_t status) {
    return word_of(index_of(word), status == STATUS_COMMITTED ? FORM_CLEANED : FORM_COPY);
}

static void set_status(struct tx *t, struct tx_state *s, uint32_t c, uint8_t word, uint8_t to) {
    static const char *const names[] = {"undecided", "committed", "aborted"};
    uint8_t *status = tx_status(s, word);
    explore_say(t->explore, "%s: CAS status of %s undecided -> %s", tx_process_name(t, c), tx_word_name(t, word),
                names[to]);
    if (*status != STATUS_UNDECIDED) {
        explore_say(t->explore, ": finds %s", names[*status]);
    } else {
        *status = to;
    }
}

void tx_status_verb(struct tx *t, struct tx_state *s, uint32_t c, uint32_t verb) {
    struct process *p = &s->process[c];
    uint8_t own = word_of(own_index(s, c), FORM_INTENT);
    switch ((enum phase)p->phase) {
    case PHASE_STATUS:
        set_status(t, s, c, own, p->to);
        break;
    case PHASE_TAKE_OUT:
        (void)tx_cas(t, s, c, verb / 4, 0, own, settled(own, *tx_status(s, own)));
        break;
    case PHASE_HELP:
        set_status(t, s, c, p->met, without(t, SWITCH_st_helper_commits) ? STATUS_COMMITTED : STATUS_ABORTED);
        p->to = *tx_status(s, p->met);
        break;
    case PHASE_REPLACE:
        (void)tx_cas(t, s, c, p->at, 0, p->met, settled(p->met, p->to));
        break;
    case PHASE_LOOK_UP:
        p->to = *tx_status(s, p->met);
        explore_say(t->explore, "%s: READ status of %s = %u", tx_process_name(t, c), tx_word_name(t, p->met), p->to);
        break;
    default: /* MGET: the status of the intent that the collect before met in this slot */
        p->second[verb % 4] = *tx_status(s, p->before[verb % 4]);
        explore_say(t->explore, "%s: READ status of %s = %u", tx_process_name(t, c),
                    tx_word_name(t, p->before[verb % 4]), p->second[verb % 4]);
        break;
    }
}

void tx_status_round_ended(struct tx *t, struct tx_state *s, uint32_t c, uint8_t lost) {
    struct process *p = &s->process[c];
    p->part &= (uint8_t)~lost;
    memset(p->before, 0, sizeof p->before);
    if (p->part == 0) {
        tx_next_attempt(t, s, c, PHASE_COLLECT);
        return;
    }
    if (lost == 0 && without(t, SWITCH_st_reply_first)) {
        tx_committed(t, s, c);
        return;
    }
    p->to = lost == 0 ? STATUS_COMMITTED : STATUS_ABORTED;
    process_enter(p, PHASE_STATUS, 1);
}

void tx_status_advance(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    bool committed = *tx_status(s, word_of(own_index(s, c), FORM_INTENT)) == STATUS_COMMITTED;
    uint8_t met = p->met;
    uint8_t at = p->at;
    switch ((enum phase)p->phase) {
    case PHASE_STATUS:
        if (committed) {
            tx_committed(t, s, c);
        } else {
            process_enter(p, PHASE_TAKE_OUT, verbs(p->part, 0));
        }
        break;
    case PHASE_TAKE_OUT:
        if (p->inserts == 0) {
            tx_next_attempt(t, s, c, PHASE_COLLECT);
        } else {
            uint8_t op = (uint8_t)(p->op + 1);
            process_finish(p, op, 0);
            p->phase = op == t->ops[c] ? PHASE_DONE : PHASE_IDLE;
        }
        break;
    case PHASE_HELP:
        process_enter(p, PHASE_REPLACE, 1);
        break;
    case PHASE_REPLACE: {
        process_finish(p, p->op, p->attempt);
        tx_collect(t, s, c);
        break;
    }
    default: { /* PHASE_LOOK_UP */
        bool taken = p->to == STATUS_COMMITTED || (p->to == STATUS_UNDECIDED && without(t, SWITCH_st_new_undecided));
        taken = taken && !without(t, SWITCH_st_old_always);
        tx_answer(t, s, c, tx_value(t, s, at, taken ? met : s->prev[index_of(met)][at]));
        break;
    }
    }
}

/* before: the words of the collect before; second: the statuses READ with this one; lost: those of the one before. */
void tx_status_mget(struct tx *t, struct tx_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    bool same = (p->flags & FLAG_SECOND) != 0 && memcmp(p->view, p->before, sizeof p->view) == 0;
    bool with_status = (p->flags & FLAG_PENDING) != 0; /* the collect before had its statuses */
    uint32_t intents = 0;
    uint32_t statuses = 0;
    uint32_t result = 0;
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        bool intent = is_intent(p->view[slot]);
        intents |= intent ? 1u << (4 * STATUS_COLUMN + slot) : 0;
        statuses |= (uint32_t)p->second[slot] << 2 * slot;
        bool old = intent && p->second[slot] != STATUS_COMMITTED;
        uint8_t word = old ? s->prev[index_of(p->view[slot])][slot] : p->view[slot];
        if ((p->part >> slot & 1) != 0) {
            result |= (uint32_t)tx_value(t, s, slot, word) << 4 * t->key_of[slot];
        }
    }
    bool agree = same && (intents == 0 || without(t, SWITCH_st_status_at_once) || (with_status && statuses == p->lost));
    if (agree || without(t, SWITCH_st_one_collect)) {
        tx_answer(t, s, c, result);
        return;
    }
    p->flags = (uint8_t)(FLAG_SECOND | (same && intents != 0 ? FLAG_PENDING : 0));
    p->lost = (uint8_t)statuses;
    memcpy(p->before, p->view, sizeof p->view);
    memset(p->second, 0, sizeof p->second);
    process_enter(p, PHASE_COLLECT, verbs(p->part, 0) | intents);
}
