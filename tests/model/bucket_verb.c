/* bucket_verb.c: the bucket model's verbs: what they do to the memory nodes, and the assertions on every CAS and READ
 * of the primary. Decides nothing; see bucket_step.c.
 */
#include "bucket_state.h"

bool bucket_object_whole(const struct bucket *b, const struct bucket_state *s, uint8_t word) {
    for (uint32_t c = 0; c < b->clients; c++) {
        const struct process *p = &s->process[c];
        if ((p->mask & 1u << VERB_OBJECT) != 0 &&
            (p->phase == PHASE_ROUND || p->phase == PHASE_DEAD || p->phase == PHASE_FIX || p->phase == PHASE_MARK ||
             p->phase == PHASE_PUBLISH) &&
            word >> 2 == own_index(b, s, c)) {
            return false;
        }
    }
    return true;
}

uint8_t bucket_new_word(const struct bucket *b, const struct bucket_state *s, uint32_t c) {
    const struct process *p = &s->process[c];
    uint32_t own = own_index(b, s, c);
    if (!is_client(b, c)) {
        return without(b, SWITCH_clear_plain_zero) ? NEVER_USED : emptied(p->v_old);
    }
    if ((p->flags & FLAG_REMOVE) != 0) {
        return word_of(own, FORM_SPARE);
    }
    if (op_of(b, s, c)->kind == MONITOR_DEL || op_of(b, s, c)->kind == KIND_EXPIRE) {
        if (s->replicas == 1) {
            return emptied(p->v_old);
        }
        if (without(b, SWITCH_del_plain_zero)) {
            return NEVER_USED;
        }
        return word_of(own, without(b, SWITCH_del_without_tombstone) ? FORM_EMPTY : FORM_FULL);
    }
    return word_of(own, FORM_FULL);
}

uint8_t bucket_round_word(const struct bucket *b, const struct bucket_state *s, uint32_t c) {
    bool insert = is_client(b, c) && (s->process[c].flags & FLAG_INSERT) != 0;
    bool provisional = insert && s->replicas == 1 && !without(b, SWITCH_r1_without_provisional);
    uint8_t word = bucket_new_word(b, s, c);
    return provisional || marks(b, s, c) ? word_of(word >> 2, FORM_PROVISIONAL) : word;
}

/* A word that a client may remember, and guess later. */
static void remember(struct bucket *b, struct bucket_state *s, uint32_t slot, uint8_t word) {
    bool empty = kind(b, word) == WORD_EMPTY;
    if ((b->config.starts & (empty ? START_INSERT : START_GUESS)) == 0) {
        return;
    }
    uint8_t *known = s->known[slot];
    uint32_t at = 0;
    while (at < BUCKET_KNOWN_MAX && known[at] < word) {
        at++;
    }
    if (at < BUCKET_KNOWN_MAX && known[at] == word) {
        return;
    }
    if (known[BUCKET_KNOWN_MAX - 1] != 0xff) {
        explore_violate(b->explore, "the model's list of guesses is full");
        return;
    }
    memmove(known + at + 1, known + at, BUCKET_KNOWN_MAX - 1 - at);
    known[at] = word;
}

void bucket_primary_changed(struct bucket *b, struct bucket_state *s, uint32_t slot, uint8_t word) {
    remember(b, s, slot, word);
    /* The empty word that a DEL's tombstone was settled to, or cleared to, is the DEL's; that of an insert says that it
     * was taken back. */
    bool deleted = kind(b, word_of(word >> 2, FORM_FULL)) == WORD_TOMBSTONE;
    if (b->coordinators != 0 && word >> 2 >= INDEX_ATTEMPT && ((word & 3) == FORM_FULL || deleted)) {
        s->chain |= UINT64_C(1) << (word >> 2);
    }
    if (!word_is_live(real(b, word))) {
        return;
    }
    for (uint32_t other = 0; other < b->slots && !b->config.two_live; other++) {
        if (other != slot && live_of(b, s->slots[0][other], b->words[word].key)) {
            explore_violate(b->explore, "two live slots of one key");
        }
    }
}

static const char *replica_name(uint32_t replica) {
    static const char *const names[] = {"P", "B1", "B2", "B3"};
    return names[replica];
}

uint8_t bucket_cas(struct bucket *b, struct bucket_state *s, uint32_t c, uint32_t replica, uint8_t from, uint8_t to) {
    uint32_t slot = s->process[c].slot;
    uint8_t seen = s->slots[replica][slot];
    explore_say(b->explore, "%s: CAS %s.%c %s -> %s", bucket_process_name(b, c), replica_name(replica),
                (char)('a' + slot), bucket_word_name(b, from), bucket_word_name(b, to));
    if (seen != from) {
        explore_say(b->explore, ": finds %s", bucket_word_name(b, seen));
        return seen;
    }
    s->slots[replica][slot] = to;
    if (replica == 0) {
        bucket_primary_changed(b, s, slot, to);
    } else if (without(b, SWITCH_guess_uncommitted)) {
        remember(b, s, slot, to);
    }
    return seen;
}

static uint8_t read_slot(struct bucket *b, const struct bucket_state *s, uint32_t c, uint32_t replica, uint32_t slot) {
    uint8_t word = s->slots[replica][slot];
    explore_say(b->explore, "%s: READ %s.%c = %s", bucket_process_name(b, c), replica_name(replica), (char)('a' + slot),
                bucket_word_name(b, word));
    if (replica == 0 && word_is_live(real(b, word)) && !bucket_object_whole(b, s, word)) {
        explore_violate(b->explore, "a reader of the primary meets a half-written object");
    }
    return word;
}

/* Would find_other_slot take this word for another slot of the key? */
static bool names_key(const struct bucket *b, const struct bucket_state *s, uint32_t c, uint8_t word) {
    enum word_kind of = kind(b, word);
    uint8_t key = op_of(b, s, c)->key;
    bool wanted = of == WORD_LIVE_BLIND || of == WORD_LIVE_RMW || of == WORD_PROVISIONAL ||
                  (of == WORD_TOMBSTONE && !without(b, SWITCH_tombstone_is_no_conflict));
    return wanted && (b->words[word].key == key || (b->config.same_print && !bucket_object_whole(b, s, word)));
}

static void round_verb(struct bucket *b, struct bucket_state *s, uint32_t c, uint32_t verb) {
    struct process *p = &s->process[c];
    bool single = s->replicas == 1;
    if (verb < VERB_OBJECT) {
        p->seen[verb] = bucket_cas(b, s, c, single ? 0 : verb + 1, p->v_old, bucket_round_word(b, s, c));
    } else if (verb == VERB_OBJECT) {
        explore_say(b->explore, "%s: WRITE object of %s", bucket_process_name(b, c),
                    bucket_word_name(b, bucket_new_word(b, s, c)));
    } else if (verb == VERB_READ_P) {
        p->p = read_slot(b, s, c, 0, p->slot);
    } else {
        uint8_t word = read_slot(b, s, c, single ? 0 : 1, verb - VERB_CHECK);
        p->flags |= names_key(b, s, c, word) ? FLAG_CONFLICT : 0;
    }
}

static void look_verb(struct bucket *b, struct bucket_state *s, uint32_t c, uint32_t verb) {
    struct process *p = &s->process[c];
    uint32_t replica = verb / b->slots;
    uint8_t word = read_slot(b, s, c, replica, verb % b->slots);
    if (replica == 0) {
        p->view[verb] = word;
    }
    if ((replica != 0 || kind(b, word) == WORD_PROVISIONAL) && names_key(b, s, c, word)) {
        p->flags |= FLAG_PENDING;
    }
}

/* The CASes of a winner, which cannot fail. */
static void winners_verb(struct bucket *b, struct bucket_state *s, uint32_t c, uint32_t verb) {
    struct process *p = &s->process[c];
    bool single = s->replicas == 1;
    uint8_t new_word = bucket_new_word(b, s, c);
    uint8_t round_word = bucket_round_word(b, s, c);
    uint8_t gone = without(b, SWITCH_abort_plain_zero) ? NEVER_USED : emptied(new_word);
    uint8_t old = single ? word_of(new_word >> 2, FORM_PROVISIONAL) : p->v_old; /* in P */
    uint8_t seen;
    switch ((enum phase)p->phase) {
    case PHASE_FIX:
        if (bucket_cas(b, s, c, verb + 1, p->seen[verb], round_word) != p->seen[verb]) {
            explore_violate(b->explore, "a winner's CAS of a backup fails");
        }
        break;
    case PHASE_MARK:
        if (bucket_cas(b, s, c, verb + 1, round_word, new_word) != round_word) {
            explore_violate(b->explore, "a winner's CAS of a backup fails");
        }
        break;
    case PHASE_PUBLISH:
        seen = bucket_cas(b, s, c, 0, old, new_word);
        if (seen != old && seen != new_word) {
            explore_violate(b->explore, "a winner's CAS of the primary fails");
        }
        break;
    case PHASE_ABORT_BACKUPS:
        if (bucket_cas(b, s, c, verb + 1, round_word, gone) != round_word) {
            explore_violate(b->explore, "an abort's CAS of a backup fails");
        }
        break;
    default: /* PHASE_ABORT_PRIMARY */
        if (bucket_cas(b, s, c, 0, old, gone) != old) {
            explore_violate(b->explore, "an abort's CAS of the primary fails");
        }
        break;
    }
}

void bucket_verb(struct bucket *b, struct bucket_state *s, uint32_t c, uint32_t verb) {
    struct process *p = &s->process[c];
    bool writes = is_client(b, c) || p->phase < PHASE_REPAIR_P;
    uint8_t new_word = writes ? bucket_new_word(b, s, c) : 0;
    p->mask &= (uint16_t) ~(1u << verb);
    if (verb == VERB_OBJECT && (p->phase == PHASE_FIX || p->phase == PHASE_MARK || p->phase == PHASE_PUBLISH)) {
        explore_say(b->explore, "%s: WRITE object of %s", bucket_process_name(b, c), bucket_word_name(b, new_word));
        return;
    }
    switch ((enum phase)p->phase) {
    case PHASE_PUBLISHED:
        explore_say(b->explore, "%s learns that it has committed", bucket_process_name(b, c));
        break;
    case PHASE_SLOT:
    case PHASE_WAIT:
    case PHASE_RESOLVE:
        p->p = read_slot(b, s, c, 0, p->slot);
        break;
    case PHASE_BUCKETS:
        p->view[verb] = read_slot(b, s, c, (p->flags & FLAG_SUSPECT) != 0, verb);
        break;
    case PHASE_LOWEST:
        p->view[verb] = read_slot(b, s, c, 0, verb);
        break;
    case PHASE_ROUND:
        round_verb(b, s, c, verb);
        break;
    case PHASE_FIX:
    case PHASE_MARK:
    case PHASE_PUBLISH:
    case PHASE_ABORT_BACKUPS:
    case PHASE_ABORT_PRIMARY:
        winners_verb(b, s, c, verb);
        break;
    case PHASE_LOOK:
        look_verb(b, s, c, verb);
        break;
    case PHASE_CLEAR_PRIMARY:
        p->p = bucket_cas(b, s, c, 0, p->v_old, new_word);
        break;
    case PHASE_CLEAR_BACKUPS:
        (void)bucket_cas(b, s, c, verb + 1, p->v_old, new_word);
        break;
    case PHASE_FENCE:
    case PHASE_SETTLE:
        bucket_settle_verb(b, s, c, verb);
        break;
    default:
        bucket_repair_verb(b, s, c, verb);
        break;
    }
}

bool bucket_verb_enabled(const struct bucket *b, const struct bucket_state *s, uint32_t c, uint32_t verb) {
    const struct process *p = &s->process[c];
    if (b->coordinators != 0 && !bucket_reaches(b, s, c, verb)) {
        return false;
    }
    if (p->phase == PHASE_ROUND && verb >= VERB_CHECK) {
        return (p->mask & 1u << VERB_CAS) == 0 || without(b, SWITCH_insert_check_before_cas);
    }
    if (p->phase == PHASE_ROUND && verb == VERB_CAS && s->replicas == 1 && (p->flags & FLAG_INSERT) == 0) {
        return (p->mask & 1u << VERB_OBJECT) == 0;
    }
    if (p->phase == PHASE_DEAD) {
        return false;
    }
    if (p->phase == PHASE_REPAIR_SET && verb != 0 && b->repairers > 1) {
        return (p->mask & 1) == 0 || without(b, SWITCH_repair_all_at_once);
    }
    return p->phase != PHASE_WAIT || s->slots[0][p->slot] != p->v_old;
}
