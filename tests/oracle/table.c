/* table.c: what a server says of its commands, beside redis-server: COMMAND INFO and COMMAND DOCS of each one, and that
 * the oracle compared each of them at least once.
 *
 * A group's subcommands are compared one by one; those that the right server does not have are left out.
 *
 * table [-l left] [-r right] -o coverage file
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pair.h"
#include "report.h"

#define SUBCOMMANDS_FIELD 9 /* of COMMAND INFO */
#define NAMES_MAX 512

/* Redis has them since 7.2 and clients send them; the oracle, 7.0, does not know them. */
static const char *const newer[] = {"client|setinfo", "client|no-touch"};

static size_t skip(const char *bytes) { return wire_reply_length(bytes, SIZE_MAX / 2); }

static bool is_subcommands_title(const char *element) { return strncmp(element, "$11\r\nsubcommands\r\n", 18) == 0; }

/* Walks both replies, which are complete: the same types, texts and elements, but for a group's subcommands. */
static bool same(const char **left, const char **right, int depth) {
    size_t line = strcspn(*left, "\n") + 1;
    char type = **left;
    long count = strtol(*left + 1, NULL, 10);
    bool aggregate = strchr("*~%", type) && count >= 0;
    size_t length = aggregate ? line : skip(*left);
    if (strncmp(*left, *right, length) != 0)
        return false;
    *left += length;
    *right += length;
    if (!aggregate)
        return true;
    bool title = false;
    for (long i = 0; i < (type == '%' ? 2 * count : count); i++) {
        if (title || (depth == 1 && i == SUBCOMMANDS_FIELD)) {
            title = false;
            *left += skip(*left);
            *right += skip(*right);
            continue;
        }
        title = is_subcommands_title(*left);
        if (!same(left, right, depth + 1))
            return false;
    }
    return true;
}

static bool compare(struct pair *pair, const char *words) {
    const char *reply[2];
    size_t length[2];
    struct buffer text = {0};
    for (int i = 0; i < 2; i++) {
        enum wire_result result = wire_ask(&pair->wire[i], words, &reply[i], &length[i]);
        if (result != WIRE_OK)
            report_abort("%s: %s: %s", pair->process[i]->name, words, wire_result_text(result));
    }
    const char *at[2] = {reply[0], reply[1]};
    bool equal = same(&at[0], &at[1], 0);
    for (int i = 0; i < 2 && !equal; i++) {
        size_t before = (size_t)(at[0] - reply[0]) > 60 ? (size_t)(at[0] - reply[0]) - 60 : 0;
        printf("  %s, %s from byte %zu: %s\n", words, pair->process[i]->name, before,
               before < length[i] ? wire_printable(reply[i] + before, length[i] - before, 200, &text) : "");
    }
    buffer_free(&text);
    return equal;
}

/* COMMAND LIST of the right server; malloc'ed names. */
static size_t list_commands(struct pair *pair, char **names) {
    const char *reply;
    size_t length, count = 0;
    if (wire_ask(&pair->wire[1], "COMMAND LIST", &reply, &length) != WIRE_OK)
        report_abort("no COMMAND LIST");
    const char *end = reply + length;
    for (reply += strcspn(reply, "\n") + 1; reply < end && count < NAMES_MAX; reply += skip(reply)) {
        if (*reply != '$' && *reply != '+')
            report_abort("COMMAND LIST holds no names");
        const char *name = *reply == '$' ? reply + strcspn(reply, "\n") + 1 : reply + 1;
        names[count++] = strndup(name, strcspn(name, "\r"));
    }
    return count;
}

static bool is_compared(const char *path, const char *name) {
    char line[128];
    bool found = false;
    FILE *file = fopen(path, "r");
    if (!file)
        report_abort("no coverage file %s", path);
    while (!found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        found = strcmp(line, name) == 0;
    }
    fclose(file);
    return found;
}

static bool is_newer(const char *name) {
    for (size_t i = 0; i < sizeof newer / sizeof *newer; i++) {
        if (strcmp(newer[i], name) == 0)
            return true;
    }
    return false;
}

static unsigned compare_all(struct pair *pair, const char *subcommand, char *const *names, size_t count) {
    unsigned differences = 0;
    char words[256];
    for (int protocol = 2; protocol <= 3; protocol++) {
        pair_connect(pair, protocol);
        for (size_t i = 0; i < count; i++) {
            snprintf(words, sizeof words, "COMMAND %s %s", subcommand, names[i]);
            if (!is_newer(names[i]))
                differences += !compare(pair, words);
        }
    }
    return differences;
}

int main(int argc, char **argv) {
    static struct pair pair;
    static char *names[NAMES_MAX];
    const char *left = "redis", *right = "fusegate", *coverage = NULL;
    for (int option; (option = getopt(argc, argv, "l:r:o:")) != -1;) {
        switch (option) {
        case 'l':
            left = optarg;
            break;
        case 'r':
            right = optarg;
            break;
        case 'o':
            coverage = optarg;
            break;
        default:
            return 2;
        }
    }
    if (!coverage)
        report_abort("usage: table [-l left] [-r right] -o coverage");
    pair_start(&pair, left, right);
    pair_connect(&pair, 2);
    size_t count = list_commands(&pair, names);
    unsigned info = compare_all(&pair, "INFO", names, count);
    unsigned docs = compare_all(&pair, "DOCS", names, count);
    unsigned missed = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_compared(coverage, names[i]))
            continue;
        printf("  never compared: %s\n", names[i]);
        missed++;
    }
    report_case(info == 0, "COMMAND INFO of %zu commands, %u differences", count, info);
    report_case(docs == 0, "COMMAND DOCS of %zu commands, %u differences", count, docs);
    report_case(missed == 0 && count > 0, "%zu commands listed, %u of them never compared", count, missed);
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    pair_disconnect(&pair);
    return report_finish();
}
