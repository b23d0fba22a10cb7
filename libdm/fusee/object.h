/* object.h: the record that a slot points to, and how to believe it. Pure.
 *
 *     0      4    5    6     8         16       24       28       32         40      48      56       64
 *    +------+----+----+-----+---------+--------+--------+--------+----------+-------+-------+--------+
 *    | crc  |type|enc.|space|  self   |  hash  |key|int.| value n| expire ms| slot  | prev  | origin |  header
 *    +------+----+----+-----+---------+--------+--------+--------+----------+-------+-------+--------+
 *    | key ... | value ... | padding to 8 | slots ... | next: 8 | sequence 48, client 16: 8 |      log entry last
 *    +---------+-----------+--------------+-----------+---------+---------------------------+
 *
 * self:   the slot word under which this object was first written; a reader compares its identity (trap T3)
 * slot:   global address of that slot, a hint for repair
 * prev:   the v_old of the attempt (rule 3.1)
 * origin: names this content: copies and intents that only read keep it, no other content has it
 * int.:   0, or this is an intent of a transaction (intent.h) and has `slots`; see OBJECT_INTENT_*
 * crc:    CRC32C (Castagnoli) over everything behind it, log entry included (trap T6)
 * log:    the operation log of FUSEE section 4.5: a list through all objects of a client and class in the order of
 *         allocation. `next` is the address of the object allocated after this one. An object that was used again
 *         has a higher sequence, so a walk from the head always moves forward and ends at the first lower one.
 */
#ifndef FUSEE_OBJECT_H
#define FUSEE_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dm.h"

struct object_header {
    uint32_t crc;
    uint8_t type;
    uint8_t encoding;
    uint16_t space;
    uint64_t self;
    uint64_t hash;
    uint16_t key_length;
    uint16_t intent;
    uint32_t value_length;
    int64_t expire_ms;
    uint64_t slot;
    uint64_t prev;
    uint64_t origin;
};
_Static_assert(sizeof(struct object_header) == 64, "the header is one cache line");

struct object_log {
    uint64_t next;            /* bytes; 0 = none */
    uint64_t sequence_client; /* sequence << 16 | client */
};
_Static_assert(sizeof(struct object_log) == 16, "format");

/* Type of a note that its key is absent, and watched (libdm/absence.c): live for the protocol, nothing for who reads.
 * Its origin is the absence's version; its expiry is when it may be removed. No caller's value has this type. */
#define OBJECT_TYPE_ABSENT 0xffu

/* A slot of a transaction. */
struct object_slot {
    uint64_t address; /* of the slot, global; where the slots lie apart: the word of the object that has them */
    uint64_t v_old;   /* what the intent replaced */
    uint64_t v_new;   /* the intent */
};
_Static_assert(sizeof(struct object_slot) == 24, "format");

#define OBJECT_INTENT_REMOVED 0x8000u /* the content is "deleted" */
#define OBJECT_INTENT_APART 0x4000u   /* `slots` is one entry, which names the object that has them all */
#define OBJECT_INTENT_COUNT 0x0fffu   /* slots of the transaction */

/* Entries of `slots` in an object with this `intent`. */
static inline uint32_t object_slot_count(uint16_t intent) {
    return (intent & OBJECT_INTENT_APART) != 0 ? 1 : intent & OBJECT_INTENT_COUNT;
}

/* Where `slots` begins in an object with such a key and value. */
static inline uint64_t object_content_bytes(uint64_t key_length, uint64_t value_length) {
    return (sizeof(struct object_header) + key_length + value_length + 7) & ~UINT64_C(7);
}
static inline uint64_t object_intent_bytes(uint64_t key_length, uint64_t value_length, uint16_t intent) {
    return object_content_bytes(key_length, value_length) + object_slot_count(intent) * sizeof(struct object_slot) +
           sizeof(struct object_log);
}

/* Bytes of an object with such a key and value, log entry included. */
static inline uint64_t object_bytes(uint64_t key_length, uint64_t value_length) {
    return object_intent_bytes(key_length, value_length, 0);
}
/* Of the object with this header. */
static inline uint64_t object_length(const struct object_header *header) {
    return object_intent_bytes(header->key_length, header->value_length, header->intent);
}

/* What goes into an object beside its header's own names. */
struct object_content {
    const struct dm_key *key;
    uint64_t hash;
    struct dm_write write;
};

/* Copies key and value to `memory` (their place behind the header) and fills type, lengths, hash and expiry.
 * Returns the object's bytes. self, slot, prev, origin and the log come with object_seal. */
uint32_t object_fill(void *memory, const struct object_content *content);

struct object_names {
    uint64_t self, slot, prev;
    uint64_t origin; /* 0: the content is new */
    struct object_log log;
};

/* Makes the filled object an intent; `slots` are the caller's to fill before it is sealed. Returns the object's bytes.
 * */
uint32_t object_make_intent(void *memory, uint16_t intent);

/* Sets the names and the log entry and computes the CRC; may be called again for another attempt. */
void object_seal(void *memory, const struct object_names *names);

enum object_verdict {
    OBJECT_GOOD,
    OBJECT_OTHER_KEY, /* whole, of this word, but another key */
    OBJECT_BAD,       /* torn, half-written, or not the object that the word names any more */
};

/* Believes nothing until lengths, word identity, key and CRC agree. `bytes` were read at `word`'s address. */
enum object_verdict object_check(const void *memory, uint32_t bytes, uint64_t word, const struct dm_key *key,
                                 uint64_t hash);

/* The same without a key: is the object whole and `word`'s? */
bool object_whole(const void *memory, uint32_t bytes, uint64_t word);

/* For a word that was just read in P under the same address and tag: header and key alone decide (the rest was not
 * read). `bytes` must cover them. */
bool object_key_matches(const void *memory, uint32_t bytes, uint64_t word, const struct dm_key *key, uint64_t hash);

static inline const struct object_header *object_header(const void *memory) { return memory; }
static inline struct object_slot *object_slots(void *memory) {
    const struct object_header *header = memory;
    return (struct object_slot *)((uint8_t *)memory + object_content_bytes(header->key_length, header->value_length));
}
static inline bool object_has_expired(const struct object_header *header, int64_t now_ms) {
    return header->expire_ms != DM_NO_EXPIRY && header->expire_ms <= now_ms;
}
/* Does the object of a live word hold a value that readers see? */
static inline bool object_shows(const struct object_header *header, int64_t now_ms) {
    return header->type != OBJECT_TYPE_ABSENT && !object_has_expired(header, now_ms);
}
static inline const uint8_t *object_key(const void *memory) {
    return (const uint8_t *)memory + sizeof(struct object_header);
}
static inline const uint8_t *object_value(const void *memory) {
    return object_key(memory) + object_header(memory)->key_length;
}

#endif
