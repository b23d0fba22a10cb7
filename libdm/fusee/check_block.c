/* check_block.c: the blocks of a pool that is in use: whose they are, and what lies in them; see check.h. */
#include <string.h>

#include "fusee/block.h"
#include "fusee/check.h"

/* Of a block, for the passes below. */
struct look {
    struct check *check;
    uint64_t number, word;
    uint32_t bytes;   /* of an object in it; 0: there are none */
    uint32_t objects; /* that it has room for */
};

static struct look look_at(struct check *check, uint64_t number) {
    const struct layout *layout = check_layout(check);
    struct look look = {.check = check, .number = number, .word = check->blocks[number]};
    enum block_state state = block_word_state(look.word);
    if ((state == BLOCK_OWNED || block_word_is_orphan(look.word)) &&
        block_word_class(look.word) <= check->inspector->pool->class_max) {
        look.bytes = sizeclass_bytes(block_word_class(look.word));
        look.objects = (uint32_t)(layout->super.block_bytes / look.bytes);
    }
    return look;
}

static uint64_t object_address(const struct look *look, uint32_t index) {
    return (look->number << check_layout(look->check)->block_shift) + (uint64_t)index * look->bytes;
}

static enum dm_status read_block_word(struct check *check, uint64_t number, uint64_t *word) {
    const struct layout *layout = check_layout(check);
    return inspect_word(check->inspector, layout_locate(layout, layout_block_word_address(layout, number), 0), word);
}

/* ---- Free, and in use ------------------------------------------------------------------------------------------- */

/* Does a slot name this object, which the pass over the slots has seen named? Its header says which slot. */
static enum dm_status read_slot_of(struct check *check, uint64_t address, uint64_t *slot_address, uint64_t *word) {
    struct dm_inspector *inspector = check->inspector;
    const struct layout *layout = check_layout(check);
    struct location at = layout_locate(layout, address, 0);
    at.offset += offsetof(struct object_header, slot);
    enum dm_status status = inspect_word(inspector, at, slot_address);
    *word = 0;
    if (status == DM_OK && *slot_address >> layout->region_shift < layout->super.regions && *slot_address % 8 == 0) {
        status = inspect_word(inspector, layout_locate(layout, *slot_address, 0), word);
    }
    return status;
}

static bool names(uint64_t word, uint64_t address) {
    return word_kind(word) != WORD_EMPTY && word_address(word) == address;
}

/* What was named when the slots were read is free now, says `place` (a block word, or a word of a free map). Is it so
 * at one moment? */
static enum dm_status confirm_free(struct check *check, uint64_t address, struct location place,
                                   bool (*is_free)(uint64_t word, uint32_t bit), uint32_t bit) {
    uint64_t slot;
    uint64_t before;
    uint64_t found;
    uint64_t after;
    enum dm_status status = read_slot_of(check, address, &slot, &before);
    if (status != DM_OK || !names(before, address)) {
        return status;
    }
    status = inspect_word(check->inspector, place, &found);
    if (status == DM_OK) {
        status = inspect_word(check->inspector, layout_locate(check_layout(check), slot, 0), &after);
    }
    if (status == DM_OK && after == before && is_free(found, bit)) {
        check_fault(check, DM_FAULT_TWICE, "the object at %llx is named by a slot (%016llx at %llx), and free",
                    (unsigned long long)address, (unsigned long long)before, (unsigned long long)slot);
    }
    return status;
}

static bool is_free_block(uint64_t word, uint32_t bit) {
    (void)bit;
    return block_word_state(word) == BLOCK_FREE;
}

static bool is_marked(uint64_t word, uint32_t bit) { return (word >> bit & 1) != 0; }

static enum dm_status check_free(struct check *check, uint64_t number) {
    const struct layout *layout = check_layout(check);
    uint64_t first = number << layout->block_shift;
    enum dm_status status = DM_OK;
    for (uint64_t offset = 0; offset < layout->super.block_bytes && status == DM_OK; offset += WORD_UNIT_BYTES) {
        if (check_in_block(BLOCK_FREE, check_use_of(&check->uses, first + offset)) == CHECK_USED_IN_FREE) {
            struct location place = layout_locate(layout, layout_block_word_address(layout, number), 0);
            status = confirm_free(check, first + offset, place, is_free_block, 0);
        }
    }
    return status;
}

/* ---- Owned blocks and orphans ----------------------------------------------------------------------------------- */

/* Its free map into inspector->memory, of which nothing else is used meanwhile. */
static enum dm_status read_map(const struct look *look, const uint64_t **map, struct location *at) {
    struct dm_inspector *inspector = look->check->inspector;
    const struct layout *layout = check_layout(look->check);
    *at = layout_locate(layout, layout_free_map_address(layout, look->number), 0);
    *map = (const uint64_t *)inspector->memory;
    dm_batch_init(&inspector->batch, NULL);
    dm_batch_read(&inspector->batch, at->node, at->offset, inspector->memory, layout->map_bytes);
    return inspect_execute(inspector);
}

/* A bit behind the last object; unless the block has got another owner, and class, since its word was read. */
static enum dm_status check_stray_mark(const struct look *look, uint32_t bit) {
    uint64_t word;
    enum dm_status status = read_block_word(look->check, look->number, &word);
    if (status == DM_OK && word == look->word) {
        check_fault(look->check, DM_FAULT_BLOCK, "the free map of block %llu marks what is no object of it: bit %u",
                    (unsigned long long)look->number, bit);
    }
    return status;
}

static enum dm_status claim_marked(const struct look *look) {
    struct check *check = look->check;
    const struct layout *layout = check_layout(check);
    const uint64_t *map;
    struct location at;
    enum dm_status status = read_map(look, &map, &at);
    for (uint32_t bit = 0; bit < layout->map_bytes * 8 && status == DM_OK; bit++) {
        if (!is_marked(map[bit / 64], bit % 64)) {
            continue;
        }
        uint64_t address = check_marked_object(layout, look->number, look->bytes, bit);
        if (address >> layout->block_shift != look->number) {
            return check_stray_mark(look, bit);
        }
        if (check_use_of(&check->uses, address) == CHECK_USE_REFERENCED) {
            struct location word = {at.node, at.offset + bit / 64 * sizeof(uint64_t)};
            status = confirm_free(check, address, word, is_marked, bit % 64);
        } else {
            (void)check_claim(&check->uses, address, CHECK_USE_MARKED);
        }
    }
    return status;
}

static void count_bytes(const struct look *look) {
    struct check *check = look->check;
    uint64_t block_bytes = check_layout(check)->super.block_bytes;
    check->out->bytes_used += block_bytes;
    check->out->bytes_cut += block_bytes - (uint64_t)look->objects * look->bytes;
    for (uint32_t i = 0; i < look->objects; i++) {
        enum check_use use = check_use_of(&check->uses, object_address(look, i));
        check->out->bytes_reached += use == CHECK_USE_REFERENCED ? look->bytes : 0;
        check->out->bytes_marked += use == CHECK_USE_MARKED ? look->bytes : 0;
        check->out->bytes_owned += use == CHECK_USE_NONE ? look->bytes : 0;
    }
}

static enum dm_status suspect_word(struct check *check, uint64_t number) {
    struct check_suspect suspect = {.address = layout_block_word_address(check_layout(check), number)};
    enum dm_status status = inspect_replicas(check->inspector, suspect.address, suspect.words);
    return status == DM_OK ? check_suspect(check, &suspect) : status;
}

static enum dm_status check_block(struct check *check, uint64_t number) {
    const struct layout *layout = check_layout(check);
    struct look look = look_at(check, number);
    bool system = number % layout->blocks_per_region < layout->system_blocks;
    enum block_state state = block_word_state(look.word);
    enum dm_status status = check->differ[number] != 0 ? suspect_word(check, number) : DM_OK;
    if (status != DM_OK) {
        return status;
    }
    if (state > BLOCK_UNSWEPT || system != (state == BLOCK_SYSTEM) ||
        ((state == BLOCK_OWNED || block_word_is_orphan(look.word)) && look.bytes == 0)) {
        check_fault(check, DM_FAULT_BLOCK, "the word of block %llu is %016llx, which no block can have",
                    (unsigned long long)number, (unsigned long long)look.word);
        return DM_OK;
    }
    if (state == BLOCK_FREE) {
        return check_free(check, number);
    }
    if (state == BLOCK_SYSTEM) {
        return DM_OK;
    }
    status = claim_marked(&look);
    count_bytes(&look);
    return status;
}

enum dm_status check_blocks(struct check *check) {
    uint64_t blocks = layout_blocks(check_layout(check));
    enum dm_status status = inspect_blocks(check->inspector, check->blocks, check->differ);
    for (uint64_t b = 0; b < blocks && status == DM_OK; b++) {
        inspect_progress(check->inspector, "checking blocks", b, blocks);
        status = check_block(check, b);
    }
    inspect_progress(check->inspector, "checking blocks", blocks, blocks);
    return status;
}

/* ---- Behind the wait -------------------------------------------------------------------------------------------- */

/* A client's blocks go back before its record is empty. */
static enum dm_status check_owner(struct check *check, uint64_t number) {
    uint32_t client = block_word_client(check->blocks[number]);
    const struct layout *layout = check_layout(check);
    uint64_t owner = 0;
    uint64_t word;
    if (client < layout->super.clients && check->owners[client] != 0) {
        return DM_OK;
    }
    enum dm_status status = read_block_word(check, number, &word);
    if (status == DM_OK && client < layout->super.clients) {
        status = inspect_word(check->inspector, inspect_record(check->inspector, client, 0), &owner);
    }
    if (status == DM_OK && word == check->blocks[number] && owner == 0) {
        check_fault(check, DM_FAULT_BLOCK, "block %llu belongs to client %u, which is not registered",
                    (unsigned long long)number, client);
    }
    return status;
}

/* Nobody takes from an orphan, so what no slot named and what is not marked by now is lost. */
static enum dm_status count_lost(struct check *check, uint64_t number) {
    struct look look = look_at(check, number);
    const uint64_t *map;
    struct location at;
    uint64_t word;
    uint64_t lost = 0;
    if (look.bytes == 0 || look.word != check->before[number] ||
        !block_orphan_is_ripe(look.word, check->epoch_before)) {
        return DM_OK;
    }
    enum dm_status status = read_map(&look, &map, &at);
    for (uint32_t i = 0; i < look.objects && status == DM_OK; i++) {
        uint64_t unit = (uint64_t)i * look.bytes / SIZECLASS_BYTES_MIN;
        bool nothing = check_in_block(BLOCK_ORPHAN, check_use_of(&check->uses, object_address(&look, i))) == CHECK_LOST;
        lost += nothing && !is_marked(map[unit / 64], unit % 64) ? look.bytes : 0;
    }
    status = status == DM_OK ? read_block_word(check, number, &word) : status;
    if (status == DM_OK && word == look.word && lost != 0) {
        check->out->bytes_lost += lost;
        check->out->bytes_owned -= lost;
        check_fault(check, DM_FAULT_LOST, "%llu bytes of block %llu, which has no owner, are neither free nor in use",
                    (unsigned long long)lost, (unsigned long long)number);
    }
    return status;
}

/* A record that nobody has must not announce anything: it would hold up the epoch for ever. */
static enum dm_status check_record(struct check *check, uint32_t client) {
    struct dm_inspector *inspector = check->inspector;
    const struct location at[] = {inspect_record(inspector, client, 0), inspect_announce(inspector, client),
                                  inspect_record(inspector, client, 0)};
    uint64_t seen[3] = {0};
    enum dm_status status = DM_OK;
    for (uint32_t i = 0; i < 3 && status == DM_OK; i++) {
        status = inspect_word(inspector, at[i], &seen[i]);
    }
    if (status == DM_OK && seen[0] == 0 && seen[1] != 0 && seen[2] == 0) {
        check_fault(check, DM_FAULT_CLIENT, "client %u is not registered, and announces epoch %llu", client,
                    (unsigned long long)(seen[1] - 1));
    }
    return status;
}

enum dm_status check_blocks_again(struct check *check) {
    const struct layout *layout = check_layout(check);
    enum dm_status status = DM_OK;
    check->out->lost_judged = check_is_past(check);
    for (uint64_t b = 0; b < layout_blocks(layout) && status == DM_OK; b++) {
        enum block_state state = block_word_state(check->blocks[b]);
        if (state == BLOCK_OWNED) {
            status = check_owner(check, b);
        } else if (state == BLOCK_ORPHAN && check->out->lost_judged) {
            status = count_lost(check, b);
        }
    }
    for (uint32_t c = 0; c < layout->super.clients && status == DM_OK; c++) {
        status = check->owners[c] == 0 ? check_record(check, c) : DM_OK;
    }
    return status;
}
