/* bus_frame.h: the bytes between gateways: the proof that begins a link, and frames with one published message each.
 * Pure; any thread.
 *
 *   acceptor                        connector
 *      | magic, nonce_a ----------------> |
 *      | <---- magic, nonce_c, proof_c -- |     proof_c = HMAC(secret, "connector" nonce_a nonce_c)
 *      | proof_a -----------------------> |     proof_a = HMAC(secret, "acceptor" nonce_a nonce_c)
 *      | <------------------- frame ... - |     key = HMAC(secret, "key" nonce_a nonce_c)
 *
 *   frame: | channel n 4 | message n 4 | kind 4 | 0 4 | sequence 8 | HMAC(key, what stands before and behind) 32 |
 *          | channel | message |
 *
 * HMAC is with SHA-256, numbers are little-endian. The secret never travels; a frame that was changed, left out, or
 * repeated ends the link. Nothing is encrypted.
 */
#ifndef BUS_FRAME_H
#define BUS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUS_MAGIC "FGBUS01\n"
#define BUS_MAGIC_BYTES 8u
#define BUS_NONCE_BYTES 32u
#define BUS_PROOF_BYTES 32u
#define BUS_GREETING_BYTES (BUS_MAGIC_BYTES + BUS_NONCE_BYTES)
#define BUS_ANSWER_BYTES (BUS_GREETING_BYTES + BUS_PROOF_BYTES)
#define BUS_HEAD_BYTES 56u
#define BUS_BODY_BYTES_MAX (64u << 20) /* longer messages stay in their gateway */

struct bus_keys {
    uint8_t proof_connector[BUS_PROOF_BYTES], proof_acceptor[BUS_PROOF_BYTES], frames[BUS_PROOF_BYTES];
};

bool bus_nonce(uint8_t nonce[BUS_NONCE_BYTES]);
void bus_keys_derive(const char *secret, const uint8_t acceptor[BUS_NONCE_BYTES],
                     const uint8_t connector[BUS_NONCE_BYTES], struct bus_keys *keys);
/* Takes the same time wherever they differ. */
bool bus_proof_equal(const uint8_t *a, const uint8_t *b);

struct bus_frame {
    uint32_t channel_bytes, message_bytes, kind;
    uint64_t sequence;
};

/* `body`: the channel, then the message. */
void bus_head_write(const uint8_t key[BUS_PROOF_BYTES], const struct bus_frame *frame, const char *body,
                    uint8_t head[BUS_HEAD_BYTES]);
/* The lengths, not proven yet. False: more than there may be, or no such kind. */
bool bus_head_read(const uint8_t head[BUS_HEAD_BYTES], struct bus_frame *frame);
/* Head and body are what somebody with the key wrote. */
bool bus_frame_proven(const uint8_t key[BUS_PROOF_BYTES], const uint8_t head[BUS_HEAD_BYTES], const char *body);

#endif
