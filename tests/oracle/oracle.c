/* oracle.c: the same random command stream to two servers, replies compared byte for byte.
 *
 * Commands go out in pipelines of random depth, cut at random bytes; both sides see the same bytes in the same pieces.
 * Every few thousand commands the connections are made anew, with RESP2 and RESP3 in turn. At the first difference it
 * prints the seed, what led there for the same keys, the command and both replies, and fails.
 *
 * oracle [-n commands] [-s seed] [-l left] [-r right] [-o coverage file] [-g group,group]
 * oracle -L: names of the commands that it knows, with their groups
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "generator.h"
#include "pair.h"
#include "report.h"

#define DEPTH_MAX 64
#define HISTORY 4096
#define HISTORY_SHOWN 30
#define SHOWN_BEFORE 60 /* bytes of two replies before they differ */
#define HISTORY_BYTES 160
#define CONNECTION_COMMANDS 3000
#define NAMES_MAX 256

struct past {
    char command[HISTORY_BYTES * 4], reply[HISTORY_BYTES * 4];
    char key[HISTORY_BYTES]; /* printable; what relates commands to each other */
};

struct oracle {
    struct pair pair;
    struct generator generator;
    struct generated pipeline[DEPTH_MAX];
    struct past *past; /* ring of HISTORY */
    uint64_t count, wanted, seed, replies_error;
    const char *name[NAMES_MAX];
    uint64_t compared[NAMES_MAX];
    bool failed;
};

static void count_name(struct oracle *oracle, const char *name) {
    const char *known = *name ? name : "(unknown)";
    for (int i = 0; i < NAMES_MAX; i++) {
        if (oracle->name[i] && strcmp(oracle->name[i], known) != 0)
            continue;
        oracle->name[i] = known;
        oracle->compared[i]++;
        return;
    }
}

static void describe(const struct generated *command, struct buffer *out, size_t most) {
    struct buffer piece = {0};
    buffer_clear(out);
    for (size_t i = 0; i < command->argc && out->length < most; i++) {
        const char *bytes = command->text.bytes + command->start[i];
        size_t length = command->start[i + 1] - command->start[i];
        buffer_addf(out, "%s\"%s\"", i ? " " : "", wire_printable(bytes, length, 60, &piece));
    }
    if (out->length >= most)
        buffer_addf(out, " ... (%zu arguments)", command->argc);
    if (command->wire.bytes[0] != '*')
        buffer_addf(out, " (inline)");
    buffer_free(&piece);
}

/* Where the key stands, by which past commands are related. */
static size_t key_argument(const char *name) {
    static const char *const second[] = {"object", "pfdebug", "bitop"};
    for (size_t i = 0; i < sizeof second / sizeof *second; i++) {
        if (strcmp(name, second[i]) == 0)
            return 2;
    }
    return 1;
}

static void remember(struct oracle *oracle, const struct generated *command, const char *reply, size_t length) {
    struct past *past = &oracle->past[oracle->count % HISTORY];
    struct buffer text = {0};
    describe(command, &text, HISTORY_BYTES);
    snprintf(past->command, sizeof past->command, "%s", text.bytes);
    snprintf(past->reply, sizeof past->reply, "%s", wire_printable(reply, length, 60, &text));
    past->key[0] = 0;
    size_t at = key_argument(command->name);
    if (command->argc > at) {
        size_t bytes = command->start[at + 1] - command->start[at];
        snprintf(past->key, sizeof past->key, "%s",
                 wire_printable(command->text.bytes + command->start[at], bytes, 30, &text));
    }
    buffer_free(&text);
}

/* The commands before that name the same key, and every SELECT, RESET and multi-key command. */
static void print_history(const struct oracle *oracle) {
    const struct past *last = &oracle->past[oracle->count % HISTORY];
    uint64_t first = oracle->count > HISTORY - 1 ? oracle->count - (HISTORY - 1) : 0;
    const struct past *shown[HISTORY_SHOWN];
    int count = 0;
    for (uint64_t i = oracle->count; i-- > first && count < HISTORY_SHOWN;) {
        const struct past *past = &oracle->past[i % HISTORY];
        bool related = strcmp(past->key, last->key) == 0 || strncasecmp(past->command, "\"select", 7) == 0 ||
                       strncasecmp(past->command, "\"reset", 6) == 0 ||
                       (strncasecmp(past->command, "\"m", 2) == 0 && strstr(past->command, last->key));
        if (related)
            shown[count++] = past;
    }
    printf("  before it, for the same key (oldest first):\n");
    while (count-- > 0)
        printf("    %s\n      -> %s\n", shown[count]->command, shown[count]->reply);
}

/* Long replies from shortly before the first difference on. */
static void print_replies(const struct pair *pair, const char *const reply[2], const size_t length[2]) {
    struct buffer text = {0};
    size_t first = 0;
    while (first < length[0] && first < length[1] && reply[0][first] == reply[1][first])
        first++;
    first = first < SHOWN_BEFORE ? 0 : first - SHOWN_BEFORE;
    for (int i = 0; i < 2; i++) {
        printf("  %-12s from byte %zu of %zu: %s\n", pair->process[i]->name, first, length[i],
               wire_printable(reply[i] + first, length[i] - first, 300, &text));
    }
    buffer_free(&text);
}

static bool compare_one(struct oracle *oracle, const struct generated *command) {
    const char *reply[2];
    size_t length[2];
    struct buffer text = {0};
    enum wire_result result[2];
    for (int i = 0; i < 2; i++)
        result[i] = wire_reply(&oracle->pair.wire[i], &reply[i], &length[i]);
    for (int i = 0; i < 2; i++) {
        if (result[i] == WIRE_OK)
            continue;
        reply[i] = wire_result_text(result[i]);
        length[i] = strlen(reply[i]);
    }
    bool same = result[0] == WIRE_OK && result[1] == WIRE_OK &&
                pair_same(command->mask, reply[0], length[0], reply[1], length[1]);
    remember(oracle, command, reply[0], length[0]);
    count_name(oracle, command->name);
    oracle->replies_error += *reply[0] == '-';
    if (same) {
        oracle->count++;
        return true;
    }
    describe(command, &text, 2000);
    printf("difference at command %llu (seed %llu):\n", (unsigned long long)oracle->count + 1,
           (unsigned long long)oracle->seed);
    print_history(oracle);
    printf("  command      %s\n", text.bytes);
    print_replies(&oracle->pair, reply, length);
    buffer_free(&text);
    oracle->failed = true;
    return false;
}

/* Sends the bytes to both in the same random pieces. */
static bool send_cut(struct oracle *oracle, const struct buffer *bytes) {
    struct prng *prng = &oracle->generator.prng;
    size_t sent = 0;
    bool cut = prng_chance(prng, 30);
    while (sent < bytes->length) {
        size_t piece = bytes->length - sent;
        if (cut)
            piece = 1 + prng_below(prng, piece < 40 ? piece : piece / (1 + prng_below(prng, 8)));
        for (int i = 0; i < 2; i++) {
            if (wire_send(&oracle->pair.wire[i], bytes->bytes + sent, piece) == WIRE_OK)
                continue;
            printf("%s closed the connection in the midst of command %llu or the %d after it (seed %llu)\n",
                   oracle->pair.process[i]->name, (unsigned long long)oracle->count + 1, DEPTH_MAX,
                   (unsigned long long)oracle->seed);
            oracle->failed = true;
            return false;
        }
        sent += piece;
    }
    return true;
}

static bool run_pipeline(struct oracle *oracle) {
    struct prng *prng = &oracle->generator.prng;
    size_t depth = prng_chance(prng, 40) ? 1 : 1 + prng_below(prng, DEPTH_MAX);
    struct buffer bytes = {0};
    for (size_t i = 0; i < depth; i++) {
        generator_next(&oracle->generator, &oracle->pipeline[i]);
        buffer_add(&bytes, oracle->pipeline[i].wire.bytes, oracle->pipeline[i].wire.length);
        if (prng_below(prng, 200) == 0)
            buffer_add(&bytes, "\r\n", 2); /* an empty inline command: no reply */
    }
    bool going_on = send_cut(oracle, &bytes);
    for (size_t i = 0; i < depth && going_on; i++)
        going_on = compare_one(oracle, &oracle->pipeline[i]);
    buffer_free(&bytes);
    return going_on;
}

static void write_coverage(const struct oracle *oracle, const char *path) {
    printf("# compared:");
    for (int i = 0; i < NAMES_MAX && oracle->name[i]; i++) {
        printf(" %s %llu", oracle->name[i], (unsigned long long)oracle->compared[i]);
    }
    printf("\n");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (!file)
        return;
    for (int i = 0; i < NAMES_MAX && oracle->name[i]; i++)
        fprintf(file, "%s\n", oracle->name[i]);
    fclose(file);
}

static void list_names(void) {
    const char *name, *group;
    for (size_t i = 0; (name = generator_name(i, &group)) != NULL; i++) {
        if (*name)
            printf("%s %s\n", name, group);
    }
}

int main(int argc, char **argv) {
    static struct oracle oracle;
    const char *left = "redis --rdbcompression no", *right = "fusegate", *coverage = NULL, *groups = NULL;
    oracle.wanted = 100000;
    oracle.seed = prng_fresh_seed();
    for (int option; (option = getopt(argc, argv, "n:s:l:r:o:g:L")) != -1;) {
        switch (option) {
        case 'n':
            oracle.wanted = strtoull(optarg, NULL, 10);
            break;
        case 's':
            oracle.seed = strtoull(optarg, NULL, 10);
            break;
        case 'l':
            left = optarg;
            break;
        case 'r':
            right = optarg;
            break;
        case 'o':
            coverage = optarg;
            break;
        case 'g':
            groups = optarg;
            break;
        case 'L':
            list_names();
            return 0;
        default:
            return 2;
        }
    }
    report_note("seed %llu, %llu commands%s%s, %s and %s", (unsigned long long)oracle.seed,
                (unsigned long long)oracle.wanted, groups ? " of " : "", groups ? groups : "", left, right);
    oracle.past = calloc(HISTORY, sizeof *oracle.past);
    pair_start(&oracle.pair, left, right);
    generator_init(&oracle.generator, oracle.seed);
    oracle.generator.groups = groups;
    int protocol = 3;
    while (oracle.count < oracle.wanted && !oracle.failed) {
        protocol = 5 - protocol;
        pair_connect(&oracle.pair, protocol);
        uint64_t until = oracle.count + CONNECTION_COMMANDS;
        while (oracle.count < until && run_pipeline(&oracle)) {
        }
    }
    write_coverage(&oracle, coverage);
    report_case(!oracle.failed, "random stream: %llu of %llu commands give the same replies (%llu of them errors)",
                (unsigned long long)oracle.count, (unsigned long long)oracle.wanted,
                (unsigned long long)oracle.replies_error);
    for (int i = 0; i < DEPTH_MAX; i++)
        generated_free(&oracle.pipeline[i]);
    generator_free(&oracle.generator);
    pair_disconnect(&oracle.pair);
    free(oracle.past);
    return report_finish();
}
