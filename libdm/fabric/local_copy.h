/* local_copy.h: how the `local` provider moves bytes between a node's memory and a local buffer.
 *
 * A node's memory is written and read by many threads and processes at once, without a lock. Its aligned 8-byte words
 * are therefore loaded and stored whole (relaxed atomics cost a plain move); the local side is one thread's.
 * Above LOCAL_WORDWISE_BYTES memcpy takes over: only objects and tables are that long; objects carry a CRC, and the C
 * library moves at least whole aligned words where both sides are aligned. Under the thread sanitizer every length is
 * copied word by word, so that it sees atomics on both sides and not a race.
 *
 * Called by local.c only.
 */
#ifndef DM_FABRIC_LOCAL_COPY_H
#define DM_FABRIC_LOCAL_COPY_H

#include <stdint.h>
#include <string.h>

#if defined(__SANITIZE_THREAD__)
#define LOCAL_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LOCAL_TSAN 1
#endif
#endif

#ifdef LOCAL_TSAN
#define LOCAL_WORDWISE_BYTES UINT32_MAX
#else
#define LOCAL_WORDWISE_BYTES 256u
#endif

#define LOCAL_WORD_BYTES 8u

static inline void local_word_load(uint8_t *local, const uint8_t *remote) {
    uint64_t word = __atomic_load_n((const uint64_t *)(const void *)remote, __ATOMIC_RELAXED);
    memcpy(local, &word, sizeof word);
}

static inline void local_word_store(uint8_t *remote, const uint8_t *local) {
    uint64_t word;
    memcpy(&word, local, sizeof word);
    __atomic_store_n((uint64_t *)(void *)remote, word, __ATOMIC_RELAXED);
}

/* Bytes before the first aligned word of the remote side, at most `length`. */
static inline uint32_t local_head_bytes(const uint8_t *remote, uint32_t length) {
    uint32_t head = (uint32_t)(-(uintptr_t)remote & (LOCAL_WORD_BYTES - 1));
    return head < length ? head : length;
}

static inline void local_bytes_load(uint8_t *local, const uint8_t *remote, uint32_t length) {
    for (uint32_t i = 0; i < length; i++)
        local[i] = __atomic_load_n(remote + i, __ATOMIC_RELAXED);
}

static inline void local_bytes_store(uint8_t *remote, const uint8_t *local, uint32_t length) {
    for (uint32_t i = 0; i < length; i++)
        __atomic_store_n(remote + i, local[i], __ATOMIC_RELAXED);
}

static inline void local_copy_from(uint8_t *local, const uint8_t *remote, uint32_t length) {
    if (length > LOCAL_WORDWISE_BYTES) {
        memcpy(local, remote, length);
        return;
    }
    uint32_t at = local_head_bytes(remote, length);
    local_bytes_load(local, remote, at);
    for (; length - at >= 4 * LOCAL_WORD_BYTES; at += 4 * LOCAL_WORD_BYTES) {
        local_word_load(local + at, remote + at);
        local_word_load(local + at + 8, remote + at + 8);
        local_word_load(local + at + 16, remote + at + 16);
        local_word_load(local + at + 24, remote + at + 24);
    }
    for (; length - at >= LOCAL_WORD_BYTES; at += LOCAL_WORD_BYTES)
        local_word_load(local + at, remote + at);
    local_bytes_load(local + at, remote + at, length - at);
}

static inline void local_copy_to(uint8_t *remote, const uint8_t *local, uint32_t length) {
    if (length > LOCAL_WORDWISE_BYTES) {
        memcpy(remote, local, length);
        return;
    }
    uint32_t at = local_head_bytes(remote, length);
    local_bytes_store(remote, local, at);
    for (; length - at >= 4 * LOCAL_WORD_BYTES; at += 4 * LOCAL_WORD_BYTES) {
        local_word_store(remote + at, local + at);
        local_word_store(remote + at + 8, local + at + 8);
        local_word_store(remote + at + 16, local + at + 16);
        local_word_store(remote + at + 24, local + at + 24);
    }
    for (; length - at >= LOCAL_WORD_BYTES; at += LOCAL_WORD_BYTES)
        local_word_store(remote + at, local + at);
    local_bytes_store(remote + at, local + at, length - at);
}

#endif
