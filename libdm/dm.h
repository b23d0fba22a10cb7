/* dm.h: the one public header of libdm, a key-value store on disaggregated memory.
 *
 * A process opens a *pool* (dm_pool) over a *fabric* (dm_fabric), and in each of its threads a *session*
 * (dm_session) bound to a coroutine scheduler (dm_sched). Every data call runs inside a coroutine of the session's
 * scheduler: it looks like a plain blocking call, and lets other coroutines run while remote operations are pending.
 *
 * Thread rules: a pool may be shared by threads; a session, its scheduler and all that comes from them belong to one
 * thread. There is no global state: clock, randomness, memory and log come in through struct dm_env.
 *
 * Not here: Redis, sockets, events (see gateway/), and the wire (see fabric/fabric.h, for providers only).
 */
#ifndef DM_H
#define DM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DM_VERSION "0.1.0"

#if defined(__GNUC__)
#define DM_MUST_USE __attribute__((warn_unused_result))
#define DM_PRINTF(f, a) __attribute__((format(printf, f, a)))
#pragma GCC visibility push(default) /* libdm is compiled with hidden visibility: what is declared here is exported */
#else
#define DM_MUST_USE
#define DM_PRINTF(f, a)
#endif

/* ---- Status ---------------------------------------------------------------------------------------------------- */

enum dm_status {
    DM_OK = 0,
    DM_NOT_FOUND,       /* no such key (or it has expired) */
    DM_NO_MEMORY,       /* the pool is full; nothing was changed */
    DM_TOO_LARGE,       /* key or value above the store's limit; nothing was changed */
    DM_INVALID,         /* an argument or a configuration value is out of range */
    DM_UNREACHABLE,     /* a memory node cannot be reached; nothing was changed */
    DM_UNKNOWN_OUTCOME, /* the operation may or may not have happened, and nothing can tell */
    DM_INCOMPATIBLE,    /* other format or protocol version, other pool, other geometry */
    DM_CORRUPT,         /* memory does not hold what the protocol says it must */
    DM_BUSY,            /* a bounded resource of this process is used up; try again */
    DM_NO_LEASE,        /* this client may have been taken for dead; nothing was changed */
};

/* A short English text for a status; never NULL. */
const char *dm_status_text(enum dm_status status);

/* ---- Environment ----------------------------------------------------------------------------------------------- */

enum dm_log_level { DM_LOG_DEBUG, DM_LOG_VERBOSE, DM_LOG_NOTICE, DM_LOG_WARNING };

/* All that libdm takes from outside. Functions may be called from any thread that uses the library. */
struct dm_env {
    void *context;
    uint64_t (*clock_ns)(void *context); /* monotonic, ns */
    int64_t (*wall_ms)(void *context);   /* Unix time, ms; expiry is measured against it */
    uint64_t (*random_u64)(void *context);
    void *(*allocate)(void *context, size_t bytes); /* 64-byte aligned, zeroed; NULL when there is none */
    void (*release)(void *context, void *memory);
    void (*log)(void *context, enum dm_log_level level, const char *message); /* one line, no newline */
};

/* The operating system's clocks, random numbers and memory; messages of NOTICE and above go to stderr. */
const struct dm_env *dm_env_system(void);

/* ---- Coroutines ------------------------------------------------------------------------------------------------ */

struct dm_sched;

struct dm_sched_config {
    size_t stack_bytes;  /* usable stack of a coroutine; 0 = 64 KiB */
    uint32_t coroutines; /* most coroutines alive at a time; 0 = 16384. Stacks are made on first use and kept. */
};

DM_MUST_USE enum dm_status dm_sched_create(const struct dm_env *env, const struct dm_sched_config *config,
                                           struct dm_sched **out);
/* All coroutines must have ended. */
void dm_sched_destroy(struct dm_sched *sched);

/* Starts fn(argument) in a coroutine at once; returns when it has ended or parked for the first time.
 * May be called from outside or from inside another coroutine. DM_BUSY: too many coroutines; fn was not called. */
DM_MUST_USE enum dm_status dm_sched_spawn(struct dm_sched *sched, void (*fn)(void *argument), void *argument);

/* Resumes what is ready (woken coroutines, due timers) once each; returns how many were resumed. */
size_t dm_sched_run(struct dm_sched *sched);

/* ns until dm_sched_run has something to do by itself: 0 = now, UINT64_MAX = only after a wake from outside. */
uint64_t dm_sched_next_ns(const struct dm_sched *sched);

/* Coroutines alive now. */
uint32_t dm_sched_alive(const struct dm_sched *sched);

/* Inside a coroutine: lets others run and comes back after delay_ns at the earliest (0: after those ready now). */
void dm_coro_sleep(struct dm_sched *sched, uint64_t delay_ns);

/* ---- Fabric ---------------------------------------------------------------------------------------------------- */

struct dm_fabric;

#define DM_NODES_MAX 64

/* One memory node inside this process (embedded pool): zeroed memory that outlives the fabric. */
struct dm_local_memory {
    void *base;
    uint64_t bytes;
};

/* `local` provider over memory of this process. */
DM_MUST_USE enum dm_status dm_fabric_open_embedded(const struct dm_env *env, const struct dm_local_memory *nodes,
                                                   uint32_t node_count, struct dm_fabric **out);

/* `local` provider over memory-node processes on this host: paths of their control sockets, in the pool's order.
 * On failure `error` says which node, what was wrong and what to do. */
DM_MUST_USE enum dm_status dm_fabric_open_local(const struct dm_env *env, const char *const *memservers,
                                                uint32_t memserver_count, struct dm_fabric **out, char *error,
                                                size_t error_bytes);
/* `verbs` provider: how memory nodes are reached over RDMA. dm_verbs_config_init sets what the route and the device
 * decide by themselves (-1, 0 or NULL); only the secret must be given. The memory node takes the same. */
struct dm_verbs_config {
    const void *secret; /* both sides prove that they know it; 16 to 256 bytes */
    uint32_t secret_bytes;
    const char *pool;      /* name of the pool, must be the same on both sides; NULL = "" */
    const char *device;    /* the only device that may be used, such as "mlx5_0"; NULL or "" = the route's */
    uint32_t port;         /* of the device; 0 = the route's */
    int32_t gid_index;     /* -1 = the one of the route's address */
    uint32_t mtu;          /* 256 to 4096; 0 = the path's */
    int32_t traffic_class; /* 0 to 255, on RoCE the IP packets' ToS; -1 = 0 */
    int32_t service_level; /* 0 to 15; -1 = the route's */
    uint32_t timeout;      /* of an unanswered packet: 4.096 us * 2^timeout, 1 to 31; 0 = what suits the device */
    int32_t retry_count;   /* resends of it, 0 to 7, then the connection is broken; -1 = what suits the device */
    uint32_t rnr_retry;    /* resends to a receiver that is not ready, 0 to 7; 7 = for ever */
    bool no_windows;       /* memory node: without memory windows, even if the device has them */
};
void dm_verbs_config_init(struct dm_verbs_config *config);

/* memservers: "rdma://host:port", in the pool's order. The config is copied. On failure `error` says which node, what
 * was wrong and what to do. Starts one thread, which makes and mends connections. */
DM_MUST_USE enum dm_status dm_fabric_open_verbs(const struct dm_env *env, const struct dm_verbs_config *config,
                                                const char *const *memservers, uint32_t memserver_count,
                                                struct dm_fabric **out, char *error, size_t error_bytes);
void dm_fabric_close(struct dm_fabric *fabric);

/* Of this process towards the memory nodes: what struct dm_member shows as `identity`. 0: it has none (embedded). */
uint64_t dm_fabric_identity(const struct dm_fabric *fabric);

/* ---- Pool ------------------------------------------------------------------------------------------------------ */

struct dm_pool;

/* Geometry is fixed when a pool is formatted (by the first to open it). Zero = take what the pool has, or the default
 * when formatting; a non-zero value that differs from the pool's is refused with DM_INCOMPATIBLE. */
struct dm_pool_config {
    const struct dm_env *env;
    struct dm_fabric *fabric; /* stays the caller's; closed after the pool */
    uint32_t replicas;        /* 1..nodes, at most 4; default min(2, nodes) */
    uint64_t region_bytes;    /* unit of placement, power of two; default by size of the nodes */
    uint64_t block_bytes;     /* unit of grant to a client, power of two; default by size of the nodes */
    uint32_t subtables;       /* index subtables of 1008 slots, power of two; default by size of the pool */
    bool existing;            /* a blank pool is refused with DM_NOT_FOUND, and not formatted */
    uint32_t lease_ms;        /* each session promises to show within this time that it lives; 0 = it does not */
    uint64_t cache_bytes;     /* index cache of this process; default 64 MiB; not part of the geometry */
    uint64_t copy_bytes;      /* copies of small objects, for writes in two round trips; default 64 MiB; likewise */
};

DM_MUST_USE enum dm_status dm_pool_open(const struct dm_pool_config *config, struct dm_pool **out, char *error,
                                        size_t error_bytes);
/* All sessions must be closed. */
void dm_pool_close(struct dm_pool *pool);

struct dm_pool_info {
    uint64_t pool_id;
    uint32_t nodes, replicas, subtables, regions;
    uint64_t region_bytes, block_bytes;
    uint64_t blocks_total, blocks_free, blocks_reserve; /* data blocks; free as last seen by this process */
    uint64_t data_bytes_total;                          /* data blocks, one replica counted */
    uint64_t slots_total;
    uint64_t cache_bytes, cache_entries, copy_bytes;
    uint64_t value_bytes_max, key_bytes_max;
};
void dm_pool_info(const struct dm_pool *pool, struct dm_pool_info *out);

/* Behind this time of struct dm_env's clock data calls are refused with DM_NO_LEASE; UINT64_MAX (the beginning): never.
 * For who keeps a lease elsewhere. Any thread. */
void dm_pool_serve_until(struct dm_pool *pool, uint64_t clock_ns);

/* ---- Session --------------------------------------------------------------------------------------------------- */

struct dm_session;

DM_MUST_USE enum dm_status dm_session_open(struct dm_pool *pool, struct dm_sched *sched, struct dm_session **out,
                                           char *error, size_t error_bytes);
/* Hands unused memory back to the pool. No coroutine may be inside a call of this session. */
void dm_session_close(struct dm_session *session);

/* Polls the fabric, runs ready coroutines and due maintenance (never more than a bounded amount).
 * Returns ns until it wants to be called again: 0 = at once, UINT64_MAX = only after new requests. */
uint64_t dm_session_poll(struct dm_session *session);

/* Somebody has taken this client for dead and has cut it off from the pool, or its whole process: it can do nothing any
 * more, and what it had was repaired. End the process, or open everything anew. */
bool dm_session_is_fenced(const struct dm_session *session);

/* A descriptor to wait on while remote operations are pending: it becomes readable when one has ended after
 * dm_session_arm returned true. -1: this fabric's operations end at once, so that nothing is ever to be waited for.
 * Nobody but the session may read it; watching it in an event loop, level triggered, is all that is needed. */
int dm_session_descriptor(const struct dm_session *session);

/* To be called after a dm_session_poll that returned 0, before sleeping on the descriptor. True: the thread may sleep
 * for *wait_ns (UINT64_MAX: as long as it likes). False: there is something to do; poll. */
bool dm_session_arm(struct dm_session *session, uint64_t *wait_ns);

struct dm_key;

/* Told by the session that removes an expired key, once for each: whoever of all sessions of the pool wins its removal.
 * Keys go when somebody meets them, reading, writing or scanning. Not told of: expired values that are overwritten, and
 * removals whose outcome was unknown at first. Called in some coroutine of the session; must not call dm_ functions
 * but dm_sched_spawn. The key is valid during the call only. */
typedef void dm_expired_fn(void *context, const struct dm_key *key);
void dm_session_on_expired(struct dm_session *session, dm_expired_fn *fn, void *context);

/* A client of the pool: a session of any process. */
struct dm_client {
    uint32_t client;    /* number of its record */
    uint64_t owner;     /* the nonce with which it registered */
    uint64_t announced; /* the epoch in which its oldest operation in flight began, and 1; 0: it is idle */
    bool gone;          /* its process has ended without giving the record back; false where the fabric cannot tell */
};

/* All clients that are registered, at most `capacity`. Inside a coroutine. */
DM_MUST_USE enum dm_status dm_session_clients(struct dm_session *session, struct dm_client *out, uint32_t capacity,
                                              uint32_t *count);

/* Repairs clients that are dead, and of which the caller knows that nothing they posted can take effect any more: ends
 * their open rounds, gives their memory back to the pool, and frees their records. Sessions do that by themselves for
 * clients that are `gone`. Inside a coroutine. DM_NOT_FOUND: there is none of them, or somebody else is at it.
 * DM_BUSY: it did not come to its end, try again; what was done is done. */
DM_MUST_USE enum dm_status dm_session_repair(struct dm_session *session, const uint32_t *clients, uint32_t count);

/* ---- Data ------------------------------------------------------------------------------------------------------ */

#define DM_KEY_BYTES_MAX 65535u
#define DM_NO_EXPIRY INT64_C(0)

#define DM_SPACES 16u

struct dm_key {
    const void *bytes;
    uint32_t length;
    uint16_t space; /* below DM_SPACES; keys of different spaces never meet (Redis: the database number) */
};

/* The type of a value; the store keeps it and does not look at it. */
enum dm_type { DM_TYPE_STRING = 0 };

struct dm_value {
    const uint8_t *bytes;
    uint32_t length;
    uint8_t type;
    uint8_t encoding;  /* the caller's */
    int64_t expire_ms; /* absolute Unix ms; DM_NO_EXPIRY = none */
    uint64_t version;  /* differs whenever the content does */
};

/* A value that was read; `value.bytes` stays valid until dm_read_release. Zero-initialise before use. */
struct dm_read {
    struct dm_value value;
    void *buffer; /* libdm's */
};

struct dm_bytes {
    const void *bytes;
    uint32_t length;
};

/* What to write: the value is the parts one after the other (so that APPEND needs no copy of its own). */
struct dm_write {
    struct dm_bytes part[3];
    uint8_t type;
    uint8_t encoding;
    bool essential; /* may use the memory kept back for deletes and expiry when the pool is full */
    bool unchanged; /* read-modify-write: only `encoding` differs from what was read, so the version stays */
    int64_t expire_ms;
};

/* All of these run in a coroutine of the session's scheduler, and are linearizable per key.
 * An expired value counts as absent everywhere. */

/* DM_OK: *out holds the value, release it. DM_NOT_FOUND. Errors leave *out untouched. */
DM_MUST_USE enum dm_status dm_get(struct dm_session *session, const struct dm_key *key, struct dm_read *out);

#define DM_KEYS_MAX 1024u /* in one transaction, in one picture */

/* Many keys with shared round trips, and in one picture: what they all held at one moment (where there are more than
 * DM_KEYS_MAX, each group of so many).
 * statuses[i] is that of keys[i]; reads[i] is to be released where it is DM_OK. */
void dm_get_many(struct dm_session *session, const struct dm_key *keys, uint32_t count, struct dm_read *reads,
                 enum dm_status *statuses);

void dm_read_release(struct dm_session *session, struct dm_read *read);

/* Hints that these keys are about to be used: touches local memory only, never fails, never waits. */
void dm_prefetch(struct dm_session *session, const struct dm_key *keys, uint32_t count);

/* Unconditional write (Redis's plain SET). */
DM_MUST_USE enum dm_status dm_put(struct dm_session *session, const struct dm_key *key, const struct dm_write *write);

/* DM_OK: this call removed it. DM_NOT_FOUND: it was not there. */
DM_MUST_USE enum dm_status dm_delete(struct dm_session *session, const struct dm_key *key);

/* Read-modify-write. */
enum dm_action { DM_KEEP, DM_WRITE, DM_DELETE };

/* `old` is NULL when the key is absent. Called again with a newer `old` when another writer was first, so it must
 * derive everything afresh each time; what the last call decided is what took effect. No dm_ call inside.
 * `*write` is zeroed before each call; bytes it points to must live until dm_update returns, `old`'s bytes do. */
typedef enum dm_action dm_update_fn(void *context, const struct dm_value *old, struct dm_write *write);

/* DM_OK: the last decision took effect (for DM_KEEP nothing was to be done).
 * `old_out` (may be NULL): the value that the last call saw; old_out->buffer is NULL when the key was absent;
 * release it in any case when DM_OK is returned. Errors leave it untouched, and nothing happened
 * (but for DM_UNKNOWN_OUTCOME). */
DM_MUST_USE enum dm_status dm_update(struct dm_session *session, const struct dm_key *key, dm_update_fn *fn,
                                     void *context, struct dm_read *old_out);

/* What a key held, to be compared with what it holds later. */
struct dm_watched {
    uint64_t version; /* of the value, or of its absence; 0: absent, and noted nowhere */
    bool absent;
    uint16_t number; /* of the space: another one after a flush or swap */
};

/* Optimistic locking (Redis's WATCH). The absence of a key is noted in its place, for DM_WATCH_MS / 2 at least, in
 * memory of the pool; whoever wants to compare later than that calls again before. Inside the function of a dm_transact
 * nothing is noted, and what the function itself has decided so far does not count.
 * DM_OK; errors leave *out untouched. */
#define DM_WATCH_MS 60000
DM_MUST_USE enum dm_status dm_watch(struct dm_session *session, const struct dm_key *key, struct dm_watched *out);

/* Has nobody changed, created or deleted the key between two calls of dm_watch? A flush changes keys that are there;
 * of a key that is absent before and behind it nothing more is known, which counts as the same. */
bool dm_watched_same(const struct dm_watched *before, const struct dm_watched *now);

/* Transactions: the keys are read, and what is decided from them takes effect on all of them at once, strictly
 * serializable with everything else that is done to them, by whatever session. */
struct dm_transact {
    const struct dm_key *keys; /* one may be named twice */
    uint32_t count;            /* at least 1; at most DM_KEYS_MAX different ones */
    bool blind;                /* `decide` writes or deletes every key and reads none: saves reading them */
    /* Decides, by calling dm_get, dm_get_many, dm_put, dm_update and dm_delete of this session with these keys, and no
     * other dm_ function but dm_read_release and dm_transact (which becomes part of this one): they see what all keys
     * held at one moment, and what was decided before. Called again when another writer was first, so it must derive
     * everything afresh each time; what the last call decided is what took effect. Keys that it does not change are
     * held fast until it has taken effect, too; when it changes none, nothing is written at all. */
    void (*decide)(void *context);
    void *context;
};

/* DM_OK: the last decision took effect. DM_TOO_LARGE: too many keys, or one too long. Errors: nothing happened (but for
 * DM_UNKNOWN_OUTCOME, behind which it may still take effect). */
DM_MUST_USE enum dm_status dm_transact(struct dm_session *session, const struct dm_transact *request);

/* ---- A look from outside --------------------------------------------------------------------------------------- */

/* For tools: looks at a pool that is in use, only reads, and is no client of it. Belongs to one thread. Its calls
 * block, and must not be made inside a coroutine. */
struct dm_inspector;

struct dm_inspector_config {
    struct dm_pool *pool;
    void (*wait)(void *context, uint64_t ns);                                      /* sleeps for about so long */
    void (*progress)(void *context, const char *what, uint64_t done, uint64_t of); /* NULL: nobody wants to know */
    void *context;
};
DM_MUST_USE enum dm_status dm_inspector_open(const struct dm_inspector_config *config, struct dm_inspector **out,
                                             char *error, size_t error_bytes);
void dm_inspector_close(struct dm_inspector *inspector);

#define DM_CLIENT_NONE UINT32_MAX

/* What a client's record says, and who it is. */
struct dm_member {
    struct dm_client client;
    uint64_t identity; /* of its process (a gateway): the same for all clients of one; 0: not known */
    uint64_t host;     /* see dm_inspector_fence */
    uint32_t process;  /* id of that process, where the fabric is one of this host; else 0 */
    uint32_t lease_ms; /* it promises to renew its lease within this time; 0: it promises nothing */
    uint64_t lease;    /* another number whenever it has been renewed */
    uint32_t repairer; /* the client that repairs it; DM_CLIENT_NONE */
};

/* All clients that are registered, at most `capacity`. */
DM_MUST_USE enum dm_status dm_inspector_members(struct dm_inspector *inspector, struct dm_member *out,
                                                uint32_t capacity, uint32_t *count);

struct dm_usage {
    uint32_t clients_max;
    uint64_t epoch;     /* of reclamation: stands still while a client hangs */
    uint64_t map_epoch; /* of the region map */
    uint64_t repairs;   /* that have begun since the pool was formatted */
    uint64_t blocks_total, blocks_free, blocks_owned, blocks_orphaned; /* data blocks */
    uint64_t block_bytes;
    uint64_t bytes_marked;             /* in owned and orphaned blocks: freed, and noted in a free map */
    uint64_t blocks_of_nobody;         /* owned by clients that are not registered: wait for repair */
    uint16_t space_numbers[DM_SPACES]; /* under which the keys of a space lie; a flush gives another one */
    bool space_changing;               /* a flush or swap is under way */
    bool space_purging;                /* keys that a flush has left behind are still there */
};
DM_MUST_USE enum dm_status dm_inspector_usage(struct dm_inspector *inspector, struct dm_usage *out);

/* Ends the process (gateway) that has this identity, and all access of it to the pool, for good: on `local` it is
 * killed, over RDMA the memory nodes cut it off. DM_OK: all of its clients are `gone`, and nothing that they posted can
 * take effect any more. DM_INVALID: `host` is not this one, so it can only be done there. DM_UNREACHABLE: it cannot be
 * done, the log says why. */
DM_MUST_USE enum dm_status dm_inspector_fence(struct dm_inspector *inspector, uint64_t identity, uint64_t host);

enum dm_fault_kind {
    DM_FAULT_MAP,      /* region map or directory differ between nodes */
    DM_FAULT_REPLICAS, /* of a slot or of a block's word differ, and it is nobody's open round */
    DM_FAULT_OBJECT,   /* behind a slot: not whole on all replicas, or of a key that cannot be there */
    DM_FAULT_TWICE,    /* a key with two slots, or an object that is two things */
    DM_FAULT_BLOCK,    /* a block that is free and in use, or belongs to nobody */
    DM_FAULT_CLIENT,   /* a record that contradicts itself */
    DM_FAULT_LOST,     /* memory that is neither free nor in use: no data is wrong */
    DM_FAULT_KINDS
};
/* A short English name. */
const char *dm_fault_name(enum dm_fault_kind kind);

struct dm_check {
    uint64_t slots, keys, keys_by_space[DM_SPACES]; /* keys: that are there, expired ones that wait included */
    uint64_t keys_left;                             /* of spaces that were flushed, to be removed yet */
    uint64_t tombstones, intents;                   /* on their way out; of transactions under way */
    uint64_t objects_read;
    uint64_t rounds_open;   /* replicas differ, and a client that is registered is at it, */
    uint64_t rounds_dead;   /* of these: it is dead, and waits for repair */
    uint64_t bytes_used;    /* of owned and orphaned blocks; = */
    uint64_t bytes_reached, /*   named by slots, */
        bytes_marked,       /*   + free, and noted in free maps, */
        bytes_owned,        /*   + what the owners of blocks know: free, on its way to be, or being written, */
        bytes_lost,         /*   + what nobody knows, */
        bytes_cut;          /*   + ends of blocks that are too small for an object */
    bool lost_judged;       /* bytes_lost could be told: no client holds up the epoch */
    uint64_t faults[DM_FAULT_KINDS];
};

struct dm_check_config {
    uint64_t patience_ns; /* what looks wrong is looked at again for so long; 0 = 3 s */
    void (*fault)(void *context, enum dm_fault_kind kind, const char *text); /* each, one line */
    void *context;
};

/* Is the pool in order? While it is in use: what is under way is no fault. Reads all of its data once. */
DM_MUST_USE enum dm_status dm_inspector_check(struct dm_inspector *inspector, const struct dm_check_config *config,
                                              struct dm_check *out);

/* ---- All keys -------------------------------------------------------------------------------------------------- */

/* A key that a scan has met. Valid during the call only. */
struct dm_scanned {
    struct dm_key key;
    uint8_t type;
    uint8_t encoding;
    int64_t expire_ms;
    uint32_t value_length;
};

/* Must not call dm_ functions. */
typedef void dm_scan_fn(void *context, const struct dm_scanned *scanned);

#define DM_SPACE_ALL UINT16_MAX /* in a scan: keys of all spaces */

struct dm_scan {
    uint16_t space;
    uint32_t count; /* keys wanted; there may be some more, or fewer where the index is sparse */
    dm_scan_fn *fn;
    void *context;
};

/* Passes some keys of the space to fn. *cursor is 0 to begin, and 0 again when all has been seen; otherwise it is the
 * next call's, on any session of the pool. A key that is there from the first call to the last is passed, once; one
 * that comes or goes meanwhile may be. Errors leave *cursor as it was. */
DM_MUST_USE enum dm_status dm_scan(struct dm_session *session, const struct dm_scan *request, uint64_t *cursor);

struct dm_count {
    uint64_t keys;
    uint64_t expiring; /* of them: those that have an expiry */
};

/* How many keys a space has, in *out; or all (DM_SPACE_ALL), in out[DM_SPACES]. Nothing is looked at but counters of
 * all sessions: one round trip, however many keys there are. Exact when no session creates or removes keys, from some
 * 10 ms behind the last change on; changes made by sessions of the same process count at once. Expired keys count until
 * they are removed. After the death of a session, until the counters have been mended off the request path, it takes a
 * walk over all keys. */
DM_MUST_USE enum dm_status dm_count(struct dm_session *session, uint16_t space, struct dm_count *out);

/* ---- Spaces ---------------------------------------------------------------------------------------------------- */

/* Empties a space (DM_SPACE_ALL: all of them), or exchanges two, at one moment for all clients of the pool: behind the
 * return nobody sees an old value. All operations of all clients wait meanwhile, for two epochs: some 20 ms, and as
 * long as the longest operation under way, but two seconds at most. The memory comes back behind it: dm_space_purge.
 * In a coroutine, not inside another call. DM_INVALID, DM_UNREACHABLE (a node, or one of those operations does not
 * end): nothing has changed. DM_UNKNOWN_OUTCOME. */
DM_MUST_USE enum dm_status dm_space_flush(struct dm_session *session, uint16_t space);
DM_MUST_USE enum dm_status dm_space_swap(struct dm_session *session, uint16_t a, uint16_t b);

/* Walks the index and gives back the memory of what flushes have left, if there may be any. Who has flushed calls it;
 * after the repair of a dead client the repairer does. */
DM_MUST_USE enum dm_status dm_space_purge(struct dm_session *session);

/* ---- Counters -------------------------------------------------------------------------------------------------- */

/* Operations as counted. */
enum dm_kind {
    DM_KIND_GET,
    DM_KIND_PUT,
    DM_KIND_UPDATE,
    DM_KIND_DELETE,
    DM_KIND_GET_MANY,
    DM_KIND_TRANSACT,
    DM_KIND_SCAN,
    DM_KIND_CLEAR,       /* tombstones cleared, off the request path */
    DM_KIND_MAINTENANCE, /* memory: grants, free maps, epochs */
    DM_KIND_COUNT
};
const char *dm_kind_name(enum dm_kind kind);

/* As counted by the fabric. */
struct dm_cost {
    uint64_t round_trips; /* batches posted and waited for */
    uint64_t reads, writes, compare_swaps, fetch_adds;
    uint64_t bytes_read, bytes_written; /* payload; 8 for an atomic, in each direction */
};

struct dm_kind_stats {
    uint64_t operations;
    struct dm_cost cost;
};

struct dm_session_stats {
    struct dm_kind_stats kind[DM_KIND_COUNT];
    uint64_t cache_hits, cache_misses, cache_stale, cache_bypassed;
    uint64_t guesses_right;      /* writes that guessed what they replaced, from a copy, and were right, */
    uint64_t guesses_stale;      /* or not, */
    uint64_t guesses_old;        /* or had a copy that was too old to be certain */
    uint64_t conflicts_lost;     /* rounds lost to another writer */
    uint64_t conflicts_blind_ok; /* ... of them answered OK by T1's rule */
    uint64_t rounds_split;       /* rounds won on the first backup and fixed on others */
    uint64_t rounds_resumed;     /* own rounds that were ended after a failure had left them half done */
    uint64_t rounds_followed;    /* own rounds under which the nodes that count have changed */
    uint64_t outcomes_proved;    /* writes at r = 1 of which the words that followed told whether they had happened */
    uint64_t rounds_open;        /* own rounds that are half done now, because nodes cannot be reached */
    uint64_t reads_repeated;     /* batches that only read, posted again because a node could not be reached */
    uint64_t retries;            /* attempts beyond the first */
    uint64_t insert_conflicts;   /* inserts aborted by the bucket check */
    uint64_t tombstones_reused;  /* SET on a tombstone */
    uint64_t clears_lost;
    uint64_t transactions_aborted; /* attempts of transactions that met another writer */
    uint64_t pictures_retaken;     /* reads of many keys that began again because one of them had changed */
    uint64_t intents_met;          /* words of transactions that were not known to have ended */
    uint64_t objects_torn;         /* reads that met a half-written or foreign object */
    uint64_t expired_keys;         /* removed because their time had come */
    uint64_t out_of_memory;        /* writes refused */
    uint64_t reclaim_deferred;     /* waits of the allocator for the grace period */
    uint64_t buffer_allocations;   /* mallocs of the buffer pool: grows only at new peaks */
    uint64_t objects_allocated, objects_freed;
    uint64_t clients_repaired, rounds_repaired; /* dead clients, and rounds that they had left open */
    uint64_t objects_recovered;                 /* in this session's blocks, lost by clients that died */
    uint64_t bytes_owned_free;                  /* free in blocks that this session owns (one replica counted) */
};
void dm_session_stats(const struct dm_session *session, struct dm_session_stats *out);

/* How long memory nodes took, as the session saw it: of batches that went to one node alone, one in 17 is timed, from
 * posting to the moment at which the coroutine goes on. */
#define DM_LATENCY_BUCKETS 24
#define DM_LATENCY_FIRST_NS UINT64_C(128)
struct dm_node_latency {
    uint64_t batches, nanoseconds; /* timed; those that failed are not among them */
    uint64_t bucket
        [DM_LATENCY_BUCKETS]; /* [i]: below DM_LATENCY_FIRST_NS << i, and not in one before; the last: all others */
};
/* `node` below the pool's number of nodes. On the session's thread. */
void dm_session_node_latency(const struct dm_session *session, uint32_t node, struct dm_node_latency *out);

/* Cost of the last operation that ended on this session (for tests and tools). */
void dm_session_last_cost(const struct dm_session *session, struct dm_cost *out);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif
#endif
