/* verbs_device.h: what gateway and memory node ask of a device before they use it, and how a queue pair of theirs comes
 * up. No connections, no memory. Included by fabric/verbs*.c and memserver/verbs*.c only; whatever thread owns the id.
 * */
#ifndef DM_FABRIC_VERBS_DEVICE_H
#define DM_FABRIC_VERBS_DEVICE_H

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

#include "dm.h"

struct verbs_device {
    struct ibv_context *context; /* librdmacm's */
    struct ibv_device_attr attr;
    uint8_t port;
    uint32_t message_bytes_max; /* of one READ or WRITE */
    bool iwarp;
    bool windows;  /* memory windows of type 2B */
    bool software; /* Soft-RoCE */
};

/* What no device has to be asked for. DM_INVALID with a message that names key, limits and remedy. */
enum dm_status verbs_config_check(const struct dm_verbs_config *config, char *error, size_t error_bytes);

/* The event channel of librdmacm; NULL with a message when RDMA cannot be had here at all. */
struct rdma_event_channel *verbs_events_open(char *error, size_t error_bytes);

/* The device on which rdma_cm has put the id, if it will do and is the one that the configuration allows. */
enum dm_status verbs_device_examine(const struct rdma_cm_id *id, const struct dm_verbs_config *config,
                                    struct verbs_device *out, char *error, size_t error_bytes);

/* What was left to the device. */
void verbs_config_settle(struct dm_verbs_config *config, const struct verbs_device *device);

/* Registers memory, or says which limit is too small. */
struct ibv_mr *verbs_memory_register(struct ibv_pd *pd, void *bytes, size_t length, int access, char *error,
                                     size_t error_bytes);

/* rdma_cm would do this by itself, but not with another MTU, service level, GID, timeout or access than it thinks
 * right. `access`: what the other side may do (IBV_ACCESS_REMOTE_). iWARP's queue pairs need `init` only. */
enum dm_status verbs_pair_init(struct rdma_cm_id *id, struct ibv_qp *qp, int access, char *error, size_t error_bytes);
/* `responder`: how many READs and atomics of the other side may be outstanding; 0: as rdma_cm says.
 * *initiator (may be NULL): how many of this side. */
enum dm_status verbs_pair_ready(struct rdma_cm_id *id, struct ibv_qp *qp, const struct dm_verbs_config *config,
                                uint8_t responder, uint32_t *initiator, char *error, size_t error_bytes);

/* All that is outstanding ends with an error. */
void verbs_pair_break(struct ibv_qp *qp);

/* At most so many READs and atomics of one queue pair can be outstanding. */
static inline uint8_t verbs_depth_clamp(int depth) { return (uint8_t)(depth < 1 ? 1 : depth > 255 ? 255 : depth); }

#endif
