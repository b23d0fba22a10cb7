/* node_config.h: the memory node's configuration: sections [memserver] and [rdma] of an INI file, and
 * --section.key=value.
 *
 * One file may serve all programs: sections [gateway], [pool] and [coordinator] are skipped unread. Unknown sections,
 * unknown keys of those two and values out of range are errors. Read once at start, on the main thread. */
#ifndef NODE_CONFIG_H
#define NODE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dm.h"
#include "rdma_setting.h"

struct node_config {
    char listen[108]; /* path of the control socket, without `unix:`; or rdma://address:port */
    uint64_t memory_bytes;
    int numa_node; /* -1: any */
    enum dm_log_level log_level;
    struct rdma_setting rdma;
};

void node_config_defaults(struct node_config *config);

/* arguments: an optional path of a file first, then --section.key=value, which win over the file. Without the program's
 * name. Returns false with a message that names file and line (or the argument), key and what is allowed. */
bool node_config_load(struct node_config *config, int count, char **arguments, char *error, size_t error_bytes);

#endif
