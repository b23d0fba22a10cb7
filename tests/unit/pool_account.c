/* pool_account.c: see pool_account.h. */
#include "pool_account.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fusee/session.h"
#include "pool_check.h"

/* What was found of one block's objects. */
struct ledger {
    const struct world *world;
    const struct layout *layout;
    uint8_t *found; /* by 64-byte unit of the pool: how many name the object that begins there, as free or in a slot */
};

static void found(struct ledger *ledger, uint64_t address) {
    assert_true(address / WORD_UNIT_BYTES < layout_blocks(ledger->layout) << ledger->layout->block_shift);
    ledger->found[address / WORD_UNIT_BYTES]++;
}

static void find_sessions(struct ledger *ledger) {
    for (uint32_t s = 0; s < WORLD_SESSIONS_MAX; s++) {
        const struct dm_session *session = ledger->world->session[s];
        if (session == NULL) {
            continue;
        }
        const struct slab *slab = &session->slab;
        for (uint64_t b = 0; b < layout_blocks(ledger->layout); b++) {
            const struct block *block = slab->blocks[b];
            for (uint32_t i = 0; block != NULL && i < block->objects; i++) {
                if ((block->bitmap[i / 64] >> (i % 64) & 1) != 0) {
                    found(ledger,
                          (b << ledger->layout->block_shift) + (uint64_t)i * sizeclass_bytes(block->size_class));
                }
            }
        }
        for (uint32_t c = 0; c < SIZECLASS_COUNT; c++) {
            if (slab->classes[c].reserved != 0) {
                found(ledger, slab->classes[c].reserved);
            }
        }
        for (uint64_t i = session->limbo.head; i != session->limbo.tail; i++) {
            found(ledger, session->limbo.ring[i & (session->limbo.capacity - 1)]);
        }
        for (uint32_t i = 0; i < session->foreign_count; i++) {
            found(ledger, session->foreign[i]);
        }
    }
}

static void find_slots(struct ledger *ledger) {
    for (uint32_t t = 0; t < ledger->layout->super.subtables; t++) {
        for (uint16_t slot = 0; slot < INDEX_SLOTS; slot++) {
            uint64_t word = check_word(ledger->world, t, slot, 0);
            if (word_kind(word) != WORD_EMPTY) {
                found(ledger, word_address(word));
            }
        }
    }
}

static bool is_marked(const struct ledger *ledger, uint64_t address) {
    const uint64_t *map = check_at(
        ledger->world, layout_free_map_address(ledger->layout, layout_block_number(ledger->layout, address)), 0);
    uint64_t unit = (address & (ledger->layout->super.block_bytes - 1)) / SIZECLASS_BYTES_MIN;
    return (map[unit / 64] >> (unit % 64) & 1) != 0;
}

static void check_map_empty(const struct ledger *ledger, uint64_t block) {
    const uint64_t *map = check_at(ledger->world, layout_free_map_address(ledger->layout, block), 0);
    for (uint32_t i = 0; i < ledger->layout->map_bytes / sizeof *map; i++) {
        assert_int_equal(map[i], 0);
    }
}

static bool is_live_client(const struct world *world, uint16_t client, uint64_t block) {
    for (uint32_t s = 0; s < WORLD_SESSIONS_MAX; s++) {
        const struct dm_session *session = world->session[s];
        if (session != NULL && session->client == client) {
            return session->slab.blocks[block] != NULL;
        }
    }
    return false;
}

static void count_block(const struct ledger *ledger, uint64_t b, uint64_t word, struct account *account) {
    uint32_t bytes = sizeclass_bytes(block_word_class(word));
    for (uint32_t i = 0; i < ledger->layout->super.block_bytes / bytes; i++) {
        uint64_t address = (b << ledger->layout->block_shift) + (uint64_t)i * bytes;
        uint32_t names = ledger->found[address / WORD_UNIT_BYTES];
        bool marked = is_marked(ledger, address);
        if (names + marked != 1) {
            fail_msg("object %llx of block %llu (state %d, class %u) is %s", (unsigned long long)address,
                     (unsigned long long)b, block_word_state(word), block_word_class(word),
                     names + marked == 0 ? "lost" : "had twice");
        }
        ledger->found[address / WORD_UNIT_BYTES] = 0;
        bool used = false;
        for (uint32_t t = 0; !marked && t < ledger->layout->super.subtables && !used; t++) {
            for (uint16_t slot = 0; slot < INDEX_SLOTS && !used; slot++) {
                uint64_t at = check_word(ledger->world, t, slot, 0);
                used = word_kind(at) != WORD_EMPTY && word_address(at) == address;
            }
        }
        *(used ? &account->objects_used : &account->objects_free) += 1;
        account->bytes_used += used ? bytes : 0;
    }
}

struct account account_pool(const struct world *world) {
    struct ledger ledger = {world, check_layout(world), NULL};
    struct account account = {0};
    uint64_t blocks = layout_blocks(ledger.layout);
    ledger.found = calloc(blocks << ledger.layout->block_shift, 1);
    assert_non_null(ledger.found);
    find_sessions(&ledger);
    find_slots(&ledger);
    for (uint64_t b = 0; b < blocks; b++) {
        uint64_t word = *(const uint64_t *)check_at(world, layout_block_word_address(ledger.layout, b), 0);
        if (block_word_state(word) == BLOCK_FREE) {
            check_map_empty(&ledger, b);
        } else if (block_word_state(word) != BLOCK_SYSTEM) {
            assert_true(block_word_is_orphan(word) || is_live_client(world, block_word_client(word), b));
            count_block(&ledger, b, word, &account);
        }
    }
    for (uint64_t u = 0; u < blocks << ledger.layout->block_shift >> 6; u++) {
        assert_int_equal(ledger.found[u], 0); /* nothing is named where no object begins */
    }
    free(ledger.found);
    return account;
}
