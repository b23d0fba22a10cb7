/* bus.c: the bus thread, and sending to peers; see bus.h. Links from others are bus_in.c's.
 *
 * The thread sleeps in poll until a socket is ready, somebody publishes, or a peer that is down is to be tried again.
 */
#define _GNU_SOURCE
#include "bus.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bus_internal.h"
#include "log.h"
#include "server.h"

#define NS_PER_MS UINT64_C(1000000)
#define RETRY_NS (1000 * NS_PER_MS)
#define QUEUE_BYTES_MAX (16u << 20) /* for one peer: more is dropped */
#define POLL_MS 500                 /* how exact handshakes' time limits are */
#define BACKLOG 64

static uint64_t clock_ns(const struct bus *bus) { return bus->server->env->clock_ns(bus->server->env->context); }

/* ---- Queues ---- */

static void message_release(struct bus_message *message) {
    if (atomic_fetch_sub_explicit(&message->references, 1, memory_order_acq_rel) == 1) {
        free(message);
    }
}

static bool queue_add(struct bus *bus, struct bus_peer *peer, struct bus_message *message) {
    size_t bytes = sizeof *message + message->frame.channel_bytes + message->frame.message_bytes;
    struct bus_queued *queued = malloc(sizeof *queued);
    bool added = false;

    pthread_mutex_lock(&bus->lock);
    if (queued != NULL && peer->queued_bytes + bytes <= QUEUE_BYTES_MAX) {
        *queued = (struct bus_queued){.message = message};
        if (peer->first == NULL) {
            peer->first = queued;
        } else {
            peer->last->next = queued;
        }
        peer->last = queued;
        peer->queued_bytes += bytes;
        atomic_fetch_add_explicit(&message->references, 1, memory_order_relaxed);
        added = true;
    }
    pthread_mutex_unlock(&bus->lock);
    if (!added) {
        free(queued);
    }
    return added;
}

static struct bus_message *queue_take(struct bus *bus, struct bus_peer *peer) {
    struct bus_message *message = NULL;

    pthread_mutex_lock(&bus->lock);
    struct bus_queued *queued = peer->first;

    if (queued != NULL) {
        message = queued->message;
        peer->first = queued->next;
        peer->queued_bytes -= sizeof *message + message->frame.channel_bytes + message->frame.message_bytes;
    }
    pthread_mutex_unlock(&bus->lock);
    free(queued);
    return message;
}

void bus_send(struct bus *bus, enum pubsub_kind kind, const struct resp_arg *channel, const struct resp_arg *message) {
    uint64_t one = 1;

    if (bus->peer_count == 0) {
        return;
    }
    struct bus_message *copy = NULL;

    if (channel->length + message->length <= BUS_BODY_BYTES_MAX) {
        copy = malloc(sizeof *copy + channel->length + message->length);
    }
    if (copy == NULL) {
        atomic_fetch_add_explicit(&bus->dropped, bus->peer_count, memory_order_relaxed);
        return;
    }
    copy->references = 1;
    copy->frame = (struct bus_frame){(uint32_t)channel->length, (uint32_t)message->length, kind, 0};
    memcpy(copy->body, channel->bytes, channel->length);
    memcpy(copy->body + channel->length, message->bytes, message->length);
    for (uint32_t i = 0; i < bus->peer_count; i++) {
        if (!queue_add(bus, &bus->peers[i], copy)) {
            atomic_fetch_add_explicit(&bus->dropped, 1, memory_order_relaxed);
        }
    }
    message_release(copy);
    if (write(bus->wake_fd, &one, sizeof one) < 0 && errno != EAGAIN) {
        log_write(DM_LOG_WARNING, "bus: its thread cannot be woken: %s", strerror(errno));
    }
}

/* ---- A peer ---- */

static void peer_down(struct bus *bus, struct bus_peer *peer, const char *why) {
    struct bus_message *message;
    uint64_t lost = peer->sending != NULL;

    if (!peer->failed_once) {
        log_write(DM_LOG_WARNING, "bus: gateway %s:%s: %s; it misses messages until it is back", peer->host, peer->port,
                  why);
        peer->failed_once = true;
    }
    if (peer->state == BUS_UP) {
        atomic_fetch_sub(&bus->peers_connected, 1);
    }
    if (peer->socket >= 0) {
        close(peer->socket);
    }
    if (peer->sending != NULL) {
        message_release(peer->sending);
    }
    while ((message = queue_take(bus, peer)) != NULL) { /* old news for whoever comes back later */
        message_release(message);
        lost++;
    }
    atomic_fetch_add_explicit(&bus->dropped, lost, memory_order_relaxed);
    peer->socket = -1;
    peer->sending = NULL;
    peer->state = BUS_DOWN;
    peer->retry_ns = clock_ns(bus) + RETRY_NS;
}

static void peer_connect(struct bus *bus, struct bus_peer *peer) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found;
    int on = 1, result = getaddrinfo(peer->host, peer->port, &hints, &found);

    if (result != 0) {
        peer_down(bus, peer, gai_strerror(result));
        return;
    }
    peer->socket = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (peer->socket < 0 || (connect(peer->socket, found->ai_addr, found->ai_addrlen) != 0 && errno != EINPROGRESS)) {
        peer_down(bus, peer, strerror(errno));
    } else {
        setsockopt(peer->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(peer->socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        peer->state = BUS_CONNECTING;
        peer->since_ns = clock_ns(bus);
        peer->in_bytes = 0;
        peer->head_bytes = 0;
        peer->sent = 0;
        peer->sequence = 0;
    }
    freeaddrinfo(found);
}

/* The greeting is there: proves that the secret is known, and asks for the same. */
static void peer_answer(struct bus *bus, struct bus_peer *peer) {
    uint8_t nonce[BUS_NONCE_BYTES];

    if (memcmp(peer->in, BUS_MAGIC, BUS_MAGIC_BYTES) != 0 || !bus_nonce(nonce)) {
        peer_down(bus, peer, "no gateway of this version");
        return;
    }
    bus_keys_derive(bus->server->config->peers_secret, peer->in + BUS_MAGIC_BYTES, nonce, &peer->keys);
    memcpy(peer->head, BUS_MAGIC, BUS_MAGIC_BYTES);
    memcpy(peer->head + BUS_MAGIC_BYTES, nonce, BUS_NONCE_BYTES);
    memcpy(peer->head + BUS_GREETING_BYTES, peer->keys.proof_connector, BUS_PROOF_BYTES);
    peer->head_bytes = BUS_ANSWER_BYTES;
    peer->state = BUS_GREETED;
    peer->in_bytes = 0;
}

static void peer_read(struct bus *bus, struct bus_peer *peer) {
    size_t wanted = peer->state == BUS_CONNECTING ? BUS_GREETING_BYTES : BUS_PROOF_BYTES;
    ssize_t got = read(peer->socket, peer->in + peer->in_bytes, wanted - peer->in_bytes);

    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        peer_down(bus, peer, got == 0 ? "it has closed the link" : strerror(errno));
        return;
    }
    peer->in_bytes += got > 0 ? (size_t)got : 0;
    if (peer->in_bytes < wanted) {
        return;
    }
    if (peer->state == BUS_CONNECTING) {
        peer_answer(bus, peer);
    } else if (peer->state == BUS_GREETED && bus_proof_equal(peer->in, peer->keys.proof_acceptor)) {
        log_write(DM_LOG_NOTICE, "bus: gateway %s:%s is connected", peer->host, peer->port);
        peer->failed_once = false;
        peer->state = BUS_UP;
        peer->in_bytes = 0;
        atomic_fetch_add(&bus->peers_connected, 1);
    } else {
        peer_down(bus, peer, peer->state == BUS_UP ? "it says what it should not" : "it has another peers_secret");
    }
}

/* Takes the next message when the last one is sent. False: there is none. */
static bool peer_next(struct bus *bus, struct bus_peer *peer) {
    if (peer->head_bytes > 0) {
        return true;
    }
    peer->sending = peer->state == BUS_UP ? queue_take(bus, peer) : NULL;
    if (peer->sending == NULL) {
        return false;
    }
    struct bus_frame frame = peer->sending->frame;

    frame.sequence = peer->sequence++;
    bus_head_write(peer->keys.frames, &frame, peer->sending->body, peer->head);
    peer->head_bytes = BUS_HEAD_BYTES;
    peer->sent = 0;
    return true;
}

static void peer_write(struct bus *bus, struct bus_peer *peer) {
    while (peer->socket >= 0 && peer_next(bus, peer)) {
        const struct bus_message *message = peer->sending;
        size_t body = message == NULL ? 0 : message->frame.channel_bytes + message->frame.message_bytes;
        size_t of_body = peer->sent > peer->head_bytes ? peer->sent - peer->head_bytes : 0;
        struct iovec parts[2] = {
            {peer->head + (peer->sent - of_body), peer->head_bytes - (peer->sent - of_body)},
            {message == NULL ? NULL : (void *)(uintptr_t)(message->body + of_body), body - of_body},
        };
        ssize_t sent = writev(peer->socket, parts, message == NULL ? 1 : 2);

        if (sent < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                peer_down(bus, peer, strerror(errno));
            }
            return;
        }
        peer->sent += (size_t)sent;
        if (peer->sent == peer->head_bytes + body) {
            peer->head_bytes = 0;
            peer->sent = 0;
            if (message != NULL) {
                atomic_fetch_add_explicit(&bus->sent, 1, memory_order_relaxed);
                message_release(peer->sending);
                peer->sending = NULL;
            }
        }
    }
}

/* ---- The thread ---- */

static bool peer_has_work(struct bus *bus, const struct bus_peer *peer) {
    pthread_mutex_lock(&bus->lock);
    bool queued = peer->first != NULL;
    pthread_mutex_unlock(&bus->lock);
    return peer->head_bytes > 0 || (peer->state == BUS_UP && queued);
}

static void peers_tend(struct bus *bus, uint64_t now_ns) {
    for (uint32_t i = 0; i < bus->peer_count; i++) {
        struct bus_peer *peer = &bus->peers[i];
        if (peer->state == BUS_DOWN && now_ns >= peer->retry_ns) {
            peer_connect(bus, peer);
        } else if (peer->state != BUS_DOWN && peer->state != BUS_UP && now_ns - peer->since_ns > BUS_HANDSHAKE_NS) {
            peer_down(bus, peer, "it does not answer");
        }
    }
}

/* One look at all sockets. */
static void bus_turn(struct bus *bus) {
    static _Thread_local struct pollfd polls[2 + BUS_PEERS_MAX + BUS_LINKS_IN_MAX];
    struct pollfd *of_peers = polls + 2, *of_links = of_peers + bus->peer_count;
    uint64_t wakes;

    polls[0] = (struct pollfd){.fd = bus->wake_fd, .events = POLLIN};
    polls[1] = (struct pollfd){.fd = bus->listener, .events = POLLIN};
    for (uint32_t i = 0; i < bus->peer_count; i++) {
        bool work = peer_has_work(bus, &bus->peers[i]);
        of_peers[i] = (struct pollfd){.fd = bus->peers[i].socket, .events = (short)(POLLIN | (work ? POLLOUT : 0))};
    }
    for (uint32_t i = 0; i < BUS_LINKS_IN_MAX; i++) {
        of_links[i] = (struct pollfd){.fd = bus->links[i].socket, .events = POLLIN};
    }
    if (poll(polls, 2 + bus->peer_count + BUS_LINKS_IN_MAX, POLL_MS) < 0) {
        return;
    }
    if (polls[0].revents != 0 && read(bus->wake_fd, &wakes, sizeof wakes) < 0) {
        log_write(DM_LOG_DEBUG, "bus: %s", strerror(errno));
    }
    for (uint32_t i = 0; i < bus->peer_count; i++) {
        if ((of_peers[i].revents & (POLLIN | POLLERR | POLLHUP)) != 0) {
            peer_read(bus, &bus->peers[i]);
        }
        if (bus->peers[i].state != BUS_DOWN && (of_peers[i].revents & POLLOUT) != 0) {
            peer_write(bus, &bus->peers[i]);
        }
    }
    for (uint32_t i = 0; i < BUS_LINKS_IN_MAX; i++) {
        if (of_links[i].fd >= 0 && of_links[i].revents != 0) {
            bus_link_read(bus, &bus->links[i]);
        }
    }
    if (bus->listener >= 0 && polls[1].revents != 0) {
        bus_accept(bus, clock_ns(bus));
    }
}

static void *bus_main(void *argument) {
    struct bus *bus = argument;

    while (!atomic_load(&bus->stopping)) {
        peers_tend(bus, clock_ns(bus));
        bus_turn(bus);
        bus_links_expire(bus, clock_ns(bus));
    }
    return NULL;
}

/* ---- Opening and closing ---- */

/* "host:port, [host]:port, ..." */
static bool peers_parse(struct bus *bus, char *error, size_t error_bytes) {
    char text[sizeof bus->server->config->peers], *rest = text;

    strcpy(text, bus->server->config->peers);
    for (char *name = strsep(&rest, ", "); name != NULL; name = strsep(&rest, ", ")) {
        char *colon = strrchr(name, ':');
        struct bus_peer *peer = &bus->peers[bus->peer_count];
        if (*name == '\0') {
            continue;
        }
        if (colon == NULL || colon == name || strlen(colon + 1) == 0 || strlen(colon + 1) > 5 ||
            strspn(colon + 1, "0123456789") != strlen(colon + 1) || bus->peer_count == BUS_PEERS_MAX ||
            (size_t)(colon - name) >= sizeof peer->host) {
            snprintf(error, error_bytes, "[gateway] peers: '%s': must be up to %u of host:port", name, BUS_PEERS_MAX);
            return false;
        }
        *colon = '\0';
        bool bracketed = name[0] == '[' && colon[-1] == ']';
        snprintf(peer->host, sizeof peer->host, "%.*s", (int)strlen(name) - (bracketed ? 2 : 0),
                 name + (bracketed ? 1 : 0));
        snprintf(peer->port, sizeof peer->port, "%s", colon + 1);
        peer->socket = -1;
        bus->peer_count++;
    }
    return true;
}

static bool bus_listen(struct bus *bus, char *error, size_t error_bytes) {
    const struct config *config = bus->server->config;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found;
    char port[8];
    int on = 1;

    snprintf(port, sizeof port, "%u", config->bus_port);
    int result = getaddrinfo(config->bus_bind, port, &hints, &found);

    if (result != 0) {
        snprintf(error, error_bytes, "[gateway] bus_bind = '%s': %s", config->bus_bind, gai_strerror(result));
        return false;
    }
    bus->listener = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(bus->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool listening = bus->listener >= 0 && bind(bus->listener, found->ai_addr, found->ai_addrlen) == 0 &&
                     listen(bus->listener, BACKLOG) == 0;

    freeaddrinfo(found);
    if (!listening) {
        snprintf(error, error_bytes, "cannot listen on %s port %u for other gateways: %s", config->bus_bind,
                 config->bus_port, strerror(errno));
    }
    return listening;
}

static void bus_free(struct bus *bus) {
    for (uint32_t i = 0; i < bus->peer_count; i++) {
        bus->peers[i].failed_once = true; /* nothing to say any more */
        peer_down(bus, &bus->peers[i], "");
    }
    for (uint32_t i = 0; i < BUS_LINKS_IN_MAX; i++) {
        if (bus->links[i].socket >= 0) {
            bus_link_end(bus, &bus->links[i], NULL);
        }
    }
    if (bus->listener >= 0) {
        close(bus->listener);
    }
    if (bus->wake_fd >= 0) {
        close(bus->wake_fd);
    }
    pthread_mutex_destroy(&bus->lock);
    free(bus);
}

static bool bus_start(struct bus *bus, char *error, size_t error_bytes) {
    const struct config *config = bus->server->config;
    sigset_t all, before;

    if (config->peers_secret[0] == '\0') {
        snprintf(error, error_bytes, "[gateway] peers_secret must be given with bus_port and peers");
        return false;
    }
    if (!peers_parse(bus, error, error_bytes) || (config->bus_port != 0 && !bus_listen(bus, error, error_bytes))) {
        return false;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int result = pthread_create(&bus->thread, NULL, bus_main, bus);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result != 0) {
        snprintf(error, error_bytes, "bus: no thread: %s", strerror(result));
    }
    return result == 0;
}

bool bus_open(struct server *server, struct bus **out, char *error, size_t error_bytes) {
    *out = NULL;
    if (server->config->bus_port == 0 && server->config->peers[0] == '\0') {
        return true;
    }
    struct bus *bus = calloc(1, sizeof *bus);

    if (bus == NULL) {
        snprintf(error, error_bytes, "out of memory");
        return false;
    }
    bus->server = server;
    bus->listener = -1;
    bus->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_init(&bus->lock, NULL);
    for (uint32_t i = 0; i < BUS_LINKS_IN_MAX; i++) {
        bus->links[i].socket = -1;
    }
    if (!bus_start(bus, error, error_bytes)) {
        bus_free(bus);
        return false;
    }
    *out = bus;
    return true;
}

void bus_stop(struct bus *bus) {
    uint64_t one = 1;

    atomic_store(&bus->stopping, true);
    if (write(bus->wake_fd, &one, sizeof one) < 0) {
        log_write(DM_LOG_DEBUG, "bus: %s", strerror(errno)); /* it wakes by itself soon */
    }
    pthread_join(bus->thread, NULL);
}

void bus_close(struct bus *bus) { bus_free(bus); }

void bus_stats(struct bus *bus, struct bus_stats *stats) {
    *stats = (struct bus_stats){
        .peers = bus->peer_count,
        .peers_connected = atomic_load(&bus->peers_connected),
        .links_in = atomic_load(&bus->links_in),
        .sent = atomic_load(&bus->sent),
        .received = atomic_load(&bus->received),
        .dropped = atomic_load(&bus->dropped),
        .refused = atomic_load(&bus->refused),
    };
}
