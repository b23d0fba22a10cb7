/* expired.c: see expired.h.
 *
 * An event is published by a coroutine of its own, since publishing may have to wait for other workers, and the removal
 * of a key must not wait for that. The walk only has to meet keys: what has expired is removed by libdm when a scan
 * meets it. It goes over all keys, rests, and begins again only where there are keys that will expire, which the pool
 * counts, or notes of this gateway's WATCH.
 */
#include "expired.h"

#include <stdlib.h>
#include <string.h>

#include "live.h"
#include "notify_events.h"
#include "server.h"
#include "worker.h"

#define STEP_KEYS 100u                      /* of one step */
#define STEP_NS UINT64_C(25000000)          /* from the beginning of a step to that of the next: 4,000 keys a second */
#define STEP_WANTED_NS UINT64_C(10000000)   /* while somebody wants to know: 10,000 */
#define STEP_FAILED_NS UINT64_C(1000000000) /* when the pool could not be read */
#define REST_NS UINT64_C(40000000000)       /* between two walks, and up to as much again, so that gateways differ */

struct gone {
    struct expired_watch *watch;
    unsigned database;
    size_t length;
    char key[];
};

static bool wanted(const struct worker *worker) {
    return (atomic_load_explicit(&worker->server->live->notify_classes, memory_order_relaxed) & NOTIFY_EXPIRED) != 0;
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
    watch->rest_ns = worker->io->now_ns + REST_NS;
    dm_session_on_expired(worker->session, on_expired, watch);
}

/* ---- The walk ---- */

static void scanned(void *context, const struct dm_scanned *key) {
    (void)context;
    (void)key; /* it lives */
}

/* May there be anything that has expired, or will soon? */
static bool worth_it(struct expired_watch *watch) {
    struct server *server = watch->worker->server;
    struct dm_count count[DM_SPACES];
    uint64_t notes = atomic_load_explicit(&server->absences_noted, memory_order_relaxed);
    uint64_t expiring = notes - watch->notes;

    watch->notes = notes;
    if (dm_count(watch->worker->session, DM_SPACE_ALL, count) != DM_OK) {
        return false;
    }
    for (unsigned s = 0; s < DM_SPACES; s++) {
        expiring += count[s].expiring;
    }
    return expiring != 0 || wanted(watch->worker);
}

static void rest(struct expired_watch *watch) {
    const struct dm_env *env = watch->worker->server->env;

    watch->under_way = false;
    watch->rest_ns = watch->last_ns + REST_NS + env->random_u64(env->context) % REST_NS;
}

static void walk_step(void *argument) {
    struct expired_watch *watch = argument;
    const struct dm_scan scan = {.space = DM_SPACE_ALL, .count = STEP_KEYS, .fn = scanned};

    if (!watch->under_way && !worth_it(watch)) {
        rest(watch);
    } else {
        watch->under_way = true;
        if (dm_scan(watch->worker->session, &scan, &watch->cursor) != DM_OK) {
            watch->last_ns += STEP_FAILED_NS;
        } else if (watch->cursor == 0) {
            rest(watch);
        }
    }
    watch->walking = false;
    watch->coroutines--;
}

uint64_t expired_watch_walk(struct expired_watch *watch, uint64_t now_ns) {
    bool fast = wanted(watch->worker);
    uint64_t step_ns = fast ? STEP_WANTED_NS : STEP_NS;
    uint64_t due_ns = watch->last_ns + step_ns;

    if (watch->walking || atomic_load_explicit(&watch->worker->server->stopping, memory_order_relaxed)) {
        return UINT64_MAX;
    }
    if (!fast && !watch->under_way && due_ns < watch->rest_ns) {
        due_ns = watch->rest_ns;
    }
    if (now_ns < due_ns) {
        return due_ns;
    }
    watch->last_ns = now_ns;
    watch->walking = true;
    if (!spawn(watch, walk_step, watch)) {
        watch->walking = false;
    }
    return now_ns + step_ns;
}
