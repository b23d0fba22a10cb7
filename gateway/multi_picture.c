/* multi_picture.c: see multi_picture.h. */
#include "multi_picture.h"

#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "command_table.h"

bool multi_picture_wanted(const struct command *command) {
    command_handler *handler = command->handler;

    return handler == cmd_scan || handler == cmd_keys || handler == cmd_randomkey || handler == cmd_dbsize;
}

static int compare_keys(const void *a, const void *b) {
    const struct dm_key *x = a, *y = b;

    if (x->space != y->space) {
        return x->space < y->space ? -1 : 1;
    }
    if (x->length != y->length) {
        return x->length < y->length ? -1 : 1;
    }
    return memcmp(x->bytes, y->bytes, x->length);
}

size_t multi_picture_sort(struct dm_key *keys, size_t count) {
    size_t kept = 0;

    if (count > 0) {
        qsort(keys, count, sizeof *keys, compare_keys);
    }
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || compare_keys(&keys[i], &keys[i - 1]) != 0) {
            keys[kept++] = keys[i];
        }
    }
    return kept;
}

void multi_picture_note(struct dm_session *session, const struct dm_key *keys, size_t count, bool *there) {
    for (size_t i = 0; i < count; i++) {
        struct dm_read read = {0};

        there[i] = dm_get(session, &keys[i], &read) == DM_OK;
        dm_read_release(session, &read);
    }
}

bool multi_picture_hides(const struct multi_picture *picture, const struct dm_key *key) {
    if (picture == NULL || picture->count == 0) {
        return false;
    }
    const struct dm_key *found = bsearch(key, picture->keys, picture->count, sizeof *key, compare_keys);

    return found != NULL && !picture->there[found - picture->keys];
}

const struct dm_key *multi_picture_next_gone(const struct multi_picture *picture, uint16_t database, size_t *at) {
    while (picture != NULL && *at < picture->count) {
        size_t i = (*at)++;

        if (picture->keys[i].space == database && picture->there[i] && !picture->after[i]) {
            return &picture->keys[i];
        }
    }
    return NULL;
}

int64_t multi_picture_difference(const struct multi_picture *picture, uint16_t database) {
    int64_t difference = 0;

    for (size_t i = 0; picture != NULL && i < picture->count; i++) {
        if (picture->keys[i].space == database) {
            difference += picture->there[i] - picture->after[i];
        }
    }
    return difference;
}
