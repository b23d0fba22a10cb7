/* verbs_wire.h: what a gateway and a memory node say to each other over RDMA, byte by byte, and the proofs in it. Pure:
 * no verbs, no state but what the caller gives. Used by fabric/verbs*.c and memserver/verbs*.c, on any thread.
 *
 *   gateway                                                   memory node
 *   control connection: one for each gateway process
 *     REQ  verbs_control_request: version, pool, identity, nonce a   ->
 *                      <-  REP  verbs_control_accept: session, nonce b, proof that the node knows the secret
 *     SEND verbs_message AUTH: proof that the gateway knows the secret   ->
 *                      <-  SEND WELCOME: size of the memory                 or REFUSED, and the connection ends
 *     SEND FENCE, SEAT_TAKE, SEAT_LEAVE, SEAT_LOOK   ->        <-  SEND the same, with the answer
 *   data connection: one for each endpoint, i.e. worker thread; its queue pair is made in the protection domain of the
 *   gateway's identity, and only once the request's proof is right
 *     REQ  verbs_data_request: session, counter, proof by the session's key   ->
 *                      <-  REP  verbs_head
 *                      <-  SEND GRANT: where the memory is, and the key for it
 *   anything refused:  <-  REJ  verbs_reject
 *
 * All proofs are HMAC-SHA256. Magic and version stand at the same place in all versions. Private data of a request has
 * 56 bytes at most (InfiniBand's CM, less the header of the address). Little-endian hosts only, as in fabric.h.
 */
#ifndef DM_FABRIC_VERBS_WIRE_H
#define DM_FABRIC_VERBS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define VERBS_MAGIC UINT32_C(0x56464744) /* "DGFV" */
#define VERBS_VERSION 1u
#define VERBS_NONCE_BYTES 16u
#define VERBS_PROOF_BYTES 32u
#define VERBS_LINK_PROOF_BYTES 16u
#define VERBS_REQUEST_BYTES_MAX 56u
#define VERBS_ACCEPT_BYTES_MAX 196u
#define VERBS_REJECT_BYTES_MAX 148u
#define VERBS_SECRET_BYTES_MIN 16u
#define VERBS_SECRET_BYTES_MAX 256u
#define VERBS_ADDRESS_PREFIX "rdma://"

enum verbs_kind {
    VERBS_CONTROL = 1, /* requests */
    VERBS_DATA = 2,
    VERBS_ACCEPTED = 3, /* answers of the connection manager */
    VERBS_REJECTED = 4,
    VERBS_AUTH = 5, /* messages */
    VERBS_WELCOME = 6,
    VERBS_REFUSED = 7,
    VERBS_GRANT = 8,
    VERBS_FENCE = 9, /* calls: the answer has the same kind */
    VERBS_SEAT_TAKE = 10,
    VERBS_SEAT_LEAVE = 11,
    VERBS_SEAT_LOOK = 12,
};

enum verbs_reason {
    VERBS_REASON_VERSION = 1, /* the head has the node's */
    VERBS_REASON_POOL = 2,
    VERBS_REASON_SECRET = 3,
    VERBS_REASON_SESSION = 4, /* not known (any more): authenticate again */
    VERBS_REASON_IDENTITY_FENCED = 5,
    VERBS_REASON_FULL = 6,
    VERBS_REASON_RESOURCES = 7, /* see the node's log */
};

struct verbs_head {
    uint32_t magic;
    uint16_t version;
    uint16_t kind; /* enum verbs_kind */
};
_Static_assert(sizeof(struct verbs_head) == 8, "wire format");

struct verbs_control_request {
    struct verbs_head head;
    uint64_t pool;     /* hash of the pool's name */
    uint64_t identity; /* of the gateway process */
    uint8_t nonce[VERBS_NONCE_BYTES];
};
_Static_assert(sizeof(struct verbs_control_request) == 40, "wire format");

struct verbs_control_accept {
    struct verbs_head head;
    uint64_t session;
    uint64_t incarnation; /* of the memory: another one after a restart of the node */
    uint8_t nonce[VERBS_NONCE_BYTES];
    uint8_t proof[VERBS_PROOF_BYTES];
};
_Static_assert(sizeof(struct verbs_control_accept) == 72, "wire format");

struct verbs_data_request {
    struct verbs_head head;
    uint64_t session;
    uint64_t counter; /* never twice in a session */
    uint32_t link;    /* the endpoint; a new connection of a link ends its old one first */
    uint32_t reserved;
    uint8_t proof[VERBS_LINK_PROOF_BYTES];
};
_Static_assert(sizeof(struct verbs_data_request) <= VERBS_REQUEST_BYTES_MAX, "wire format");

struct verbs_reject {
    struct verbs_head head;
    uint32_t reason; /* enum verbs_reason */
    uint32_t reserved;
};
_Static_assert(sizeof(struct verbs_reject) == 16, "wire format");

struct verbs_message {
    struct verbs_head head;
    union {
        uint8_t proof[VERBS_PROOF_BYTES]; /* AUTH */
        uint64_t memory_bytes;            /* WELCOME */
        uint32_t reason;                  /* REFUSED */
        struct {
            uint64_t ticket,
                identity;        /* FENCE: of whom; SEAT_*: who asks, and in the answer who holds it or held it last */
            uint32_t seat, held; /* SEAT_*; held: in the answer */
        } call;
        struct {
            uint64_t base, bytes;
            uint32_t rkey, reserved;
        } grant;
    };
};
_Static_assert(sizeof(struct verbs_message) == 40, "wire format");

struct verbs_head verbs_head_make(enum verbs_kind kind);

/* False: not ours, another version (which the head then has), or too short for `bytes`. */
bool verbs_head_check(const void *data, size_t length, size_t bytes);

/* What both sides put into the proofs of one control connection. */
struct verbs_handshake {
    struct verbs_control_request request;
    uint64_t session, incarnation;
    uint8_t nonce[VERBS_NONCE_BYTES]; /* the node's */
};

enum verbs_prover { VERBS_PROVER_NODE, VERBS_PROVER_GATEWAY, VERBS_PROVER_SESSION_KEY };

/* The proof of one side, or the session's key. */
void verbs_proof_make(const struct verbs_handshake *handshake, enum verbs_prover who, const void *secret,
                      uint32_t secret_bytes, uint8_t out[VERBS_PROOF_BYTES]);
void verbs_link_proof_make(const struct verbs_data_request *request, const uint8_t session_key[VERBS_PROOF_BYTES],
                           uint8_t out[VERBS_LINK_PROOF_BYTES]);

/* In a time that does not depend on where they differ. */
bool verbs_proof_equal(const uint8_t *a, const uint8_t *b, size_t bytes);

/* Counters that were used: each at most once, and none that is far behind the highest. */
struct verbs_window {
    uint64_t highest, seen; /* bit i: highest - i was used */
};
bool verbs_window_take(struct verbs_window *window, uint64_t counter);

uint64_t verbs_pool_id(const char *name);

/* "rdma://host:port", "rdma://[v6]:port". False: error says what is wrong. May ask the resolver. */
bool verbs_address_parse(const char *text, struct sockaddr_storage *out, char *error, size_t error_bytes);

/* One line for people: what it is and what to do. */
const char *verbs_reason_text(uint32_t reason);

#endif
