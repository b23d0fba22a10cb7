/* bucket_step.c: what a client of the bucket model does when a batch has ended: the moves of round.c, write.c and
 * job.c, around the verdicts of fusee/snapshot.h. No verbs here. */
#include "bucket_state.h"
#include "fusee/snapshot.h"

static void waited(struct bucket *b, struct bucket_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    bool blind = op_of(b, s, c)->kind == MONITOR_SET;
    bool insert = (p->flags & FLAG_INSERT) != 0;
    if ((p->flags & FLAG_REMOVE) != 0) {
        bucket_reply(b, s, c, 0);
        return;
    }
    if (insert && !without(b, SWITCH_insert_loser_says_ok)) {
        bucket_look(b, s, c);
        return;
    }
    /* My write may be taken for the predecessor of that word only if it is one of this key: the slot may have been
     * cleared meanwhile, and taken by another key. */
    bool followed = b->words[p->p].key == op_of(b, s, c)->key || without(b, SWITCH_foreign_winner_is_mine) || insert;
    bool answer = snapshot_loser_may_answer(blind, real(b, p->p)) ||
                  (blind && (without(b, SWITCH_t1_blind_loses_to_rmw) ||
                             (without(b, SWITCH_tombstone_is_blind) && kind(b, p->p) == WORD_TOMBSTONE)));
    if (s->replicas != 1 && answer && followed) {
        bucket_reply(b, s, c, 0);
    } else {
        bucket_go_on_from(b, s, c, p->p);
    }
}

static void wait_for_primary(struct bucket *b, struct bucket_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    if (!is_client(b, c)) {
        process_finish(s, c, 0); /* a clear that lost: somebody has taken the tombstone over */
        return;
    }
    if (op_of(b, s, c)->kind == KIND_EXPIRE) {
        bucket_reply(b, s, c, 0); /* somebody has replaced the value */
        return;
    }
    if (without(b, SWITCH_loser_must_wait) && op_of(b, s, c)->kind == MONITOR_SET && (p->flags & FLAG_INSERT) == 0) {
        bucket_reply(b, s, c, 0);
        return;
    }
    memset(p->seen, 0, sizeof p->seen);
    p->p = 0;
    p->flags &= FLAG_INSERT | FLAG_REMOVE;
    process_enter(p, PHASE_WAIT, 1);
}

static void commit(struct bucket *b, struct bucket_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    if (!is_client(b, c)) {
        process_finish(s, c, 0);
        return;
    }
    const struct monitor_op *op = op_of(b, s, c);
    uint8_t v_old = p->v_old;
    uint8_t slot = p->slot;
    uint8_t word = bucket_new_word(b, s, c);
    uint32_t clearer = b->clearer[c][p->op];
    if (without(b, SWITCH_t4_lowest_stays) && (p->flags & FLAG_INSERT) != 0) {
        p->flags = 0;
        process_enter(p, PHASE_LOWEST, bits_below(b->slots));
        return;
    }
    switch (op->kind) {
    case MONITOR_RMW:
        bucket_reply(b, s, c, live_of(b, v_old, op->key) ? value_in(b, s, v_old) : MONITOR_ABSENT);
        break;
    case MONITOR_DEL:
    case MONITOR_SETNX:
        bucket_reply(b, s, c, 1);
        break;
    default:
        bucket_reply(b, s, c, 0);
        break;
    }
    if (kind(b, word) != WORD_TOMBSTONE || clearer == 0) {
        return;
    }
    for (uint32_t i = 0; i < (b->config.two_clearers ? 2u : 1u); i++) {
        bucket_round(b, s, clearer + i, slot, word, 0);
        if (without(b, SWITCH_clear_primary_first)) {
            process_enter(&s->process[clearer + i], PHASE_CLEAR_PRIMARY, 1);
        }
    }
}

/* All backups are mine (r = 1: the slot): the insert's check, then P. */
static void settle(struct bucket *b, struct bucket_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    uint16_t object = p->mask & 1u << VERB_OBJECT;
    memset(p->seen, 0, sizeof p->seen);
    p->p = 0;
    if ((p->flags & FLAG_CONFLICT) == 0 && marks(b, s, c)) {
        process_enter(p, PHASE_MARK, bits_below(s->replicas - 1u) | object);
    } else if ((p->flags & FLAG_CONFLICT) == 0) {
        process_enter(p, PHASE_PUBLISH, 1u | object);
    } else if (s->replicas == 1 || without(b, SWITCH_abort_primary_first)) {
        process_enter(p, PHASE_ABORT_PRIMARY, 1);
    } else {
        process_enter(p, PHASE_ABORT_BACKUPS, bits_below(s->replicas - 1u));
    }
}

static void single_ended(struct bucket *b, struct bucket_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    bool by_value = without(b, SWITCH_mine_by_value) && p->seen[0] == bucket_new_word(b, s, c);
    if (by_value) {
        explore_violate(b->explore, "two win one word: both answer, and its object is freed twice");
    }
    if (p->seen[0] != p->v_old && !by_value) {
        wait_for_primary(b, s, c);
    } else if ((p->flags & FLAG_INSERT) == 0 || without(b, SWITCH_r1_without_provisional)) {
        commit(b, s, c);
    } else {
        settle(b, s, c);
    }
}

/* The guess was wrong: nobody has lost. */
static void guessed_wrong(struct bucket *b, struct bucket_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    if (without(b, SWITCH_t2_stale_guess) &&
        snapshot_loser_may_answer(op_of(b, s, c)->kind == MONITOR_SET, real(b, p->p))) {
        bucket_reply(b, s, c, 0);
    } else {
        bucket_go_on_from(b, s, c, p->p);
    }
}

/* A split round: the other backups, from what they hold. */
static void fix_backups(struct bucket *b, struct bucket_state *s, uint32_t c, uint64_t v_old, uint64_t v_new) {
    struct process *p = &s->process[c];
    uint8_t new_word = bucket_round_word(b, s, c);
    uint32_t fix = 0;
    for (uint32_t i = 0; i + 1 < s->replicas; i++) {
        bool done = snapshot_mine(real(b, p->seen[i]), v_old, v_new) || p->seen[i] == new_word;
        fix |= done ? 0 : 1u << i;
        p->seen[i] = done ? 0 : p->seen[i];
    }
    p->p = 0;
    if (fix == 0) {
        settle(b, s, c);
    } else {
        process_enter(p, PHASE_FIX, fix | (p->mask & 1u << VERB_OBJECT));
    }
}

static void round_ended(struct bucket *b, struct bucket_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    if (s->replicas == 1) {
        single_ended(b, s, c);
        return;
    }
    uint32_t backups = s->replicas - 1u;
    uint64_t seen[SNAPSHOT_BACKUPS_MAX];
    uint64_t v_old = real(b, p->v_old);
    /* The empty word of a clear is the same for everybody who clears that tombstone. */
    bool own = is_client(b, c) || without(b, SWITCH_mine_by_value);
    uint64_t v_new = own ? real(b, bucket_round_word(b, s, c)) : v_old;
    uint32_t mine = 0;
    for (uint32_t i = 0; i < backups; i++) {
        seen[i] = real(b, p->seen[i]);
        mine += snapshot_mine(seen[i], v_old, v_new);
    }
    bool guess = (p->flags & FLAG_GUESS) != 0;
    if (guess && (p->flags & FLAG_INSERT) != 0 && mine == 0) {
        bucket_look(b, s, c);
        return;
    }
    enum snapshot_verdict verdict = guess ? snapshot_judge_guess(seen, backups, v_old, v_new, real(b, p->p))
                                          : snapshot_judge(seen, backups, v_old, v_new);
    if (verdict == SNAPSHOT_STALE) {
        guessed_wrong(b, s, c);
        return;
    }
    if (without(b, SWITCH_publish_without_backups) && mine != 0) {
        verdict = SNAPSHOT_WON;
    }
    if (verdict == SNAPSHOT_FIX && !without(b, SWITCH_fix_before_commit)) {
        fix_backups(b, s, c, v_old, v_new);
    } else if (verdict == SNAPSHOT_LOST) {
        wait_for_primary(b, s, c);
    } else {
        settle(b, s, c);
    }
}

/* t4_lowest_stays: after the commit, the higher of two live slots of the key is removed. */
static void lowest_ended(struct bucket *b, struct bucket_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    uint32_t victim = p->slot;
    bool other = false;
    for (uint32_t i = 0; i < b->slots; i++) {
        if (i != p->slot && live_of(b, p->view[i], op_of(b, s, c)->key)) {
            other = true;
            victim = i > victim ? i : victim;
        }
    }
    if (other) {
        bucket_round_again(b, s, c, (uint8_t)victim, p->view[victim], FLAG_REMOVE);
    } else {
        bucket_reply(b, s, c, 0);
    }
}

/* Backups, then P; with abort_primary_first the other way round. */
static void abort_step_ended(struct bucket *b, struct bucket_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    bool backups_first = !without(b, SWITCH_abort_primary_first);
    if (p->phase == PHASE_ABORT_BACKUPS && backups_first) {
        process_enter(p, PHASE_ABORT_PRIMARY, 1);
    } else if (p->phase == PHASE_ABORT_PRIMARY && !backups_first && s->replicas > 1) {
        process_enter(p, PHASE_ABORT_BACKUPS, bits_below(s->replicas - 1u));
    } else {
        bucket_look(b, s, c);
    }
}

/* clear_primary_first only. */
static void primary_cleared(struct bucket_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    if (p->p == p->v_old) {
        process_enter(p, PHASE_CLEAR_BACKUPS, bits_below(s->replicas - 1u));
    } else {
        process_finish(s, c, 0);
    }
}

/* Phases around the death of a node. */
static void failover_ended(struct bucket *b, struct bucket_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    switch ((enum phase)p->phase) {
    case PHASE_PUBLISHED:
        commit(b, s, c);
        break;
    case PHASE_RESOLVE:
        if (bucket_on_chain(b, s, c)) {
            commit(b, s, c);
        } else if ((p->flags & FLAG_INSERT) != 0) {
            bucket_look(b, s, c);
        } else {
            bucket_go_on_from(b, s, c, p->p);
        }
        break;
    case PHASE_FENCE:
        process_enter(p, PHASE_DECIDE, 0);
        break;
    default: /* PHASE_SETTLE */
        process_enter(p, PHASE_EPOCH, 0);
        break;
    }
}

void bucket_advance(struct bucket *b, struct bucket_state *s, uint32_t c) {
    struct process *p = &s->process[c];
    uint16_t left = p->mask;
    if (without(b, SWITCH_publish_before_object) && p->phase <= PHASE_PUBLISH) {
        left &= p->phase == PHASE_PUBLISH ? 0xffff : (uint16_t) ~(1u << VERB_OBJECT);
    }
    if (left != 0) {
        return;
    }
    if ((p->flags & FLAG_DYING) != 0) {
        process_finish(s, c, p->op);
        p->phase = PHASE_DEAD;
        return;
    }
    switch ((enum phase)p->phase) {
    case PHASE_SLOT:
        bucket_slot_read(b, s, c);
        break;
    case PHASE_BUCKETS:
        bucket_found_view(b, s, c);
        break;
    case PHASE_LOOK:
        bucket_found_view(b, s, c);
        break;
    case PHASE_ROUND:
        round_ended(b, s, c);
        break;
    case PHASE_FIX:
        settle(b, s, c);
        break;
    case PHASE_MARK:
        process_enter(p, PHASE_PUBLISH, 1);
        break;
    case PHASE_PUBLISH:
        if (b->coordinators != 0) {
            process_enter(p, PHASE_PUBLISHED, 1);
        } else {
            commit(b, s, c);
        }
        break;
    case PHASE_PUBLISHED:
    case PHASE_RESOLVE:
    case PHASE_FENCE:
    case PHASE_SETTLE:
        failover_ended(b, s, c);
        break;
    case PHASE_ABORT_BACKUPS:
    case PHASE_ABORT_PRIMARY:
        abort_step_ended(b, s, c);
        break;
    case PHASE_WAIT:
        waited(b, s, c);
        break;
    case PHASE_CLEAR_PRIMARY:
        primary_cleared(s, c);
        break;
    case PHASE_CLEAR_BACKUPS:
        process_finish(s, c, 0);
        break;
    case PHASE_LOWEST:
        lowest_ended(b, s, c);
        break;
    default:
        bucket_repair_advance(b, s, c);
        break;
    }
}
