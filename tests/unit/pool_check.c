/* pool_check.c: see pool_check.h. */
#include "pool_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fusee/object.h"
#include "fusee/session.h"
#include "fusee/word.h"

struct found {
    uint64_t hash;
    uint64_t address;
};

static const struct dm_pool *pool_of(const struct world *world) {
    for (uint32_t s = 0; s < WORLD_SESSIONS_MAX; s++) {
        if (world->pool[s] != NULL) {
            return world->pool[s];
        }
    }
    fail_msg("no pool is open");
    return NULL;
}

const struct layout *check_layout(const struct world *world) { return &pool_of(world)->layout; }

void *check_at(const struct world *world, uint64_t address, uint32_t replica) {
    struct location at = layout_locate(check_layout(world), address, replica);
    return (uint8_t *)world->memory[at.node].base + at.offset;
}

uint64_t check_word(const struct world *world, uint32_t subtable, uint16_t slot, uint32_t replica) {
    uint64_t address = layout_subtable_address(check_layout(world), subtable) + index_slot_offset(slot);
    return *(const uint64_t *)check_at(world, address, replica);
}

static bool is_of_key(const struct world *world, uint64_t word, const char *key) {
    const uint8_t *object = check_at(world, word_address(word), 0);
    const struct object_header *header = object_header(object);
    return header->key_length == strlen(key) && memcmp(object_key(object), key, strlen(key)) == 0;
}

uint32_t check_live_slots(const struct world *world, const char *key) {
    uint32_t count = 0;
    for (uint32_t t = 0; t < check_layout(world)->super.subtables; t++) {
        for (uint16_t slot = 0; slot < INDEX_SLOTS; slot++) {
            uint64_t word = check_word(world, t, slot, 0);
            count += word_is_live(word) && is_of_key(world, word, key);
        }
    }
    return count;
}

uint16_t check_slot_of(const struct world *world, const char *key, uint64_t *word) {
    assert_int_equal(check_layout(world)->super.subtables, 1);
    for (uint16_t slot = 0; slot < INDEX_SLOTS; slot++) {
        *word = check_word(world, 0, slot, 0);
        if (word_is_live(*word) && is_of_key(world, *word, key)) {
            return slot;
        }
    }
    return INDEX_NO_SLOT;
}

uint16_t check_slot_for(const struct world *world, const char *key) {
    struct dm_key name = {key, (uint32_t)strlen(key), 0};
    uint64_t hash = index_hash(&name, pool_of(world)->hash_seed);
    uint64_t buckets[2][INDEX_COMBINED_SLOTS];
    struct index_view view = {index_place(hash), (const uint64_t(*)[INDEX_COMBINED_SLOTS])buckets};
    for (uint32_t b = 0; b < 2; b++) {
        for (uint16_t i = 0; i < INDEX_COMBINED_SLOTS; i++) {
            buckets[b][i] = check_word(world, 0, (uint16_t)(view.place.first_slot[b] + i), 0);
        }
    }
    uint64_t word;
    return index_choose_empty(&view, (uint32_t)(hash >> 16), &word);
}

static int compare_hashes(const void *a, const void *b) {
    const struct found *x = a;
    const struct found *y = b;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static int compare_addresses(const void *a, const void *b) {
    const struct found *x = a;
    const struct found *y = b;
    return x->address < y->address ? -1 : x->address > y->address;
}

static void check_object(const struct world *world, uint64_t word) {
    const struct layout *layout = check_layout(world);
    uint32_t bytes = sizeclass_bytes(word_class(word));
    assert_true(layout_is_object(layout, word_address(word), bytes));
    for (uint32_t j = 0; j < layout->super.replicas; j++) {
        assert_true(object_whole(check_at(world, word_address(word), j), bytes, word));
    }
    uint64_t block = layout_block_number(layout, word_address(word));
    uint64_t owner = *(const uint64_t *)check_at(world, layout_block_word_address(layout, block), 0);
    assert_true(block_word_state(owner) == BLOCK_OWNED || block_word_is_orphan(owner));
    assert_int_equal(block_word_class(owner), word_class(word));
}

static void check_blocks(const struct world *world, struct census *census) {
    const struct layout *layout = check_layout(world);
    for (uint64_t b = 0; b < layout_blocks(layout); b++) {
        uint64_t address = layout_block_word_address(layout, b);
        uint64_t word = *(const uint64_t *)check_at(world, address, 0);
        for (uint32_t j = 1; j < layout->super.replicas; j++) {
            assert_int_equal(word, *(const uint64_t *)check_at(world, address, j));
        }
        switch (block_word_state(word)) {
        case BLOCK_FREE:
            census->blocks_free++;
            break;
        case BLOCK_SYSTEM:
            census->blocks_system++;
            break;
        case BLOCK_OWNED:
            census->blocks_owned++;
            break;
        case BLOCK_ORPHAN:
        case BLOCK_UNSWEPT:
            census->blocks_orphan++;
            break;
        default:
            fail_msg("block %llu has no state", (unsigned long long)b);
        }
    }
    assert_int_equal(census->blocks_free + census->blocks_system + census->blocks_owned + census->blocks_orphan,
                     layout_blocks(layout));
    assert_int_equal(census->blocks_system, (uint64_t)layout->system_blocks * layout->super.regions);
}

static uint64_t counted(const struct world *world, uint32_t row, uint32_t client) {
    for (uint32_t s = 0; s < WORLD_SESSIONS_MAX; s++) {
        if (world->session[s] != NULL && world->session[s]->client == client) {
            return world->session[s]->counts.words[row];
        }
    }
    uint64_t word;
    uint64_t offset = layout_count_offset(check_layout(world), row, client);
    memcpy(&word, (const uint8_t *)world->memory[0].base + offset, sizeof word);
    return word;
}

static uint64_t sum_row(const struct world *world, uint32_t row, uint16_t number) {
    uint64_t sum = 0;
    for (uint32_t c = 0; c < layout_count_words(check_layout(world)); c++) {
        uint64_t word = counted(world, row, c);
        sum += word != 0 && count_number(word) == number ? word : 0;
    }
    return sum & COUNT_KEYS_MASK;
}

static struct dm_count keys_of_number(const struct world *world, uint16_t number) {
    const struct layout *layout = check_layout(world);
    struct dm_count keys = {0, 0};
    for (uint32_t t = 0; t < layout->super.subtables; t++) {
        for (uint16_t slot = 0; slot < INDEX_SLOTS; slot++) {
            uint64_t word = check_word(world, t, slot, 0);
            const struct object_header *header = check_at(world, word_address(word), 0);
            if (word_is_live(word) && header->space == number) {
                keys.keys += count_object(header) != COUNT_NOTHING;
                keys.expiring += count_object(header) == COUNT_EXPIRING;
            }
        }
    }
    return keys;
}

bool check_counts(const struct world *world) {
    const struct layout *layout = check_layout(world);
    const uint8_t *node = world->memory[0].base;
    struct epoch_line line;
    struct space_table table;
    memcpy(&line, node + layout->epoch_offset, sizeof line);
    memcpy(&table, node + layout->spaces_offset, sizeof table);
    bool doubt = line.miscounts != line.recounted;
    for (uint32_t s = 0; s < WORLD_SESSIONS_MAX; s++) {
        doubt |= world->session[s] != NULL && world->session[s]->counts.doubt;
    }
    for (uint16_t s = 0; s < DM_SPACES && !doubt; s++) {
        uint16_t number = space_number(table.words[s], s);
        struct dm_count keys = keys_of_number(world, number);
        assert_int_equal(sum_row(world, number % DM_SPACES, number), keys.keys);
        assert_int_equal(sum_row(world, number % DM_SPACES + COUNT_EXPIRING_ROW, number), keys.expiring);
    }
    return doubt;
}

struct census check_at_rest(const struct world *world) {
    const struct layout *layout = check_layout(world);
    struct census census = {0};
    size_t slots = (size_t)layout->super.subtables * INDEX_SLOTS;
    struct found *found = calloc(slots, sizeof *found);
    assert_non_null(found);
    for (uint32_t t = 0; t < layout->super.subtables; t++) {
        for (uint16_t slot = 0; slot < INDEX_SLOTS; slot++) {
            uint64_t word = check_word(world, t, slot, 0);
            for (uint32_t j = 1; j < layout->super.replicas; j++) {
                assert_int_equal(word, check_word(world, t, slot, j));
            }
            census.tombstones += word_kind(word) == WORD_TOMBSTONE;
            census.provisional += word_kind(word) == WORD_PROVISIONAL || word_is_intent(word);
            if (word_is_live(word)) {
                check_object(world, word);
                const struct object_header *header = check_at(world, word_address(word), 0);
                found[census.live++] = (struct found){header->hash, word_address(word)};
            }
        }
    }
    qsort(found, census.live, sizeof *found, compare_hashes); /* 64 bits: equal hashes are equal keys here */
    for (uint64_t i = 1; i < census.live; i++) {
        assert_true(found[i].hash != found[i - 1].hash);
    }
    qsort(found, census.live, sizeof *found, compare_addresses);
    for (uint64_t i = 1; i < census.live; i++) {
        assert_true(found[i].address != found[i - 1].address);
    }
    free(found);
    check_blocks(world, &census);
    (void)check_counts(world);
    return census;
}
