/* server.c: what several connections of one gateway, and several gateways, have to do with each other: messages,
 * notifications, MONITOR, CLIENT, users and their limits. Where redis-server has an answer, it is the expected one.
 *
 * server
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "info.h"
#include "pair.h"
#include "report.h"
#include "servers.h"

#define SUBSCRIBERS 24
#define MESSAGES 200
#define WAIT_S 5.0

static struct process *start(const char *options) {
    char words[2048];
    snprintf(words, sizeof words, "fusegate --memserver.memory=64mb %s", options);
    return servers_start_named(words);
}

static void open_or_abort(struct wire *wire, int port) {
    if (!wire_open(wire, port))
        report_abort("cannot connect to port %d", port);
    wire->timeout_s = WAIT_S;
}

static bool next_is(struct wire *wire, const char *expected) {
    const char *bytes;
    size_t length;
    if (wire_reply(wire, &bytes, &length) != WIRE_OK)
        return false;
    bool same = length == strlen(expected) && memcmp(bytes, expected, length) == 0;
    if (!same)
        report_note("  expected %.60s, got %.*s", expected, (int)(length < 200 ? length : 200), bytes);
    return same;
}

static bool send_words(struct wire *wire, const char *words) {
    struct buffer bytes = {0};
    buffer_add_words(&bytes, words);
    bool sent = wire_send(wire, bytes.bytes, bytes.length) == WIRE_OK;
    buffer_free(&bytes);
    return sent;
}

/* The server closes the connection within `seconds`. */
static bool closes(struct wire *wire, double seconds) {
    const char *bytes;
    size_t length;
    wire->timeout_s = seconds;
    return wire_drain(wire, &bytes, &length) != WIRE_TIMEOUT;
}

/* ---- Messages ---- */

static void case_subscribers(void) {
    static struct wire subscriber[SUBSCRIBERS];
    struct process *server = start("--gateway.workers=4");
    struct wire publisher[2];
    bool right = true;
    for (int i = 0; i < SUBSCRIBERS; i++) {
        open_or_abort(&subscriber[i], server->port);
        right &= wire_expect(&subscriber[i], "SUBSCRIBE news", "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    }
    for (int i = 0; i < 2; i++)
        open_or_abort(&publisher[i], server->port);
    char expected[64];
    snprintf(expected, sizeof expected, ":%d\r\n", SUBSCRIBERS);
    for (int i = 0; i < MESSAGES; i++) { /* the second one only publishes when the first has its reply */
        char words[64];
        snprintf(words, sizeof words, "PUBLISH news message%d", i);
        right &= wire_expect(&publisher[i % 2], words, expected);
    }
    for (int s = 0; s < SUBSCRIBERS; s++) {
        for (int i = 0; i < MESSAGES && right; i++) {
            char text[96], body[32];
            int length = snprintf(body, sizeof body, "message%d", i);
            snprintf(text, sizeof text, "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$%d\r\n%s\r\n", length, body);
            right &= next_is(&subscriber[s], text);
        }
        wire_close(&subscriber[s]);
    }
    report_case(right, "%d subscribers of 4 workers get %d messages of two publishers in order", SUBSCRIBERS, MESSAGES);
    sleep_s(0.2);
    report_case(wire_expect(&publisher[0], "PUBLISH news x", ":0\r\n") &&
                    wire_expect(&publisher[0], "PUBSUB CHANNELS", "*0\r\n"),
                "who has gone is no subscriber any more");
    process_stop(server, SIGTERM);
}

/* A message must not stand inside of another reply. */
static void case_push(void) {
    struct process *server = start("--gateway.workers=2");
    struct wire three, other;
    const char *bytes;
    size_t length;
    open_or_abort(&three, server->port);
    open_or_abort(&other, server->port);
    wire_ask(&three, "HELLO 3", &bytes, &length);
    bool right = wire_expect(&three, "SUBSCRIBE me", ">3\r\n$9\r\nsubscribe\r\n$2\r\nme\r\n:1\r\n");
    right &= send_words(&three, "PUBLISH me hello");
    right &= next_is(&three, ">3\r\n$7\r\nmessage\r\n$2\r\nme\r\n$5\r\nhello\r\n") && next_is(&three, ":1\r\n");
    report_case(right, "RESP3: one's own message comes before the reply to PUBLISH");
    struct buffer many = {0};
    for (int i = 0; i < 2000; i++)
        buffer_add_words(&many, "MGET a b c d e f g h");
    wire_send(&three, many.bytes, many.length);
    for (int i = 0; i < 500; i++)
        right &= send_words(&other, "PUBLISH me in-between");
    int replies = 0, messages = 0;
    while (replies < 2000 || messages < 500) {
        if (wire_reply(&three, &bytes, &length) != WIRE_OK)
            break;
        if (length == 44 && memcmp(bytes, "*8\r\n_\r\n", 7) == 0)
            replies++;
        replies += length == 28 && memcmp(bytes, "*8\r\n_\r\n", 7) == 0;
        messages += bytes[0] == '>';
    }
    report_case(replies == 2000 && messages == 500, "RESP3: %d replies and %d messages, none inside of another",
                replies, messages);
    buffer_free(&many);
    wire_close(&three);
    wire_close(&other);
    process_stop(server, SIGTERM);
}

static bool wait_number(int port, const char *field, double wanted) {
    for (double until = clock_s() + 10; clock_s() < until; sleep_s(0.05)) {
        if (info_number(port, field) == wanted)
            return true;
    }
    return false;
}

static void case_gateways(void) {
    int bus[3] = {process_free_port(), process_free_port(), process_free_port()};
    struct process *gateway[3];
    struct wire wire[3];
    char options[512];
    for (int i = 0; i < 3; i++) {
        snprintf(options, sizeof options,
                 "--gateway.bus_port=%d --gateway.peers=127.0.0.1:%d,localhost:%d --gateway.peers_secret=%s", bus[i],
                 bus[(i + 1) % 3], bus[(i + 2) % 3], "common");
        gateway[i] = start(options);
    }
    bool right = true;
    for (int i = 0; i < 3; i++) {
        right &= wait_number(gateway[i]->port, "bus_peers_connected", 2);
        open_or_abort(&wire[i], gateway[i]->port);
    }
    right &= wire_expect(&wire[1], "SUBSCRIBE c", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    right &= wire_expect(&wire[2], "PSUBSCRIBE c*", "*3\r\n$10\r\npsubscribe\r\n$2\r\nc*\r\n:1\r\n");
    right &= wire_expect(&wire[0], "PUBLISH c hello", ":0\r\n");
    right &= next_is(&wire[1], "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n");
    right &= next_is(&wire[2], "*4\r\n$8\r\npmessage\r\n$2\r\nc*\r\n$1\r\nc\r\n$5\r\nhello\r\n");
    report_case(right, "three gateways: what is published at one reaches the others");

    snprintf(options, sizeof options, "--gateway.peers=127.0.0.1:%d --gateway.peers_secret=other", bus[0]);
    struct process *stranger = start(options);
    right = wait_number(gateway[0]->port, "bus_links_refused", 1);
    struct wire strange;
    open_or_abort(&strange, stranger->port);
    right &= wire_expect(&strange, "PUBLISH c intruder", ":0\r\n") && wire_expect(&wire[0], "PUBLISH c next", ":0\r\n");
    right &= next_is(&wire[1], "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\nnext\r\n");
    right &= info_number(stranger->port, "bus_peers_connected") == 0;
    report_case(right, "a gateway with another secret is refused");
    process_stop(stranger, SIGTERM);

    process_stop(gateway[0], SIGKILL);
    right = wait_number(gateway[1]->port, "bus_peers_connected", 1);
    snprintf(options, sizeof options,
             "--gateway.bus_port=%d --gateway.peers=127.0.0.1:%d,localhost:%d --gateway.peers_secret=common", bus[0],
             bus[1], bus[2]);
    gateway[0] = start(options);
    right &= wait_number(gateway[1]->port, "bus_peers_connected", 2) &&
             wait_number(gateway[0]->port, "bus_peers_connected", 2);
    wire_close(&wire[0]);
    open_or_abort(&wire[0], gateway[0]->port);
    right &= wire_expect(&wire[0], "PUBLISH c again", ":0\r\n");
    right &= next_is(&wire[1], "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nagain\r\n");
    report_case(right, "a gateway that was killed and started again is part of it again");
    for (int i = 0; i < 3; i++) {
        wire_close(&wire[i]);
        process_stop(gateway[i], SIGTERM);
    }
}

/* What arrives in a moment at both must be the same. */
static bool same_arrives(struct wire wire[2], size_t least) {
    const char *bytes[2];
    size_t length[2];
    for (int i = 0; i < 2; i++) {
        wire[i].timeout_s = 0.15;
        wire_drain(&wire[i], &bytes[i], &length[i]);
    }
    if (length[0] >= least && length[0] == length[1] && memcmp(bytes[0], bytes[1], length[0]) == 0)
        return true;
    for (int i = 0; i < 2; i++)
        report_note("  %.*s", (int)(length[i] < 400 ? length[i] : 400), bytes[i]);
    return false;
}

static const char *const notified[] = {
    "SET k v",
    "SET k v EX 100",
    "SET k v NX",
    "SET n v NX GET",
    "SET n v XX GET",
    "SET gone v XX",
    "SET k v GET KEEPTTL",
    "SETNX k v",
    "SETNX new v",
    "SETEX k 10 v",
    "PSETEX k 9999 v",
    "GETSET k v",
    "MSET a 1 b 2",
    "APPEND k x",
    "INCR c",
    "DECR c",
    "INCRBY c 5",
    "DECRBY c 2",
    "INCRBYFLOAT c 1.5",
    "INCR k",
    "GETEX k EX 5",
    "GETEX k",
    "GETEX nosuch EX 5",
    "GETDEL k",
    "GETDEL k",
    "DEL a nosuch b",
    "DEL nosuch",
    "UNLINK new n",
    "SET e v",
    "EXPIRE e 100",
    "EXPIRE nosuch 1",
    "PERSIST e",
    "PERSIST e",
    "PEXPIRE e 99999",
    "EXPIREAT e 1",
    "SET e v",
    "PEXPIREAT e 99999999999999",
    "SETRANGE e 1 abc",
    "SETBIT e 7 1",
    "PFADD h a",
    "PFADD h a",
    "PFMERGE h2 h",
    "BITOP AND d e e",
    "GET e",
    "DEL e h h2 d c",
    "MSET a 1 b 2",
    "DEL a a nosuch b a",
    "UNLINK nosuch a",
    "SET a 1",
    "COPY a b",
    "COPY a b",
    "COPY a b REPLACE",
    "COPY a c DB 3",
    "COPY a c DB 3",
    "COPY a c REPLACE DB 3",
    "COPY nosuch c",
    "COPY a a",
    "COPY a a DB 4",
    "RENAME a b",
    "RENAME b b",
    "RENAMENX b b",
    "RENAME nosuch b",
    "RENAMENX b c",
    "SET b 1",
    "RENAMENX b c",
    "MOVE c 3",
    "MOVE b 3",
    "MOVE nosuch 3",
    "MOVE b 99",
    "MSETNX m 1 n 2",
    "MSETNX m 1 o 2",
    "MULTI",
    "SET a 1",
    "COPY a b REPLACE",
    "MOVE a 5",
    "DEL b m m nosuch",
    "RENAME n n",
    "RENAME n n2",
    "EXEC",
    "MULTI",
    "DEL n2",
    "DISCARD",
    "SELECT 3",
    "DEL b c",
    "SELECT 0",
};

static void case_notifications(void) {
    static const char *const modes[] = {"KEA", "E$", "Kg", ""};
    struct pair pair;
    struct wire listener[2];
    const char *bytes;
    size_t length;
    pair_start(&pair, "redis", "fusegate --memserver.memory=64mb --gateway.workers=2");
    for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
        bool right = true;
        pair_connect(&pair, 2);
        for (int i = 0; i < 2; i++) {
            char words[64];
            open_or_abort(&listener[i], pair.process[i]->port);
            struct buffer set = {0};
            buffer_addf(&set, "*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$22\r\nnotify-keyspace-events\r\n");
            buffer_add_arg(&set, modes[m], strlen(modes[m]));
            right &= wire_send(&pair.wire[i], set.bytes, set.length) == WIRE_OK && next_is(&pair.wire[i], "+OK\r\n");
            buffer_free(&set);
            snprintf(words, sizeof words, "PSUBSCRIBE __key*");
            right &= wire_ask(&listener[i], words, &bytes, &length) == WIRE_OK;
        }
        for (size_t c = 0; c < sizeof notified / sizeof *notified; c++) {
            for (int i = 0; i < 2; i++)
                wire_ask(&pair.wire[i], notified[c], &bytes, &length);
        }
        report_case(same_arrives(listener, m == 3 ? 0 : 1000) && right, "keyspace notifications \"%s\" of %zu commands",
                    modes[m], sizeof notified / sizeof *notified);
        for (int i = 0; i < 2; i++)
            wire_close(&listener[i]);
    }
    pair_disconnect(&pair);
}

/* ---- Connections ---- */

static void case_replies(void) {
    static const char *const commands[] = {
        "SET r 1",           "CLIENT REPLY SKIP", "SET r 2", "GET r",           "CLIENT REPLY OFF",
        "SET r 3",           "CLIENT REPLY SKIP", "GET r",   "CLIENT REPLY ON", "GET r",
        "CLIENT REPLY SKIP", "CLIENT REPLY ON",   "GET r",   "CLIENT REPLY x",  "DEL r"};
    struct pair pair;
    pair_start(&pair, "redis", "fusegate --memserver.memory=64mb");
    pair_connect(&pair, 2);
    for (int i = 0; i < 2; i++) {
        for (size_t c = 0; c < sizeof commands / sizeof *commands; c++)
            send_words(&pair.wire[i], commands[c]);
    }
    report_case(same_arrives(pair.wire, 20), "CLIENT REPLY ON, OFF and SKIP");
    pair_disconnect(&pair);
}

static void case_client(void) {
    struct process *server = start("--gateway.workers=3 --gateway.timeout=0");
    struct wire wire[6], admin;
    const char *bytes;
    size_t length;
    char words[128];
    long id[6];
    open_or_abort(&admin, server->port);
    for (int i = 0; i < 6; i++) {
        open_or_abort(&wire[i], server->port);
        wire_ask(&wire[i], "CLIENT ID", &bytes, &length);
        id[i] = atol(bytes + 1);
    }
    snprintf(words, sizeof words, "CLIENT KILL ID %ld", id[0]);
    bool right = wire_expect(&admin, words, ":1\r\n") && closes(&wire[0], WAIT_S);
    wire_ask(&wire[1], "SUBSCRIBE x", &bytes, &length);
    right &= wire_expect(&admin, "CLIENT KILL TYPE pubsub", ":1\r\n") && closes(&wire[1], WAIT_S);
    wire_ask(&admin, "ACL SETUSER u on nopass ~* &* +@all", &bytes, &length);
    right &= wire_expect(&wire[2], "AUTH u x", "+OK\r\n") && wire_expect(&wire[3], "AUTH u x", "+OK\r\n");
    right &=
        wire_expect(&admin, "CLIENT KILL USER u", ":2\r\n") && closes(&wire[2], WAIT_S) && closes(&wire[3], WAIT_S);
    report_case(right, "CLIENT KILL by id, type and user reaches other workers' connections");
    right = wire_expect(&wire[4], "AUTH u x", "+OK\r\n") && wire_expect(&admin, "ACL DELUSER u", ":1\r\n");
    report_case(right && closes(&wire[4], WAIT_S) && wire_expect(&wire[5], "PING", "+PONG\r\n"),
                "the connections of a deleted user are closed, others not");
    wire_ask(&admin, "ACL SETUSER s on nopass +@all &a", &bytes, &length);
    right =
        wire_expect(&wire[5], "AUTH s x", "+OK\r\n") && wire_ask(&wire[5], "SUBSCRIBE a", &bytes, &length) == WIRE_OK;
    right &= wire_expect(&admin, "ACL SETUSER s resetchannels", "+OK\r\n");
    report_case(right && closes(&wire[5], WAIT_S), "a subscriber that loses its channel is closed");
    for (int i = 0; i < 6; i++)
        wire_close(&wire[i]);

    open_or_abort(&wire[0], server->port);
    right = wire_expect(&admin, "CLIENT PAUSE 60000 WRITE", "+OK\r\n") && wire_expect(&wire[0], "GET p", "$-1\r\n");
    double before = clock_s();
    right &= send_words(&wire[0], "SET p 1");
    wire[0].timeout_s = 0.3;
    right &= wire_reply(&wire[0], &bytes, &length) == WIRE_TIMEOUT;
    wire[0].timeout_s = WAIT_S;
    right &= wire_expect(&admin, "CLIENT UNPAUSE", "+OK\r\n") && next_is(&wire[0], "+OK\r\n");
    report_case(right && clock_s() - before < 3, "CLIENT PAUSE WRITE holds back a write until CLIENT UNPAUSE");
    right = wire_expect(&admin, "CLIENT PAUSE 300", "+OK\r\n");
    before = clock_s();
    right &= wire_expect(&wire[0], "GET p", "$1\r\n1\r\n") && clock_s() - before > 0.2;
    report_case(right, "CLIENT PAUSE holds back everything for its time");
    wire_close(&wire[0]);
    wire_close(&admin);
    process_stop(server, SIGTERM);
}

static void case_monitor(void) {
    struct process *server = start("--gateway.workers=3");
    struct wire monitor, wire[4];
    const char *bytes;
    size_t length;
    open_or_abort(&monitor, server->port);
    bool right = wire_expect(&monitor, "MONITOR", "+OK\r\n");
    for (int i = 0; i < 4; i++) {
        open_or_abort(&wire[i], server->port);
        wire_ask(&wire[i], "SET mon:k \"x\\n", &bytes, &length);
        wire_ask(&wire[i], "AUTH default topsecret", &bytes, &length);
        wire_ask(&wire[i], "HELLO 2 AUTH default topsecret", &bytes, &length);
        wire_ask(&wire[i], "CONFIG GET port", &bytes, &length);
    }
    monitor.timeout_s = 0.5;
    wire_drain(&monitor, &bytes, &length);
    char *text = strndup(bytes, length);
    int sets = 0, redacted = 0;
    for (const char *at = text; (at = strstr(at, "\"SET\" \"mon:k\" \"\\\"x\\\\n\"")) != NULL; at++)
        sets++;
    for (const char *at = text; (at = strstr(at, "(redacted)")) != NULL; at++)
        redacted++;
    right &= sets == 4 && redacted == 16 && !strstr(text, "topsecret") && !strstr(text, "CONFIG");
    report_case(right, "MONITOR shows commands of all workers (%d of 4), no passwords (%d of 16 redacted)", sets,
                redacted);
    free(text);
    wire_close(&monitor);
    right = wait_number(server->port, "monitor_clients", 0);
    report_case(right, "a monitor that has gone is not counted");
    for (int i = 0; i < 4; i++)
        wire_close(&wire[i]);
    process_stop(server, SIGTERM);
}

/* ---- Users ---- */

static void case_acl_file(void) {
    char path[300], options[800], command[900];
    snprintf(path, sizeof path, "%s/users.acl", process_directory());
    FILE *file = fopen(path, "w");
    fputs("# users\nuser default off\nuser app on >pw ~app:* +@string (~s* +get)\nuser admin on >root ~* &* +@all\n",
          file);
    fclose(file);
    snprintf(options, sizeof options, "--gateway.aclfile=%s", path);
    struct process *server = start(options);
    struct wire wire;
    open_or_abort(&wire, server->port);
    bool right = wire_expect(&wire, "PING", "-NOAUTH Authentication required.\r\n") &&
                 wire_expect(&wire, "AUTH app pw", "+OK\r\n") && wire_expect(&wire, "SET app:k v", "+OK\r\n");
    report_case(right && wire_expect(&wire, "AUTH admin root", "+OK\r\n"), "users of an ACL file");
    right = wire_expect(&wire, "ACL SETUSER more on >x ~m* +get", "+OK\r\n") &&
            wire_expect(&wire, "ACL SAVE", "+OK\r\n") && wire_expect(&wire, "ACL DELUSER more", ":1\r\n") &&
            wire_expect(&wire, "ACL LOAD", "+OK\r\n") && wire_expect(&wire, "AUTH more x", "+OK\r\n");
    report_case(right, "ACL SAVE and ACL LOAD");
    snprintf(command, sizeof command, "echo 'user bad +nosuch' >> %s", path);
    right = system(command) == 0 && wire_expect(&wire, "AUTH admin root", "+OK\r\n");
    const char *bytes;
    size_t length;
    wire_ask(&wire, "ACL LOAD", &bytes, &length);
    right &= bytes[0] == '-' && memmem(bytes, length, "users.acl:", 10) != NULL;
    report_case(right && wire_expect(&wire, "AUTH more x", "+OK\r\n"), "a file with a wrong line changes nothing");
    wire_close(&wire);
    process_stop(server, SIGTERM);
}

static void case_before_password(void) {
    struct process *server = start("--gateway.requirepass=secret --gateway.unauthenticated_timeout=2");
    struct wire wire, idle, known;
    struct buffer flood = {0};
    open_or_abort(&idle, server->port);
    open_or_abort(&known, server->port);
    bool right = wire_expect(&known, "AUTH secret", "+OK\r\n");
    report_case(right && closes(&idle, 6) && wire_expect(&known, "PING", "+PONG\r\n"),
                "who sends no password in time is closed, others not");
    open_or_abort(&wire, server->port);
    for (int i = 0; i < 20000; i++)
        buffer_add(&flood, "SET nokey aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ", 50);
    wire_send(&wire, flood.bytes, flood.length);
    report_case(closes(&wire, 5), "a long line without a password is closed");
    wire_close(&wire);
    buffer_clear(&flood);
    open_or_abort(&wire, server->port);
    buffer_add_words(&flood, "AUTH secret");
    buffer_addf(&flood, "*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$100000\r\n");
    for (int i = 0; i < 100000; i++)
        buffer_add(&flood, "x", 1);
    buffer_addf(&flood, "\r\n");
    right = wire_send(&wire, flood.bytes, flood.length) == WIRE_OK && next_is(&wire, "+OK\r\n") &&
            next_is(&wire, "+OK\r\n");
    report_case(right, "AUTH and a large command behind it in one piece");
    buffer_free(&flood);
    wire_close(&wire);
    process_stop(server, SIGTERM);
}

/* An address of this machine that is not the loopback interface's; false: there is none. */
static bool other_address(char out[INET_ADDRSTRLEN]) {
    struct ifaddrs *all, *each;
    bool found = false;
    if (getifaddrs(&all) != 0)
        return false;
    for (each = all; each && !found; each = each->ifa_next) {
        if (each->ifa_addr && each->ifa_addr->sa_family == AF_INET && !(each->ifa_flags & IFF_LOOPBACK)) {
            const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)each->ifa_addr;
            found = inet_ntop(AF_INET, &in->sin_addr, out, INET_ADDRSTRLEN) != NULL;
        }
    }
    freeifaddrs(all);
    return found;
}

static bool denied_at(const char *address, int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    char answer[1024] = "";
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    inet_pton(AF_INET, address, &to.sin_addr);
    bool denied = false;
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && write(fd, "PING\r\n", 6) == 6) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        poll(&wait, 1, 3000);
        denied = read(fd, answer, sizeof answer - 1) > 0 && strncmp(answer, "-DENIED ", 8) == 0;
    }
    close(fd);
    return denied;
}

static void case_protected(void) {
    char address[INET_ADDRSTRLEN];
    struct pair pair;
    if (!other_address(address)) {
        report_note("this machine has only the loopback interface: protected mode is left to the unit tests");
        return;
    }
    pair_start(&pair, "redis --bind 0.0.0.0", "fusegate --memserver.memory=64mb --gateway.bind=0.0.0.0");
    int redis = pair.process[0]->port, fusegate = pair.process[1]->port;
    report_case(denied_at(address, redis) && denied_at(address, fusegate) && !denied_at("127.0.0.1", fusegate),
                "protected mode refuses %s and not 127.0.0.1", address);
    struct wire wire;
    open_or_abort(&wire, fusegate);
    bool right = wire_expect(&wire, "ACL SETUSER default >pw", "+OK\r\n") && !denied_at(address, fusegate);
    right &= wire_expect(&wire, "CONFIG SET requirepass \"\"", "+OK\r\n") || true;
    report_case(right, "with a password it lets in");
    wire_close(&wire);
    pair_disconnect(&pair);
}

int main(void) {
    case_subscribers();
    case_push();
    case_gateways();
    case_notifications();
    case_replies();
    case_client();
    case_monitor();
    case_acl_file();
    case_before_password();
    case_protected();
    return report_finish();
}
