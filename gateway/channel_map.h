/* channel_map.h: a hash table of names of channels or patterns. Pure; whoever has it sees to locks. */
#ifndef CHANNEL_MAP_H
#define CHANNEL_MAP_H

#include <stddef.h>
#include <stdint.h>

struct channel_entry {
    struct channel_entry *next;
    uint32_t hash, length;
    uint32_t count; /* the owner's, as is: */
    void *data;
    char name[]; /* bytes, no terminator */
};

/* Zero-initialise. */
struct channel_map {
    struct channel_entry **slots;
    size_t slot_count, count;
};

struct channel_entry *channel_map_find(const struct channel_map *map, const char *name, size_t length);
/* The entry, a fresh one (count 0, data NULL) if there was none; NULL: out of memory. */
struct channel_entry *channel_map_add(struct channel_map *map, const char *name, size_t length);
/* Frees the entry; what data points to is the caller's. */
void channel_map_remove(struct channel_map *map, struct channel_entry *entry);
/* The first entry, or the next one; NULL: no more. Nothing may be added or removed in between. */
struct channel_entry *channel_map_next(const struct channel_map *map, const struct channel_entry *entry);
/* Any entry, to empty the map one by one; NULL: it is empty. */
struct channel_entry *channel_map_any(const struct channel_map *map);
void channel_map_free(struct channel_map *map);

#endif
