/* test_fence.c: the fence of the `local` fabric (local_fence.c): it ends the process that is meant, and no other. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fabric/fabric.h"
#include "memserver_process.h"

#define SEAT 7u
#define ONE_TICK (UINT64_C(1) << 22) /* of the start, in an identity */

struct bench {
    struct memserver_process node;
    const char *path;
    struct dm_fabric *mine;
};

static struct dm_fabric *connect_to(const char *path) {
    struct dm_fabric *fabric = NULL;
    char error[512] = "";
    if (dm_fabric_open_local(dm_env_system(), &path, 1, &fabric, error, sizeof error) != DM_OK) {
        fail_msg("%s", error);
    }
    return fabric;
}

static int setup(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    bench->path = memserver_path("fence.sock");
    memserver_start_ready(&bench->node, bench->path, "1mb");
    bench->mine = connect_to(bench->path);
    *state = bench;
    return 0;
}

static int teardown(void **state) {
    struct bench *bench = *state;
    dm_fabric_close(bench->mine);
    assert_int_equal(memserver_end(&bench->node, SIGTERM), 0);
    free(bench);
    return 0;
}

/* A process that joins, takes the seat, and stops itself: it hangs. It says what its identity is. NULL: it does not
 * join. */
static pid_t start_hanging(const char *path, uint64_t *identity) {
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct dm_fabric *fabric = path == NULL ? NULL : connect_to(path);
        uint64_t own = fabric == NULL ? 0 : fabric->identity;
        if (fabric != NULL) {
            fabric->ops->seat_take(fabric, SEAT);
        }
        (void)!write(ready[1], &own, sizeof own);
        raise(SIGSTOP);
        _exit(0);
    }
    int status;
    assert_int_equal(read(ready[0], identity, sizeof *identity), sizeof *identity);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

/* Lets it go on if it lives; returns the signal that ended it, 0 if it ended by itself. */
static int end_of(pid_t pid) {
    int status;
    kill(pid, SIGCONT);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void a_process_that_hangs_is_ended_and_its_seat_is_empty(void **state) {
    struct bench *bench = *state;
    struct dm_fabric *fabric = bench->mine;
    uint64_t identity;
    pid_t pid = start_hanging(bench->path, &identity);
    assert_int_equal(fabric->ops->process(identity), pid);
    assert_false(fabric->ops->seat_empty(fabric, SEAT));
    assert_int_equal(fabric->ops->fence(fabric, identity), DM_OK);
    assert_true(fabric->ops->seat_empty(fabric, SEAT));
    assert_int_equal(end_of(pid), SIGKILL);
}

static void one_that_has_ended_needs_no_fence(void **state) {
    struct bench *bench = *state;
    uint64_t identity;
    pid_t pid = start_hanging(bench->path, &identity);
    assert_int_equal(end_of(pid), 0);
    assert_int_equal(bench->mine->ops->fence(bench->mine, identity), DM_OK);
}

/* Its number was given to another process since. */
static void a_process_that_began_at_another_time_is_left_alone(void **state) {
    struct bench *bench = *state;
    uint64_t identity;
    pid_t pid = start_hanging(bench->path, &identity);
    assert_int_equal(bench->mine->ops->fence(bench->mine, identity - ONE_TICK), DM_OK);
    assert_int_equal(bench->mine->ops->fence(bench->mine, identity + ONE_TICK), DM_OK);
    assert_false(bench->mine->ops->seat_empty(bench->mine, SEAT));
    assert_int_equal(end_of(pid), 0);
}

/* Not even if number and start are right: of another container, say. */
static void a_process_that_has_not_this_memory_is_left_alone(void **state) {
    struct bench *bench = *state;
    struct memserver_process other;
    uint64_t identity;
    const char *path = memserver_path("other.sock");
    memserver_start_ready(&other, path, "1mb");
    dm_fabric_close(bench->mine); /* a child would have what is mapped here, too */
    pid_t pid = start_hanging(path, &identity);
    bench->mine = connect_to(bench->path);
    assert_int_equal(bench->mine->ops->fence(bench->mine, identity), DM_UNREACHABLE);
    assert_int_equal(end_of(pid), 0);
    assert_int_equal(memserver_end(&other, SIGTERM), 0);
}

static void nobody_fences_itself(void **state) {
    struct bench *bench = *state;
    assert_int_equal(bench->mine->ops->fence(bench->mine, bench->mine->identity), DM_INVALID);
    assert_int_equal(bench->mine->ops->fence(bench->mine, 0), DM_INVALID);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_process_that_hangs_is_ended_and_its_seat_is_empty),
        TEST(one_that_has_ended_needs_no_fence),
        TEST(a_process_that_began_at_another_time_is_left_alone),
        TEST(a_process_that_has_not_this_memory_is_left_alone),
        TEST(nobody_fences_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
