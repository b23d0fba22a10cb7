/* cmd_key.c: DEL, UNLINK, EXISTS, TOUCH, TYPE. In a coroutine of the connection's worker. */
#include "cmd.h"

#define KEYS_AT_ONCE 64u /* keys and reads of one dm_get_many lie on the coroutine's stack */

/* One key after the other: an error says that the keys before it may have been removed. */
void cmd_del(struct call *call) {
    long long removed = 0;

    for (size_t i = 1; i < call->argc; i++) {
        struct dm_key key;

        if (!command_key(call, i, &key)) {
            return;
        }
        enum dm_status status = dm_delete(call->session, &key);

        if (status == DM_OK) {
            removed++;
        } else if (status != DM_NOT_FOUND) {
            command_status_error(call, status, 0);
            return;
        }
    }
    reply_integer(call->reply, removed);
}

/* Memory is given back in the background anyway. */
void cmd_unlink(struct call *call) { cmd_del(call); }

/* How many of these keys are there? False: the error was replied. */
static bool count_present(struct call *call, size_t first, uint32_t count, long long *present) {
    struct dm_key keys[KEYS_AT_ONCE] = {0};
    struct dm_read reads[KEYS_AT_ONCE] = {0};
    enum dm_status statuses[KEYS_AT_ONCE], failure = DM_OK;
    uint64_t hits = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (!command_key(call, first + i, &keys[i])) {
            return false;
        }
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
        return false;
    }
    command_count_reads(call, hits, count - hits);
    *present += (long long)hits;
    return true;
}

void cmd_exists(struct call *call) {
    long long present = 0;

    for (size_t done = 1; done < call->argc; done += KEYS_AT_ONCE) {
        size_t left = call->argc - done;

        if (!count_present(call, done, left < KEYS_AT_ONCE ? (uint32_t)left : KEYS_AT_ONCE, &present)) {
            return;
        }
    }
    reply_integer(call->reply, present);
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
