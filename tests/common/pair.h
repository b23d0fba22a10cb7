/* pair.h: two servers that are sent the same bytes, and the comparison of their replies. Main thread only. */
#ifndef TESTS_PAIR_H
#define TESTS_PAIR_H

#include "process.h"
#include "wire.h"

enum pair_mask {
    PAIR_EXACT,        /* the same bytes */
    PAIR_SECONDS,      /* an integer, at most 10 apart when above 0: on a busy machine */
    PAIR_MILLISECONDS, /* an integer, at most 10000 apart when above 0 */
    PAIR_DIGITS,       /* the same but for the digits */
    PAIR_TYPE,         /* the same type and, for aggregates, the same number of elements */
    PAIR_KIND,         /* the same type */
    PAIR_ERROR,        /* both errors with the same code word, or both none */
};
/* "exact", "seconds", ...; false when there is no such mask. */
bool pair_mask_find(const char *name, size_t length, enum pair_mask *out);

struct pair {
    struct process *process[2];
    struct wire wire[2];
};

/* Starts two servers, named as for servers_start_named. */
void pair_start(struct pair *pair, const char *left, const char *right);
/* (Re)connects both; with protocol 3, HELLO 3 is sent and its replies are thrown away. */
void pair_connect(struct pair *pair, int protocol);
void pair_disconnect(struct pair *pair);
bool pair_same(enum pair_mask mask, const char *left, size_t left_length, const char *right, size_t right_length);

#endif
