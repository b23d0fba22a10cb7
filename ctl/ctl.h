/* ctl.h: fusegate-ctl: looks at a pool that is in use, and repairs what gateways have left. What its commands share.
 * One thread. */
#ifndef CTL_H
#define CTL_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "dm.h"
#include "progress.h"

/* Exit codes, for scripts. */
enum ctl_exit {
    CTL_EXIT_OK = 0,
    CTL_EXIT_FAILED = 1,    /* it could not be done: stderr says why */
    CTL_EXIT_USAGE = 2,     /* arguments or configuration */
    CTL_EXIT_ATTENTION = 3, /* status, repair: there is a dead client, or a node that cannot be reached */
    CTL_EXIT_FAULTS = 4,    /* check: the pool is not in order */
    CTL_EXIT_LOST = 5,      /* check: the data is in order, some memory is lost */
};

struct ctl {
    struct config config;
    bool json;
    uint32_t timeout_s;  /* of repair */
    uint32_t patience_s; /* of check */
    const char *gateway; /* remove-gateway's ID */
    const struct dm_env *env;
    struct dm_fabric *fabric;
    struct dm_pool *pool;
    struct dm_inspector *inspector;
    struct dm_member *members; /* read by ctl_members */
    uint32_t member_count;
    struct progress progress;
};

/* Fabric, pool and inspector. False: it was said why. */
bool ctl_open(struct ctl *ctl);
void ctl_close(struct ctl *ctl);

/* Reads all clients of the pool. False: it was said why. */
bool ctl_members(struct ctl *ctl);

/* How a gateway is called: the number of its process, where that is one of this host, else its identity in hex. */
#define CTL_NAME_BYTES 24
const char *ctl_gateway_name(const struct dm_member *member, char name[CTL_NAME_BYTES]);

/* "fusegate-ctl: " and a line on stderr. */
void ctl_say(const char *format, ...) DM_PRINTF(1, 2);

void ctl_sleep(uint64_t ns);

enum ctl_exit ctl_status(struct ctl *ctl);
enum ctl_exit ctl_check(struct ctl *ctl);
enum ctl_exit ctl_repair(struct ctl *ctl);
enum ctl_exit ctl_remove_gateway(struct ctl *ctl);

#endif
