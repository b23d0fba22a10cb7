/* local_shared.c: the `local` provider between processes: asks each memory node's control socket for its memory and
 * maps it. After that local.c does all the work, and the socket stays open only so that the node sees this process go.
 * The mapping outlives the node's process. Called when a fabric is opened and closed, by one thread; may block. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "control.h"
#include "local.h"

#define CONTROL_TIMEOUT_S 5

/* One node being connected. */
struct joining {
    struct local_fabric *fabric;
    uint32_t node;
    const char *path;
    int memory_fd;
    struct stat *files; /* what each node's memory is, in the order of the nodes; this one's is not set yet */
    char *error;
    size_t error_bytes;
};

union reply {
    struct control_head head;
    struct control_hello_reply hello;
    struct control_error error;
    uint8_t bytes[CONTROL_MESSAGE_BYTES_MAX];
};

static enum dm_status fail(const struct joining *joining, enum dm_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum dm_status fail(const struct joining *joining, enum dm_status status, const char *format, ...) {
    char cause[384];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(cause, sizeof cause, format, arguments);
    va_end(arguments);
    snprintf(joining->error, joining->error_bytes, "memory node %" PRIu32 " (%s): %s", joining->node, joining->path,
             cause);
    return status;
}

/* ---- Connect and ask -------------------------------------------------------------------------------------------- */

static enum dm_status fail_connect(const struct joining *joining, int cause) {
    switch (cause) {
    case ENOENT:
        return fail(joining, DM_UNREACHABLE,
                    "there is no such socket; start fusegate-memserver --memserver.listen=%s, or correct the path",
                    joining->path);
    case ECONNREFUSED:
        return fail(joining, DM_UNREACHABLE, "nobody listens on it, the memory node has ended; start it again");
    case EPROTOTYPE:
        return fail(joining, DM_INCOMPATIBLE, "the socket is not a memory node's; correct the path");
    case EACCES:
        return fail(joining, DM_UNREACHABLE,
                    "permission denied; run as the user that runs the memory node, or give access to its socket");
    case EAGAIN:
        return fail(joining, DM_UNREACHABLE, "the memory node does not accept within %d s; is it stopped?",
                    CONTROL_TIMEOUT_S);
    default:
        return fail(joining, DM_UNREACHABLE, "cannot connect: %s; see that fusegate-memserver runs there",
                    strerror(cause));
    }
}

static enum dm_status node_connect(struct joining *joining) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t length = strlen(joining->path);
    if (length == 0 || length >= sizeof address.sun_path)
        return fail(joining, DM_INVALID, "the path of a control socket has 1 to %zu bytes",
                    sizeof address.sun_path - 1);
    memcpy(address.sun_path, joining->path, length);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail(joining, DM_UNREACHABLE, "cannot make a socket: %s", strerror(errno));
    joining->fabric->socket[joining->node] = fd; /* closed with the fabric from here on */
    const struct timeval timeout = {.tv_sec = CONTROL_TIMEOUT_S};
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) != 0)
        return fail(joining, DM_UNREACHABLE, "cannot set a time limit: %s", strerror(errno));
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        return fail_connect(joining, errno);
    return DM_OK;
}

/* Receives one message; a descriptor that comes with it goes to joining->memory_fd. */
static ssize_t reply_receive(struct joining *joining, union reply *reply) {
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } ancillary;
    struct iovec part = {.iov_base = reply, .iov_len = sizeof *reply};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &ancillary, .msg_controllen = sizeof ancillary};
    ssize_t received;
    bool reset = false; /* told once, ahead of what the node wrote before it closed */
    do {
        received = recvmsg(joining->fabric->socket[joining->node], &message, MSG_CMSG_CLOEXEC);
        if (received < 0 && errno == ECONNRESET && !reset) {
            reset = true;
            errno = EINTR;
        }
    } while (received < 0 && errno == EINTR);
    if (received < 0)
        return -1;
    for (struct cmsghdr *item = CMSG_FIRSTHDR(&message); item; item = CMSG_NXTHDR(&message, item))
        if (item->cmsg_level == SOL_SOCKET && item->cmsg_type == SCM_RIGHTS && item->cmsg_len == CMSG_LEN(sizeof(int)))
            memcpy(&joining->memory_fd, CMSG_DATA(item), sizeof(int));
    return received;
}

static enum dm_status reply_check(const struct joining *joining, union reply *reply, size_t received) {
    const struct control_head *head = &reply->head;
    if (received == 0)
        return fail(joining, DM_UNREACHABLE, "the memory node closed the connection; see its log");
    if (received < sizeof *head || head->magic != CONTROL_MAGIC || head->length != received)
        return fail(joining, DM_INCOMPATIBLE, "what listens there is not a memory node; correct the path");
    if (head->version != CONTROL_VERSION)
        return fail(joining, DM_INCOMPATIBLE,
                    "it speaks version %u of the control protocol, this program version %u; run the same release",
                    head->version, CONTROL_VERSION);
    if (head->type == CONTROL_ERROR && received == sizeof reply->error) {
        reply->error.text[sizeof reply->error.text - 1] = '\0';
        return fail(joining, reply->error.code == CONTROL_ERROR_VERSION ? DM_INCOMPATIBLE : DM_UNREACHABLE,
                    "it refuses: %s", reply->error.text);
    }
    if (head->type != CONTROL_HELLO_REPLY || received != sizeof reply->hello)
        return fail(joining, DM_INCOMPATIBLE, "unexpected answer of type %u and %zu bytes; run the same release",
                    head->type, received);
    if (joining->memory_fd < 0)
        return fail(joining, DM_UNREACHABLE, "no memory came with the answer (too many open files?); try again");
    return DM_OK;
}

static enum dm_status node_hello(struct joining *joining, union reply *reply) {
    const struct control_head hello = {.magic = CONTROL_MAGIC,
                                       .version = CONTROL_VERSION,
                                       .type = CONTROL_HELLO,
                                       .length = sizeof(struct control_head)};
    /* A node that refuses at once has closed already; its reason can still be read. */
    int cause = 0;
    if (send(joining->fabric->socket[joining->node], &hello, sizeof hello, MSG_NOSIGNAL) < 0)
        cause = errno;
    ssize_t received = reply_receive(joining, reply);
    if (received < 0)
        cause = errno;
    if (received < 0 && (cause == EAGAIN || cause == EWOULDBLOCK))
        return fail(joining, DM_UNREACHABLE, "the memory node does not answer within %d s; is it stopped?",
                    CONTROL_TIMEOUT_S);
    if (received < 0)
        return fail(joining, DM_UNREACHABLE, "connection lost: %s; see the memory node's log", strerror(cause));
    return reply_check(joining, reply, (size_t)received);
}

/* ---- Map -------------------------------------------------------------------------------------------------------- */

static enum dm_status node_map(struct joining *joining, const struct control_hello_reply *hello) {
    struct local_fabric *fabric = joining->fabric;
    const uint64_t file_bytes = (uint64_t)joining->files[joining->node].st_size;
    if (hello->memory_bytes == 0 || file_bytes < hello->memory_bytes)
        return fail(joining, DM_INCOMPATIBLE,
                    "its memory is smaller than it says (%" PRIu64 " of %" PRIu64 " bytes); restart it", file_bytes,
                    hello->memory_bytes);
    void *base =
        mmap(NULL, hello->memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, joining->memory_fd, 0);
    if (base == MAP_FAILED)
        return fail(joining, DM_UNREACHABLE, "cannot map its %" PRIu64 " MiB: %s; is there a limit (ulimit -v)?",
                    hello->memory_bytes >> 20, strerror(errno));
    (void)madvise(base, hello->memory_bytes, MADV_HUGEPAGE); /* a refusal changes only the speed */
    fabric->base[joining->node] = base;
    fabric->head.node_bytes[joining->node] = hello->memory_bytes;
    return DM_OK;
}

/* Looks up what the memory is, too. The same node twice would make one copy out of two replicas. */
static enum dm_status node_check_distinct(const struct joining *joining) {
    struct stat *files = joining->files;
    struct stat *own = &files[joining->node];
    if (fstat(joining->memory_fd, own) != 0)
        return fail(joining, DM_UNREACHABLE, "cannot examine its memory: %s", strerror(errno));
    for (uint32_t other = 0; other < joining->node; other++)
        if (files[other].st_dev == own->st_dev && files[other].st_ino == own->st_ino)
            return fail(joining, DM_INVALID, "is the same as memory node %" PRIu32 "; give each node once", other);
    return DM_OK;
}

static enum dm_status node_join(struct joining *joining) {
    union reply reply;
    enum dm_status status = node_connect(joining);
    if (status == DM_OK)
        status = node_hello(joining, &reply);
    if (status == DM_OK)
        status = node_check_distinct(joining);
    if (status == DM_OK)
        status = node_map(joining, &reply.hello);
    if (status == DM_OK && joining->node == 0 && !local_seats_open(joining->fabric, joining->memory_fd))
        status =
            fail(joining, DM_UNREACHABLE, "cannot lock seats in its memory: %s; is /proc mounted?", strerror(errno));
    if (joining->memory_fd >= 0)
        close(joining->memory_fd); /* the mapping keeps the memory */
    return status;
}

/* ---- Fabric ----------------------------------------------------------------------------------------------------- */

void local_shared_release(struct local_fabric *fabric) {
    for (uint32_t node = 0; node < DM_NODES_MAX; node++) {
        if (fabric->socket[node] < 0)
            continue;
        if (fabric->base[node])
            munmap(fabric->base[node], fabric->head.node_bytes[node]);
        close(fabric->socket[node]);
    }
}

enum dm_status dm_fabric_open_local(const struct dm_env *env, const char *const *memservers, uint32_t memserver_count,
                                    struct dm_fabric **out, char *error, size_t error_bytes) {
    if (memserver_count == 0 || memserver_count > DM_NODES_MAX) {
        snprintf(error, error_bytes, "%" PRIu32 " memory nodes: a pool has 1 to %d", memserver_count, DM_NODES_MAX);
        return DM_INVALID;
    }
    struct local_fabric *fabric = local_fabric_create(env);
    if (!fabric) {
        snprintf(error, error_bytes, "no memory for the fabric");
        return DM_NO_MEMORY;
    }
    struct stat files[DM_NODES_MAX];
    const size_t prefix = strlen(CONTROL_PATH_PREFIX);
    for (uint32_t node = 0; node < memserver_count; node++) {
        const char *path = memservers[node];
        struct joining joining = {.fabric = fabric,
                                  .node = node,
                                  .path = strncmp(path, CONTROL_PATH_PREFIX, prefix) == 0 ? path + prefix : path,
                                  .memory_fd = -1,
                                  .files = files,
                                  .error = error,
                                  .error_bytes = error_bytes};
        enum dm_status status = node_join(&joining);
        if (status != DM_OK) {
            dm_fabric_close(&fabric->head);
            return status;
        }
        fabric->head.node_count = node + 1;
    }
    if (!local_identify(fabric)) {
        snprintf(error, error_bytes, "cannot find out when this process began: %s; is /proc mounted?", strerror(errno));
        dm_fabric_close(&fabric->head);
        return DM_UNREACHABLE;
    }
    *out = &fabric->head;
    return DM_OK;
}
