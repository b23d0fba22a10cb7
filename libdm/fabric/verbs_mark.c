/* verbs_mark.c: see verbs_mark.h. */
#include "verbs_mark.h"

#include <string.h>

#define WORD_BYTES 8u

/* Steele, Lea, Flood: Fast splittable pseudorandom number generators (2014); a permutation: none comes twice. */
uint64_t verbs_mark_make(uint64_t n) {
    uint64_t mark = (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
    mark = (mark ^ mark >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mark = (mark ^ mark >> 27) * UINT64_C(0x94d049bb133111eb);
    mark ^= mark >> 31;
    return mark != 0 ? mark : 1;
}

static uint32_t marks_of(const struct dm_op *op) {
    if (op->kind == DM_OP_WRITE || op->length < WORD_BYTES)
        return 0;
    return (op->length - WORD_BYTES) / VERBS_MARK_APART_BYTES + 1;
}

static uint8_t *mark_at(const struct dm_op *op, uint64_t *result, uint32_t i) {
    uint8_t *answer = op->kind == DM_OP_READ ? op->local : (uint8_t *)result;
    return answer + (size_t)i * VERBS_MARK_APART_BYTES;
}

void verbs_mark_put(const struct dm_op *op, uint64_t *result, uint64_t mark) {
    for (uint32_t i = 0; i < marks_of(op); i++)
        memcpy(mark_at(op, result, i), &mark, sizeof mark);
}

uint32_t verbs_mark_left(const struct verbs_chain *chain) {
    const struct dm_batch *batch = chain->batch;
    const uint32_t end = chain->end < batch->count ? chain->end : batch->count;
    for (uint32_t i = chain->first; i < end; i++) {
        const struct dm_op *op = &batch->ops[i];
        for (uint32_t m = 0; op->node == chain->link->node && m < marks_of(op); m++)
            if (memcmp(mark_at(op, &chain->results[i], m), &chain->mark, sizeof chain->mark) == 0)
                return i;
    }
    return DM_BATCH_OPS;
}
