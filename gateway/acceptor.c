/* acceptor.c: see acceptor.h. Main thread only. */
#define _GNU_SOURCE
#include "acceptor.h"

#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "live.h"
#include "log.h"
#include "socket.h"
#include "worker.h"

#define LISTENERS_MAX 16
#define ACCEPTS_A_TURN 256      /* accepted in one go */
#define REFUSED_LOG_EVERY 1000u /* one message for that many refused clients */
#define PAUSE_MS 100            /* when the process is out of descriptors */

struct listener {
    struct acceptor *acceptor;
    int socket;
    enum connection_kind kind;
    struct event *event;
};

struct acceptor {
    struct server *server;
    struct event_base *base;
    struct listener listeners[LISTENERS_MAX];
    uint32_t count;
    struct event *pause; /* ends a pause */
    uint64_t refused;
};

static const char full_text[] = "-ERR max number of clients reached\r\n";

/* ---- Accepting ---- */

static struct worker *worker_choose(struct server *server) {
    struct worker *best = &server->workers[0];
    uint32_t fewest = UINT32_MAX;

    for (uint32_t i = 0; i < server->worker_count; i++) {
        uint32_t assigned = atomic_load_explicit(&server->workers[i].io->assigned, memory_order_relaxed);
        if (assigned < fewest) {
            fewest = assigned;
            best = &server->workers[i];
        }
    }
    return best;
}

/* What the process was prepared for at its start is more than CONFIG SET can give. */
static uint32_t clients_max(const struct server *server) {
    uint32_t wanted = atomic_load_explicit(&server->live->maxclients, memory_order_relaxed);

    return wanted < server->config->maxclients ? wanted : server->config->maxclients;
}

static void acceptor_refuse(struct acceptor *acceptor, int socket) {
    struct server *server = acceptor->server;

    atomic_fetch_add_explicit(&server->workers[0].stats.connections_rejected, 1, memory_order_relaxed);
    if (acceptor->refused++ % REFUSED_LOG_EVERY == 0) {
        log_write(DM_LOG_WARNING, "maxclients (%u) reached: a new client is refused", clients_max(server));
    }
    if (write(socket, full_text, sizeof full_text - 1) > 0) {
        socket_discard(socket);
    }
    close(socket);
}

static void acceptor_take(struct acceptor *acceptor, int socket, enum connection_kind kind) {
    struct server *server = acceptor->server;

    if (atomic_load_explicit(&server->connections_now, memory_order_relaxed) >= clients_max(server)) {
        acceptor_refuse(acceptor, socket);
        return;
    }
    atomic_fetch_add_explicit(&server->connections_now, 1, memory_order_relaxed);
    if (!worker_hand_over(worker_choose(server), socket, kind)) {
        log_write(DM_LOG_WARNING, "no memory for another connection; it is closed");
        atomic_fetch_sub_explicit(&server->connections_now, 1, memory_order_relaxed);
        close(socket);
    }
}

static void acceptor_on_pause_end(int socket, short what, void *argument) {
    (void)socket;
    (void)what;
    acceptor_start(argument);
}

/* Out of descriptors or memory: the waiting client would wake us at once, again and again. */
static void acceptor_pause(struct acceptor *acceptor) {
    struct timeval pause = {.tv_sec = 0, .tv_usec = PAUSE_MS * 1000};

    log_write(DM_LOG_WARNING, "no client can be accepted: %s", strerror(errno));
    for (uint32_t i = 0; i < acceptor->count; i++) {
        event_del(acceptor->listeners[i].event);
    }
    event_add(acceptor->pause, &pause);
}

static void acceptor_on_client(int listener_socket, short what, void *argument) {
    struct listener *listener = argument;

    (void)what;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        int socket = accept4(listener_socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket >= 0) {
            acceptor_take(listener->acceptor, socket, listener->kind);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            acceptor_pause(listener->acceptor);
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } /* else: that client is gone already */
    }
}

/* ---- Opening ---- */

static int listener_socket_open(const struct addrinfo *address, uint32_t backlog) {
    int on = 1;
    int opened = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (opened < 0) {
        return -1;
    }
    setsockopt(opened, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->ai_family == AF_INET6) {
        setsockopt(opened, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    if (bind(opened, address->ai_addr, address->ai_addrlen) != 0 || listen(opened, (int)backlog) != 0) {
        int cause = errno;
        close(opened);
        errno = cause;
        return -1;
    }
    return opened;
}

static bool acceptor_add(struct acceptor *acceptor, int socket, enum connection_kind kind) {
    struct listener *listener = &acceptor->listeners[acceptor->count];
    char text[128];

    listener->acceptor = acceptor;
    listener->socket = socket;
    listener->kind = kind;
    listener->event = event_new(acceptor->base, socket, EV_READ | EV_PERSIST, acceptor_on_client, listener);
    if (listener->event == NULL) {
        return false;
    }
    acceptor->count++;
    socket_address_format(socket, false, text, sizeof text);
    log_write(DM_LOG_NOTICE, "listening on %s%s", text, kind == CONNECTION_TLS ? " for TLS" : "");
    return true;
}

static const char *bind_advice(int cause) {
    switch (cause) {
    case EADDRINUSE:
        return "; another process has it: stop that one or choose another --gateway.port";
    case EADDRNOTAVAIL:
        return "; this machine does not have that address: see [gateway] bind";
    case EACCES:
        return "; ports below 1024 need a privilege";
    default:
        return "";
    }
}

/* Listens on all that one word of `bind` stands for. */
static bool acceptor_bind(struct acceptor *acceptor, const char *name, enum connection_kind kind, char *error,
                          size_t error_bytes) {
    const struct config *config = acceptor->server->config;
    unsigned port_number = kind == CONNECTION_TLS ? config->tls_port : config->port;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found, *each;
    bool any = strcmp(name, "*") == 0, bound = false;
    char port[8];
    int cause = 0;

    snprintf(port, sizeof port, "%u", port_number);
    int result = getaddrinfo(any ? NULL : name, port, &hints, &found);
    if (result != 0) {
        snprintf(error, error_bytes, "[gateway] bind = '%s': not an address of this machine: %s", name,
                 gai_strerror(result));
        return false;
    }
    for (each = found; each != NULL && acceptor->count < LISTENERS_MAX; each = each->ai_next) {
        int socket = listener_socket_open(each, config->tcp_backlog);
        if (socket < 0) {
            cause = errno;
            if (any && (cause == EAFNOSUPPORT || cause == EADDRNOTAVAIL)) {
                continue; /* "*" means whatever protocols there are */
            }
            bound = false;
            break;
        }
        bound = acceptor_add(acceptor, socket, kind);
    }
    freeaddrinfo(found);
    if (!bound) {
        snprintf(error, error_bytes, "cannot listen on %s port %u: %s%s", name, port_number, strerror(cause),
                 bind_advice(cause));
    }
    return bound;
}

/* All addresses of `bind`, at the port for this kind of clients. */
static bool acceptor_bind_all(struct acceptor *acceptor, enum connection_kind kind, char *error, size_t error_bytes) {
    char names[sizeof acceptor->server->config->bind];
    char *rest = names;
    uint32_t before = acceptor->count;

    strcpy(names, acceptor->server->config->bind);
    for (char *name = strsep(&rest, " "); name != NULL; name = strsep(&rest, " ")) {
        if (*name != '\0' && !acceptor_bind(acceptor, name, kind, error, error_bytes)) {
            return false;
        }
    }
    if (acceptor->count == before) {
        snprintf(error, error_bytes, "[gateway] bind = '%s': no address", acceptor->server->config->bind);
        return false;
    }
    return true;
}

static bool acceptor_bind_unix(struct acceptor *acceptor, char *error, size_t error_bytes) {
    const struct config *config = acceptor->server->config;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    unsigned permissions = 0;
    char behind;

    if (config->unixsocketperm[0] != '\0' &&
        (sscanf(config->unixsocketperm, "%o%c", &permissions, &behind) != 1 || permissions > 0777)) {
        snprintf(error, error_bytes, "[gateway] unixsocketperm = '%s': must be permissions in octal, like 770",
                 config->unixsocketperm);
        return false;
    }
    snprintf(address.sun_path, sizeof address.sun_path, "%s", config->unixsocket);
    unlink(config->unixsocket); /* of one that ended without taking it away, as Redis does */
    int opened = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (opened < 0 || bind(opened, (struct sockaddr *)&address, sizeof address) != 0 ||
        (permissions != 0 && chmod(config->unixsocket, permissions) != 0) ||
        listen(opened, (int)config->tcp_backlog) != 0 || !acceptor_add(acceptor, opened, CONNECTION_UNIX)) {
        snprintf(error, error_bytes, "cannot listen on %s: %s", config->unixsocket, strerror(errno));
        if (opened >= 0) {
            close(opened);
        }
        return false;
    }
    return true;
}

bool acceptor_open(struct server *server, struct event_base *base, struct acceptor **out, char *error,
                   size_t error_bytes) {
    const struct config *config = server->config;
    struct acceptor *acceptor = calloc(1, sizeof *acceptor);

    if (acceptor != NULL) {
        acceptor->pause = evtimer_new(base, acceptor_on_pause_end, acceptor);
    }
    if (acceptor == NULL || acceptor->pause == NULL) {
        snprintf(error, error_bytes, "out of memory");
        free(acceptor);
        return false;
    }
    acceptor->server = server;
    acceptor->base = base;
    if (!acceptor_bind_all(acceptor, CONNECTION_TCP, error, error_bytes) ||
        (config->tls_port != 0 && !acceptor_bind_all(acceptor, CONNECTION_TLS, error, error_bytes)) ||
        (config->unixsocket[0] != '\0' && !acceptor_bind_unix(acceptor, error, error_bytes))) {
        acceptor_close(acceptor);
        return false;
    }
    *out = acceptor;
    return true;
}

void acceptor_start(struct acceptor *acceptor) {
    for (uint32_t i = 0; i < acceptor->count; i++) {
        event_add(acceptor->listeners[i].event, NULL);
    }
}

void acceptor_close(struct acceptor *acceptor) {
    for (uint32_t i = 0; i < acceptor->count; i++) {
        event_free(acceptor->listeners[i].event);
        close(acceptor->listeners[i].socket);
        if (acceptor->listeners[i].kind == CONNECTION_UNIX) {
            unlink(acceptor->server->config->unixsocket);
        }
    }
    event_free(acceptor->pause);
    free(acceptor);
}
