/* channel_map.c: see channel_map.h. Chains in slots, twice as many slots when they get long. */
#include "channel_map.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_FIRST 16u

static uint32_t hash_of(const char *name, size_t length) {
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (unsigned char)name[i]) * UINT64_C(1099511628211);
    }
    return (uint32_t)(hash ^ hash >> 32);
}

struct channel_entry *channel_map_find(const struct channel_map *map, const char *name, size_t length) {
    if (map->count == 0) {
        return NULL;
    }
    uint32_t hash = hash_of(name, length);
    struct channel_entry *entry = map->slots[hash & (map->slot_count - 1)];

    while (entry != NULL &&
           (entry->hash != hash || entry->length != length || memcmp(entry->name, name, length) != 0)) {
        entry = entry->next;
    }
    return entry;
}

/* False: out of memory, and nothing has changed. */
static int grow(struct channel_map *map) {
    size_t slot_count = map->slot_count == 0 ? SLOTS_FIRST : map->slot_count * 2;
    struct channel_entry **slots = calloc(slot_count, sizeof *slots);

    if (slots == NULL) {
        return 0;
    }
    for (size_t i = 0; i < map->slot_count; i++) {
        for (struct channel_entry *entry = map->slots[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            entry->next = slots[entry->hash & (slot_count - 1)];
            slots[entry->hash & (slot_count - 1)] = entry;
        }
    }
    free(map->slots);
    map->slots = slots;
    map->slot_count = slot_count;
    return 1;
}

struct channel_entry *channel_map_add(struct channel_map *map, const char *name, size_t length) {
    struct channel_entry *entry = channel_map_find(map, name, length);

    if (entry != NULL) {
        return entry;
    }
    if (map->count >= map->slot_count && !grow(map) && map->slot_count == 0) {
        return NULL;
    }
    entry = malloc(sizeof *entry + length);
    if (entry == NULL) {
        return NULL;
    }
    *entry = (struct channel_entry){.hash = hash_of(name, length), .length = (uint32_t)length};
    memcpy(entry->name, name, length);
    entry->next = map->slots[entry->hash & (map->slot_count - 1)];
    map->slots[entry->hash & (map->slot_count - 1)] = entry;
    map->count++;
    return entry;
}

void channel_map_remove(struct channel_map *map, struct channel_entry *entry) {
    struct channel_entry **link = &map->slots[entry->hash & (map->slot_count - 1)];

    while (*link != entry) {
        link = &(*link)->next;
    }
    *link = entry->next;
    map->count--;
    free(entry);
}

static struct channel_entry *first_from(const struct channel_map *map, size_t slot) {
    for (; slot < map->slot_count; slot++) {
        if (map->slots[slot] != NULL) {
            return map->slots[slot];
        }
    }
    return NULL;
}

struct channel_entry *channel_map_next(const struct channel_map *map, const struct channel_entry *entry) {
    if (entry == NULL) {
        return first_from(map, 0);
    }
    return entry->next != NULL ? entry->next : first_from(map, (entry->hash & (map->slot_count - 1)) + 1);
}

struct channel_entry *channel_map_any(const struct channel_map *map) {
    return map->count == 0 ? NULL : first_from(map, 0);
}

void channel_map_free(struct channel_map *map) {
    for (struct channel_entry *entry; (entry = channel_map_any(map)) != NULL;) {
        channel_map_remove(map, entry);
    }
    free(map->slots);
    *map = (struct channel_map){0};
}
