/* transact_call.c: see transact_call.h. */
#include "transact_call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void write_step(struct dm_session *session, struct transact_call *call, uint32_t i) {
    const struct transact_step *step = &call->steps[i];
    char text[24];
    struct dm_write write = {0};
    if (step->write[0] == 0) {
        (void)!dm_delete(session, &call->keys[i]);
        return;
    }
    snprintf(text, sizeof text, "%s", step->write);
    if (strcmp(step->write, "+") == 0) {
        snprintf(text, sizeof text, "%lld", call->found[i] ? strtoll(call->seen[i], NULL, 10) + 1 : 1);
    }
    write.part[0] = (struct dm_bytes){text, (uint32_t)strlen(text)};
    assert_int_equal(dm_put(session, &call->keys[i], &write), DM_OK);
}

static void transact_decide(void *context) {
    struct transact_call *call = context;
    struct dm_session *session = call->world->session[call->s];
    bool any = false;
    call->decisions++;
    for (uint32_t i = 0; i < call->count && !call->blind; i++) {
        struct dm_read read = {0};
        call->found[i] = dm_get(session, &call->keys[i], &read) == DM_OK;
        snprintf(call->seen[i], sizeof call->seen[i], "%.*s", call->found[i] ? (int)read.value.length : 0,
                 call->found[i] ? (const char *)read.value.bytes : "");
        dm_read_release(session, &read);
        any |= call->found[i];
    }
    call->refused = call->if_absent && any;
    for (uint32_t i = 0; i < call->count && !call->refused; i++) {
        if (call->steps[i].write != NULL) {
            write_step(session, call, i);
        }
    }
}

static void transact_coroutine(void *argument) {
    struct transact_call *call = argument;
    struct dm_session *session = call->world->session[call->s];
    call->status = dm_transact(session, &(struct dm_transact){.keys = call->keys,
                                                              .count = call->count,
                                                              .blind = call->blind,
                                                              .decide = transact_decide,
                                                              .context = call});
    dm_session_last_cost(session, &call->cost);
    call->ended = true;
}

struct transact_call transact_make(struct world *world, uint32_t s, const struct transact_step *steps, uint32_t count) {
    struct transact_call call = {.world = world, .s = s, .steps = steps, .count = count};
    for (uint32_t i = 0; i < count; i++) {
        call.keys[i] = (struct dm_key){steps[i].key, (uint32_t)strlen(steps[i].key), 0};
    }
    return call;
}

void transact_begin(struct transact_call *call) {
    assert_int_equal(dm_sched_spawn(call->world->sched[call->s], transact_coroutine, call), DM_OK);
}

void transact_finish(struct transact_call *call) {
    world_run(call->world);
    if (!call->ended) {
        fail_msg("a transaction of session %u does not end", call->s);
    }
}

void transact_run(struct transact_call *call) {
    transact_begin(call);
    transact_finish(call);
}
