/* test_traps_node.c: trap T10: the memory node's own CPU never touches the memory that clients CAS. Real memory nodes
 * (memserver/) in child processes whose own mapping of the memory has no access rights at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"
#include "dm.h"
#include "memory.h"

#define NODES 2u
#define NODE_BYTES (UINT64_C(2) << 20)
#define CONNECT_TRIES 5000u /* a millisecond each */
#define OPERATIONS 2000u

struct node {
    pid_t pid;
    int stop; /* writing end: whatever comes ends the node */
    char path[108];
};

/* The child: exit code 0 when it was stopped, 1 when it could not begin, a signal when it touched the memory. */
static void node_run(const char *path, int stop) {
    struct memory memory = {0};
    struct control *control;
    char error[256];
    if (!memory_open(&memory, NODE_BYTES, -1, true, error, sizeof error) ||
        mprotect(memory.base, memory.bytes, PROT_NONE) != 0 ||
        !control_open(path, &memory, &control, error, sizeof error)) {
        _exit(1);
    }
    bool served = control_run(control, stop);
    control_close(control);
    _exit(served ? 0 : 1);
}

static void node_start(struct node *node, const char *folder, uint32_t number) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    snprintf(node->path, sizeof node->path, "%s/node%u", folder, number);
    node->pid = fork();
    assert_true(node->pid >= 0);
    if (node->pid == 0) {
        close(ends[1]);
        node_run(node->path, ends[0]);
    }
    close(ends[0]);
    node->stop = ends[1];
}

static void node_end(struct node *node) {
    int status;
    assert_int_equal(write(node->stop, "x", 1), 1);
    assert_int_equal(waitpid(node->pid, &status, 0), node->pid);
    close(node->stop);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fail_msg("a memory node ended with status %#x: has it touched its memory?", (unsigned)status);
    }
}

static struct dm_fabric *connect_to(const struct node *nodes) {
    const char *paths[NODES];
    char error[256] = "";
    struct dm_fabric *fabric;
    for (uint32_t n = 0; n < NODES; n++) {
        paths[n] = nodes[n].path;
    }
    for (uint32_t i = 0; i < CONNECT_TRIES; i++) {
        if (dm_fabric_open_local(dm_env_system(), paths, NODES, &fabric, error, sizeof error) == DM_OK) {
            return fabric;
        }
        usleep(1000);
    }
    fail_msg("%s", error);
    return NULL;
}

static void work(void *argument) {
    struct dm_session *session = argument;
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        char name[16];
        struct dm_key key = {name, (uint32_t)snprintf(name, sizeof name, "k%u", i % 100), 0};
        struct dm_write write = {.part = {{name, key.length}}};
        struct dm_read read = {0};
        assert_int_equal(dm_put(session, &key, &write), DM_OK);
        assert_int_equal(dm_get(session, &key, &read), DM_OK);
        assert_int_equal(read.value.length, key.length);
        dm_read_release(session, &read);
        if (i % 3 == 0) {
            assert_int_equal(dm_delete(session, &key), DM_OK);
        }
    }
}

static void t10_the_node_never_touches_its_memory(void **state) {
    (void)state;
    char folder[] = "/tmp/test-traps-node-XXXXXX";
    char error[256] = "";
    struct node nodes[NODES];
    assert_non_null(mkdtemp(folder));
    for (uint32_t n = 0; n < NODES; n++) {
        node_start(&nodes[n], folder, n);
    }
    struct dm_pool_config config = {.env = dm_env_system(), .fabric = connect_to(nodes), .replicas = NODES};
    struct dm_pool *pool;
    struct dm_sched *sched;
    struct dm_session *session;
    assert_int_equal(dm_pool_open(&config, &pool, error, sizeof error), DM_OK);
    assert_int_equal(dm_sched_create(config.env, NULL, &sched), DM_OK);
    assert_int_equal(dm_session_open(pool, sched, &session, error, sizeof error), DM_OK);
    assert_int_equal(dm_sched_spawn(sched, work, session), DM_OK);
    while (dm_sched_alive(sched) != 0) {
        dm_session_poll(session);
    }
    dm_session_close(session);
    dm_sched_destroy(sched);
    dm_pool_close(pool);
    dm_fabric_close(config.fabric);
    for (uint32_t n = 0; n < NODES; n++) {
        node_end(&nodes[n]);
    }
    assert_int_equal(rmdir(folder), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t10_the_node_never_touches_its_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
