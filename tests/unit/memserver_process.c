/* memserver_process.c: see memserver_process.h. Failures of the harness itself end the test by assertions. */
#define _GNU_SOURCE
#include "memserver_process.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 10000
#define ARGUMENTS_MAX 16
#define PATHS 8

static char folder[64];

static void folder_remove(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "cannot remove %s\n", folder);
}

const char *memserver_path(const char *name) {
    static char paths[PATHS][128];
    static unsigned next;
    static pid_t owner;
    if (!folder[0]) {
        strcpy(folder, "/tmp/fusegate-test-XXXXXX");
        assert_non_null(mkdtemp(folder));
        owner = getpid();
        atexit(folder_remove);
    }
    assert_int_equal(owner, getpid());
    char *path = paths[next++ % PATHS];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* build/unit/test_x -> build/fusegate-memserver */
static void program_path(char path[PATH_MAX]) {
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    assert_true(length > 0);
    path[length] = '\0';
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(path, '/');
        assert_non_null(slash);
        *slash = '\0';
    }
    strncat(path, "/fusegate-memserver", PATH_MAX - strlen(path) - 1);
    if (access(path, X_OK) != 0)
        fail_msg("%s is missing: run make first", path);
}

void memserver_start(struct memserver_process *process, const char *const *arguments) {
    char program[PATH_MAX];
    char *argv[ARGUMENTS_MAX + 2] = {program};
    program_path(program);
    for (int i = 0; arguments[i]; i++) {
        assert_true(i < ARGUMENTS_MAX);
        argv[i + 1] = (char *)(uintptr_t)arguments[i];
    }
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    process->text_bytes = 0;
    process->text[0] = '\0';
    process->pid = fork();
    assert_true(process->pid >= 0);
    if (process->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nothing behind */
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        execv(program, argv);
        _exit(127);
    }
    close(ends[1]);
    process->log = ends[0];
}

void memserver_start_ready(struct memserver_process *process, const char *path, const char *memory) {
    char listen[256];
    char size[64];
    snprintf(listen, sizeof listen, "--memserver.listen=%s", path);
    snprintf(size, sizeof size, "--memserver.memory=%s", memory);
    const char *const arguments[] = {listen, size, NULL};
    memserver_start(process, arguments);
    if (!memserver_log_wait(process, "ready"))
        fail_msg("memory node did not start: %s", process->text);
}

/* One read of the log; false at its end, or after the time. */
static bool log_read(struct memserver_process *process) {
    struct pollfd waiting = {.fd = process->log, .events = POLLIN};
    if (poll(&waiting, 1, WAIT_MS) != 1)
        return false;
    assert_true(process->text_bytes < sizeof process->text - 1);
    ssize_t got =
        read(process->log, process->text + process->text_bytes, sizeof process->text - 1 - process->text_bytes);
    if (got <= 0)
        return false;
    process->text_bytes += (size_t)got;
    process->text[process->text_bytes] = '\0';
    return true;
}

bool memserver_log_wait(struct memserver_process *process, const char *text) {
    while (!strstr(process->text, text))
        if (!log_read(process))
            return strstr(process->text, text) != NULL;
    return true;
}

int memserver_wait(struct memserver_process *process) {
    while (log_read(process))
        continue;
    close(process->log);
    int status = 0;
    for (int waited_ms = 0; waitpid(process->pid, &status, WNOHANG) == 0; waited_ms += 10) {
        if (waited_ms >= WAIT_MS) {
            kill(process->pid, SIGKILL);
            waitpid(process->pid, &status, 0);
            fail_msg("memory node did not end: %s", process->text);
        }
        usleep(10000);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int memserver_end(struct memserver_process *process, int signal_number) {
    assert_int_equal(kill(process->pid, signal_number), 0);
    return memserver_wait(process);
}
