/* control.c: see control.h. One epoll set: the listening socket, the stop descriptor, and the connections, each of
 * which sends whole packets and gets its answer at once. A peer that sends anything that is not understood, or does
 * not read its answers, is closed with one line in the log. */
#define _GNU_SOURCE
#include "control.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fabric/control.h"
#include "listener.h"
#include "node_log.h"

#define EVENTS_PER_WAIT 64
#define DESCRIPTORS_BESIDE_CONNECTIONS 32u /* stdio, memory, epoll, listener and the C library's */
#define ACCEPT_PAUSE_MS 100                /* when the system has no descriptors left */

struct connection {
    int fd;
    pid_t pid;
    bool has_memory;
};

struct control {
    struct listener listener;
    const struct memory *memory;
    int epoll;
    uint32_t connections_max;
    uint32_t connections; /* open now */
    uint32_t clients;     /* of them: have the memory */
    bool full_logged;     /* since it was last not full */
    struct connection slots[CONTROL_CONNECTIONS_MAX];
};

/* epoll's data: index of a connection, or one of these. */
enum { EVENT_STOP = UINT32_MAX, EVENT_LISTENER = UINT32_MAX - 1 };

union packet {
    struct control_head head;
    uint8_t bytes[CONTROL_MESSAGE_BYTES_MAX];
};

/* ---- Sending ---------------------------------------------------------------------------------------------------- */

static struct control_head head_make(enum control_type type, size_t length) {
    return (struct control_head){
        .magic = CONTROL_MAGIC, .version = CONTROL_VERSION, .type = (uint16_t)type, .length = (uint32_t)length};
}

/* `memory_fd` -1: none goes along. False when the peer does not take it. */
static bool packet_send(int fd, const void *bytes, size_t length, int memory_fd) {
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } ancillary = {.bytes = {0}};
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (memory_fd >= 0) {
        message.msg_control = &ancillary;
        message.msg_controllen = sizeof ancillary.bytes;
        struct cmsghdr *item = CMSG_FIRSTHDR(&message);
        item->cmsg_level = SOL_SOCKET;
        item->cmsg_type = SCM_RIGHTS;
        item->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(item), &memory_fd, sizeof(int));
    }
    return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)length;
}

static void error_send(int fd, enum control_error_code code, const char *text) {
    struct control_error reply = {.head = head_make(CONTROL_ERROR, sizeof reply), .code = code};
    snprintf(reply.text, sizeof reply.text, "%s", text);
    (void)packet_send(fd, &reply, sizeof reply, -1); /* the connection ends anyway */
}

static bool hello_answer(struct control *control, struct connection *connection) {
    const struct control_hello_reply reply = {.head = head_make(CONTROL_HELLO_REPLY, sizeof reply),
                                              .memory_bytes = control->memory->bytes,
                                              .page_bytes = control->memory->page_bytes,
                                              .pid = (uint32_t)getpid(),
                                              .flags = control->memory->huge_pages ? CONTROL_FLAG_HUGE_PAGES : 0};
    if (!packet_send(connection->fd, &reply, sizeof reply, control->memory->fd))
        return false;
    if (!connection->has_memory) {
        connection->has_memory = true;
        control->clients++;
        node_log(DM_LOG_NOTICE, "client connected: pid %ld, %" PRIu32 " now", (long)connection->pid, control->clients);
    }
    return true;
}

static bool status_answer(const struct control *control, const struct connection *connection) {
    const struct control_status_reply reply = {.head = head_make(CONTROL_STATUS_REPLY, sizeof reply),
                                               .memory_bytes = control->memory->bytes,
                                               .pid = (uint32_t)getpid(),
                                               .connections = control->connections,
                                               .connections_max = control->connections_max,
                                               .clients = control->clients};
    return packet_send(connection->fd, &reply, sizeof reply, -1);
}

/* ---- Connections ------------------------------------------------------------------------------------------------ */

static void connection_close(struct control *control, struct connection *connection) {
    close(connection->fd); /* leaves the epoll set by itself */
    if (connection->has_memory) {
        control->clients--;
        node_log(DM_LOG_NOTICE, "client disconnected: pid %ld, %" PRIu32 " left", (long)connection->pid,
                 control->clients);
    }
    *connection = (struct connection){.fd = -1};
    control->connections--;
    control->full_logged = false;
}

/* Says why to the log, and to the peer if it may understand. */
static void connection_reject(struct control *control, struct connection *connection, enum control_error_code code,
                              const char *text) {
    node_log(DM_LOG_WARNING, "closing the connection of pid %ld: %s", (long)connection->pid, text);
    error_send(connection->fd, code, text);
    connection_close(control, connection);
}

static void packet_handle(struct control *control, struct connection *connection, const union packet *packet,
                          size_t length) {
    char text[160];
    const struct control_head *head = &packet->head;
    if (length < sizeof *head || head->magic != CONTROL_MAGIC || head->length != length) {
        snprintf(text, sizeof text, "a message of %zu bytes that is not of the control protocol", length);
        connection_reject(control, connection, CONTROL_ERROR_MESSAGE, text);
        return;
    }
    if (head->version != CONTROL_VERSION) {
        snprintf(text, sizeof text,
                 "control protocol version %u is spoken here, the client speaks version %u; run the same release",
                 CONTROL_VERSION, head->version);
        connection_reject(control, connection, CONTROL_ERROR_VERSION, text);
        return;
    }
    const bool known = length == sizeof *head && (head->type == CONTROL_HELLO || head->type == CONTROL_STATUS);
    if (!known) {
        snprintf(text, sizeof text, "unknown message of type %u and %zu bytes", head->type, length);
        connection_reject(control, connection, CONTROL_ERROR_MESSAGE, text);
        return;
    }
    const bool sent =
        head->type == CONTROL_HELLO ? hello_answer(control, connection) : status_answer(control, connection);
    if (!sent)
        connection_reject(control, connection, CONTROL_ERROR_MESSAGE, "it does not read its answers");
}

/* One packet an event, so that nobody can keep the others waiting. */
static void connection_receive(struct control *control, struct connection *connection) {
    union packet packet;
    ssize_t received = recv(connection->fd, &packet, sizeof packet, MSG_DONTWAIT | MSG_TRUNC);
    if (received < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (received <= 0) {
        connection_close(control, connection);
        return;
    }
    if ((size_t)received > sizeof packet) {
        char text[160];
        snprintf(text, sizeof text, "a message of %zd bytes; the most is %u", received, CONTROL_MESSAGE_BYTES_MAX);
        connection_reject(control, connection, CONTROL_ERROR_MESSAGE, text);
        return;
    }
    packet_handle(control, connection, &packet, (size_t)received);
}

static pid_t peer_pid(int fd) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 ? peer.pid : -1;
}

static void connection_refuse(struct control *control, int fd) {
    char text[160];
    snprintf(text, sizeof text, "too many connections (%" PRIu32 " is the limit)", control->connections_max);
    if (!control->full_logged)
        node_log(DM_LOG_WARNING, "refusing the connection of pid %ld and all until one closes: %s", (long)peer_pid(fd),
                 text);
    control->full_logged = true;
    error_send(fd, CONTROL_ERROR_FULL, text);
    close(fd);
}

static void connection_accept(struct control *control) {
    int fd = accept4(control->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            node_log(DM_LOG_WARNING, "cannot accept a connection: %s", strerror(errno));
            poll(NULL, 0, ACCEPT_PAUSE_MS); /* the waiting one stays ready: do not spin on it */
        }
        return;
    }
    if (control->connections == control->connections_max) {
        connection_refuse(control, fd);
        return;
    }
    uint32_t index = 0;
    while (control->slots[index].fd >= 0)
        index++;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    if (epoll_ctl(control->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        node_log(DM_LOG_WARNING, "cannot watch a connection: %s", strerror(errno));
        close(fd);
        return;
    }
    control->slots[index] = (struct connection){.fd = fd, .pid = peer_pid(fd)};
    control->connections++;
}

/* ---- Server ----------------------------------------------------------------------------------------------------- */

bool control_run(struct control *control, int stop) {
    struct epoll_event events[EVENTS_PER_WAIT] = {{.events = EPOLLIN, .data.u32 = EVENT_STOP}};
    if (epoll_ctl(control->epoll, EPOLL_CTL_ADD, stop, &events[0]) != 0) {
        node_log(DM_LOG_WARNING, "cannot watch for signals: %s", strerror(errno));
        return false;
    }
    for (;;) {
        int count = epoll_wait(control->epoll, events, EVENTS_PER_WAIT, -1);
        if (count < 0 && errno != EINTR) {
            node_log(DM_LOG_WARNING, "cannot wait for events: %s", strerror(errno));
            return false;
        }
        for (int i = 0; i < count; i++) {
            const uint32_t what = events[i].data.u32;
            if (what == EVENT_STOP)
                return true;
            if (what == EVENT_LISTENER)
                connection_accept(control);
            else if (control->slots[what].fd >= 0)
                connection_receive(control, &control->slots[what]);
        }
    }
}

/* As many connections as the process may have descriptors for; raises the soft limit if it can. */
static uint32_t connections_allowed(void) {
    const rlim_t wanted = CONTROL_CONNECTIONS_MAX + DESCRIPTORS_BESIDE_CONNECTIONS;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return CONTROL_CONNECTIONS_MAX;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted) {
        uint32_t allowed = limit.rlim_cur > DESCRIPTORS_BESIDE_CONNECTIONS
                               ? (uint32_t)limit.rlim_cur - DESCRIPTORS_BESIDE_CONNECTIONS
                               : 1;
        node_log(DM_LOG_WARNING, "only %" PRIu32 " connections instead of %u: raise ulimit -n", allowed,
                 CONTROL_CONNECTIONS_MAX);
        return allowed;
    }
    return CONTROL_CONNECTIONS_MAX;
}

bool control_open(const char *path, const struct memory *memory, struct control **out, char *error,
                  size_t error_bytes) {
    struct control *control = calloc(1, sizeof *control);
    if (!control) {
        snprintf(error, error_bytes, "no memory for the control server");
        return false;
    }
    control->memory = memory;
    for (uint32_t i = 0; i < CONTROL_CONNECTIONS_MAX; i++)
        control->slots[i].fd = -1;
    control->connections_max = connections_allowed();
    control->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (control->epoll < 0) {
        snprintf(error, error_bytes, "cannot make an event queue: %s", strerror(errno));
        goto out_free;
    }
    if (!listener_open(&control->listener, path, error, error_bytes))
        goto out_epoll;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = EVENT_LISTENER};
    if (epoll_ctl(control->epoll, EPOLL_CTL_ADD, control->listener.fd, &event) != 0) {
        snprintf(error, error_bytes, "cannot watch the control socket: %s", strerror(errno));
        goto out_listener;
    }
    *out = control;
    return true;
out_listener:
    listener_close(&control->listener);
out_epoll:
    close(control->epoll);
out_free:
    free(control);
    return false;
}

void control_close(struct control *control) {
    listener_close(&control->listener);
    for (uint32_t i = 0; i < CONTROL_CONNECTIONS_MAX; i++)
        if (control->slots[i].fd >= 0)
            close(control->slots[i].fd);
    close(control->epoll);
    free(control);
}
