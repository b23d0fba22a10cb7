/* scan.c: see scan.h; the call is dm_scan of dm.h. */
#include "fusee/scan.h"

#include "assert.h"
#include "fusee/intent.h"
#include "fusee/job.h"

#define SCAN_SLOTS_MAX (16u * INDEX_SLOTS) /* looked at in one call, whatever it finds */
#define SCAN_GROUPS_FIRST 2u               /* groups in the first READ; each next READ has twice as many */
#define GROUP_SLOTS (3u * INDEX_BUCKET_SLOTS)
#define GROUP_BYTES (GROUP_SLOTS * sizeof(uint64_t))
#define GROUPS_AT_A_TIME (DM_BATCH_OPS / GROUP_SLOTS) /* whose objects share a batch */
#define HEAD_BYTES 256u                               /* READ of each object: header and most keys */

struct scan_place scan_place_of(uint64_t cursor, uint8_t depth) {
    uint32_t hash = (uint32_t)(cursor >> (SCAN_GROUP_BITS + SCAN_DEPTH_BITS)) & ((1u << SCAN_HASH_BITS) - 1);
    uint32_t group = cursor & ((1u << SCAN_GROUP_BITS) - 1);
    return (struct scan_place){.prefix = hash >> (SCAN_HASH_BITS - depth), .group = group < INDEX_GROUPS ? group : 0};
}

uint64_t scan_cursor(struct scan_place place, uint8_t depth) {
    uint64_t hash = (uint64_t)place.prefix << (SCAN_HASH_BITS - depth);
    if (hash >> SCAN_HASH_BITS != 0) {
        return 0; /* behind the last subtable */
    }
    return (hash << SCAN_DEPTH_BITS | depth) << SCAN_GROUP_BITS | place.group;
}

struct scan {
    struct fusee_op *op;
    uint16_t space;
    dm_scan_fn *fn;
    void *context;
    struct scan_place place;
    uint32_t found, looked_at;
    uint64_t *slots; /* words of the groups read last */
    uint8_t *heads;  /* HEAD_BYTES for each object of a batch */
};

static uint64_t slot_address(const struct scan *scan, uint32_t slot) {
    return scan->op->session->pool->subtables[scan->place.prefix] + index_slot_offset((uint16_t)slot);
}

static uint32_t head_bytes(uint64_t word) {
    uint32_t bytes = sizeclass_bytes(word_class(word));
    return bytes < HEAD_BYTES ? bytes : HEAD_BYTES;
}

/* Adds a READ of the first `bytes` of a word's object. False: the word names no object of this pool. */
static bool post_head(struct scan *scan, uint64_t word, void *into, uint32_t bytes) {
    struct fusee_op *op = scan->op;
    const struct dm_pool *pool = op->session->pool;
    if (word_class(word) > pool->class_max ||
        !layout_is_object(&pool->layout, word_address(word), sizeclass_bytes(word_class(word)))) {
        return false;
    }
    uint16_t near = op_locate(op, pool->subtables[scan->place.prefix], 0).node;
    uint32_t replica = layout_replica_on(&op->session->layout, word_address(word), near);
    struct location at = op_locate(op, word_address(word), replica);
    dm_batch_read(&op->batch, at.node, at.offset, into, bytes);
    return true;
}

/* Passes one key on. `head` holds header and key of the object that a committed word of the primary names, so it is
 * whole; that it is what the word says, and the key undamaged, is checked. */
static enum dm_status pass(struct scan *scan, const void *head, uint64_t word, uint32_t slot) {
    struct dm_session *session = scan->op->session;
    const struct object_header *header = object_header(head);
    struct dm_key key = {object_key(head), header->key_length, header->space};
    if (word_identity(header->self) != word_identity(word) ||
        index_hash(&key, session->pool->hash_seed) != header->hash) {
        session->stats.objects_torn++;
        return DM_CORRUPT;
    }
    if (word_is_intent(word) && !intent_may_show_key(word, head)) {
        return DM_OK;
    }
    key.space = space_of_number(&session->spaces, header->space);
    if (key.space == DM_SPACE_ALL) { /* a flush has left it */
        job_add(session, slot_address(scan, slot), word);
        return DM_OK;
    }
    if (key.space != scan->space && scan->space != DM_SPACE_ALL) {
        return DM_OK;
    }
    const struct dm_env *env = session->env;
    int64_t now_ms = env->wall_ms(env->context);
    if (object_has_expired(header, now_ms)) {
        job_add(session, slot_address(scan, slot), word);
    }
    if (!object_shows(header, now_ms)) {
        return DM_OK;
    }
    scan->found++;
    scan->fn(scan->context, &(struct dm_scanned){.key = key,
                                                 .type = header->type,
                                                 .encoding = header->encoding,
                                                 .expire_ms = header->expire_ms,
                                                 .value_length = header->value_length});
    return DM_OK;
}

/* A key that is longer than a head: one more READ. */
static enum dm_status pass_long(struct scan *scan, const void *head, uint64_t word, uint32_t slot) {
    struct dm_session *session = scan->op->session;
    uint64_t bytes = sizeof(struct object_header) + (uint64_t)object_header(head)->key_length;
    if (word_identity(object_header(head)->self) != word_identity(word) || bytes > sizeclass_bytes(word_class(word))) {
        return DM_CORRUPT;
    }
    struct buffer *buffer = buffer_take(&session->buffers, (uint32_t)bytes);
    if (buffer == NULL) {
        return DM_BUSY;
    }
    op_batch_init(scan->op);
    enum dm_status status = post_head(scan, word, buffer->bytes, (uint32_t)bytes) ? op_execute(scan->op) : DM_CORRUPT;
    if (status == DM_OK) {
        status = pass(scan, buffer->bytes, word, slot);
    }
    buffer_give(&session->buffers, buffer);
    return status;
}

/* Fetches the objects of the live words among slots [first, end) of the groups that were read, and passes their keys
 * on. */
static enum dm_status pass_slots(struct scan *scan, const uint64_t *words, uint32_t first, uint32_t count) {
    uint32_t live[DM_BATCH_OPS];
    uint32_t lives = 0;
    op_batch_init(scan->op);
    for (uint32_t i = 0; i < count; i++) {
        if (!word_is_known(words[i])) {
            return DM_INCOMPATIBLE;
        }
        if (!word_is_live(words[i]) && !word_is_intent(words[i])) {
            continue;
        }
        if (!post_head(scan, words[i], scan->heads + lives * HEAD_BYTES, head_bytes(words[i]))) {
            return DM_CORRUPT;
        }
        live[lives++] = i;
    }
    enum dm_status status = lives == 0 ? DM_OK : op_execute(scan->op);
    for (uint32_t i = 0; i < lives && status == DM_OK; i++) {
        const void *head = scan->heads + i * HEAD_BYTES;
        uint64_t word = words[live[i]];
        bool fits = sizeof(struct object_header) + (uint64_t)object_header(head)->key_length <= head_bytes(word);
        status = (fits ? pass : pass_long)(scan, head, word, first + live[i]);
    }
    return status;
}

/* READs `groups` groups of the subtable at work and passes their keys on, until `count` are found. */
static enum dm_status scan_groups(struct scan *scan, uint32_t groups, uint32_t count) {
    struct fusee_op *op = scan->op;
    uint32_t first_group = scan->place.group;
    struct location at = op_locate(op, slot_address(scan, first_group * GROUP_SLOTS), 0);
    op_batch_init(op);
    dm_batch_read(&op->batch, at.node, at.offset, scan->slots, groups * (uint32_t)GROUP_BYTES);
    enum dm_status status = op_execute(op);
    for (uint32_t g = 0; g < groups && status == DM_OK && scan->found < count; g += GROUPS_AT_A_TIME) {
        uint32_t some = groups - g < GROUPS_AT_A_TIME ? groups - g : GROUPS_AT_A_TIME;
        status = pass_slots(scan, scan->slots + g * GROUP_SLOTS, (first_group + g) * GROUP_SLOTS, some * GROUP_SLOTS);
        scan->place.group += some;
        scan->looked_at += some * GROUP_SLOTS;
    }
    return status;
}

static enum dm_status scan_run(struct scan *scan, uint32_t count) {
    uint32_t subtables = scan->op->session->pool->layout.super.subtables;
    uint32_t groups = SCAN_GROUPS_FIRST;
    enum dm_status status = DM_OK;
    while (status == DM_OK && scan->place.prefix < subtables && scan->found < count &&
           scan->looked_at < SCAN_SLOTS_MAX) {
        uint32_t left = INDEX_GROUPS - scan->place.group;
        status = scan_groups(scan, groups < left ? groups : left, count);
        groups = groups < INDEX_GROUPS ? groups * 2 : groups;
        if (scan->place.group == INDEX_GROUPS) {
            scan->place = (struct scan_place){.prefix = scan->place.prefix + 1};
        }
    }
    return status;
}

enum dm_status dm_scan(struct dm_session *session, const struct dm_scan *request, uint64_t *cursor) {
    struct fusee_op *op = op_begin(session, DM_KIND_SCAN);
    if (op == NULL) {
        return session->refusal;
    }
    uint8_t depth = session->pool->depth;
    struct buffer *slots = buffer_take(&session->buffers, INDEX_SLOTS * sizeof(uint64_t));
    struct buffer *heads = buffer_take(&session->buffers, DM_BATCH_OPS * HEAD_BYTES);
    enum dm_status status = slots != NULL && heads != NULL ? DM_OK : DM_BUSY;
    if (status == DM_OK) {
        struct scan scan = {.op = op,
                            .space = request->space,
                            .fn = request->fn,
                            .context = request->context,
                            .place = scan_place_of(*cursor, depth),
                            .slots = (uint64_t *)slots->bytes,
                            .heads = heads->bytes};
        status = scan_run(&scan, request->count);
        *cursor = status == DM_OK ? scan_cursor(scan.place, depth) : *cursor;
    }
    if (heads != NULL) {
        buffer_give(&session->buffers, heads);
    }
    if (slots != NULL) {
        buffer_give(&session->buffers, slots);
    }
    op_end(op);
    return status;
}
