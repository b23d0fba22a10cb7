/* bucket_find.c: how an operation of the bucket model finds its slot and begins its attempts: the moves of find.c
 * and of the loop in write.c. What follows a round is bucket_step.c's. No verbs here. */
#include "bucket_state.h"

static void next_op(struct bucket *b, struct bucket_state *s, uint32_t c) {
    uint8_t op = (uint8_t)(s->process[c].op + 1);
    process_finish(s, c, op);
    s->process[c].phase = op == b->ops[c] ? PHASE_DONE : PHASE_IDLE;
}

void bucket_reply(struct bucket *b, struct bucket_state *s, uint32_t c, uint32_t result) {
    if (op_of(b, s, c)->kind == KIND_EXPIRE) {
        explore_say(b->explore, "; the job ends");
        next_op(b, s, c);
        return;
    }
    explore_say(b->explore, "; replies %u", result);
    uint32_t set = monitor_reply(b->monitor, s->monitor, c, result);
    if (set == MONITOR_BROKEN) {
        explore_violate(b->explore, "not linearizable");
    } else {
        s->monitor = set;
    }
    next_op(b, s, c);
}

void bucket_refuse(struct bucket *b, struct bucket_state *s, uint32_t c) {
    explore_say(b->explore, "; replies: no room");
    uint32_t set = monitor_refuse(b->monitor, s->monitor, c);
    if (set == MONITOR_BROKEN) {
        explore_violate(b->explore, "refused, but it has happened");
    } else {
        s->monitor = set;
    }
    next_op(b, s, c);
}

/* false: no attempt is left, and the path stops here. */
static bool next_attempt(struct bucket *b, struct bucket_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    uint8_t attempt = (uint8_t)(p->attempt + 1);
    uint8_t slot = p->slot;
    process_finish(s, c, p->op);
    p->attempt = attempt;
    p->slot = slot;
    if (attempt == b->config.attempts) {
        explore_say(b->explore, "; gives up");
        p->slot = 0;
        p->phase = PHASE_GAVE_UP;
        return false;
    }
    return true;
}

void bucket_round(struct bucket *b, struct bucket_state *s, uint32_t c, uint8_t slot, uint8_t v_old, uint8_t flags) {
    struct process *p = &s->process[c];
    bool single = s->replicas == 1;
    bool insert = (flags & FLAG_INSERT) != 0;
    bool check = insert && !without(b, SWITCH_insert_without_check) && !without(b, SWITCH_t4_lowest_stays);
    uint8_t attempt = p->attempt;
    process_finish(s, c, p->op);
    p->slot = slot;
    p->v_old = v_old;
    p->flags = flags;
    if (insert && b->coordinators != 0) {
        p->attempt = attempt;
        s->inserts |= UINT64_C(1) << own_index(b, s, c);
        p->attempt = 0;
    }
    uint32_t mask = single ? 1 : bits_below(s->replicas - 1u);
    mask |= b->config.objects && is_client(b, c) ? 1u << VERB_OBJECT : 0;
    mask |= (flags & FLAG_GUESS) != 0 && !single ? 1u << VERB_READ_P : 0;
    for (uint32_t i = 0; i < b->slots && check; i++) {
        mask |= i != slot ? 1u << (VERB_CHECK + i) : 0;
    }
    process_enter(p, PHASE_ROUND, mask);
}

/* bucket_round keeps the attempt's number. */
void bucket_round_again(struct bucket *b, struct bucket_state *s, uint32_t c, uint8_t slot, uint8_t v_old,
                        uint8_t flags) {
    uint8_t attempt = s->process[c].attempt;
    bucket_round(b, s, c, slot, v_old, flags);
    s->process[c].attempt = attempt;
}

static void buckets(struct bucket *b, struct process *p) {
    p->slot = 0;
    p->p = 0;
    process_enter(p, PHASE_BUCKETS, bits_below(b->slots));
}

void bucket_look(struct bucket *b, struct bucket_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    if (next_attempt(b, s, c)) {
        p->slot = 0;
        process_enter(p, PHASE_LOOK, bits_below(b->slots * s->replicas));
    }
}

/* A live word of the fingerprint: the engine READs its object and compares the key. */
static bool takes_for_own(const struct bucket *b, uint8_t word, uint8_t key) {
    if (without(b, SWITCH_key_not_compared) && b->config.same_print) {
        return word_is_live(real(b, word));
    }
    return live_of(b, word, key);
}

/* The operation has found its key's word in a slot of P. */
static void found(struct bucket *b, struct bucket_state *s, uint32_t c, uint8_t slot, uint8_t word) {
    uint8_t kind_of_op = op_of(b, s, c)->kind;
    uint8_t value = word_is_live(real(b, word)) ? value_in(b, s, word) : MONITOR_ABSENT;
    if (kind_of_op == MONITOR_GET) {
        bucket_reply(b, s, c, value);
    } else if ((kind_of_op == MONITOR_DEL && value == MONITOR_ABSENT) ||
               (kind_of_op == MONITOR_SETNX && value != MONITOR_ABSENT) ||
               (kind_of_op == KIND_EXPIRE && value != MONITOR_ABSENT)) {
        bucket_reply(b, s, c, 0);
    } else {
        bucket_round_again(b, s, c, slot, word, 0);
    }
}

/* p->view holds all slots of P. */
void bucket_found_view(struct bucket *b, struct bucket_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    const struct monitor_op *op = op_of(b, s, c);
    uint32_t live = BUCKET_SLOTS_MAX;
    uint32_t tombstone = BUCKET_SLOTS_MAX;
    for (uint32_t i = 0; i < b->slots; i++) {
        uint8_t word = p->view[i];
        bool provisional = without(b, SWITCH_r1_reads_provisional) && kind(b, word) == WORD_PROVISIONAL &&
                           b->words[word].key == op->key && op->kind == MONITOR_GET;
        if (provisional) {
            bucket_reply(b, s, c, b->words[word].value);
            return;
        }
        live = takes_for_own(b, word, op->key) ? i : live;
        tombstone = tombstone_of(b, word, op->key) ? i : tombstone;
    }
    if (live != BUCKET_SLOTS_MAX) {
        found(b, s, c, (uint8_t)live, p->view[live]);
    } else if (op->kind != MONITOR_SET && op->kind != MONITOR_RMW && op->kind != MONITOR_SETNX) {
        bucket_reply(b, s, c, 0);
    } else if (tombstone != BUCKET_SLOTS_MAX) {
        found(b, s, c, (uint8_t)tombstone, p->view[tombstone]);
    } else if ((p->flags & FLAG_PENDING) != 0) {
        p->flags = 0;
        memset(p->view, 0, sizeof p->view);
        process_enter(p, PHASE_LOOK, bits_below(b->slots * s->replicas));
    } else {
        p->flags = 0;
        p->phase = PHASE_CHOOSE;
    }
}

void bucket_slot_read(struct bucket *b, struct bucket_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    const struct monitor_op *op = op_of(b, s, c);
    if (takes_for_own(b, p->p, op->key)) {
        found(b, s, c, p->slot, p->p);
    } else if (without(b, SWITCH_hit_sees_tombstone) && op->kind == MONITOR_GET && tombstone_of(b, p->p, op->key)) {
        bucket_reply(b, s, c, MONITOR_ABSENT);
    } else {
        buckets(b, p);
    }
}

/* Lost, or stale: the primary's slot holds `word` now. */
void bucket_go_on_from(struct bucket *b, struct bucket_state *s, uint32_t c, uint8_t word) {
    if (!next_attempt(b, s, c)) {
        return;
    }
    struct process *p = &s->process[c];
    if (takes_for_own(b, word, op_of(b, s, c)->key)) {
        found(b, s, c, p->slot, word);
    } else {
        buckets(b, p);
    }
}
