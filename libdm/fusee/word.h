/* word.h: the 8-byte index word ("slot"), the block-table word and the directory word. Pure, no I/O; used by the
 * whole engine on any thread.
 *
 * Slot word (FUSEE, FAST'23 section 4.2, with kinds and tags added):
 *
 *    63      56 55  52 51   47 46    40 39                                   0
 *   +----------+------+-------+--------+--------------------------------------+
 *   | fprint 8 | kind | class |  tag 7 |  address of the object, 64-byte units |
 *   +----------+------+-------+--------+--------------------------------------+
 *
 * The identity of a word is (address, tag), never its kind. The tag is the reclamation epoch, mod 128, in which the
 * operation began that allocated the object (trap T3; see copy.h). A slot that was never used is 0; an empty word that
 * replaced something keeps address and tag of that object, so that it is unique too (protocol rule 3.1, trap T5).
 *
 * Block word: who owns a block of a region.
 *
 *    63  61 60   56 55        40 39                                          0
 *   +------+-------+------------+-----------------------------------------------+
 *   |state3| class |  client 16 |  generation 40                                |
 *   +------+-------+------------+-----------------------------------------------+
 */
#ifndef FUSEE_WORD_H
#define FUSEE_WORD_H

#include <stdbool.h>
#include <stdint.h>

enum word_kind {
    WORD_EMPTY = 0,
    WORD_LIVE_BLIND,  /* written by a plain SET */
    WORD_LIVE_RMW,    /* read-modify-write; recovery words and copies too */
    WORD_TOMBSTONE,   /* deleted, waits for its clear round */
    WORD_PROVISIONAL, /* r = 1: an insert that has not passed its check */
    WORD_INTENT,      /* of a transaction: new or old, see intent.h */
    WORD_PREPARED,    /* r = 1: an intent of a transaction that has not won all its slots yet */
    WORD_FROZEN_LIVE, /* the rest is reserved by the format and refused by this version */
    WORD_FROZEN_VOID,
};

#define WORD_ADDRESS_BITS 40
#define WORD_TAG_BITS 7
#define WORD_TAG_MASK ((1u << WORD_TAG_BITS) - 1)
#define WORD_ADDRESS_MASK ((UINT64_C(1) << WORD_ADDRESS_BITS) - 1)
#define WORD_UNIT_BYTES 64

struct word_parts {
    uint8_t fingerprint;
    enum word_kind kind;
    uint8_t size_class;
    uint8_t tag;
    uint64_t address; /* bytes, a multiple of 64 */
};

static inline uint64_t word_make(struct word_parts parts) {
    return (uint64_t)parts.fingerprint << 56 | (uint64_t)parts.kind << 52 | (uint64_t)parts.size_class << 47 |
           (uint64_t)(parts.tag & WORD_TAG_MASK) << 40 | parts.address / WORD_UNIT_BYTES;
}

static inline uint8_t word_fingerprint(uint64_t word) { return (uint8_t)(word >> 56); }
static inline enum word_kind word_kind(uint64_t word) { return (enum word_kind)(word >> 52 & 15); }
static inline uint8_t word_class(uint64_t word) { return word >> 47 & 31; }
static inline uint8_t word_tag(uint64_t word) { return word >> 40 & WORD_TAG_MASK; }
static inline uint64_t word_address(uint64_t word) { return (word & WORD_ADDRESS_MASK) * WORD_UNIT_BYTES; }

/* Class, tag and address: what names an object. */
static inline uint64_t word_identity(uint64_t word) { return word & ((UINT64_C(1) << 52) - 1); }

static inline bool word_is_live(uint64_t word) {
    return word_kind(word) == WORD_LIVE_BLIND || word_kind(word) == WORD_LIVE_RMW;
}

/* Of a transaction that may be open: intent or prepared. */
static inline bool word_is_intent(uint64_t word) {
    return word_kind(word) == WORD_INTENT || word_kind(word) == WORD_PREPARED;
}

/* A kind that this version of the engine writes itself. */
static inline bool word_is_known(uint64_t word) { return word_kind(word) <= WORD_PREPARED; }

static inline uint64_t word_with_kind(uint64_t word, enum word_kind kind) {
    return (word & ~(UINT64_C(15) << 52)) | (uint64_t)kind << 52;
}

/* The unique empty word that takes the place of `word` (a tombstone, an aborted insert, at r = 1 a live word). */
static inline uint64_t word_emptied(uint64_t word) { return word_identity(word); }

/* May an operation that began in `epoch` take it that `word`, which one of epoch `seen` has seen in the primary, still
 * names the same object wherever it stands? An object freed in epoch s or later is allocated again in s + 1 at the
 * earliest, and nothing is allocated in more than epoch + 1 while the operation is under way; its word comes back only
 * with an epoch of its tag (trap T3, decision 0013). */
static inline bool word_is_certain(uint64_t word, uint32_t seen, uint32_t epoch) {
    int32_t comes_back_in = (int32_t)((word_tag(word) - (seen + 1)) & WORD_TAG_MASK);
    return (int32_t)(epoch - seen) < comes_back_in;
}

/* ---- Block table ----------------------------------------------------------------------------------------------- */

enum block_state {
    BLOCK_FREE = 0,
    BLOCK_SYSTEM,
    BLOCK_OWNED,
    BLOCK_ORPHAN,
    BLOCK_UNSWEPT, /* an orphan in which objects may be lost: who adopts it looks for them (sweep.h) */
};

#define BLOCK_GENERATION_MASK ((UINT64_C(1) << 40) - 1)

static inline uint64_t block_word(enum block_state state, uint8_t size_class, uint16_t client) {
    return (uint64_t)state << 61 | (uint64_t)(size_class & 31) << 56 | (uint64_t)client << 40;
}
/* `next` with the generation that follows `word`'s, so that no block word ever comes back (no ABA). */
static inline uint64_t block_word_after(uint64_t word, uint64_t next) {
    return (next & ~BLOCK_GENERATION_MASK) | ((word + 1) & BLOCK_GENERATION_MASK);
}
static inline enum block_state block_word_state(uint64_t word) { return (enum block_state)(word >> 61); }
static inline uint8_t block_word_class(uint64_t word) { return word >> 56 & 31; }
static inline uint16_t block_word_client(uint64_t word) { return (uint16_t)(word >> 40); }
static inline bool block_word_is_orphan(uint64_t word) {
    return block_word_state(word) == BLOCK_ORPHAN || block_word_state(word) == BLOCK_UNSWEPT;
}

/* The pool's word of repairs (sweep.h): how many have begun, 24 bits, and in which epoch the last one did, 40 bits. */
static inline uint64_t repairs_count(uint64_t repairs) { return repairs >> 40; }
static inline uint64_t repairs_after(uint64_t repairs, uint64_t epoch) {
    return (repairs_count(repairs) + 1) << 40 | (epoch & BLOCK_GENERATION_MASK);
}
static inline uint64_t repairs_epoch(uint64_t repairs) { return repairs & BLOCK_GENERATION_MASK; }

/* ---- Directory ------------------------------------------------------------------------------------------------- */

enum directory_kind { DIRECTORY_NONE = 0, DIRECTORY_LEAF, DIRECTORY_INNER };

/* kind 2 bits, generation 22 bits, address of the subtable in 64-byte units 40 bits */
static inline uint64_t directory_word(enum directory_kind kind, uint32_t generation, uint64_t address) {
    return (uint64_t)kind << 62 | (uint64_t)(generation & 0x3fffff) << 40 | address / WORD_UNIT_BYTES;
}
static inline enum directory_kind directory_word_kind(uint64_t word) { return (enum directory_kind)(word >> 62); }

#endif
