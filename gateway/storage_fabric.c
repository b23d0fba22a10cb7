/* storage_fabric.c: see storage_fabric.h. */
#include "storage_fabric.h"

#include <stdio.h>
#include <string.h>

struct opening {
    const struct config *config;
    const struct dm_env *env;
    struct dm_fabric **out;
    char *error;
    size_t error_bytes;
};

uint32_t storage_names_split(char *text, const char **names) {
    char *rest = text;
    uint32_t count = 0;

    for (char *name = strsep(&rest, ","); name != NULL; name = strsep(&rest, ",")) {
        name += strspn(name, " \t");
        size_t length = strcspn(name, " \t");
        if (count == DM_NODES_MAX || length == 0 || name[length + strspn(name + length, " \t")] != '\0') {
            return 0;
        }
        name[length] = '\0';
        names[count++] = name;
    }
    return count;
}

static bool open_verbs(const struct opening *opening, const char *const *names, uint32_t count) {
    struct dm_verbs_config verbs;
    uint8_t secret[256];
    bool opened = rdma_setting_apply(&opening->config->rdma, &verbs, secret, opening->error, opening->error_bytes) &&
                  dm_fabric_open_verbs(opening->env, &verbs, names, count, opening->out, opening->error,
                                       opening->error_bytes) == DM_OK;

    explicit_bzero(secret, sizeof secret);
    return opened;
}

bool storage_fabric_open(const struct config *config, const struct dm_env *env, struct dm_fabric **out, char *error,
                         size_t error_bytes) {
    const struct opening opening = {config, env, out, error, error_bytes};
    char text[sizeof config->memservers];
    const char *names[DM_NODES_MAX];

    strcpy(text, config->memservers);
    uint32_t count = storage_names_split(text, names);
    if (count == 0) {
        snprintf(error, error_bytes, "[pool] memservers = '%.200s': must be 1 to %d paths, separated by commas",
                 config->memservers, DM_NODES_MAX);
        return false;
    }
    bool verbs = strcmp(config->fabric, "verbs") == 0;
    for (uint32_t i = 0; i < count; i++) {
        bool over_rdma = strncmp(names[i], RDMA_ADDRESS_PREFIX, strlen(RDMA_ADDRESS_PREFIX)) == 0;
        if (over_rdma != verbs) {
            snprintf(
                error, error_bytes,
                "[pool] memservers: '%.200s' does not fit fabric = %s: rdma://host:port is for verbs, the path of a "
                "control socket for local",
                names[i], config->fabric);
            return false;
        }
    }
    return verbs ? open_verbs(&opening, names, count)
                 : dm_fabric_open_local(env, names, count, out, error, error_bytes) == DM_OK;
}
