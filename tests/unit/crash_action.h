/* crash_action.h: the operations within which the tests of the repair let a client die, and what may be true
 * afterwards. See crash.h. One thread. */
#ifndef CRASH_ACTION_H
#define CRASH_ACTION_H

#include "crash.h"

struct action_run;

struct crash_action {
    const char *name;
    void (*begin)(struct action_run *run); /* prepares the pool, closes the gate, begins */
    const char *before, *after;            /* values of "k" that may be there afterwards; NULL: absent */
};

struct action_run {
    const struct crash_action *action;
    struct crash *crash;
    uint32_t s;
    struct call call;  /* the operation */
    struct call other; /* of another session, under way at the same time, if begun */
    bool ended;        /* an action that is no call */
};

extern const struct crash_action crash_actions[];
extern const uint32_t crash_action_count;

/* `run` must stay where it is. */
void action_begin(struct action_run *run, const struct crash_action *action, struct crash *crash, uint32_t s);

/* Session s repairs the dead. The other's operation, if there is one, ends behind the repair of the rounds. */
void action_repair(struct action_run *run, uint32_t s);

/* Behind the repair: replicas are equal, nothing is left half done, the key is as it was or as it was to be, and if the
 * client had its answer, as it was to be. Writers of that key, and of others, are not held up. */
void action_check(struct action_run *run);

/* The client has not died: the operation ends. */
void action_abandon(struct action_run *run);

#endif
