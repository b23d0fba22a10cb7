/* check_slot.c: the index of a pool that is in use, slot by slot, and the objects behind it; see check.h. */
#include <stdlib.h>
#include <string.h>

#include "fusee/check.h"

#define TABLES_BYTES (1u << 20) /* of inspector->memory: subtables; what is behind them: objects */
#define OBJECTS_BYTES (INSPECT_BYTES - TABLES_BYTES)

/* An object that is to be read. */
struct named {
    struct check_slot slot;
    uint64_t word;
    uint32_t at, bytes; /* in inspector->memory, all replicas one behind the other */
};

/* A key that a slot shows. */
struct shown {
    uint64_t hash, word;
    uint16_t slot;
};

struct pass {
    struct check *check;
    struct named named[DM_BATCH_OPS];
    uint32_t named_count, named_bytes;
    struct shown shown[INDEX_SLOTS];
    uint32_t shown_count;
};

static uint32_t replicas_of(const struct pass *pass) { return check_layout(pass->check)->super.replicas; }

/* ---- Objects ---------------------------------------------------------------------------------------------------- */

static void post_object(struct pass *pass, uint64_t word, uint8_t *to, uint32_t bytes) {
    struct dm_inspector *inspector = pass->check->inspector;
    for (uint32_t j = 0; j < replicas_of(pass); j++) {
        struct location at = layout_locate(&inspector->pool->layout, word_address(word), j);
        dm_batch_read(&inspector->batch, at.node, at.offset, to + (size_t)j * bytes, bytes);
    }
}

/* The first replica on which it is not whole; `replicas`: it is, on all. */
static uint32_t first_torn(const uint8_t *copies, uint32_t bytes, uint32_t replicas, uint64_t word) {
    uint32_t j = 0;
    while (j < replicas && object_whole(copies + (size_t)j * bytes, bytes, word)) {
        j++;
    }
    return j;
}

/* What was read looks wrong: is it, while the slot names it all the time? Batches, one behind the other. */
static enum dm_status confirm_object(struct pass *pass, const struct named *named) {
    struct check *check = pass->check;
    struct dm_inspector *inspector = check->inspector;
    const struct location slot = layout_locate(&inspector->pool->layout, named->slot.address, 0);
    uint8_t *copies = inspector->memory + TABLES_BYTES;
    uint64_t word;
    enum dm_status status = inspect_word(inspector, slot, &word);
    if (status != DM_OK || word != named->word) {
        return status;
    }
    dm_batch_init(&inspector->batch, NULL);
    post_object(pass, named->word, copies, named->bytes);
    status = inspect_execute(inspector);
    status = status == DM_OK ? inspect_word(inspector, slot, &word) : status;
    if (status != DM_OK || word != named->word) {
        return status;
    }
    uint32_t torn = first_torn(copies, named->bytes, replicas_of(pass), named->word);
    if (torn < replicas_of(pass)) {
        struct location at = layout_locate(&inspector->pool->layout, word_address(named->word), torn);
        check_fault(check, DM_FAULT_OBJECT,
                    "slot %u of subtable %u names an object that is not whole on replica %u (node %u, offset %llx)",
                    named->slot.number, named->slot.subtable, torn, at.node, (unsigned long long)at.offset);
    } else if (!check_object_belongs(object_header(copies), named->word, &named->slot)) {
        check_fault(check, DM_FAULT_OBJECT, "slot %u of subtable %u names an object that belongs elsewhere: %016llx",
                    named->slot.number, named->slot.subtable, (unsigned long long)named->word);
    }
    return DM_OK;
}

static void count_key(struct check *check, const struct object_header *header) {
    check->out->keys++;
    for (uint32_t space = 0; space < DM_SPACES; space++) {
        if (check->space_numbers[space] == header->space) {
            check->out->keys_by_space[space]++;
            return;
        }
    }
    check->out->keys--;
    check->out->keys_left++;
}

static void note_shown(struct pass *pass, const struct named *named, const struct object_header *header) {
    if (header->type != OBJECT_TYPE_ABSENT) {
        count_key(pass->check, header);
    }
    pass->shown[pass->shown_count++] = (struct shown){header->hash, named->word, named->slot.number};
}

/* Reads what is named so far and looks at it. */
static enum dm_status read_named(struct pass *pass) {
    struct dm_inspector *inspector = pass->check->inspector;
    uint32_t count = pass->named_count;
    uint64_t bad = 0;
    dm_batch_init(&inspector->batch, NULL);
    for (uint32_t i = 0; i < count; i++) {
        post_object(pass, pass->named[i].word, inspector->memory + pass->named[i].at, pass->named[i].bytes);
    }
    enum dm_status status = count == 0 ? DM_OK : inspect_execute(inspector);
    for (uint32_t i = 0; i < count && status == DM_OK; i++) {
        const struct named *named = &pass->named[i];
        const uint8_t *copies = inspector->memory + named->at;
        bool good = first_torn(copies, named->bytes, replicas_of(pass), named->word) == replicas_of(pass) &&
                    check_object_belongs(object_header(copies), named->word, &named->slot);
        bad |= (uint64_t)!good << i;
        if (good && word_is_live(named->word)) {
            note_shown(pass, named, object_header(copies));
        }
    }
    pass->check->out->objects_read += count;
    pass->named_count = 0;
    pass->named_bytes = 0;
    for (; bad != 0 && status == DM_OK; bad &= bad - 1) {
        status = confirm_object(pass, &pass->named[__builtin_ctzll(bad)]);
    }
    return status;
}
_Static_assert(DM_BATCH_OPS <= 64, "a bit for each object of a batch");

static enum dm_status name_object(struct pass *pass, const struct check_slot *slot, uint64_t word) {
    struct check *check = pass->check;
    uint32_t bytes = sizeclass_bytes(word_class(word));
    uint32_t replicas = replicas_of(pass);
    if (!check_names_object(check_layout(check), check->inspector->pool->class_max, word)) {
        check_fault(check, DM_FAULT_OBJECT, "slot %u of subtable %u holds %016llx, which names no object", slot->number,
                    slot->subtable, (unsigned long long)word);
        return DM_OK;
    }
    (void)check_claim(&check->uses, word_address(word), CHECK_USE_REFERENCED); /* an object names its only slot */
    if (word_kind(word) == WORD_PROVISIONAL || word_kind(word) == WORD_PREPARED) {
        return DM_OK; /* r = 1: nobody can see it yet */
    }
    enum dm_status status = DM_OK;
    if ((pass->named_count + 1) * replicas > DM_BATCH_OPS || pass->named_bytes + bytes * replicas > OBJECTS_BYTES) {
        status = read_named(pass);
    }
    pass->named[pass->named_count++] =
        (struct named){.slot = *slot, .word = word, .at = TABLES_BYTES + pass->named_bytes, .bytes = bytes};
    pass->named_bytes += bytes * replicas;
    return status;
}
_Static_assert(OBJECTS_BYTES >= LAYOUT_REPLICAS_MAX << 20, "the largest object on all replicas");

/* ---- One key, one slot ------------------------------------------------------------------------------------------ */

static int compare_shown(const void *a, const void *b) {
    uint64_t x = ((const struct shown *)a)->hash;
    uint64_t y = ((const struct shown *)b)->hash;
    return (x > y) - (x < y);
}

/* Two slots with one hash, one seen after the other: do they show it at one moment? */
static enum dm_status confirm_twice(struct pass *pass, uint32_t subtable, const struct shown *a,
                                    const struct shown *b) {
    struct check *check = pass->check;
    uint64_t first = check->inspector->pool->subtables[subtable];
    uint64_t seen[3];
    const struct shown *const order[] = {a, b, a};
    enum dm_status status = DM_OK;
    for (uint32_t i = 0; i < 3 && status == DM_OK; i++) {
        struct location at = layout_locate(check_layout(check), first + index_slot_offset(order[i]->slot), 0);
        status = inspect_word(check->inspector, at, &seen[i]);
    }
    if (status == DM_OK && seen[0] == a->word && seen[1] == b->word && seen[2] == a->word) {
        check_fault(check, DM_FAULT_TWICE, "slots %u and %u of subtable %u show the same key (hash %016llx)", a->slot,
                    b->slot, subtable, (unsigned long long)a->hash);
    }
    return status;
}

static enum dm_status check_twice(struct pass *pass, uint32_t subtable) {
    enum dm_status status = DM_OK;
    qsort(pass->shown, pass->shown_count, sizeof pass->shown[0], compare_shown);
    for (uint32_t i = 1; i < pass->shown_count && status == DM_OK; i++) {
        if (pass->shown[i].hash == pass->shown[i - 1].hash) {
            status = confirm_twice(pass, subtable, &pass->shown[i - 1], &pass->shown[i]);
        }
    }
    return status;
}

/* ---- Slots ------------------------------------------------------------------------------------------------------ */

static enum dm_status check_one(struct pass *pass, const struct check_slot *slot, const uint64_t *words) {
    struct check *check = pass->check;
    struct check_suspect suspect = {.address = slot->address, .slot = true};
    bool differs = word_kind(words[0]) == WORD_PROVISIONAL || word_kind(words[0]) == WORD_PREPARED;
    for (uint32_t j = 0; j < replicas_of(pass); j++) {
        suspect.words[j] = words[j];
        differs |= words[j] != words[0];
    }
    check->out->slots++;
    check->out->tombstones += word_kind(words[0]) == WORD_TOMBSTONE;
    check->out->intents += word_is_intent(words[0]);
    enum dm_status status = differs ? check_suspect(check, &suspect) : DM_OK;
    if (!word_is_known(words[0])) {
        check_fault(check, DM_FAULT_OBJECT,
                    "slot %u of subtable %u holds %016llx, of a kind that this version does not know", slot->number,
                    slot->subtable, (unsigned long long)words[0]);
    } else if (word_kind(words[0]) != WORD_EMPTY && status == DM_OK) {
        status = name_object(pass, slot, words[0]);
    }
    return status;
}

/* One subtable, whose replicas lie one behind the other in inspector->memory, `apart` bytes from each other. */
static enum dm_status check_subtable(struct pass *pass, uint32_t subtable, const uint8_t *copies) {
    const struct dm_pool *pool = pass->check->inspector->pool;
    enum dm_status status = DM_OK;
    pass->shown_count = 0;
    for (uint16_t s = 0; s < INDEX_SLOTS && status == DM_OK; s++) {
        struct check_slot slot = {pool->subtables[subtable] + index_slot_offset(s), subtable, s, pool->depth};
        uint64_t words[LAYOUT_REPLICAS_MAX] = {0};
        for (uint32_t j = 0; j < replicas_of(pass); j++) {
            memcpy(&words[j], copies + (size_t)j * INDEX_SUBTABLE_BYTES + index_slot_offset(s), sizeof words[j]);
        }
        status = check_one(pass, &slot, words);
    }
    status = status == DM_OK ? read_named(pass) : status;
    return status == DM_OK ? check_twice(pass, subtable) : status;
}

static enum dm_status check_some(struct pass *pass, uint32_t from, uint32_t count) {
    struct dm_inspector *inspector = pass->check->inspector;
    uint32_t replicas = replicas_of(pass);
    dm_batch_init(&inspector->batch, NULL);
    for (uint32_t i = 0; i < count * replicas; i++) {
        struct location at =
            layout_locate(&inspector->pool->layout, inspector->pool->subtables[from + i / replicas], i % replicas);
        dm_batch_read(&inspector->batch, at.node, at.offset, inspector->memory + (size_t)i * INDEX_SUBTABLE_BYTES,
                      INDEX_SUBTABLE_BYTES);
    }
    enum dm_status status = inspect_execute(inspector);
    for (uint32_t i = 0; i < count && status == DM_OK; i++) {
        status = check_subtable(pass, from + i, inspector->memory + (size_t)i * replicas * INDEX_SUBTABLE_BYTES);
    }
    return status;
}
_Static_assert(DM_BATCH_OPS *INDEX_SUBTABLE_BYTES <= TABLES_BYTES, "room for a batch of subtables");

enum dm_status check_slots(struct check *check) {
    const struct dm_env *env = check->inspector->env;
    uint32_t subtables = check_layout(check)->super.subtables;
    uint32_t at_a_time = DM_BATCH_OPS / check_layout(check)->super.replicas;
    struct pass *pass = env->allocate(env->context, sizeof *pass);
    enum dm_status status = pass == NULL ? DM_BUSY : DM_OK;
    for (uint32_t from = 0; from < subtables && status == DM_OK; from += at_a_time) {
        pass->check = check;
        inspect_progress(check->inspector, "checking slots and objects", from, subtables);
        status = check_some(pass, from, subtables - from < at_a_time ? subtables - from : at_a_time);
    }
    inspect_progress(check->inspector, "checking slots and objects", subtables, subtables);
    if (pass != NULL) {
        env->release(env->context, pass);
    }
    return status;
}
