/* other_version.c: a library to be loaded before a memory node, which then takes every gateway for one of another
 * version of the protocol, and says that its own is 77: what a memory node of another release would do. Used by
 * tests/rdma/refusals. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <string.h>

#include <rdma/rdma_cma.h>

#define VERSION_AT 4 /* bytes; behind the magic number, in all versions */
#define VERSION 77u

int rdma_get_cm_event(struct rdma_event_channel *channel, struct rdma_cm_event **event) {
    int (*real)(struct rdma_event_channel *, struct rdma_cm_event **) =
        (int (*)(struct rdma_event_channel *, struct rdma_cm_event **))dlsym(RTLD_NEXT, "rdma_get_cm_event");
    const int result = real(channel, event);
    if (result == 0 && (*event)->event == RDMA_CM_EVENT_CONNECT_REQUEST &&
        (*event)->param.conn.private_data_len > VERSION_AT)
        ((uint8_t *)(uintptr_t)(*event)->param.conn.private_data)[VERSION_AT] ^= 1;
    return result;
}

int rdma_reject(struct rdma_cm_id *id, const void *data, uint8_t bytes) {
    int (*real)(struct rdma_cm_id *, const void *, uint8_t) =
        (int (*)(struct rdma_cm_id *, const void *, uint8_t))dlsym(RTLD_NEXT, "rdma_reject");
    const uint16_t version = VERSION;
    uint8_t changed[UINT8_MAX];
    memcpy(changed, data, bytes);
    if (bytes >= VERSION_AT + sizeof version)
        memcpy(changed + VERSION_AT, &version, sizeof version);
    return real(id, changed, bytes);
}
