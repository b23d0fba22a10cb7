/* bucket_failover.c: memory nodes of the bucket model die and join, one verb at a time (protocol 3.7, 3.8): the
 * coordinator fences every replica that is left, decides what each slot becomes (bucket_decide.c), writes that, and
 * publishes an epoch. It may die at any step, and another one starts over. A batch of the old epoch never ends once a
 * node that it needs is dead or fenced; with the new epoch its client looks for its word.
 */
#include "bucket_state.h"

#define NOWHERE UINT32_MAX

/* The replica that a verb goes to. */
static uint32_t replica_of(const struct bucket *b, const struct bucket_state *s, uint32_t c, uint32_t verb) {
    const struct process *p = &s->process[c];
    bool single = s->replicas == 1;
    switch ((enum phase)p->phase) {
    case PHASE_ROUND:
        return verb == VERB_OBJECT ? NOWHERE : verb == VERB_READ_P || single ? 0 : verb > VERB_OBJECT ? 1 : verb + 1;
    case PHASE_FIX:
    case PHASE_MARK:
        return verb == VERB_OBJECT ? NOWHERE : verb + 1;
    case PHASE_PUBLISH:
        return verb == VERB_OBJECT ? NOWHERE : 0;
    case PHASE_ABORT_BACKUPS:
    case PHASE_CLEAR_BACKUPS:
    case PHASE_REPAIR_L:
    case PHASE_REPAIR_FILL:
    case PHASE_REPAIR_SET:
        return verb + 1;
    case PHASE_LOOK:
        return verb / b->slots;
    case PHASE_BUCKETS:
        return (p->flags & FLAG_SUSPECT) != 0;
    case PHASE_FENCE:
    case PHASE_SETTLE:
        return NOWHERE;
    default:
        return 0;
    }
}

static bool only_reads(const struct process *p, uint32_t verb) {
    switch ((enum phase)p->phase) {
    case PHASE_SLOT:
    case PHASE_BUCKETS:
    case PHASE_WAIT:
    case PHASE_RESOLVE:
    case PHASE_LOOK:
    case PHASE_PUBLISHED:
        return true;
    default:
        return p->phase == PHASE_ROUND && verb == VERB_READ_P;
    }
}

bool bucket_reaches(const struct bucket *b, const struct bucket_state *s, uint32_t c, uint32_t verb) {
    uint32_t replica = replica_of(b, s, c, verb);
    if (replica == NOWHERE) {
        return true;
    }
    bool fenced = (s->fenced >> replica & 1) != 0 && !without(b, SWITCH_failover_no_fence);
    bool reads_on = replica == 0 && only_reads(&s->process[c], verb);
    return (s->dead >> replica & 1) == 0 && (!fenced || reads_on);
}

/* ---- The coordinator -------------------------------------------------------------------------------------------- */

static void coordinate_again(const struct bucket *b, struct bucket_state *s) {
    uint32_t c = b->processes - 1;
    struct process *p = &s->process[c];
    uint8_t joins = p->flags & FLAG_JOIN;
    process_finish(s, c, 0);
    p->flags = joins;
    uint32_t left = bits_below(s->replicas) & ~(uint32_t)(s->dead | s->fenced);
    left = joins != 0 && without(b, SWITCH_join_without_fence) ? 0 : left;
    process_enter(p, left != 0 ? PHASE_FENCE : PHASE_DECIDE, left);
}

void bucket_settle_verb(struct bucket *b, struct bucket_state *s, uint32_t c, uint32_t verb) {
    struct process *p = &s->process[c];
    if (p->phase == PHASE_FENCE) {
        s->fenced |= (uint8_t)(1u << verb);
        explore_say(b->explore, "coordinator fences replica %u", verb);
    } else {
        uint32_t slot = verb / 4;
        s->slots[verb % 4][slot] = p->view[slot];
        explore_say(b->explore, "coordinator: %c = %s on replica %u", 'a' + slot, bucket_word_name(b, p->view[slot]),
                    verb % 4);
    }
}

/* The replicas that are left, and the new one, in their order. */
static void renumber(const struct bucket *b, struct bucket_state *s, bool joins) {
    uint32_t count = 0;
    for (uint32_t replica = 0; replica < s->replicas + (joins ? 1u : 0u); replica++) {
        if ((s->dead >> replica & 1) == 0) {
            memmove(s->slots[count++], s->slots[replica], sizeof s->slots[0]);
        }
    }
    for (uint32_t replica = count; replica < BUCKET_REPLICAS_MAX; replica++) {
        memset(s->slots[replica], 0, sizeof s->slots[0]);
    }
    (void)b;
    s->replicas = (uint8_t)count;
    s->dead = s->fenced = 0;
}

/* ---- A new epoch ------------------------------------------------------------------------------------------------ */

/* A client's batch has ended in errors, or its wait is over: it looks again. */
static void client_wakes(struct bucket *b, struct bucket_state *s, uint32_t c, bool primary_died) {
    struct process *p = &s->process[c];
    struct process next = {.op = p->op, .attempt = p->attempt, .mask = 1, .slot = p->slot};
    switch ((enum phase)p->phase) {
    case PHASE_PUBLISHED:
        if (!primary_died) {
            return; /* P lived, and its CAS completed: that stands */
        }
        break;
    case PHASE_ROUND:
    case PHASE_FIX:
    case PHASE_MARK:
    case PHASE_PUBLISH:
    case PHASE_WAIT:
        break;
    case PHASE_SLOT:
        next.phase = PHASE_SLOT;
        *p = next;
        return;
    case PHASE_BUCKETS:
        next.phase = PHASE_BUCKETS;
        next.slot = 0;
        next.mask = (uint16_t)bits_below(b->slots);
        *p = next;
        return;
    case PHASE_LOOK:
        next.phase = PHASE_LOOK;
        next.slot = 0;
        next.mask = (uint16_t)bits_below(b->slots * s->replicas);
        *p = next;
        return;
    case PHASE_ABORT_BACKUPS:
    case PHASE_ABORT_PRIMARY:
        bucket_look(b, s, c);
        return;
    default:
        return;
    }
    next.phase = PHASE_RESOLVE;
    next.v_old = p->v_old;
    next.flags = p->flags & FLAG_INSERT;
    *p = next;
}

static void clearer_wakes(struct bucket *b, struct bucket_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    if (p->phase == PHASE_IDLE) {
        return;
    }
    if (s->replicas == 1 || s->slots[0][p->slot] != p->v_old) {
        process_finish(s, c, 0);
    } else {
        bucket_round(b, s, c, p->slot, p->v_old, 0);
    }
}

static void new_epoch(struct bucket *b, const struct bucket_state *from, uint32_t coordinator) {
    struct bucket_state s = *from;
    bool primary_died = s.dead & 1;
    bool joins = (s.process[coordinator].flags & FLAG_JOIN) != 0;
    explore_say(b->explore, "coordinator: a new epoch");
    renumber(b, &s, joins);
    for (uint32_t slot = 0; slot < b->slots; slot++) {
        bucket_primary_changed(b, &s, slot, s.slots[0][slot]);
    }
    process_finish(&s, coordinator, 0);
    for (uint32_t c = 0; c < b->repairer; c++) {
        if (is_client(b, c)) {
            client_wakes(b, &s, c, primary_died);
        } else {
            clearer_wakes(b, &s, c);
        }
    }
    for (uint32_t c = b->repairer; c < b->repairer + b->repairers; c++) {
        if (s.process[c].phase != PHASE_IDLE) {
            bucket_repair_again(b, &s, c);
        }
    }
    explore_emit(b->explore, &s);
}

void bucket_coordinate(struct bucket *b, const struct bucket_state *s, uint32_t c) {
    if (s->process[c].phase == PHASE_DECIDE) {
        bucket_decide(b, s, c);
    } else {
        new_epoch(b, s, c);
    }
}

/* ---- What goes wrong -------------------------------------------------------------------------------------------- */

static void emit_death(struct bucket *b, const struct bucket_state *from, uint32_t replica) {
    struct bucket_state s = *from;
    s.dead |= (uint8_t)(1u << replica);
    s.fenced &= (uint8_t) ~(1u << replica);
    s.deaths++;
    memset(s.slots[replica], 0, sizeof s.slots[replica]);
    explore_say(b->explore, "replica %u dies", replica);
    s.process[b->processes - 1].flags = 0; /* a join is given up */
    memset(s.slots[s.replicas], 0, s.replicas < BUCKET_REPLICAS_MAX ? sizeof s.slots[0] : 0);
    coordinate_again(b, &s);
    explore_emit(b->explore, &s);
}

void bucket_failures(struct bucket *b, const struct bucket_state *s) {
    const struct process *coordinator = &s->process[b->processes - 1];
    uint32_t left = s->replicas - (uint32_t)__builtin_popcount(s->dead);
    bool idle = coordinator->phase == PHASE_IDLE;
    for (uint32_t replica = 0; replica < s->replicas; replica++) {
        bool may = (b->config.nodes >> replica & 1) != 0 && (s->dead >> replica & 1) == 0;
        if (may && s->deaths < b->config.deaths && left > 1) {
            emit_death(b, s, replica);
        }
    }
    if (!idle && s->lost < b->config.coordinators_lost) {
        struct bucket_state next = *s;
        explore_say(b->explore, "the coordinator dies, another one starts over");
        next.lost++;
        coordinate_again(b, &next);
        explore_emit(b->explore, &next);
    }
    if (idle && s->joins < b->config.joins && s->replicas < b->config.replicas) {
        struct bucket_state next = *s;
        explore_say(b->explore, "a node joins");
        next.joins++;
        next.process[b->processes - 1].flags = FLAG_JOIN;
        coordinate_again(b, &next);
        explore_emit(b->explore, &next);
    }
}

bool bucket_on_chain(const struct bucket *b, const struct bucket_state *s, uint32_t c) {
    uint32_t own = own_index(b, s, c);
    if (without(b, SWITCH_chain_needed)) {
        return s->slots[0][s->process[c].slot] >> 2 == own;
    }
    return (s->chain >> own & 1) != 0;
}
