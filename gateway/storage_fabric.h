/* storage_fabric.h: opens the fabric to the memory nodes that a configuration names: by shared memory or over RDMA. For
 * the gateway, and for the tools that read the same configuration. At start, on the main thread. */
#ifndef STORAGE_FABRIC_H
#define STORAGE_FABRIC_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "dm.h"

/* Splits a list of memory nodes in place; 0: an empty name, or more than DM_NODES_MAX. */
uint32_t storage_names_split(char *text, const char **names);

/* [pool] memservers must not be empty. False: error says what to do. */
bool storage_fabric_open(const struct config *config, const struct dm_env *env, struct dm_fabric **out, char *error,
                         size_t error_bytes);

#endif
