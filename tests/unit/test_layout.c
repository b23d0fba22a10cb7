/* test_layout.c: what lies where in a pool of any shape (fusee/layout.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fusee/layout.h"
#include "fusee/word.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)

struct shape {
    struct layout layout;
    struct region_replica *map;
};

static bool choose(struct shape *shape, const struct dm_pool_config *wish, uint32_t nodes, uint64_t node_bytes) {
    char error[256] = "";
    if (!layout_choose(&shape->layout, wish, nodes, node_bytes, error, sizeof error)) {
        assert_true(strlen(error) > 20);
        return false;
    }
    const struct superblock *super = &shape->layout.super;
    shape->map = malloc((size_t)super->regions * super->replicas * sizeof *shape->map);
    layout_map_rotate(&shape->layout, shape->map);
    shape->layout.map = shape->map;
    return true;
}

/* The parts of a node follow each other without overlap, all within its memory. */
static void check_node_parts(const struct layout *layout) {
    const struct superblock *super = &layout->super;
    assert_true(layout->region_map_offset >= sizeof(struct superblock));
    uint64_t map_bytes = (uint64_t)super->regions * super->replicas * sizeof(struct region_replica);
    assert_true(layout->directory_offset >= layout->region_map_offset + map_bytes);
    assert_true(layout->epoch_offset >= layout->directory_offset + (UINT64_C(16) << super->directory_depth));
    assert_true(layout->announce_offset >= layout->epoch_offset + sizeof(struct epoch_line));
    assert_true(layout->clients_offset >= layout->announce_offset + super->clients * 8u);
    assert_true(layout->regions_offset >=
                layout->clients_offset + (uint64_t)super->clients * sizeof(struct client_record));
    assert_true(UINT64_C(1) << super->directory_depth >= super->subtables);
}

static void check_region_parts(const struct layout *layout) {
    const struct superblock *super = &layout->super;
    assert_true(layout->free_maps_offset >= layout->blocks_per_region * UINT64_C(8));
    assert_true((uint64_t)layout->map_bytes * 8 >= super->block_bytes / SIZECLASS_BYTES_MIN);
    assert_int_equal(layout->map_bytes % 8, 0);
    assert_true(layout->subtables_offset >=
                layout->free_maps_offset + (uint64_t)layout->blocks_per_region * layout->map_bytes);
    uint64_t end = layout->subtables_offset + (uint64_t)layout->subtables_per_region * INDEX_SUBTABLE_BYTES;
    assert_true((uint64_t)layout->system_blocks * super->block_bytes >= end);
    assert_true(layout->system_blocks < layout->blocks_per_region);
    assert_true((uint64_t)layout->subtables_per_region * super->regions >= super->subtables);
}

/* Replicas of a region on different nodes, every frame used once and within its node. */
static void check_map(const struct layout *layout) {
    const struct superblock *super = &layout->super;
    uint64_t frames = (super->node_bytes - layout->regions_offset) / super->region_bytes;
    uint8_t *used = calloc(super->nodes, frames);
    for (uint32_t g = 0; g < super->regions; g++) {
        for (uint32_t j = 0; j < super->replicas; j++) {
            const struct region_replica *at = &layout->map[g * super->replicas + j];
            assert_true(at->node < super->nodes && at->frame < frames);
            assert_int_equal(used[at->node * frames + at->frame]++, 0);
            for (uint32_t k = 0; k < j; k++) {
                assert_int_not_equal(at->node, layout->map[g * super->replicas + k].node);
            }
            uint64_t address = ((uint64_t)g << layout->region_shift) + 64;
            assert_int_equal(layout_replica_on(layout, address, (uint16_t)at->node), j);
            struct location where = layout_locate(layout, address, j);
            assert_int_equal(where.node, at->node);
            assert_int_equal(where.offset, layout->regions_offset + at->frame * super->region_bytes + 64);
        }
    }
    free(used);
}

static void check_subtables(const struct layout *layout) {
    for (uint32_t s = 0; s < layout->super.subtables && s < 5000; s++) {
        uint64_t address = layout_subtable_address(layout, s);
        uint64_t offset = address & (layout->super.region_bytes - 1);
        assert_true(address >> layout->region_shift < layout->super.regions);
        assert_int_equal(address % 64, 0);
        assert_true(offset >= layout->subtables_offset &&
                    offset + INDEX_SUBTABLE_BYTES <= (uint64_t)layout->system_blocks << layout->block_shift);
        if (s >= layout->super.regions) {
            assert_int_equal(address,
                             layout_subtable_address(layout, s - layout->super.regions) + INDEX_SUBTABLE_BYTES);
        }
    }
}

static void every_shape_is_free_of_overlap(void **state) {
    (void)state;
    const uint64_t sizes[] = {MIB, MIB + 12345, 3 * MIB, 16 * MIB, 63 * MIB, 64 * MIB, 100 * MIB, GIB, 10 * GIB};
    const uint32_t subtables[] = {0, 1, 64};
    uint32_t chosen = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (uint32_t nodes = 1; nodes <= 9; nodes++) {
            for (uint32_t replicas = 0; replicas <= 4; replicas++) {
                for (size_t s = 0; s < 3; s++) {
                    struct shape shape;
                    struct dm_pool_config wish = {.replicas = replicas, .subtables = subtables[s]};
                    if (choose(&shape, &wish, nodes, sizes[i])) {
                        check_node_parts(&shape.layout);
                        check_region_parts(&shape.layout);
                        check_map(&shape.layout);
                        check_subtables(&shape.layout);
                        free(shape.map);
                        chosen++;
                    } else {
                        assert_true(replicas > nodes || (sizes[i] < 4 * MIB && subtables[s] == 64));
                    }
                }
            }
        }
    }
    assert_true(chosen > 800);
}

static void defaults_are_sensible(void **state) {
    (void)state;
    struct shape shape;
    assert_true(choose(&shape, &(struct dm_pool_config){0}, 1, 64 * MIB));
    assert_int_equal(shape.layout.super.replicas, 1);
    free(shape.map);
    assert_true(choose(&shape, &(struct dm_pool_config){0}, 3, 256 * MIB));
    assert_int_equal(shape.layout.super.replicas, 2);
    uint64_t used = layout_data_blocks(&shape.layout) * shape.layout.super.block_bytes;
    assert_true(used > UINT64_C(256) * 3 / 2 * MIB * 8 / 10); /* at least 80 % of the memory is for data */
    assert_true(layout_reserve_blocks(&shape.layout) < layout_data_blocks(&shape.layout) / 10);
    free(shape.map);
}

static void addresses_of_blocks_and_their_words_are_unique(void **state) {
    (void)state;
    struct shape shape;
    struct dm_pool_config wish = {.replicas = 2, .region_bytes = 256 * KIB, .block_bytes = 16 * KIB};
    assert_true(choose(&shape, &wish, 3, 2 * MIB));
    const struct layout *layout = &shape.layout;
    for (uint64_t b = 0; b < layout_blocks(layout); b++) {
        uint64_t address = b << layout->block_shift;
        assert_int_equal(layout_block_number(layout, address), b);
        assert_int_equal(layout_block_number(layout, address + layout->super.block_bytes - 1), b);
        uint64_t word = layout_block_word_address(layout, b);
        uint64_t map = layout_free_map_address(layout, b);
        assert_int_equal(word >> layout->region_shift, address >> layout->region_shift);
        assert_int_equal(map >> layout->region_shift, address >> layout->region_shift);
        if (b % layout->blocks_per_region != 0) {
            assert_int_equal(word, layout_block_word_address(layout, b - 1) + 8);
            assert_int_equal(map, layout_free_map_address(layout, b - 1) + layout->map_bytes);
        }
        bool data = b % layout->blocks_per_region >= layout->system_blocks;
        assert_int_equal(layout_is_object(layout, address, 128), data);
    }
    uint64_t end = (uint64_t)layout->super.regions << layout->region_shift;
    assert_true(layout_is_object(layout, end - 128, 128));
    assert_false(layout_is_object(layout, end - 64, 128));
    assert_false(layout_is_object(layout, end, 128));
    assert_false(layout_is_object(layout, WORD_ADDRESS_MASK * 64, 128));
    free(shape.map);
}

static void wishes_that_cannot_be_are_refused(void **state) {
    (void)state;
    static const struct {
        struct dm_pool_config wish;
        uint32_t nodes;
        uint64_t node_bytes;
    } refused[] = {
        {{.replicas = 2}, 1, 64 * MIB},
        {{.replicas = 5}, 8, 64 * MIB},
        {{.region_bytes = 3 * MIB}, 1, 64 * MIB},
        {{.region_bytes = 32 * KIB}, 1, 64 * MIB},
        {{.region_bytes = 128 * GIB}, 1, 256 * GIB},
        {{.region_bytes = 128 * MIB}, 1, 64 * MIB},
        {{.block_bytes = 8 * KIB}, 1, 64 * MIB},
        {{.block_bytes = 48 * KIB}, 1, 64 * MIB},
        {{.block_bytes = 32 * MIB}, 1, GIB},
        {{.region_bytes = 64 * KIB, .block_bytes = 32 * KIB}, 1, 64 * MIB},
        {{.subtables = 3}, 1, 64 * MIB},
        {{.subtables = 2u << 20}, 1, 64 * MIB},
        {{.subtables = 1u << 20}, 1, 64 * MIB},
        {{0}, 1, MIB - 1},
        {{0}, 1, 0},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct shape shape;
        if (choose(&shape, &refused[i].wish, refused[i].nodes, refused[i].node_bytes)) {
            fail_msg("wish %zu was not refused", i);
        }
    }
}

/* ---- Superblock ------------------------------------------------------------------------------------------------- */

static bool accepts(const struct superblock *super) {
    struct layout layout;
    char error[256] = "";
    bool accepted = layout_from_superblock(&layout, super, error, sizeof error);
    assert_true(accepted || strlen(error) > 20);
    return accepted;
}

static struct superblock good_superblock(void) {
    struct shape shape;
    assert_true(choose(&shape, &(struct dm_pool_config){.replicas = 2}, 3, 64 * MIB));
    free(shape.map);
    shape.layout.super.pool_id = 77;
    shape.layout.super.crc = superblock_crc(&shape.layout.super);
    return shape.layout.super;
}

static void a_superblock_gives_back_the_layout_that_made_it(void **state) {
    (void)state;
    struct shape shape;
    struct layout read;
    char error[256];
    assert_true(choose(&shape, &(struct dm_pool_config){.replicas = 3}, 4, 64 * MIB));
    shape.layout.super.crc = superblock_crc(&shape.layout.super);
    assert_true(layout_from_superblock(&read, &shape.layout.super, error, sizeof error));
    read.map = shape.map;
    assert_memory_equal(&read, &shape.layout, sizeof read);
    free(shape.map);
}

static void no_flipped_bit_of_a_superblock_goes_unnoticed(void **state) {
    (void)state;
    struct superblock super = good_superblock();
    assert_true(accepts(&super));
    uint8_t *bytes = (uint8_t *)&super;
    for (size_t i = offsetof(struct superblock, magic) * 8; i < sizeof super * 8; i++) {
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_false(accepts(&super));
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
    }
}

struct figure {
    const char *name;
    size_t offset, bytes;
    uint64_t value;
};

#define FIGURE(field, value)                                                                                           \
    { #field " = " #value, offsetof(struct superblock, field), sizeof(((struct superblock *)0)->field), value }

/* Figures that no pool of this version can have, under a right checksum: a bug or malice elsewhere. The pool is one of
 * three nodes of 64 MiB, r = 2. */
static const struct figure impossible[] = {
    FIGURE(region_bytes, 3 * MIB),
    FIGURE(region_bytes, 0),
    FIGURE(region_bytes, UINT64_C(1) << 62),
    FIGURE(region_bytes, 64 * MIB), /* none fits beside the rest of a node */
    FIGURE(block_bytes, 0),
    FIGURE(block_bytes, 64 * MIB),
    FIGURE(block_bytes, 12345),
    FIGURE(block_bytes, 2048), /* below the smallest */
    FIGURE(nodes, 0),
    FIGURE(nodes, DM_NODES_MAX + 1),
    FIGURE(replicas, 0),
    FIGURE(replicas, 4),
    FIGURE(regions, 0),
    FIGURE(regions, LAYOUT_REGIONS_MAX + 1),
    FIGURE(regions, 5000), /* more than the nodes have room for */
    FIGURE(subtables, 0),
    FIGURE(subtables, 7),
    FIGURE(subtables, 1u << 20), /* no room for them in the regions */
    FIGURE(directory_depth, 60),
    FIGURE(directory_depth, 0), /* fewer leaves than subtables */
    FIGURE(clients, 0),
    FIGURE(clients, 65536),
};

static void impossible_figures_are_refused(void **state) {
    (void)state;
    uint32_t accepted = 0;
    for (size_t i = 0; i < sizeof impossible / sizeof impossible[0]; i++) {
        struct superblock super = good_superblock();
        memcpy((uint8_t *)&super + impossible[i].offset, &impossible[i].value, impossible[i].bytes);
        super.crc = superblock_crc(&super);
        if (accepts(&super)) {
            printf("accepted: %s\n", impossible[i].name);
            accepted++;
        }
    }
    assert_int_equal(accepted, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_is_free_of_overlap),
        cmocka_unit_test(defaults_are_sensible),
        cmocka_unit_test(addresses_of_blocks_and_their_words_are_unique),
        cmocka_unit_test(wishes_that_cannot_be_are_refused),
        cmocka_unit_test(a_superblock_gives_back_the_layout_that_made_it),
        cmocka_unit_test(no_flipped_bit_of_a_superblock_goes_unnoticed),
        cmocka_unit_test(impossible_figures_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
