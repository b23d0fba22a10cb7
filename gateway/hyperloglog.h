/* hyperloglog.h: HyperLogLogs in Redis's own two encodings, so that their bytes can go back and forth.
 *
 * Pure functions over a buffer of the caller's. Called by cmd_hyperloglog.c in coroutines, and by unit tests.
 *
 *      0      4    5       8                        16
 *     +------+----+-------+------------------------+-----------------------------------------------------------+
 *     | HYLL | e  | zeros | estimate, low byte 1st | e = 0, dense: 16384 registers of 6 bits, low bits first    |
 *     |      |    |       | top bit: out of date   | e = 1, sparse: opcodes, which cover 16384 registers in all |
 *     +------+----+-------+------------------------+-----------------------------------------------------------+
 *
 *     00llllll           l + 1 registers are 0
 *     01llllll llllllll  l + 1 registers are 0
 *     1vvvvvll           l + 1 registers are v + 1
 */
#ifndef HYPERLOGLOG_H
#define HYPERLOGLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HYPERLOGLOG_REGISTERS 16384u
#define HYPERLOGLOG_RANK_MAX 63u /* largest register */
#define HYPERLOGLOG_HEADER_BYTES 16u
#define HYPERLOGLOG_DENSE_BYTES (HYPERLOGLOG_HEADER_BYTES + HYPERLOGLOG_REGISTERS * 6 / 8)
#define HYPERLOGLOG_SPARSE_BYTES_MAX 3000u /* then it becomes dense: Redis's hll-sparse-max-bytes */

/* Being changed. `bytes` has room for hyperloglog_capacity(length), and a zero lies behind the last byte. */
struct hyperloglog {
    uint8_t *bytes;
    size_t length;
};

/* Bytes of a buffer in which a HyperLogLog of this length can be changed. */
size_t hyperloglog_capacity(size_t length);

/* Is it one? Whether sparse opcodes are right is found out when they are read. */
bool hyperloglog_valid(const uint8_t *bytes, size_t length);
bool hyperloglog_is_sparse(const uint8_t *bytes);

/* The empty one; the buffer is of hyperloglog_capacity(0). */
void hyperloglog_create(struct hyperloglog *hll);
/* Fills the buffer, which is of hyperloglog_capacity(length). */
void hyperloglog_copy(struct hyperloglog *hll, const uint8_t *bytes, size_t length);

enum hyperloglog_change { HYPERLOGLOG_SAME, HYPERLOGLOG_CHANGED, HYPERLOGLOG_CORRUPT };

enum hyperloglog_change hyperloglog_add(struct hyperloglog *hll, const void *element, size_t length);
/* Raises a register to `rank`. */
enum hyperloglog_change hyperloglog_raise(struct hyperloglog *hll, uint32_t index, uint8_t rank);
/* False: corrupt. */
bool hyperloglog_to_dense(struct hyperloglog *hll);

/* The estimate that is kept in it. False: out of date. */
bool hyperloglog_cached(const uint8_t *bytes, uint64_t *estimate);
void hyperloglog_cache(struct hyperloglog *hll, uint64_t estimate);
void hyperloglog_cache_drop(struct hyperloglog *hll);

/* Raises registers[i], one byte each, to what is in this one. False: corrupt. */
bool hyperloglog_merge(const uint8_t *bytes, size_t length, uint8_t registers[HYPERLOGLOG_REGISTERS]);
uint64_t hyperloglog_estimate(const uint8_t registers[HYPERLOGLOG_REGISTERS]);

/* Sparse opcodes one after the other. */
struct hyperloglog_run {
    uint32_t registers;
    uint8_t rank;
    bool wide; /* an opcode of two bytes */
};
struct hyperloglog_run hyperloglog_run_read(const uint8_t *opcode);

/* Which register an element raises, and to what. */
uint8_t hyperloglog_rank(const void *element, size_t length, uint32_t *index);

#endif
