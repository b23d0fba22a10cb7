/* watcher.c: see watcher.h. */
#include "watcher.h"

#include <inttypes.h>
#include <stdlib.h>

#include "lease_watch.h"
#include "log.h"

#define NS_PER_MS UINT64_C(1000000)
#define MEMBERS_MAX 1024u
#define LOOK_NS_MIN (10 * NS_PER_MS)
#define LOOK_NS_MAX (500 * NS_PER_MS)    /* nobody has a lease: who comes next may */
#define LOOK_AGAIN_NS (1000 * NS_PER_MS) /* behind a look that failed */
#define LOOKS_IN_GAP 10u                 /* that the watcher may have behind each other at the worst (lease_watch.h) */
#define GONE_MAX 64u                     /* gateways whose repair is waited for, to log how long it took */

/* A gateway that was found dead, or was fenced. */
struct gone {
    uint64_t identity;
    uint64_t since_ns; /* 0: the entry is free */
    bool told;         /* that it is */
    bool seen;         /* in this look */
};

struct watcher {
    struct dm_inspector *inspector;
    const struct membership_ops *ops;
    struct membership *membership;
    const struct dm_env *env;
    struct dm_member members[MEMBERS_MAX];
    uint32_t count;
    struct gone gone[GONE_MAX];
    uint64_t refused; /* identity that could not be fenced last, which was logged */
    bool failing;     /* the last look failed, which was logged */
};

bool watcher_open(struct dm_inspector *inspector, const struct membership_ops *ops, struct membership *membership,
                  struct watcher **out) {
    struct watcher *watcher = calloc(1, sizeof *watcher);
    if (watcher == NULL) {
        return false;
    }
    watcher->inspector = inspector;
    watcher->ops = ops;
    watcher->membership = membership;
    watcher->env = dm_env_system();
    *out = watcher;
    return true;
}

void watcher_close(struct watcher *watcher) { free(watcher); }

static uint64_t clock_ns(const struct watcher *watcher) { return watcher->env->clock_ns(watcher->env->context); }

/* ---- Gateways that are gone ------------------------------------------------------------------------------------- */

static struct gone *gone_find(struct watcher *watcher, uint64_t identity) {
    struct gone *free_entry = NULL;
    for (uint32_t i = 0; i < GONE_MAX; i++) {
        struct gone *gone = &watcher->gone[i];
        if (gone->since_ns != 0 && gone->identity == identity) {
            return gone;
        }
        free_entry = gone->since_ns == 0 ? gone : free_entry;
    }
    return free_entry;
}

static void note_gone(struct watcher *watcher, const struct dm_member *member, bool fenced) {
    struct gone *gone = gone_find(watcher, member->identity);
    if (gone == NULL) {
        return;
    }
    if (gone->since_ns == 0) {
        *gone = (struct gone){.identity = member->identity, .since_ns = clock_ns(watcher)};
    }
    if (!gone->told && !fenced) {
        log_write(DM_LOG_NOTICE, "gateway %016" PRIx64 " (process %" PRIu32 ") has ended and left clients behind",
                  member->identity, member->process);
    }
    gone->told = true;
    gone->seen = true;
}

/* No client of theirs is registered any more. */
static void tell_repaired(struct watcher *watcher) {
    for (uint32_t i = 0; i < GONE_MAX; i++) {
        struct gone *gone = &watcher->gone[i];
        if (gone->since_ns != 0 && !gone->seen) {
            log_write(DM_LOG_NOTICE, "gateway %016" PRIx64 " is repaired, with all its memory, %" PRIu64 " ms later",
                      gone->identity, (clock_ns(watcher) - gone->since_ns) / NS_PER_MS);
            *gone = (struct gone){0};
        }
        gone->seen = false;
    }
}

/* ---- Leases ----------------------------------------------------------------------------------------------------- */

static void fence(struct watcher *watcher, const struct dm_member *member) {
    if (member->identity == 0 || !watcher->ops->may_fence(watcher->membership, member)) {
        return;
    }
    uint64_t began_ns = clock_ns(watcher);
    enum dm_status status = dm_inspector_fence(watcher->inspector, member->identity, member->host);
    if (status == DM_OK) {
        log_write(DM_LOG_WARNING,
                  "gateway %016" PRIx64 " (process %" PRIu32 ") has not renewed its lease of %" PRIu32
                  " ms: it is fenced, after %" PRIu64 " us",
                  member->identity, member->process, member->lease_ms, (clock_ns(watcher) - began_ns) / 1000);
        note_gone(watcher, member, true);
        watcher->refused = 0;
    } else if (watcher->refused != member->identity) {
        log_write(DM_LOG_WARNING,
                  "gateway %016" PRIx64 " (process %" PRIu32 ") has not renewed its lease of %" PRIu32
                  " ms, and cannot be fenced%s: nobody repairs it; it is tried again",
                  member->identity, member->process, member->lease_ms,
                  status == DM_INVALID ? " from here: it runs in another container; run a coordinator there" : "");
        watcher->refused = member->identity;
    }
}

/* As often as the shortest lease asks for. */
static uint64_t look_again_ns(const struct watcher *watcher) {
    uint64_t ns = LOOK_NS_MAX;
    for (uint32_t i = 0; i < watcher->count; i++) {
        uint64_t gap_ns = lease_watch_gap_ns(watcher->members[i].lease_ms) / LOOKS_IN_GAP;
        if (watcher->members[i].lease_ms != 0 && gap_ns < ns) {
            ns = gap_ns;
        }
    }
    return ns < LOOK_NS_MIN ? LOOK_NS_MIN : ns;
}

/* All clients are judged before anyone is fenced, which takes time. */
static void judge(struct watcher *watcher, uint64_t began_ns, uint64_t ended_ns) {
    uint64_t over[MEMBERS_MAX / 64] = {0};
    for (uint32_t i = 0; i < watcher->count; i++) {
        const struct dm_member *member = &watcher->members[i];
        if (member->client.gone) {
            note_gone(watcher, member, false);
        } else if (watcher->ops->is_over(watcher->membership, member, began_ns, ended_ns)) {
            over[i / 64] |= UINT64_C(1) << (i % 64);
        }
    }
    for (uint32_t i = 0; i < watcher->count; i++) {
        const struct gone *gone = gone_find(watcher, watcher->members[i].identity);
        bool fenced = gone != NULL && gone->since_ns != 0; /* with another client of its */
        if ((over[i / 64] >> (i % 64) & 1) != 0 && !fenced) {
            fence(watcher, &watcher->members[i]);
        }
    }
}

uint64_t watcher_look(struct watcher *watcher) {
    bool acts = watcher->ops->look(watcher->membership);
    uint64_t began_ns = clock_ns(watcher);
    enum dm_status status = dm_inspector_members(watcher->inspector, watcher->members, MEMBERS_MAX, &watcher->count);
    if (status != DM_OK) {
        if (!watcher->failing) {
            log_write(DM_LOG_WARNING, "the pool's clients cannot be read, trying on: %s", dm_status_text(status));
        }
        watcher->failing = true;
        return LOOK_AGAIN_NS;
    }
    if (watcher->failing) {
        log_write(DM_LOG_NOTICE, "the pool's clients can be read again");
    }
    watcher->failing = false;
    if (acts) {
        judge(watcher, began_ns, clock_ns(watcher));
        tell_repaired(watcher);
    }
    return look_again_ns(watcher);
}
