/* cmd_info.c: the INFO command: which sections, in which order. In a coroutine of the connection's worker.
 *
 * A section is a line `# Name`, lines `field:value`, and an empty line to the next. Monitoring parses these names:
 * they are Redis's wherever the value exists here, and are missing where it does not.
 */
#include <stdlib.h>

#include "info.h"
#include "word.h"

static const struct section {
    const char *name;
    info_section *write;
    bool by_default;
} sections[] = {
    {"server", info_server, true},
    {"clients", info_clients, true},
    {"memory", info_memory, true},
    {"persistence", info_persistence, true},
    {"stats", info_stats, true},
    {"replication", info_replication, true},
    {"cpu", info_cpu, true},
    {"modules", info_modules, true},
    {"commandstats", info_commandstats, false},
    {"errorstats", info_errorstats, true},
    {"latencystats", info_latencystats, false},
    {"cluster", info_cluster, true},
    {"keyspace", info_keyspace, true},
    {"dm", info_dm, true},
};

static bool section_wanted(const struct call *call, const struct section *section) {
    if (call->argc == 1) {
        return section->by_default;
    }
    for (size_t i = 1; i < call->argc; i++) {
        const struct resp_arg *arg = &call->argv[i];

        if (word_equal(arg, section->name) || word_equal(arg, "all") || word_equal(arg, "everything") ||
            (section->by_default && word_equal(arg, "default"))) {
            return true;
        }
    }
    return false;
}

void cmd_info(struct call *call) {
    char *text = NULL;
    size_t length = 0;
    struct info info = {.call = call, .out = open_memstream(&text, &length)};
    bool first = true;

    if (info.out == NULL) {
        command_status_error(call, DM_BUSY, 0);
        return;
    }
    info_sum(call->server, call->worker, &info.sums);
    dm_pool_info(call->server->pool, &info.pool);
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        if (section_wanted(call, &sections[i])) {
            fputs(first ? "" : "\r\n", info.out);
            sections[i].write(&info);
            first = false;
        }
    }
    if (fclose(info.out) == 0) {
        reply_verbatim(call->reply, text, length, "txt");
    } else {
        command_status_error(call, DM_BUSY, 0);
    }
    free(text);
}
