/* scripted.c: the commands of a file to two servers, over RESP2 and then RESP3, replies compared.
 *
 * A line of the file is a command: words, or "text" with \xHH, \r, \n, \" and \\ inside. Before it may stand @mask (see
 * pair.h). A line may also be one of
 *   # comment    ! connect    ! sleep SECONDS    ! section NAME    ! expect "REPLY" COMMAND
 * expect: for what redis-server does not have; the right server alone must give this reply. A mask may stand before it.
 * A section is one case; each begins on new connections.
 *
 * scripted [-l left] [-r right] [-o coverage file] script.txt
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "pair.h"
#include "report.h"

#define WORDS_MAX 128

struct script {
    struct pair pair;
    FILE *coverage;
    int protocol;
    int line_number;
    char section[128];
    unsigned commands, differences;
};

static int hex_value(char c) {
    if (isdigit((unsigned char)c))
        return c - '0';
    return tolower((unsigned char)c) - 'a' + 10;
}

/* Reads one word at *line into `out`; false at the end of the line. */
static bool next_word(const char **line, struct buffer *out) {
    const char *p = *line + strspn(*line, " \n");
    buffer_clear(out);
    buffer_add(out, "", 0);
    if (!*p)
        return false;
    if (*p != '"') {
        size_t length = strcspn(p, " \n");
        buffer_add(out, p, length);
        *line = p + length;
        return true;
    }
    for (p++; *p && *p != '"'; p++) {
        char c = *p;
        if (c == '\\') {
            c = *++p;
            if (c == 'n')
                c = '\n';
            else if (c == 'r')
                c = '\r';
            else if (c == 'x' && isxdigit((unsigned char)p[1]) && isxdigit((unsigned char)p[2])) {
                c = (char)(hex_value(p[1]) * 16 + hex_value(p[2]));
                p += 2;
            }
        }
        buffer_add(out, &c, 1);
    }
    *line = p + (*p == '"');
    return true;
}

/* The first word, and the second after a |, in lower case: "client|list" for the coverage; both forms are written. */
static void note_coverage(struct script *script, const char *first, const char *second) {
    char name[128];
    if (!script->coverage)
        return;
    for (int form = 0; form < 2; form++) {
        snprintf(name, sizeof name, form ? "%s|%s" : "%s", first, second);
        for (char *c = name; *c; c++)
            *c = (char)tolower((unsigned char)*c);
        fprintf(script->coverage, "%s\n", name);
    }
}

static void print_difference(struct script *script, const char *line, const char *reply[2], const size_t length[2]) {
    struct buffer text = {0};
    printf("  line %d, RESP%d: %.*s\n", script->line_number, script->protocol, (int)strcspn(line, "\n"), line);
    for (int i = 0; i < 2; i++) {
        printf("    %-13s %s\n", script->pair.process[i]->name, wire_printable(reply[i], length[i], 700, &text));
    }
    buffer_free(&text);
}

static void run_command(struct script *script, const char *line, enum pair_mask mask) {
    struct buffer arguments = {0}, command = {0}, word = {0};
    char name[2][64] = {"", ""};
    size_t words = 0;
    const char *rest = line;
    while (next_word(&rest, &word)) {
        if (words < 2)
            snprintf(name[words], sizeof name[0], "%s", word.bytes);
        buffer_add_arg(&arguments, word.bytes, word.length);
        words++;
    }
    note_coverage(script, name[0], name[1]);
    buffer_addf(&command, "*%zu\r\n", words);
    buffer_add(&command, arguments.bytes, arguments.length);
    const char *reply[2];
    size_t length[2];
    bool answered = true;
    for (int i = 0; i < 2; i++) {
        struct wire *wire = &script->pair.wire[i];
        enum wire_result result = wire_send(wire, command.bytes, command.length);
        if (result == WIRE_OK)
            result = wire_reply(wire, &reply[i], &length[i]);
        if (result == WIRE_OK)
            continue;
        answered = false;
        reply[i] = wire_result_text(result);
        length[i] = strlen(reply[i]);
    }
    script->commands++;
    bool same = answered ? pair_same(mask, reply[0], length[0], reply[1], length[1])
                         : length[0] == length[1] && memcmp(reply[0], reply[1], length[0]) == 0;
    if (!same) {
        script->differences++;
        print_difference(script, line, reply, length);
    }
    if (!answered)
        pair_connect(&script->pair, script->protocol);
    buffer_free(&arguments);
    buffer_free(&command);
    buffer_free(&word);
}

/* Reads @mask, if it stands there. */
static enum pair_mask take_mask(const struct script *script, const char **text) {
    enum pair_mask mask = PAIR_EXACT;
    if (**text != '@')
        return mask;
    size_t length = strcspn(*text + 1, " ");
    if (!pair_mask_find(*text + 1, length, &mask))
        report_abort("line %d: no such mask", script->line_number);
    *text += 1 + length;
    *text += strspn(*text, " ");
    return mask;
}

/* For the right server alone, unless that is a redis-server. */
static void expect_reply(struct script *script, const char *text) {
    struct buffer expected = {0}, arguments = {0}, command = {0}, word = {0};
    struct wire *wire = &script->pair.wire[1];
    char name[2][64] = {"", ""};
    const char *reply = "";
    size_t length = 0, words = 0;
    enum pair_mask mask = take_mask(script, &text);
    next_word(&text, &expected);
    for (; next_word(&text, &word); words++) {
        if (words < 2)
            snprintf(name[words], sizeof name[0], "%s", word.bytes);
        buffer_add_arg(&arguments, word.bytes, word.length);
    }
    note_coverage(script, name[0], name[1]);
    buffer_addf(&command, "*%zu\r\n", words);
    buffer_add(&command, arguments.bytes, arguments.length);
    if (strcmp(script->pair.process[1]->name, "redis-server") != 0) {
        script->commands++;
        bool right = wire_send(wire, command.bytes, command.length) == WIRE_OK &&
                     wire_reply(wire, &reply, &length) == WIRE_OK &&
                     pair_same(mask, expected.bytes, expected.length, reply, length);
        if (!right) {
            const char *both[2] = {expected.bytes, reply};
            const size_t lengths[2] = {expected.length, length};
            script->differences++;
            print_difference(script, arguments.bytes, both, lengths);
        }
    }
    buffer_free(&expected);
    buffer_free(&arguments);
    buffer_free(&command);
    buffer_free(&word);
}

static void end_section(struct script *script) {
    if (script->commands > 0) {
        report_case(script->differences == 0, "RESP%d %s: %u commands, %u differences", script->protocol,
                    script->section, script->commands, script->differences);
    }
    script->commands = 0;
    script->differences = 0;
}

static void run_directive(struct script *script, const char *text) {
    text += strspn(text, " ");
    if (strncmp(text, "section ", 8) == 0) {
        end_section(script);
        snprintf(script->section, sizeof script->section, "%.*s", (int)strcspn(text + 8, "\n"), text + 8);
        pair_connect(&script->pair, script->protocol);
    } else if (strncmp(text, "connect", 7) == 0) {
        pair_connect(&script->pair, script->protocol);
    } else if (strncmp(text, "sleep ", 6) == 0) {
        sleep_s(strtod(text + 6, NULL));
    } else if (strncmp(text, "expect ", 7) == 0) {
        expect_reply(script, text + 7);
    } else {
        report_abort("line %d: no such directive: %s", script->line_number, text);
    }
}

static void run_file(struct script *script, const char *path) {
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t capacity = 0;
    if (!file)
        report_abort("cannot open %s", path);
    script->line_number = 0;
    while (getline(&line, &capacity, file) > 0) {
        script->line_number++;
        const char *text = line + strspn(line, " ");
        if (*text == '\n' || *text == '#')
            continue;
        if (*text == '!') {
            run_directive(script, text + 1);
            continue;
        }
        enum pair_mask mask = take_mask(script, &text);
        run_command(script, text, mask);
    }
    end_section(script);
    free(line);
    fclose(file);
}

int main(int argc, char **argv) {
    static struct script script;
    const char *left = "redis", *right = "fusegate";
    for (int option; (option = getopt(argc, argv, "l:r:o:")) != -1;) {
        switch (option) {
        case 'l':
            left = optarg;
            break;
        case 'r':
            right = optarg;
            break;
        case 'o':
            script.coverage = fopen(optarg, "a");
            break;
        default:
            return 2;
        }
    }
    if (optind >= argc)
        report_abort("usage: scripted [-l left] [-r right] [-o coverage] script.txt");
    pair_start(&script.pair, left, right);
    for (script.protocol = 2; script.protocol <= 3; script.protocol++)
        run_file(&script, argv[optind]);
    pair_disconnect(&script.pair);
    if (script.coverage)
        fclose(script.coverage);
    return report_finish();
}
