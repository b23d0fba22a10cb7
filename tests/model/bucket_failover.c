/* bucket_failover.c: the bucket model's death of one memory node, with update rounds open (protocol 3.7, 3.8). The
 * fence and the settling of the slot are one step here; what a client makes of its open round afterwards is another. */
#include "bucket_state.h"

/* The words of `from` on all replicas that are left; `dead` leaves. */
static void settle_slot(struct bucket *b, struct bucket_state *s, uint32_t dead, uint8_t word) {
    bool keep = without(b, SWITCH_failover_without_settling);
    for (uint32_t replica = dead; replica + 1 < s->replicas; replica++) {
        s->slots[replica][0] = s->slots[replica + 1][0];
    }
    s->slots[--s->replicas][0] = 0;
    if (s->replicas == 1 && kind(b, word) == WORD_TOMBSTONE) {
        word = emptied(word);
    }
    for (uint32_t replica = 0; replica < s->replicas && !keep; replica++) {
        s->slots[replica][0] = word;
    }
    bucket_primary_changed(b, s, 0, s->slots[0][0]);
}

/* Batches to the old epoch have ended in errors: each client looks again. */
static void new_epoch(const struct bucket *b, struct bucket_state *s, bool primary_died) {
    for (uint32_t c = 0; c < b->clients; c++) {
        struct process *p = &s->process[c];
        struct process next = {.op = p->op, .attempt = p->attempt, .mask = 1};
        switch ((enum phase)p->phase) {
        case PHASE_PUBLISHED:
            if (!primary_died) {
                continue; /* P lived, and its CAS completed: that stands */
            }
            break;
        case PHASE_ROUND:
        case PHASE_FIX:
        case PHASE_PUBLISH:
        case PHASE_WAIT:
            break;
        case PHASE_BUCKETS:
            next.phase = PHASE_BUCKETS;
            *p = next;
            continue;
        default:
            continue;
        }
        next.phase = PHASE_RESOLVE;
        next.v_old = p->v_old;
        *p = next;
    }
}

static void emit_death(struct bucket *b, const struct bucket_state *from, uint8_t word) {
    struct bucket_state s = *from;
    uint32_t dead = b->config.node_dies - 1u;
    static const char *const names[] = {"P", "B1", "B2", "B3"};
    explore_say(b->explore, "%s dies; the others are settled to %s", names[dead], bucket_word_name(b, word));
    settle_slot(b, &s, dead, word);
    new_epoch(b, &s, dead == 0);
    explore_emit(b->explore, &s);
}

void bucket_node_dies(struct bucket *b, const struct bucket_state *s) {
    if (b->config.node_dies == 0 || s->replicas != b->config.replicas) {
        return;
    }
    uint32_t dead = b->config.node_dies - 1u;
    if (dead != 0) {
        emit_death(b, s, s->slots[0][0]); /* a backup: P's word everywhere */
        return;
    }
    for (uint32_t i = 1; i < s->replicas; i++) { /* they differ: any one of the words will do */
        bool again = false;
        for (uint32_t j = 1; j < i; j++) {
            again |= s->slots[j][0] == s->slots[i][0];
        }
        if (!again) {
            emit_death(b, s, s->slots[i][0]);
        }
    }
}

bool bucket_on_chain(const struct bucket *b, const struct bucket_state *s, uint32_t c) {
    uint32_t own = own_index(b, s, c);
    if (without(b, SWITCH_chain_needed)) {
        return s->slots[0][0] >> 2 == own;
    }
    return (s->chain >> own & 1) != 0;
}
