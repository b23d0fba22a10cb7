/* tx.c: the transaction model as explore.h wants it: reading a configuration, the start state, all steps of a state,
 * what must hold at the end, and what words mean.
 */
#include "tx.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "tx_state.h"

/* ---- Words ------------------------------------------------------------------------------------------------------ */

const char *tx_process_name(const struct tx *t, uint32_t c) {
    static const char *const clients[] = {"U", "V", "W", "X"};
    return c < t->clients ? clients[c] : "repair";
}

const char *tx_word_name(const struct tx *t, uint8_t word) {
    static const char *const forms[] = {"live", "intent", "prepared", "cleaned", "copy", "empty"};
    static char ring[8][32];
    static uint32_t turn;
    char *out = ring[turn++ % 8];
    if (index_of(word) == 0) {
        return is_empty(word) ? "0" : "A";
    }
    uint32_t attempt = index_of(word) - 1;
    uint32_t op = attempt / TX_ATTEMPTS_MAX;
    snprintf(out, sizeof ring[0], "%s(%s%u%.*s)", forms[form_of(word)], tx_process_name(t, op / TX_OPS_MAX),
             op % TX_OPS_MAX + 1, (int)(attempt % TX_ATTEMPTS_MAX), "''");
    return out;
}

uint8_t tx_value(const struct tx *t, const struct tx_state *s, uint32_t slot, uint8_t word) {
    while (!is_empty(word)) {
        if (index_of(word) == 0) {
            return VALUE_INITIAL;
        }
        const struct tx_op *op = op_behind(t, word);
        uint32_t key = t->key_of[slot];
        if (form_of(word) != FORM_COPY && (op->reads_only >> key & 1) == 0) {
            return (op->plan.removes >> key & 1) != 0 ? MONITOR_ABSENT : op->plan.value;
        }
        word = s->prev[index_of(word)][slot];
    }
    return MONITOR_ABSENT;
}

uint8_t tx_slots(const struct tx *t, const struct tx_state *s, uint8_t word) {
    uint8_t slots = 0;
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        slots |= (uint8_t)((s->prev[index_of(word)][slot] != NOT_ITS_SLOT) << slot);
    }
    return slots;
}

bool tx_shows_old(const struct tx_state *s, uint32_t x, uint32_t slot, uint8_t word) {
    return word == s->prev[x][slot] || word == word_of(x, FORM_PREPARED);
}

uint8_t tx_slots_of_keys(const struct tx *t, uint8_t keys) {
    uint8_t slots = 0;
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        slots |= (uint8_t)((keys >> t->key_of[slot] & 1u) << slot);
    }
    return slots;
}

/* ---- Configuration ---------------------------------------------------------------------------------------------- */

static bool set_kind(struct tx_op *op, char letter, uint32_t first, uint32_t last) {
    uint8_t a = (uint8_t)(1u << first);
    uint8_t b = (uint8_t)(1u << last);
    op->letter = letter;
    op->many = strchr("TENV", letter) != NULL;
    op->plan.key = (uint8_t)first;
    op->plan.kind = MONITOR_MANY;
    switch (letter) {
    case 'S':
        op->plan.kind = MONITOR_SET;
        return first == last;
    case 'R':
        op->plan.kind = MONITOR_RMW;
        return first == last;
    case 'G':
        op->plan.kind = MONITOR_GET;
        return first == last;
    case 'T':
        op->plan.writes = op->keys;
        return true;
    case 'N':
        op->plan.writes = op->keys;
        op->plan.all_absent = true;
        return true;
    case 'E':
        op->plan.reads = op->reads_only = a;
        op->plan.writes = b;
        return first != last;
    case 'V':
        op->plan.removes = a;
        op->plan.writes = b;
        return first != last;
    case 'M':
        op->plan.reads = op->keys;
        return true;
    default:
        return false;
    }
}

/* One operation: a letter and its keys; the number of characters, 0: not one. */
static uint32_t read_op(struct tx *t, const char *text) {
    uint32_t c = t->clients - 1;
    if (t->ops[c] == TX_OPS_MAX) {
        return 0;
    }
    struct tx_op *op = &t->op[c][t->ops[c]];
    uint32_t length = 1;
    for (; text[length] >= '0' && text[length] <= '2'; length++) {
        op->keys |= (uint8_t)(1u << (text[length] - '0'));
    }
    op->plan.value = (uint8_t)(VALUE_OPS + TX_OPS_MAX * c + t->ops[c]);
    if (length == 1 || !set_kind(op, text[0], (uint32_t)(text[1] - '0'), (uint32_t)(text[length - 1] - '0'))) {
        return 0;
    }
    monitor_plan(t->monitor, c, t->ops[c], op->plan);
    t->ops[c]++;
    return length;
}

static const char *read_program(struct tx *t) {
    t->clients = 1;
    for (const char *at = t->config.program; *at != 0;) {
        if (*at == '|' && t->clients == TX_CLIENTS_MAX) {
            return "too many clients";
        }
        t->clients += *at == '|';
        uint32_t length = *at == '|' || *at == ' ' ? 1 : read_op(t, at);
        if (length == 0) {
            return "an operation is S R G T E N V M with its keys, two a client at most";
        }
        at += length;
    }
    t->processes = t->clients + 1;
    return NULL;
}

static const char *read_slots(struct tx *t) {
    t->slots = (uint32_t)strlen(t->config.slots);
    if (t->slots == 0 || t->slots > TX_SLOTS_MAX) {
        return "one to four slots";
    }
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        char letter = t->config.slots[slot];
        bool empty = letter < 'a';
        t->key_of[slot] = (uint8_t)(letter - (empty ? '0' : 'a'));
        t->initial[slot] = word_of(0, empty ? FORM_EMPTY : FORM_LIVE);
        if (t->key_of[slot] >= MONITOR_KEYS_MAX) {
            return "a slot is a b c 0 1 2";
        }
    }
    return NULL;
}

struct tx *tx_open(const struct tx_config *config, const char **error) {
    struct tx *t = calloc(1, sizeof *t);
    if (t == NULL) {
        *error = "out of memory";
        return NULL;
    }
    t->config = *config;
    t->monitor = monitor_open();
    *error = config->replicas < 1 || config->replicas > TX_REPLICAS_MAX ? "1 to 3 replicas" : read_slots(t);
    if (*error == NULL) {
        *error = config->attempts > TX_ATTEMPTS_MAX ? "three attempts at most" : read_program(t);
    }
    if (*error != NULL) {
        tx_close(t);
        return NULL;
    }
    return t;
}

void tx_close(struct tx *t) {
    monitor_close(t->monitor);
    free(t);
}

/* ---- Start and end ---------------------------------------------------------------------------------------------- */

static void start(struct explore *explore, void *context, void *state) {
    struct tx *t = context;
    struct tx_state *s = state;
    uint8_t values[MONITOR_KEYS_MAX] = {0};
    t->explore = explore;
    memset(s->prev, NOT_ITS_SLOT, sizeof s->prev);
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        s->replicas[slot] = t->config.replicas;
        for (uint32_t replica = 0; replica < t->config.replicas; replica++) {
            s->slots[replica][slot] = t->initial[slot];
        }
        if (!is_empty(t->initial[slot])) {
            values[t->key_of[slot]] = VALUE_INITIAL;
        }
    }
    for (uint32_t c = 0; c < t->clients; c++) {
        s->process[c].phase = t->ops[c] == 0 ? PHASE_DONE : PHASE_IDLE;
    }
    s->monitor = monitor_start(t->monitor, values);
}

static const char *judge_end(void *context, const void *state) {
    const struct tx *t = context;
    const struct tx_state *s = state; /* what lies behind the bytes in use is not looked at */
    for (uint32_t c = 0; c < t->processes; c++) {
        uint8_t phase = s->process[c].phase;
        bool rests = phase == PHASE_DONE || phase == PHASE_GAVE_UP || phase == PHASE_DEAD;
        if (!rests && !(phase == PHASE_IDLE && c == t->clients)) {
            return "somebody waits for ever";
        }
    }
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        for (uint32_t replica = 1; replica < s->replicas[slot]; replica++) {
            if (s->slots[replica][slot] != s->slots[0][slot]) {
                return "replicas differ at rest";
            }
        }
    }
    return NULL;
}

/* ---- Steps ------------------------------------------------------------------------------------------------------ */

static void keep(const struct tx *t, const struct tx_state *s, struct tx_state *out, uint32_t *kept, uint8_t word) {
    uint32_t index = index_of(word);
    if (index == 0 || (*kept >> index & 1) != 0) {
        return;
    }
    bool wanted = form_of(word) == FORM_COPY || form_of(word) == FORM_PREPARED || is_intent(word) ||
                  t->config.node_dies != 0 || (form_of(word) == FORM_CLEANED && op_behind(t, word)->reads_only != 0);
    if (!wanted) {
        return;
    }
    *kept |= 1u << index;
    memcpy(out->prev[index], s->prev[index], sizeof out->prev[index]);
    for (uint32_t i = 0; i < t->slots; i++) {
        if (s->prev[index][i] != NOT_ITS_SLOT) {
            keep(t, s, out, kept, s->prev[index][i]);
        }
    }
}

/* Emits the state without what no word that can still be met leads to. */
void tx_emit(struct tx *t, const struct tx_state *s) {
    struct tx_state out = *s;
    uint32_t kept = 0;
    memset(out.prev, NOT_ITS_SLOT, sizeof out.prev);
    for (uint32_t slot = 0; slot < t->slots; slot++) {
        for (uint32_t replica = 0; replica < t->config.replicas; replica++) {
            keep(t, s, &out, &kept, s->slots[replica][slot]);
        }
        for (uint32_t c = 0; c < t->processes; c++) {
            const struct process *p = &s->process[c];
            keep(t, s, &out, &kept, p->v_old[slot]);
            keep(t, s, &out, &kept, p->view[slot]);
            keep(t, s, &out, &kept, p->before[slot]);
            keep(t, s, &out, &kept, p->second[slot]);
        }
    }
    for (uint32_t c = 0; c < t->processes; c++) {
        const struct process *p = &s->process[c];
        keep(t, s, &out, &kept, p->met);
        if (c < t->clients && p->phase >= PHASE_ROUND && p->phase < PHASE_DONE) {
            keep(t, s, &out, &kept, word_of(own_index(s, c), FORM_INTENT));
        }
    }
    explore_emit(t->explore, &out);
}

static void try_verbs(struct tx *t, const struct tx_state *from, uint32_t c, const char *note) {
    uint32_t mask = from->process[c].mask;
    for (uint32_t verb = 0; mask != 0; verb++, mask >>= 1) {
        if ((mask & 1) == 0 || !tx_verb_enabled(t, from, c, verb)) {
            continue;
        }
        struct tx_state next = *from;
        explore_say(t->explore, "%s", note);
        tx_verb(t, &next, c, verb);
        tx_advance(t, &next, c);
        tx_emit(t, &next);
    }
}

static void start_op(struct tx *t, const struct tx_state *from, uint32_t c) {
    struct tx_state s = *from;
    struct process *p = &s.process[c];
    const struct tx_op *op = op_of(t, from, c);
    char note[32];
    snprintf(note, sizeof note, "%s begins %c%x. ", tx_process_name(t, c), op->letter, op->keys);
    s.monitor = monitor_invoke(t->monitor, from->monitor, c, p->op);
    tx_collect(t, &s, c);
    uint8_t all = p->part;
    try_verbs(t, &s, c, note);
    if (t->config.guess && strchr("SR", op->letter) != NULL) {
        struct tx_state guess = s;
        struct process *q = &guess.process[c];
        for (uint32_t slot = 0; slot < t->slots; slot++) {
            q->inserts |= (uint8_t)((all >> slot & 1 && is_empty(t->initial[slot])) << slot);
            q->view[slot] = t->initial[slot];
        }
        if (q->inserts != 0) {
            q->part = 0;
            process_enter(q, PHASE_CHOOSE, 0);
            explore_say(t->explore, "%s", note);
            tx_emit(t, &guess);
        }
    }
    for (uint32_t slot = 0; slot < t->slots && t->config.hit && op->letter == 'G'; slot++) {
        if ((all >> slot & 1) != 0 && all != 1u << slot) {
            p->part = (uint8_t)(1u << slot);
            process_enter(p, PHASE_COLLECT, verbs(p->part, 0));
            try_verbs(t, &s, c, note);
        }
    }
}

/* p->inserts: all empty slots of the keys that are new; one of each key is chosen, in all ways. */
static void choose_slots(struct tx *t, const struct tx_state *from, uint32_t c) {
    uint8_t candidates = from->process[c].inserts;
    for (uint32_t chosen = candidates; chosen != 0; chosen = (chosen - 1) & candidates) {
        uint32_t keys = 0;
        uint32_t wanted = 0;
        bool once = true;
        for (uint32_t slot = 0; slot < t->slots; slot++) {
            wanted |= (candidates >> slot & 1u) << t->key_of[slot];
            if ((chosen >> slot & 1) != 0) {
                once &= (keys >> t->key_of[slot] & 1) == 0;
                keys |= 1u << t->key_of[slot];
            }
        }
        if (once && keys == wanted) {
            struct tx_state s = *from;
            s.process[c].inserts = (uint8_t)chosen;
            s.process[c].part |= (uint8_t)chosen;
            tx_round(t, &s, c);
            try_verbs(t, &s, c, "");
        }
    }
}

static uint32_t state_bytes(const struct tx *t) {
    uint32_t indices = 1 + t->clients * TX_OPS_MAX * TX_ATTEMPTS_MAX;
    return (uint32_t)(offsetof(struct tx_state, prev) + indices * TX_SLOTS_MAX);
}

static void expand(struct explore *explore, void *context, const void *state) {
    struct tx *t = context;
    struct tx_state whole = {0}; /* only the bytes in use are kept */
    const struct tx_state *s = &whole;
    memcpy(&whole, state, state_bytes(t));
    t->explore = explore;
    for (uint32_t c = 0; c < t->processes; c++) {
        uint8_t phase = s->process[c].phase;
        if (phase == PHASE_IDLE && c < t->clients) {
            start_op(t, s, c);
        } else if (phase == PHASE_CHOOSE) {
            choose_slots(t, s, c);
        } else {
            try_verbs(t, s, c, "");
        }
    }
    tx_node_dies(t, s);
    if (tx_can_die(t, s)) {
        struct tx_state next = *s;
        tx_die(t, &next);
        tx_emit(t, &next);
    }
}

struct explore_model tx_model(struct tx *t) {
    return (struct explore_model){t, state_bytes(t), start, expand, judge_end};
}
