/* test_fabric_local.c: the `local` provider: the suite of all providers over an embedded fabric and over memory-node
 * processes, and what only this provider promises. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fabric/control.h"
#include "fabric_suite.h"
#include "memserver_process.h"

#define PROCESS_ROUNDS 50000u

/* ---- An environment that counts --------------------------------------------------------------------------------- */

static _Atomic unsigned allocations, messages; /* endpoints are opened by several threads */
static char last_message[512];

static void *counted_allocate(void *context, size_t bytes) {
    (void)context;
    allocations++;
    const size_t whole = (bytes + 63) / 64 * 64;
    void *memory = aligned_alloc(64, whole);
    return memory ? memset(memory, 0, whole) : NULL;
}

static void counted_release(void *context, void *memory) {
    (void)context;
    if (memory)
        allocations--;
    free(memory);
}

static void counted_log(void *context, enum dm_log_level level, const char *message) {
    (void)context;
    (void)level;
    messages++;
    snprintf(last_message, sizeof last_message, "%s", message);
}

static const struct dm_env env = {.allocate = counted_allocate, .release = counted_release, .log = counted_log};

static struct dm_local_memory nodes[SUITE_NODES];

static struct dm_fabric *embedded_open(void) {
    struct dm_fabric *fabric = NULL;
    if (!nodes[0].base)
        for (int node = 0; node < SUITE_NODES; node++) {
            nodes[node].bytes = SUITE_NODE_BYTES;
            nodes[node].base = mmap(NULL, SUITE_NODE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            assert_true(nodes[node].base != MAP_FAILED);
        }
    assert_int_equal(dm_fabric_open_embedded(&env, nodes, SUITE_NODES, &fabric), DM_OK);
    return fabric;
}

/* ---- Embedded --------------------------------------------------------------------------------------------------- */

static void an_embedded_fabric_refuses_impossible_nodes(void **state) {
    (void)state;
    static uint64_t word;
    struct dm_fabric *fabric = NULL;
    struct dm_local_memory many[DM_NODES_MAX + 1];
    for (int i = 0; i <= DM_NODES_MAX; i++)
        many[i] = (struct dm_local_memory){&word, sizeof word};
    assert_int_equal(dm_fabric_open_embedded(&env, many, 0, &fabric), DM_INVALID);
    assert_int_equal(dm_fabric_open_embedded(&env, many, DM_NODES_MAX + 1, &fabric), DM_INVALID);
    const struct dm_local_memory bad[] = {{NULL, 8}, {&word, 0}, {(uint8_t *)&word + 1, 4}};
    for (int i = 0; i < 3; i++)
        assert_int_equal(dm_fabric_open_embedded(&env, &bad[i], 1, &fabric), DM_INVALID);
    assert_null(fabric);
    assert_int_equal(dm_fabric_open_embedded(&env, many, DM_NODES_MAX, &fabric), DM_OK);
    assert_int_equal(fabric->node_count, DM_NODES_MAX);
    dm_fabric_close(fabric);
}

static void misaligned_atomics_and_unknown_nodes_fail_and_are_logged_once(void **state) {
    (void)state;
    struct dm_fabric *fabric = embedded_open();
    struct dm_endpoint *endpoint = NULL;
    assert_int_equal(fabric->ops->endpoint_open(fabric, NULL, &endpoint), DM_OK);
    uint64_t *words = fabric->ops->endpoint_memory(endpoint, 64);
    messages = 0;
    struct dm_batch batch;
    dm_batch_init(&batch, NULL);
    dm_batch_cas(&batch, 0, 12, 0, 1);
    dm_batch_faa(&batch, 1, 1, 1);
    dm_batch_read(&batch, SUITE_NODES, 0, words, 8);
    dm_batch_read(&batch, SUITE_NODES, 0, words, 8);
    dm_batch_read(&batch, UINT16_MAX, 0, words, 8);
    dm_batch_read(&batch, 2, 0, words, 8);
    dm_fabric_execute(endpoint, &batch);
    static const uint8_t expected[] = {DM_OP_FAILED,  DM_OP_FAILED, DM_OP_FAILED,
                                       DM_OP_FLUSHED, DM_OP_FAILED, DM_OP_DONE};
    for (size_t i = 0; i < sizeof expected; i++)
        assert_int_equal(batch.ops[i].status, expected[i]);
    assert_int_equal(batch.failed, 5);
    assert_int_equal(endpoint->operations_failed, 5);
    assert_int_equal(messages, 1);
    assert_non_null(strstr(last_message, "node 0"));
    dm_fabric_execute(endpoint, &batch); /* a batch can be posted again: nothing stays of the last time */
    assert_int_equal(batch.failed, 5);
    assert_int_equal(messages, 1);
    fabric->ops->endpoint_close(endpoint);
    dm_fabric_close(fabric);
}

static void executing_allocates_nothing_and_closing_returns_all(void **state) {
    (void)state;
    const unsigned before = allocations;
    struct dm_fabric *fabric = embedded_open();
    struct dm_endpoint *endpoint = NULL;
    assert_int_equal(fabric->ops->endpoint_open(fabric, NULL, &endpoint), DM_OK);
    uint8_t *buffer = fabric->ops->endpoint_memory(endpoint, 4096);
    assert_non_null(fabric->ops->endpoint_memory(endpoint, 1));
    assert_null(fabric->ops->endpoint_memory(endpoint, SIZE_MAX));
    const unsigned open = allocations;
    assert_true(open > before);
    for (int i = 0; i < 1000; i++) {
        struct dm_batch batch;
        dm_batch_init(&batch, NULL);
        dm_batch_write(&batch, 0, 0, buffer, 4096);
        dm_batch_cas(&batch, 1, 0, 0, 0);
        dm_fabric_execute(endpoint, &batch);
        assert_int_equal(fabric->ops->poll(endpoint), 0);
    }
    assert_int_equal(allocations, open);
    fabric->ops->endpoint_close(endpoint);
    dm_fabric_close(fabric);
    assert_int_equal(allocations, before);
}

/* ---- Memory-node processes -------------------------------------------------------------------------------------- */

static char node_paths[SUITE_NODES][128];
static const char *const memservers[SUITE_NODES] = {node_paths[0], node_paths[1], node_paths[2]};

static struct dm_fabric *shared_open(void) {
    struct dm_fabric *fabric = NULL;
    char error[512] = "";
    if (dm_fabric_open_local(&env, memservers, SUITE_NODES, &fabric, error, sizeof error) != DM_OK)
        fail_msg("%s", error);
    for (int node = 0; node < SUITE_NODES; node++)
        assert_int_equal(fabric->node_bytes[node], SUITE_NODE_BYTES);
    return fabric;
}

/* PROCESS_ROUNDS additions to a word of each node; in the child without cmocka's assertions. */
static int additions_run(struct dm_fabric *fabric) {
    struct dm_endpoint *endpoint;
    if (fabric->ops->endpoint_open(fabric, NULL, &endpoint) != DM_OK)
        return 1;
    unsigned failed = 0;
    for (unsigned i = 0; i < PROCESS_ROUNDS; i++) {
        struct dm_batch batch;
        dm_batch_init(&batch, NULL);
        for (uint16_t node = 0; node < SUITE_NODES; node++)
            dm_batch_faa(&batch, node, 1 << 20, node + 1u);
        dm_fabric_execute(endpoint, &batch);
        failed += batch.failed;
    }
    fabric->ops->endpoint_close(endpoint);
    return failed != 0;
}

static void two_processes_share_the_memory_of_the_nodes(void **state) {
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct dm_fabric *theirs;
        char error[512];
        if (dm_fabric_open_local(&env, memservers, SUITE_NODES, &theirs, error, sizeof error) != DM_OK)
            _exit(2);
        int outcome = additions_run(theirs);
        dm_fabric_close(theirs);
        _exit(outcome);
    }
    struct dm_fabric *fabric = shared_open();
    assert_int_equal(additions_run(fabric), 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    struct dm_endpoint *endpoint;
    assert_int_equal(fabric->ops->endpoint_open(fabric, NULL, &endpoint), DM_OK);
    struct dm_batch batch;
    dm_batch_init(&batch, NULL);
    for (uint16_t node = 0; node < SUITE_NODES; node++)
        dm_batch_faa(&batch, node, 1 << 20, 0);
    dm_fabric_execute(endpoint, &batch);
    for (uint16_t node = 0; node < SUITE_NODES; node++)
        assert_int_equal(batch.ops[node].result, 2ull * PROCESS_ROUNDS * (node + 1u));
    fabric->ops->endpoint_close(endpoint);
    dm_fabric_close(fabric);
}

static void a_mapping_outlives_its_memory_node(void **state) {
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s", memserver_path("mortal.sock"));
    const char *const one[] = {path};
    struct memserver_process node;
    memserver_start_ready(&node, path, "4mb");
    struct dm_fabric *fabric = NULL;
    char error[512];
    assert_int_equal(dm_fabric_open_local(&env, one, 1, &fabric, error, sizeof error), DM_OK);
    assert_int_equal(memserver_end(&node, SIGKILL), -SIGKILL);
    struct dm_endpoint *endpoint;
    assert_int_equal(fabric->ops->endpoint_open(fabric, NULL, &endpoint), DM_OK);
    struct dm_batch batch;
    dm_batch_init(&batch, NULL);
    dm_batch_faa(&batch, 0, 0, 5);
    const struct dm_op *second = dm_batch_faa(&batch, 0, 0, 5);
    dm_fabric_execute(endpoint, &batch);
    assert_int_equal(batch.failed, 0);
    assert_int_equal(second->result, 5);
    fabric->ops->endpoint_close(endpoint);
    dm_fabric_close(fabric);
}

/* ---- What can go wrong when connecting --------------------------------------------------------------------------- */

/* Opens over node 0 and `path`, which must fail with this status and these words, and leave nothing open. */
static void expect_refusal(const char *path, enum dm_status status, const char *words) {
    const char *const two[] = {node_paths[0], path};
    struct dm_fabric *fabric = NULL;
    char error[512] = "";
    const unsigned before = allocations;
    assert_int_equal(dm_fabric_open_local(&env, two, 2, &fabric, error, sizeof error), status);
    assert_null(fabric);
    assert_int_equal(allocations, before);
    if (!strstr(error, words) || !strstr(error, "memory node 1 ("))
        fail_msg("expected '%s' of node 1 in: %s", words, error);
}

static int listen_at(const char *path, int type) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

static void an_absent_or_foreign_socket_is_named_with_its_remedy(void **state) {
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s", memserver_path("absent.sock"));
    expect_refusal(path, DM_UNREACHABLE, "start fusegate-memserver");
    int stream = listen_at(path, SOCK_STREAM);
    expect_refusal(path, DM_INCOMPATIBLE, "not a memory node's");
    close(stream);
    unlink(path);
    close(listen_at(path, SOCK_SEQPACKET)); /* leaves a dead socket */
    expect_refusal(path, DM_UNREACHABLE, "nobody listens");
    expect_refusal("", DM_INVALID, "1 to 107 bytes");
    char overlong[200];
    memset(overlong, 'x', sizeof overlong);
    overlong[199] = '\0';
    expect_refusal(overlong, DM_INVALID, "1 to 107 bytes");
}

static void a_pool_has_between_one_and_the_most_nodes(void **state) {
    (void)state;
    struct dm_fabric *fabric = NULL;
    char error[512];
    assert_int_equal(dm_fabric_open_local(&env, memservers, 0, &fabric, error, sizeof error), DM_INVALID);
    assert_int_equal(dm_fabric_open_local(&env, memservers, DM_NODES_MAX + 1, &fabric, error, sizeof error),
                     DM_INVALID);
    assert_non_null(strstr(error, "64"));
}

static void the_same_node_twice_is_refused(void **state) {
    (void)state;
    char prefixed[160];
    snprintf(prefixed, sizeof prefixed, "unix:%s", node_paths[0]);
    expect_refusal(prefixed, DM_INVALID, "the same as memory node 0");
}

/* A false node: answers one client with the bytes given, and with a descriptor if there is one. */
struct false_node {
    int listener;
    const void *answer;
    size_t answer_bytes;
    int memory_fd;
};

static void *false_node_run(void *argument) {
    const struct false_node *node = argument;
    char hello[256];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } ancillary = {.bytes = {0}};
    int peer = accept(node->listener, NULL, NULL);
    if (peer < 0 || recv(peer, hello, sizeof hello, 0) <= 0)
        return NULL;
    struct iovec part = {(void *)(uintptr_t)node->answer, node->answer_bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (node->memory_fd >= 0) {
        message.msg_control = &ancillary;
        message.msg_controllen = sizeof ancillary;
        struct cmsghdr *item = CMSG_FIRSTHDR(&message);
        item->cmsg_level = SOL_SOCKET;
        item->cmsg_type = SCM_RIGHTS;
        item->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(item), &node->memory_fd, sizeof(int));
    }
    if (node->answer_bytes > 0 && sendmsg(peer, &message, MSG_NOSIGNAL) < 0)
        fprintf(stderr, "false node: %s\n", strerror(errno));
    close(peer);
    return NULL;
}

static void expect_false_node_refused(const void *answer, size_t bytes, int memory_fd, enum dm_status status,
                                      const char *words) {
    char path[128];
    snprintf(path, sizeof path, "%s", memserver_path("false.sock"));
    struct false_node node = {listen_at(path, SOCK_SEQPACKET), answer, bytes, memory_fd};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, false_node_run, &node), 0);
    expect_refusal(path, status, words);
    pthread_join(thread, NULL);
    close(node.listener);
    unlink(path);
}

static void a_node_that_answers_wrongly_is_refused(void **state) {
    (void)state;
    struct control_hello_reply reply = {.head = {CONTROL_MAGIC, CONTROL_VERSION, CONTROL_HELLO_REPLY, sizeof reply, 0},
                                        .memory_bytes = 1 << 20};
    int small = memfd_create("small", MFD_CLOEXEC);
    assert_true(small >= 0);
    assert_int_equal(ftruncate(small, (1 << 20) - 4096), 0);
    expect_false_node_refused(&reply, sizeof reply, small, DM_INCOMPATIBLE, "smaller than it says");
    expect_false_node_refused(&reply, sizeof reply, -1, DM_UNREACHABLE, "no memory came");
    expect_false_node_refused(&reply, sizeof reply - 8, small, DM_INCOMPATIBLE, "not a memory node");
    expect_false_node_refused(NULL, 0, -1, DM_UNREACHABLE, "closed the connection");
    reply.memory_bytes = 0;
    expect_false_node_refused(&reply, sizeof reply, small, DM_INCOMPATIBLE, "smaller than it says");
    reply.head.type = CONTROL_STATUS_REPLY;
    expect_false_node_refused(&reply, sizeof reply, small, DM_INCOMPATIBLE, "unexpected answer");
    reply.head.version = 9;
    expect_false_node_refused(&reply, sizeof reply, small, DM_INCOMPATIBLE, "version 9");
    reply.head.magic = 1;
    expect_false_node_refused(&reply, sizeof reply, small, DM_INCOMPATIBLE, "not a memory node");
    struct control_error refusal = {.head = {CONTROL_MAGIC, CONTROL_VERSION, CONTROL_ERROR, sizeof refusal, 0},
                                    .code = CONTROL_ERROR_FULL,
                                    .text = "too many connections"};
    expect_false_node_refused(&refusal, sizeof refusal, -1, DM_UNREACHABLE, "it refuses: too many connections");
    close(small);
}

int main(void) {
    struct fabric_world world = {embedded_open(), embedded_open(), NULL, 1, false};
    int failed = fabric_suite_run("every provider: local, embedded", &world);
    dm_fabric_close(world.other);
    dm_fabric_close(world.fabric);

    struct memserver_process processes[SUITE_NODES];
    for (int node = 0; node < SUITE_NODES; node++) {
        char name[32];
        snprintf(name, sizeof name, "node%d.sock", node);
        snprintf(node_paths[node], sizeof node_paths[0], "%s", memserver_path(name));
        memserver_start_ready(&processes[node], node_paths[node], "4mb");
    }
    world = (struct fabric_world){shared_open(), shared_open(), NULL, 1, false};
    failed += fabric_suite_run("every provider: local, memory-node processes", &world);
    dm_fabric_close(world.other);
    dm_fabric_close(world.fabric);

    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_embedded_fabric_refuses_impossible_nodes),
        cmocka_unit_test(misaligned_atomics_and_unknown_nodes_fail_and_are_logged_once),
        cmocka_unit_test(executing_allocates_nothing_and_closing_returns_all),
        cmocka_unit_test(two_processes_share_the_memory_of_the_nodes),
        cmocka_unit_test(a_mapping_outlives_its_memory_node),
        cmocka_unit_test(an_absent_or_foreign_socket_is_named_with_its_remedy),
        cmocka_unit_test(a_pool_has_between_one_and_the_most_nodes),
        cmocka_unit_test(the_same_node_twice_is_refused),
        cmocka_unit_test(a_node_that_answers_wrongly_is_refused),
    };
    failed += cmocka_run_group_tests_name("local provider", tests, NULL, NULL);
    for (int node = 0; node < SUITE_NODES; node++)
        failed += memserver_end(&processes[node], SIGTERM) != 0;
    return failed != 0;
}
