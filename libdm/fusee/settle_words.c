/* settle_words.c: see settle.h: block tables and index of the regions that have lost a replica. Everybody rests. */
#include <string.h>

#include "fusee/settle.h"

#define STRETCH_BYTES (64u << 10) /* of one replica, in one batch */

static struct location locate(const struct settle *settle, uint64_t address, uint32_t replica) {
    return layout_locate(&settle->next, address, replica);
}

static bool is_hit(const struct settle *settle, uint32_t region) {
    return settle->next.left[region] != settle->session->layout.left[region];
}

static bool has_moved(const struct settle *settle, uint32_t region) {
    uint64_t address = (uint64_t)region << settle->next.region_shift;
    return locate(settle, address, 0).node != layout_locate(&settle->session->layout, address, 0).node;
}

/* A stretch of words on all replicas, `bytes` apart. */
struct stretch {
    uint64_t address;
    uint32_t bytes;
    uint8_t *replica[LAYOUT_REPLICAS_MAX];
    uint32_t replicas;
};

static enum dm_status read_stretch(struct settle *settle, struct stretch *stretch) {
    struct dm_batch batch;
    dm_batch_init(&batch, &settle->session->stats.kind[DM_KIND_MAINTENANCE].cost);
    for (uint32_t j = 0; j < stretch->replicas; j++) {
        struct location at = locate(settle, stretch->address, j);
        dm_batch_read(&batch, at.node, at.offset, stretch->replica[j], stretch->bytes);
    }
    return settle_execute(settle, &batch);
}

/* WRITEs `words`, which lie in registered memory, where the replicas differ from them. */
static enum dm_status write_stretch(struct settle *settle, const struct stretch *stretch, const uint64_t *words) {
    struct dm_batch batch;
    enum dm_status status = DM_OK;
    dm_batch_init(&batch, &settle->session->stats.kind[DM_KIND_MAINTENANCE].cost);
    for (uint32_t j = 0; j < stretch->replicas; j++) {
        const uint64_t *there = (const uint64_t *)stretch->replica[j];
        for (uint32_t i = 0; i < stretch->bytes / sizeof *words && status == DM_OK; i++) {
            if (there[i] == words[i]) {
                continue;
            }
            struct location at = locate(settle, stretch->address + i * sizeof *words, j);
            dm_batch_write(&batch, at.node, at.offset, &words[i], sizeof words[i]);
            settle->words++;
            if (dm_batch_room(&batch) == 0) {
                status = settle_execute(settle, &batch);
                dm_batch_init(&batch, &settle->session->stats.kind[DM_KIND_MAINTENANCE].cost);
            }
        }
    }
    return status == DM_OK && batch.count != 0 ? settle_execute(settle, &batch) : status;
}

/* Makes the replicas of a stretch equal. */
static enum dm_status settle_stretch(struct settle *settle, uint64_t address, uint32_t bytes, bool slots) {
    struct dm_session *session = settle->session;
    uint32_t region = (uint32_t)(address >> settle->next.region_shift);
    struct stretch stretch = {.address = address, .bytes = bytes, .replicas = layout_replicas(&settle->next, address)};
    struct buffer *buffer = buffer_take(&session->buffers, bytes * (stretch.replicas + 1));
    if (buffer == NULL) {
        return settle_refuse(settle, DM_BUSY, "no memory");
    }
    for (uint32_t j = 0; j < stretch.replicas; j++) {
        stretch.replica[j] = buffer->bytes + (size_t)j * bytes;
    }
    uint64_t *words = (uint64_t *)(buffer->bytes + (size_t)stretch.replicas * bytes);
    enum dm_status status = read_stretch(settle, &stretch);
    if (status == DM_OK) {
        memcpy(words, stretch.replica[0], bytes);
    }
    for (uint32_t j = 0; j < stretch.replicas && slots && settle->any_dead && status == DM_OK; j++) {
        status = settle_dead_intents(settle, (const uint64_t *)stretch.replica[j]);
    }
    if (status == DM_OK && slots && settle->any_dead && has_moved(settle, region)) {
        status = settle_dead(settle, address, words);
    }
    status = status == DM_OK ? write_stretch(settle, &stretch, words) : status;
    buffer_give(&session->buffers, buffer);
    return status;
}

static enum dm_status settle_table(struct settle *settle, uint32_t region) {
    uint64_t address = (uint64_t)region << settle->next.region_shift;
    uint32_t bytes = settle->next.blocks_per_region * (uint32_t)sizeof(uint64_t);
    enum dm_status status = DM_OK;
    for (uint32_t at = 0; at < bytes && status == DM_OK; at += STRETCH_BYTES) {
        uint32_t some = bytes - at < STRETCH_BYTES ? bytes - at : STRETCH_BYTES;
        status = settle_stretch(settle, address + at, some, false);
    }
    return status;
}

/* Nobody knows what the lost primary's free maps said. */
static enum dm_status empty_maps(struct settle *settle, uint32_t region) {
    struct dm_session *session = settle->session;
    uint64_t address = ((uint64_t)region << settle->next.region_shift) + settle->next.free_maps_offset;
    uint64_t bytes = (uint64_t)settle->next.blocks_per_region * settle->next.map_bytes;
    struct buffer *buffer = buffer_take(&session->buffers, STRETCH_BYTES);
    if (buffer == NULL) {
        return settle_refuse(settle, DM_BUSY, "no memory");
    }
    memset(buffer->bytes, 0, STRETCH_BYTES);
    enum dm_status status = DM_OK;
    for (uint64_t at = 0; at < bytes && status == DM_OK; at += STRETCH_BYTES) {
        uint32_t some = bytes - at < STRETCH_BYTES ? (uint32_t)(bytes - at) : STRETCH_BYTES;
        struct location to = locate(settle, address + at, 0);
        struct dm_batch batch;
        dm_batch_init(&batch, &session->stats.kind[DM_KIND_MAINTENANCE].cost);
        dm_batch_write(&batch, to.node, to.offset, buffer->bytes, some);
        status = settle_execute(settle, &batch);
    }
    buffer_give(&session->buffers, buffer);
    return status;
}

/* The words of all blocks. */
static enum dm_status read_blocks(struct settle *settle) {
    struct dm_session *session = settle->session;
    uint32_t bytes = settle->next.blocks_per_region * (uint32_t)sizeof(uint64_t);
    struct buffer *buffer = buffer_take(&session->buffers, bytes);
    enum dm_status status = buffer == NULL ? settle_refuse(settle, DM_BUSY, "no memory") : DM_OK;
    for (uint32_t g = 0; g < settle->next.super.regions && status == DM_OK; g++) {
        struct location at = locate(settle, (uint64_t)g << settle->next.region_shift, 0);
        struct dm_batch batch;
        dm_batch_init(&batch, &session->stats.kind[DM_KIND_MAINTENANCE].cost);
        dm_batch_read(&batch, at.node, at.offset, buffer->bytes, bytes);
        status = settle_execute(settle, &batch);
        memcpy(settle->blocks + (size_t)g * settle->next.blocks_per_region, buffer->bytes, bytes);
    }
    if (buffer != NULL) {
        buffer_give(&session->buffers, buffer);
    }
    return status;
}

enum dm_status settle_words(struct settle *settle) {
    const struct superblock *super = &settle->next.super;
    enum dm_status status = DM_OK;
    for (uint32_t g = 0; g < super->regions && status == DM_OK; g++) {
        if (is_hit(settle, g)) {
            status = settle_table(settle, g);
        }
        if (status == DM_OK && has_moved(settle, g)) {
            settle->moved = true;
            status = empty_maps(settle, g);
        }
    }
    if (status == DM_OK && settle->any_dead) {
        status = read_blocks(settle);
    }
    for (uint32_t s = 0; s < super->subtables && status == DM_OK; s++) {
        uint64_t address = settle->session->pool->subtables[s];
        if (is_hit(settle, (uint32_t)(address >> settle->next.region_shift))) {
            status = settle_stretch(settle, address, INDEX_SUBTABLE_BYTES, true);
        }
    }
    return status;
}
