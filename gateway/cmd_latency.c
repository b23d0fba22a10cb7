/* cmd_latency.c: the LATENCY command. In a coroutine of the connection's worker. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cmd.h"
#include "command_table.h"
#include "latency.h"
#include "live.h"

#define MS_PER_S 1000
#define GRAPH_COLUMNS 60u
#define GRAPH_ROWS 4
#define HISTOGRAM_KEYS 24 /* powers of two that a histogram's reply may name */

/* ---- Events ---- */

static int event_find(const struct resp_arg *name) {
    for (int i = 0; i < LATENCY_EVENTS; i++) {
        const char *known = latency_event_name((enum latency_event)i);
        if (strlen(known) == name->length && memcmp(known, name->bytes, name->length) == 0) {
            return i;
        }
    }
    return -1;
}

void cmd_latency_latest(struct call *call) {
    struct latency *latency = call->server->latency;
    size_t known = 0;

    pthread_mutex_lock(&latency->lock);
    for (int i = 0; i < LATENCY_EVENTS; i++) {
        known += latency->series[i].count > 0;
    }
    reply_array(call->reply, known);
    for (int i = 0; i < LATENCY_EVENTS; i++) {
        const struct latency_series *series = &latency->series[i];
        if (series->count == 0) {
            continue;
        }
        const struct latency_sample *last = latency_sample(series, series->count - 1);
        reply_array(call->reply, 4);
        reply_bulk_text(call->reply, latency_event_name((enum latency_event)i));
        reply_integer(call->reply, last->wall_s);
        reply_integer(call->reply, last->ms);
        reply_integer(call->reply, series->max_ms);
    }
    pthread_mutex_unlock(&latency->lock);
}

void cmd_latency_history(struct call *call) {
    struct latency *latency = call->server->latency;
    int event = event_find(&call->argv[2]);

    if (event < 0) {
        reply_array(call->reply, 0);
        return;
    }
    pthread_mutex_lock(&latency->lock);
    const struct latency_series *series = &latency->series[event];

    reply_array(call->reply, series->count);
    for (uint32_t i = 0; i < series->count; i++) {
        reply_array(call->reply, 2);
        reply_integer(call->reply, latency_sample(series, i)->wall_s);
        reply_integer(call->reply, latency_sample(series, i)->ms);
    }
    pthread_mutex_unlock(&latency->lock);
}

void cmd_latency_reset(struct call *call) {
    struct latency *latency = call->server->latency;
    long long reset = 0;

    for (int i = 0; i < LATENCY_EVENTS; i++) {
        bool meant = call->argc == 2;
        for (size_t j = 2; j < call->argc; j++) {
            meant |= event_find(&call->argv[j]) == i;
        }
        reset += meant && latency->series[i].count > 0;
        if (meant) {
            latency_reset(latency, (enum latency_event)i);
        }
    }
    reply_integer(call->reply, reset);
}

/* A column a sample, the newest to the right, and below each how long ago it was. */
static void graph_print(FILE *out, const struct latency_series *series, const char *name, int64_t now_s) {
    uint32_t columns = series->count < GRAPH_COLUMNS ? series->count : GRAPH_COLUMNS, low = UINT32_MAX, high = 0;
    uint32_t first = series->count - columns;
    char age[16];

    for (uint32_t i = first; i < series->count; i++) {
        uint32_t ms = latency_sample(series, i)->ms;
        low = ms < low ? ms : low;
        high = ms > high ? ms : high;
    }
    fprintf(out, "%s - high %u ms, low %u ms (all time high %u ms)\n", name, high, low, series->max_ms);
    for (int i = 0; i < 80; i++) {
        fputc('-', out);
    }
    fputc('\n', out);
    for (int row = GRAPH_ROWS; row > 0; row--) {
        for (uint32_t i = first; i < series->count; i++) {
            double part = high == low ? 1 : (double)(latency_sample(series, i)->ms - low) / (high - low);
            int height = 1 + (int)(part * (GRAPH_ROWS - 1));
            fputc(height > row ? '|' : height == row ? '#' : ' ', out);
        }
        fputc('\n', out);
    }
    for (int line = 0; line < 4; line++) {
        for (uint32_t i = first; i < series->count; i++) {
            long long ago_s = now_s - latency_sample(series, i)->wall_s;
            snprintf(age, sizeof age,
                     ago_s < 60     ? "%llds"
                     : ago_s < 3600 ? "%lldm"
                                    : "%lldh",
                     ago_s < 60     ? ago_s
                     : ago_s < 3600 ? ago_s / 60
                                    : ago_s / 3600);
            fputc((size_t)line < strlen(age) ? age[line] : ' ', out);
        }
        fputc('\n', out);
    }
}

void cmd_latency_graph(struct call *call) {
    struct latency *latency = call->server->latency;
    int event = event_find(&call->argv[2]);
    char *text = NULL;
    size_t length = 0;

    if (event < 0 || latency->series[event].count == 0) {
        command_errorf(call, "ERR No samples available for event '%.*s'", command_text_length(&call->argv[2], 128),
                       call->argv[2].bytes);
        return;
    }
    FILE *out = open_memstream(&text, &length);

    if (out == NULL) {
        command_status_error(call, DM_BUSY, 0);
        return;
    }
    pthread_mutex_lock(&latency->lock);
    graph_print(out, &latency->series[event], latency_event_name((enum latency_event)event),
                command_now_ms(call) / MS_PER_S);
    pthread_mutex_unlock(&latency->lock);
    if (fclose(out) == 0) {
        reply_verbatim(call->reply, text, length, "txt");
    } else {
        command_status_error(call, DM_BUSY, 0);
    }
    free(text);
}

static void doctor_event(FILE *out, const struct latency_series *series, enum latency_event event) {
    uint64_t sum = 0;

    for (uint32_t i = 0; i < series->count; i++) {
        sum += latency_sample(series, i)->ms;
    }
    fprintf(out, "%s: %u latency spikes (average %llu ms), worst all time %u ms.\n", latency_event_name(event),
            series->count, (unsigned long long)(sum / series->count), series->max_ms);
}

void cmd_latency_doctor(struct call *call) {
    static const char *const advice[LATENCY_EVENTS] = {
        "command: see SLOWLOG GET for the commands; commands on many keys or large values take long.\n",
        "fast-command: such a command is slow when the memory nodes are, or when this machine has too few CPUs: see "
        "the latency of each memory node in INFO dm, and the load of the machine.\n",
    };
    struct latency *latency = call->server->latency;
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    bool any = false;

    if (out == NULL) {
        command_status_error(call, DM_BUSY, 0);
        return;
    }
    if (atomic_load(&call->server->live->latency_threshold_ms) == 0) {
        fputs("Latency monitoring is off: CONFIG SET latency-monitor-threshold <milliseconds> switches it on.\n", out);
    }
    pthread_mutex_lock(&latency->lock);
    for (int i = 0; i < LATENCY_EVENTS; i++) {
        if (latency->series[i].count > 0) {
            doctor_event(out, &latency->series[i], (enum latency_event)i);
            fputs(advice[i], out);
            any = true;
        }
    }
    pthread_mutex_unlock(&latency->lock);
    fputs(any ? "" : "No latency spike was noted.\n", out);
    if (fclose(out) == 0) {
        reply_verbatim(call->reply, text, length, "txt");
    } else {
        command_status_error(call, DM_BUSY, 0);
    }
    free(text);
}

/* ---- Histograms ---- */

void command_histogram(const struct server *server, uint16_t index, uint64_t counts[HISTOGRAM_BUCKETS]) {
    memset(counts, 0, HISTOGRAM_BUCKETS * sizeof *counts);
    for (uint32_t i = 0; i < server->worker_count; i++) {
        for (uint32_t b = 0; b < HISTOGRAM_BUCKETS; b++) {
            counts[b] += atomic_load_explicit(&server->workers[i].stats.histogram[index][b], memory_order_relaxed);
        }
    }
}

uint64_t command_calls(const struct server *server, uint16_t index) {
    uint64_t calls = 0;

    for (uint32_t i = 0; i < server->worker_count; i++) {
        calls += atomic_load_explicit(&server->workers[i].stats.command[index].calls, memory_order_relaxed);
    }
    return calls;
}

/* How many calls took at most 2^key * 1024 ns: the last bucket of that octave and all below it. */
static uint64_t count_up_to(const uint64_t counts[HISTOGRAM_BUCKETS], uint32_t key) {
    uint64_t count = 0;

    for (uint32_t b = 0; b < HISTOGRAM_BUCKETS && b <= key * 4; b++) {
        count += counts[b];
    }
    return count;
}

/* Redis names the octaves by their end in microseconds, and only those that hold something. */
static void histogram_reply(struct call *call, const struct command *row) {
    uint64_t counts[HISTOGRAM_BUCKETS], total = 0, shown[HISTOGRAM_KEYS];
    long long keys[HISTOGRAM_KEYS];
    size_t pairs = 0;

    command_histogram(call->server, row->index, counts);
    for (uint32_t b = 0; b < HISTOGRAM_BUCKETS; b++) {
        total += counts[b];
    }
    for (uint32_t key = 0; key < HISTOGRAM_KEYS; key++) {
        uint64_t up_to = key + 1 == HISTOGRAM_KEYS ? total : count_up_to(counts, key);
        if (up_to > (pairs > 0 ? shown[pairs - 1] : 0)) {
            shown[pairs] = up_to;
            keys[pairs++] = key < 5 ? INT64_C(1) << key : INT64_C(33) << (key - 5); /* as Redis rounds them */
        }
    }
    reply_bulk_text(call->reply, row->name);
    reply_map(call->reply, 2);
    reply_bulk_text(call->reply, "calls");
    reply_integer(call->reply, (long long)total);
    reply_bulk_text(call->reply, "histogram_usec");
    reply_map(call->reply, pairs);
    for (size_t i = 0; i < pairs; i++) {
        reply_integer(call->reply, keys[i]);
        reply_integer(call->reply, (long long)shown[i]);
    }
}

/* Is it, or its command, among those asked for? */
static bool histogram_wanted(const struct call *call, const struct command *row) {
    if (command_calls(call->server, row->index) == 0) {
        return false;
    }
    for (size_t i = 2; i < call->argc; i++) {
        const struct command *asked = command_full_name_lookup(call->argv[i].bytes, call->argv[i].length);
        if (asked != NULL && (asked == row || asked == row->parent)) {
            return true;
        }
    }
    return call->argc == 2;
}

void cmd_latency_histogram(struct call *call) {
    const struct command *const *rows;
    size_t count = command_table_rows(&rows), wanted = 0;

    for (size_t i = 0; i < count; i++) {
        wanted += histogram_wanted(call, rows[i]);
    }
    reply_map(call->reply, wanted);
    for (size_t i = 0; i < count; i++) {
        if (histogram_wanted(call, rows[i])) {
            histogram_reply(call, rows[i]);
        }
    }
}

void cmd_latency_help(struct call *call) {
    static const char *const lines[] = {
        "DOCTOR",
        "    What was slow, and what to look at.",
        "GRAPH <event>",
        "    An event's samples as a graph.",
        "HISTOGRAM [COMMAND ...]",
        "    How long commands took: counts of those that took at most so many microseconds.",
        "HISTORY <event>",
        "    An event's samples: time and milliseconds.",
        "LATEST",
        "    Of each event the latest sample and the worst.",
        "RESET [<event> ...]",
        "    Forget the samples of these events, or of all.",
    };
    command_help(call, lines, sizeof lines / sizeof lines[0]);
}
