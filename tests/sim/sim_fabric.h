/* sim_fabric.h: a `sim` provider of fabric.h in virtual time: one thread, one seed, and exactly as weak as the contract
 * allows. Used by world.c, which runs the clients on it; not a part of libdm.
 *
 * Every operation becomes one or more *pieces* at its node, each an event in virtual time. Operations of a chain keep
 * the order that fabric.h promises and no other: a READ may be passed by later WRITEs and CASes, a CAS by a later
 * WRITE, nothing is ordered between chains, not even those of one endpoint to one node. READs and WRITEs of more than a
 * word come apart at 8-byte boundaries, and WRITEs take their bytes from the caller's buffer when they reach the node.
 * A chain that breaks has a drawn part of its pieces applied, and reports a drawn (not larger) part as done. Its client
 * may be told before all of that has arrived, as with real queue pairs: then the rest comes within a bound, but never
 * behind what the same endpoint posts to that node later: a provider ends the old connection before it uses a new one.
 * (Without that the engine's free maps would not hold: a FAA that takes bits away is repeated after an error.)
 *
 * A seat is empty when its client is dead and all that it had posted has arrived or is lost.
 *
 * Links between a client and a node may lose what is posted (deaf) or what is answered (mute). A node may go away, and
 * come back with its memory, or as another one: then what was opened before does not reach it any more, and whoever
 * had attached to the old one is refused a new endpoint.
 */
#ifndef SIM_FABRIC_H
#define SIM_FABRIC_H

#include "fabric/fabric.h"
#include "report.h"

#define SIM_NODES_MAX 5
#define SIM_CLIENTS_MAX 8
#define SIM_SEATS_MAX 1024

enum sim_link { LINK_GOOD, LINK_DEAF, LINK_MUTE };

/* How the network behaves; drawn from the seed, may be changed while it runs. */
struct sim_net {
    uint64_t latency_ns, latency_spread_ns; /* one way: at least, and drawn on top */
    uint64_t gap_ns;                        /* most between operations of a chain, and between pieces */
    uint32_t stall_permille; /* of the atomic operations behind another one of their chain: they come later */
    uint64_t stall_ns;       /* by so much at most */
    uint64_t tail_ns;        /* now and then much later */
    uint32_t tail_permille;
    uint32_t tear_permille;         /* of operations longer than a word */
    uint32_t late_read_permille;    /* READs that later operations of their chain pass */
    uint32_t break_permyriad;       /* of chains */
    uint32_t late_permille;         /* of those: they arrive after their client was told of the error, */
    uint64_t late_ns;               /* so much later at the most */
    uint64_t timeout_ns;            /* until the silence of a node is an error, at most */
    uint32_t refuse_permille;       /* of endpoints: not opened */
    uint32_t factor[SIM_NODES_MAX]; /* slow nodes: times this */
};

/* What the provider asks of the world around it. */
struct sim_host {
    void *context;
    /* The scheduler's client, -1 for none (a pool being opened). */
    int (*client_of)(void *context, const struct dm_sched *sched);
    /* Who opens an endpoint or a session now; -1: nobody. */
    int (*opener)(void *context);
    /* The incarnations of the nodes that this client's process has attached to; NULL: it is just attaching. */
    const uint32_t *(*attached)(void *context, int client);
    /* A batch of this client was posted. only_read: it changes nothing. */
    void (*posted)(void *context, int client, bool only_read);
    /* A batch of this client has ended: let it poll. */
    void (*completed)(void *context, int client);
    /* Is this client's own poll the caller? Otherwise somebody waits inside libdm, and the world must go on. */
    bool (*is_polling)(void *context, int client);
    /* A CAS has changed a word. */
    void (*swapped)(void *context, const struct dm_op *op);
    /* Goes on by one event, or to `limit_ns` if nothing happens until then. */
    void (*step)(void *context, uint64_t limit_ns);
};

struct sim_fabric {
    struct dm_fabric head;
    struct sim_host host;
    struct sim_net net;
    struct prng prng;
    uint8_t *memory[SIM_NODES_MAX];
    uint64_t now_ns, events, hash;
    bool trace;
    uint64_t broken_chains, late_chains, lost_chains, torn_reads;
    enum sim_link link[SIM_CLIENTS_MAX][SIM_NODES_MAX];
    bool gone[SIM_NODES_MAX];
    bool left_out[SIM_NODES_MAX]; /* the pool goes on without it: nobody minds what memory it has */
    uint32_t incarnation[SIM_NODES_MAX];
    uint8_t seats[SIM_SEATS_MAX]; /* who holds each: client + 1, 0 = nobody */
    bool dead[SIM_CLIENTS_MAX];
    const char *fault; /* an operation broke the caller's side of the contract */
    struct sim_event *heap;
    uint32_t heap_count, heap_capacity;
    struct flight *free_flights, *flights, *late_flights;
};

/* memory: zeroed, one piece a node. */
void sim_fabric_open(struct sim_fabric *fabric, const struct dm_env *env, uint32_t nodes, uint64_t node_bytes);
void sim_fabric_close(struct sim_fabric *fabric);

/* Time of the next event; UINT64_MAX if there is none. */
uint64_t sim_fabric_next_ns(const struct sim_fabric *fabric);
/* Moves the clock to the next event and lets it happen. */
void sim_fabric_advance(struct sim_fabric *fabric);

/* The client is gone: a drawn part of what it has posted still arrives, its coroutines are not woken any more. */
void sim_fabric_kill(struct sim_fabric *fabric, int client);
/* Is a batch of this client that changes something under way, part of it arrived and part of it not? */
bool sim_fabric_is_amid(const struct sim_fabric *fabric, int client);
void sim_fabric_set_link(struct sim_fabric *fabric, int client, uint32_t node, enum sim_link link);
/* The node answers nobody any more, until it comes back: as itself, or as another one (whose memory is the caller's to
 * set). */
void sim_fabric_lose_node(struct sim_fabric *fabric, uint32_t node);
void sim_fabric_return_node(struct sim_fabric *fabric, uint32_t node, bool other);
void sim_fabric_note(struct sim_fabric *fabric, uint64_t what);

#endif
