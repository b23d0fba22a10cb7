/* etcd_member.c: see etcd_member.h. */
#include "etcd_member.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "etcd_client.h"
#include "etcd_key.h"

#define NS_PER_S UINT64_C(1000000000)
#define KEEPS_IN_LEASE 4u
#define AGAIN_NS (NS_PER_S / 5) /* behind a call that failed */
#define LOG_LINE_BYTES 512

struct etcd_member {
    struct etcd_member_config config;
    struct etcd_client *client;
    char key[ETCD_KEY_BYTES_MAX];
    int64_t lease; /* 0: none is known to be ours */
    bool failing;  /* which was logged */
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    bool stopping;
};

static void say(const struct etcd_member *member, enum dm_log_level level, const char *format, ...) DM_PRINTF(3, 4);

static void say(const struct etcd_member *member, enum dm_log_level level, const char *format, ...) {
    char line[LOG_LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    member->config.env->log(member->config.env->context, level, line);
}

static uint64_t clock_ns(const struct etcd_member *member) {
    return member->config.env->clock_ns(member->config.env->context);
}

/* Lease and key, or the lease alone once more. What etcd counts from the moment that it answers we count from the
 * moment that we asked. */
static enum etcd_result renew(struct etcd_member *member) {
    const uint64_t began_ns = clock_ns(member);
    enum etcd_result result = member->lease == 0 ? ETCD_NO : etcd_lease_keep(member->client, member->lease);
    if (result == ETCD_NO) {
        member->lease = 0;
        result = etcd_lease_grant(member->client, member->config.ttl_s, &member->lease);
        if (result == ETCD_OK) {
            result = etcd_put(member->client, member->key, "", member->lease);
            member->lease = result == ETCD_OK ? member->lease : 0;
        }
    }
    if (result == ETCD_OK) {
        dm_pool_serve_until(member->config.pool, began_ns + member->config.ttl_s * NS_PER_S);
    }
    return result;
}

static void note(struct etcd_member *member, enum etcd_result result) {
    const bool failing = result != ETCD_OK;
    if (failing && !member->failing) {
        say(member, DM_LOG_WARNING,
            "etcd does not answer; commands are refused when the lease of %u s is over, until it is back: %s",
            member->config.ttl_s, etcd_error(member->client));
    } else if (!failing && member->failing) {
        say(member, DM_LOG_NOTICE, "etcd answers again");
    }
    member->failing = failing;
}

/* True: the member is to stop. */
static bool wait_ns(struct etcd_member *member, uint64_t ns) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    ns += (uint64_t)until.tv_nsec;
    until.tv_sec += (time_t)(ns / NS_PER_S);
    until.tv_nsec = (long)(ns % NS_PER_S);
    pthread_mutex_lock(&member->lock);
    if (!member->stopping) {
        pthread_cond_timedwait(&member->changed, &member->lock, &until);
    }
    const bool stopping = member->stopping;
    pthread_mutex_unlock(&member->lock);
    return stopping;
}

static void *member_main(void *argument) {
    struct etcd_member *member = argument;
    const uint64_t share_ns = member->config.ttl_s * NS_PER_S / KEEPS_IN_LEASE;
    while (!wait_ns(member, member->failing ? AGAIN_NS : share_ns)) {
        note(member, renew(member));
    }
    if (member->lease != 0) {
        (void)etcd_lease_revoke(member->client, member->lease); /* else it runs out */
    }
    return NULL;
}

/* Signals are the main thread's. */
static bool thread_start(struct etcd_member *member) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    const bool started = pthread_create(&member->thread, NULL, member_main, member) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

bool etcd_member_open(const struct etcd_member_config *config, struct etcd_member **out, char *error,
                      size_t error_bytes) {
    struct etcd_member *member = calloc(1, sizeof *member);
    if (member == NULL) {
        snprintf(error, error_bytes, "no memory");
        return false;
    }
    member->config = *config;
    member->client = etcd_open(config->endpoints, error, error_bytes);
    if (member->client == NULL) {
        free(member);
        return false;
    }
    etcd_key_gateway(member->key, config->pool_id, config->identity);
    pthread_mutex_init(&member->lock, NULL);
    pthread_cond_init(&member->changed, NULL);
    if (renew(member) != ETCD_OK) {
        snprintf(error, error_bytes, "etcd ([coordinator] etcd): %s; see that it runs there",
                 etcd_error(member->client));
    } else if (!thread_start(member)) {
        snprintf(error, error_bytes, "no thread for the membership in etcd");
    } else {
        *out = member;
        return true;
    }
    etcd_close(member->client);
    free(member);
    return false;
}

void etcd_member_close(struct etcd_member *member) {
    pthread_mutex_lock(&member->lock);
    member->stopping = true;
    pthread_cond_signal(&member->changed);
    pthread_mutex_unlock(&member->lock);
    pthread_join(member->thread, NULL);
    etcd_close(member->client);
    pthread_mutex_destroy(&member->lock);
    pthread_cond_destroy(&member->changed);
    free(member);
}
