/* repair.c: `fusegate-ctl repair` and `remove-gateway`: as a client of the pool it repairs those that are dead, as any
 * gateway would, and ends one that hangs. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

#define NS_PER_S UINT64_C(1000000000)
#define TURN_NS UINT64_C(50000000) /* between two looks at what others repair */
#define POLL_NS UINT64_C(1000000)  /* the longest sleep of the session's loop */
#define CLIENTS_MAX 1024u
#define ERROR_BYTES 1024
#define SCHED_COROUTINES 64 /* ours, and those of the session */
#define NS_PER_MS UINT64_C(1000000)

struct repairing {
    struct ctl *ctl;
    struct dm_sched *sched;
    struct dm_session *session;
    uint64_t deadline_ns;
    uint32_t found, left; /* dead clients at first; still */
    enum dm_status status;
    bool ended;
};

static uint64_t clock_ns(const struct ctl *ctl) { return ctl->env->clock_ns(ctl->env->context); }

/* The clients that are dead. */
static enum dm_status find_gone(struct repairing *repairing, uint32_t *gone, uint32_t *count) {
    struct dm_client *clients = calloc(CLIENTS_MAX, sizeof *clients);
    uint32_t all = 0;
    enum dm_status status =
        clients == NULL ? DM_BUSY : dm_session_clients(repairing->session, clients, CLIENTS_MAX, &all);
    *count = 0;
    for (uint32_t i = 0; i < all && status == DM_OK; i++) {
        if (clients[i].gone) {
            gone[(*count)++] = clients[i].client;
        }
    }
    free(clients);
    return status;
}

/* In a coroutine of the session: until none is dead, or time is up. */
static void repair_coroutine(void *argument) {
    struct repairing *repairing = argument;
    struct ctl *ctl = repairing->ctl;
    uint32_t *gone = calloc(CLIENTS_MAX, sizeof *gone);
    enum dm_status status = gone == NULL ? DM_BUSY : find_gone(repairing, gone, &repairing->left);
    repairing->found = repairing->left;
    while (status == DM_OK && repairing->left != 0 && clock_ns(ctl) < repairing->deadline_ns) {
        progress_show(&ctl->progress, "repairing", repairing->found - repairing->left, repairing->found);
        status = dm_session_repair(repairing->session, gone, repairing->left);
        if (status == DM_NOT_FOUND || status == DM_BUSY) { /* somebody else is at it, or the epoch stands still */
            dm_coro_sleep(repairing->sched, TURN_NS);
            status = DM_OK;
        }
        status = status == DM_OK ? find_gone(repairing, gone, &repairing->left) : status;
    }
    free(gone);
    repairing->status = status;
    repairing->ended = true;
}

/* As a client of the pool. False: it was said why. */
static bool run(struct repairing *repairing) {
    struct ctl *ctl = repairing->ctl;
    char error[ERROR_BYTES] = "no memory";
    const struct dm_sched_config few = {.coroutines = SCHED_COROUTINES};
    if (dm_sched_create(ctl->env, &few, &repairing->sched) != DM_OK) {
        ctl_say("%s", error);
        return false;
    }
    if (dm_session_open(ctl->pool, repairing->sched, &repairing->session, error, sizeof error) != DM_OK) {
        ctl_say("%s", error);
        dm_sched_destroy(repairing->sched);
        return false;
    }
    repairing->status = dm_sched_spawn(repairing->sched, repair_coroutine, repairing);
    while (repairing->status == DM_OK && !repairing->ended) {
        uint64_t wait_ns = dm_session_poll(repairing->session);
        if (wait_ns != 0 && !repairing->ended) {
            ctl_sleep(wait_ns < POLL_NS ? wait_ns : POLL_NS);
        }
    }
    dm_session_close(repairing->session);
    dm_sched_destroy(repairing->sched);
    if (repairing->status != DM_OK) {
        ctl_say("the repair failed: %s; see that all memory nodes run", dm_status_text(repairing->status));
    }
    return repairing->status == DM_OK;
}

static enum ctl_exit repair_and_tell(struct ctl *ctl) {
    struct repairing repairing = {.ctl = ctl, .deadline_ns = clock_ns(ctl) + ctl->timeout_s * NS_PER_S};
    uint64_t began_ns = clock_ns(ctl);
    if (!run(&repairing)) {
        return CTL_EXIT_FAILED;
    }
    progress_clear(&ctl->progress);
    uint64_t ms = (clock_ns(ctl) - began_ns) / NS_PER_MS;
    uint32_t repaired = repairing.found > repairing.left ? repairing.found - repairing.left : 0;
    if (ctl->json) {
        struct json_object *root = json_object_new_object();
        json_object_object_add(root, "repaired", json_object_new_uint64(repaired));
        json_object_object_add(root, "dead", json_object_new_uint64(repairing.left));
        json_object_object_add(root, "ms", json_object_new_uint64(ms));
        puts(json_object_to_json_string_ext(root, JSON_C_TO_STRING_SPACED));
        json_object_put(root);
    } else if (repairing.found == 0) {
        printf("no client is dead\n");
    } else {
        printf("%" PRIu32 " dead clients repaired, %" PRIu32 " left, after %" PRIu64 " ms\n", repaired, repairing.left,
               ms);
    }
    if (repairing.left != 0) {
        ctl_say("%" PRIu32 " dead clients are not repaired after %" PRIu32 " s: another gateway repairs them, or one "
                "hangs and holds it up (fusegate-ctl status; remove-gateway)",
                repairing.left, ctl->timeout_s);
    }
    return repairing.left == 0 ? CTL_EXIT_OK : CTL_EXIT_ATTENTION;
}

enum ctl_exit ctl_repair(struct ctl *ctl) {
    if (!ctl_open(ctl)) {
        return CTL_EXIT_FAILED;
    }
    enum ctl_exit code = repair_and_tell(ctl);
    ctl_close(ctl);
    return code;
}

/* ---- A gateway that hangs --------------------------------------------------------------------------------------- */

static const struct dm_member *gateway_find(const struct ctl *ctl) {
    for (uint32_t i = 0; i < ctl->member_count; i++) {
        char name[CTL_NAME_BYTES];
        if (ctl->members[i].identity != 0 && strcmp(ctl_gateway_name(&ctl->members[i], name), ctl->gateway) == 0) {
            return &ctl->members[i];
        }
    }
    return NULL;
}

/* False: it was said why. */
static bool gateway_fence(struct ctl *ctl, const struct dm_member *gateway) {
    enum dm_status status = dm_inspector_fence(ctl->inspector, gateway->identity, gateway->host);
    if (status == DM_INVALID) {
        ctl_say("gateway %s runs in another container than this program; run this where it runs", ctl->gateway);
    } else if (status != DM_OK) {
        ctl_say("gateway %s could not be ended: %s; the lines before say why", ctl->gateway, dm_status_text(status));
    }
    return status == DM_OK;
}

enum ctl_exit ctl_remove_gateway(struct ctl *ctl) {
    enum ctl_exit code = CTL_EXIT_FAILED;
    if (!ctl_open(ctl)) {
        return code;
    }
    const struct dm_member *gateway = ctl_members(ctl) ? gateway_find(ctl) : NULL;
    if (ctl->member_count != 0 && gateway == NULL) {
        ctl_say("no client of this pool belongs to a gateway %s; fusegate-ctl status shows them", ctl->gateway);
    } else if (gateway == NULL) {
        ctl_say("the pool has no clients");
    } else if (gateway_fence(ctl, gateway)) {
        code = repair_and_tell(ctl);
    }
    ctl_close(ctl);
    return code;
}
