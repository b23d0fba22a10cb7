/* etcd.c: the membership of any number of coordinators, of which one acts: the one that has put its number under the
 * coordinator's key, as long as its lease lasts by its own clock. A gateway's lease is over when its words in the pool
 * say so, as for `builtin`, or when its key in etcd is gone. See membership.h, etcd_key.h.
 *
 * A gateway puts its key before it joins the pool. So a client that a look has found in the pool, and whose gateway has
 * no key in a look that began behind that one, has none any more. After a time without etcd keys may be missing that
 * their gateways are about to put again: for the length of a lease nobody is judged by them then. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "etcd_client.h"
#include "etcd_key.h"
#include "lease_watch.h"
#include "log.h"
#include "membership.h"

#define CLIENTS_MAX 1024u
#define PRESENT_MAX 4096u /* keys of gateways: those that have just ended may still be there */
#define NS_PER_S UINT64_C(1000000000)
#define KEEPS_IN_LEASE 4u
#define GRACE_LEASES 2u /* a gateway notices within a lease that etcd is back */

struct membership {
    const struct dm_env *env;
    struct etcd_client *client;
    uint32_t ttl_s;
    char key[ETCD_KEY_BYTES_MAX], gateways[ETCD_KEY_BYTES_MAX], number[24];
    int64_t lease;
    bool acts;                 /* the key is ours */
    uint64_t acts_until_ns;    /* by our clock */
    uint64_t keep_ns, list_ns; /* when the lease is to be kept up; when the keys are to be read again */
    uint64_t listed_ns;        /* when the last reading of the keys began */
    uint64_t judge_ns;         /* from when on keys that are missing count */
    bool failing;              /* which was logged */
    struct lease_watch watches[CLIENTS_MAX];
    uint64_t owners[CLIENTS_MAX];  /* of the pool's records, as the last look has found them, */
    uint64_t seen_ns[CLIENTS_MAX]; /* and the end of the first look that has */
    uint64_t *present;             /* identities that have a key */
    uint32_t present_count;
};

static uint64_t clock_ns(const struct membership *membership) {
    return membership->env->clock_ns(membership->env->context);
}

static void etcd_shut(struct membership *membership) {
    if (membership->client != NULL) {
        if (membership->lease != 0) {
            (void)etcd_lease_revoke(membership->client, membership->lease); /* another one may act at once */
        }
        etcd_close(membership->client);
    }
    free(membership->present);
    free(membership);
}

static struct membership *etcd_start(const struct config *config, uint64_t pool_id, char *error, size_t error_bytes) {
    struct membership *membership = calloc(1, sizeof *membership);
    if (membership == NULL) {
        snprintf(error, error_bytes, "no memory");
        return NULL;
    }
    membership->env = dm_env_system();
    membership->ttl_s = config->coordinator_ttl_s;
    membership->client = etcd_open(config->coordinator_etcd, error, error_bytes);
    membership->present = calloc(PRESENT_MAX, sizeof *membership->present);
    if (membership->client == NULL || membership->present == NULL) {
        etcd_shut(membership);
        return NULL;
    }
    etcd_key_coordinator(membership->key, pool_id);
    etcd_key_gateways(membership->gateways, pool_id);
    snprintf(membership->number, sizeof membership->number, "%016" PRIx64,
             membership->env->random_u64(membership->env->context));
    return membership;
}

/* ---- Election --------------------------------------------------------------------------------------------------- */

/* Ours, if nobody has it. */
static enum etcd_result stand(struct membership *membership) {
    char value[ETCD_VALUE_BYTES_MAX];
    enum etcd_result result = etcd_create(membership->client, membership->key, membership->number, membership->lease);
    if (result == ETCD_NO) { /* an answer may have been lost: it may be ours already */
        result = etcd_get(membership->client, membership->key, value);
        result = result == ETCD_OK && strcmp(value, membership->number) != 0 ? ETCD_NO : result;
    }
    return result;
}

static void note_failing(struct membership *membership, bool failing) {
    if (failing && !membership->failing) {
        log_write(DM_LOG_WARNING, "etcd does not answer; nobody is fenced until it is back: %s",
                  etcd_error(membership->client));
    } else if (!failing && membership->failing) {
        log_write(DM_LOG_NOTICE, "etcd answers again");
    }
    membership->failing = failing;
}

static void elect(struct membership *membership) {
    const uint64_t now_ns = clock_ns(membership);
    const bool acted = membership->acts;
    if (now_ns < membership->keep_ns) {
        return;
    }
    enum etcd_result result = membership->lease == 0 ? ETCD_NO : etcd_lease_keep(membership->client, membership->lease);
    if (result == ETCD_NO) {
        membership->lease = 0;
        result = etcd_lease_grant(membership->client, membership->ttl_s, &membership->lease);
    }
    result = result == ETCD_OK ? stand(membership) : result;
    note_failing(membership, result == ETCD_FAILED);
    if (result != ETCD_FAILED) {
        membership->acts = result == ETCD_OK;
        membership->acts_until_ns = now_ns + membership->ttl_s * NS_PER_S;
    }
    membership->keep_ns = now_ns + membership->ttl_s * NS_PER_S / KEEPS_IN_LEASE;
    if (membership->acts && !acted) {
        log_write(DM_LOG_NOTICE, "this coordinator acts from now on");
        membership->judge_ns = now_ns + GRACE_LEASES * membership->ttl_s * NS_PER_S;
    } else if (!membership->acts && acted) {
        log_write(DM_LOG_NOTICE, "another coordinator acts now");
    }
}

/* ---- Looks ------------------------------------------------------------------------------------------------------ */

static void note_present(void *context, const char *key, const char *value) {
    struct membership *membership = context;
    const char *last = strrchr(key, '/');
    (void)value;
    if (last != NULL && membership->present_count < PRESENT_MAX) {
        membership->present[membership->present_count] = strtoull(last + 1, NULL, 16);
    }
    membership->present_count++; /* above PRESENT_MAX: not all are known */
}

/* The keys, now and then: they are there for many leases of the pool's. */
static void list(struct membership *membership) {
    const uint64_t now_ns = clock_ns(membership);
    if (now_ns < membership->list_ns) {
        return;
    }
    membership->present_count = 0;
    bool failing = etcd_list(membership->client, membership->gateways, note_present, membership) != ETCD_OK;
    note_failing(membership, failing);
    failing |= membership->present_count > PRESENT_MAX;
    membership->listed_ns = now_ns;
    membership->list_ns = now_ns + membership->ttl_s * NS_PER_S / KEEPS_IN_LEASE;
    if (failing) {
        membership->judge_ns = now_ns + GRACE_LEASES * membership->ttl_s * NS_PER_S;
    }
}

static bool etcd_look(struct membership *membership) {
    elect(membership);
    if (!membership->acts || clock_ns(membership) >= membership->acts_until_ns) {
        return false;
    }
    list(membership);
    return true;
}

static bool is_present(const struct membership *membership, uint64_t identity) {
    for (uint32_t i = 0; i < membership->present_count && i < PRESENT_MAX; i++) {
        if (membership->present[i] == identity) {
            return true;
        }
    }
    return false;
}

static bool etcd_is_over(struct membership *membership, const struct dm_member *member, uint64_t began_ns,
                         uint64_t ended_ns) {
    const uint32_t client = member->client.client;
    if (client >= CLIENTS_MAX) {
        return false;
    }
    const struct lease_sight sight = {.owner = member->client.owner,
                                      .lease = member->lease,
                                      .lease_ms = member->lease_ms,
                                      .began_ns = began_ns,
                                      .ended_ns = ended_ns};
    const bool over = lease_watch_look(&membership->watches[client], &sight);
    if (membership->owners[client] != member->client.owner) {
        membership->owners[client] = member->client.owner;
        membership->seen_ns[client] = ended_ns;
    }
    const bool missing = member->lease_ms != 0 && membership->listed_ns > membership->seen_ns[client] &&
                         began_ns >= membership->judge_ns && !is_present(membership, member->identity);
    return over || missing;
}

static bool etcd_may_fence(struct membership *membership, const struct dm_member *member) {
    (void)member;
    return membership->acts && clock_ns(membership) < membership->acts_until_ns;
}

const struct membership_ops membership_etcd = {.name = "etcd",
                                               .open = etcd_start,
                                               .close = etcd_shut,
                                               .look = etcd_look,
                                               .is_over = etcd_is_over,
                                               .may_fence = etcd_may_fence};
