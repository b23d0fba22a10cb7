/* check.c: see check.h. */
#include "check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "fault.h"
#include "fusee/check_rule.h"
#include "fusee/object.h"
#include "fusee/session.h"
#include "fusee/word.h"

#define REPLICAS_MAX 1024u /* of all regions of a simulated pool */

struct pool_view {
    struct world *world;
    const struct layout *layout;
    bool strict;  /* no object may be two things, or lost: at the most clients have died, and repair has made up for
                     it. What a block may hold of lost objects that is marked unswept is found by who adopts it */
    bool settled; /* no round is open */
    bool closed;  /* no session is open any more */
    struct check_uses uses;
};

static const struct dm_pool *any_pool(const struct world *world) {
    for (uint32_t i = 0; i < world->plan.gateways; i++) {
        if (world->gateways[i].pool != NULL) {
            return world->gateways[i].pool;
        }
    }
    return NULL;
}

/* The pool's layout, without nodes that it goes on without. */
static const struct layout *layout_now(const struct world *world, const struct dm_pool *pool) {
    static struct layout layout;
    static struct region_replica map[REPLICAS_MAX];
    static uint8_t left[REPLICAS_MAX];
    uint64_t lost = world->plan.settle_ns == 0 ? 0 : fault_left_out(world);
    if (lost == 0) {
        return &pool->layout;
    }
    layout = pool->layout;
    dm_assert(layout.super.regions * layout.super.replicas <= REPLICAS_MAX);
    layout.map = map;
    layout.left = left;
    layout_map_without(&layout, pool->map, lost);
    return &layout;
}

static uint8_t *at_address(const struct world *world, const struct layout *layout, uint64_t address, uint32_t replica) {
    struct location at = layout_locate(layout, address, replica);
    return world->fabric.memory[at.node] + at.offset;
}

static uint64_t word_at(const struct world *world, const struct layout *layout, uint64_t address, uint32_t replica) {
    uint64_t word;
    memcpy(&word, at_address(world, layout, address, replica), sizeof word);
    return word;
}

/* ---- Objects ---------------------------------------------------------------------------------------------------- */

/* A node that still has the object at this address; false when all of its replicas are lost. */
static bool any_replica(const struct world *world, const struct layout *layout, uint64_t address, uint32_t *replica) {
    for (*replica = 0; *replica < layout_replicas(layout, address); ++*replica) {
        if (!fault_has_lost(world, layout_locate(layout, address, *replica).node)) {
            return true;
        }
    }
    return false;
}

/* The object behind a live word, whole on every replica that is not lost; NULL if all are. */
static const struct object_header *check_object(struct world *world, const struct dm_pool *pool, uint64_t word) {
    const struct layout *layout = layout_now(world, pool);
    uint32_t bytes = sizeclass_bytes(word_class(word));
    if (!check_names_object(layout, pool->class_max, word)) {
        world_fail(world, "the word %016" PRIx64 " names no object", word);
    }
    for (uint32_t j = 0; j < layout_replicas(layout, word_address(word)); j++) {
        if (fault_has_lost(world, layout_locate(layout, word_address(word), j).node)) {
            continue;
        }
        if (!object_whole(at_address(world, layout, word_address(word), j), bytes, word)) {
            world_fail(world, "the object of %016" PRIx64 " is not whole on replica %u", word, j);
        }
    }
    uint32_t replica;
    if (!any_replica(world, layout, word_address(word), &replica)) {
        return NULL;
    }
    return object_header(at_address(world, layout, word_address(word), replica));
}

/* Another slot of the primary that shows the same key alive. */
static void check_alone(struct world *world, const struct dm_pool *pool, uint16_t own, uint64_t hash) {
    const struct layout *layout = layout_now(world, pool);
    struct index_place place = index_place(hash);
    for (uint32_t i = 0; i < INDEX_COMBINED_SLOTS * 2; i++) {
        uint16_t slot = (uint16_t)(place.first_slot[i / INDEX_COMBINED_SLOTS] + i % INDEX_COMBINED_SLOTS);
        uint64_t word = word_at(world, layout, pool->subtables[0] + index_slot_offset(slot), 0);
        if (slot == own || !word_is_live(word) || word_fingerprint(word) != index_fingerprint(hash)) {
            continue;
        }
        uint32_t replica;
        if (any_replica(world, layout, word_address(word), &replica) &&
            object_header(at_address(world, layout, word_address(word), replica))->hash == hash) {
            world_fail(world, "two live slots of one key: %u and %u", own, slot);
        }
    }
}

static void check_live(struct world *world, const struct dm_pool *pool, uint16_t slot, uint64_t word) {
    const struct object_header *header = check_object(world, pool, word);
    if (header == NULL) {
        return;
    }
    struct check_slot place = {
        .address = pool->subtables[0] + index_slot_offset(slot), .number = slot, .depth = pool->depth};
    if (!check_object_belongs(header, word, &place)) {
        world_fail(world, "slot %u holds an object that belongs elsewhere", slot);
    }
    check_alone(world, pool, slot, header->hash);
}

/* ---- Every CAS -------------------------------------------------------------------------------------------------- */

/* Global address of a place in a node, and which replica of it that is; false outside of the regions. */
static bool address_of(const struct layout *layout, const struct dm_op *op, uint64_t *address, uint32_t *replica) {
    if (op->remote < layout->regions_offset) {
        return false;
    }
    uint64_t offset = op->remote - layout->regions_offset;
    uint32_t frame = (uint32_t)(offset >> layout->region_shift);
    for (uint32_t i = 0; i < layout->super.regions * layout->super.replicas; i++) {
        if (layout->map[i].node == op->node && layout->map[i].frame == frame) {
            *replica = i % layout->super.replicas;
            *address = ((uint64_t)(i / layout->super.replicas) << layout->region_shift) +
                       (offset & (layout->super.region_bytes - 1));
            return true;
        }
    }
    return false;
}

void check_swap(struct world *world, const struct dm_op *op) {
    const struct dm_pool *pool = any_pool(world);
    uint64_t address;
    uint32_t replica;
    const struct layout *layout = pool == NULL ? NULL : layout_now(world, pool);
    if (pool == NULL || !address_of(layout, op, &address, &replica) || replica != 0 ||
        fault_has_lost(world, op->node)) {
        return;
    }
    if ((address & (layout->super.region_bytes - 1)) < layout->free_maps_offset) {
        enum block_state from = block_word_state(op->compare);
        enum block_state to = block_word_state(op->operand);
        world->rare[RARE_BLOCK_ADOPTED] += block_word_is_orphan(op->compare) && to == BLOCK_OWNED;
        world->rare[RARE_UNSWEPT_ADOPTED] += from == BLOCK_UNSWEPT && to == BLOCK_OWNED;
        world->rare[RARE_BLOCK_RETURNED] += from == BLOCK_OWNED && to == BLOCK_FREE;
        return;
    }
    uint64_t offset = address - pool->subtables[0];
    if (offset < INDEX_SUBTABLE_BYTES && offset >= INDEX_CONTROL_BYTES && word_is_live(op->operand)) {
        check_live(world, pool, (uint16_t)((offset - INDEX_CONTROL_BYTES) / sizeof(uint64_t)), op->operand);
    }
}

/* ---- At rest ---------------------------------------------------------------------------------------------------- */

static void claim(struct pool_view *view, uint64_t address, enum check_use use) {
    enum check_use was = check_claim(&view->uses, address, use);
    if (was != CHECK_USE_NONE) {
        world_fail(view->world, "the object at %" PRIx64 " is %s and %s", address, check_use_name(was),
                   check_use_name(use));
    }
}

static void check_slots(struct pool_view *view, const struct dm_pool *pool) {
    struct world *world = view->world;
    if (fault_has_lost(world, layout_locate(view->layout, pool->subtables[0], 0).node)) {
        return;
    }
    for (uint16_t slot = 0; slot < INDEX_SLOTS; slot++) {
        uint64_t address = pool->subtables[0] + index_slot_offset(slot);
        uint64_t word = word_at(world, view->layout, address, 0);
        for (uint32_t j = 1; j < layout_replicas(view->layout, address) && view->settled; j++) {
            uint64_t other = word_at(world, view->layout, address, j);
            if (other != word) {
                world_fail(world, "slot %u is %016" PRIx64 " on the primary and %016" PRIx64 " on replica %u", slot,
                           word, other, j);
            }
        }
        if (word_is_live(word)) {
            check_live(world, pool, slot, word);
            claim(view, word_address(word), CHECK_USE_REFERENCED);
        } else if (word_kind(word) != WORD_EMPTY && view->settled) {
            world_fail(world, "slot %u holds %016" PRIx64 " (kind %d) at rest", slot, word, word_kind(word));
        }
    }
}

static void claim_block(struct pool_view *view, const struct block *block) {
    uint32_t bytes = sizeclass_bytes(block->size_class);
    uint32_t free = 0;
    for (uint32_t i = 0; i < block->objects; i++) {
        if ((block->bitmap[i / 64] >> (i % 64) & 1) != 0) {
            claim(view, (block->number << view->layout->block_shift) + (uint64_t)i * bytes, CHECK_USE_FREE);
            free++;
        }
    }
    if (free != block->free) {
        world_fail(view->world, "block %" PRIu64 " counts %u free objects and has %u", block->number, block->free,
                   free);
    }
}

static void claim_session(struct pool_view *view, const struct dm_session *session) {
    for (uint64_t i = 0; i < layout_blocks(view->layout); i++) {
        const struct block *block = session->slab.blocks[i];
        if (block == NULL) {
            continue;
        }
        uint64_t word = word_at(view->world, view->layout, layout_block_word_address(view->layout, i), 0);
        if (block->word != word) {
            world_fail(view->world,
                       "client %u takes block %" PRIu64 " for its own as %" PRIx64 ", the table says %" PRIx64,
                       session->client, i, block->word, word);
        }
        claim_block(view, block);
    }
    for (uint32_t c = 0; c < SIZECLASS_COUNT; c++) {
        if (session->slab.classes[c].reserved != 0) {
            claim(view, session->slab.classes[c].reserved, CHECK_USE_RESERVED);
        }
    }
    for (uint64_t i = session->limbo.head; i != session->limbo.tail; i++) {
        claim(view, session->limbo.ring[i & (session->limbo.capacity - 1)], CHECK_USE_LIMBO);
    }
    for (uint32_t i = 0; i < session->foreign_count; i++) {
        claim(view, session->foreign[i], CHECK_USE_FOREIGN);
    }
}

static void claim_marked(struct pool_view *view, uint64_t number) {
    const struct layout *layout = view->layout;
    uint64_t map = layout_free_map_address(layout, number);
    for (uint32_t bit = 0; bit < layout->map_bytes * 8; bit++) {
        uint64_t word = word_at(view->world, layout, map + bit / 64 * 8, 0);
        if ((word >> (bit % 64) & 1) != 0) {
            uint32_t bytes = sizeclass_bytes(
                block_word_class(word_at(view->world, layout, layout_block_word_address(layout, number), 0)));
            claim(view, check_marked_object(layout, number, bytes, bit), CHECK_USE_MARKED);
        }
    }
}

static bool is_owner_here(const struct world *world, uint64_t number, uint64_t word) {
    for (uint32_t i = 0; i < world->plan.clients; i++) {
        const struct dm_session *session = world->clients[i].session;
        if (session != NULL && world->clients[i].state != CLIENT_DEAD && session->client == block_word_client(word)) {
            return session->slab.blocks[number] != NULL && session->slab.blocks[number]->word == word;
        }
    }
    return false;
}

/* Who lives knows its blocks, also those that it took, or gave up, by a round of which it knew the outcome late. */
static void check_owner(struct pool_view *view, uint64_t number, uint64_t word) {
    if (block_word_state(word) == BLOCK_OWNED && (view->closed || !is_owner_here(view->world, number, word))) {
        world_fail(view->world, "block %" PRIu64 " belongs to client %u, who does not know it", number,
                   block_word_client(word));
    }
}

/* Everything in an owned or orphaned block is exactly one thing, everything in a free one nothing. */
static void check_block(struct pool_view *view, uint64_t number, uint64_t word) {
    struct world *world = view->world;
    enum block_state state = block_word_state(word);
    if (state == BLOCK_SYSTEM) {
        return;
    }
    uint32_t bytes = state == BLOCK_FREE ? WORD_UNIT_BYTES : sizeclass_bytes(block_word_class(word));
    for (uint64_t offset = 0; offset + bytes <= view->layout->super.block_bytes; offset += bytes) {
        uint64_t address = (number << view->layout->block_shift) + offset;
        enum check_use use = check_use_of(&view->uses, address);
        enum check_verdict verdict = check_in_block(state, use);
        if (verdict == CHECK_USED_IN_FREE) {
            world_fail(world, "block %" PRIu64 " is free, but %" PRIx64 " in it is %s", number, address,
                       check_use_name(use));
        }
        bool lost = verdict == CHECK_LOST && world->plan.refuse_permyriad == 0;
        if (lost && state == BLOCK_UNSWEPT) {
            world->rare[RARE_OBJECT_UNSWEPT]++;
        } else if (lost) {
            world_fail(world, "the object at %" PRIx64 " is lost: neither free nor in use", address);
        }
    }
}

static void check_blocks(struct pool_view *view) {
    for (uint64_t number = 0; number < layout_blocks(view->layout); number++) {
        uint64_t address = layout_block_word_address(view->layout, number);
        uint64_t word = word_at(view->world, view->layout, address, 0);
        for (uint32_t j = 1; j < layout_replicas(view->layout, address); j++) {
            if (word_at(view->world, view->layout, address, j) != word) {
                world_fail(view->world, "the replicas of the word of block %" PRIu64 " differ", number);
            }
        }
        check_owner(view, number, word);
        if (view->strict) {
            check_block(view, number, word);
        }
    }
}

/* Objects that a slot of the primary names must not lie where some session could hand them out. */
static void check_unused(struct pool_view *view) {
    for (uint32_t i = 0; i < view->world->plan.clients; i++) {
        const struct client *client = &view->world->clients[i];
        if (client->session != NULL && client->state != CLIENT_DEAD) {
            for (uint64_t b = 0; b < layout_blocks(view->layout); b++) {
                if (client->session->slab.blocks[b] != NULL) {
                    claim_block(view, client->session->slab.blocks[b]);
                }
            }
        }
    }
}

/* Of the first control node. */
static const uint8_t *control_memory(const struct world *world) {
    uint32_t node = 0;
    while (world->plan.settle_ns != 0 && (fault_left_out(world) >> node & 1) != 0) {
        node++;
    }
    return world->fabric.memory[node];
}

bool check_repaired(struct world *world) {
    const struct layout *layout = &any_pool(world)->layout;
    const uint8_t *control = control_memory(world);
    uint32_t owned = 0;
    uint32_t here = 0;
    for (uint32_t i = 0; i < layout->super.clients; i++) {
        const uint8_t *record = control + layout->clients_offset + (uint64_t)i * LAYOUT_CLIENT_BYTES;
        uint64_t owner;
        memcpy(&owner, record, sizeof owner);
        owned += owner != 0;
    }
    for (uint32_t i = 0; i < world->plan.clients; i++) {
        here += world_is_here(&world->clients[i]);
    }
    return owned == here;
}

bool check_swept(struct world *world) {
    uint64_t repairs;
    memcpy(&repairs,
           control_memory(world) + any_pool(world)->layout.epoch_offset + offsetof(struct epoch_line, repairs),
           sizeof repairs);
    for (uint32_t i = 0; i < world->plan.clients; i++) {
        if (!world_is_here(&world->clients[i])) {
            continue;
        }
        const struct watch *watch = &world->clients[i].session->watch;
        if (world->clients[i].session->repairs != repairs || watch->owes_sweep || watch->sweeping) {
            return false;
        }
    }
    return true;
}

static void check_records(struct pool_view *view) {
    const struct layout *layout = view->layout;
    for (uint32_t i = 0; i < layout->super.clients; i++) {
        const uint8_t *memory = control_memory(view->world);
        const uint64_t *owner = (const uint64_t *)(memory + layout->clients_offset + (uint64_t)i * LAYOUT_CLIENT_BYTES);
        const uint64_t *announced = (const uint64_t *)(memory + layout->announce_offset) + i;
        if (*owner != 0 || *announced != 0) {
            world_fail(view->world, "client record %u is not free after all have left", i);
        }
    }
}

void check_pool(struct world *world) {
    const struct dm_pool *pool = any_pool(world);
    struct pool_view view = {.world = world, .layout = layout_now(world, pool), .strict = !plan_is_cut(&world->plan)};
    view.settled = view.strict || plan_is_repaired(&world->plan);
    view.uses.units = calloc(check_uses_bytes(&pool->layout), 1);
    dm_assert(view.uses.units != NULL);
    view.closed = true;
    for (uint32_t i = 0; i < world->plan.clients; i++) {
        view.closed &= world->clients[i].session == NULL;
    }
    check_slots(&view, pool);
    if (view.strict) {
        for (uint32_t i = 0; i < world->plan.clients; i++) {
            if (world->clients[i].session != NULL && world->clients[i].state != CLIENT_DEAD) {
                claim_session(&view, world->clients[i].session);
            }
        }
        for (uint64_t number = 0; number < layout_blocks(view.layout); number++) {
            claim_marked(&view, number);
        }
    } else {
        check_unused(&view);
    }
    /* Whose blocks are whose. Behind a settling a client may have forgotten one: tests/sim/open. */
    bool known = view.settled && !world->plan.churn && world->plan.refuse_permyriad == 0 && world->plan.settle_ns == 0;
    if (view.strict || known) {
        check_blocks(&view);
    }
    if (view.closed && view.strict) { /* who left while a node was out of reach could not say so */
        check_records(&view);
    }
    free(view.uses.units);
}
