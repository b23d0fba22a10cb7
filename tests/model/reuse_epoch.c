/* reuse_epoch.c: the reclamation epoch of the reuse model, as fusee/epoch.c keeps it, and the tags and guesses that
 * follow from it. A client that was idle announces the epoch it last knew, then READs the epoch; it begins operations
 * with what it has READ, which may be one behind. The epoch advances in two steps: somebody sees that nobody announces
 * less, and CASes it later. Used by reuse.c.
 */
#include "reuse_state.h"

#define GRACE_EPOCHS 2

void reuse_epoch_start(const struct reuse *m, struct state *s) {
    if (m->config.epochs == 0) {
        return;
    }
    s->epoch = REUSE_EPOCH_FIRST;
    uint8_t tag = REUSE_EPOCH_FIRST & (uint8_t)((1u << m->config.tag_bits) - 1);
    s->slot[PRIMARY] = s->slot[BACKUP] = s->memory_word[0] = tag;
    for (uint32_t c = 0; c < m->clients; c++) {
        s->client[c].view = s->client[c].cache_epoch = REUSE_EPOCH_FIRST;
        s->client[c].cache_word = tag;
    }
}

bool reuse_may_guess(const struct reuse *m, const struct client *p) {
    if (m->config.epochs == 0 || m->config.any_guess) {
        return true;
    }
    uint8_t mask = (uint8_t)((1u << m->config.tag_bits) - 1);
    uint8_t returns = (uint8_t)((p->cache_word & 15) - (p->cache_epoch + 1)) & mask;
    return p->entry - p->cache_epoch < returns + (m->config.one_too_late ? 1 : 0);
}

uint8_t reuse_tag(const struct reuse *m, const struct state *s, const struct client *p) {
    uint8_t from = m->config.tag_clock ? s->clock : p->entry;
    return from & (uint8_t)((1u << m->config.tag_bits) - 1);
}

bool reuse_may_take(const struct reuse *m, const struct state *s, uint32_t address) {
    return s->epoch >= s->freed[address] + (m->config.reuse_at_once ? GRACE_EPOCHS - 1 : GRACE_EPOCHS);
}

static void expand_advance(struct reuse *m, const struct state *from) {
    struct state s = *from;
    bool behind = false;
    for (uint32_t c = 0; c < m->clients; c++) {
        behind |= s.client[c].announced != 0 && s.client[c].announced - 1 < s.epoch;
    }
    if (s.advancing != 0) {
        s.epoch++;
        s.advancing = 0;
        explore_say(m->explore, "the epoch becomes %u", s.epoch);
    } else if (!behind && s.epoch < m->config.epochs) {
        s.advancing = 1;
        explore_say(m->explore, "somebody sees that nobody announces less than %u", s.epoch);
    } else {
        return;
    }
    explore_emit(m->explore, &s);
}

/* READs the epoch and announces it, or its operation's. */
static void expand_tick(struct reuse *m, const struct state *from, uint32_t c) {
    struct state s = *from;
    struct client *p = &s.client[c];
    bool idle = p->phase == PHASE_IDLE;
    uint8_t announced = (uint8_t)((idle ? s.epoch : p->entry) + 1);
    if (p->announced == 0 || p->phase == PHASE_ANNOUNCE || (p->view == s.epoch && p->announced == announced)) {
        return;
    }
    p->view = s.epoch;
    p->announced = announced;
    explore_say(m->explore, "client %u ticks: epoch %u, announces %u", c, p->view, announced - 1u);
    explore_emit(m->explore, &s);
}

void reuse_epoch_expand(struct reuse *m, const struct state *s) {
    expand_advance(m, s);
    for (uint32_t c = 0; c < m->clients; c++) {
        expand_tick(m, s, c);
        if (s->client[c].phase == PHASE_IDLE && s->client[c].announced != 0) {
            struct state next = *s;
            next.client[c].announced = 0;
            explore_say(m->explore, "client %u retires", c);
            explore_emit(m->explore, &next);
        }
    }
    if (m->config.tag_clock) {
        struct state next = *s;
        next.clock = (uint8_t)(s->clock + 1) & (uint8_t)((1u << m->config.tag_bits) - 1);
        explore_say(m->explore, "the clock says %u", next.clock);
        explore_emit(m->explore, &next);
    }
}
