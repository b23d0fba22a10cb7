/* slab.c: see slab.h. */
#include "fusee/slab.h"

#include <string.h>

#include "assert.h"
#include "fusee/word.h"

bool slab_open(struct slab *slab, const struct layout *layout, const struct dm_env *env) {
    memset(slab, 0, sizeof *slab);
    slab->layout = layout;
    slab->env = env;
    slab->blocks = env->allocate(env->context, layout_blocks(layout) * sizeof *slab->blocks);
    return slab->blocks != NULL;
}

void slab_close(struct slab *slab) {
    for (uint64_t i = 0; i < layout_blocks(slab->layout); i++) {
        if (slab->blocks[i] != NULL) {
            slab->env->release(slab->env->context, slab->blocks[i]);
        }
    }
    while (slab->unused != NULL) {
        struct block *block = slab->unused;
        slab->unused = block->next;
        slab->env->release(slab->env->context, block);
    }
    slab->env->release(slab->env->context, slab->blocks);
}

static void block_list(struct slab *slab, struct block *block) {
    struct slab_class *class = &slab->classes[block->size_class];
    /* Behind the first: that one is used up before another is begun. */
    struct block *first = class->partial;
    block->previous = first;
    block->next = first == NULL ? NULL : first->next;
    if (first == NULL) {
        class->partial = block;
    } else {
        first->next = block;
    }
    if (block->next != NULL) {
        block->next->previous = block;
    }
    block->listed = true;
}

static void block_unlist(struct slab *slab, struct block *block) {
    struct slab_class *class = &slab->classes[block->size_class];
    if (block->previous == NULL) {
        class->partial = block->next;
    } else {
        block->previous->next = block->next;
    }
    if (block->next != NULL) {
        block->next->previous = block->previous;
    }
    block->previous = block->next = NULL;
    block->listed = false;
}

/* A zeroed struct with a bitmap that is long enough for the smallest class, so that it serves every class. */
static struct block *block_new(struct slab *slab) {
    uint64_t objects = slab->layout->super.block_bytes / SIZECLASS_BYTES_MIN;
    size_t bytes = sizeof(struct block) + (objects + 63) / 64 * sizeof(uint64_t);
    struct block *block = slab->unused;
    if (block == NULL) {
        return slab->env->allocate(slab->env->context, bytes);
    }
    slab->unused = block->next;
    memset(block, 0, bytes);
    return block;
}

struct block *slab_add(struct slab *slab, uint64_t number, uint64_t word, bool all_free) {
    uint8_t size_class = block_word_class(word);
    uint32_t objects = (uint32_t)(slab->layout->super.block_bytes / sizeclass_bytes(size_class));
    struct block *block = block_new(slab);
    if (block == NULL) {
        return NULL;
    }
    block->number = number;
    block->word = word;
    block->size_class = size_class;
    block->objects = objects;
    for (uint32_t i = 0; all_free && i < objects; i++) {
        block->bitmap[i / 64] |= UINT64_C(1) << (i % 64);
        block->free++;
    }
    dm_assert(slab->blocks[number] == NULL);
    slab->blocks[number] = block;
    slab->owned++;
    slab->classes[size_class].free += block->free;
    slab->free_bytes += (uint64_t)block->free * sizeclass_bytes(size_class);
    if (block->free != 0) {
        block_list(slab, block);
    }
    return block;
}

void slab_remove(struct slab *slab, struct block *block) {
    if (block->listed) {
        block_unlist(slab, block);
    }
    slab->classes[block->size_class].free -= block->free;
    slab->free_bytes -= (uint64_t)block->free * sizeclass_bytes(block->size_class);
    slab->blocks[block->number] = NULL;
    slab->owned--;
    block->next = slab->unused;
    slab->unused = block;
}

/* Takes a free object of the class; 0 when there is none. */
static uint64_t slab_pop(struct slab *slab, uint8_t size_class) {
    struct slab_class *class = &slab->classes[size_class];
    struct block *block = class->partial;
    if (block == NULL) {
        return 0;
    }
    uint32_t words = (block->objects + 63) / 64;
    while (block->bitmap[block->search] == 0) {
        block->search = block->search + 1 == words ? 0 : block->search + 1;
    }
    uint32_t bit = (uint32_t)__builtin_ctzll(block->bitmap[block->search]);
    block->bitmap[block->search] &= block->bitmap[block->search] - 1;
    uint32_t index = block->search * 64 + bit;
    block->free--;
    class->free--;
    slab->free_bytes -= sizeclass_bytes(size_class);
    if (block->free == 0) {
        block_unlist(slab, block);
    }
    return (block->number << slab->layout->block_shift) + (uint64_t)index * sizeclass_bytes(size_class);
}

bool slab_take(struct slab *slab, uint8_t size_class, struct slab_object *out) {
    struct slab_class *class = &slab->classes[size_class];
    if (class->reserved == 0) {
        class->reserved = slab_pop(slab, size_class);
    }
    uint64_t next = class->reserved == 0 ? 0 : slab_pop(slab, size_class);
    if (next == 0) {
        return false;
    }
    *out = (struct slab_object){
        .address = class->reserved,
        .next = next,
        .size_class = size_class,
    };
    class->reserved = next;
    return true;
}

void slab_give(struct slab *slab, uint64_t address) {
    struct block *block = slab_block_of(slab, address);
    dm_assert(block != NULL);
    uint32_t bytes = sizeclass_bytes(block->size_class);
    uint64_t offset = address & (slab->layout->super.block_bytes - 1);
    uint32_t index = (uint32_t)(offset / bytes);
    uint64_t bit = UINT64_C(1) << (index % 64);
    dm_assert(offset % bytes == 0 && (block->bitmap[index / 64] & bit) == 0);
    block->bitmap[index / 64] |= bit;
    block->free++;
    slab->classes[block->size_class].free++;
    slab->free_bytes += bytes;
    if (!block->listed) {
        block_list(slab, block);
    }
}

void slab_unreserve(struct slab *slab, uint8_t size_class) {
    struct slab_class *class = &slab->classes[size_class];
    if (class->reserved != 0) {
        slab_give(slab, class->reserved);
        class->reserved = 0;
    }
}
