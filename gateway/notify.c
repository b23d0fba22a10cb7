/* notify.c: the letters of notify-keyspace-events; see notify.h. Pure; any thread. */
#include "notify.h"

#include <string.h>

static const struct {
    char letter;
    uint32_t class;
} letters[] = {
    {'g', NOTIFY_GENERIC}, {'$', NOTIFY_STRING},   {'l', NOTIFY_LIST},     {'s', NOTIFY_SET},      {'h', NOTIFY_HASH},
    {'z', NOTIFY_ZSET},    {'x', NOTIFY_EXPIRED},  {'e', NOTIFY_EVICTED},  {'t', NOTIFY_STREAM},   {'d', NOTIFY_MODULE},
    {'n', NOTIFY_NEW},     {'K', NOTIFY_KEYSPACE}, {'E', NOTIFY_KEYEVENT}, {'m', NOTIFY_KEY_MISS},
};

#define LETTERS (sizeof letters / sizeof letters[0])
#define OF_A 10u     /* the first ones are what 'A' stands for */
#define BEHIND_A 11u /* from here on they are shown beside it: Redis shows no 'n' there */

static uint32_t all_classes(void) {
    uint32_t classes = 0;

    for (size_t i = 0; i < OF_A; i++) {
        classes |= letters[i].class;
    }
    return classes;
}

bool notify_parse(const char *text, size_t length, uint32_t *classes) {
    uint32_t found = 0;

    for (size_t i = 0; i < length; i++) {
        size_t j = 0;
        while (j < LETTERS && letters[j].letter != text[i]) {
            j++;
        }
        if (j == LETTERS && text[i] != 'A') {
            return false;
        }
        found |= text[i] == 'A' ? all_classes() : letters[j].class;
    }
    *classes = found;
    return true;
}

void notify_format(uint32_t classes, char out[NOTIFY_TEXT_BYTES]) {
    bool all = (classes & all_classes()) == all_classes();
    size_t length = 0;

    if (all) {
        out[length++] = 'A';
    }
    for (size_t i = all ? BEHIND_A : 0; i < LETTERS; i++) {
        if ((classes & letters[i].class) != 0) {
            out[length++] = letters[i].letter;
        }
    }
    out[length] = '\0';
}
