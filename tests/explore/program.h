/* program.h: what is explored, written as text: a few clients with a few calls each, on a pool prepared in some way.
 *
 *   calls        "SET k 100; INCR k"           names as in Redis; JOBS: clears and expiries that the client owes;
 *                                              REPAIR: of the client that has died; begins only then
 *   preparation  "u SET k 40; x DEL k; pass"   calls of single clients, one after the other, and:
 *                pass            all clients keep house for a while: their tombstones are cleared
 *                expire          time passes: what was written with EX has expired
 *                mark k          remembers the word that now stands for k
 *                tag-again u     epochs go by until what U writes gets that word's tag again
 *                same k          sees to it that the word that now stands for k is that word
 *                rival           names key r: an insert of it would go to the slot that an insert of k would go to
 *                twin            names key t: fingerprint and one bucket are k's
 *                u to-swap       u begins its first call and stops before the batch with its first compare-and-swap
 *                u run           u makes its first call, from its beginning to its end
 */
#ifndef EXPLORE_PROGRAM_H
#define EXPLORE_PROGRAM_H

#include "world.h"

#define PROGRAM_CLIENTS 3u
#define PROGRAM_PAIR_CALLS 7u /* U and V of a program of pairs make each of these, so there are 49 */

enum program_size {
    SIZE_DEFAULT,
    SIZE_LONG, /* only with --long */
};

struct program {
    const char *name;
    const char *replicas; /* "123": explored with one, two, and three */
    const char *setup;    /* before the beginning: in no history */
    const char *prefix;   /* in every execution the same, but in the history */
    const char *calls[PROGRAM_CLIENTS];
    bool pairs;        /* U and V: each of SET, INCR, DEL and clear, GETDEL and clear, SETNX, GETSET, GET, of k */
    const char *crash; /* replica counts for which also every crash is explored */
    bool spare;        /* one node more than replicas: slots and objects lie on different nodes */
    bool torn;         /* READs and WRITEs come in halves */
    enum program_size size;
};

extern const struct program programs[];
extern const uint32_t program_count;

/* The number'th program of a program of pairs; false: there is none. Its name goes to `name`. */
bool program_pair(const struct program *program, uint32_t number, struct program *out, char *name);
#define PROGRAM_NAME_MAX 80u

/* Everything up to the first event, in a world that was just opened. */
void program_set_up(const struct program *program, struct world *world);
void program_start(const struct program *program, struct world *world);

#endif
