/* object.c: see object.h. */
#include "fusee/object.h"

#include <isa-l/crc.h>
#include <string.h>

#include "assert.h"
#include "fusee/sizeclass.h"
#include "fusee/word.h"

#define CRC_START 0xffffffffu
#define CRC_OFFSET sizeof(uint32_t)

static uint32_t object_crc(const void *memory, uint64_t bytes) {
    /* isa-l wants a pointer to non-const and an int; it writes nothing, and an object is at most 1 MiB. */
    return crc32_iscsi((unsigned char *)(uintptr_t)memory + CRC_OFFSET, (int)(bytes - CRC_OFFSET), CRC_START);
}

static struct object_log *object_log_entry(void *memory, uint64_t bytes) {
    return (struct object_log *)((uint8_t *)memory + bytes - sizeof(struct object_log));
}

uint32_t object_fill(void *memory, const struct object_content *content) {
    struct object_header *header = memory;
    const struct dm_write *write = &content->write;
    memset(header, 0, sizeof *header);
    header->type = write->type;
    header->encoding = write->encoding;
    header->space = content->key->space;
    header->hash = content->hash;
    header->key_length = (uint16_t)content->key->length;
    header->expire_ms = write->expire_ms;
    uint8_t *to = (uint8_t *)memory + sizeof *header;
    memcpy(to, content->key->bytes, content->key->length);
    to += content->key->length;
    for (size_t i = 0; i < sizeof write->part / sizeof write->part[0]; i++) {
        if (write->part[i].length != 0) {
            memcpy(to, write->part[i].bytes, write->part[i].length);
            to += write->part[i].length;
            header->value_length += write->part[i].length;
        }
    }
    uint64_t bytes = object_bytes(header->key_length, header->value_length);
    uint8_t *log = (uint8_t *)object_log_entry(memory, bytes);
    memset(to, 0, (size_t)(log - to));
    return (uint32_t)bytes;
}

uint32_t object_make_intent(void *memory, uint16_t intent) {
    struct object_header *header = memory;
    header->intent = intent;
    return (uint32_t)object_length(header);
}

/* Tag and address of a word come back one day; hardly ever with a number that mixes to the same. */
static uint64_t object_origin(const struct object_names *names) {
    uint64_t mixed = names->log.sequence_client * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t low = WORD_ADDRESS_BITS + WORD_TAG_BITS;
    return mixed >> low << low | (names->self & ((UINT64_C(1) << low) - 1));
}

void object_seal(void *memory, const struct object_names *names) {
    struct object_header *header = memory;
    header->self = names->self;
    header->slot = names->slot;
    header->prev = names->prev;
    header->origin = names->origin != 0 ? names->origin : object_origin(names);
    uint64_t bytes = object_length(header);
    *object_log_entry(memory, bytes) = names->log;
    header->crc = object_crc(memory, bytes);
}

bool object_whole(const void *memory, uint32_t bytes, uint64_t word) {
    const struct object_header *header = memory;
    if (bytes < SIZECLASS_BYTES_MIN || word_identity(header->self) != word_identity(word)) {
        return false;
    }
    uint64_t length = object_length(header);
    return length <= bytes && header->crc == object_crc(memory, length);
}

static bool object_same_key(const struct object_header *header, const struct dm_key *key, uint64_t hash) {
    return header->hash == hash && header->key_length == key->length && header->space == key->space &&
           memcmp(object_key(header), key->bytes, key->length) == 0;
}

enum object_verdict object_check(const void *memory, uint32_t bytes, uint64_t word, const struct dm_key *key,
                                 uint64_t hash) {
    if (!object_whole(memory, bytes, word)) {
        return OBJECT_BAD;
    }
    return object_same_key(memory, key, hash) ? OBJECT_GOOD : OBJECT_OTHER_KEY;
}

bool object_key_matches(const void *memory, uint32_t bytes, uint64_t word, const struct dm_key *key, uint64_t hash) {
    const struct object_header *header = memory;
    return sizeof *header + key->length <= bytes && word_identity(header->self) == word_identity(word) &&
           object_same_key(header, key, hash);
}
