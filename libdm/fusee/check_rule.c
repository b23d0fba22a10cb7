/* check_rule.c: see check_rule.h. */
#include "fusee/check_rule.h"

bool check_names_object(const struct layout *layout, uint8_t class_max, uint64_t word) {
    return word_class(word) <= class_max &&
           layout_is_object(layout, word_address(word), sizeclass_bytes(word_class(word)));
}

bool check_slot_fits(uint64_t hash, uint16_t number) {
    struct index_place place = index_place(hash);
    for (uint32_t b = 0; b < 2; b++) {
        if (number >= place.first_slot[b] && number < place.first_slot[b] + INDEX_COMBINED_SLOTS) {
            return true;
        }
    }
    return false;
}

bool check_object_belongs(const struct object_header *header, uint64_t word, const struct check_slot *slot) {
    return index_fingerprint(header->hash) == word_fingerprint(word) && header->slot == slot->address &&
           check_slot_fits(header->hash, slot->number) && index_prefix(header->hash, slot->depth) == slot->subtable;
}

const char *check_use_name(enum check_use use) {
    static const char *const names[] = {"nothing",  "referenced",        "free",       "reserved",
                                        "in limbo", "to be marked free", "marked free"};
    return names[use];
}

uint64_t check_marked_object(const struct layout *layout, uint64_t block_number, uint32_t object_bytes, uint32_t bit) {
    uint64_t offset = (uint64_t)bit * SIZECLASS_BYTES_MIN;
    return (block_number << layout->block_shift) + (offset + object_bytes - 1) / object_bytes * object_bytes;
}

enum check_verdict check_in_block(enum block_state state, enum check_use use) {
    if (state == BLOCK_FREE) {
        return use == CHECK_USE_NONE ? CHECK_GOOD : CHECK_USED_IN_FREE;
    }
    return use == CHECK_USE_NONE ? CHECK_LOST : CHECK_GOOD;
}
