/* node_probe.c: see node_probe.h. */
#include "node_probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "fabric/control.h"

#define PROBE_TIMEOUT_S 2

static bool probe(int fd, const struct sockaddr_un *address, struct control_status_reply *reply) {
    const struct control_head ask = {
        .magic = CONTROL_MAGIC, .version = CONTROL_VERSION, .type = CONTROL_STATUS, .length = sizeof ask};
    const struct timeval timeout = {.tv_sec = PROBE_TIMEOUT_S};
    return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0 &&
           setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) == 0 &&
           connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 &&
           send(fd, &ask, sizeof ask, MSG_NOSIGNAL) == (ssize_t)sizeof ask &&
           recv(fd, reply, sizeof *reply, 0) >= (ssize_t)sizeof reply->head;
}

static const char *cause_text(int cause) {
    switch (cause) {
    case ENOENT:
        return "there is no such socket; start fusegate-memserver there, or correct the path";
    case ECONNREFUSED:
        return "nobody listens on it, the memory node has ended; start it again";
    case EACCES:
        return "permission denied; run as the user that runs the memory node";
    case EAGAIN:
        return "the memory node does not answer; is it stopped?";
    default:
        return strerror(cause);
    }
}

bool node_probe(const char *address, struct node_state *out, char *error, size_t error_bytes) {
    const size_t prefix = strlen(CONTROL_PATH_PREFIX);
    const char *path = strncmp(address, CONTROL_PATH_PREFIX, prefix) == 0 ? address + prefix : address;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct control_status_reply reply = {0};
    if (strlen(path) >= sizeof at.sun_path) {
        snprintf(error, error_bytes, "the path of a control socket has at most %zu bytes", sizeof at.sun_path - 1);
        return false;
    }
    memcpy(at.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    bool asked = fd >= 0 && probe(fd, &at, &reply);
    int cause = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (!asked) {
        snprintf(error, error_bytes, "%s", cause_text(cause));
        return false;
    }
    if (reply.head.magic != CONTROL_MAGIC || reply.head.version != CONTROL_VERSION ||
        reply.head.type != CONTROL_STATUS_REPLY) {
        snprintf(error, error_bytes, "it is no memory node of this release; run the same release");
        return false;
    }
    *out = (struct node_state){.memory_bytes = reply.memory_bytes,
                               .process = reply.pid,
                               .connections = reply.connections - 1, /* not this one */
                               .connections_max = reply.connections_max,
                               .clients = reply.clients};
    return true;
}
