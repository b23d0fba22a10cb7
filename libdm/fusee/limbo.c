/* limbo.c: see limbo.h. */
#include "fusee/limbo.h"

#include <string.h>

#define LIMBO_CAPACITY_MIN 4096u
#define LIMBO_EPOCHS 2u

bool limbo_open(struct limbo *limbo, const struct dm_env *env) {
    memset(limbo, 0, sizeof *limbo);
    limbo->env = env;
    limbo->capacity = LIMBO_CAPACITY_MIN;
    limbo->ring = env->allocate(env->context, limbo->capacity * sizeof(uint64_t));
    return limbo->ring != NULL;
}

void limbo_close(struct limbo *limbo) { limbo->env->release(limbo->env->context, limbo->ring); }

static bool limbo_grow(struct limbo *limbo) {
    uint64_t capacity = limbo->capacity * 2;
    uint64_t *ring = limbo->env->allocate(limbo->env->context, capacity * sizeof(uint64_t));
    if (ring == NULL) {
        return false;
    }
    for (uint64_t i = limbo->head; i != limbo->tail; i++) {
        ring[i & (capacity - 1)] = limbo->ring[i & (limbo->capacity - 1)];
    }
    limbo->env->release(limbo->env->context, limbo->ring);
    limbo->ring = ring;
    limbo->capacity = capacity;
    return true;
}

bool limbo_push(struct limbo *limbo, uint64_t address) {
    if (limbo_count(limbo) == limbo->capacity && !limbo_grow(limbo)) {
        return false;
    }
    limbo->ring[limbo->tail++ & (limbo->capacity - 1)] = address;
    return true;
}

static struct limbo_segment *segment_at(struct limbo *limbo, uint32_t i) {
    return &limbo->segments[(limbo->first_segment + i) % LIMBO_SEGMENTS];
}

void limbo_seal(struct limbo *limbo, uint64_t end, uint64_t epoch) {
    uint64_t sealed_to = limbo->segment_count == 0 ? limbo->head : segment_at(limbo, limbo->segment_count - 1)->end;
    if (sealed_to >= end || limbo->segment_count == LIMBO_SEGMENTS) {
        return;
    }
    *segment_at(limbo, limbo->segment_count++) = (struct limbo_segment){end, epoch};
}

bool limbo_pop(struct limbo *limbo, uint64_t epoch, uint64_t *address) {
    if (limbo->segment_count == 0) {
        return false;
    }
    const struct limbo_segment *segment = segment_at(limbo, 0);
    if (epoch < segment->epoch + LIMBO_EPOCHS) {
        return false;
    }
    *address = limbo->ring[limbo->head++ & (limbo->capacity - 1)];
    if (limbo->head == segment->end) {
        limbo->first_segment = (limbo->first_segment + 1) % LIMBO_SEGMENTS;
        limbo->segment_count--;
    }
    return true;
}
