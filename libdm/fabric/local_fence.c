/* local_fence.c: the fence of fabric.h for the `local` provider. Shared memory cannot be taken away from a process that
 * has mapped it, so the fence is the end of that process: SIGKILL, by a descriptor of it (pidfd), which cannot come to
 * mean another process. Before that it is made sure that the process is the one that is meant: it began when the
 * identity says, and it maps the memory of this pool's first node. The caller finds in the seats (local_seats.c)
 * whether the end has come. No memory node takes part. Any thread.
 *
 *   identity   63                                22 21           0
 *             +------------------------------------+--------------+
 *             | start of the process, clock ticks  | process id   |
 *             +------------------------------------+--------------+
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "local.h"

#define PROCESS_BITS 22 /* the kernel's limit of process ids */
#define PROCESS_MASK ((UINT64_C(1) << PROCESS_BITS) - 1)
#define STAT_START_FIELD 22 /* of /proc/PID/stat */
#define END_TIMEOUT_MS 5000 /* a process in the middle of a system call ends behind it */

static enum dm_status refuse(const struct dm_fabric *fabric, uint32_t process, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum dm_status refuse(const struct dm_fabric *fabric, uint32_t process, const char *format, ...) {
    char cause[256];
    char message[384];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(cause, sizeof cause, format, arguments);
    va_end(arguments);
    snprintf(message, sizeof message, "local fabric: process %" PRIu32 " cannot be fenced: %s", process, cause);
    fabric->env->log(fabric->env->context, DM_LOG_WARNING, message);
    return DM_UNREACHABLE;
}

/* When a process began, in clock ticks since the boot; 0: there is none, or /proc is not there. */
static uint64_t process_start(uint32_t process) {
    char path[64];
    char text[1024];
    snprintf(path, sizeof path, "/proc/%" PRIu32 "/stat", process);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    const char *at = strrchr(text, ')'); /* the name before it may hold anything */
    for (int field = 2; at && field < STAT_START_FIELD; field++) {
        at = strchr(at + 1, ' ');
    }
    uint64_t start = 0;
    return at && sscanf(at, "%" SCNu64, &start) == 1 ? start : 0;
}

/* Process ids mean something in one pid namespace of one running kernel. Never 0. */
static uint64_t namespace_number(void) {
    struct stat own;
    return stat("/proc/self/ns/pid", &own) == 0 ? (uint64_t)own.st_ino | UINT64_C(1) << 63 : UINT64_C(1) << 63;
}

bool local_identify(struct local_fabric *fabric) {
    const uint64_t start = process_start((uint32_t)getpid());
    fabric->head.identity = start << PROCESS_BITS | ((uint64_t)getpid() & PROCESS_MASK);
    fabric->head.host = namespace_number();
    return start != 0;
}

uint32_t local_process(uint64_t identity) { return (uint32_t)(identity & PROCESS_MASK); }

/* Has it mapped the first node's memory? */
static bool process_maps_pool(const struct local_fabric *fabric, uint32_t process) {
    struct stat memory;
    char path[64];
    char line[512];
    snprintf(path, sizeof path, "/proc/%" PRIu32 "/maps", process);
    FILE *file = fabric->seats >= 0 && fstat(fabric->seats, &memory) == 0 ? fopen(path, "re") : NULL;
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) {
        uint64_t inode;
        found = strstr(line, "/memfd:") != NULL && sscanf(line, "%*s %*s %*s %*s %" SCNu64, &inode) == 1 &&
                inode == memory.st_ino;
    }
    if (file)
        fclose(file);
    return found;
}

/* Kills the process behind the descriptor and waits until it has ended. */
static enum dm_status end_process(const struct dm_fabric *fabric, uint32_t process, int descriptor) {
    struct pollfd ended = {.fd = descriptor, .events = POLLIN};
    if (syscall(SYS_pidfd_send_signal, descriptor, SIGKILL, NULL, 0) != 0 && errno != ESRCH)
        return refuse(fabric, process, "%s; run as the user that runs it, or as root", strerror(errno));
    if (poll(&ended, 1, END_TIMEOUT_MS) != 1)
        return refuse(fabric, process, "it was killed and has not ended within %d s; see why (ps -o wchan)",
                      END_TIMEOUT_MS / 1000);
    return DM_OK;
}

enum dm_status local_fence(struct dm_fabric *base, uint64_t identity) {
    const uint32_t process = local_process(identity);
    if (identity == 0 || identity == base->identity)
        return DM_INVALID;
    const int descriptor = (int)syscall(SYS_pidfd_open, (pid_t)process, 0);
    if (descriptor < 0 && errno == ESRCH)
        return DM_OK; /* ended by itself */
    if (descriptor < 0)
        return refuse(base, process, "%s; a kernel of 5.3 or later is needed", strerror(errno));
    enum dm_status status = DM_OK; /* the id has gone to another process, or nobody has it any more */
    if (process_start(process) == identity >> PROCESS_BITS)
        status = process_maps_pool((const struct local_fabric *)base, process)
                     ? end_process(base, process, descriptor)
                     : refuse(base, process,
                              "it has not mapped this pool's memory, or may not be looked at; run as "
                              "the user that runs it, or as root");
    close(descriptor);
    return status;
}
