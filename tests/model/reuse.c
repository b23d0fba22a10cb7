/* reuse.c: see reuse.h. A round here is the one of bucket_step.c at r = 2, on a guess from the client's cache; what is
 * added is the memory behind the words.
 *
 * A word is one byte: kind (0x40: written by a read-modify-write), address (0x30), tag (0x0f).
 */
#include <stdlib.h>
#include <string.h>

#include "fusee/snapshot.h"
#include "fusee/word.h"
#include "reuse_state.h"

static uint32_t address_of(uint8_t word) { return word >> 4 & 3; }
static uint64_t real(uint8_t word) {
    return word_make((struct word_parts){.kind = (word & 0x40) != 0 ? WORD_LIVE_RMW : WORD_LIVE_BLIND,
                                         .tag = word & 15,
                                         .address = address_of(word) * WORD_UNIT_BYTES});
}
static const struct monitor_op *op_of(const struct reuse *m, const struct state *s, uint32_t c) {
    return &m->op[c][s->client[c].op];
}
static char name_of(uint32_t c) { return "UVWX"[c]; }

static void enter(struct client *p, enum phase phase, uint8_t mask) {
    p->phase = (uint8_t)phase;
    p->mask = mask;
}

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

static void free_word(const struct reuse *m, struct state *s, uint8_t word) {
    uint32_t address = address_of(word);
    s->used[address] = 0;
    s->waits_for[address] = 0;
    s->freed[address] = s->epoch;
    for (uint32_t c = 0; c < m->clients && m->config.grace; c++) {
        uint8_t phase = s->client[c].phase;
        if (phase != PHASE_IDLE && phase != PHASE_DONE && phase != PHASE_GAVE_UP) {
            s->waits_for[address] |= (uint8_t)(1u << c);
        }
    }
}

static bool can_take(const struct reuse *m, const struct state *s, uint32_t address) {
    if (m->config.epochs != 0) {
        return s->used[address] == 0 && reuse_may_take(m, s, address);
    }
    return s->used[address] == 0 && s->waits_for[address] == 0 &&
           (m->config.tag_wraps || s->uses[address] >> m->config.tag_bits == 0);
}

static void take(const struct reuse *m, struct state *s, uint32_t c, uint32_t address) {
    struct client *p = &s->client[c];
    uint8_t tag = s->uses[address] & (uint8_t)((1u << m->config.tag_bits) - 1);
    if (m->config.epochs != 0) {
        tag = reuse_tag(m, s, p);
    } else {
        uint8_t use = (uint8_t)(s->uses[address] + 1);
        s->uses[address] = m->config.tag_wraps ? use & (uint8_t)((1u << m->config.tag_bits) - 1) : use;
    }
    s->used[address] = 1;
    p->v_new = (uint8_t)(address << 4 | tag | (op_of(m, s, c)->kind == MONITOR_RMW ? 0x40 : 0));
    enter(p, PHASE_ROUND, 1u << VERB_CAS | 1u << VERB_OBJECT | 1u << VERB_READ_P);
}

/* ---- Decisions -------------------------------------------------------------------------------------------------- */

static void end_op(struct reuse *m, struct state *s, uint32_t c, enum phase phase) {
    struct client *p = &s->client[c];
    struct client fresh = {.op = (uint8_t)(p->op + 1), .cache_word = p->cache_word, .cache_value = p->cache_value};
    if (phase == PHASE_GAVE_UP) {
        fresh.op = p->op;
    } else if (fresh.op == m->ops[c]) {
        phase = PHASE_DONE;
    }
    if (phase != PHASE_IDLE) {
        fresh.cache_word = 0;
        fresh.cache_value = 0;
    } else {
        fresh.view = p->view;
        fresh.announced = p->announced;
        fresh.cache_epoch = p->cache_epoch;
    }
    *p = fresh;
    p->phase = (uint8_t)phase;
    for (uint32_t a = 0; a < m->config.addresses; a++) {
        s->waits_for[a] &= (uint8_t) ~(1u << c);
    }
}

static void reply(struct reuse *m, struct state *s, uint32_t c, uint32_t result) {
    explore_say(m->explore, "; replies %u", result);
    uint32_t set = monitor_reply(m->monitor, s->monitor, c, result);
    if (set == MONITOR_BROKEN) {
        explore_violate(m->explore, "not linearizable");
    } else {
        s->monitor = set;
    }
    end_op(m, s, c, PHASE_IDLE);
}

static void remember(const struct reuse *m, struct client *p, uint8_t word, uint8_t value) {
    p->cache_word = word;
    p->cache_value = value;
    p->cache_epoch = m->config.seen_late ? p->view : p->entry;
}

/* Lost or stale: from the word p->p in the primary. */
static void again(struct reuse *m, struct state *s, uint32_t c) {
    struct client *p = &s->client[c];
    free_word(m, s, p->v_new);
    p->v_new = 0;
    p->seen = 0;
    if (++p->attempt == m->config.attempts) {
        explore_say(m->explore, "; gives up");
        end_op(m, s, c, PHASE_GAVE_UP);
    } else if (op_of(m, s, c)->kind == MONITOR_SET) {
        p->v_old = p->p;
        p->p = 0;
        enter(p, PHASE_TAKE, 0);
    } else {
        enter(p, PHASE_OBJECT, 1);
    }
}

static void object_read(struct reuse *m, struct state *s, uint32_t c) {
    struct client *p = &s->client[c];
    if (m->config.header && p->read_word != p->p) {
        enter(p, PHASE_SLOT, 1);
        return;
    }
    remember(m, p, p->p, p->read_value);
    if (op_of(m, s, c)->kind == MONITOR_GET) {
        reply(m, s, c, p->read_value);
        return;
    }
    p->v_old = p->p;
    p->old_value = p->read_value;
    p->p = p->read_word = p->read_value = 0;
    enter(p, PHASE_TAKE, 0);
}

static void both_read(struct reuse *m, struct state *s, uint32_t c) {
    struct client *p = &s->client[c];
    if (p->p != p->cache_word) {
        enter(p, PHASE_OBJECT, 1);
    } else if (m->by_value[c][p->op]) {
        remember(m, p, p->cache_word, p->cache_value);
        reply(m, s, c, p->cache_value);
    } else {
        object_read(m, s, c);
    }
}

static void round_ended(struct reuse *m, struct state *s, uint32_t c) {
    struct client *p = &s->client[c];
    uint64_t seen = real(p->seen);
    if (snapshot_judge(&seen, 1, real(p->v_old), real(p->v_new)) == SNAPSHOT_WON) {
        p->seen = p->p = 0;
        enter(p, PHASE_PUBLISH, 1);
    } else if (p->p != p->v_old) {
        again(m, s, c);
    } else {
        p->seen = 0;
        enter(p, PHASE_WAIT, 1);
    }
}

static void waited(struct reuse *m, struct state *s, uint32_t c) {
    struct client *p = &s->client[c];
    if (snapshot_loser_may_answer(op_of(m, s, c)->kind == MONITOR_SET, real(p->p))) {
        free_word(m, s, p->v_new);
        reply(m, s, c, 0);
    } else {
        again(m, s, c);
    }
}

static void commit(struct reuse *m, struct state *s, uint32_t c) {
    struct client *p = &s->client[c];
    bool set = op_of(m, s, c)->kind == MONITOR_SET;
    uint8_t old_value = p->old_value;
    free_word(m, s, p->v_old);
    remember(m, p, p->v_new, op_of(m, s, c)->value);
    reply(m, s, c, set ? 0 : old_value);
}

static void advance(struct reuse *m, struct state *s, uint32_t c) {
    struct client *p = &s->client[c];
    if (p->mask != 0) {
        return;
    }
    switch ((enum phase)p->phase) {
    case PHASE_ANNOUNCE:
        enter(p, PHASE_BEGIN, 0);
        break;
    case PHASE_BOTH:
        both_read(m, s, c);
        break;
    case PHASE_SLOT:
        enter(p, PHASE_OBJECT, 1);
        break;
    case PHASE_OBJECT:
        object_read(m, s, c);
        break;
    case PHASE_ROUND:
        round_ended(m, s, c);
        break;
    case PHASE_PUBLISH:
        commit(m, s, c);
        break;
    case PHASE_WAIT:
        waited(m, s, c);
        break;
    default:
        break;
    }
}

/* ---- Verbs ------------------------------------------------------------------------------------------------------ */

static uint8_t cas(struct reuse *m, struct state *s, uint32_t c, uint32_t node) {
    struct client *p = &s->client[c];
    uint8_t seen = s->slot[node];
    explore_say(m->explore, "%c: CAS %s (%u,%u) -> (%u,%u)", name_of(c), node == PRIMARY ? "P" : "B1",
                address_of(p->v_old), p->v_old & 15u, address_of(p->v_new), p->v_new & 15u);
    if (seen == p->v_old) {
        s->slot[node] = p->v_new;
    } else {
        explore_say(m->explore, ": finds (%u,%u)", address_of(seen), seen & 15u);
        if (node == PRIMARY) {
            explore_violate(m->explore, "a winner's CAS of the primary fails");
        }
    }
    return seen;
}

static void read_primary(struct reuse *m, struct state *s, uint32_t c) {
    uint8_t word = s->slot[PRIMARY];
    s->client[c].p = word;
    explore_say(m->explore, "%c: READ P = (%u,%u)", name_of(c), address_of(word), word & 15u);
}

static void read_object(struct reuse *m, struct state *s, uint32_t c, uint8_t word) {
    uint32_t address = address_of(word);
    s->client[c].read_word = m->config.header ? s->memory_word[address] : 0;
    s->client[c].read_value = s->memory_value[address];
    explore_say(m->explore, "%c: READ object at %u = value %u", name_of(c), address, s->memory_value[address]);
}

static void do_verb(struct reuse *m, struct state *s, uint32_t c, uint32_t verb) {
    struct client *p = &s->client[c];
    p->mask &= (uint8_t) ~(1u << verb);
    switch ((enum phase)p->phase) {
    case PHASE_ANNOUNCE:
        p->view = s->epoch;
        explore_say(m->explore, "%c: READ epoch = %u", name_of(c), p->view);
        break;
    case PHASE_BOTH:
        if (verb == VERB_READ_SLOT) {
            read_primary(m, s, c);
        } else {
            read_object(m, s, c, p->cache_word);
        }
        break;
    case PHASE_SLOT:
    case PHASE_WAIT:
        read_primary(m, s, c);
        break;
    case PHASE_OBJECT:
        read_object(m, s, c, p->p);
        break;
    case PHASE_ROUND:
        if (verb == VERB_CAS) {
            p->seen = cas(m, s, c, BACKUP);
        } else if (verb == VERB_READ_P) {
            read_primary(m, s, c);
        } else {
            uint32_t address = address_of(p->v_new);
            s->memory_word[address] = p->v_new;
            s->memory_value[address] = op_of(m, s, c)->value;
            explore_say(m->explore, "%c: WRITE object at %u", name_of(c), address);
        }
        break;
    case PHASE_PUBLISH:
        (void)cas(m, s, c, PRIMARY);
        break;
    default:
        break;
    }
}

static void try_verbs(struct reuse *m, const struct state *from, uint32_t c, bool begins) {
    for (uint32_t verb = 0; from->client[c].mask >> verb != 0; verb++) {
        const struct client *p = &from->client[c];
        if ((p->mask >> verb & 1) == 0 || (p->phase == PHASE_WAIT && from->slot[PRIMARY] == p->v_old)) {
            continue;
        }
        struct state next = *from;
        explore_say(m->explore, "%s", begins ? "begins. " : "");
        do_verb(m, &next, c, verb);
        advance(m, &next, c);
        explore_emit(m->explore, &next);
    }
}

/* Every address that can be taken; none: the operation is refused. */
static void try_take(struct reuse *m, const struct state *from, uint32_t c, bool begins) {
    bool taken = false;
    for (uint32_t a = 0; a < m->config.addresses; a++) {
        if (can_take(m, from, a)) {
            struct state s = *from;
            take(m, &s, c, a);
            try_verbs(m, &s, c, begins);
            taken = true;
        }
    }
    if (!taken) {
        struct state s = *from;
        explore_say(m->explore, "%c is refused: no address", name_of(c));
        uint32_t set = monitor_refuse(m->monitor, s.monitor, c);
        if (set == MONITOR_BROKEN) {
            explore_violate(m->explore, "refused, but it has happened");
        } else {
            s.monitor = set;
        }
        end_op(m, &s, c, PHASE_IDLE);
        explore_emit(m->explore, &s);
    }
}

/* The operation's first batch. */
static void begin_op(struct reuse *m, const struct state *from, uint32_t c) {
    struct state s = *from;
    struct client *p = &s.client[c];
    bool get = op_of(m, from, c)->kind == MONITOR_GET;
    p->entry = p->view;
    if (!reuse_may_guess(m, p)) {
        enter(p, PHASE_SLOT, 1);
        try_verbs(m, &s, c, true);
    } else if (get) {
        enter(p, PHASE_BOTH,
              m->by_value[c][p->op] ? 1u << VERB_READ_SLOT : 1u << VERB_READ_SLOT | 1u << VERB_READ_OBJECT);
        try_verbs(m, &s, c, true);
    } else {
        p->v_old = p->cache_word;
        p->old_value = p->cache_value;
        enter(p, PHASE_TAKE, 0);
        try_take(m, &s, c, true);
    }
}

static void start_op(struct reuse *m, const struct state *from, uint32_t c) {
    struct state s = *from;
    struct client *p = &s.client[c];
    s.monitor = monitor_invoke(m->monitor, s.monitor, c, p->op);
    if (m->config.epochs != 0 && p->announced == 0) {
        p->announced = (uint8_t)(p->view + 1);
        enter(p, PHASE_ANNOUNCE, 1);
        explore_say(m->explore, "%c announces %u", name_of(c), p->view);
        explore_emit(m->explore, &s);
    } else {
        begin_op(m, &s, c);
    }
}

/* ---- The model -------------------------------------------------------------------------------------------------- */

static uint32_t state_bytes(const struct reuse *m) {
    return (uint32_t)(offsetof(struct state, client) + m->clients * sizeof(struct client));
}

static void expand(struct explore *explore, void *context, const void *state) {
    struct reuse *m = context;
    struct state whole = {0}; /* only the bytes in use are kept */
    const struct state *s = &whole;
    memcpy(&whole, state, state_bytes(m));
    m->explore = explore;
    for (uint32_t c = 0; c < m->clients; c++) {
        if (s->client[c].phase == PHASE_IDLE) {
            start_op(m, s, c);
        } else if (s->client[c].phase == PHASE_BEGIN) {
            begin_op(m, s, c);
        } else if (s->client[c].phase == PHASE_TAKE) {
            try_take(m, s, c, false);
        } else {
            try_verbs(m, s, c, false);
        }
    }
    if (m->config.epochs != 0) {
        reuse_epoch_expand(m, s);
    }
}

static const char *judge_end(void *context, const void *state) {
    const struct reuse *m = context;
    const struct state *s = state;
    for (uint32_t c = 0; c < m->clients; c++) {
        if (s->client[c].phase != PHASE_DONE && s->client[c].phase != PHASE_GAVE_UP) {
            return "somebody waits for ever";
        }
    }
    return s->slot[PRIMARY] != s->slot[BACKUP] ? "replicas differ at rest" : NULL;
}

static void start(struct explore *explore, void *context, void *state) {
    struct reuse *m = context;
    struct state *s = state;
    uint8_t values[MONITOR_KEYS_MAX] = {VALUE_INITIAL};
    m->explore = explore;
    s->memory_value[0] = VALUE_INITIAL;
    s->used[0] = 1;
    s->uses[0] = m->config.tag_bits != 0;
    for (uint32_t c = 0; c < m->clients; c++) {
        s->client[c].cache_value = VALUE_INITIAL;
    }
    reuse_epoch_start(m, s);
    s->monitor = monitor_start(m->monitor, values);
}

static bool set_op(struct reuse *m, uint32_t c, char letter) {
    uint32_t i = m->ops[c]++;
    struct monitor_op op = {.value = (uint8_t)(VALUE_OPS + OPS_MAX * c + i)};
    op.kind = letter == 'S' ? MONITOR_SET : letter == 'R' ? MONITOR_RMW : MONITOR_GET;
    m->by_value[c][i] = letter == 'V';
    m->op[c][i] = op;
    monitor_plan(m->monitor, c, i, op);
    return strchr("SRGV", letter) != NULL;
}

struct reuse *reuse_open(const struct reuse_config *config, const char **error) {
    struct reuse *m = calloc(1, sizeof *m);
    *error = m == NULL ? "out of memory" : NULL;
    if (m == NULL) {
        return NULL;
    }
    m->config = *config;
    m->monitor = monitor_open();
    m->clients = 1;
    for (const char *at = config->program; *at != 0 && *error == NULL; at++) {
        if (*at == '|') {
            *error = m->clients++ == CLIENTS_MAX ? "too many clients" : NULL;
        } else if (m->ops[m->clients - 1] == OPS_MAX || !set_op(m, m->clients - 1, *at)) {
            *error = "an operation is S R G V, three a client at most";
        }
    }
    if (config->addresses < 2 || config->addresses > ADDRESSES_MAX || config->tag_bits > 4) {
        *error = "two to four addresses, four bits of tag";
    }
    if (*error != NULL) {
        reuse_close(m);
        return NULL;
    }
    return m;
}

void reuse_close(struct reuse *m) {
    monitor_close(m->monitor);
    free(m);
}

struct explore_model reuse_model(struct reuse *m) {
    return (struct explore_model){m, state_bytes(m), start, expand, judge_end};
}
