/* verbs_wire.c: see verbs_wire.h. HMAC-SHA256 is OpenSSL's. */
#include "verbs_wire.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "assert.h"

#define WINDOW_BITS 64u

struct verbs_head verbs_head_make(enum verbs_kind kind) {
    return (struct verbs_head){.magic = VERBS_MAGIC, .version = VERBS_VERSION, .kind = (uint16_t)kind};
}

bool verbs_head_check(const void *data, size_t length, size_t bytes) {
    struct verbs_head head;
    if (!data || length < bytes || length < sizeof head)
        return false;
    memcpy(&head, data, sizeof head);
    return head.magic == VERBS_MAGIC && head.version == VERBS_VERSION;
}

static void proof_of(const void *key, uint32_t key_bytes, const void *text, size_t text_bytes,
                     uint8_t out[VERBS_PROOF_BYTES]) {
    unsigned length = 0;
    const unsigned char *made = HMAC(EVP_sha256(), key, (int)key_bytes, text, text_bytes, out, &length);
    dm_assert(made && length == VERBS_PROOF_BYTES);
}

void verbs_proof_make(const struct verbs_handshake *handshake, enum verbs_prover who, const void *secret,
                      uint32_t secret_bytes, uint8_t out[VERBS_PROOF_BYTES]) {
    /* No padding in it: every byte is set, and both sides have the same bytes. */
    struct {
        char label[16];
        struct verbs_handshake handshake;
    } text = {.handshake = *handshake};
    _Static_assert(sizeof text == 16 + 40 + 16 + VERBS_NONCE_BYTES, "no padding");
    static const char *const labels[] = {[VERBS_PROVER_NODE] = "fusegate node",
                                         [VERBS_PROVER_GATEWAY] = "fusegate client",
                                         [VERBS_PROVER_SESSION_KEY] = "fusegate key"};
    strncpy(text.label, labels[who], sizeof text.label - 1);
    proof_of(secret, secret_bytes, &text, sizeof text, out);
}

void verbs_link_proof_make(const struct verbs_data_request *request, const uint8_t session_key[VERBS_PROOF_BYTES],
                           uint8_t out[VERBS_LINK_PROOF_BYTES]) {
    uint8_t whole[VERBS_PROOF_BYTES];
    proof_of(session_key, VERBS_PROOF_BYTES, request, offsetof(struct verbs_data_request, proof), whole);
    memcpy(out, whole, VERBS_LINK_PROOF_BYTES);
}

bool verbs_proof_equal(const uint8_t *a, const uint8_t *b, size_t bytes) { return CRYPTO_memcmp(a, b, bytes) == 0; }

bool verbs_window_take(struct verbs_window *window, uint64_t counter) {
    if (counter > window->highest) {
        const uint64_t ahead = counter - window->highest;
        window->seen = ahead < WINDOW_BITS ? window->seen << ahead : 0;
        window->seen |= 1;
        window->highest = counter;
        return true;
    }
    const uint64_t behind = window->highest - counter;
    if (counter == 0 || behind >= WINDOW_BITS || (window->seen >> behind & 1))
        return false;
    window->seen |= UINT64_C(1) << behind;
    return true;
}

uint64_t verbs_pool_id(const char *name) { return XXH3_64bits(name, strlen(name)); }

/* Splits host and port; false when there are not both. */
static bool address_split(const char *text, char host[static 256], char port[static 8]) {
    const char *end;
    const char *colon;
    if (*text == '[') {
        text++;
        end = strchr(text, ']');
        colon = end ? end + 1 : NULL;
    } else {
        end = colon = strrchr(text, ':');
    }
    if (!end || end == text || end - text > 255 || *colon != ':' || strlen(colon + 1) == 0 || strlen(colon + 1) > 5)
        return false;
    memcpy(host, text, (size_t)(end - text));
    host[end - text] = '\0';
    strcpy(port, colon + 1);
    return port[strspn(port, "0123456789")] == '\0' && strtoul(port, NULL, 10) <= UINT16_MAX;
}

bool verbs_address_parse(const char *text, struct sockaddr_storage *out, char *error, size_t error_bytes) {
    const size_t prefix = strlen(VERBS_ADDRESS_PREFIX);
    char host[256];
    char port[8];
    if (strncmp(text, VERBS_ADDRESS_PREFIX, prefix) != 0 || !address_split(text + prefix, host, port)) {
        snprintf(error, error_bytes, "'%.200s': a memory node's address over RDMA is rdma://host:port", text);
        return false;
    }
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    const int cause = getaddrinfo(host, port, &hints, &found);
    if (cause != 0) {
        snprintf(error, error_bytes, "'%.200s': %s; correct the host's name or address", text, gai_strerror(cause));
        return false;
    }
    memset(out, 0, sizeof *out);
    memcpy(out, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return true;
}

const char *verbs_reason_text(uint32_t reason) {
    switch (reason) {
    case VERBS_REASON_VERSION:
        return "it speaks another version of the protocol; run the same release everywhere";
    case VERBS_REASON_POOL:
        return "it belongs to a pool of another name; correct rdma.pool or the address";
    case VERBS_REASON_SECRET:
        return "wrong secret; give both sides the same content in rdma.secret_file";
    case VERBS_REASON_SESSION:
        return "it does not know this session (any more)";
    case VERBS_REASON_IDENTITY_FENCED:
        return "this gateway was fenced: it was taken for dead, and what it had is being repaired; restart it";
    case VERBS_REASON_FULL:
        return "it has no room for another connection; start fewer gateways or workers";
    case VERBS_REASON_RESOURCES:
        return "it has no resources left (locked memory?); its log names them";
    default:
        return "it gives no reason that this version knows; run the same release everywhere";
    }
}
