/* bucket.c: the bucket model as explore.h wants it: reading a configuration, the start state, all steps of a state,
 * what must hold at the end, and names for words.
 */
#include "bucket.h"

#include <stdio.h>
#include <stdlib.h>

#include "bucket_state.h"

#define VALUE_INITIAL 1
#define VALUE_OPS 2 /* client c's operation i writes VALUE_OPS + 3c + i */

/* ---- Names ------------------------------------------------------------------------------------------------------ */

const char *bucket_process_name(const struct bucket *b, uint32_t c) {
    static const char *const clients[] = {"U", "V", "W", "X"};
    if (is_client(b, c)) {
        return clients[c];
    }
    return c < b->repairer ? "clear" : c < b->repairer + b->repairers ? "repair" : "coordinator";
}

static void name_index(const struct bucket *b, uint32_t index, char *out, size_t bytes) {
    if (index >= INDEX_ATTEMPT) {
        uint32_t attempt = index - INDEX_ATTEMPT;
        uint32_t op = attempt / BUCKET_ATTEMPTS_MAX;
        snprintf(out, bytes, "%s%u%.*s", bucket_process_name(b, op / BUCKET_OPS_MAX), op % BUCKET_OPS_MAX + 1,
                 (int)(attempt % BUCKET_ATTEMPTS_MAX), "'''");
    } else if (index >= INDEX_REPAIR) {
        snprintf(out, bytes, "copy");
    } else {
        snprintf(out, bytes, "%s%u", index == INDEX_OLD ? "old" : "A", index);
    }
}

const char *bucket_word_name(const struct bucket *b, uint8_t word) {
    static char ring[8][32];
    static uint32_t turn;
    char *out = ring[turn++ % 8];
    char index[12];
    name_index(b, word >> 2, index, sizeof index);
    if (word == NEVER_USED) {
        return "0";
    }
    switch (kind(b, word)) {
    case WORD_EMPTY:
        snprintf(out, sizeof ring[0], "empty(%s)", index);
        break;
    case WORD_PROVISIONAL:
        snprintf(out, sizeof ring[0], "provisional(%s)", index);
        break;
    case WORD_TOMBSTONE:
        snprintf(out, sizeof ring[0], "tombstone(%s)", index);
        break;
    default:
        snprintf(out, sizeof ring[0], "%s", index);
        break;
    }
    return out;
}

/* ---- Configuration ---------------------------------------------------------------------------------------------- */

static void set_word(struct bucket *b, uint32_t index, enum form form, enum word_kind of, uint8_t key) {
    uint8_t word = word_of(index, form);
    b->words[word].key = key;
    b->words[word].real = word_make((struct word_parts){
        .fingerprint = (uint8_t)(of == WORD_EMPTY       ? 0
                                 : b->config.same_print ? 9
                                                        : key + 1),
        .kind = of,
        .size_class = 1,
        .tag = 1,
        .address = index * WORD_UNIT_BYTES,
    });
}

static void set_index(struct bucket *b, uint32_t index, enum word_kind full, uint8_t key, uint8_t value) {
    set_word(b, index, FORM_EMPTY, WORD_EMPTY, key);
    set_word(b, index, FORM_FULL, full, key);
    set_word(b, index, FORM_PROVISIONAL, WORD_PROVISIONAL, key);
    set_word(b, index, FORM_SPARE, WORD_EMPTY, key);
    b->words[word_of(index, FORM_SPARE)].real |= 1u << 30; /* another address */
    for (uint32_t form = 0; form < 4; form++) {
        b->words[word_of(index, (enum form)form)].value = value;
    }
}

static bool set_op(struct bucket *b, uint32_t c, char letter) {
    uint32_t i = b->ops[c]++;
    uint8_t key = letter >= 'a';
    uint8_t value = (uint8_t)(VALUE_OPS + BUCKET_OPS_MAX * c + i);
    enum word_kind full = WORD_LIVE_BLIND;
    struct monitor_op op = {.key = key, .value = value};
    switch (letter & ~32) {
    case 'S':
        op.kind = MONITOR_SET;
        break;
    case 'R':
        op.kind = MONITOR_RMW;
        full = WORD_LIVE_RMW;
        break;
    case 'N':
        op.kind = MONITOR_SETNX;
        full = WORD_LIVE_RMW;
        break;
    case 'G':
        op.kind = MONITOR_GET;
        break;
    case 'D':
        op.kind = MONITOR_DEL;
        full = WORD_TOMBSTONE;
        break;
    case 'X':
        op.kind = KIND_EXPIRE;
        full = WORD_TOMBSTONE;
        break;
    default:
        return false;
    }
    b->op[c][i] = op;
    monitor_plan(b->monitor, c, i, op);
    for (uint32_t a = 0; a < BUCKET_ATTEMPTS_MAX; a++) {
        set_index(b, INDEX_ATTEMPT + (c * BUCKET_OPS_MAX + i) * BUCKET_ATTEMPTS_MAX + a, full, key, value);
    }
    return true;
}

static const char *read_program(struct bucket *b) {
    b->clients = 1;
    for (const char *at = b->config.program; *at != 0; at++) {
        if (*at == '|') {
            if (b->clients == BUCKET_CLIENTS_MAX) {
                return "too many clients";
            }
            b->clients++;
            continue;
        }
        if (b->ops[b->clients - 1] == BUCKET_OPS_MAX || !set_op(b, b->clients - 1, *at)) {
            return "an operation is S R N G D X s r n g d x, three a client at most";
        }
    }
    for (uint32_t c = 0; c < b->clients; c++) {
        for (uint32_t i = 0; i < b->ops[c]; i++) {
            bool deletes = b->op[c][i].kind == MONITOR_DEL || b->op[c][i].kind == KIND_EXPIRE;
            if (deletes && b->config.replicas > 1 && !b->config.keep_tombstones) {
                b->clearer[c][i] = (uint8_t)(b->clients + b->clearers);
                b->clearers += b->config.two_clearers ? 2 : 1;
            }
        }
    }
    b->repairer = b->clients + b->clearers;
    b->repairers = b->config.crash == 0 ? 0 : b->config.repairers == 0 ? 1 : b->config.repairers;
    b->coordinators = b->config.nodes != 0;
    b->processes = b->repairer + b->repairers + b->coordinators;
    return b->processes > BUCKET_PROCESSES_MAX ? "too many deletes" : NULL;
}

static const char *read_slots(struct bucket *b) {
    b->slots = (uint32_t)strlen(b->config.slots);
    if (b->slots == 0 || b->slots > BUCKET_SLOTS_MAX) {
        return "one to three slots";
    }
    for (uint32_t i = 0; i < b->slots; i++) {
        char letter = b->config.slots[i];
        uint32_t index = INDEX_INITIAL + i;
        bool tombstone = (letter & ~32) == 'T';
        set_index(b, index, tombstone ? WORD_TOMBSTONE : WORD_LIVE_BLIND, letter >= 'a',
                  b->config.expired ? MONITOR_ABSENT : VALUE_INITIAL);
        b->initial[i] = letter == '0'   ? NEVER_USED
                        : letter == 'E' ? word_of(index, FORM_EMPTY)
                                        : word_of(index, FORM_FULL);
    }
    set_index(b, INDEX_OLD, WORD_LIVE_BLIND, 0, VALUE_INITIAL);
    for (uint8_t i = 0; i < 4; i++) {
        set_index(b, INDEX_REPAIR + i, WORD_LIVE_RMW, i & 1, 0);
    }
    return NULL;
}

struct bucket *bucket_open(const struct bucket_config *config, const char **error) {
    struct bucket *b = calloc(1, sizeof *b);
    if (b == NULL) {
        *error = "out of memory";
        return NULL;
    }
    b->config = *config;
    b->monitor = monitor_open();
    *error = config->replicas < 1 || config->replicas > BUCKET_REPLICAS_MAX ? "1 to 4 replicas" : read_slots(b);
    if (*error == NULL) {
        *error = read_program(b);
    }
    if (*error != NULL) {
        bucket_close(b);
        return NULL;
    }
    return b;
}

void bucket_close(struct bucket *b) {
    monitor_close(b->monitor);
    free(b);
}

/* ---- Start and end ---------------------------------------------------------------------------------------------- */

static void start(struct explore *explore, void *context, void *state) {
    struct bucket *b = context;
    struct bucket_state *s = state;
    uint8_t values[MONITOR_KEYS_MAX] = {0};
    b->explore = explore;
    memset(s->known, 0xff, sizeof s->known);
    s->replicas = b->config.replicas;
    for (uint32_t i = 0; i < b->slots; i++) {
        uint8_t word = b->initial[i];
        for (uint32_t replica = 0; replica < b->config.replicas; replica++) {
            s->slots[replica][i] = word;
        }
        if (word_is_live(real(b, word)) && !b->config.expired) {
            values[b->words[word].key] = VALUE_INITIAL;
        }
        bool empty = kind(b, word) == WORD_EMPTY;
        if ((b->config.starts & (empty ? START_INSERT : START_GUESS)) != 0) {
            s->known[i][0] = word;
        }
    }
    if ((b->config.starts & START_GUESS) != 0) {
        s->known[0][s->known[0][0] == 0xff ? 0 : 1] = word_of(INDEX_OLD, FORM_FULL);
    }
    for (uint32_t c = 0; c < b->clients; c++) {
        s->process[c].phase = b->ops[c] == 0 ? PHASE_DONE : PHASE_IDLE;
    }
    s->monitor = monitor_start(b->monitor, values);
}

static const char *judge_end(void *context, const void *state) {
    const struct bucket *b = context;
    const struct bucket_state *s = state;
    for (uint32_t c = 0; c < b->processes; c++) {
        uint8_t phase = s->process[c].phase;
        if (phase != PHASE_DONE && phase != PHASE_GAVE_UP && phase != PHASE_DEAD &&
            !(phase == PHASE_IDLE && !is_client(b, c))) {
            return "somebody waits for ever";
        }
    }
    for (uint32_t replica = 1; replica < s->replicas; replica++) {
        if (memcmp(s->slots[replica], s->slots[0], b->slots) != 0) {
            return "replicas differ at rest";
        }
    }
    return NULL;
}

/* ---- Steps ------------------------------------------------------------------------------------------------------ */

static void try_verbs(struct bucket *b, const struct bucket_state *from, uint32_t c, const char *note) {
    uint32_t mask = from->process[c].mask;
    for (uint32_t verb = 0; mask != 0; verb++, mask >>= 1) {
        if ((mask & 1) == 0 || !bucket_verb_enabled(b, from, c, verb)) {
            continue;
        }
        struct bucket_state next = *from;
        explore_say(b->explore, "%s", note);
        bucket_verb(b, &next, c, verb);
        bucket_advance(b, &next, c);
        explore_emit(b->explore, &next);
    }
}

static void note_start(struct bucket *b, const struct bucket_state *s, uint32_t c, char *note, size_t bytes) {
    static const char *const names[] = {"the expiry of", "SET", "RMW", "GET", "DEL", "SETNX"};
    const struct monitor_op *op = op_of(b, s, c);
    snprintf(note, bytes, "%s begins %s %s. ", bucket_process_name(b, c), names[op->kind], op->key == 0 ? "k" : "j");
}

/* The value behind the word is known, or wrongly taken for known. */
static bool may_guess(const struct bucket *b, uint8_t word, uint8_t key) {
    return live_of(b, word, key) || (without(b, SWITCH_guess_uncertain) && word_is_live(real(b, word)));
}

static void start_guess(struct bucket *b, const struct bucket_state *from, uint32_t c, uint8_t slot, uint8_t word) {
    const struct monitor_op *op = op_of(b, from, c);
    bool removes = op->kind == MONITOR_DEL || op->kind == KIND_EXPIRE;
    bool empty = kind(b, word) == WORD_EMPTY;
    bool live = may_guess(b, word, op->key);
    bool keep = live && (op->kind == MONITOR_SETNX || (op->kind == MONITOR_DEL && b->words[word].value == 0));
    char note[32];
    note_start(b, from, c, note, sizeof note);
    struct bucket_state s = *from;
    if (keep) {
        if (without(b, SWITCH_keep_unverified)) {
            explore_say(b->explore, "%s", note);
            bucket_reply(b, &s, c, 0);
            explore_emit(b->explore, &s);
        } /* else it READs the slot: START_HIT */
    } else if ((empty && !removes) || live || (tombstone_of(b, word, op->key) && !removes)) {
        bucket_round(b, &s, c, slot, word, empty ? FLAG_INSERT | FLAG_GUESS : FLAG_GUESS);
        try_verbs(b, &s, c, note);
    }
}

static void start_guesses(struct bucket *b, const struct bucket_state *from, uint32_t c) {
    for (uint32_t slot = 0; slot < b->slots; slot++) {
        for (uint32_t i = 0; i < BUCKET_KNOWN_MAX && from->known[slot][i] != 0xff; i++) {
            start_guess(b, from, c, (uint8_t)slot, from->known[slot][i]);
        }
    }
}

static void start_op(struct bucket *b, const struct bucket_state *from, uint32_t c) {
    struct bucket_state s = *from;
    struct process *p = &s.process[c];
    char note[32];
    bool get = op_of(b, from, c)->kind == MONITOR_GET;
    note_start(b, from, c, note, sizeof note);
    bool job = op_of(b, from, c)->kind == KIND_EXPIRE;
    if (!job) {
        s.monitor = monitor_invoke(b->monitor, from->monitor, c, p->op);
    }
    if (!get && !job) {
        start_guesses(b, &s, c);
    }
    if ((b->config.starts & START_HIT) != 0 && b->slots > 1) {
        for (uint8_t slot = 0; slot < b->slots; slot++) {
            p->phase = PHASE_SLOT;
            p->slot = slot;
            p->mask = 1;
            try_verbs(b, &s, c, note);
        }
        p->slot = 0;
    }
    if ((b->config.starts & START_READ) != 0 || get) {
        p->phase = PHASE_BUCKETS;
        p->mask = (uint16_t)((1u << b->slots) - 1);
        try_verbs(b, &s, c, note);
        if (get && without(b, SWITCH_backup_read_suspect)) {
            p->flags = FLAG_SUSPECT;
            try_verbs(b, &s, c, note);
        }
    }
}

static void choose_slot(struct bucket *b, const struct bucket_state *from, uint32_t c) {
    bool room = false;
    for (uint32_t slot = 0; slot < b->slots; slot++) {
        uint8_t word = from->process[c].view[slot];
        if (kind(b, word) == WORD_EMPTY) {
            struct bucket_state s = *from;
            uint8_t attempt = s.process[c].attempt;
            bucket_round(b, &s, c, (uint8_t)slot, word, FLAG_INSERT);
            s.process[c].attempt = attempt;
            try_verbs(b, &s, c, "");
            room = true;
        }
    }
    if (!room) {
        struct bucket_state s = *from;
        explore_say(b->explore, "%s", bucket_process_name(b, c));
        bucket_refuse(b, &s, c);
        explore_emit(b->explore, &s);
    }
}

static void bucket_crashes(struct bucket *b, const struct bucket_state *s) {
    for (uint32_t c = 0; c < b->clients; c++) {
        if (bucket_can_die(b, s, c)) {
            struct bucket_state next = *s;
            bucket_die(b, &next, c);
            explore_emit(b->explore, &next);
        }
    }
    for (uint32_t c = b->repairer; c < b->repairer + b->repairers; c++) {
        uint8_t phase = s->process[c].phase;
        if (s->lost < b->config.repairs_lost && phase != PHASE_IDLE && phase != PHASE_DONE) {
            struct bucket_state next = *s;
            explore_say(b->explore, "a repairer dies, another one starts over");
            next.lost++;
            bucket_repair_again(b, &next, c);
            explore_emit(b->explore, &next);
        }
    }
}

static uint32_t state_bytes(const struct bucket *b) {
    return (uint32_t)(offsetof(struct bucket_state, process) + b->processes * sizeof(struct process));
}

static void expand(struct explore *explore, void *context, const void *state) {
    struct bucket *b = context;
    struct bucket_state whole = {0}; /* only the bytes in use are kept */
    const struct bucket_state *s = &whole;
    memcpy(&whole, state, state_bytes(b));
    b->explore = explore;
    for (uint32_t c = 0; c < b->processes; c++) {
        uint8_t phase = s->process[c].phase;
        if (phase == PHASE_IDLE && is_client(b, c)) {
            start_op(b, s, c);
        } else if (phase == PHASE_CHOOSE) {
            choose_slot(b, s, c);
        } else if (phase == PHASE_DECIDE || phase == PHASE_EPOCH) {
            bucket_coordinate(b, s, c);
        } else {
            try_verbs(b, s, c, "");
        }
    }
    if (b->config.crash != 0) {
        bucket_crashes(b, s);
    }
    if (b->coordinators != 0) {
        bucket_failures(b, s);
    }
}

struct explore_model bucket_model(struct bucket *b) {
    return (struct explore_model){b, state_bytes(b), start, expand, judge_end};
}
