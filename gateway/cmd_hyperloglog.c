/* cmd_hyperloglog.c: PFADD, PFCOUNT, PFMERGE, PFDEBUG, PFSELFTEST. What is in a HyperLogLog is in hyperloglog.c.
 * Runs in a coroutine of the connection's worker.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd_string.h"
#include "hyperloglog.h"
#include "word.h"

#define ERROR_NOT_ONE "WRONGTYPE Key is not a valid HyperLogLog string value."
#define ERROR_CORRUPT "INVALIDOBJ Corrupted HLL object detected"
#define ERROR_NAME_BYTES 128
#define OPCODE_TEXT_BYTES 16u /* longest opcode as PFDEBUG DECODE shows it */
#define SELF_TEST_ELEMENTS 20000
#define SELF_TEST_ERROR 0.05 /* six standard errors of 1.04 / sqrt(16384) */

enum hll_result { HLL_OK, HLL_WRONG_TYPE, HLL_NOT_ONE, HLL_CORRUPT, HLL_NO_MEMORY };

/* One update of a value that is a HyperLogLog. */
struct hll_update {
    const struct resp_arg *elements; /* PFADD */
    size_t element_count;
    const uint8_t *registers; /* PFMERGE: to be merged in */
    bool dense;               /* PFMERGE, PFDEBUG: the result is to be dense */
    bool existing;            /* nothing is created */
    /* results of the last decision */
    struct hyperloglog hll;
    size_t capacity;
    bool changed;
    enum hll_result result;
};

/* False: the error was replied. */
static bool hll_result_ok(struct call *call, enum hll_result result) {
    switch (result) {
    case HLL_OK:
        return true;
    case HLL_WRONG_TYPE:
        command_error(call, ERROR_WRONG_TYPE);
        break;
    case HLL_NOT_ONE:
        command_error(call, ERROR_NOT_ONE);
        break;
    case HLL_CORRUPT:
        command_error(call, ERROR_CORRUPT);
        break;
    case HLL_NO_MEMORY:
        command_status_error(call, DM_BUSY, 0);
        break;
    }
    return false;
}

static enum hll_result hll_check(const struct dm_value *value) {
    if (value->type != DM_TYPE_STRING) {
        return HLL_WRONG_TYPE;
    }
    return hyperloglog_valid(value->bytes, value->length) ? HLL_OK : HLL_NOT_ONE;
}

/* What is there now, or an empty one, into the buffer. */
static enum hll_result update_begin(struct hll_update *update, const struct dm_value *old) {
    enum hll_result result = old == NULL ? HLL_OK : hll_check(old);
    size_t capacity = hyperloglog_capacity(old == NULL ? 0 : old->length);

    if (result != HLL_OK) {
        return result;
    }
    if (capacity > update->capacity) {
        uint8_t *larger = realloc(update->hll.bytes, capacity);

        if (larger == NULL) {
            return HLL_NO_MEMORY;
        }
        update->hll.bytes = larger;
        update->capacity = capacity;
    }
    if (old == NULL) {
        hyperloglog_create(&update->hll);
    } else {
        hyperloglog_copy(&update->hll, old->bytes, old->length);
    }
    return HLL_OK;
}

static enum dm_action update_write(const struct hll_update *update, const struct dm_value *old,
                                   struct dm_write *write) {
    write->unchanged =
        old != NULL && old->length == update->hll.length && memcmp(old->bytes, update->hll.bytes, old->length) == 0;
    if (write->unchanged && old->encoding == STRING_RAW) {
        return DM_KEEP;
    }
    write->part[0] = (struct dm_bytes){update->hll.bytes, (uint32_t)update->hll.length};
    write->type = DM_TYPE_STRING;
    write->encoding = STRING_RAW;
    write->expire_ms = old == NULL ? DM_NO_EXPIRY : old->expire_ms;
    return DM_WRITE;
}

/* PFADD. What was added before the corrupt place was met stays, as in Redis. */
static enum dm_action add_decide(void *context, const struct dm_value *old, struct dm_write *write) {
    struct hll_update *update = context;

    update->changed = old == NULL;
    update->result = update_begin(update, old);
    if (update->result != HLL_OK) {
        return DM_KEEP;
    }
    for (size_t i = 0; i < update->element_count && update->result == HLL_OK; i++) {
        const struct resp_arg *element = &update->elements[i];

        switch (hyperloglog_add(&update->hll, element->bytes, element->length)) {
        case HYPERLOGLOG_CHANGED:
            update->changed = true;
            break;
        case HYPERLOGLOG_CORRUPT:
            update->result = HLL_CORRUPT;
            break;
        case HYPERLOGLOG_SAME:
            break;
        }
    }
    if (update->changed && update->result == HLL_OK) {
        hyperloglog_cache_drop(&update->hll);
    }
    return update_write(update, old, write);
}

/* PFMERGE's destination, which may have changed since its registers were read. PFDEBUG TODENSE and GETREG, too. */
static enum dm_action merge_decide(void *context, const struct dm_value *old, struct dm_write *write) {
    struct hll_update *update = context;

    if (old == NULL && update->existing) {
        update->result = HLL_OK;
        return DM_KEEP;
    }
    update->result = update_begin(update, old);
    if (update->result != HLL_OK) {
        return DM_KEEP;
    }
    update->changed = update->dense && hyperloglog_is_sparse(update->hll.bytes);
    if (update->dense && !hyperloglog_to_dense(&update->hll)) {
        update->result = HLL_CORRUPT;
        return DM_KEEP;
    }
    for (uint32_t i = 0; i < HYPERLOGLOG_REGISTERS && update->registers != NULL; i++) {
        if (update->registers[i] > 0) {
            (void)hyperloglog_raise(&update->hll, i, update->registers[i]);
        }
    }
    if (update->registers != NULL) {
        hyperloglog_cache_drop(&update->hll);
    }
    return update_write(update, old, write);
}

/* False: the error was replied. The buffer of update->hll is to be freed in any case. */
static bool hll_update(struct call *call, size_t index, dm_update_fn *decide, struct hll_update *update,
                       struct dm_read *old) {
    struct dm_key key;

    if (!command_key(call, index, &key)) {
        return false;
    }
    enum dm_status status = dm_update(call->session, &key, decide, update, old);

    if (status != DM_OK) {
        command_status_error(call, status, update->hll.length);
        return false;
    }
    return hll_result_ok(call, update->result);
}

void cmd_pfadd(struct call *call) {
    struct hll_update update = {.elements = call->argv + 2, .element_count = call->argc - 2};

    if (hll_update(call, 1, add_decide, &update, NULL)) {
        reply_integer(call->reply, update.changed);
    }
    free(update.hll.bytes);
}

/* ---- PFCOUNT ---- */

/* Merges the HyperLogLog of argument `index`, if there is one, into `registers`; *dense becomes true if it is dense.
 * False: the error was replied. */
static bool hll_read(struct call *call, size_t index, uint8_t *registers, bool *dense) {
    struct dm_read read = {0};
    enum dm_status status = command_read_string(call, index, &read);

    if (status != DM_OK) {
        return status == DM_NOT_FOUND;
    }
    enum hll_result result = hll_check(&read.value);

    if (result == HLL_OK) {
        *dense |= !hyperloglog_is_sparse(read.value.bytes);
        result = hyperloglog_merge(read.value.bytes, read.value.length, registers) ? HLL_OK : HLL_CORRUPT;
    }
    dm_read_release(call->session, &read);
    return hll_result_ok(call, result);
}

struct hll_count {
    struct hll_update update; /* first, so that it can be updated as one */
    uint8_t *registers;
    uint64_t estimate; /* result */
};

/* PFCOUNT of one key keeps the estimate in it. */
static enum dm_action count_decide(void *context, const struct dm_value *old, struct dm_write *write) {
    struct hll_count *count = context;
    struct hll_update *update = &count->update;

    count->estimate = 0;
    update->result = HLL_OK;
    if (old == NULL) {
        return DM_KEEP;
    }
    update->result = update_begin(update, old);
    if (update->result != HLL_OK) {
        return DM_KEEP;
    }
    if (!hyperloglog_cached(update->hll.bytes, &count->estimate)) {
        memset(count->registers, 0, HYPERLOGLOG_REGISTERS);
        if (!hyperloglog_merge(old->bytes, old->length, count->registers)) {
            update->result = HLL_CORRUPT;
            return DM_KEEP;
        }
        count->estimate = hyperloglog_estimate(count->registers);
        hyperloglog_cache(&update->hll, count->estimate);
    }
    return update_write(update, old, write);
}

/* True: the estimate that is kept was the reply, or an error was. */
static bool count_reply_cached(struct call *call) {
    struct dm_read read = {0};
    enum dm_status status = command_read_string(call, 1, &read);
    uint64_t estimate = 0;

    if (status == DM_NOT_FOUND) {
        reply_integer(call->reply, 0);
    }
    if (status != DM_OK) {
        return true;
    }
    enum hll_result result = hll_check(&read.value);
    bool cached =
        result == HLL_OK && read.value.encoding == STRING_RAW && hyperloglog_cached(read.value.bytes, &estimate);

    dm_read_release(call->session, &read);
    if (!hll_result_ok(call, result)) {
        return true;
    }
    if (cached) {
        reply_integer(call->reply, (long long)estimate);
    }
    return cached;
}

static void count_one(struct call *call, uint8_t *registers) {
    struct hll_count count = {.registers = registers};

    if (count_reply_cached(call)) {
        return;
    }
    if (hll_update(call, 1, count_decide, &count.update, NULL)) {
        reply_integer(call->reply, (long long)count.estimate);
    }
    free(count.update.hll.bytes);
}

/* Several keys are read one after the other, each at its own moment. */
void cmd_pfcount(struct call *call) {
    uint8_t *registers = calloc(HYPERLOGLOG_REGISTERS, 1);
    bool dense = false, read = true;

    if (registers == NULL) {
        command_status_error(call, DM_BUSY, 0);
        return;
    }
    if (call->argc == 2) {
        count_one(call, registers);
    } else {
        for (size_t i = 1; read && i < call->argc; i++) {
            read = hll_read(call, i, registers, &dense);
        }
        if (read) {
            reply_integer(call->reply, (long long)hyperloglog_estimate(registers));
        }
    }
    free(registers);
}

/* The destination is one of the sources. It is updated at one moment, the others are read one after the other. */
void cmd_pfmerge(struct call *call) {
    uint8_t *registers = calloc(HYPERLOGLOG_REGISTERS, 1);
    struct hll_update update = {.registers = registers};
    bool read = registers != NULL;

    if (registers == NULL) {
        command_status_error(call, DM_BUSY, 0);
    }
    for (size_t i = 1; read && i < call->argc; i++) {
        read = hll_read(call, i, registers, &update.dense);
    }
    if (read && hll_update(call, 1, merge_decide, &update, NULL)) {
        reply_ok(call->reply);
    }
    free(update.hll.bytes);
    free(registers);
}

/* ---- For developers ---- */

static void debug_reply_registers(struct call *call, const struct hyperloglog *hll) {
    uint8_t *registers = calloc(HYPERLOGLOG_REGISTERS, 1);

    if (registers == NULL) {
        command_status_error(call, DM_BUSY, 0);
        return;
    }
    (void)hyperloglog_merge(hll->bytes, hll->length, registers); /* it is dense */
    reply_array(call->reply, HYPERLOGLOG_REGISTERS);
    for (uint32_t i = 0; i < HYPERLOGLOG_REGISTERS; i++) {
        reply_integer(call->reply, registers[i]);
    }
    free(registers);
}

static void debug_reply_opcodes(struct call *call, const struct hyperloglog *hll) {
    if (!hyperloglog_is_sparse(hll->bytes)) {
        command_error(call, "ERR HLL encoding is not sparse");
        return;
    }
    char *text = malloc(hll->length * OPCODE_TEXT_BYTES);
    size_t length = 0;

    if (text == NULL) {
        command_status_error(call, DM_BUSY, 0);
        return;
    }
    for (size_t at = HYPERLOGLOG_HEADER_BYTES; at < hll->length;) {
        struct hyperloglog_run run = hyperloglog_run_read(hll->bytes + at);

        if (run.rank > 0) {
            length += (size_t)sprintf(text + length, "v:%u,%u ", run.rank, run.registers);
        } else {
            length += (size_t)sprintf(text + length, "%c:%u ", run.wide ? 'Z' : 'z', run.registers);
        }
        at += run.wide ? 2 : 1;
    }
    reply_bulk(call->reply, text, length > 0 ? length - 1 : 0);
    free(text);
}

static void debug_reply(struct call *call, const struct hll_update *update) {
    const struct resp_arg *what = &call->argv[1];

    if (word_equal(what, "getreg")) {
        debug_reply_registers(call, &update->hll);
    } else if (word_equal(what, "todense")) {
        reply_integer(call->reply, update->changed);
    } else if (word_equal(what, "decode")) {
        debug_reply_opcodes(call, &update->hll);
    } else if (word_equal(what, "encoding")) {
        reply_status(call->reply, hyperloglog_is_sparse(update->hll.bytes) ? "sparse" : "dense");
    } else {
        command_errorf(call, "ERR Unknown PFDEBUG subcommand '%.*s'", command_text_length(what, ERROR_NAME_BYTES),
                       what->bytes);
    }
}

/* GETREG makes it dense, as in Redis. */
void cmd_pfdebug(struct call *call) {
    struct dm_read old = {0};
    struct hll_update update = {.existing = true};

    update.dense = word_equal(&call->argv[1], "getreg") || word_equal(&call->argv[1], "todense");
    if (hll_update(call, 2, merge_decide, &update, &old)) {
        if (old.buffer == NULL) {
            command_error(call, "ERR The specified key does not exist");
        } else {
            debug_reply(call, &update);
        }
    }
    dm_read_release(call->session, &old);
    free(update.hll.bytes);
}

/* Adds so many different elements; false when the two encodings disagree or the estimate is far off. */
static bool self_test(struct hyperloglog *sparse, struct hyperloglog *dense, uint8_t *registers) {
    hyperloglog_create(sparse);
    hyperloglog_create(dense);
    if (!hyperloglog_to_dense(dense)) {
        return false;
    }
    for (int i = 1; i <= SELF_TEST_ELEMENTS; i++) {
        if (hyperloglog_add(sparse, &i, sizeof i) != hyperloglog_add(dense, &i, sizeof i)) {
            return false;
        }
    }
    if (!hyperloglog_merge(dense->bytes, dense->length, registers)) {
        return false;
    }
    double estimate = (double)hyperloglog_estimate(registers);

    return hyperloglog_to_dense(sparse) &&
           memcmp(sparse->bytes + HYPERLOGLOG_HEADER_BYTES, dense->bytes + HYPERLOGLOG_HEADER_BYTES,
                  HYPERLOGLOG_DENSE_BYTES - HYPERLOGLOG_HEADER_BYTES) == 0 &&
           estimate > SELF_TEST_ELEMENTS * (1 - SELF_TEST_ERROR) &&
           estimate < SELF_TEST_ELEMENTS * (1 + SELF_TEST_ERROR);
}

void cmd_pfselftest(struct call *call) {
    struct hyperloglog sparse = {.bytes = malloc(hyperloglog_capacity(0))};
    struct hyperloglog dense = {.bytes = malloc(hyperloglog_capacity(0))};
    uint8_t *registers = calloc(HYPERLOGLOG_REGISTERS, 1);

    if (sparse.bytes == NULL || dense.bytes == NULL || registers == NULL) {
        command_status_error(call, DM_BUSY, 0);
    } else if (self_test(&sparse, &dense, registers)) {
        reply_ok(call->reply);
    } else {
        command_error(call, "TESTFAILED the estimate of known elements is wrong");
    }
    free(sparse.bytes);
    free(dense.bytes);
    free(registers);
}
