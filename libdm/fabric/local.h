/* local.h: what the files of the `local` provider share. Not for anybody outside of fabric/local*.c. */
#ifndef DM_FABRIC_LOCAL_H
#define DM_FABRIC_LOCAL_H

#include "fabric.h"

struct local_fabric {
    struct dm_fabric head;
    uint8_t *base[DM_NODES_MAX]; /* this process's mapping of each node's memory */
    int socket[DM_NODES_MAX];    /* control socket of the node; -1: memory of this process, not ours to unmap */
};

/* A fabric without nodes; NULL when there is no memory. */
struct local_fabric *local_fabric_create(const struct dm_env *env);

/* Unmaps and closes what local_shared.c mapped and opened. */
void local_shared_release(struct local_fabric *fabric);

#endif
