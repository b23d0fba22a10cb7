/* bucket_repair.c: the bucket model's crash of a client, and the repair of its rounds (protocol 3.6): for each slot
 * {READ P} {READ the backups} {READ P}; fill backups that have no word; decide on a full list; backups, then P.
 * The fence is a step: with it the dead client's remaining verbs are lost (or, unfenced_late_cas, still arrive).
 */
#include "bucket_state.h"

bool bucket_can_die(const struct bucket *b, const struct bucket_state *s, uint32_t c) {
    if (c + 1 != b->config.crash && c + 1 != b->config.crash_also) {
        return false;
    }
    const struct process *p = &s->process[c];
    if (p->phase == PHASE_DEAD || (p->flags & FLAG_DYING) != 0) {
        return false;
    }
    bool busy = p->phase != PHASE_DONE && p->phase != PHASE_GAVE_UP && (p->phase != PHASE_IDLE || p->op != 0);
    for (uint32_t op = 0; op < b->ops[c]; op++) {
        busy |= b->clearer[c][op] != 0 && s->process[b->clearer[c][op]].phase != PHASE_IDLE;
    }
    return busy;
}

/* The client and its clearers stop; what it has not written of its object stays unwritten. */
void bucket_die(struct bucket *b, struct bucket_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    explore_say(b->explore, "%s dies", bucket_process_name(b, c));
    for (uint32_t op = 0; op < b->ops[c]; op++) {
        if (b->clearer[c][op] != 0) {
            memset(&s->process[b->clearer[c][op]], 0, sizeof s->process[0]);
        }
    }
    bool posted =
        p->phase == PHASE_ROUND || p->phase == PHASE_FIX || p->phase == PHASE_MARK || p->phase == PHASE_PUBLISH;
    if (without(b, SWITCH_unfenced_late_cas) && posted) {
        p->flags |= FLAG_DYING;
    } else {
        struct process dead = {.phase = PHASE_DEAD, .op = p->op, .attempt = p->attempt};
        dead.mask = posted ? p->mask & 1u << VERB_OBJECT : 0;
        if (dead.mask == 0) {
            dead.op = dead.attempt = 0;
        } else if (b->config.nodes != 0) {
            dead.v_old = p->v_old; /* stands beside the word on each backup, written before it in one chain */
        }
        *p = dead;
    }
    for (uint32_t i = b->repairer; i < b->repairer + b->repairers && !without(b, SWITCH_no_repair); i++) {
        bucket_repair_again(b, s, i);
    }
}

/* Same slot again, or the next one. */
static void begin_slot(const struct bucket *b, struct process *p, uint32_t slot) {
    p->p = p->to = p->flags = 0;
    memset(p->seen, 0, sizeof p->seen);
    memset(p->view, 0, sizeof p->view);
    p->slot = (uint8_t)(slot < b->slots ? slot : 0);
    process_enter(p, slot < b->slots ? PHASE_REPAIR_P : PHASE_DONE, slot < b->slots);
}

/* From the first slot, because a client or a repairer has died, or the epoch is new. */
void bucket_repair_again(const struct bucket *b, struct bucket_state *s, uint32_t c) {
    process_finish(s, c, 0);
    begin_slot(b, &s->process[c], 0);
}

void bucket_repair_verb(struct bucket *b, struct bucket_state *s, uint32_t c, uint32_t verb) {
    struct process *p = &s->process[c];
    bool many = b->repairers > 1; /* another repairer may have done it, and the slot may have moved on */
    uint8_t seen;
    switch ((enum phase)p->phase) {
    case PHASE_REPAIR_P:
        p->p = s->slots[0][p->slot];
        explore_say(b->explore, "repair: READ P.%c = %s", 'a' + p->slot, bucket_word_name(b, p->p));
        break;
    case PHASE_REPAIR_L:
        p->seen[verb] = s->slots[verb + 1][p->slot];
        explore_say(b->explore, "repair: READ B%u.%c = %s", verb + 1, 'a' + p->slot,
                    bucket_word_name(b, p->seen[verb]));
        break;
    case PHASE_REPAIR_P2:
        p->view[0] = s->slots[0][p->slot];
        explore_say(b->explore, "repair: READ P.%c = %s again", 'a' + p->slot, bucket_word_name(b, p->view[0]));
        break;
    case PHASE_REPAIR_FILL:
        (void)bucket_cas(b, s, c, verb + 1, p->p, p->to);
        break;
    case PHASE_REPAIR_SET:
        seen = bucket_cas(b, s, c, verb + 1, p->seen[verb], p->to);
        if (seen != p->seen[verb] && many) { /* look again; who has not got B1 touches no other backup */
            p->flags |= FLAG_CONFLICT;
            p->mask = verb == 0 && !without(b, SWITCH_repair_all_at_once) ? 0 : p->mask;
        }
        if (seen != p->seen[verb] && !many && !without(b, SWITCH_repair_partial_list)) {
            explore_violate(b->explore, "the repair's CAS of a backup fails");
        }
        break;
    case PHASE_REPAIR_PUBLISH:
        p->view[0] = bucket_cas(b, s, c, 0, p->p, p->to);
        if (p->view[0] != p->p && p->view[0] != p->to && !many) {
            explore_violate(b->explore, "the repair's CAS of the primary fails");
        }
        break;
    default:
        break;
    }
}

/* r = 1: a provisional word of the dead client becomes empty. */
static void decide_single(const struct bucket *b, const struct bucket_state *s, struct process *p) {
    if (kind(b, p->p) == WORD_PROVISIONAL && is_dead(s, p->p)) {
        p->to = without(b, SWITCH_insert_rolled_forward) ? word_of(p->p >> 2, FORM_FULL) : emptied(p->p);
        process_enter(p, PHASE_REPAIR_PUBLISH, 1);
    } else {
        begin_slot(b, p, p->slot + 1u);
    }
}

/* What takes the place of the deciding word w. */
static uint8_t settled_word(const struct bucket *b, struct bucket_state *s, uint32_t c, uint8_t w) {
    struct process *p = &s->process[c];
    bool insert = kind(b, p->p) == WORD_EMPTY && kind(b, w) != WORD_EMPTY;
    if (insert && !without(b, SWITCH_insert_rolled_forward)) {
        return emptied(w);
    }
    if (kind(b, w) == WORD_EMPTY || bucket_object_whole(b, s, w)) {
        return w;
    }
    if (without(b, SWITCH_repair_back_to_old)) {
        return p->p;
    }
    if (kind(b, p->p) == WORD_TOMBSTONE) {
        return emptied(w); /* what it means is: absent */
    }
    uint32_t copy = b->words[p->p].key + 2 * ((c - b->repairer + s->lost) & 1); /* each repairer's own */
    s->copied[copy] = p->p;
    return word_of(INDEX_REPAIR + copy, FORM_FULL);
}

static void decide(const struct bucket *b, struct bucket_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    uint32_t backups = s->replicas - 1u;
    uint32_t unset = 0;
    uint8_t w = p->seen[0];
    for (uint32_t i = 0; i < backups; i++) {
        unset |= p->seen[i] == p->p ? 1u << i : 0;
        if (w == p->p && is_dead(s, p->seen[i])) {
            w = p->seen[i];
        }
    }
    bool moved = p->view[0] != p->p;
    bool others = !is_dead(s, w) && !without(b, SWITCH_repair_commits_live);
    p->view[0] = 0;
    if (moved || unset == bits_below(backups) || w == p->p || others) {
        begin_slot(b, p, p->slot + 1u);
        return;
    }
    if (unset != 0 && !without(b, SWITCH_repair_partial_list)) {
        p->to = w;
        memset(p->seen, 0, sizeof p->seen);
        process_enter(p, PHASE_REPAIR_FILL, unset);
        return;
    }
    p->to = settled_word(b, s, c, w);
    uint32_t set = 0;
    for (uint32_t i = 0; i < backups; i++) {
        set |= p->seen[i] != p->to ? 1u << i : 0;
        p->seen[i] = p->seen[i] != p->to ? p->seen[i] : 0;
    }
    process_enter(p, set != 0 ? PHASE_REPAIR_SET : PHASE_REPAIR_PUBLISH, set != 0 ? set : 1);
}

void bucket_repair_advance(struct bucket *b, struct bucket_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    switch ((enum phase)p->phase) {
    case PHASE_REPAIR_P:
        if (s->replicas == 1) {
            decide_single(b, s, p);
        } else {
            process_enter(p, PHASE_REPAIR_L, bits_below(s->replicas - 1u));
        }
        break;
    case PHASE_REPAIR_L:
        process_enter(p, PHASE_REPAIR_P2, 1);
        break;
    case PHASE_REPAIR_P2:
        decide(b, s, c);
        break;
    case PHASE_REPAIR_FILL:
        begin_slot(b, p, p->slot);
        break;
    case PHASE_REPAIR_SET:
        if ((p->flags & FLAG_CONFLICT) != 0) { /* another repairer is at work: look again */
            begin_slot(b, p, p->slot);
            break;
        }
        memset(p->seen, 0, sizeof p->seen);
        process_enter(p, PHASE_REPAIR_PUBLISH, 1);
        break;
    case PHASE_REPAIR_PUBLISH:
        begin_slot(b, p, p->slot + 1u);
        break;
    default:
        break;
    }
}
