/* lcs.c: the longest common subsequence of two byte strings; see lcs.h. */
#include "lcs.h"

#include <stdlib.h>

#define MATCHES_FIRST 16u
#define CELLS_PER_WORD 64u

uint64_t lcs_table_bytes(uint32_t a_length, uint32_t b_length) {
    return ((uint64_t)a_length + 1) * ((uint64_t)b_length + 1) * sizeof(uint32_t);
}

static uint64_t words_per_row(const struct lcs *lcs) { return lcs->b_length / CELLS_PER_WORD + 1; }

bool lcs_begin(struct lcs *lcs) {
    bool enough = true;

    for (int i = 0; i < 2; i++) {
        lcs->rows[i] = calloc((size_t)lcs->b_length + 1, sizeof *lcs->rows[i]);
        enough &= lcs->rows[i] != NULL;
    }
    if (!lcs->length_only) {
        lcs->up = calloc((size_t)lcs->a_length + 1, words_per_row(lcs) * sizeof *lcs->up);
        enough &= lcs->up != NULL;
    }
    if (!enough) {
        lcs_free(lcs);
    }
    return enough;
}

/* One row of the table; `up` is NULL when the way back is not wanted. */
static void row_fill(const struct lcs *lcs, uint32_t row, uint64_t *up) {
    const uint32_t *above = lcs->rows[row % 2];
    uint32_t *here = lcs->rows[(row + 1) % 2];

    for (uint32_t j = 1; j <= lcs->b_length; j++) {
        bool larger_above = above[j] > here[j - 1];

        if (lcs->a[row] == lcs->b[j - 1]) {
            here[j] = above[j - 1] + 1;
        } else {
            here[j] = larger_above ? above[j] : here[j - 1];
        }
        if (larger_above && up != NULL) {
            up[j / CELLS_PER_WORD] |= UINT64_C(1) << j % CELLS_PER_WORD;
        }
    }
}

bool lcs_step(struct lcs *lcs, uint64_t cells) {
    uint64_t per_row = (uint64_t)lcs->b_length + 1;

    for (uint64_t done = 0; lcs->row < lcs->a_length && done < cells; done += per_row) {
        row_fill(lcs, lcs->row, lcs->up == NULL ? NULL : lcs->up + lcs->row * words_per_row(lcs));
        lcs->row++;
    }
    if (lcs->row < lcs->a_length) {
        return false;
    }
    lcs->length = lcs->rows[lcs->row % 2][lcs->b_length];
    return true;
}

static bool match_add(struct lcs *lcs, uint32_t i, uint32_t j) {
    struct lcs_match *last = lcs->match_count == 0 ? NULL : &lcs->matches[lcs->match_count - 1];

    if (last != NULL && last->a_first == i + 1 && last->b_first == j + 1) {
        last->a_first = i;
        last->b_first = j;
        last->length++;
        return true;
    }
    if (lcs->match_count == lcs->match_capacity) {
        size_t capacity = lcs->match_capacity == 0 ? MATCHES_FIRST : 2 * lcs->match_capacity;
        struct lcs_match *larger = realloc(lcs->matches, capacity * sizeof *larger);

        if (larger == NULL) {
            return false;
        }
        lcs->matches = larger;
        lcs->match_capacity = capacity;
    }
    lcs->matches[lcs->match_count++] = (struct lcs_match){.a_first = i, .b_first = j, .length = 1};
    return true;
}

bool lcs_trace(struct lcs *lcs) {
    uint32_t i = lcs->a_length, j = lcs->b_length, left = lcs->length;

    lcs->bytes = malloc((size_t)lcs->length + 1);
    if (lcs->bytes == NULL) {
        return false;
    }
    while (i > 0 && j > 0) {
        const uint64_t *up = lcs->up + (i - 1) * words_per_row(lcs);

        if (lcs->a[i - 1] == lcs->b[j - 1]) {
            lcs->bytes[--left] = lcs->a[i - 1];
            i--;
            j--;
            if (!match_add(lcs, i, j)) {
                return false;
            }
        } else if ((up[j / CELLS_PER_WORD] >> j % CELLS_PER_WORD & 1) != 0) {
            i--;
        } else {
            j--;
        }
    }
    return true;
}

void lcs_free(struct lcs *lcs) {
    free(lcs->rows[0]);
    free(lcs->rows[1]);
    free(lcs->up);
    free(lcs->bytes);
    free(lcs->matches);
    lcs->rows[0] = lcs->rows[1] = NULL;
    lcs->up = NULL;
    lcs->bytes = NULL;
    lcs->matches = NULL;
}
