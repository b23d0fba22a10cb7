/* cmd_memory.c: MEMORY. In a coroutine of the connection's worker.
 *
 * Two memories are meant: that of this process, and that of the pool, where the data is.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>

#include "cmd.h"
#include "word.h"

#define BYTES_PER_KB 1024u
#define REPORT_BYTES 512
#define POOL_NEARLY_FULL 0.9
/* What a key costs beside itself: header and log entry, and a slot of the index; rounded up. */
#define VALUE_HEADER_BYTES 80u
#define VALUE_SLOT_BYTES 8u
#define VALUE_UNIT_BYTES 64u

/* An estimate: what the pool really takes depends on its size classes. */
static uint64_t value_bytes(const struct call *call, uint64_t key_bytes, uint64_t bytes) {
    struct dm_pool_info info;
    uint64_t object = VALUE_HEADER_BYTES + key_bytes + bytes;

    dm_pool_info(call->server->pool, &info);
    object = (object + VALUE_UNIT_BYTES - 1) / VALUE_UNIT_BYTES * VALUE_UNIT_BYTES;
    return (object + VALUE_SLOT_BYTES) * info.replicas;
}

void cmd_memory_usage(struct call *call) {
    struct dm_read read = {0};
    struct dm_key key;

    for (size_t i = 3; i < call->argc; i += 2) {
        int64_t samples;

        if (!word_equal(&call->argv[i], "samples") || i + 1 == call->argc) {
            command_error(call, ERROR_SYNTAX);
            return;
        }
        if (!command_integer(call, i + 1, &samples)) {
            return;
        }
        if (samples < 0) {
            command_error(call, ERROR_SYNTAX);
            return;
        }
    }
    if (!command_key(call, 2, &key)) {
        return;
    }
    enum dm_status status = dm_get(call->session, &key, &read);

    if (status == DM_OK) {
        reply_integer(call->reply, (long long)value_bytes(call, key.length, read.value.length));
        dm_read_release(call->session, &read);
    } else if (status == DM_NOT_FOUND) {
        reply_null(call->reply);
    } else {
        command_status_error(call, status, 0);
    }
}

static void field(struct reply *reply, const char *name, uint64_t value) {
    reply_bulk_text(reply, name);
    reply_integer(reply, (long long)value);
}

void cmd_memory_stats(struct call *call) {
    struct mallinfo2 process = mallinfo2();
    struct rusage usage;
    struct dm_pool_info pool;

    getrusage(RUSAGE_SELF, &usage);
    dm_pool_info(call->server->pool, &pool);
    reply_map(call->reply, 7);
    field(call->reply, "peak.allocated", (uint64_t)usage.ru_maxrss * BYTES_PER_KB);
    field(call->reply, "total.allocated", process.uordblks);
    field(call->reply, "replication.backlog", 0);
    field(call->reply, "clients.slaves", 0);
    field(call->reply, "aof.buffer", 0);
    field(call->reply, "pool.bytes", pool.data_bytes_total);
    field(call->reply, "pool.bytes.free", pool.blocks_free * pool.block_bytes);
}

void cmd_memory_doctor(struct call *call) {
    char report[REPORT_BYTES];
    struct dm_pool_info pool;

    dm_pool_info(call->server->pool, &pool);
    uint64_t used = pool.blocks_total - pool.blocks_free;
    bool nearly_full = (double)used > POOL_NEARLY_FULL * (double)pool.blocks_total;
    int length = snprintf(report, sizeof report,
                          "%" PRIu64 " of %" PRIu64 " blocks of the pool are granted (%" PRIu64 " bytes each).%s\n",
                          used, pool.blocks_total, pool.block_bytes,
                          nearly_full ? " It is nearly full: writes will be refused; add memory nodes or expire keys."
                                      : " No problem was found.");

    reply_verbatim(call->reply, report, (size_t)length, "txt");
}

void cmd_memory_malloc_stats(struct call *call) {
    static const char text[] = "Stats not supported for the current allocator";

    reply_verbatim(call->reply, text, sizeof text - 1, "txt");
}

void cmd_memory_purge(struct call *call) {
    malloc_trim(0);
    reply_ok(call->reply);
}

void cmd_memory_help(struct call *call) {
    static const char *const lines[] = {
        "DOCTOR",
        "    A report on the memory of the pool.",
        "MALLOC-STATS",
        "    Statistics of the allocator: not supported.",
        "PURGE",
        "    Gives memory of this process back to the system.",
        "STATS",
        "    Memory of this process and of the pool.",
        "USAGE <key> [SAMPLES <count>]",
        "    About how many bytes of the pool a key and its value take, all replicas counted.",
    };
    command_help(call, lines, sizeof lines / sizeof lines[0]);
}
