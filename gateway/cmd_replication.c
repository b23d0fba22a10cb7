/* cmd_replication.c: ROLE, REPLICAOF, SLAVEOF, FAILOVER, WAIT. In a coroutine of the connection's worker.
 *
 * A gateway is nobody's replica and has none: copies of the data are in the memory nodes, and a write has reached all
 * of them before it is answered.
 */
#include "cmd.h"
#include "number.h"
#include "word.h"

void cmd_role(struct call *call) {
    reply_array(call->reply, 3);
    reply_bulk_text(call->reply, "master");
    reply_integer(call->reply, 0);
    reply_array(call->reply, 0);
}

void cmd_replicaof(struct call *call) {
    int64_t port;

    if (word_equal(&call->argv[1], "no") && word_equal(&call->argv[2], "one")) {
        reply_ok(call->reply);
        return;
    }
    if (!number_parse(call->argv[2].bytes, call->argv[2].length, &port) || port < 0 || port > UINT16_MAX) {
        command_error(call, "ERR Invalid master port");
        return;
    }
    command_error(call, "ERR a gateway cannot become a replica: start another one on the same memory nodes");
}

void cmd_slaveof(struct call *call) { cmd_replicaof(call); }

/* Checked as in Redis, though the answer can only be that there is nobody to take over. */
void cmd_failover(struct call *call) {
    bool to = false, timeout = false;

    if (call->argc == 2 && word_equal(&call->argv[1], "abort")) {
        command_error(call, "ERR No failover in progress.");
        return;
    }
    for (size_t i = 1; i < call->argc; i++) {
        const struct resp_arg *arg = &call->argv[i];
        size_t behind = call->argc - 1 - i;
        int64_t number;

        if (word_equal(arg, "timeout") && behind >= 1 && !timeout) {
            if (!command_integer(call, ++i, &number)) {
                return;
            }
            if (number <= 0) {
                command_error(call, "ERR FAILOVER timeout must be greater than 0");
                return;
            }
            timeout = true;
        } else if (word_equal(arg, "to") && behind >= 2 && !to) {
            if (!command_integer(call, i + 2, &number)) {
                return;
            }
            i += 2;
            to = true;
        } else if (!word_equal(arg, "force")) {
            command_error(call, ERROR_SYNTAX);
            return;
        }
    }
    command_error(call, "ERR FAILOVER requires connected replicas.");
}

/* There is nothing to wait for: what was answered is in all copies. The reply counts those beyond the first. */
void cmd_wait(struct call *call) {
    struct dm_pool_info info;
    int64_t wanted, timeout_ms;

    if (!command_integer(call, 1, &wanted)) {
        return;
    }
    if (!number_parse(call->argv[2].bytes, call->argv[2].length, &timeout_ms)) {
        command_error(call, "ERR timeout is not an integer or out of range");
        return;
    }
    if (timeout_ms < 0) {
        command_error(call, "ERR timeout is negative");
        return;
    }
    dm_pool_info(call->server->pool, &info);
    reply_integer(call->reply, (long long)info.replicas - 1);
}
