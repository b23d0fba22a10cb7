/* moved.c: strings that move between two servers by DUMP and RESTORE, both ways: what arrives is what was there, with
 * its time to live. The left server compresses, as redis-server does by default.
 *
 * moved [-n values] [-s seed] [-l left] [-r right]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pair.h"
#include "report.h"

#define VALUE_BYTES_MAX 100000
#define TTL_MS "8640000000"

struct mover {
    struct pair pair;
    struct prng prng;
    struct buffer value, command;
    uint64_t seed;
    unsigned compressed; /* dumps that were shorter than their value */
};

/* One command; the bulk string of the reply, NULL for a null. */
static const char *ask(struct mover *mover, int server, const char *const *words, const size_t *lengths, size_t count,
                       size_t *length) {
    struct wire *wire = &mover->pair.wire[server];
    const char *reply;
    buffer_clear(&mover->command);
    buffer_addf(&mover->command, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++)
        buffer_add_arg(&mover->command, words[i], lengths[i]);
    if (wire_send(wire, mover->command.bytes, mover->command.length) != WIRE_OK ||
        wire_reply(wire, &reply, length) != WIRE_OK)
        report_abort("%s does not answer %s (seed %llu)", mover->pair.process[server]->name, words[0],
                     (unsigned long long)mover->seed);
    if (*reply != '$')
        return reply;
    size_t line = strcspn(reply, "\n") + 1;
    long bytes = strtol(reply + 1, NULL, 10);
    *length = bytes < 0 ? 0 : (size_t)bytes;
    return bytes < 0 ? NULL : reply + line;
}

static const char *ask_words(struct mover *mover, int server, const char *name, const char *key, size_t *length) {
    const char *words[] = {name, key};
    const size_t lengths[] = {strlen(name), strlen(key)};
    return ask(mover, server, words, lengths, 2, length);
}

/* Integers of all sizes, text with repetitions, noise. */
static void make_value(struct mover *mover) {
    struct prng *prng = &mover->prng;
    buffer_clear(&mover->value);
    buffer_add(&mover->value, "", 0);
    if (prng_chance(prng, 25)) {
        int64_t number = (int64_t)(prng_next(prng) >> prng_below(prng, 64));
        buffer_addf(&mover->value, "%lld", (long long)(prng_chance(prng, 50) ? number : -number));
        return;
    }
    static const size_t scales[] = {30, 300, 20000, VALUE_BYTES_MAX};
    size_t length = prng_below(prng, scales[prng_below(prng, sizeof scales / sizeof *scales)]);
    uint64_t period = 1 + prng_below(prng, 400);
    bool noise = prng_chance(prng, 20);
    for (size_t i = 0; i < length; i++) {
        char byte = (char)(noise ? prng_next(prng) : i % period * 7 + i / 1000);
        buffer_add(&mover->value, &byte, 1);
    }
}

static bool same_value(struct mover *mover, int server, const char *key) {
    size_t length;
    const char *bytes = ask_words(mover, server, "GET", key, &length);
    return bytes && length == mover->value.length && memcmp(bytes, mover->value.bytes, length) == 0;
}

/* SET here, DUMP here, RESTORE there, GET there. */
static bool move_one(struct mover *mover, int from) {
    const char *set[] = {"SET", "here", mover->value.bytes};
    const size_t set_lengths[] = {3, 4, mover->value.length};
    size_t length;
    ask(mover, from, set, set_lengths, 3, &length);
    const char *bytes = ask_words(mover, from, "DUMP", "here", &length);
    if (!bytes)
        return false;
    mover->compressed += length < mover->value.length;
    struct buffer dump = {0};
    buffer_add(&dump, bytes, length);
    const char *restore[] = {"RESTORE", "there", TTL_MS, dump.bytes, "REPLACE"};
    const size_t restore_lengths[] = {7, 5, strlen(TTL_MS), dump.length, 7};
    const char *reply = ask(mover, !from, restore, restore_lengths, 5, &length);
    bool restored = reply && strncmp(reply, "+OK", 3) == 0;
    buffer_free(&dump);
    reply = ask_words(mover, !from, "PTTL", "there", &length);
    bool expires = reply && *reply == ':' && reply[1] != '-';
    return restored && expires && same_value(mover, !from, "there");
}

int main(int argc, char **argv) {
    static struct mover mover;
    const char *left = "redis", *right = "fusegate";
    uint64_t values = 2000, moved[2] = {0, 0};
    mover.seed = prng_fresh_seed();
    for (int option; (option = getopt(argc, argv, "n:s:l:r:")) != -1;) {
        switch (option) {
        case 'n':
            values = strtoull(optarg, NULL, 10);
            break;
        case 's':
            mover.seed = strtoull(optarg, NULL, 10);
            break;
        case 'l':
            left = optarg;
            break;
        case 'r':
            right = optarg;
            break;
        default:
            return 2;
        }
    }
    mover.prng.state = mover.seed;
    pair_start(&mover.pair, left, right);
    pair_connect(&mover.pair, 2);
    for (uint64_t i = 0; i < values; i++) {
        make_value(&mover);
        for (int from = 0; from < 2; from++)
            moved[from] += move_one(&mover, from);
    }
    for (int from = 0; from < 2; from++) {
        report_case(moved[from] == values, "DUMP at %s, RESTORE at %s: %llu of %llu values are the same (seed %llu)",
                    mover.pair.process[from]->name, mover.pair.process[!from]->name, (unsigned long long)moved[from],
                    (unsigned long long)values, (unsigned long long)mover.seed);
    }
    report_case(mover.compressed > 0, "%u dumps were compressed", mover.compressed);
    buffer_free(&mover.value);
    buffer_free(&mover.command);
    pair_disconnect(&mover.pair);
    return report_finish();
}
