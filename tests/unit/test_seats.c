/* test_seats.c: the seats of the `local` fabric between processes (fabric.h): who holds one, and when it is empty
 * again. */
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

struct bench {
    struct memserver_process node;
    const char *path;
    struct dm_fabric *mine;
};

static struct dm_fabric *connect_to(const struct bench *bench) {
    struct dm_fabric *fabric = NULL;
    char error[512] = "";
    if (dm_fabric_open_local(dm_env_system(), &bench->path, 1, &fabric, error, sizeof error) != DM_OK) {
        fail_msg("%s", error);
    }
    return fabric;
}

static int setup(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    bench->path = memserver_path("seats.sock");
    memserver_start_ready(&bench->node, bench->path, "1mb");
    bench->mine = connect_to(bench);
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

static bool take(struct dm_fabric *fabric) { return fabric->ops->seat_take(fabric, SEAT); }
static bool is_empty(struct dm_fabric *fabric) { return fabric->ops->seat_empty(fabric, SEAT); }

/* A process that joins, takes the seat, and does nothing more. */
static pid_t start_holder(const struct bench *bench) {
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        byte = take(connect_to(bench)) ? 'y' : 'n';
        (void)!write(ready[1], &byte, 1);
        for (;;) {
            pause();
        }
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void one_holds_a_seat_and_all_see_it(void **state) {
    struct bench *bench = *state;
    struct dm_fabric *other = connect_to(bench);
    assert_true(is_empty(bench->mine));
    assert_true(take(bench->mine));
    assert_false(is_empty(bench->mine)); /* its holder sees it, too */
    assert_false(is_empty(other));
    assert_false(take(other));
    bench->mine->ops->seat_leave(bench->mine, SEAT);
    assert_true(is_empty(other));
    assert_true(take(other));
    dm_fabric_close(other);
    assert_true(is_empty(bench->mine));
}

static void a_killed_process_has_left_its_seats(void **state) {
    struct bench *bench = *state;
    pid_t holder = start_holder(bench);
    assert_false(is_empty(bench->mine));
    assert_false(take(bench->mine));
    assert_int_equal(kill(holder, SIGKILL), 0);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
    assert_true(is_empty(bench->mine));
    assert_true(take(bench->mine));
}

/* Trap T8: it would go on where it was. */
static void a_paused_process_keeps_its_seats(void **state) {
    struct bench *bench = *state;
    pid_t holder = start_holder(bench);
    assert_int_equal(kill(holder, SIGSTOP), 0);
    int status;
    assert_int_equal(waitpid(holder, &status, WUNTRACED), holder);
    assert_false(is_empty(bench->mine));
    assert_int_equal(kill(holder, SIGKILL), 0);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
    assert_true(is_empty(bench->mine));
}

static void another_connection_of_the_same_process_that_ends_leaves_nothing(void **state) {
    struct bench *bench = *state;
    struct dm_fabric *other = connect_to(bench);
    assert_true(take(bench->mine));
    dm_fabric_close(other); /* another descriptor of the same file, in the same process */
    struct dm_fabric *third = connect_to(bench);
    assert_false(is_empty(third));
    dm_fabric_close(third);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_holds_a_seat_and_all_see_it),
        TEST(a_killed_process_has_left_its_seats),
        TEST(a_paused_process_keeps_its_seats),
        TEST(another_connection_of_the_same_process_that_ends_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
