/* main.c: the gateway's entry: arguments, configuration, limits of the process. The rest is server.c's.
 *
 * Exit code 0: stopped as asked to; 1: an error, which was said on stderr. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "config.h"
#include "log.h"
#include "server.h"

#define DESCRIPTORS_RESERVED 256u /* beyond clients: listeners, event loops, memory nodes, standard streams */
#define ERROR_BYTES 1024

/* Raises the limit of open files for maxclients, or lowers maxclients to what there is, as Redis does. */
static bool descriptors_provide(struct config *config) {
    rlim_t needed = (rlim_t)config->maxclients + DESCRIPTORS_RESERVED;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) {
        return true;
    }
    struct rlimit raised = {needed, limit.rlim_max > needed ? limit.rlim_max : needed};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) {
        return true;
    }
    raised.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : needed;
    raised.rlim_max = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) {
        limit = raised;
    }
    if (limit.rlim_cur >= needed) {
        return true;
    }
    if (limit.rlim_cur <= DESCRIPTORS_RESERVED) {
        log_write(DM_LOG_WARNING, "only %lu open files are allowed, at least %u are needed: raise 'ulimit -n'",
                  (unsigned long)limit.rlim_cur, DESCRIPTORS_RESERVED + 1);
        return false;
    }
    log_write(DM_LOG_WARNING, "maxclients lowered from %u to %lu: only %lu open files are allowed (raise 'ulimit -n')",
              config->maxclients, (unsigned long)(limit.rlim_cur - DESCRIPTORS_RESERVED),
              (unsigned long)limit.rlim_cur);
    config->maxclients = (uint32_t)(limit.rlim_cur - DESCRIPTORS_RESERVED);
    return true;
}

int main(int argc, char **argv) {
    static struct config config;
    enum dm_log_level level;
    char error[ERROR_BYTES];

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        config_help(stdout);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("fusegate %s (speaks as Redis %s)\n", FUSEGATE_VERSION, FUSEGATE_REDIS_VERSION);
        return 0;
    }
    if (!config_load(&config, argc - 1, argv + 1, error, sizeof error)) {
        fprintf(stderr, "fusegate: %s\n", error);
        return 1;
    }
    if (log_level_parse(config.log_level, &level)) {
        log_level_set(level);
    }
    log_write(DM_LOG_NOTICE, "fusegate %s (speaks as Redis %s), configuration: %s%s", FUSEGATE_VERSION,
              FUSEGATE_REDIS_VERSION, config.path[0] != '\0' ? config.path : "defaults",
              argc > (config.path[0] != '\0' ? 2 : 1) ? " and arguments" : "");
    if (!descriptors_provide(&config)) {
        return 1;
    }
    return server_run(&config);
}
