/* test_memserver.c: the program fusegate-memserver as a process: its control socket, its configuration, its end. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "control.h"
#include "fabric/control.h"
#include "memserver_process.h"
#include "setting.h"

static char path[100];
static struct memserver_process node;

static int node_start(void **state) {
    (void)state;
    snprintf(path, sizeof path, "%s", memserver_path("node.sock"));
    memserver_start_ready(&node, path, "2mb");
    return 0;
}

static int node_stop(void **state) {
    (void)state;
    return memserver_end(&node, SIGTERM);
}

static int peer_open(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    const struct timeval limit = {.tv_sec = 10};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static struct control_head head_of(uint16_t type) {
    return (struct control_head){CONTROL_MAGIC, CONTROL_VERSION, type, sizeof(struct control_head), 0};
}

static void send_bytes(int fd, const void *bytes, size_t length) {
    assert_int_equal(send(fd, bytes, length, MSG_NOSIGNAL), length);
}

static struct control_status_reply status_ask(int fd) {
    struct control_status_reply reply;
    const struct control_head ask = head_of(CONTROL_STATUS);
    send_bytes(fd, &ask, sizeof ask);
    assert_int_equal(recv(fd, &reply, sizeof reply, 0), sizeof reply);
    assert_int_equal(reply.head.type, CONTROL_STATUS_REPLY);
    return reply;
}

/* The peer is told this error and closed. */
static void expect_rejected(int fd, uint32_t code, const char *words) {
    struct control_error reply;
    ssize_t got = recv(fd, &reply, sizeof reply, 0);
    if (got < 0 && errno == ECONNRESET) /* closed with our packet unread; what it wrote before comes next */
        got = recv(fd, &reply, sizeof reply, 0);
    assert_int_equal(got, sizeof reply);
    assert_int_equal(reply.head.type, CONTROL_ERROR);
    assert_int_equal(reply.code, code);
    if (!strstr(reply.text, words))
        fail_msg("expected '%s' in: %s", words, reply.text);
    assert_int_equal(recv(fd, &reply, sizeof reply, 0), 0);
    close(fd);
}

static void hello_brings_the_memory(void **state) {
    (void)state;
    int fd = peer_open();
    const struct control_head hello = head_of(CONTROL_HELLO);
    send_bytes(fd, &hello, sizeof hello);
    struct control_hello_reply reply;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } ancillary;
    struct iovec part = {&reply, sizeof reply};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &ancillary, .msg_controllen = sizeof ancillary};
    assert_int_equal(recvmsg(fd, &message, 0), sizeof reply);
    assert_int_equal(reply.head.version, CONTROL_VERSION);
    assert_int_equal(reply.memory_bytes, 2 << 20);
    assert_int_equal(reply.pid, node.pid);
    struct cmsghdr *item = CMSG_FIRSTHDR(&message);
    assert_non_null(item);
    int memory_fd;
    memcpy(&memory_fd, CMSG_DATA(item), sizeof memory_fd);
    struct stat file;
    assert_int_equal(fstat(memory_fd, &file), 0);
    assert_int_equal(file.st_size, 2 << 20);
    assert_int_equal(status_ask(fd).clients, 1);
    close(memory_fd);
    close(fd);
    char line[64];
    snprintf(line, sizeof line, "client disconnected: pid %ld, 0 left", (long)getpid());
    assert_true(memserver_log_wait(&node, line));
}

static void status_counts_connections(void **state) {
    (void)state;
    int first = peer_open();
    int second = peer_open();
    struct control_status_reply reply = status_ask(second);
    assert_int_equal(reply.connections, 2);
    assert_int_equal(reply.connections_max, CONTROL_CONNECTIONS_MAX);
    assert_int_equal(reply.clients, 0);
    assert_int_equal(reply.memory_bytes, 2 << 20);
    close(first);
    close(second);
}

static void another_protocol_version_is_refused_naming_both(void **state) {
    (void)state;
    int fd = peer_open();
    struct control_head hello = head_of(CONTROL_HELLO);
    hello.version = 77;
    send_bytes(fd, &hello, sizeof hello);
    char words[128];
    snprintf(words, sizeof words, "version %u is spoken here, the client speaks version 77", CONTROL_VERSION);
    expect_rejected(fd, CONTROL_ERROR_VERSION, words);
    assert_true(memserver_log_wait(&node, words));
}

static void garbage_closes_only_the_connection_that_sent_it(void **state) {
    (void)state;
    int bystander = peer_open();
    assert_int_equal(status_ask(bystander).connections, 1);
    int fd = peer_open();
    send_bytes(fd, "GET / HTTP/1.1\r\n\r\n", 18);
    expect_rejected(fd, CONTROL_ERROR_MESSAGE, "not of the control protocol");
    fd = peer_open();
    send_bytes(fd, "x", 1);
    expect_rejected(fd, CONTROL_ERROR_MESSAGE, "1 bytes");
    struct control_head head = head_of(CONTROL_HELLO);
    head.length = 4000;
    fd = peer_open();
    send_bytes(fd, &head, sizeof head);
    expect_rejected(fd, CONTROL_ERROR_MESSAGE, "not of the control protocol");
    head = head_of(999);
    fd = peer_open();
    send_bytes(fd, &head, sizeof head);
    expect_rejected(fd, CONTROL_ERROR_MESSAGE, "type 999");
    static char large[CONTROL_MESSAGE_BYTES_MAX + 1];
    fd = peer_open();
    send_bytes(fd, large, sizeof large);
    expect_rejected(fd, CONTROL_ERROR_MESSAGE, "257 bytes; the most is 256");
    static char huge[100000];
    fd = peer_open();
    send_bytes(fd, huge, sizeof huge);
    expect_rejected(fd, CONTROL_ERROR_MESSAGE, "100000 bytes");
    assert_int_equal(status_ask(bystander).connections, 1);
    close(bystander);
}

static void a_peer_that_does_not_read_is_closed(void **state) {
    (void)state;
    int fd = peer_open();
    const struct control_head ask = head_of(CONTROL_STATUS);
    int sent = 0;
    while (sent < 100000 && send(fd, &ask, sizeof ask, MSG_NOSIGNAL) == (ssize_t)sizeof ask)
        sent++;
    assert_true(sent < 100000);
    assert_true(memserver_log_wait(&node, "does not read its answers"));
    close(fd);
    fd = peer_open();
    assert_int_equal(status_ask(fd).connections, 1);
    close(fd);
}

static void connections_are_bounded_and_the_refusal_says_so(void **state) {
    (void)state;
    static int fds[CONTROL_CONNECTIONS_MAX];
    const struct rlimit limit = {CONTROL_CONNECTIONS_MAX + 64, CONTROL_CONNECTIONS_MAX + 64};
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    if (old.rlim_cur < limit.rlim_cur)
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){limit.rlim_cur, old.rlim_max}), 0);
    for (unsigned i = 0; i < CONTROL_CONNECTIONS_MAX; i++)
        fds[i] = peer_open();
    expect_rejected(peer_open(), CONTROL_ERROR_FULL, "too many connections (1024");
    expect_rejected(peer_open(), CONTROL_ERROR_FULL, "too many connections (1024");
    assert_int_equal(status_ask(fds[7]).connections, CONTROL_CONNECTIONS_MAX);
    close(fds[0]);
    for (int tries = 0; status_ask(fds[7]).connections == CONTROL_CONNECTIONS_MAX && tries < 1000; tries++)
        usleep(1000);
    fds[0] = peer_open(); /* room again */
    assert_int_equal(status_ask(fds[0]).connections, CONTROL_CONNECTIONS_MAX);
    for (unsigned i = 0; i < CONTROL_CONNECTIONS_MAX; i++)
        close(fds[i]);
    assert_true(memserver_log_wait(&node, "refusing the connection"));
    const char *first = strstr(node.text, "refusing the connection");
    assert_null(strstr(first + 1, "refusing the connection")); /* one line for all that are refused in a row */
}

static void the_socket_is_the_owners_only(void **state) {
    (void)state;
    struct stat file;
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
}

/* ---- Start and end ---------------------------------------------------------------------------------------------- */

static void a_signal_ends_it_with_0_and_removes_the_socket(void **state) {
    (void)state;
    static const int signals[] = {SIGTERM, SIGINT};
    for (int i = 0; i < 2; i++) {
        node_start(NULL);
        int fd = peer_open();
        assert_int_equal(memserver_end(&node, signals[i]), 0);
        assert_int_not_equal(access(path, F_OK), 0);
        close(fd);
    }
}

static void expect_exit_1(const char *const *arguments, const char *words) {
    struct memserver_process process;
    memserver_start(&process, arguments);
    int code = memserver_wait(&process);
    if (code != 1 || !strstr(process.text, words))
        fail_msg("exit code %d, expected 1 and '%s' in: %s", code, words, process.text);
}

static void a_socket_left_by_a_dead_node_is_replaced_and_one_in_use_is_not(void **state) {
    (void)state;
    node_start(NULL);
    char listen[160], words[64];
    snprintf(listen, sizeof listen, "--memserver.listen=unix:%s", path);
    snprintf(words, sizeof words, "address in use by pid %ld", (long)node.pid);
    const char *const arguments[] = {listen, "--memserver.memory=1mb", NULL};
    expect_exit_1(arguments, words);
    assert_int_equal(access(path, F_OK), 0); /* the living node keeps its socket */
    assert_int_equal(memserver_end(&node, SIGKILL), -SIGKILL);
    assert_int_equal(access(path, F_OK), 0);
    node_start(NULL);
    int fd = peer_open();
    assert_int_equal(status_ask(fd).pid, node.pid);
    close(fd);
    assert_int_equal(memserver_end(&node, SIGTERM), 0);
    int file = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(file >= 0);
    close(file);
    expect_exit_1(arguments, "not a socket");
    assert_int_equal(access(path, F_OK), 0); /* somebody's file is not removed */
    unlink(path);
    const char *const nowhere[] = {"--memserver.listen=/nonexistent/folder/x.sock", "--memserver.memory=1mb", NULL};
    expect_exit_1(nowhere, "cannot open its folder");
}

static void what_the_machine_does_not_have_is_refused_at_start(void **state) {
    (void)state;
    const char *const large[] = {"--memserver.memory=30tb", NULL};
    expect_exit_1(large, "ask for less");
    const char *const numa[] = {"--memserver.numa_node=1000", "--memserver.memory=1mb", NULL};
    expect_exit_1(numa, "NUMA node 1000");
}

static void bad_arguments_are_named_with_what_is_allowed(void **state) {
    (void)state;
    static const struct {
        const char *argument, *words;
    } bad[] = {
        {"--memserver.memory=1", "1mb to 65536gb"},
        {"--memserver.memory=12potatoes", "invalid value '12potatoes'"},
        {"--memserver.memory=99999999999gb", "allowed"},
        {"--memserver.memory=-5mb", "allowed"},
        {"--memserver.numa_node=-2", "0 to 1023"},
        {"--memserver.numa_node=1x", "0 to 1023"},
        {"--memserver.log_level=loud", "debug, verbose"},
        {"--memserver.listen=", "path of a Unix socket"},
        {"--memserver.listne=/tmp/x", "unknown key"},
        {"--memsrever.listen=/tmp/x", "unknown section [memsrever]"},
        {"--nonsense", "--section.key=value"},
        {"/nonexistent.conf", "cannot read it"},
        {"/tmp", "cannot read it"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *const arguments[] = {bad[i].argument, NULL};
        expect_exit_1(arguments, bad[i].words);
    }
}

static const char *file_write(const char *text) {
    const char *name = memserver_path("test.conf");
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return name;
}

static void bad_lines_are_named_with_file_and_number(void **state) {
    (void)state;
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"[memserver]\n\n# note\nmemory = 3\n", "test.conf:4: memserver.memory: invalid value '3'"},
        {"[memserver]\nmemory = 1mb\n  numa_node = 5000\n", "test.conf:3: memserver.numa_node"},
        {"[memserver]\nmemroy = 1gb\nmemory = 3\n", "test.conf:2: unknown key memserver.memroy"},
        {"[gateway]\nport = 1\n[poool]\nx = 1\n", "test.conf:4: unknown section [poool]"},
        {"[memserver]\nlisten\n", "test.conf:2: neither"},
        {"memory = 1gb\n", "test.conf:1: unknown section []"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *const arguments[] = {file_write(bad[i].text), NULL};
        expect_exit_1(arguments, bad[i].words);
    }
    char text[600] = "[memserver]\nlisten = ";
    memset(text + strlen(text), 'y', 400);
    const char *const arguments[] = {file_write(text), NULL};
    expect_exit_1(arguments, "test.conf:2: memserver.listen: the line is too long");
}

static void one_file_serves_gateway_and_memory_node(void **state) {
    (void)state;
    char text[1024];
    snprintf(path, sizeof path, "%s", memserver_path("file.sock"));
    int used = snprintf(text, sizeof text, "[gateway]\nport = nonsense\n[pool]\nmemservers = ");
    memset(text + used, 'z', 400);
    snprintf(text + used + 400, sizeof text - (size_t)used - 400,
             "\n[memserver]\n  listen = unix:%s\n\tmemory = 3MB\nlog_level = notice\n", path);
    const char *const arguments[] = {file_write(text), "--memserver.memory=1mb", NULL};
    memserver_start(&node, arguments);
    assert_true(memserver_log_wait(&node, "ready"));
    int fd = peer_open();
    assert_int_equal(status_ask(fd).memory_bytes, 1 << 20); /* the command line wins */
    close(fd);
    assert_int_equal(memserver_end(&node, SIGTERM), 0);
}

static void help_and_version_end_with_0(void **state) {
    (void)state;
    const char *const help[] = {"--help", NULL};
    const char *const version[] = {"--version", NULL};
    struct memserver_process process;
    memserver_start(&process, help);
    assert_int_equal(memserver_wait(&process), 0);
    memserver_start(&process, version);
    assert_int_equal(memserver_wait(&process), 0);
}

static void it_sleeps_when_nobody_talks(void **state) {
    (void)state;
    node_start(NULL);
    int fd = peer_open();
    assert_int_equal(status_ask(fd).connections, 1);
    usleep(500000);
    assert_int_equal(kill(node.pid, SIGTERM), 0);
    while (memserver_log_wait(&node, "no such line"))
        continue;
    struct rusage usage;
    int status;
    assert_int_equal(wait4(node.pid, &status, 0, &usage), node.pid);
    close(node.log);
    close(fd);
    const long us =
        usage.ru_utime.tv_usec + usage.ru_stime.tv_usec + 1000000 * (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec);
    assert_true(us < 300000); /* start and end included; a spinning one would have used the half second */
    assert_true(usage.ru_nvcsw < 100);
}

/* ---- Settings --------------------------------------------------------------------------------------------------- */

static void sizes_are_read_strictly(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},
                {"17", 17},
                {"5b", 5},
                {"1kb", 1024},
                {"3MB", 3 << 20},
                {"2Gb", UINT64_C(2) << 30},
                {"1tb", UINT64_C(1) << 40},
                {"18446744073709551615", UINT64_MAX}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        uint64_t bytes = 99;
        assert_true(setting_size_parse(good[i].text, &bytes));
        assert_int_equal(bytes, good[i].bytes);
    }
    static const char *const bad[] = {"",           " 1",   "-1",    "+1",   "kb",
                                      "1 kb",       "1kbx", "1.5gb", "0x10", "18446744073709551616",
                                      "16777216tb", "1k",   "1mb "};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t bytes = 99;
        assert_false(setting_size_parse(bad[i], &bytes));
        assert_int_equal(bytes, 99);
    }
}

static void integers_are_read_strictly(void **state) {
    (void)state;
    int64_t number = 99;
    assert_true(setting_integer_parse("-1", -1, 5, &number) && number == -1);
    assert_true(setting_integer_parse("+5", -1, 5, &number) && number == 5);
    assert_true(setting_integer_parse("9223372036854775807", 0, INT64_MAX, &number) && number == INT64_MAX);
    static const char *const bad[] = {"", "-", "6", "-2", "1x", " 1", "1 ", "--1", "9223372036854775808", "0x1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(setting_integer_parse(bad[i], -1, 5, &number));
    assert_true(number == INT64_MAX);
}

#define WITH_NODE(test) cmocka_unit_test_setup_teardown(test, node_start, node_stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_NODE(hello_brings_the_memory),
        WITH_NODE(status_counts_connections),
        WITH_NODE(another_protocol_version_is_refused_naming_both),
        WITH_NODE(garbage_closes_only_the_connection_that_sent_it),
        WITH_NODE(a_peer_that_does_not_read_is_closed),
        WITH_NODE(connections_are_bounded_and_the_refusal_says_so),
        WITH_NODE(the_socket_is_the_owners_only),
        cmocka_unit_test(a_signal_ends_it_with_0_and_removes_the_socket),
        cmocka_unit_test(a_socket_left_by_a_dead_node_is_replaced_and_one_in_use_is_not),
        cmocka_unit_test(what_the_machine_does_not_have_is_refused_at_start),
        cmocka_unit_test(bad_arguments_are_named_with_what_is_allowed),
        cmocka_unit_test(bad_lines_are_named_with_file_and_number),
        cmocka_unit_test(one_file_serves_gateway_and_memory_node),
        cmocka_unit_test(help_and_version_end_with_0),
        cmocka_unit_test(it_sleeps_when_nobody_talks),
        cmocka_unit_test(sizes_are_read_strictly),
        cmocka_unit_test(integers_are_read_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
