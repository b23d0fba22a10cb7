/* hyperloglog.c: HyperLogLogs as a whole: header, dense registers, merging, estimate; see hyperloglog.h. Pure.
 * Changing sparse ones is in hyperloglog_sparse.c.
 */
#include "hyperloglog.h"

#include <math.h>
#include <string.h>

#include "hyperloglog_sparse.h"

#define INDEX_BITS 14u
#define RANK_BITS (64u - INDEX_BITS) /* of the hash, behind the index: ranks go up to one more */
#define REGISTER_BITS 6u
#define BITS_PER_BYTE 8u
#define HASH_SEED UINT64_C(0xadc83b19)
#define HASH_FACTOR UINT64_C(0xc6a4a7935bd1e995) /* of MurmurHash64A */
#define HASH_SHIFT 47u
#define HASH_BLOCK_BYTES 8u
#define ESTIMATE_AT 8u
#define ESTIMATE_STALE 0x80u /* in its last byte */
#define ALPHA_INFINITY 0.721347520444481703680

static const uint8_t magic[4] = {'H', 'Y', 'L', 'L'};

/* ---- Elements ---- */

static uint64_t load_little_endian(const uint8_t *bytes, size_t count) {
    uint64_t value = 0;

    for (size_t i = 0; i < count; i++) {
        value |= (uint64_t)bytes[i] << BITS_PER_BYTE * i;
    }
    return value;
}

/* MurmurHash64A. */
static uint64_t element_hash(const uint8_t *bytes, size_t length) {
    uint64_t hash = HASH_SEED ^ (length * HASH_FACTOR);
    size_t blocks = length / HASH_BLOCK_BYTES, rest = length % HASH_BLOCK_BYTES;

    for (size_t i = 0; i < blocks; i++) {
        uint64_t block = load_little_endian(bytes + i * HASH_BLOCK_BYTES, HASH_BLOCK_BYTES) * HASH_FACTOR;

        block ^= block >> HASH_SHIFT;
        hash = (hash ^ block * HASH_FACTOR) * HASH_FACTOR;
    }
    if (rest > 0) {
        hash = (hash ^ load_little_endian(bytes + blocks * HASH_BLOCK_BYTES, rest)) * HASH_FACTOR;
    }
    hash = (hash ^ hash >> HASH_SHIFT) * HASH_FACTOR;
    return hash ^ hash >> HASH_SHIFT;
}

uint8_t hyperloglog_rank(const void *element, size_t length, uint32_t *index) {
    uint64_t hash = element_hash(element, length);

    *index = hash & (HYPERLOGLOG_REGISTERS - 1);
    hash = hash >> INDEX_BITS | UINT64_C(1) << RANK_BITS; /* so that some bit is set */
    return (uint8_t)(__builtin_ctzll(hash) + 1);
}

/* ---- Dense registers ---- */

/* A register lies in one byte or in two; behind the last one there is a byte that is not ours, and is not touched. */
static uint8_t dense_get(const uint8_t *registers, uint32_t index) {
    uint32_t at = index * REGISTER_BITS / BITS_PER_BYTE, shift = index * REGISTER_BITS % BITS_PER_BYTE;
    unsigned pair = registers[at];

    if (shift + REGISTER_BITS > BITS_PER_BYTE) {
        pair |= (unsigned)registers[at + 1] << BITS_PER_BYTE;
    }
    return pair >> shift & HYPERLOGLOG_RANK_MAX;
}

static void dense_put(uint8_t *registers, uint32_t index, uint8_t rank) {
    uint32_t at = index * REGISTER_BITS / BITS_PER_BYTE, shift = index * REGISTER_BITS % BITS_PER_BYTE;
    unsigned mask = HYPERLOGLOG_RANK_MAX << shift, value = (unsigned)rank << shift;

    registers[at] = (uint8_t)((registers[at] & ~mask) | value);
    if (shift + REGISTER_BITS > BITS_PER_BYTE) {
        registers[at + 1] = (uint8_t)((registers[at + 1] & ~(mask >> BITS_PER_BYTE)) | value >> BITS_PER_BYTE);
    }
}

/* ---- The whole ---- */

size_t hyperloglog_capacity(size_t length) {
    size_t larger = length > HYPERLOGLOG_DENSE_BYTES ? length : HYPERLOGLOG_DENSE_BYTES;

    return larger + HYPERLOGLOG_SPARSE_GROWTH_BYTES + 1;
}

bool hyperloglog_is_sparse(const uint8_t *bytes) { return bytes[sizeof magic] == HYPERLOGLOG_SPARSE; }

bool hyperloglog_valid(const uint8_t *bytes, size_t length) {
    return length >= HYPERLOGLOG_HEADER_BYTES && memcmp(bytes, magic, sizeof magic) == 0 &&
           (hyperloglog_is_sparse(bytes) ||
            (bytes[sizeof magic] == HYPERLOGLOG_DENSE && length == HYPERLOGLOG_DENSE_BYTES));
}

void hyperloglog_create(struct hyperloglog *hll) {
    memset(hll->bytes, 0, HYPERLOGLOG_HEADER_BYTES);
    memcpy(hll->bytes, magic, sizeof magic);
    hll->bytes[sizeof magic] = HYPERLOGLOG_SPARSE;
    hll->length = HYPERLOGLOG_HEADER_BYTES;
    hll->length += hyperloglog_zeros_write(hll->bytes + hll->length, HYPERLOGLOG_REGISTERS);
    hll->bytes[hll->length] = 0;
}

void hyperloglog_copy(struct hyperloglog *hll, const uint8_t *bytes, size_t length) {
    memcpy(hll->bytes, bytes, length);
    hll->length = length;
    hll->bytes[length] = 0;
}

bool hyperloglog_to_dense(struct hyperloglog *hll) {
    uint8_t registers[HYPERLOGLOG_REGISTERS] = {0};

    if (!hyperloglog_is_sparse(hll->bytes)) {
        return true;
    }
    if (!hyperloglog_merge(hll->bytes, hll->length, registers)) {
        return false;
    }
    hll->bytes[sizeof magic] = HYPERLOGLOG_DENSE;
    memset(hll->bytes + HYPERLOGLOG_HEADER_BYTES, 0, HYPERLOGLOG_DENSE_BYTES + 1 - HYPERLOGLOG_HEADER_BYTES);
    for (uint32_t i = 0; i < HYPERLOGLOG_REGISTERS; i++) {
        dense_put(hll->bytes + HYPERLOGLOG_HEADER_BYTES, i, registers[i]);
    }
    hll->length = HYPERLOGLOG_DENSE_BYTES;
    return true;
}

enum hyperloglog_change hyperloglog_raise(struct hyperloglog *hll, uint32_t index, uint8_t rank) {
    if (hyperloglog_is_sparse(hll->bytes)) {
        enum hyperloglog_sparse_change change = hyperloglog_sparse_raise(hll, index, rank);

        if (change != HYPERLOGLOG_SPARSE_TOO_SMALL) {
            return (enum hyperloglog_change)change;
        }
        if (!hyperloglog_to_dense(hll)) {
            return HYPERLOGLOG_CORRUPT;
        }
    }
    uint8_t *registers = hll->bytes + HYPERLOGLOG_HEADER_BYTES;

    if (dense_get(registers, index) >= rank) {
        return HYPERLOGLOG_SAME;
    }
    dense_put(registers, index, rank);
    return HYPERLOGLOG_CHANGED;
}

enum hyperloglog_change hyperloglog_add(struct hyperloglog *hll, const void *element, size_t length) {
    uint32_t index;
    uint8_t rank = hyperloglog_rank(element, length, &index);

    return hyperloglog_raise(hll, index, rank);
}

/* ---- The estimate ---- */

bool hyperloglog_cached(const uint8_t *bytes, uint64_t *estimate) {
    *estimate = load_little_endian(bytes + ESTIMATE_AT, sizeof *estimate);
    return (bytes[HYPERLOGLOG_HEADER_BYTES - 1] & ESTIMATE_STALE) == 0;
}

void hyperloglog_cache(struct hyperloglog *hll, uint64_t estimate) {
    for (size_t i = 0; i < sizeof estimate; i++) {
        hll->bytes[ESTIMATE_AT + i] = (uint8_t)(estimate >> BITS_PER_BYTE * i);
    }
}

void hyperloglog_cache_drop(struct hyperloglog *hll) { hll->bytes[HYPERLOGLOG_HEADER_BYTES - 1] |= ESTIMATE_STALE; }

static void register_raise(uint8_t *into, uint8_t rank) {
    if (rank > *into) {
        *into = rank;
    }
}

static bool merge_sparse(const uint8_t *opcode, const uint8_t *end, uint8_t registers[HYPERLOGLOG_REGISTERS]) {
    uint32_t index = 0;

    while (opcode < end) {
        struct hyperloglog_run run = hyperloglog_run_read(opcode);

        if (run.registers > HYPERLOGLOG_REGISTERS - index) {
            return false;
        }
        for (uint32_t i = 0; i < run.registers && run.rank > 0; i++) {
            register_raise(&registers[index + i], run.rank);
        }
        index += run.registers;
        opcode += run.wide ? 2 : 1;
    }
    return index == HYPERLOGLOG_REGISTERS;
}

bool hyperloglog_merge(const uint8_t *bytes, size_t length, uint8_t registers[HYPERLOGLOG_REGISTERS]) {
    if (hyperloglog_is_sparse(bytes)) {
        return merge_sparse(bytes + HYPERLOGLOG_HEADER_BYTES, bytes + length, registers);
    }
    for (uint32_t i = 0; i < HYPERLOGLOG_REGISTERS; i++) {
        register_raise(&registers[i], dense_get(bytes + HYPERLOGLOG_HEADER_BYTES, i));
    }
    return true;
}

/* Sigma and tau of Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (arXiv:1702.01284), section
 * 2.4: the sums end when a term no longer changes them. */
static double sigma(double x) {
    double sum = x, before, scale = 1;

    if (x == 1) {
        return INFINITY;
    }
    do {
        x *= x;
        before = sum;
        sum += x * scale;
        scale += scale;
    } while (before != sum);
    return sum;
}

static double tau(double x) {
    double sum = 1 - x, before, scale = 1;

    if (x == 0 || x == 1) {
        return 0;
    }
    do {
        x = sqrt(x);
        before = sum;
        scale *= 0.5;
        sum -= pow(1 - x, 2) * scale;
    } while (before != sum);
    return sum / 3;
}

/* Algorithm 6 of the same paper. */
uint64_t hyperloglog_estimate(const uint8_t registers[HYPERLOGLOG_REGISTERS]) {
    uint32_t count[HYPERLOGLOG_RANK_MAX + 1] = {0};
    double m = HYPERLOGLOG_REGISTERS;

    for (uint32_t i = 0; i < HYPERLOGLOG_REGISTERS; i++) {
        count[registers[i]]++;
    }
    double z = m * tau((m - count[RANK_BITS + 1]) / m);

    for (uint32_t rank = RANK_BITS; rank >= 1; rank--) {
        z += count[rank];
        z *= 0.5;
    }
    z += m * sigma(count[0] / m);
    double estimate = ALPHA_INFINITY * m * m / z;

    return estimate < 0x1p63 ? (uint64_t)llround(estimate) : UINT64_C(1) << 63;
}
