/* bus_in.c: links that other gateways have made to this one, and the messages that they bring. The bus thread. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus_internal.h"
#include "log.h"
#include "server.h"

#define READ_BYTES (64u * 1024)

void bus_link_end(struct bus *bus, struct bus_link *link, const char *why) {
    if (why != NULL) {
        log_write(DM_LOG_WARNING, "bus: a link from another gateway is closed: %s", why);
        atomic_fetch_add_explicit(&bus->refused, 1, memory_order_relaxed);
    }
    close(link->socket);
    free(link->bytes);
    if (link->answered) {
        atomic_fetch_sub(&bus->links_in, 1);
    }
    *link = (struct bus_link){.socket = -1};
}

void bus_accept(struct bus *bus, uint64_t now_ns) {
    uint8_t greeting[BUS_GREETING_BYTES];
    struct bus_link *link = NULL;
    int socket = accept4(bus->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    for (uint32_t i = 0; i < BUS_LINKS_IN_MAX && link == NULL; i++) {
        link = bus->links[i].socket < 0 ? &bus->links[i] : NULL;
    }
    if (socket < 0) {
        return;
    }
    if (link == NULL) {
        atomic_fetch_add_explicit(&bus->refused, 1, memory_order_relaxed);
        close(socket);
        return;
    }
    *link = (struct bus_link){.socket = socket, .since_ns = now_ns};
    memcpy(greeting, BUS_MAGIC, BUS_MAGIC_BYTES);
    if (!bus_nonce(link->nonce)) {
        bus_link_end(bus, link, "no random numbers");
        return;
    }
    memcpy(greeting + BUS_MAGIC_BYTES, link->nonce, BUS_NONCE_BYTES);
    if (write(socket, greeting, sizeof greeting) != (ssize_t)sizeof greeting) {
        bus_link_end(bus, link, "its socket takes nothing");
    }
}

void bus_links_expire(struct bus *bus, uint64_t now_ns) {
    for (uint32_t i = 0; i < BUS_LINKS_IN_MAX; i++) {
        struct bus_link *link = &bus->links[i];
        if (link->socket >= 0 && !link->answered && now_ns - link->since_ns > BUS_HANDSHAKE_NS) {
            bus_link_end(bus, link, "it does not prove that it knows peers_secret");
        }
    }
}

/* How many bytes of the answer were used; 0: not all there, or the link has ended. */
static size_t answer_take(struct bus *bus, struct bus_link *link) {
    const uint8_t *bytes = (const uint8_t *)link->bytes;

    if (link->length < BUS_ANSWER_BYTES) {
        return 0;
    }
    if (memcmp(bytes, BUS_MAGIC, BUS_MAGIC_BYTES) != 0) {
        bus_link_end(bus, link, "no gateway of this version");
        return 0;
    }
    bus_keys_derive(bus->server->config->peers_secret, link->nonce, bytes + BUS_MAGIC_BYTES, &link->keys);
    if (!bus_proof_equal(link->keys.proof_connector, bytes + BUS_GREETING_BYTES)) {
        bus_link_end(bus, link, "another peers_secret");
        return 0;
    }
    if (write(link->socket, link->keys.proof_acceptor, BUS_PROOF_BYTES) != (ssize_t)BUS_PROOF_BYTES) {
        bus_link_end(bus, link, "its socket takes nothing");
        return 0;
    }
    link->answered = true;
    atomic_fetch_add(&bus->links_in, 1);
    return BUS_ANSWER_BYTES;
}

static void deliver(struct bus *bus, const struct bus_frame *frame, const char *body) {
    const struct resp_arg channel = {body, frame->channel_bytes};
    const struct resp_arg message = {body + frame->channel_bytes, frame->message_bytes};

    atomic_fetch_add_explicit(&bus->received, 1, memory_order_relaxed);
    pubsub_publish(bus->server, NULL, NULL, (enum pubsub_kind)frame->kind, &channel, &message);
}

/* The same for the frame at `at`. */
static size_t frame_take(struct bus *bus, struct bus_link *link, size_t at) {
    const uint8_t *head = (const uint8_t *)link->bytes + at;
    struct bus_frame frame;

    if (link->length - at < BUS_HEAD_BYTES) {
        return 0;
    }
    if (!bus_head_read(head, &frame)) {
        bus_link_end(bus, link, "it sends no frames");
        return 0;
    }
    size_t whole = BUS_HEAD_BYTES + (size_t)frame.channel_bytes + frame.message_bytes;

    if (link->length - at < whole) {
        return 0;
    }
    if (frame.sequence != link->sequence ||
        !bus_frame_proven(link->keys.frames, head, (const char *)head + BUS_HEAD_BYTES)) {
        bus_link_end(bus, link, "a frame was changed on its way");
        return 0;
    }
    link->sequence++;
    deliver(bus, &frame, (const char *)head + BUS_HEAD_BYTES);
    return whole;
}

static void frames_take(struct bus *bus, struct bus_link *link) {
    size_t used = 0, taken;

    do {
        taken = link->answered ? frame_take(bus, link, used) : answer_take(bus, link);
        used += taken;
    } while (taken > 0);
    if (link->socket >= 0 && used > 0) {
        link->length -= used;
        memmove(link->bytes, link->bytes + used, link->length);
    }
}

/* Room for another read: the buffer grows with what has arrived. */
static bool link_room(struct bus_link *link) {
    if (link->capacity - link->length >= READ_BYTES) {
        return true;
    }
    size_t capacity = link->answered ? link->capacity * 2 + READ_BYTES : READ_BYTES;
    char *bytes = capacity > link->capacity ? realloc(link->bytes, capacity) : NULL;

    if (bytes == NULL) {
        return false;
    }
    link->bytes = bytes;
    link->capacity = capacity;
    return true;
}

void bus_link_read(struct bus *bus, struct bus_link *link) {
    if (!link_room(link)) {
        bus_link_end(bus, link, "no memory for what it sends");
        return;
    }
    ssize_t got = read(link->socket, link->bytes + link->length, link->capacity - link->length);

    if (got > 0) {
        link->length += (size_t)got;
        frames_take(bus, link);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        bus_link_end(bus, link, NULL);
    }
}
