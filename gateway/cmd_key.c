/* cmd_key.c: DEL, UNLINK, EXISTS, TOUCH, TYPE. In a coroutine of the connection's worker. */
#include <stdlib.h>
#include <string.h>

#include "cmd.h"

#define DEL_KEYS_AT_ONCE 256u /* of more keys than fit into a transaction; a small one takes less memory */

/* False: the error was replied. */
static bool keys_read(struct call *call, struct dm_key *keys, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!command_key(call, 1 + i, &keys[i])) {
            return false;
        }
    }
    return true;
}

/* ---- DEL, UNLINK ---- */

struct removal {
    struct call *call;
    const struct dm_key *keys;
    size_t first, end; /* of them in this transaction */
    long long removed;
    enum dm_status status;
};

/* Key after key: all at one moment inside a transaction. */
static void removal_decide(void *context) {
    struct removal *removal = context;
    struct call *call = removal->call;

    removal->removed = 0;
    removal->status = DM_OK;
    for (size_t i = removal->first; i < removal->end && removal->status == DM_OK; i++) {
        enum dm_status status = dm_delete(call->session, &removal->keys[i]);

        removal->removed += status == DM_OK;
        removal->status = status == DM_NOT_FOUND ? DM_OK : status;
        if (call->deleted != NULL) {
            call->deleted[1 + i] = status == DM_OK;
        }
    }
}

/* A transaction needs memory for a while; a full pool must be able to delete all the same, and then does key by key. */
static enum dm_status removal_run(struct removal *removal) {
    struct dm_transact request = {.keys = removal->keys + removal->first,
                                  .count = (uint32_t)(removal->end - removal->first),
                                  .decide = removal_decide,
                                  .context = removal};
    enum dm_status status = request.count == 1 ? DM_NO_MEMORY : dm_transact(removal->call->session, &request);

    if (status == DM_NO_MEMORY) {
        removal_decide(removal);
        status = DM_OK;
    } else if (status != DM_OK && removal->call->deleted != NULL) {
        memset(removal->call->deleted + 1 + removal->first, 0, request.count * sizeof(bool));
    }
    return status == DM_OK ? removal->status : status;
}

static void delete_keys(struct call *call, const struct dm_key *keys, size_t count) {
    struct removal removal = {.call = call, .keys = keys};
    size_t at_once = count <= DM_KEYS_MAX ? count : DEL_KEYS_AT_ONCE;
    long long removed = 0;

    while (removal.end < count) {
        removal.first = removal.end;
        removal.end = count - removal.first < at_once ? count : removal.first + at_once;
        enum dm_status status = removal_run(&removal);

        if (status != DM_OK) {
            command_status_error(call, status, 0);
            return;
        }
        removed += removal.removed;
        if (removal.end < count) {
            dm_coro_sleep(call->worker->sched, 0); /* what a transaction leaves to be done takes memory until it is */
        }
    }
    reply_integer(call->reply, removed);
}

void cmd_del(struct call *call) {
    size_t count = call->argc - 1;
    struct dm_key one, *keys = count == 1 ? &one : calloc(count, sizeof *keys);

    if (keys == NULL) {
        command_status_error(call, DM_BUSY, 0);
        return;
    }
    if (keys_read(call, keys, count)) {
        delete_keys(call, keys, count);
    }
    if (keys != &one) {
        free(keys);
    }
}

/* Memory is given back in the background anyway. */
void cmd_unlink(struct call *call) { cmd_del(call); }

/* ---- EXISTS, TOUCH ---- */

static void count_present(struct call *call, struct dm_key *keys, struct dm_read *reads, enum dm_status *statuses) {
    uint32_t count = (uint32_t)(call->argc - 1);
    enum dm_status failure = DM_OK;
    uint64_t hits = 0;

    if (!keys_read(call, keys, count)) {
        return;
    }
    dm_get_many(call->session, keys, count, reads, statuses);
    for (uint32_t i = 0; i < count; i++) {
        if (statuses[i] == DM_OK) {
            dm_read_release(call->session, &reads[i]);
            hits++;
        } else if (statuses[i] != DM_NOT_FOUND) {
            failure = statuses[i];
        }
    }
    if (failure != DM_OK) {
        command_status_error(call, failure, 0);
        return;
    }
    command_count_reads(call, hits, count - hits);
    reply_integer(call->reply, (long long)hits);
}

void cmd_exists(struct call *call) {
    struct dm_key key;
    struct dm_read read = {0};
    enum dm_status status;
    size_t count = call->argc - 1;

    if (count == 1) {
        count_present(call, &key, &read, &status);
        return;
    }
    struct dm_key *keys = calloc(count, sizeof *keys);
    struct dm_read *reads = calloc(count, sizeof *reads);
    enum dm_status *statuses = calloc(count, sizeof *statuses);

    if (keys == NULL || reads == NULL || statuses == NULL) {
        command_status_error(call, DM_BUSY, 0);
    } else {
        count_present(call, keys, reads, statuses);
    }
    free(keys);
    free(reads);
    free(statuses);
}

/* Nothing is evicted, so there is no access time to change: TOUCH only counts. */
void cmd_touch(struct call *call) { cmd_exists(call); }

void cmd_type(struct call *call) {
    struct dm_key key;
    struct dm_read read = {0};

    if (!command_key(call, 1, &key)) {
        return;
    }
    enum dm_status status = dm_get(call->session, &key, &read);

    if (status == DM_OK) {
        reply_status(call->reply, read.value.type == DM_TYPE_STRING ? "string" : "unknown");
        dm_read_release(call->session, &read);
        command_count_reads(call, 1, 0);
    } else if (status == DM_NOT_FOUND) {
        reply_status(call->reply, "none");
        command_count_reads(call, 0, 1);
    } else {
        command_status_error(call, status, 0);
    }
}
