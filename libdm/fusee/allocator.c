/* allocator.c: see allocator.h. The allocator's fast path is slab_take; all else is rare. */
#include "fusee/allocator.h"

#include "assert.h"
#include "fusee/block.h"
#include "fusee/epoch.h"

#define COLLECT_EVERY_NS UINT64_C(50000000) /* free maps of a class are read so often at the most */
#define WAIT_NS UINT64_C(2000000)           /* a writer that waits for the grace period looks so often */
#define WAIT_MAX_NS UINT64_C(500000000)     /* and gives up after so long, */
#define WAIT_OTHERS_NS UINT64_C(250000000)  /* or after so long, if all that can come is what others give back, */
#define WAIT_ESSENTIAL_MAX_NS UINT64_C(10000000000) /* a delete much later */
#define REFUSE_NS UINT64_C(100000000)               /* then others of its class are refused at once for so long */
#define SHED_NS UINT64_C(1000000000)                /* others' need is answered for so long */
#define CENSUS_EVERY_NS UINT64_C(1000000000)        /* so that INFO tells what others have taken */
#define ACQUIRE_TRIES 8
#define FOREIGN_MIN 1024u
#define FOREIGN_MAX (1u << 22)
#define RELEASES_AT_A_TIME 64u
#define WASTE_FACTOR 2u   /* of the bytes that a write needs, rather than be refused */
#define PRESSURE_SHIFT 6u /* of what is random in the pressure word; below it the class that somebody lacks, and 1 */
#define ESSENTIAL_BYTES_MAX 512u /* of the objects that a block of the reserve is cut into: tombstones of usual keys */

static bool is_small(uint8_t size_class) { return sizeclass_bytes(size_class) <= ESSENTIAL_BYTES_MAX; }

/* The block that deletes have taken from the reserve; NULL = none. */
static const struct block *reserve_block(const struct dm_session *session) {
    return session->reserve_block == 0 ? NULL : session->slab.blocks[session->reserve_block - 1];
}

/* As long as only the reserve is left, writers leave to deletes what these have taken from it (trap T13). */
static bool may_take(const struct dm_session *session, uint8_t size_class, enum allocator_need need) {
    if (need != NEED_USUAL || !session->memory_low) {
        return true;
    }
    const struct block *kept = reserve_block(session);
    return kept == NULL || kept->size_class != size_class || session->slab.classes[size_class].free > kept->objects;
}

/* The head of a class's log list, once: in the client record on as many nodes as an object has replicas. */
static enum dm_status write_log_head(struct dm_session *session, uint8_t size_class, uint64_t address) {
    const struct layout *layout = &session->pool->layout;
    struct fusee_op *op = op_begin(session, DM_KIND_MAINTENANCE);
    if (op == NULL) {
        return session->refusal;
    }
    op->slot_word = address;
    uint64_t offset = layout->clients_offset + (uint64_t)session->client * LAYOUT_CLIENT_BYTES +
                      offsetof(struct client_record, log_head) + size_class * sizeof(uint64_t);
    op_batch_init(op);
    for (uint32_t c = 0; c < session->members.control_count; c++) {
        dm_batch_write(&op->batch, session->members.control[c], offset, &op->slot_word, sizeof op->slot_word);
    }
    enum dm_status status = op_execute(op);
    op_end(op);
    return status;
}

static bool try_take(struct dm_session *session, uint8_t size_class, enum allocator_need need,
                     struct slab_object *out) {
    if (!may_take(session, size_class, need) || !slab_take(&session->slab, size_class, out)) {
        return false;
    }
    session->stats.objects_allocated++;
    return true;
}

/* One object of the block is in use, or none: the reserved one if it holds that. (Where a block is one object, an
 * operation needs two blocks, and must keep the first until it has the second.) */
static bool only_reserved(const struct block *block) { return block->free != 0 && block->free + 1 >= block->objects; }

/* Takes the class's reserved object back, so that its block can go. The class's log list ends, another one begins. */
static void end_list(struct dm_session *session, uint8_t size_class) {
    slab_unreserve(&session->slab, size_class);
    session->slab.classes[size_class].head_written = false;
}

/* Returns empty blocks to the pool; of each class the one that it allocates from, and that of the reserved object, are
 * kept unless `all`. */
static enum dm_status release_empty(struct dm_session *session, bool all) {
    uint32_t released = 0;
    for (uint8_t c = 0; c < SIZECLASS_COUNT; c++) {
        struct slab_class *class = &session->slab.classes[c];
        if (all && class->reserved != 0 && only_reserved(slab_block_of(&session->slab, class->reserved))) {
            end_list(session, c);
        }
        struct block *block = all || class->partial == NULL ? class->partial : class->partial->next;
        while (block != NULL && released < RELEASES_AT_A_TIME) {
            if (!slab_block_empty(block)) {
                block = block->next;
                continue;
            }
            enum dm_status status = block_release(session, block);
            if (status != DM_OK) {
                return status;
            }
            released++;
            block = all || class->partial == NULL ? class->partial : class->partial->next;
        }
    }
    session->has_empty = released == RELEASES_AT_A_TIME;
    return DM_OK;
}

/* Tells all other clients that somebody has run out of memory, and for which class. */
static enum dm_status write_pressure(struct dm_session *session, uint8_t size_class) {
    struct fusee_op *op = op_begin(session, DM_KIND_MAINTENANCE);
    if (op == NULL) {
        return session->refusal;
    }
    op->slot_word = session->env->random_u64(session->env->context) << PRESSURE_SHIFT | (uint64_t)size_class << 1 | 1;
    session->pressure_seen = op->slot_word; /* not meant for ourselves */
    op_batch_init(op);
    uint64_t offset = session->pool->layout.epoch_offset + offsetof(struct epoch_line, pressure);
    dm_batch_write(&op->batch, 0, offset, &op->slot_word, sizeof op->slot_word);
    enum dm_status status = op_execute(op);
    op_end(op);
    return status;
}

/* Free blocks that a request leaves to others: the reserve; of which an essential request that is not small (EXPIRE of
 * a large value) leaves a half, and one that has got its block of it already leaves one to each other client, so that
 * deletes always find theirs. A repair leaves nothing: what is missing may be what it will give back. */
static uint64_t kept_back(const struct dm_session *session, uint8_t size_class, enum allocator_need need) {
    uint64_t reserve = block_reserve(session);
    if (need == NEED_USUAL) {
        return reserve;
    }
    if (need == NEED_REPAIR) {
        return 0;
    }
    uint64_t others = session->clients_active > 1 ? session->clients_active - 1 : 0;
    return !is_small(size_class) ? reserve / 2 : reserve_block(session) != NULL ? others : 0;
}

/* Counts the blocks and takes one; the first one from the reserve for deletes of all usual keys. DM_NO_MEMORY: there
 * is none that this request may have. */
static enum dm_status acquire(struct dm_session *session, uint8_t size_class, enum allocator_need need) {
    for (int i = 0; i < ACQUIRE_TRIES; i++) {
        struct block_census census;
        enum dm_status status = block_count(session, size_class, &census);
        if (status != DM_OK) {
            return status;
        }
        bool fresh = census.found && block_word_state(census.word) == BLOCK_FREE;
        if (!census.found || (fresh && census.free <= kept_back(session, size_class, need))) {
            return DM_NO_MEMORY;
        }
        bool of_reserve = fresh && session->memory_low && need == NEED_ESSENTIAL && is_small(size_class) &&
                          reserve_block(session) == NULL;
        status = block_acquire(session, of_reserve ? sizeclass_for(ESSENTIAL_BYTES_MAX) : size_class, &census);
        if (status == DM_OK && of_reserve) {
            session->reserve_block = census.candidate + 1;
        }
        if (status != DM_BUSY) {
            return status;
        }
    }
    return DM_BUSY;
}

/* Finds memory for one class; the caller tries again afterwards. DM_NO_MEMORY: nothing found this time. */
static enum dm_status refill(struct dm_session *session, uint8_t size_class, enum allocator_need need) {
    struct slab_class *class = &session->slab.classes[size_class];
    uint64_t had = class->free;
    enum dm_status status = DM_OK;
    if (limbo_count(&session->limbo) != 0) {
        status = epoch_tick(session);
    }
    if (status == DM_OK && session->now_ns - session->collected_ns[size_class] > COLLECT_EVERY_NS) {
        session->collected_ns[size_class] = session->now_ns;
        status = block_collect(session, size_class);
    }
    if (status != DM_OK || (class->free > had && class->free > 1 && may_take(session, size_class, need))) {
        return status;
    }
    status = acquire(session, size_class, need);
    if (status == DM_NO_MEMORY) {
        uint32_t owned = session->slab.owned;
        enum dm_status released = release_empty(session, true);
        if (released != DM_OK) {
            return released;
        }
        status = session->slab.owned < owned ? acquire(session, size_class, need) : DM_NO_MEMORY;
    }
    return status;
}

static enum dm_status refuse(struct dm_session *session, uint8_t size_class) {
    session->refused_until_ns[size_class] = session->now_ns + REFUSE_NS;
    session->stats.out_of_memory++;
    return DM_NO_MEMORY;
}

/* Is anything on its way back that waiting would bring? Others at work answer our need in their next ticks. */
static bool allocator_coming(const struct dm_session *session, uint64_t began_ns) {
    return limbo_count(&session->limbo) != 0 || session->job_count != 0 ||
           (session->clients_active > 1 && session->now_ns < began_ns + WAIT_OTHERS_NS);
}

/* Looks for memory once. */
static enum dm_status refill_alone(struct dm_session *session, uint8_t size_class, enum allocator_need need,
                                   bool *pressed) {
    if (session->memory_busy || (need == NEED_USUAL && session->essential_waits != 0)) {
        return DM_BUSY; /* another operation is at it, or is to be next */
    }
    session->memory_busy = true;
    enum dm_status status = refill(session, size_class, need);
    if (status == DM_NO_MEMORY && !*pressed) {
        *pressed = true;
        enum dm_status told = write_pressure(session, size_class);
        told = told == DM_OK ? epoch_tick(session) : told; /* is there anybody to hear it? */
        status = told == DM_OK ? status : told;
    }
    session->memory_busy = false;
    return status;
}

/* An object of a larger class, of so many bytes at the most. */
static bool take_larger(struct dm_session *session, uint8_t size_class, enum allocator_need need, uint32_t bytes_max,
                        struct slab_object *out) {
    for (uint8_t c = size_class + 1; c <= session->pool->class_max && sizeclass_bytes(c) <= bytes_max; c++) {
        if (try_take(session, c, need, out)) {
            return true;
        }
    }
    return false;
}

/* How much larger: a delete would rather waste any object than fail; a write wastes half of one. */
static uint32_t bytes_most(uint8_t size_class, enum allocator_need need) {
    return need == NEED_USUAL ? WASTE_FACTOR * sizeclass_bytes(size_class) : UINT32_MAX;
}

static enum dm_status wait_for_memory(struct fusee_op *op, uint8_t size_class, enum allocator_need need,
                                      struct slab_object *out, bool *waited) {
    struct dm_session *session = op->session;
    session->now_ns = pool_clock_ns(session->pool);
    if (need == NEED_USUAL && session->now_ns < session->refused_until_ns[size_class]) {
        if (take_larger(session, size_class, need, bytes_most(size_class, need), out)) {
            return DM_OK;
        }
        session->stats.out_of_memory++;
        return DM_NO_MEMORY;
    }
    uint64_t began_ns = session->now_ns;
    uint64_t deadline_ns = began_ns + (need != NEED_USUAL ? WAIT_ESSENTIAL_MAX_NS : WAIT_MAX_NS);
    for (bool pressed = false;;) {
        bool essential = need != NEED_USUAL;
        if (essential && session->memory_low && take_larger(session, size_class, need, ESSENTIAL_BYTES_MAX, out)) {
            return DM_OK; /* what is there for deletes */
        }
        enum dm_status status = refill_alone(session, size_class, need, &pressed);
        if (try_take(session, size_class, need, out) ||
            (essential &&
             take_larger(session, size_class, need, status == DM_NO_MEMORY ? UINT32_MAX : ESSENTIAL_BYTES_MAX, out))) {
            return DM_OK;
        }
        if (status == DM_OK) {
            continue; /* a block was taken, but has nothing free yet: look for another */
        }
        session->now_ns = pool_clock_ns(session->pool);
        if (status != DM_NO_MEMORY && status != DM_BUSY) {
            return status;
        }
        bool hopeless = status == DM_NO_MEMORY && need == NEED_USUAL && !allocator_coming(session, began_ns);
        if (session->now_ns > deadline_ns || hopeless) {
            bool larger = take_larger(session, size_class, need, bytes_most(size_class, need), out);
            return larger ? DM_OK : refuse(session, size_class);
        }
        session->stats.reclaim_deferred += status == DM_NO_MEMORY;
        if (!*waited) {
            *waited = true;
            op_leave(op);
        }
        dm_coro_sleep(session->sched, WAIT_NS);
    }
}

/* Deletes go before writes: a look for memory can take long, and a delete brings some. */
static enum dm_status take_slowly(struct fusee_op *op, uint8_t size_class, enum allocator_need need,
                                  struct slab_object *out, bool *waited) {
    struct dm_session *session = op->session;
    session->essential_waits += need != NEED_USUAL;
    enum dm_status status = wait_for_memory(op, size_class, need, out, waited);
    session->essential_waits -= need != NEED_USUAL;
    return status;
}

enum dm_status allocator_take(struct fusee_op *op, uint8_t size_class, enum allocator_need need,
                              struct slab_object *out, bool *waited) {
    struct dm_session *session = op->session;
    *waited = false;
    if (!try_take(session, size_class, need, out)) {
        enum dm_status status = take_slowly(op, size_class, need, out, waited);
        enum dm_status entered = *waited ? op_enter(op) : DM_OK;
        if (status != DM_OK || entered != DM_OK) {
            return status != DM_OK ? status : entered;
        }
    }
    struct slab_class *class = &session->slab.classes[out->size_class];
    if (class->head_written) {
        return DM_OK;
    }
    class->head_written = true;
    enum dm_status status = write_log_head(session, out->size_class, out->address);
    if (status != DM_OK) {
        class->head_written = false;
        allocator_give_back(session, out);
    }
    return status;
}

bool allocator_try(struct dm_session *session, uint8_t size_class, struct slab_object *out) {
    return session->slab.classes[size_class].head_written && try_take(session, size_class, NEED_USUAL, out);
}

bool allocator_refill(struct dm_session *session, uint8_t size_class) {
    bool pressed = true; /* who waits for memory tells the others */
    session->now_ns = pool_clock_ns(session->pool);
    return session->slab.classes[size_class].head_written &&
           refill_alone(session, size_class, NEED_USUAL, &pressed) == DM_OK;
}

void allocator_return(struct dm_session *session, const struct slab_object *object) {
    struct block *block = slab_block_of(&session->slab, object->address);
    if (block == NULL || session->watch.sweeping) { /* the sweep follows what goes through the limbo */
        allocator_give_back(session, object);
        return;
    }
    session->stats.objects_freed++;
    slab_give(&session->slab, object->address);
    session->has_empty |= only_reserved(block);
}

void allocator_give_back(struct dm_session *session, const struct slab_object *object) {
    allocator_free(session, object->address / WORD_UNIT_BYTES);
}

/* Marks that are still owed hold the epoch up, so that others can tell from it when they are made (sweep.h). */
static void hold_epoch(struct dm_session *session) {
    session->foreign_epoch = session->epoch;
    session->in_flight[session->foreign_epoch % EPOCH_RING]++;
}

static void push_foreign(struct dm_session *session, uint64_t address) {
    if (session->foreign_count == session->foreign_capacity) {
        uint32_t capacity = session->foreign_capacity == 0 ? FOREIGN_MIN : session->foreign_capacity * 2;
        uint64_t *larger =
            capacity > FOREIGN_MAX ? NULL : session->env->allocate(session->env->context, capacity * sizeof *larger);
        if (larger == NULL) {
            pool_log(session->pool, DM_LOG_WARNING, "no memory to note a freed object: it stays used for now");
            return;
        }
        for (uint32_t i = 0; i < session->foreign_count; i++) {
            larger[i] = session->foreign[i];
        }
        if (session->foreign != NULL) {
            session->env->release(session->env->context, session->foreign);
        }
        session->foreign = larger;
        session->foreign_capacity = capacity;
    }
    if (session->foreign_count == 0) {
        hold_epoch(session);
    }
    session->foreign[session->foreign_count++] = address;
}

void allocator_free(struct dm_session *session, uint64_t word) {
    uint64_t address = word_address(word);
    if (slab_block_of(&session->slab, address) == NULL) {
        push_foreign(session, address);
        return;
    }
    session->stats.objects_freed++;
    if (!limbo_push(&session->limbo, address)) {
        pool_log(session->pool, DM_LOG_WARNING, "no memory to note a freed object: it stays used for now");
    }
}

void allocator_drain(struct dm_session *session) {
    uint64_t address;
    while (limbo_pop(&session->limbo, session->epoch, &address)) {
        struct block *block = slab_block_of(&session->slab, address);
        if (block == NULL) {
            push_foreign(session, address); /* given up meanwhile */
            continue;
        }
        slab_give(&session->slab, address);
        session->has_empty |= only_reserved(block);
    }
}

void allocator_note_pressure(struct dm_session *session, uint64_t pressure) {
    if (pressure != session->pressure_seen) {
        session->pressure_seen = pressure;
        session->shed_until_ns = session->now_ns + SHED_NS;
        session->has_empty = true; /* more counts as empty now */
        session->give_up = true;
        session->give_up_class = (uint8_t)(pressure >> 1) % SIZECLASS_COUNT;
    }
}

/* Does the log of its class name an object of this block as the next? */
static bool holds_reserved(const struct dm_session *session, const struct block *block) {
    uint64_t reserved = session->slab.classes[block->size_class].reserved;
    return reserved != 0 && slab_block_of(&session->slab, reserved) == block;
}

/* Gives up blocks that are largely free, but for the one that each class allocates from. */
static enum dm_status shed(struct dm_session *session) {
    for (uint8_t c = 0; c < SIZECLASS_COUNT; c++) {
        if (session->now_ns - session->collected_ns[c] > COLLECT_EVERY_NS) {
            session->collected_ns[c] = session->now_ns;
            enum dm_status status = block_collect(session, c);
            if (status != DM_OK) {
                return status;
            }
        }
        struct block *block = session->slab.classes[c].partial;
        block = block == NULL ? NULL : block->next;
        while (block != NULL) {
            struct block *next = block->next;
            if (block->free >= block->objects / 4 && !holds_reserved(session, block)) {
                enum dm_status status = block_release(session, block);
                if (status != DM_OK) {
                    return status;
                }
                next = session->slab.classes[c].partial == NULL ? NULL : session->slab.classes[c].partial->next;
            }
            block = next;
        }
    }
    return DM_OK;
}

/* Gives up the blocks of the class that somebody lacks, if they are largely free, the one that we allocate from among
 * them: where blocks are few, sessions use those of a class by turns. */
static enum dm_status give_up(struct dm_session *session) {
    uint8_t c = session->give_up_class;
    enum dm_status status = DM_OK;
    session->give_up = false;
    struct block *block = session->slab.classes[c].partial;
    while (block != NULL && status == DM_OK) {
        if (block == reserve_block(session) || block->free < block->objects / 4) {
            block = block->next;
            continue;
        }
        if (holds_reserved(session, block)) {
            end_list(session, c);
        }
        status = block_release(session, block);
        block = session->slab.classes[c].partial;
    }
    return status;
}

enum dm_status allocator_maintain(struct dm_session *session) {
    if (session->memory_busy) {
        return DM_OK;
    }
    session->memory_busy = true;
    bool urgent = session->essential_waits != 0; /* do nothing now that can wait */
    enum dm_status status = DM_OK;
    if (session->foreign_count != 0) {
        uint64_t *addresses = session->foreign;
        uint32_t count = session->foreign_count;
        uint32_t capacity = session->foreign_capacity;
        uint64_t epoch = session->foreign_epoch;
        session->foreign = NULL; /* others may push meanwhile */
        session->foreign_count = session->foreign_capacity = 0;
        status = block_mark_free(session, addresses, count);
        session->in_flight[epoch % EPOCH_RING]--;
        if (session->foreign == NULL) {
            session->foreign = addresses;
            session->foreign_capacity = capacity;
        } else {
            session->env->release(session->env->context, addresses);
        }
    }
    if (status == DM_OK && session->now_ns < session->shed_until_ns && !urgent) {
        status = shed(session);
    }
    if (status == DM_OK && session->give_up && !urgent) {
        status = give_up(session);
    }
    if (!session->memory_low) {
        session->reserve_block = 0; /* a block like others */
    }
    if (status == DM_OK && session->has_empty) {
        status = release_empty(session, session->memory_low || session->now_ns < session->shed_until_ns);
    }
    if (status == DM_OK && (session->memory_low || session->now_ns - session->counted_ns > CENSUS_EVERY_NS)) {
        struct block_census census;
        status = block_count(session, 0, &census);
    }
    session->memory_busy = false;
    return status;
}

enum dm_status allocator_close(struct dm_session *session) {
    enum dm_status status = DM_OK;
    for (uint8_t c = 0; c < SIZECLASS_COUNT; c++) {
        slab_unreserve(&session->slab, c);
    }
    /* Objects in the limbo have not had their grace: their blocks become orphans, and who adopts those gives it. */
    while (limbo_count(&session->limbo) != 0) {
        push_foreign(session, session->limbo.ring[session->limbo.head++ & (session->limbo.capacity - 1)]);
    }
    for (uint64_t i = 0; i < layout_blocks(&session->pool->layout) && status == DM_OK; i++) {
        if (session->slab.blocks[i] != NULL) {
            status = block_release(session, session->slab.blocks[i]);
        }
    }
    if (status == DM_OK && session->foreign_count != 0) {
        status = block_mark_free(session, session->foreign, session->foreign_count);
    }
    return status;
}
