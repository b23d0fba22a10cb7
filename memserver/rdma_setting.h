/* rdma_setting.h: section [rdma] of the configuration, the same for gateways and memory nodes: its keys and limits as
 * data, and the secret's file. No device is asked here; what is impossible on one is told when it is opened. Read once
 * at start, on the main thread. */
#ifndef RDMA_SETTING_H
#define RDMA_SETTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dm.h"

#define RDMA_ADDRESS_PREFIX "rdma://"

/* The values as configured. */
struct rdma_setting {
    char secret_file[1024], pool[64], device[64];
    uint32_t port, mtu, timeout, rnr_retry;
    int32_t gid_index, traffic_class, service_level, retry_count;
    char memory_windows[8]; /* yes, no */
};

/* One row a key. */
struct rdma_key {
    const char *name;
    bool text;
    size_t offset, bytes; /* of the member in struct rdma_setting */
    int64_t minimum, maximum;
    const char *default_text;
    const char *choices; /* allowed words, separated by spaces; NULL = any text */
    const char *help;
};

const struct rdma_key *rdma_keys(size_t *count);

void rdma_setting_defaults(struct rdma_setting *setting);
/* False: cause says what is wrong with key or value. */
bool rdma_setting_set(struct rdma_setting *setting, const char *key, const char *value, char *cause,
                      size_t cause_bytes);

/* What libdm wants. `secret` is the caller's, must live as long as the config, and should be wiped behind it. Reads the
 * secret's file; false with a message. */
bool rdma_setting_apply(const struct rdma_setting *setting, struct dm_verbs_config *config, uint8_t secret[256],
                        char *error, size_t error_bytes);

#endif
