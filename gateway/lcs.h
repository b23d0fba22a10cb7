/* lcs.h: the longest common subsequence of two byte strings, and where it lies in both. Pure but for the memory that
 * it allocates. Called by cmd_string_range.c, in a coroutine of the connection's worker, and by unit tests.
 *
 *             b[0] b[1] b[2]      The table of lengths is walked row by row and only two rows of it are kept. The way
 *        +----+----+----+----+    back from its last cell needs one bit a cell: is the cell above larger than the one
 *        |  0 |  0 |  0 |  0 |    to the left? Where both are equal Redis goes left, and so do we: among several
 *   a[0] |  0 |  .    .    . |    subsequences of the same length it decides which one is found.
 *   a[1] |  0 |  .    .    . |
 *        +----+----+----+----+
 */
#ifndef LCS_H
#define LCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A run of bytes that is common to both. */
struct lcs_match {
    uint32_t a_first, b_first, length;
};

struct lcs {
    const uint8_t *a, *b;
    uint32_t a_length, b_length;
    bool length_only; /* the way back is not wanted */
    /* results */
    uint32_t length;
    uint8_t *bytes;            /* the subsequence; NULL when length_only */
    struct lcs_match *matches; /* from the ends of a and b to their beginnings */
    size_t match_count;
    /* the work */
    uint32_t *rows[2];
    uint64_t *up; /* a bit a cell */
    uint32_t row; /* rows done */
    size_t match_capacity;
};

/* What Redis's table would take; it has a limit for that. */
uint64_t lcs_table_bytes(uint32_t a_length, uint32_t b_length);

/* `lcs` holds the strings, length_only, and zeros. False: no memory; nothing is to be freed. */
bool lcs_begin(struct lcs *lcs);
/* Goes on for about `cells` cells. True: the results are there. */
bool lcs_step(struct lcs *lcs, uint64_t cells);
/* After lcs_step said true. False: no memory. */
bool lcs_trace(struct lcs *lcs);
void lcs_free(struct lcs *lcs);

#endif
