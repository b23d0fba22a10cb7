/* bus_internal.h: what bus.c (the thread, those who send) and bus_in.c (links from others) share. */
#ifndef BUS_INTERNAL_H
#define BUS_INTERNAL_H

#include <poll.h>
#include <pthread.h>

#include "bus.h"
#include "bus_frame.h"

#define BUS_PEERS_MAX 64u
#define BUS_LINKS_IN_MAX 128u /* more are refused */
#define BUS_HANDSHAKE_NS UINT64_C(5000000000)

struct bus_message { /* published, on its way to several peers */
    _Atomic uint32_t references;
    struct bus_frame frame; /* but for the sequence */
    char body[];
};

struct bus_queued {
    struct bus_queued *next;
    struct bus_message *message;
};

enum bus_state { BUS_DOWN, BUS_CONNECTING, BUS_GREETED /* answered */, BUS_UP };

/* A gateway that `peers` names: this one connects and sends. The thread's, but for the queue. */
struct bus_peer {
    char host[256], port[8];
    enum bus_state state;
    int socket;
    uint64_t retry_ns, since_ns;
    uint8_t in[BUS_GREETING_BYTES]; /* received of the handshake */
    size_t in_bytes;
    struct bus_keys keys;
    uint64_t sequence;
    /* what is being sent: the handshake's answer, or a frame */
    uint8_t head[BUS_ANSWER_BYTES];
    size_t head_bytes, sent;
    struct bus_message *sending; /* NULL: the head is all */
    bool failed_once;            /* it was said in the log */
    /* under bus->lock */
    struct bus_queued *first, *last;
    size_t queued_bytes;
};

/* A gateway that has connected to this one. The thread's. */
struct bus_link {
    int socket; /* -1: free */
    bool answered;
    uint64_t since_ns, sequence;
    uint8_t nonce[BUS_NONCE_BYTES];
    struct bus_keys keys;
    char *bytes; /* received and not used */
    size_t length, capacity;
};

struct bus {
    struct server *server;
    pthread_t thread;
    int listener; /* -1: none */
    int wake_fd;
    _Atomic bool stopping;
    pthread_mutex_t lock;
    struct bus_peer peers[BUS_PEERS_MAX];
    uint32_t peer_count;
    struct bus_link links[BUS_LINKS_IN_MAX];
    _Atomic uint32_t peers_connected, links_in;
    _Atomic uint64_t sent, received, dropped, refused;
};

/* bus_in.c; the bus thread */
void bus_accept(struct bus *bus, uint64_t now_ns);
void bus_link_read(struct bus *bus, struct bus_link *link);
void bus_link_end(struct bus *bus, struct bus_link *link, const char *why);
/* Ends links that have not proven anything in time. */
void bus_links_expire(struct bus *bus, uint64_t now_ns);

#endif
