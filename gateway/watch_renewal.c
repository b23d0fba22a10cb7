/* watch_renewal.c: see watch_renewal.h. While a key is being renewed its connection may go, or end its watch: it is
 * looked for again behind that. */
#include "watch_renewal.h"

#include <stdlib.h>
#include <string.h>

#include "multi.h"
#include "worker.h"

#define RENEW_NS (DM_WATCH_MS * UINT64_C(1000000) / 4) /* an absence is noted for twice as long at least */

void watch_renewal_add(struct worker *worker) {
    struct watch_renewal *renewal = &worker->io->renewal;

    if (renewal->keys++ == 0) {
        renewal->next_ns = worker->io->now_ns + RENEW_NS;
    }
}

void watch_renewal_remove(struct worker *worker, uint64_t keys) { worker->io->renewal.keys -= keys; }

/* A watch that was not renewed for so long. */
static struct multi_watch *find_old(const struct worker *worker, uint64_t now_ns, uint64_t *connection_id) {
    for (const struct connection *connection = worker->connections; connection != NULL; connection = connection->next) {
        struct multi *multi = connection->multi;

        for (size_t i = 0; multi != NULL && i < multi->watch_count; i++) {
            if (now_ns - multi->watches[i].renewed_ns >= RENEW_NS / 2) {
                *connection_id = connection->id;
                return &multi->watches[i];
            }
        }
    }
    return NULL;
}

/* The key has been watched again: is it as it was, for the connection that watches it still? */
static void note_seen(struct worker *worker, uint64_t connection_id, const struct multi_watch *old,
                      const struct dm_watched *now) {
    struct connection *connection = worker->connections;

    while (connection != NULL && connection->id != connection_id) {
        connection = connection->next;
    }
    struct multi *multi = connection == NULL ? NULL : connection->multi;

    for (size_t i = 0; multi != NULL && i < multi->watch_count; i++) {
        struct multi_watch *watch = &multi->watches[i];

        if (watch->seen.version == old->seen.version && watch->key.space == old->key.space &&
            watch->key.length == old->key.length && memcmp(watch->key.bytes, old->key.bytes, old->key.length) == 0) {
            watch->changed = watch->changed || !dm_watched_same(&watch->seen, now);
            watch->seen = *now;
        }
    }
}

static void renew(void *argument) {
    struct worker *worker = argument;
    struct multi_watch *watch;
    struct dm_watched now;
    uint64_t id, now_ns = worker->io->now_ns;

    while ((watch = find_old(worker, now_ns, &id)) != NULL) {
        struct multi_watch copy = *watch;
        char *bytes = malloc(copy.key.length + 1u);

        watch->renewed_ns = now_ns;
        if (bytes != NULL) { /* else it is tried again the next time */
            memcpy(bytes, copy.key.bytes, copy.key.length);
            copy.key.bytes = bytes;
            if (dm_watch(worker->session, &copy.key, &now) == DM_OK) {
                note_seen(worker, id, &copy, &now);
            }
            free(bytes);
        }
    }
    worker->io->renewal.coroutines--;
}

uint64_t watch_renewal_run(struct worker *worker, uint64_t now_ns) {
    struct watch_renewal *renewal = &worker->io->renewal;

    if (renewal->keys == 0) {
        return UINT64_MAX;
    }
    if (now_ns >= renewal->next_ns && renewal->coroutines == 0) {
        renewal->next_ns = now_ns + RENEW_NS / 2;
        renewal->coroutines++; /* before: it may run at once */
        if (dm_sched_spawn(worker->sched, renew, worker) != DM_OK) {
            renewal->coroutines--;
        }
    }
    return renewal->next_ns;
}
