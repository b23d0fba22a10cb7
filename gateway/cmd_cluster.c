/* cmd_cluster.c: commands of Redis Cluster and of modules, answered as by a Redis that has neither: each gateway
 * reaches all keys of the pool. In a coroutine of the connection's worker.
 */
#include "cmd.h"

void cmd_cluster_disabled(struct call *call) { command_error(call, "ERR This instance has cluster support disabled"); }

void cmd_module_list(struct call *call) { reply_array(call->reply, 0); }

void cmd_module_forbidden(struct call *call) {
    command_error(call, "ERR MODULE command not allowed. If the enable-module-command option is set to \"local\", you "
                        "can run it from a local connection, otherwise you need to set this option in the "
                        "configuration file, and then restart the server.");
}

void cmd_module_help(struct call *call) {
    static const char *const lines[] = {
        "LIST",
        "    The modules that are loaded: none.",
        "LOAD, LOADEX, UNLOAD",
        "    Not allowed.",
    };
    command_help(call, lines, sizeof lines / sizeof lines[0]);
}
