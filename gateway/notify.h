/* notify.h: keyspace notifications: which events are wanted, and publishing them. See pubsub.h for delivery. */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Redis's classes of events, by their letters. */
enum notify_class {
    NOTIFY_KEYSPACE = 1 << 0, /* K: __keyspace@<db>__:<key> */
    NOTIFY_KEYEVENT = 1 << 1, /* E: __keyevent@<db>__:<event> */
    NOTIFY_GENERIC = 1 << 2,  /* g: DEL, EXPIRE, RENAME ... */
    NOTIFY_STRING = 1 << 3,   /* $ */
    NOTIFY_LIST = 1 << 4,     /* l, s, h, z, t: no such values here yet */
    NOTIFY_SET = 1 << 5,
    NOTIFY_HASH = 1 << 6,
    NOTIFY_ZSET = 1 << 7,
    NOTIFY_EXPIRED = 1 << 8, /* x */
    NOTIFY_EVICTED = 1 << 9, /* e: never happens here */
    NOTIFY_STREAM = 1 << 10,
    NOTIFY_KEY_MISS = 1 << 11, /* m */
    NOTIFY_MODULE = 1 << 12,   /* d */
    NOTIFY_NEW = 1 << 13,      /* n: accepted, not sent */
};

#define NOTIFY_TEXT_BYTES 32u

/* Letters to classes; false: a letter that there is not. */
bool notify_parse(const char *text, size_t length, uint32_t *classes);

/* Classes to letters, as CONFIG GET shows them. */
void notify_format(uint32_t classes, char out[NOTIFY_TEXT_BYTES]);

#endif
