/* check.c: see check.h. */
#include "check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../sim/history.h"
#include "assert.h"
#include "fusee/session.h"

#define UNIT_BYTES 64u
#define UNITS_MAX (1u << 17)
#define OPS_MAX (WORLD_CLIENTS * WORLD_CALLS_MAX + 2)
#define VERDICTS (1u << 16)
#define HISTORY_STEPS_MAX 1000000u

static const struct layout *layout_of(const struct world *world) { return &world->clients[0].pool->layout; }

/* May something be left open at the end? */
static bool is_broken(const struct world *world) { return world->crashed >= 0 && !world->repaired; }

static bool is_dead(const struct world *world, const struct client *client) {
    return world->crashed == (int)client->index;
}

/* ---- Objects ---------------------------------------------------------------------------------------------------- */

/* The object behind a live word, whole on every replica; NULL, and a fault, if it is not. */
static const struct object_header *whole_object(struct world *world, uint64_t word) {
    const struct layout *layout = layout_of(world);
    uint32_t bytes = word_class(word) > world->clients[0].pool->class_max ? 0 : sizeclass_bytes(word_class(word));
    if (bytes == 0 || !layout_is_object(layout, word_address(word), bytes)) {
        world_fault(world, "the word %016" PRIx64 " names no object", word);
        return NULL;
    }
    for (uint32_t j = 0; j < world->replicas; j++) {
        if (!object_whole(world_at(world, word_address(word), j), bytes, word)) {
            world_fault(world, "the object of %016" PRIx64 " is not whole on replica %u", word, j);
            return NULL;
        }
    }
    return object_header(world_at(world, word_address(word), 0));
}

static bool slot_fits(uint64_t hash, uint16_t slot) {
    struct index_place place = index_place(hash);
    for (uint32_t b = 0; b < 2; b++) {
        if (slot >= place.first_slot[b] && slot < place.first_slot[b] + INDEX_COMBINED_SLOTS) {
            return true;
        }
    }
    return false;
}

/* A live word in the primary's `slot`: whole, in its place, and the only one of its key. */
static void check_live(struct world *world, uint16_t slot, uint64_t word) {
    const struct object_header *header = whole_object(world, word);
    if (header == NULL) {
        return;
    }
    if (index_fingerprint(header->hash) != word_fingerprint(word) || !slot_fits(header->hash, slot) ||
        header->slot != world_slot(world, slot)) {
        world_fault(world, "slot %u holds an object that belongs elsewhere", slot);
    }
    struct index_place place = index_place(header->hash);
    for (uint32_t i = 0; i < INDEX_COMBINED_SLOTS * 2; i++) {
        uint16_t other = (uint16_t)(place.first_slot[i / INDEX_COMBINED_SLOTS] + i % INDEX_COMBINED_SLOTS);
        uint64_t found = world_word(world, world_slot(world, other), 0);
        if (other != slot && word_is_live(found) && word_fingerprint(found) == word_fingerprint(word) &&
            object_header(world_at(world, word_address(found), 0))->hash == header->hash) {
            world_fault(world, "two live slots of one key: %u and %u", slot, other);
        }
    }
}

void check_swap(void *context, const struct dm_op *cas) {
    struct world *world = context;
    struct location first = layout_locate(layout_of(world), world_slot(world, 0), 0);
    if (cas->node == first.node && cas->remote >= first.offset &&
        cas->remote < first.offset + INDEX_SLOTS * sizeof(uint64_t) && word_is_live(cas->operand)) {
        check_live(world, (uint16_t)((cas->remote - first.offset) / sizeof(uint64_t)), cas->operand);
    }
}

/* ---- Slots ------------------------------------------------------------------------------------------------------ */

/* The slots of one replica of the subtable. */
static const uint64_t *slots_of(const struct world *world, uint32_t replica) {
    return (const uint64_t *)world_at(world, world_slot(world, 0), replica);
}

/* Whose block the object that a word names or named lies in. */
static struct client *owner_of(struct world *world, uint64_t word) {
    for (uint32_t c = 0; c < WORLD_CLIENTS; c++) {
        if (word_address(word) != 0 && slab_block_of(&world->clients[c].session->slab, word_address(word)) != NULL) {
            return &world->clients[c];
        }
    }
    return NULL;
}

/* Does the dead client hold the first backup? Then nobody else's round can end, and what they have put on other backups
 * stays. */
static bool is_held(struct world *world, uint16_t slot) {
    uint64_t word = world_word(world, world_slot(world, slot), 1);
    const struct client *owner = owner_of(world, word);
    return word != world_word(world, world_slot(world, slot), 0) && owner != NULL && is_dead(world, owner);
}

/* The backups differ from the primary: only a death leaves that behind. */
static void check_open_slot(struct world *world, uint16_t slot) {
    uint64_t primary = world_word(world, world_slot(world, slot), 0);
    for (uint32_t j = 1; j < world->replicas; j++) {
        uint64_t word = world_word(world, world_slot(world, slot), j);
        const struct client *owner = owner_of(world, word);
        bool allowed = is_broken(world) && owner != NULL && (is_dead(world, owner) || is_held(world, slot));
        if (word != primary && !allowed) {
            world_fault(world, "slot %u is %016" PRIx64 " on the primary and %016" PRIx64 " on replica %u", slot,
                        primary, word, j);
        }
    }
}

static bool is_open(const struct world *world, uint16_t slot) {
    uint64_t primary = world_word(world, world_slot(world, slot), 0);
    for (uint32_t j = 1; j < world->replicas; j++) {
        if (world_word(world, world_slot(world, slot), j) != primary) {
            return true;
        }
    }
    return world->replicas == 1 && word_kind(primary) == WORD_PROVISIONAL;
}

static void check_slots(struct world *world) {
    const uint64_t *primary = slots_of(world, 0);
    for (uint16_t slot = 0; slot < INDEX_SLOTS; slot++) {
        uint64_t word = primary[slot];
        if (word_is_live(word)) {
            check_live(world, slot, word);
        } else if (word_kind(word) != WORD_EMPTY && !is_broken(world)) {
            world_fault(world, "slot %u holds %016" PRIx64 " (kind %d) at rest", slot, word, word_kind(word));
        }
    }
    for (uint32_t j = 1; j < world->replicas; j++) {
        const uint64_t *backup = slots_of(world, j);
        for (uint16_t slot = 0; slot < INDEX_SLOTS; slot++) {
            if (primary[slot] != backup[slot]) {
                check_open_slot(world, slot);
            }
        }
    }
}

/* A call of a living client has an unknown outcome: a slot that its key may lie in must be held by the dead. */
static void check_unknown(struct world *world, const struct client *client, const struct call *call) {
    const char *name = world->keys[call->key];
    struct dm_key key = {name, (uint32_t)strlen(name), 0};
    struct index_place place = index_place(index_hash(&key, client->pool->hash_seed));
    for (uint32_t i = 0; i < INDEX_COMBINED_SLOTS * 2; i++) {
        uint16_t slot = (uint16_t)(place.first_slot[i / INDEX_COMBINED_SLOTS] + i % INDEX_COMBINED_SLOTS);
        for (uint32_t j = 0; j < world->replicas && is_open(world, slot); j++) {
            const struct client *owner = owner_of(world, world_word(world, world_slot(world, slot), j));
            if (owner != NULL && is_dead(world, owner) && (j > 0 || world->replicas == 1)) {
                return;
            }
        }
    }
    world_fault(world, "%c does not know what became of its %s, but the dead hold nothing of its key",
                "UVWX"[client->index], call_names[call->kind]);
}

static void check_unknowns(struct world *world) {
    for (uint32_t c = 0; c < WORLD_CLIENTS; c++) {
        const struct client *client = &world->clients[c];
        for (uint32_t i = 0; i < client->call_count && !is_dead(world, client); i++) {
            if (client->calls[i].status == DM_UNKNOWN_OUTCOME) {
                check_unknown(world, client, &client->calls[i]);
            }
        }
    }
}

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

enum use { USE_NONE, USE_REFERENCED, USE_FREE, USE_RESERVED, USE_LIMBO, USE_FOREIGN, USE_MARKED };
static const char *const use_names[] = {"nothing",  "referenced",        "free",       "reserved",
                                        "in limbo", "to be marked free", "marked free"};
static uint8_t uses[UNITS_MAX];

static void claim(struct world *world, uint64_t address, enum use use) {
    dm_assert(address / UNIT_BYTES < UNITS_MAX);
    uint8_t *was = &uses[address / UNIT_BYTES];
    if (*was != USE_NONE) {
        world_fault(world, "the object at %" PRIx64 " is %s and %s", address, use_names[*was], use_names[use]);
    }
    *was = (uint8_t)use;
}

static void claim_block(struct world *world, const struct block *block) {
    const struct layout *layout = layout_of(world);
    uint64_t start = block->number << layout->block_shift;
    uint32_t bytes = sizeclass_bytes(block->size_class);
    for (uint32_t i = 0; i < block->objects; i++) {
        if ((block->bitmap[i / 64] >> (i % 64) & 1) != 0) {
            claim(world, start + (uint64_t)i * bytes, USE_FREE);
        }
    }
    uint64_t map = layout_free_map_address(layout, block->number);
    for (uint32_t bit = 0; bit < layout->map_bytes * 8; bit++) {
        if (bit % 64 == 0 && world_word(world, map + bit / 8, 0) == 0) {
            bit += 63;
        } else if ((world_word(world, map + bit / 64 * 8, 0) >> (bit % 64) & 1) != 0) {
            uint64_t offset = (uint64_t)bit * SIZECLASS_BYTES_MIN; /* in the first 128 bytes of the object */
            claim(world, start + (offset + bytes - 1) / bytes * bytes, USE_MARKED);
        }
    }
}

/* What a client could hand out, now or later. */
static void claim_session(struct world *world, const struct dm_session *session) {
    for (uint64_t i = 0; i < layout_blocks(layout_of(world)); i++) {
        if (session->slab.blocks[i] != NULL) {
            claim_block(world, session->slab.blocks[i]);
        }
    }
    for (uint32_t c = 0; c < SIZECLASS_COUNT; c++) {
        if (session->slab.classes[c].reserved != 0) {
            claim(world, session->slab.classes[c].reserved, USE_RESERVED);
        }
    }
    for (uint64_t i = session->limbo.head; i != session->limbo.tail; i++) {
        claim(world, session->limbo.ring[i & (session->limbo.capacity - 1)], USE_LIMBO);
    }
    for (uint32_t i = 0; i < session->foreign_count; i++) {
        claim(world, session->foreign[i], USE_FOREIGN);
    }
}

static void check_lost(struct world *world, const struct dm_session *session) {
    for (uint64_t i = 0; i < layout_blocks(layout_of(world)); i++) {
        const struct block *block = session->slab.blocks[i];
        uint64_t address = i << layout_of(world)->block_shift;
        for (uint32_t k = 0; block != NULL && k < block->objects; k++) {
            if (uses[address / UNIT_BYTES] == USE_NONE) {
                world_fault(world, "the object at %" PRIx64 " is lost: neither free nor in use", address);
            }
            address += sizeclass_bytes(block->size_class);
        }
    }
}

/* No object is two things at once; without a crash, every object is one. */
static void check_memory(struct world *world) {
    memset(uses, 0, (layout_blocks(layout_of(world)) << layout_of(world)->block_shift) / UNIT_BYTES);
    const uint64_t *slots = slots_of(world, 0);
    for (uint16_t slot = 0; slot < INDEX_SLOTS; slot++) {
        if (word_kind(slots[slot]) != WORD_EMPTY) {
            claim(world, word_address(slots[slot]), USE_REFERENCED);
        }
    }
    for (uint32_t c = 0; c < WORLD_CLIENTS; c++) {
        if (!is_dead(world, &world->clients[c])) {
            claim_session(world, world->clients[c].session);
        }
    }
    for (uint32_t c = 0; c < WORLD_CLIENTS && world->crashed < 0; c++) {
        check_lost(world, world->clients[c].session);
    }
}

/* ---- Histories -------------------------------------------------------------------------------------------------- */

static void take_result(const struct call *call, struct history_op *op) {
    switch (call->kind) {
    case CALL_GET:
        op->kind = HISTORY_GET;
        op->result = call->seen;
        break;
    case CALL_SET:
        op->kind = HISTORY_SET;
        break;
    case CALL_DEL:
        op->kind = HISTORY_DELETE;
        op->result = call->status == DM_OK;
        break;
    case CALL_INCR:
        op->kind = HISTORY_INCR;
        op->result = call->made;
        break;
    case CALL_SETNX:
        op->kind = HISTORY_SETNX;
        op->result = call->seen == 0;
        break;
    case CALL_GETSET:
        op->kind = HISTORY_GETSET;
        op->result = call->seen;
        break;
    default:
        op->kind = HISTORY_GETDEL;
        op->result = call->seen;
        break;
    }
}

/* All operations on one key, its initial value as the first. */
static uint32_t history_of(const struct world *world, uint32_t key, struct history_op *ops) {
    uint32_t count = 0;
    if (world->initial[key] != 0) {
        ops[count++] = (struct history_op){.kind = HISTORY_SET, .argument = world->initial[key], .ended = 1};
    }
    for (uint32_t c = 0; c < WORLD_CLIENTS; c++) {
        const struct client *client = &world->clients[c];
        for (uint32_t i = 0; i < client->call_count; i++) {
            const struct call *call = &client->calls[i];
            if (call->key != key || call->began_at == 0) {
                continue;
            }
            struct history_op *op = &ops[count++];
            *op = (struct history_op){.key = key, .client = (uint8_t)c, .argument = call->number};
            op->unknown = call->ended_at == 0 || call->status == DM_UNKNOWN_OUTCOME;
            op->began = call->began_at + 1;
            op->ended = op->unknown ? HISTORY_OPEN : call->ended_at + 1;
            take_result(call, op);
            op->result = op->unknown ? 0 : op->result;
        }
    }
    return count;
}

static uint64_t mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

/* Equal for histories with the same results in the same order. */
static uint64_t hash_history(const struct history_op *ops, uint32_t count, uint64_t hash) {
    for (uint32_t i = 0; i < count; i++) {
        uint64_t before = 0; /* those that had ended when this one began */
        for (uint32_t j = 0; j < count; j++) {
            before |= (uint64_t)(ops[j].ended < ops[i].began) << j;
        }
        hash = mix(mix(hash, ops[i].kind | (uint64_t)ops[i].unknown << 8 | before << 16), ops[i].argument);
        hash = mix(hash, ops[i].result);
    }
    return hash;
}

uint64_t check_outcome(const struct world *world) {
    uint64_t hash = 1;
    for (uint32_t key = 0; key < WORLD_KEYS; key++) {
        struct history_op ops[OPS_MAX];
        hash = hash_history(ops, history_of(world, key, ops), hash);
    }
    return hash;
}

/* There are few different histories, and many schedules: each is judged once. */
static bool is_right(struct history_op *ops, uint32_t count) {
    static uint64_t known_right[VERDICTS];
    uint64_t hash = hash_history(ops, count, count) | 1;
    if (known_right[hash >> 16 & (VERDICTS - 1)] == hash) {
        return true;
    }
    uint32_t stuck;
    bool right = history_linearizable(ops, count, HISTORY_STEPS_MAX, &stuck) == HISTORY_RIGHT;
    known_right[hash >> 16 & (VERDICTS - 1)] = right ? hash : 0;
    return right;
}

void check_print_history(const struct world *world) {
    for (uint32_t key = 0; key < WORLD_KEYS; key++) {
        struct history_op ops[OPS_MAX];
        uint32_t count = history_of(world, key, ops);
        for (uint32_t i = 0; i < count; i++) {
            static const char *const names[] = {"GET", "SET", "DEL", "INCR", "APPEND", "SETNX", "GETSET", "GETDEL"};
            printf("  %c  %-6s %c %4" PRIu64, ops[i].began == 0 ? '-' : "UVWX"[ops[i].client], names[ops[i].kind],
                   "krt"[key], ops[i].argument);
            if (ops[i].unknown) {
                printf(" = ?          from %" PRIu64 "\n", ops[i].began);
            } else {
                printf(" = %-10" PRIu64 " from %" PRIu64 " to %" PRIu64 "\n", ops[i].result, ops[i].began,
                       ops[i].ended);
            }
        }
    }
}

/* X looks at every key, after everything else. */
static void look(struct world *world) {
    struct client *client = &world->clients[WORLD_OBSERVER];
    for (uint8_t key = 0; key < WORLD_KEYS; key++) {
        if (world->keys[key][0] == 0) {
            continue;
        }
        dm_assert(client->call_count < WORLD_CALLS_MAX);
        struct call *call = &client->calls[client->call_count++];
        *call = (struct call){.kind = CALL_GET, .key = key, .began_at = ++world->sequence};
        world_call(client, call);
        call->ended_at = ++world->sequence;
        if (call->status != DM_OK && call->status != DM_NOT_FOUND) {
            world_fault(world, "a GET at rest ends with: %s", dm_status_text(call->status));
        }
    }
}

void check_end(struct world *world) {
    for (uint32_t c = 0; c < WORLD_CLIENTS; c++) {
        struct client *client = &world->clients[c];
        if (!is_dead(world, client)) {
            struct call call = {.kind = CALL_JOBS};
            client->endpoint->stepped = false;
            world_call(client, &call);
        }
    }
    look(world);
    for (uint32_t key = 0; key < WORLD_KEYS; key++) {
        struct history_op ops[OPS_MAX];
        uint32_t count = history_of(world, key, ops);
        if (count > 0 && !is_right(ops, count)) {
            world_fault(world, "no order explains what the clients saw of %c", "krt"[key]);
        }
    }
    check_slots(world);
    check_unknowns(world);
    check_memory(world);
}
