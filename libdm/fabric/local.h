/* local.h: what the files of the `local` provider share. Not for anybody outside of fabric/local*.c. */
#ifndef DM_FABRIC_LOCAL_H
#define DM_FABRIC_LOCAL_H

#include "fabric.h"

struct local_fabric {
    struct dm_fabric head;
    uint8_t *base[DM_NODES_MAX]; /* this process's mapping of each node's memory */
    int socket[DM_NODES_MAX];    /* control socket of the node; -1: memory of this process, not ours to unmap */
    int seats;                   /* the first node's memory as a file of our own, for its locks; -1: none */
    int seats_probe;             /* the same once more: a file does not see its own locks */
};

/* A fabric without nodes; NULL when there is no memory. */
struct local_fabric *local_fabric_create(const struct dm_env *env);

/* local_seats.c. Memory of this process has no seats: there is nobody else. false: errno says why. */
bool local_seats_open(struct local_fabric *fabric, int memory_fd);
void local_seats_close(struct local_fabric *fabric);
bool local_seat_take(struct dm_fabric *fabric, uint32_t seat);
void local_seat_leave(struct dm_fabric *fabric, uint32_t seat);
bool local_seat_empty(struct dm_fabric *fabric, uint32_t seat);

/* local_fence.c. Says in fabric->head who this process is. false: errno says why. */
bool local_identify(struct local_fabric *fabric);
enum dm_status local_fence(struct dm_fabric *fabric, uint64_t identity);
uint32_t local_process(uint64_t identity);

/* Unmaps and closes what local_shared.c mapped and opened. */
void local_shared_release(struct local_fabric *fabric);

#endif
