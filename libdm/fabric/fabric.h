/* fabric.h: the vocabulary of a reliable connected queue pair, and nothing above it. The contract of every provider.
 *
 * An *endpoint* belongs to one thread and has one queue pair to each memory node. The caller fills a *batch* with
 * operations; those for one node form a *chain*, in the order in which they were added. dm_fabric_execute posts all
 * chains at once (one doorbell per node) and parks the coroutine until every operation of the batch has ended:
 * one batch = one round trip.
 *
 * Ordering that a provider keeps, and that nothing above may exceed:
 *   - on one chain WRITE->WRITE, WRITE->CAS/FAA, WRITE->READ, CAS/FAA->READ, CAS/FAA->CAS/FAA take effect in order;
 *   - READ->WRITE and READ->CAS/FAA do not, unless the later one has DM_OP_FENCE;
 *   - nothing is ordered between chains of one batch; batches that are waited for are ordered;
 *   - a CAS that does not match is no error and does not stop its chain;
 *   - after an error every later operation of the chain is DM_OP_FLUSHED, and an unknown prefix of the chain (the
 *     failed operation and flushed ones included) may have taken effect;
 *   - when a chain has been returned with an error, nothing of it takes effect any more behind anything that the
 *     endpoint posts to that node afterwards: not behind the first operation that is carried out there. (Until then it
 *     may: packets can still be on their way. So whoever repeats the same CAS until it gets an answer has the last
 *     word.)
 *   - an operation on a node that cannot be reached is returned with an error within a bounded time, and not at once
 *     again and again: who repeats it does not spin;
 *   - a READ or WRITE of more than 8 bytes can be torn at 8-byte boundaries; an aligned 8-byte word cannot;
 *   - CAS and FAA work on aligned 8-byte words and are atomic against each other and against 8-byte READs and WRITEs.
 *
 * Remote addresses are byte offsets in the node's memory. Local buffers lie in memory from dm_endpoint_memory; what a
 * READ brings must not overlap a buffer that the batch WRITEs from, and is undefined until the batch has ended, and
 * when the READ has failed.
 * Words are in the byte order of the hosts, which must be little-endian.
 */
#ifndef DM_FABRIC_H
#define DM_FABRIC_H

#include "coro/coro.h"
#include "dm.h"

enum dm_op_kind { DM_OP_READ, DM_OP_WRITE, DM_OP_CAS, DM_OP_FAA };

enum { DM_OP_FENCE = 1 }; /* starts only after all earlier READs and atomics of its chain have ended */

enum dm_op_status { DM_OP_DONE, DM_OP_FAILED, DM_OP_FLUSHED };

struct dm_op {
    uint8_t kind;   /* enum dm_op_kind */
    uint8_t flags;  /* DM_OP_FENCE */
    uint8_t status; /* out: enum dm_op_status */
    uint16_t node;
    uint32_t length;  /* bytes; 8 for CAS and FAA */
    uint64_t remote;  /* byte offset in the node's memory; a multiple of 8 for CAS and FAA */
    void *local;      /* READ: destination, WRITE: source; unused by CAS and FAA */
    uint64_t compare; /* CAS */
    uint64_t operand; /* CAS: new word, FAA: addend */
    uint64_t result;  /* out, CAS and FAA: the word found */
};

#define DM_BATCH_OPS 64

struct dm_batch {
    uint16_t count;
    uint16_t failed;         /* out: operations that are not DM_OP_DONE */
    uint16_t pending;        /* provider's: chains not ended yet */
    struct dm_coro *waiter;  /* provider's: whom to wake */
    struct dm_batch *next;   /* provider's: the batch that waits behind this one */
    struct dm_cost *account; /* caller's: costs are added here too; may be NULL */
    struct dm_op ops[DM_BATCH_OPS];
};

static inline void dm_batch_init(struct dm_batch *batch, struct dm_cost *account) {
    batch->count = 0;
    batch->failed = 0;
    batch->pending = 0;
    batch->waiter = NULL;
    batch->next = NULL;
    batch->account = account;
}

/* Each adds one operation and returns it. The caller sees to it that there is room (dm_batch_room). */
struct dm_op *dm_batch_read(struct dm_batch *batch, uint16_t node, uint64_t remote, void *local, uint32_t length);
struct dm_op *dm_batch_write(struct dm_batch *batch, uint16_t node, uint64_t remote, const void *local,
                             uint32_t length);
struct dm_op *dm_batch_cas(struct dm_batch *batch, uint16_t node, uint64_t remote, uint64_t compare, uint64_t swap);
struct dm_op *dm_batch_faa(struct dm_batch *batch, uint16_t node, uint64_t remote, uint64_t addend);

static inline uint32_t dm_batch_room(const struct dm_batch *batch) { return DM_BATCH_OPS - batch->count; }

/* ---- Provider interface ---------------------------------------------------------------------------------------- */

struct dm_endpoint;

struct dm_fabric_ops {
    const char *name;
    /* Opens an endpoint for the calling thread. */
    enum dm_status (*endpoint_open)(struct dm_fabric *fabric, struct dm_sched *sched, struct dm_endpoint **out);
    void (*endpoint_close)(struct dm_endpoint *endpoint);
    /* Zeroed, 64-byte aligned memory that operations may use as local buffers; NULL when there is none.
     * Lives until the endpoint closes. For pools made at start and rare growth, not for the request path. */
    void *(*endpoint_memory)(struct dm_endpoint *endpoint, size_t bytes);
    /* Posts all chains; returns when all have ended (parking the coroutine if they do not end inline). */
    void (*execute)(struct dm_endpoint *endpoint, struct dm_batch *batch);
    /* Handles completions; returns how many batches ended. */
    size_t (*poll)(struct dm_endpoint *endpoint);
    /* Batches in flight. 0 for a provider that completes inline. */
    uint32_t (*pending)(const struct dm_endpoint *endpoint);
    void (*close)(struct dm_fabric *fabric);
    /* A *seat* is a number that one process at a time can hold. It is empty again when that process leaves it or has
     * ended, however it ended: then nothing that it had posted takes effect any more. A paused process keeps its seats
     * (trap T8). Any thread. NULL where a provider cannot tell: then nobody is ever seen to be dead. */
    bool (*seat_take)(struct dm_fabric *fabric, uint32_t seat); /* false: it is held by another process */
    void (*seat_leave)(struct dm_fabric *fabric, uint32_t seat);
    bool (*seat_empty)(struct dm_fabric *fabric, uint32_t seat); /* nobody holds it, this process included */
    /* Becomes readable when something has ended after `arm` returned true; see dm_session_descriptor. NULL where
     * everything ends inline. */
    int (*descriptor)(const struct dm_endpoint *endpoint);
    /* False: something has ended meanwhile, poll first. NULL as `descriptor`. */
    bool (*arm)(struct dm_endpoint *endpoint);
    /* Ends all access of another client of the nodes, for good: when DM_OK is returned nothing that it posted can take
     * effect any more. Blocks; not for the request path. The log says why when it cannot. NULL where a process cannot
     * be told from others. */
    enum dm_status (*fence)(struct dm_fabric *fabric, uint64_t identity);
    /* The process that an identity of this host is. NULL: identities are no processes of this host. */
    uint32_t (*process)(uint64_t identity);
};

/* Head of every provider's fabric. */
struct dm_fabric {
    const struct dm_fabric_ops *ops;
    const struct dm_env *env;
    uint32_t node_count;
    uint64_t node_bytes[DM_NODES_MAX]; /* memory of each node */
    uint64_t identity;                 /* of this process towards the nodes, for `fence`; 0: the provider has none */
    _Atomic bool fenced;               /* the nodes have said that this identity is; set by providers with `fence` */
    uint64_t host;                     /* only who has the same number can fence it; 0: anybody */
};

/* Head of every provider's endpoint. */
struct dm_endpoint {
    struct dm_fabric *fabric;
    struct dm_sched *sched;
    struct dm_cost total; /* everything this endpoint ever posted */
    uint64_t operations_failed;
};

static inline void dm_fabric_execute(struct dm_endpoint *endpoint, struct dm_batch *batch) {
    endpoint->fabric->ops->execute(endpoint, batch);
}

/* For providers: counts a batch about to be posted into endpoint->total and batch->account. */
void dm_batch_count(struct dm_endpoint *endpoint, const struct dm_batch *batch);

#endif
