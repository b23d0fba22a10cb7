/* hyperloglog_sparse.c: changes of sparse HyperLogLogs, such that the bytes are those that Redis would have made: the
 * same splitting of runs, and the same joining of neighbours afterwards, no more of it. Pure.
 */
#include "hyperloglog_sparse.h"

#include <string.h>

#define WIDE 0x40u  /* zeros, two bytes */
#define VALUE 0x80u /* not zeros */
#define ZEROS_MAX 64u
#define WIDE_ZEROS_MASK 0x3fu
#define VALUE_RUN_MAX 4u
#define VALUE_RUN_MASK 3u
#define VALUE_RANK_SHIFT 2u
#define VALUE_RANK_MASK 31u
#define VALUE_RANK_MAX 32u
#define PIECES_BYTES 5u    /* zeros, a value, zeros */
#define JOIN_OPCODES_MAX 5 /* looked at after a change */

struct hyperloglog_run hyperloglog_run_read(const uint8_t *opcode) {
    struct hyperloglog_run run = {0};

    if ((*opcode & VALUE) != 0) {
        run.registers = (*opcode & VALUE_RUN_MASK) + 1;
        run.rank = (uint8_t)((*opcode >> VALUE_RANK_SHIFT & VALUE_RANK_MASK) + 1);
    } else if ((*opcode & WIDE) != 0) {
        run.registers = ((uint32_t)(opcode[0] & WIDE_ZEROS_MASK) << 8 | opcode[1]) + 1;
        run.wide = true;
    } else {
        run.registers = *opcode + 1u;
    }
    return run;
}

size_t hyperloglog_zeros_write(uint8_t *opcode, uint32_t registers) {
    if (registers <= ZEROS_MAX) {
        opcode[0] = (uint8_t)(registers - 1);
        return 1;
    }
    opcode[0] = (uint8_t)((registers - 1) >> 8 | WIDE);
    opcode[1] = (uint8_t)(registers - 1);
    return 2;
}

static uint8_t value_opcode(uint8_t rank, uint32_t registers) {
    return (uint8_t)(VALUE | (rank - 1u) << VALUE_RANK_SHIFT | (registers - 1));
}

static size_t run_write(uint8_t *opcode, uint8_t rank, uint32_t registers) {
    if (registers == 0) {
        return 0;
    }
    if (rank == 0) {
        return hyperloglog_zeros_write(opcode, registers);
    }
    *opcode = value_opcode(rank, registers);
    return 1;
}

/* Where a register is. */
struct place {
    size_t at, previous; /* of its opcode and the one before, which is the same for the first */
    uint32_t first;      /* register of its run */
    struct hyperloglog_run run;
};

/* False: the opcodes end before. */
static bool place_find(const struct hyperloglog *hll, uint32_t index, struct place *place) {
    place->previous = HYPERLOGLOG_HEADER_BYTES;
    place->first = 0;
    for (place->at = HYPERLOGLOG_HEADER_BYTES; place->at < hll->length;) {
        place->run = hyperloglog_run_read(hll->bytes + place->at);
        if (index < place->first + place->run.registers) {
            return true;
        }
        place->previous = place->at;
        place->at += place->run.wide ? 2 : 1;
        place->first += place->run.registers;
    }
    return false;
}

/* Joins values of the same rank, among the first few opcodes from `at` on. */
static void values_join(struct hyperloglog *hll, size_t at) {
    for (int left = JOIN_OPCODES_MAX; at < hll->length && left > 0; left--) {
        struct hyperloglog_run run = hyperloglog_run_read(hll->bytes + at);

        if (run.rank > 0 && at + 1 < hll->length) {
            struct hyperloglog_run next = hyperloglog_run_read(hll->bytes + at + 1);

            if (next.rank == run.rank && run.registers + next.registers <= VALUE_RUN_MAX) {
                hll->bytes[at + 1] = value_opcode(run.rank, run.registers + next.registers);
                memmove(hll->bytes + at, hll->bytes + at + 1, hll->length - at);
                hll->length--;
                continue; /* with what has come here */
            }
        }
        at += run.wide ? 2 : 1;
    }
}

enum hyperloglog_sparse_change hyperloglog_sparse_raise(struct hyperloglog *hll, uint32_t index, uint8_t rank) {
    struct place place;
    uint8_t pieces[PIECES_BYTES];
    size_t pieces_bytes;

    if (rank > VALUE_RANK_MAX) {
        return HYPERLOGLOG_SPARSE_TOO_SMALL;
    }
    if (!place_find(hll, index, &place)) {
        return HYPERLOGLOG_SPARSE_CORRUPT;
    }
    if (place.run.rank >= rank) {
        return HYPERLOGLOG_SPARSE_SAME;
    }
    pieces_bytes = run_write(pieces, place.run.rank, index - place.first);
    pieces_bytes += run_write(pieces + pieces_bytes, rank, 1);
    pieces_bytes += run_write(pieces + pieces_bytes, place.run.rank, place.first + place.run.registers - 1 - index);

    /* An opcode of two bytes whose second byte is missing ends where the bytes end. */
    size_t bytes = place.run.wide ? 2 : 1, behind = place.at + bytes;
    size_t length = hll->length + pieces_bytes - bytes;

    if (length > hll->length && length > HYPERLOGLOG_SPARSE_BYTES_MAX) {
        return HYPERLOGLOG_SPARSE_TOO_SMALL;
    }
    if (behind < hll->length) {
        memmove(hll->bytes + place.at + pieces_bytes, hll->bytes + behind, hll->length - behind);
    }
    memcpy(hll->bytes + place.at, pieces, pieces_bytes);
    hll->length = length;
    hll->bytes[length] = 0;
    values_join(hll, place.previous);
    hyperloglog_cache_drop(hll);
    return HYPERLOGLOG_SPARSE_CHANGED;
}
