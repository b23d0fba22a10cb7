/* verbs_device.c: see verbs_device.h. Only verbs of the standard: nothing here knows any vendor. */
#include "verbs_device.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "verbs_wire.h"

#define MTU_MIN 256u
#define MTU_MAX 4096u
#define RNR_RETRIES 6u
#define TIMEOUT_ADAPTER 14u /* 67 ms */
#define RETRIES_ADAPTER 7
/* Soft-RoCE works on the host's CPUs, which may be busy for longer than an adapter ever is, and what it sends again
 * without need can stall a queue pair of its for good. Seven retries are "for ever" to it. */
#define TIMEOUT_SOFTWARE 18u /* 1.07 s */
#define RETRIES_SOFTWARE 4
#define VENDOR_SOFTWARE 0xffffffu

struct complaint {
    char *error;
    size_t error_bytes;
};

static enum dm_status fail(struct complaint to, enum dm_status status, const char *format, ...) DM_PRINTF(3, 4);

static enum dm_status fail(struct complaint to, enum dm_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(to.error, to.error_bytes, format, arguments);
    va_end(arguments);
    return status;
}

/* ---- Configuration ---------------------------------------------------------------------------------------------- */

void dm_verbs_config_init(struct dm_verbs_config *config) {
    *config = (struct dm_verbs_config){
        .gid_index = -1, .traffic_class = -1, .service_level = -1, .retry_count = -1, .rnr_retry = RNR_RETRIES};
}

void verbs_config_settle(struct dm_verbs_config *config, const struct verbs_device *device) {
    if (config->timeout == 0)
        config->timeout = device->software ? TIMEOUT_SOFTWARE : TIMEOUT_ADAPTER;
    if (config->retry_count < 0)
        config->retry_count = device->software ? RETRIES_SOFTWARE : RETRIES_ADAPTER;
}

static enum ibv_mtu mtu_of(uint32_t bytes) {
    enum ibv_mtu mtu = IBV_MTU_256;
    while (mtu < IBV_MTU_4096 && MTU_MIN << (mtu - IBV_MTU_256) < bytes)
        mtu++;
    return mtu;
}

static uint32_t mtu_bytes(enum ibv_mtu mtu) { return MTU_MIN << (mtu - IBV_MTU_256); }

enum dm_status verbs_config_check(const struct dm_verbs_config *config, char *error, size_t error_bytes) {
    const struct complaint to = {error, error_bytes};
    if (!config->secret || config->secret_bytes == 0)
        return fail(
            to, DM_INVALID,
            "no secret: set rdma.secret_file, on all gateways and memory nodes, to a file with the same content "
            "(make it with: umask 077; head -c 32 /dev/urandom | base64 > FILE)");
    if (config->secret_bytes < VERBS_SECRET_BYTES_MIN || config->secret_bytes > VERBS_SECRET_BYTES_MAX)
        return fail(to, DM_INVALID, "a secret of %" PRIu32 " bytes: it must have %u to %u", config->secret_bytes,
                    VERBS_SECRET_BYTES_MIN, VERBS_SECRET_BYTES_MAX);
    if (config->mtu != 0 && (config->mtu < MTU_MIN || config->mtu > MTU_MAX || (config->mtu & (config->mtu - 1)) != 0))
        return fail(to, DM_INVALID, "rdma.mtu = %" PRIu32 ": must be 256, 512, 1024, 2048, 4096, or 0 for the path's",
                    config->mtu);
    if (config->port > UINT8_MAX || config->gid_index < -1 || config->gid_index > UINT8_MAX)
        return fail(to, DM_INVALID,
                    "rdma.port = %" PRIu32 ", rdma.gid_index = %" PRId32 ": ports go from 1 to 255 (0 = "
                    "the route's), GID indexes from 0 to 255 (-1 = the route's)",
                    config->port, config->gid_index);
    if (config->traffic_class < -1 || config->traffic_class > 255 || config->service_level < -1 ||
        config->service_level > 15)
        return fail(to, DM_INVALID,
                    "rdma.traffic_class = %" PRId32 ", rdma.service_level = %" PRId32
                    ": they go from 0 to 255 and from 0 to 15, -1 = the route's",
                    config->traffic_class, config->service_level);
    if (config->timeout > 31 || config->retry_count < -1 || config->retry_count > 7 || config->rnr_retry > 7)
        return fail(to, DM_INVALID,
                    "rdma.timeout = %" PRIu32 " must be 0 to 31, rdma.retry_count = %" PRId32
                    " -1 to 7, rdma.rnr_retry = %" PRIu32 " 0 to 7",
                    config->timeout, config->retry_count, config->rnr_retry);
    return DM_OK;
}

/* ---- Device ----------------------------------------------------------------------------------------------------- */

static int devices_count(void) {
    int count = 0;
    struct ibv_device **devices = ibv_get_device_list(&count);
    if (!devices)
        return 0;
    ibv_free_device_list(devices);
    return count;
}

static const char no_device[] =
    "no RDMA device on this machine: load the driver of the adapter, or make a Soft-RoCE device on an Ethernet "
    "interface "
    "(modprobe rdma_rxe; rdma link add rxe0 type rxe netdev eth0), or use fabric local; see docs/rdma.md";

struct rdma_event_channel *verbs_events_open(char *error, size_t error_bytes) {
    const struct complaint to = {error, error_bytes};
    if (devices_count() == 0) {
        fail(to, DM_UNREACHABLE, "%s", no_device);
        return NULL;
    }
    struct rdma_event_channel *events = rdma_create_event_channel();
    if (!events)
        fail(
            to, DM_UNREACHABLE,
            "the RDMA connection manager cannot be used: %s; see that module rdma_ucm is loaded and that this user may "
            "open /dev/infiniband/rdma_cm (a container needs that device too)",
            strerror(errno));
    return events;
}

static enum dm_status gid_check(const struct verbs_device *device, const struct dm_verbs_config *config,
                                int table_length, struct complaint to) {
    const char *name = ibv_get_device_name(device->context->device);
    union ibv_gid gid;
    if (config->gid_index < 0)
        return DM_OK;
    if (config->gid_index >= table_length)
        return fail(to, DM_INVALID,
                    "rdma.gid_index = %" PRId32 ": port %u of %s has GIDs 0 to %d; show_gids or ibv_devinfo "
                    "-v lists them, -1 takes the route's",
                    config->gid_index, device->port, name, table_length - 1);
    if (ibv_query_gid(device->context, device->port, config->gid_index, &gid) != 0 ||
        (gid.global.interface_id == 0 && gid.global.subnet_prefix == 0))
        return fail(to, DM_INVALID,
                    "rdma.gid_index = %" PRId32 ": this GID of port %u of %s is empty; ibv_devinfo -v lists "
                    "those in use, -1 takes the route's",
                    config->gid_index, device->port, name);
    return DM_OK;
}

static enum dm_status port_check(struct verbs_device *device, const struct dm_verbs_config *config,
                                 struct complaint to) {
    const char *name = ibv_get_device_name(device->context->device);
    struct ibv_port_attr port;
    if (config->port != 0 && config->port != device->port)
        return fail(to, DM_INVALID,
                    "rdma.port = %" PRIu32 ": the route uses port %u of %s; correct the address, the route or "
                    "rdma.port",
                    config->port, device->port, name);
    if (ibv_query_port(device->context, device->port, &port) != 0)
        return fail(to, DM_UNREACHABLE, "port %u of %s cannot be examined: %s", device->port, name, strerror(errno));
    if (port.state != IBV_PORT_ACTIVE)
        return fail(to, DM_UNREACHABLE, "port %u of %s is not active (%s); see to its cable, switch and interface",
                    device->port, name, ibv_port_state_str(port.state));
    if (config->mtu > mtu_bytes(port.active_mtu))
        return fail(to, DM_INVALID,
                    "rdma.mtu = %" PRIu32 ": port %u of %s has an active MTU of %" PRIu32
                    "; raise the interface's MTU or lower rdma.mtu",
                    config->mtu, device->port, name, mtu_bytes(port.active_mtu));
    device->message_bytes_max = port.max_msg_sz;
    return gid_check(device, config, port.gid_tbl_len, to);
}

enum dm_status verbs_device_examine(const struct rdma_cm_id *id, const struct dm_verbs_config *config,
                                    struct verbs_device *out, char *error, size_t error_bytes) {
    const struct complaint to = {error, error_bytes};
    struct verbs_device device = {.context = id->verbs, .port = id->port_num};
    if (!id->verbs)
        return fail(to, DM_INVALID, "the address is not one of a single RDMA device; give that of one interface");
    const char *name = ibv_get_device_name(id->verbs->device);
    if (config->device && config->device[0] && strcmp(config->device, name) != 0)
        return fail(to, DM_INVALID,
                    "rdma.device = %s: the route uses device %s; correct the address, the route or "
                    "rdma.device",
                    config->device, name);
    if (ibv_query_device(id->verbs, &device.attr) != 0)
        return fail(to, DM_UNREACHABLE, "device %s cannot be examined: %s", name, strerror(errno));
    if (device.attr.atomic_cap == IBV_ATOMIC_NONE)
        return fail(
            to, DM_INCOMPATIBLE,
            "device %s has no atomic operations (compare-and-swap), without which nothing can be agreed on; use "
            "another adapter, or Soft-RoCE on its interface",
            name);
    device.software = device.attr.vendor_id == VENDOR_SOFTWARE;
    device.iwarp = id->verbs->device->transport_type == IBV_TRANSPORT_IWARP;
    device.windows = (device.attr.device_cap_flags & IBV_DEVICE_MEM_WINDOW_TYPE_2B) != 0 && device.attr.max_mw > 0;
    enum dm_status status = port_check(&device, config, to);
    if (status == DM_OK)
        *out = device;
    return status;
}

struct ibv_mr *verbs_memory_register(struct ibv_pd *pd, void *bytes, size_t length, int access, char *error,
                                     size_t error_bytes) {
    const struct complaint to = {error, error_bytes};
    struct ibv_mr *mr = ibv_reg_mr(pd, bytes, length, access);
    if (mr)
        return mr;
    const int cause = errno;
    struct rlimit limit = {0};
    const bool limited = getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
    if (limited && (cause == ENOMEM || cause == EPERM || cause == EAGAIN))
        fail(to, DM_NO_MEMORY,
             "cannot register %zu KiB with the adapter: locked memory is limited to %" PRIu64
             " KiB; raise it: ulimit -l unlimited, LimitMEMLOCK=infinity (systemd), --ulimit memlock=-1 (containers)",
             length >> 10, (uint64_t)limit.rlim_cur >> 10);
    else
        fail(to, DM_NO_MEMORY, "cannot register %zu KiB with the adapter: %s", length >> 10, strerror(cause));
    return NULL;
}

/* ---- Queue pairs ------------------------------------------------------------------------------------------------- */

static enum dm_status pair_modify(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask, struct complaint to) {
    const int cause = ibv_modify_qp(qp, attr, mask);
    if (cause == 0)
        return DM_OK;
    return fail(to, DM_UNREACHABLE, "the queue pair cannot be made ready (state %d): %s", attr->qp_state,
                strerror(cause));
}

enum dm_status verbs_pair_init(struct rdma_cm_id *id, struct ibv_qp *qp, int access, char *error, size_t error_bytes) {
    const struct complaint to = {error, error_bytes};
    struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT};
    int mask = 0;
    if (rdma_init_qp_attr(id, &attr, &mask) != 0)
        return fail(to, DM_UNREACHABLE, "the route gives no attributes for a queue pair: %s", strerror(errno));
    attr.qp_access_flags = (unsigned)access;
    return pair_modify(qp, &attr, mask, to);
}

/* The route's GID must stay the same address: a packet from another one would not be answered. */
static enum dm_status gid_choose(struct rdma_cm_id *id, struct ibv_qp_attr *attr, int gid_index, struct complaint to) {
    union ibv_gid routed, wanted;
    struct ibv_global_route *route = &attr->ah_attr.grh;
    if (!attr->ah_attr.is_global || gid_index == route->sgid_index)
        return DM_OK;
    if (ibv_query_gid(id->verbs, id->port_num, route->sgid_index, &routed) != 0 ||
        ibv_query_gid(id->verbs, id->port_num, gid_index, &wanted) != 0 || memcmp(&routed, &wanted, sizeof routed) != 0)
        return fail(
            to, DM_INVALID,
            "rdma.gid_index = %d: it has another address than the route, which uses GID %u; correct it, or leave "
            "it out (-1)",
            gid_index, route->sgid_index);
    route->sgid_index = (uint8_t)gid_index;
    return DM_OK;
}

enum dm_status verbs_pair_ready(struct rdma_cm_id *id, struct ibv_qp *qp, const struct dm_verbs_config *config,
                                uint8_t responder, uint32_t *initiator, char *error, size_t error_bytes) {
    const struct complaint to = {error, error_bytes};
    struct ibv_qp_attr attr = {.qp_state = IBV_QPS_RTR};
    int mask = 0;
    if (rdma_init_qp_attr(id, &attr, &mask) != 0)
        return fail(to, DM_UNREACHABLE, "the route gives no attributes for a queue pair: %s", strerror(errno));
    if (config->mtu != 0 && attr.path_mtu > mtu_of(config->mtu))
        attr.path_mtu = mtu_of(config->mtu);
    if (responder != 0)
        attr.max_dest_rd_atomic = responder;
    if (config->service_level >= 0)
        attr.ah_attr.sl = (uint8_t)config->service_level;
    enum dm_status status = config->gid_index < 0 ? DM_OK : gid_choose(id, &attr, config->gid_index, to);
    if (status == DM_OK)
        status = pair_modify(qp, &attr, mask, to);
    if (status != DM_OK)
        return status;
    attr = (struct ibv_qp_attr){.qp_state = IBV_QPS_RTS};
    mask = 0;
    if (rdma_init_qp_attr(id, &attr, &mask) != 0)
        return fail(to, DM_UNREACHABLE, "the route gives no attributes for a queue pair: %s", strerror(errno));
    attr.timeout = (uint8_t)config->timeout;
    attr.retry_cnt = (uint8_t)config->retry_count;
    attr.rnr_retry = (uint8_t)config->rnr_retry;
    if (initiator)
        *initiator = attr.max_rd_atomic;
    return pair_modify(qp, &attr, mask, to);
}

void verbs_pair_break(struct ibv_qp *qp) {
    struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};
    (void)ibv_modify_qp(qp, &attr, IBV_QP_STATE); /* it may be broken already */
}
