/* verbs.h: what the files of the `verbs` provider share: the objects and who owns them. Not for anybody outside of
 * fabric/verbs*.c; what the memory node needs too is in verbs_wire.h and verbs_device.h.
 *
 *   fabric      one a process     device, protection domain, control connection to each node    the connector's
 *   endpoint    one a thread      completion queue, registered memory, a link to each node      its thread's
 *   link        endpoint x node   a queue pair, and the chains on it                            by its state, see below
 *   chain       batch x node      operations of one batch for one node                          the endpoint's thread's
 *
 * The *connector* is the fabric's one thread of its own: it alone talks to rdma_cm, makes, mends and destroys queue
 * pairs, and hears what devices say. A link belongs to the connector or to the endpoint's thread, as its state says,
 * and whoever has it hands it over by changing the state:
 *
 *   connector:  CONNECT --connected--> UP          endpoint: UP --a chain broke, or `lost`--> CLOSE
 *   connector:  CLOSE --queue pair destroyed--> DEAD    endpoint: DEAD --its chains have been ended--> CONNECT
 *   connector:  CONNECT, CLOSE --the endpoint closes--> NONE
 *
 * So a queue pair is gone before anybody is told that its operations have ended, and a new connection of a link ends
 * the old one at the node too, before it is accepted: nothing of a broken chain takes effect behind what is posted
 * later. An operation on a link that is not UP waits for it, but not for long: then it fails, without having been
 * posted.
 */
#ifndef DM_FABRIC_VERBS_H
#define DM_FABRIC_VERBS_H

#include <pthread.h>
#include <stdatomic.h>

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

#include "fabric.h"
#include "verbs_device.h"
#include "verbs_wire.h"

#define VERBS_CHAINS_MAX 1024u  /* in flight or waiting, of one endpoint */
#define VERBS_SEND_DEPTH 256u   /* send queue of a link, if the device has so much */
#define VERBS_INLINE_BYTES 128u /* WRITEs up to this carry their data themselves, if the device can */
#define VERBS_MESSAGES 64u      /* control messages that the receive queue holds */
#define VERBS_NS_PER_MS UINT64_C(1000000)
#define VERBS_OPEN_MS 10000u   /* to connect one node at start */
#define VERBS_CONNECT_MS 2000u /* ... and later */
#define VERBS_HOLD_MS 64u      /* operations wait so long for a link that has just broken; then they fail */
#define VERBS_HOLD_LATER_MS 8u /* ... and so long for one that has been down for */
#define VERBS_DOWN_LONG_MS 1000u
#define VERBS_BACKOFF_MIN_MS 50u
#define VERBS_BACKOFF_MAX_MS 1000u

struct verbs_fabric;
struct verbs_endpoint;

/* ---- Messages --------------------------------------------------------------------------------------------------- */

/* Where messages of some connections arrive: buffers in a shared receive queue, and one to send. */
struct verbs_mailbox {
    struct ibv_comp_channel *channel;
    struct ibv_cq *cq;
    struct ibv_srq *srq;
    struct ibv_mr *mr;
    struct verbs_message *messages; /* VERBS_MESSAGES to receive, one to send */
};

/* ---- Connections ------------------------------------------------------------------------------------------------ */

/* A connection as rdma_cm sees it. The connector's. */
struct verbs_line {
    struct rdma_cm_id *id;
    struct ibv_qp *qp;
    struct verbs_link *link; /* NULL: a control connection */
    uint32_t inline_bytes;   /* what the queue pair takes */
    uint32_t reads_max;      /* READs and atomics that it can have outstanding */
    _Atomic bool lost;       /* the other side or the device ended it; set by the connector, read by both */
};

enum verbs_link_state { VERBS_LINK_CONNECT, VERBS_LINK_UP, VERBS_LINK_CLOSE, VERBS_LINK_DEAD, VERBS_LINK_NONE };

struct verbs_chain;

struct verbs_link {
    _Atomic int state; /* enum verbs_link_state; stored with release by who hands over */
    struct verbs_endpoint *endpoint;
    uint16_t node;
    /* set by the connector before UP */
    struct verbs_line line;
    uint64_t base;
    uint32_t rkey;
    /* the endpoint's thread's */
    uint32_t posted;                          /* work requests in the send queue */
    uint32_t reads;                           /* READs and atomics among them */
    uint64_t broke_ns;                        /* when it was last found broken */
    struct verbs_chain *flying, *flying_last; /* chains posted, oldest first */
    struct verbs_chain *waiting, *waiting_last;
    /* the connector's */
    struct verbs_link *next; /* in its list of work; under `lock` */
    bool was_up;             /* a connection that comes now is one that returns */
};

struct verbs_node {
    char address[256]; /* as configured */
    struct sockaddr_storage at;
    pthread_mutex_t lock;    /* of the control connection: the connector makes it, any thread makes calls over it */
    _Atomic bool connecting; /* the connector has the lock, and may have it for long */
    struct verbs_line line;  /* control connection */
    struct verbs_mailbox mailbox;
    uint64_t ticket; /* of the last call */
    struct verbs_handshake handshake;
    uint8_t session_key[VERBS_PROOF_BYTES];
    uint64_t counter;    /* last one used in a verbs_data_request of this session */
    uint64_t retry_ns;   /* not before */
    uint32_t backoff_ms; /* 0: the last attempt was good */
};

/* ---- Fabric ----------------------------------------------------------------------------------------------------- */

struct verbs_fabric {
    struct dm_fabric head;
    struct dm_verbs_config config; /* secret and names point into what follows */
    uint8_t secret[VERBS_SECRET_BYTES_MAX];
    char device_name[64];
    uint64_t pool_id;
    struct verbs_node nodes[DM_NODES_MAX];
    /* the connector's, made with the first connection */
    struct rdma_event_channel *events;
    struct verbs_device device;
    struct ibv_pd *pd;
    struct verbs_mailbox grants; /* what links receive */
    /* between threads */
    pthread_t thread;
    bool thread_started;
    int wake_fd; /* eventfd: there is work for the connector */
    _Atomic bool stopping;
    _Atomic uint32_t link_ids;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct verbs_link *work; /* links in CONNECT or CLOSE */
    struct verbs_endpoint *endpoints;
};

/* ---- Endpoint --------------------------------------------------------------------------------------------------- */

struct verbs_chain {
    struct verbs_chain *next; /* in a link's list or among the free ones */
    struct dm_batch *batch;
    struct verbs_link *link;
    uint64_t *results;     /* DM_BATCH_OPS words in registered memory: what atomics find */
    uint64_t mark;         /* where answers will be, until they come (verbs_mark.h); 0: not needed */
    uint32_t generation;   /* makes a late completion of an earlier use harmless */
    uint16_t index;        /* among the endpoint's chains */
    uint16_t count;        /* work requests */
    uint16_t reads;        /* READs and atomics among them */
    uint16_t first;        /* operation of the batch that is the first of the chain */
    uint16_t end;          /* the first one that is not to be posted, because it cannot be; DM_BATCH_OPS: none */
    uint16_t failed_from;  /* the first one that a completion says has failed; DM_BATCH_OPS: none */
    uint8_t failed_status; /* enum dm_op_status, of that one */
    bool flying;           /* posted, and not ended */
};

struct verbs_slab { /* registered memory */
    struct verbs_slab *next;
    uint8_t *bytes;
    size_t length, used;
    struct ibv_mr *mr;
    void *allocation;
};

struct verbs_endpoint {
    struct dm_endpoint head;
    struct verbs_endpoint *next; /* of the fabric, under its lock */
    uint32_t id;
    struct ibv_comp_channel *channel;
    struct ibv_cq *cq;
    int wake_fd;        /* eventfd: the connector has handed a link over */
    int epoll_fd;       /* of channel and wake_fd: the descriptor to sleep on */
    _Atomic bool woken; /* wake_fd was written */
    bool armed;         /* a completion makes the channel readable */
    uint32_t send_depth, inline_bytes;
    uint32_t batches; /* in flight, or waiting for a chain */
    struct verbs_slab *slabs;
    struct verbs_chain *chains; /* VERBS_CHAINS_MAX */
    struct verbs_chain *chains_free;
    uint32_t chains_free_count;
    uint64_t marks;                          /* used so far, from a random start */
    struct dm_batch *waiting, *waiting_last; /* batches for which there were not chains enough */
    bool failure_logged;
    _Atomic bool closing; /* links that the connector has are not to be connected any more */
    bool opening;         /* under the fabric's lock: what fails is told in open_error, which ends the wait */
    enum dm_status open_status;
    char open_error[512];
    struct verbs_link links[DM_NODES_MAX];
    struct ibv_send_wr requests[DM_BATCH_OPS]; /* of the chain being posted */
    struct ibv_sge parts[DM_BATCH_OPS];
};

/* ---- verbs_line.c: one connection; connector only ---------------------------------------------------------------- */

struct verbs_line_plan {
    const struct sockaddr_storage *at;
    const void *request;
    uint32_t request_bytes;
    struct verbs_mailbox *mailbox; /* where its messages go */
    struct ibv_cq *send_cq;        /* NULL: the mailbox's */
    uint32_t send_depth, inline_bytes;
    uint64_t deadline_ns;
    void *accept; /* out: the node's private data */
    uint32_t accept_bytes;
};

/* Leaves nothing open when it fails; error says why. *reason: of a rejection by the node, else 0. */
enum dm_status verbs_line_open(struct verbs_fabric *fabric, struct verbs_line *line, const struct verbs_line_plan *plan,
                               uint32_t *reason, char *error, size_t error_bytes);
/* When it returns the queue pair is gone. May be called again. */
void verbs_line_close(struct verbs_fabric *fabric, struct verbs_line *line);

/* Handles one event of rdma_cm, if there is one within wait_ms. Of another line than `line` (may be NULL) it is noted
 * there. True: *out is one of `line`, to be acknowledged by the caller. */
bool verbs_line_event(struct verbs_fabric *fabric, const struct verbs_line *line, int wait_ms,
                      struct rdma_cm_event **out);

/* The line is lost; whoever waits on its link is told. */
void verbs_line_lost(struct verbs_line *line);

/* ---- verbs_node.c: the control connection to a node ------------------------------------------------------------- */

/* Makes it, or makes it again. Connector only. */
enum dm_status verbs_node_connect(struct verbs_fabric *fabric, uint32_t node, uint64_t deadline_ns, char *error,
                                  size_t error_bytes);
static inline bool verbs_node_lost(const struct verbs_node *node) {
    return !node->line.qp || atomic_load(&node->line.lost);
}
/* Connects the line of a link, whose control connection is made again first when that is lost. Connector only. */
enum dm_status verbs_node_link(struct verbs_fabric *fabric, struct verbs_link *link, uint64_t deadline_ns, char *error,
                               size_t error_bytes);
/* Sends the message, gets the answer. Any thread; blocks for a round trip. */
enum dm_status verbs_node_call(struct verbs_fabric *fabric, uint32_t node, struct verbs_message *message,
                               struct verbs_message *answer);

bool verbs_mailbox_open(const struct verbs_fabric *fabric, struct verbs_mailbox *mailbox, char *error,
                        size_t error_bytes);
void verbs_mailbox_close(const struct verbs_fabric *fabric, struct verbs_mailbox *mailbox);

/* ---- verbs_connector.c: the thread ------------------------------------------------------------------------------ */

bool verbs_connector_start(struct verbs_fabric *fabric);
void verbs_connector_stop(struct verbs_fabric *fabric);
/* Ends what waits to be ended; also while a connection is being waited for, because workers wait for it. Connector
 * only. */
void verbs_connector_ends(struct verbs_fabric *fabric);
/* Hands a link over (state CONNECT or CLOSE). */
void verbs_connector_give(struct verbs_fabric *fabric, struct verbs_link *link, enum verbs_link_state state);
/* Something that it waits for has changed. */
void verbs_connector_wake(struct verbs_fabric *fabric);
/* Tells the endpoint's thread to poll. */
void verbs_endpoint_wake(struct verbs_endpoint *endpoint);

/* ---- verbs_endpoint.c, verbs_memory.c, verbs_chain.c, verbs_completion.c: the endpoint's thread ----------------- */

enum dm_status verbs_endpoint_open(struct dm_fabric *fabric, struct dm_sched *sched, struct dm_endpoint **out);
void verbs_endpoint_close(struct dm_endpoint *endpoint);

void *verbs_memory_take(struct dm_endpoint *endpoint, size_t bytes);
void verbs_memory_release(struct verbs_endpoint *endpoint);
/* The key of registered local memory; false when it is not (all of it) registered. */
bool verbs_memory_key(const struct verbs_endpoint *endpoint, const void *bytes, uint32_t length, uint32_t *lkey);

void verbs_batch_execute(struct dm_endpoint *endpoint, struct dm_batch *batch);
/* Posts chains that have been waiting for room. */
void verbs_link_post(struct verbs_endpoint *endpoint, struct verbs_link *link);
/* Starts batches that have been waiting for chains. */
void verbs_batches_resume(struct verbs_endpoint *endpoint);

/* The chain has ended: its operations from index `from` on have failed, the first of them with `status`; from =
 * DM_BATCH_OPS: all that was posted is done. */
void verbs_chain_end(struct verbs_endpoint *endpoint, struct verbs_chain *chain, uint32_t from,
                     enum dm_op_status status);
/* Asks the connector to end the link. */
void verbs_link_break(struct verbs_endpoint *endpoint, struct verbs_link *link);

size_t verbs_poll(struct dm_endpoint *endpoint);
uint32_t verbs_pending(const struct dm_endpoint *endpoint);
int verbs_descriptor(const struct dm_endpoint *endpoint);
bool verbs_arm(struct dm_endpoint *endpoint);
/* Until the descriptor is readable, or most_ms have passed. */
void verbs_endpoint_sleep(struct verbs_endpoint *endpoint, int most_ms);

static inline uint64_t verbs_clock_ns(const struct verbs_fabric *fabric) {
    return fabric->head.env->clock_ns(fabric->head.env->context);
}

void verbs_log(const struct verbs_fabric *fabric, enum dm_log_level level, const char *format, ...) DM_PRINTF(3, 4);

#endif
