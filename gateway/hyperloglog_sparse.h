/* hyperloglog_sparse.h: the sparse encoding, between hyperloglog.c and hyperloglog_sparse.c only. Pure. */
#ifndef HYPERLOGLOG_SPARSE_H
#define HYPERLOGLOG_SPARSE_H

#include "hyperloglog.h"

enum hyperloglog_encoding { HYPERLOGLOG_DENSE = 0, HYPERLOGLOG_SPARSE = 1 };

#define HYPERLOGLOG_SPARSE_GROWTH_BYTES 3u /* most that one change adds: two bytes of zeros become five bytes */

enum hyperloglog_sparse_change {
    HYPERLOGLOG_SPARSE_SAME = HYPERLOGLOG_SAME,
    HYPERLOGLOG_SPARSE_CHANGED = HYPERLOGLOG_CHANGED,
    HYPERLOGLOG_SPARSE_CORRUPT = HYPERLOGLOG_CORRUPT,
    HYPERLOGLOG_SPARSE_TOO_SMALL, /* cannot hold it: make it dense first */
};

enum hyperloglog_sparse_change hyperloglog_sparse_raise(struct hyperloglog *hll, uint32_t index, uint8_t rank);

/* The opcode of so many zeros; returns its bytes, 1 or 2. */
size_t hyperloglog_zeros_write(uint8_t *opcode, uint32_t registers);

#endif
