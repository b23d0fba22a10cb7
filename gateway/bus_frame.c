/* bus_frame.c: see bus_frame.h. */
#include "bus_frame.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#define MAC_AT 24u /* in the head */
#define KINDS 3u

_Static_assert(MAC_AT + BUS_PROOF_BYTES == BUS_HEAD_BYTES, "the head ends with its proof");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written as they lie in memory");

struct part {
    const void *bytes;
    size_t length;
};

/* HMAC-SHA256 over the parts. All zeros when it cannot be computed, which then proves nothing: see callers. */
static bool mac(const void *key, size_t key_bytes, const struct part *parts, size_t count,
                uint8_t out[BUS_PROOF_BYTES]) {
    char digest[] = "SHA256";
    OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                               OSSL_PARAM_construct_end()};
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = algorithm == NULL ? NULL : EVP_MAC_CTX_new(algorithm);
    size_t length = 0;
    bool done = context != NULL && EVP_MAC_init(context, key, key_bytes, parameters) == 1;

    for (size_t i = 0; done && i < count; i++) {
        done = EVP_MAC_update(context, parts[i].bytes, parts[i].length) == 1;
    }
    done = done && EVP_MAC_final(context, out, &length, BUS_PROOF_BYTES) == 1;
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(algorithm);
    return done;
}

bool bus_nonce(uint8_t nonce[BUS_NONCE_BYTES]) { return RAND_bytes(nonce, BUS_NONCE_BYTES) == 1; }

bool bus_proof_equal(const uint8_t *a, const uint8_t *b) { return CRYPTO_memcmp(a, b, BUS_PROOF_BYTES) == 0; }

static void derive(const char *secret, const char *purpose, const uint8_t *acceptor, const uint8_t *connector,
                   uint8_t out[BUS_PROOF_BYTES]) {
    const struct part parts[] = {{purpose, strlen(purpose)}, {acceptor, BUS_NONCE_BYTES}, {connector, BUS_NONCE_BYTES}};

    if (!mac(secret, strlen(secret), parts, 3, out)) {
        RAND_bytes(out, BUS_PROOF_BYTES); /* equal to nobody's */
    }
}

void bus_keys_derive(const char *secret, const uint8_t acceptor[BUS_NONCE_BYTES],
                     const uint8_t connector[BUS_NONCE_BYTES], struct bus_keys *keys) {
    derive(secret, "connector", acceptor, connector, keys->proof_connector);
    derive(secret, "acceptor", acceptor, connector, keys->proof_acceptor);
    derive(secret, "key", acceptor, connector, keys->frames);
}

static bool frame_mac(const uint8_t *key, const uint8_t *head, const char *body, size_t length, uint8_t *out) {
    const struct part parts[] = {{head, MAC_AT}, {body, length}};

    return mac(key, BUS_PROOF_BYTES, parts, 2, out);
}

void bus_head_write(const uint8_t key[BUS_PROOF_BYTES], const struct bus_frame *frame, const char *body,
                    uint8_t head[BUS_HEAD_BYTES]) {
    const uint32_t words[4] = {frame->channel_bytes, frame->message_bytes, frame->kind, 0};

    memcpy(head, words, sizeof words);
    memcpy(head + sizeof words, &frame->sequence, sizeof frame->sequence);
    if (!frame_mac(key, head, body, (size_t)frame->channel_bytes + frame->message_bytes, head + MAC_AT)) {
        RAND_bytes(head + MAC_AT, BUS_PROOF_BYTES);
    }
}

bool bus_head_read(const uint8_t head[BUS_HEAD_BYTES], struct bus_frame *frame) {
    uint32_t words[4];

    memcpy(words, head, sizeof words);
    memcpy(&frame->sequence, head + sizeof words, sizeof frame->sequence);
    frame->channel_bytes = words[0];
    frame->message_bytes = words[1];
    frame->kind = words[2];
    return (uint64_t)words[0] + words[1] <= BUS_BODY_BYTES_MAX && words[2] < KINDS && words[3] == 0;
}

bool bus_frame_proven(const uint8_t key[BUS_PROOF_BYTES], const uint8_t head[BUS_HEAD_BYTES], const char *body) {
    uint8_t expected[BUS_PROOF_BYTES];
    struct bus_frame frame;

    return bus_head_read(head, &frame) &&
           frame_mac(key, head, body, (size_t)frame.channel_bytes + frame.message_bytes, expected) &&
           bus_proof_equal(expected, head + MAC_AT);
}
