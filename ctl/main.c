/* main.c: fusegate-ctl: arguments, and what all commands need. Exit codes: ctl.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl.h"
#include "setting.h"
#include "storage_fabric.h"

#define ERROR_BYTES 1024
#define MEMBERS_MAX 1024u /* client records of the largest pool */
#define CACHE_BYTES (UINT64_C(1) << 20)
#define TIMEOUT_S 30
#define PATIENCE_S 3
#define SECONDS_MAX 86400
#define NS_PER_S UINT64_C(1000000000)

static const char usage[] =
    "usage: fusegate-ctl COMMAND [FILE] [--section.key=value]... [options]\n"
    "\n"
    "Looks at a pool that is in use, and repairs what gateways have left. FILE is a gateway's configuration; what\n"
    "matters of it is [pool] fabric and memservers, and [rdma].\n"
    "\n"
    "  status               memory nodes, gateways, memory, open repairs; reads only\n"
    "  check                is the pool in order? Reads all data once, changes nothing\n"
    "  repair               repairs all gateways that have ended without giving back what they had\n"
    "  remove-gateway ID    ends a gateway that hangs, for good, and repairs it; ID: as status calls it\n"
    "\n"
    "  --json               output for programs\n"
    "  --timeout=SECONDS    repair, remove-gateway: give up after that (default 30)\n"
    "  --patience=SECONDS   check: what looks wrong may be under way for so long (default 3)\n"
    "  --help, --version\n"
    "\n"
    "Exit codes: 0 done, and all is in order; 1 could not be done; 2 wrong arguments; 3 status, repair: a client is\n"
    "dead and not repaired, or a memory node cannot be reached; 4 check: faults; 5 check: only lost memory\n";

void ctl_say(const char *format, ...) {
    va_list arguments;
    fputs("fusegate-ctl: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

void ctl_sleep(uint64_t ns) {
    struct timespec left = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

/* ---- Pool ------------------------------------------------------------------------------------------------------- */

static void inspector_wait(void *context, uint64_t ns) {
    (void)context;
    ctl_sleep(ns < NS_PER_S ? ns : NS_PER_S);
}

static void inspector_progress(void *context, const char *what, uint64_t done, uint64_t of) {
    struct ctl *ctl = context;
    progress_show(&ctl->progress, what, done, of);
}

bool ctl_open(struct ctl *ctl) {
    char error[ERROR_BYTES];
    if (!storage_fabric_open(&ctl->config, ctl->env, &ctl->fabric, error, sizeof error)) {
        ctl_say("%s", error);
        return false;
    }
    const struct dm_pool_config pool = {.env = ctl->env,
                                        .fabric = ctl->fabric,
                                        .existing = true,
                                        .cache_bytes = CACHE_BYTES,
                                        .copy_bytes = CACHE_BYTES};
    if (dm_pool_open(&pool, &ctl->pool, error, sizeof error) != DM_OK) {
        ctl_say("%s", error);
        goto out_fabric;
    }
    const struct dm_inspector_config inspector = {
        .pool = ctl->pool, .wait = inspector_wait, .progress = inspector_progress, .context = ctl};
    if (dm_inspector_open(&inspector, &ctl->inspector, error, sizeof error) != DM_OK) {
        ctl_say("%s", error);
        goto out_pool;
    }
    ctl->members = calloc(MEMBERS_MAX, sizeof *ctl->members);
    if (ctl->members != NULL) {
        return true;
    }
    ctl_say("no memory");
    dm_inspector_close(ctl->inspector);
out_pool:
    dm_pool_close(ctl->pool);
out_fabric:
    dm_fabric_close(ctl->fabric);
    return false;
}

void ctl_close(struct ctl *ctl) {
    free(ctl->members);
    dm_inspector_close(ctl->inspector);
    dm_pool_close(ctl->pool);
    dm_fabric_close(ctl->fabric);
}

bool ctl_members(struct ctl *ctl) {
    enum dm_status status = dm_inspector_members(ctl->inspector, ctl->members, MEMBERS_MAX, &ctl->member_count);
    if (status != DM_OK) {
        progress_clear(&ctl->progress);
        ctl_say("the clients of the pool cannot be read: %s; see that memory node 0 runs", dm_status_text(status));
    }
    return status == DM_OK;
}

const char *ctl_gateway_name(const struct dm_member *member, char name[CTL_NAME_BYTES]) {
    if (member->process != 0) {
        snprintf(name, CTL_NAME_BYTES, "%" PRIu32, member->process);
    } else if (member->identity != 0) {
        snprintf(name, CTL_NAME_BYTES, "%016" PRIx64, member->identity);
    } else {
        snprintf(name, CTL_NAME_BYTES, "unknown");
    }
    return name;
}

/* ---- Arguments -------------------------------------------------------------------------------------------------- */

struct command {
    const char *name;
    enum ctl_exit (*run)(struct ctl *ctl);
    bool takes_gateway;
};

static const struct command commands[] = {
    {"status", ctl_status, false},
    {"check", ctl_check, false},
    {"repair", ctl_repair, false},
    {"remove-gateway", ctl_remove_gateway, true},
};

static const struct command *command_find(const char *name) {
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

/* "--name=SECONDS". */
static bool seconds_take(const char *argument, const char *name, uint32_t *out, bool *wrong) {
    int64_t seconds;
    size_t length = strlen(name);
    if (strncmp(argument, name, length) != 0 || argument[length] != '=') {
        return false;
    }
    if (setting_integer_parse(argument + length + 1, 0, SECONDS_MAX, &seconds)) {
        *out = (uint32_t)seconds;
    } else {
        ctl_say("argument '%s': must be a whole number from 0 to %d", argument, SECONDS_MAX);
        *wrong = true;
    }
    return true;
}

/* Takes our own options; what is left is the configuration's. */
static bool arguments_load(struct ctl *ctl, const struct command *command, int argc, char **argv) {
    char error[ERROR_BYTES];
    bool wrong = false;
    int kept = 0;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            ctl->json = true;
        } else if (command->takes_gateway && ctl->gateway == NULL && argv[i][0] != '-') {
            ctl->gateway = argv[i];
        } else if (!seconds_take(argv[i], "--timeout", &ctl->timeout_s, &wrong) &&
                   !seconds_take(argv[i], "--patience", &ctl->patience_s, &wrong)) {
            argv[kept++] = argv[i];
        }
    }
    if (wrong) {
        return false;
    }
    if (command->takes_gateway && ctl->gateway == NULL) {
        ctl_say("%s needs the ID of a gateway, as fusegate-ctl status shows it", command->name);
        return false;
    }
    if (!config_load(&ctl->config, kept, argv, error, sizeof error)) {
        ctl_say("%s", error);
        return false;
    }
    if (ctl->config.memservers[0] == '\0') {
        ctl_say("no memory nodes are named: give the gateways' configuration file, or --pool.memservers=PATH,... (a "
                "pool that is embedded in a gateway can only be looked at by that gateway)");
        return false;
    }
    return true;
}

int main(int argc, char **argv) {
    static struct ctl ctl = {.timeout_s = TIMEOUT_S, .patience_s = PATIENCE_S};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return CTL_EXIT_OK;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("fusegate-ctl %s\n", DM_VERSION);
        return CTL_EXIT_OK;
    }
    const struct command *command = argc < 2 ? NULL : command_find(argv[1]);
    if (command == NULL) {
        if (argc >= 2) {
            ctl_say("there is no command '%s'", argv[1]);
        }
        fputs(usage, stderr);
        return CTL_EXIT_USAGE;
    }
    if (!arguments_load(&ctl, command, argc - 2, argv + 2)) {
        return CTL_EXIT_USAGE;
    }
    ctl.env = dm_env_system();
    progress_begin(&ctl.progress);
    enum ctl_exit code = command->run(&ctl);
    progress_clear(&ctl.progress);
    return (int)code;
}
