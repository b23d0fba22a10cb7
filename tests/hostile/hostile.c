/* hostile.c: clients that break the protocol or exhaust what they can. After each case the server must answer others
 * at once and hold a bounded amount of memory. Where redis-server has an answer, it is the expected one.
 *
 * hostile [-l left] [-r right] [-s seed]
 */
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pair.h"
#include "pattern.h"
#include "report.h"
#include "servers.h"

#define MB (UINT64_C(1) << 20)
#define ANSWER_S 3.0              /* what others may wait */
#define RSS_GROWTH_MAX (256 * MB) /* of the server in one case, 128 MiB of caches included, the pool's pages apart */
#define MANY_ARGS 100000
#define MANY_COMMANDS 100000

struct hostile {
    struct pair pair;
    struct process *server; /* the right one */
    struct prng prng;
    uint64_t rss_before;
};

/* A request whose replies redis-server gives, up to the end of the connection. */
struct request {
    const char *name, *bytes;
    size_t length;
    size_t repeat; /* times that the last byte is sent more */
    bool differs;  /* on purpose: redis-server takes a zero byte for the end of its buffer and waits for ever */
};
#define R(name, literal)                                                                                               \
    { name, literal, sizeof(literal) - 1, 0, false }
#define R_DIFFERS(name, literal)                                                                                       \
    { name, literal, sizeof(literal) - 1, 0, true }

static const struct request requests[] = {
    R("no argument", "*0\r\nPING\r\n"),
    R("negative argument count", "*-1\r\nPING\r\n*-100\r\nPING\r\n"),
    R("argument count no number", "*abc\r\nPING\r\n"),
    R("argument count empty", "*\r\nPING\r\n"),
    R("argument count with a plus", "*+1\r\n$4\r\nPING\r\n"),
    R("argument count with a zero before", "*01\r\n$4\r\nPING\r\n"),
    R("argument count with a space", "* 1\r\n$4\r\nPING\r\n"),
    R("argument count with a space behind", "*1 \r\n$4\r\nPING\r\n"),
    R("argument count 1048577", "*1048577\r\n"),
    R("argument count 2^31", "*2147483648\r\n"),
    R("argument count 2^31 - 1", "*2147483647\r\n"),
    R("argument count of 20 digits", "*99999999999999999999\r\n"),
    R("length -1", "*1\r\n$-1\r\n"),
    R("length -2", "*2\r\n$3\r\nGET\r\n$-2\r\n"),
    R("length no number", "*1\r\n$x\r\n"),
    R("length empty", "*1\r\n$\r\n"),
    R("length with a zero before", "*1\r\n$04\r\nPING\r\n"),
    R("length 512 MB + 1", "*1\r\n$536870913\r\n"),
    R("length of 19 digits", "*1\r\n$9223372036854775807\r\n"),
    R("length of 25 digits", "*1\r\n$9999999999999999999999999\r\n"),
    R("no length", "*1\r\nPING\r\n"),
    R("an integer for a length", "*2\r\n$3\r\nGET\r\n:1\r\n"),
    R("an empty line for a length", "*1\r\n\r\n"),
    R_DIFFERS("a zero byte for a length", "*1\r\n\0\r\n"),
    R("no line end behind an argument", "*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n"),
    R("an error behind a command", "*1\r\n$4\r\nPING\r\n*1\r\n$-5\r\n*1\r\n$4\r\nPING\r\n"),
    R("an empty command name", "*1\r\n$0\r\n\r\n"),
    R("a bulk for a command", "$4\r\nPING\r\n"),
    R("inline", "PING\r\n"),
    R("inline with a bare newline", "PING\nECHO a\n"),
    R("inline, empty lines", "\r\n\r\n\n\nPING\r\n"),
    R("inline, spaces only", "    \r\nPING\r\n"),
    R("inline, tabs and spaces", " \t PING \t hello\t\r\n"),
    R("inline, quotes", "ECHO \"a\\x41\\n\\\"\"\r\nECHO 'a\\'b\\n'\r\n"),
    R("inline, open double quote", "ECHO \"abc\r\nPING\r\n"),
    R("inline, open single quote", "ECHO 'abc\r\nPING\r\n"),
    R("inline, letters behind a quote", "ECHO \"a\"b\r\nPING\r\n"),
    R_DIFFERS("inline, zero byte", "ECHO a\0b\r\nPING\r\n"),
    R("inline, high bytes", "ECHO \xff\xfe\x01\r\n"),
    R("half a command", "*2\r\n$3\r\nGET\r\n$5\r\nab"),
    R("a web browser", "POST / HTTP/1.1\r\nHost: localhost\r\n\r\nPING\r\n"),
    R("a web browser's host line", "Host: localhost\r\nPING\r\n"),
    {"endless inline request", "A", 1, 70000, false},
    {"endless argument count", "*1", 2, 70000, false},
    {"endless length", "*1\r\n$1", 6, 70000, false},
    {"endless empty inline request", " ", 1, 70000, false},
};

/* ---- What must hold after each case ---- */

static bool others_served(struct hostile *hostile) {
    struct wire wire;
    if (!wire_open(&wire, hostile->server->port))
        return false;
    wire.timeout_s = ANSWER_S;
    bool answered = wire_expect(&wire, "PING", "+PONG\r\n") && wire_expect(&wire, "SET hostile:k v", "+OK\r\n") &&
                    wire_expect(&wire, "GET hostile:k", "$1\r\nv\r\n");
    wire_close(&wire);
    return answered;
}

static void begin(struct hostile *hostile) { hostile->rss_before = process_rss_bytes(hostile->server->pid); }

static void end(struct hostile *hostile, bool passed, const char *name) {
    uint64_t rss = process_rss_bytes(hostile->server->pid);
    bool alive = process_alive(hostile->server), served = alive && others_served(hostile);
    bool bounded = hostile->rss_before == 0 || rss < hostile->rss_before + RSS_GROWTH_MAX;
    if (hostile->rss_before == 0)
        hostile->rss_before = rss;
    report_case(passed && served && bounded, "%s%s%s%s (memory %+lld MB)", name, passed ? "" : ": wrong",
                served  ? ""
                : alive ? ": others not served"
                        : ": server ended",
                bounded ? "" : ": memory not bounded",
                ((long long)rss - (long long)hostile->rss_before) / (long long)MB);
    if (!alive)
        report_abort("%s ended", hostile->server->name);
}

/* ---- Requests with redis-server's answer ---- */

static void request_bytes(const struct request *request, struct buffer *out) {
    buffer_clear(out);
    buffer_add(out, request->bytes, request->length);
    for (size_t i = 0; i < request->repeat; i++)
        buffer_add(out, request->bytes + request->length - 1, 1);
}

static enum wire_result whole_answer(int port, const struct buffer *bytes, struct buffer *answer) {
    struct wire wire;
    const char *reply = "";
    size_t length = 0;
    if (!wire_open(&wire, port))
        return WIRE_CLOSED;
    wire.timeout_s = ANSWER_S;
    wire_send(&wire, bytes->bytes, bytes->length);
    shutdown(wire.fd, SHUT_WR);
    enum wire_result result = wire_drain(&wire, &reply, &length);
    buffer_clear(answer);
    buffer_add(answer, reply, length);
    wire_close(&wire);
    return result;
}

static void case_requests(struct hostile *hostile) {
    struct buffer bytes = {0}, answer[2] = {{0}, {0}}, text = {0};
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        enum wire_result result[2];
        request_bytes(&requests[i], &bytes);
        begin(hostile);
        for (int s = 0; s < 2; s++)
            result[s] = whole_answer(hostile->pair.process[s]->port, &bytes, &answer[s]);
        bool same = requests[i].differs || (result[0] == result[1] && answer[0].length == answer[1].length &&
                                            memcmp(answer[0].bytes, answer[1].bytes, answer[0].length) == 0);
        end(hostile, same, requests[i].name);
        for (int s = 0; s < 2 && !same; s++) {
            report_note("  %s (%s): %s", hostile->pair.process[s]->name, wire_result_text(result[s]),
                        wire_printable(answer[s].bytes, answer[s].length, 300, &text));
        }
    }
    for (int s = 0; s < 2; s++)
        buffer_free(&answer[s]);
    buffer_free(&bytes);
    buffer_free(&text);
}

/* ---- Large commands and pipelines ---- */

/* The same command with many arguments to both; true when they answer the same. */
static bool many_arguments(struct hostile *hostile, const char *name, int per_key) {
    struct buffer command = {0};
    const char *reply[2];
    size_t length[2];
    buffer_addf(&command, "*%d\r\n", 1 + MANY_ARGS * per_key);
    buffer_add_arg(&command, name, strlen(name));
    for (int i = 0; i < MANY_ARGS; i++) {
        char key[32];
        int n = snprintf(key, sizeof key, "many:%d", i % (MANY_ARGS - 7));
        buffer_add_arg(&command, key, (size_t)n);
        if (per_key == 2)
            buffer_add_arg(&command, key, (size_t)n);
    }
    bool same = true;
    for (int s = 0; s < 2 && same; s++) {
        same = wire_send(&hostile->pair.wire[s], command.bytes, command.length) == WIRE_OK &&
               wire_reply(&hostile->pair.wire[s], &reply[s], &length[s]) == WIRE_OK;
    }
    same = same && length[0] == length[1] && memcmp(reply[0], reply[1], length[0]) == 0;
    buffer_free(&command);
    return same;
}

static void case_many_arguments(struct hostile *hostile) {
    static const struct {
        const char *name;
        int per_key;
    } commands[] = {{"MSET", 2},   {"MGET", 1}, {"EXISTS", 1}, {"TOUCH", 1}, {"PING", 1},
                    {"NOSUCH", 1}, {"DEL", 1},  {"MGET", 1},   {"UNLINK", 1}};
    pair_connect(&hostile->pair, 2);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s with %d keys", commands[i].name, MANY_ARGS);
        begin(hostile);
        end(hostile, many_arguments(hostile, commands[i].name, commands[i].per_key), name);
    }
}

static void case_long_pipeline(struct hostile *hostile) {
    struct wire *wire = &hostile->pair.wire[1];
    struct buffer bytes = {0};
    const char *reply;
    size_t length;
    pair_connect(&hostile->pair, 2);
    begin(hostile);
    for (int i = 0; i < MANY_COMMANDS; i++) {
        char command[64];
        snprintf(command, sizeof command, i % 3 ? "ECHO %d" : "SET pipe:%d %d", i, i);
        buffer_add_words(&bytes, command);
    }
    bool right = wire_send(wire, bytes.bytes, bytes.length) == WIRE_OK;
    for (int i = 0; i < MANY_COMMANDS && right; i++) {
        char expected[64], number[16];
        int digits = snprintf(number, sizeof number, "%d", i);
        snprintf(expected, sizeof expected, i % 3 ? "$%d\r\n%s\r\n" : "+OK\r\n", digits, number);
        right = wire_reply(wire, &reply, &length) == WIRE_OK && length == strlen(expected) &&
                memcmp(reply, expected, length) == 0;
    }
    buffer_free(&bytes);
    end(hostile, right, "pipeline of 100,000 commands");
}

static void case_one_byte(struct hostile *hostile) {
    struct wire *wire = &hostile->pair.wire[1];
    const char bytes[] =
        "*3\r\n$3\r\nSET\r\n$4\r\nslow\r\n$6\r\n\r\n\0\r\nx\r\n*2\r\n$3\r\nGET\r\n$4\r\nslow\r\nGET slow\r\nPING\n";
    const char expected[] = "+OK\r\n$6\r\n\r\n\0\r\nx\r\n$6\r\n\r\n\0\r\nx\r\n+PONG\r\n";
    pair_connect(&hostile->pair, 2);
    begin(hostile);
    bool right = true;
    for (size_t i = 0; i < sizeof bytes - 1; i++) {
        right &= wire_send(wire, bytes + i, 1) == WIRE_OK;
        sleep_s(0.001);
    }
    shutdown(wire->fd, SHUT_WR);
    const char *reply;
    size_t length;
    right = right && wire_drain(wire, &reply, &length) == WIRE_OK && length == sizeof expected - 1 &&
            memcmp(reply, expected, length) == 0;
    end(hostile, right, "one byte at a time");
}

/* ---- Clients that hold on to things ---- */

/* Sends as long as the server takes it, up to `most` bytes, and reads nothing. */
static size_t send_without_reading(int fd, const struct buffer *piece, size_t most) {
    size_t sent = 0, at = 0;
    double idle_since = clock_s();
    while (sent < most && clock_s() - idle_since < 0.7) {
        ssize_t n = send(fd, piece->bytes + at, piece->length - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            sent += (size_t)n;
            at = (at + (size_t)n) % piece->length;
            idle_since = clock_s();
        } else {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            poll(&wait, 1, 50);
            if (wait.revents & (POLLERR | POLLHUP))
                break;
        }
    }
    return sent;
}

static void case_never_reads(struct hostile *hostile) {
    struct buffer value = {0}, gets = {0}, set = {0};
    struct wire wire[4];
    pair_connect(&hostile->pair, 2);
    for (int i = 0; i < 64 * 1024; i++)
        buffer_add(&value, "v", 1);
    buffer_addf(&set, "*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n");
    buffer_add_arg(&set, value.bytes, value.length);
    const char *reply;
    size_t length;
    bool stored = wire_send(&hostile->pair.wire[1], set.bytes, set.length) == WIRE_OK &&
                  wire_reply(&hostile->pair.wire[1], &reply, &length) == WIRE_OK;
    for (int i = 0; i < 1000; i++)
        buffer_add_words(&gets, "GET big");
    begin(hostile);
    size_t sent = 0;
    for (int i = 0; i < 4; i++) {
        if (!wire_open(&wire[i], hostile->server->port))
            report_abort("cannot connect");
        sent += send_without_reading(wire[i].fd, &gets, 4 * MB); /* asks for 11 GB */
    }
    end(hostile, stored && sent > 0, "four clients that never read");
    for (int i = 0; i < 4; i++)
        wire_close(&wire[i]);
    sleep_s(0.2);
    begin(hostile);
    end(hostile, true, "after they have gone");
    buffer_free(&value);
    buffer_free(&gets);
    buffer_free(&set);
}

static void case_promises(struct hostile *hostile, const char *name, const char *bytes) {
    static struct wire wire[200];
    begin(hostile);
    bool sent = true;
    for (int i = 0; i < 200; i++) {
        sent &= wire_open(&wire[i], hostile->server->port);
        sent = sent && wire_send(&wire[i], bytes, strlen(bytes)) == WIRE_OK;
    }
    sleep_s(0.1);
    end(hostile, sent, name);
    for (int i = 0; i < 200; i++)
        wire_close(&wire[i]);
}

static void case_half_commands(struct hostile *hostile) {
    static const char whole[] = "*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$5\r\nvalue\r\n";
    begin(hostile);
    bool opened = true;
    for (int i = 0; i < 1000; i++) {
        struct wire wire;
        opened &= wire_open(&wire, hostile->server->port);
        wire_send(&wire, whole, prng_below(&hostile->prng, sizeof whole - 1));
        if (prng_chance(&hostile->prng, 50)) { /* a reset instead of an orderly end */
            struct linger linger = {.l_onoff = 1, .l_linger = 0};
            setsockopt(wire.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        }
        wire_close(&wire);
    }
    struct wire wire;
    opened = opened && wire_open(&wire, hostile->server->port) && wire_expect(&wire, "GET half", "$-1\r\n");
    wire_close(&wire);
    end(hostile, opened, "1,000 half commands, then closed: none executed");
}

static void case_gone_before_reply(struct hostile *hostile) {
    struct buffer bytes = {0};
    for (int i = 0; i < 500; i++)
        buffer_add_words(&bytes, "INCR gone");
    begin(hostile);
    for (int i = 0; i < 200; i++) {
        struct wire wire;
        if (!wire_open(&wire, hostile->server->port))
            break;
        send(wire.fd, bytes.bytes, bytes.length, MSG_NOSIGNAL);
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        setsockopt(wire.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        wire_close(&wire);
    }
    buffer_free(&bytes);
    end(hostile, true, "200 clients gone before their replies");
}

static void case_random_bytes(struct hostile *hostile) {
    static const char *const starts[] = {"", "*", "*3\r\n$", "*1\r\n$4\r\nPING\r\n", "*2\r\n$3\r\nGET\r\n$10\r\n"};
    begin(hostile);
    for (int i = 0; i < 400; i++) {
        unsigned char bytes[4096];
        struct wire wire;
        size_t length = prng_below(&hostile->prng, sizeof bytes);
        for (size_t b = 0; b < length; b++) {
            uint64_t random = prng_next(&hostile->prng);
            bytes[b] =
                random % 10 < 3 ? (unsigned char)"\r\n*$0123456789\""[random / 16 % 15] : (unsigned char)(random >> 32);
        }
        if (!wire_open(&wire, hostile->server->port))
            break;
        const char *start = starts[i % 5];
        wire_send(&wire, start, strlen(start));
        wire_send(&wire, bytes, length);
        wire_close(&wire);
    }
    end(hostile, true, "random bytes on 400 connections");
}

/* ---- Many connections ---- */

static int count_files(pid_t pid) {
    char path[64];
    int count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *directory = opendir(path);
    while (directory && readdir(directory))
        count++;
    if (directory)
        closedir(directory);
    return count;
}

static void case_connections(struct hostile *hostile) {
    int files = count_files(hostile->server->pid);
    begin(hostile);
    bool opened = true;
    for (int i = 0; i < 5000 && opened; i++) {
        struct wire wire;
        opened = wire_open(&wire, hostile->server->port);
        if (i % 3 == 0)
            opened = opened && wire_expect(&wire, "PING", "+PONG\r\n");
        if (i % 3 == 1)
            wire_send(&wire, "PING\r\n", 6);
        wire_close(&wire);
    }
    double until = clock_s() + ANSWER_S;
    while (count_files(hostile->server->pid) > files && clock_s() < until)
        sleep_s(0.02);
    int after = count_files(hostile->server->pid);
    if (after > files)
        report_note("  %d open files before, %d after", files, after);
    end(hostile, opened && after <= files, "5,000 connections opened and closed");
}

static void case_maxclients(const char *right) {
    char words[256];
    bool fusegate = strncmp(right, "fusegate", 8) == 0;
    snprintf(words, sizeof words, "%s %s", right, fusegate ? "--gateway.maxclients=10" : "--maxclients 10");
    struct hostile hostile = {.server = servers_start_named(words)};
    struct wire wire[10], more;
    const char *reply = "", refusal[] = "-ERR max number of clients reached\r\n";
    size_t length = 0;
    bool opened = true;
    sleep_s(0.2); /* the connection that asked for readiness has gone */
    for (int i = 0; i < 10; i++) {
        opened &= wire_open(&wire[i], hostile.server->port) && wire_expect(&wire[i], "PING", "+PONG\r\n");
    }
    opened &= wire_open(&more, hostile.server->port);
    bool refused = wire_drain(&more, &reply, &length) == WIRE_OK && length == strlen(refusal) &&
                   memcmp(reply, refusal, length) == 0;
    wire_close(&more);
    report_case(opened && refused, "maxclients 10: the eleventh is told and closed");
    bool kept = wire_expect(&wire[0], "PING", "+PONG\r\n");
    for (int i = 0; i < 10; i++)
        wire_close(&wire[i]);
    sleep_s(0.1);
    begin(&hostile);
    end(&hostile, kept, "maxclients 10: the others went on, and new ones may come when they have gone");
}

/* ---- Large values ---- */

static void case_large_value(struct hostile *hostile, size_t bytes) {
    struct wire *wire = &hostile->pair.wire[1];
    struct buffer command = {0}, text = {0};
    char *value = malloc(bytes), name[128];
    const char *reply = "";
    size_t length = 0;
    pair_connect(&hostile->pair, 2);
    bool right = wire_expect(wire, "SET large before", "+OK\r\n");
    pattern_fill(value, bytes, "large", 1);
    buffer_addf(&command, "*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n");
    buffer_add_arg(&command, value, bytes);
    right = right && wire_send(wire, command.bytes, command.length) == WIRE_OK &&
            wire_reply(wire, &reply, &length) == WIRE_OK;
    bool refused = right && *reply == '-';
    wire_printable(reply, length, 150, &text);
    if (refused) {
        right = strncmp(reply, "-ERR ", 5) == 0 && wire_expect(wire, "GET large", "$6\r\nbefore\r\n");
    } else {
        right = right && wire_ask(wire, "GET large", &reply, &length) == WIRE_OK && length > bytes &&
                memcmp(reply + strcspn(reply, "\n") + 1, value, bytes) == 0;
    }
    right = right && wire_expect(wire, "DEL large", ":1\r\n") && wire_expect(wire, "PING", "+PONG\r\n");
    snprintf(name, sizeof name, "value of %zu bytes: %.90s", bytes, text.bytes);
    hostile->rss_before = 0; /* the pool's own pages: not bounded here */
    end(hostile, right, name);
    buffer_free(&command);
    buffer_free(&text);
    free(value);
}

int main(int argc, char **argv) {
    static struct hostile hostile;
    const char *left = "redis", *right = "fusegate";
    hostile.prng.state = prng_fresh_seed();
    for (int option; (option = getopt(argc, argv, "l:r:s:")) != -1;) {
        switch (option) {
        case 'l':
            left = optarg;
            break;
        case 'r':
            right = optarg;
            break;
        case 's':
            hostile.prng.state = strtoull(optarg, NULL, 10);
            break;
        default:
            return 2;
        }
    }
    report_note("seed %llu", (unsigned long long)hostile.prng.state);
    pair_start(&hostile.pair, left, right);
    hostile.server = hostile.pair.process[1];
    case_requests(&hostile);
    case_one_byte(&hostile);
    case_many_arguments(&hostile);
    case_long_pipeline(&hostile);
    case_promises(&hostile, "200 promises of a million arguments", "*1048576\r\n");
    case_promises(&hostile, "200 promises of 512 MB", "*1\r\n$536870912\r\n");
    case_half_commands(&hostile);
    case_gone_before_reply(&hostile);
    case_random_bytes(&hostile);
    case_connections(&hostile);
    case_maxclients(right);
    for (size_t bytes = 65536; bytes <= 64 * MB; bytes *= 4)
        case_large_value(&hostile, bytes);
    case_never_reads(&hostile);
    report_case(process_stop(hostile.server, 15) == 0, "ends with exit code 0 after SIGTERM");
    pair_disconnect(&hostile.pair);
    return report_finish();
}
