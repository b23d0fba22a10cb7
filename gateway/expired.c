/* expired.c: see expired.h.
 *
 * An event is published by a coroutine of its own, since publishing may have to wait for other workers, and the removal
 * of a key must not wait for that. The walk only has to meet keys: what has expired is removed by libdm when a scan
 * meets it.
 */
#include "expired.h"

#include <stdlib.h>
#include <string.h>

#include "live.h"
#include "notify_events.h"
#include "server.h"

#define STEP_KEYS 100u                      /* of one step */
#define STEP_NS UINT64_C(10000000)          /* from the beginning of a step to that of the next: 10,000 keys a second */
#define STEP_FAILED_NS UINT64_C(1000000000) /* the same when the pool could not be read */

struct gone {
    struct expired_watch *watch;
    unsigned database;
    size_t length;
    char key[];
};

static bool wanted(const struct worker *worker) {
    return (atomic_load_explicit(&worker->server->live->notify_classes, memory_order_relaxed) & NOTIFY_EXPIRED) != 0 &&
           !atomic_load_explicit(&worker->server->stopping, memory_order_relaxed);
}

static bool spawn(struct expired_watch *watch, void (*fn)(void *argument), void *argument) {
    watch->coroutines++; /* before: it may run at once */
    if (dm_sched_spawn(watch->worker->sched, fn, argument) != DM_OK) {
        watch->coroutines--;
        return false;
    }
    return true;
}

static void gone_publish(void *argument) {
    struct gone *gone = argument;
    const struct resp_arg key = {gone->key, gone->length};

    notify_publish(gone->watch->worker, NULL, gone->database, NOTIFY_EXPIRED, "expired", &key);
    gone->watch->coroutines--;
    free(gone);
}

static void on_expired(void *context, const struct dm_key *key) {
    struct expired_watch *watch = context;
    struct gone *gone = wanted(watch->worker) ? malloc(sizeof *gone + key->length) : NULL;

    if (gone == NULL) {
        return;
    }
    gone->watch = watch;
    gone->database = key->space;
    gone->length = key->length;
    memcpy(gone->key, key->bytes, key->length);
    if (!spawn(watch, gone_publish, gone)) {
        free(gone); /* no promise is broken: messages are delivered at most once */
    }
}

void expired_watch_begin(struct expired_watch *watch, struct worker *worker) {
    watch->worker = worker;
    dm_session_on_expired(worker->session, on_expired, watch);
}

/* ---- The walk ---- */

static void scanned(void *context, const struct dm_scanned *key) {
    (void)context;
    (void)key; /* it lives */
}

static void walk_step(void *argument) {
    struct expired_watch *watch = argument;
    const struct dm_scan scan = {.space = DM_SPACE_ALL, .count = STEP_KEYS, .fn = scanned};

    if (dm_scan(watch->worker->session, &scan, &watch->cursor) != DM_OK) {
        watch->last_ns += STEP_FAILED_NS;
    }
    watch->walking = false;
    watch->coroutines--;
}

uint64_t expired_watch_walk(struct expired_watch *watch, uint64_t now_ns) {
    if (watch->walking || !wanted(watch->worker)) {
        return UINT64_MAX;
    }
    if (now_ns < watch->last_ns + STEP_NS) {
        return watch->last_ns + STEP_NS;
    }
    watch->last_ns = now_ns;
    watch->walking = true;
    if (!spawn(watch, walk_step, watch)) {
        watch->walking = false;
    }
    return now_ns + STEP_NS;
}
