/* etcd_servers.h: an etcd cluster of three processes on free ports of 127.0.0.1, for tests of membership. Main thread
 * only. */
#ifndef TESTS_ETCD_SERVERS_H
#define TESTS_ETCD_SERVERS_H

#include "process.h"

#define ETCD_MEMBERS 3

struct etcd {
    struct process *member[ETCD_MEMBERS];
    int client[ETCD_MEMBERS], peer[ETCD_MEMBERS]; /* ports */
    char endpoints[256];
};

/* Returns when all of them serve. */
void etcd_start(struct etcd *etcd);
void etcd_stop(struct etcd *etcd);

void etcd_member_kill(struct etcd *etcd, int i);
/* With what it had; etcd_await tells when it serves again. */
void etcd_member_restart(struct etcd *etcd, int i);
void etcd_await(const struct etcd *etcd);

/* What gateways and coordinators are told; words for struct cluster. */
void etcd_words(char *out, size_t out_bytes, const char *endpoints, int ttl_s);

#endif
