/* servers.h: starts the systems under test: redis-server, fusegate with an embedded pool, and a cluster of
 * memory-node and gateway processes. All listen on free ports of 127.0.0.1. Main thread only.
 *
 * Clusters go over RDMA when the environment has FUSEGATE_TEST_RDMA, the address of the memory nodes' adapter. Then
 * FUSEGATE_TEST_SECRET is the file of the secret, and FUSEGATE_TEST_RDMA_ARGS are more options for gateways and memory
 * nodes, separated by spaces. */
#ifndef TESTS_SERVERS_H
#define TESTS_SERVERS_H

#include "process.h"

/* A binary of the build under test ($BUILD, default build). */
const char *servers_path(const char *binary);

/* `extra` (may be NULL) is appended to the command line and freed. These return once the server answers, and end the
 * program with its log when it does not. */
struct process *servers_start_redis(struct process_args *extra);
struct process *servers_start_fusegate(struct process_args *extra);
/* "redis", "fusegate", "cluster" (a gateway with three memory-node processes of its own), or one of them and more
 * arguments for the server, separated by spaces. */
struct process *servers_start_named(const char *words);
/* Starts fusegate without waiting for readiness, for start-up errors. */
struct process *servers_launch_fusegate(int port, struct process_args *extra);

#define CLUSTER_MAX 8
#define CLUSTER_NODE_BYTES (UINT64_C(64) << 20) /* of each memory node of "cluster" */

struct cluster {
    int memserver_count, gateway_count, replicas;
    uint64_t memory_bytes; /* of each memory node */
    int lease_ms;          /* of the gateways; 0: the default */
    char extra[400];       /* arguments of gateways, coordinators and tools, separated by spaces */
    struct process *memserver[CLUSTER_MAX];
    struct process *gateway[CLUSTER_MAX];
    char socket[CLUSTER_MAX][128];
};

/* Starts what the first fields ask for. */
void cluster_start(struct cluster *cluster);
/* One memory node, at the address that it had; launch does not wait until it is ready. */
void cluster_start_memserver(struct cluster *cluster, int i);
struct process *cluster_launch_memserver(const struct cluster *cluster, int i);
struct process *cluster_start_gateway(struct cluster *cluster, struct process_args *extra);
/* The memory nodes' sockets, separated by commas, in an order given by indices; static text. */
const char *cluster_memservers(const struct cluster *cluster, const int *order);
/* Which memory nodes, and how they are reached: what all programs of the cluster are told. */
void cluster_args_add(struct process_args *args, const struct cluster *cluster);
/* SIGTERM to all; true when every process ended with exit code 0. */
bool cluster_stop(struct cluster *cluster);

#endif
