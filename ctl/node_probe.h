/* node_probe.h: asks a memory node of this host how it is, through its control socket. One thread; blocks for a bounded
 * time. */
#ifndef CTL_NODE_PROBE_H
#define CTL_NODE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct node_state {
    uint64_t memory_bytes;
    uint32_t process, connections, connections_max, clients;
};

/* `address` is a path, with or without "unix:". False: error says what is wrong and what to do. */
bool node_probe(const char *address, struct node_state *out, char *error, size_t error_bytes);

#endif
