/* world.h: clients on the sim fabric: gateways with clocks of their own, sessions, pauses, deaths, and the loop that
 * decides who goes on next. One thread. What clients do is workload.c's. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "dm.h"
#include "history.h"
#include "plan.h"
#include "sim_fabric.h"

/* Things that ought to happen now and then over many seeds. */
enum rare {
    RARE_LOSER_WAITS,
    RARE_BLIND_OK,
    RARE_SPLIT_ROUND,
    RARE_INSERT_CONFLICT,
    RARE_TOMBSTONE_REUSED,
    RARE_CLEAR_LOST,
    RARE_READ_TORN,
    RARE_CACHE_STALE,
    RARE_CACHE_BYPASSED,
    RARE_GUESS_RIGHT,
    RARE_GUESS_STALE,
    RARE_GUESS_OLD,
    RARE_EXPIRED_REMOVED,
    RARE_OUT_OF_MEMORY,
    RARE_RECLAIM_DEFERRED,
    RARE_ADDRESS_REUSED,
    RARE_BLOCK_ADOPTED,
    RARE_BLOCK_RETURNED,
    RARE_BUCKETS_FULL,
    RARE_CHAIN_BROKEN,
    RARE_CHAIN_LATE,
    RARE_LINK_DEAF,
    RARE_LINK_MUTE,
    RARE_NODE_LOST,
    RARE_NODE_RETURNED,
    RARE_NODE_REPLACED,
    RARE_NODE_SETTLED,
    RARE_SETTLING_REPEATED,
    RARE_ROUND_FOLLOWED,
    RARE_ATTACH_REFUSED,
    RARE_ATTACH_STALE,
    RARE_ATTACH_REPEATED,
    RARE_CLOCK_JUMPED,
    RARE_ALLOCATION_REFUSED,
    RARE_CLIENT_KILLED,
    RARE_CLIENT_REPAIRED,
    RARE_ROUND_REPAIRED,
    RARE_OBJECT_RECOVERED,
    RARE_CLIENT_PAUSED,
    RARE_CLIENT_LEFT,
    RARE_OUTCOME_UNKNOWN,
    RARE_ROUND_RESUMED,
    RARE_OUTCOME_PROVED,
    RARE_FLUSH,
    RARE_UNREACHABLE,
    RARE_INTENT_MET,
    RARE_TRANSACTION_ABORTED,
    RARE_PICTURE_RETAKEN,
    RARE_UNSWEPT_ADOPTED,   /* who does it looks for lost objects in it, */
    RARE_OBJECT_UNSWEPT,    /* and finds such ones */
    RARE_OBJECT_UNREADABLE, /* must be none: the primary names whole objects only, and they stay for the grace period */
    RARE_COUNT
};
extern const char *const rare_names[RARE_COUNT];

struct world;

/* A process: one pool, one pair of clocks, one allocator. */
struct gateway {
    struct world *world;
    struct dm_env env;
    struct dm_pool *pool;
    struct prng prng;
    uint64_t clock_offset_ns;
    int64_t wall_offset_ms;
    int64_t wall_reading_ms; /* the last one */
    uint64_t allocated;      /* pieces of memory that are out */
    bool may_refuse;
    uint32_t attached[SIM_NODES_MAX]; /* incarnations of the nodes when its pool was opened */
};

enum client_state { CLIENT_AWAY, CLIENT_HERE, CLIENT_LEAVING, CLIENT_DEAD };

struct client {
    struct world *world;
    uint32_t index;
    enum client_state state;
    struct gateway *gateway;
    struct dm_sched *sched;
    struct dm_session *session;
    uint64_t next_ns;   /* its next turn; UINT64_MAX = when something ends */
    uint64_t paused_ns; /* no turn before that */
    bool only_knows;    /* since its operation began it has posted READs only: it holds no word that others wait for */
    uint32_t workers;   /* coroutines at work */
    uint64_t refused;   /* operations of this session for which there was no memory */
};

enum phase {
    PHASE_SAFETY, /* faults, work */
    PHASE_DRAIN,  /* no more faults: what was begun must end */
    PHASE_VERIFY, /* every client reads every key */
    PHASE_QUIET,  /* background work ends */
};

/* fault.c's. */
struct faults {
    uint32_t partitions;
    uint64_t heal_ns[PLAN_CLIENTS_MAX][SIM_NODES_MAX]; /* 0: the link is whole */
    uint64_t return_ns;                                /* of the lost node; 0: it is not lost */
    bool node_lost;                                    /* it was, once */
    uint64_t settle_ns;                                /* when somebody is to settle that; 0: nobody is */
    struct client *settler;                            /* who is at it */
    bool refused;                                      /* it cannot be settled: the pool rests for good */
};

struct world {
    struct plan plan;
    struct sim_fabric fabric;
    struct prng prng;
    struct gateway gateways[PLAN_CLIENTS_MAX];
    struct client clients[PLAN_CLIENTS_MAX];
    int running;  /* client whose session is being polled, -1 = none */
    int blocking; /* client inside an open or close, -1 = none */
    enum phase phase;
    uint64_t event_limit;
    int64_t wall_high_ms; /* the highest reading of any clock */
    uint64_t sequence;    /* of begins and ends */
    struct history_op *ops;
    uint32_t op_count, op_capacity;
    uint32_t acknowledged;
    uint64_t rare[RARE_COUNT];
    uint32_t deaths, refusals; /* of clients that came */
    struct faults faults;
    struct client *victim; /* is to die, */
    bool victim_amid;      /* in the middle of a batch that changes something */
    void *work;            /* workload.c's */
    void *many;            /* workload_many.c's */
    bool trace;
};

/* Says what is wrong, with the seed, and ends the process. */
_Noreturn void world_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

void world_open(struct world *world, const struct plan *plan, bool trace);
/* Clients open their sessions; workers are started by workload_start whenever one has. */
void world_run(struct world *world, uint64_t until_ns, bool (*done)(struct world *world));
void world_close(struct world *world);
void world_phase(struct world *world, enum phase phase);

/* Counts what the sessions that are open have met. */
void world_count_rare(struct world *world);

/* One client's session closed, within the world going on. */
void world_leave(struct world *world, struct client *client);

/* The client has something to do by itself (a coroutine was spawned). */
void world_wake(struct world *world, struct client *client);

/* A process that attaches now. */
enum dm_status world_attach(struct world *world, struct gateway *gateway, struct dm_pool **out, char *error,
                            size_t error_bytes);

bool world_is_here(const struct client *client);
int64_t world_wall_now_ms(const struct gateway *gateway);

#endif
