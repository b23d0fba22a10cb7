/* acl_user.c: memory and passwords of ACL users; see acl_user.h. Any thread. */
#include "acl_user.h"

#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(ACL_HASH_BYTES == SHA256_DIGEST_LENGTH, "SHA-256");

/* ---- Texts ---- */

bool acl_texts_add(struct acl_texts *texts, const char *text, size_t length, uint32_t access, uint16_t command) {
    struct acl_text *items = realloc(texts->items, (texts->count + 1) * sizeof *items);
    char *copy = strndup(text, length);

    if (items != NULL) {
        texts->items = items;
    }
    if (items == NULL || copy == NULL) {
        free(copy);
        return false;
    }
    texts->items[texts->count++] = (struct acl_text){copy, access, command};
    return true;
}

void acl_texts_remove(struct acl_texts *texts, size_t index) {
    free(texts->items[index].text);
    texts->count--;
    memmove(&texts->items[index], &texts->items[index + 1], (texts->count - index) * sizeof *texts->items);
}

void acl_texts_clear(struct acl_texts *texts) {
    for (size_t i = 0; i < texts->count; i++) {
        free(texts->items[i].text);
    }
    free(texts->items);
    *texts = (struct acl_texts){0};
}

static bool texts_copy(struct acl_texts *to, const struct acl_texts *from) {
    *to = (struct acl_texts){0};
    for (size_t i = 0; i < from->count; i++) {
        const struct acl_text *item = &from->items[i];
        if (!acl_texts_add(to, item->text, strlen(item->text), item->access, item->command)) {
            return false;
        }
    }
    return true;
}

/* ---- Selectors ---- */

struct acl_selector *acl_selector_create(void) {
    return calloc(1, sizeof(struct acl_selector));
}

void acl_selector_free(struct acl_selector *selector) {
    acl_texts_clear(&selector->keys);
    acl_texts_clear(&selector->channels);
    acl_texts_clear(&selector->first_arguments);
    acl_texts_clear(&selector->rules);
    free(selector);
}

struct acl_selector *acl_selector_clone(const struct acl_selector *selector) {
    struct acl_selector *copy = malloc(sizeof *copy);

    if (copy == NULL) {
        return NULL;
    }
    *copy = *selector;
    bool keys = texts_copy(&copy->keys, &selector->keys);
    bool channels = texts_copy(&copy->channels, &selector->channels);
    bool arguments = texts_copy(&copy->first_arguments, &selector->first_arguments);
    bool rules = texts_copy(&copy->rules, &selector->rules);

    if (!keys || !channels || !arguments || !rules) {
        acl_selector_free(copy);
        return NULL;
    }
    return copy;
}

/* ---- Users ---- */

struct acl_user *acl_user_create(const char *name, size_t length) {
    struct acl_user *user = calloc(1, sizeof *user);

    if (user == NULL) {
        return NULL;
    }
    user->references = 1;
    user->name = strndup(name, length);
    user->selectors = calloc(1, sizeof *user->selectors);
    if (user->selectors != NULL) {
        user->selectors[0] = acl_selector_create();
        user->selector_count = user->selectors[0] != NULL;
    }
    if (user->name == NULL || user->selector_count == 0) {
        acl_user_release(user);
        return NULL;
    }
    return user;
}

struct acl_user *acl_user_clone(const struct acl_user *user) {
    struct acl_user *copy = calloc(1, sizeof *copy);

    if (copy == NULL) {
        return NULL;
    }
    *copy = *user;
    copy->references = 1;
    copy->name = strdup(user->name);
    copy->hashes = user->hash_count == 0 ? NULL : malloc(user->hash_count * sizeof *copy->hashes);
    copy->selectors = calloc(user->selector_count, sizeof *copy->selectors);
    copy->selector_count = 0;
    bool whole = copy->name != NULL && copy->selectors != NULL && (copy->hashes != NULL || user->hash_count == 0);

    if (whole && user->hash_count > 0) {
        memcpy(copy->hashes, user->hashes, user->hash_count * sizeof *copy->hashes);
    }
    while (whole && copy->selector_count < user->selector_count) {
        copy->selectors[copy->selector_count] = acl_selector_clone(user->selectors[copy->selector_count]);
        whole = copy->selectors[copy->selector_count] != NULL;
        copy->selector_count += whole;
    }
    if (!whole) {
        acl_user_release(copy);
        return NULL;
    }
    return copy;
}

struct acl_user *acl_user_hold(struct acl_user *user) {
    atomic_fetch_add_explicit(&user->references, 1, memory_order_relaxed);
    return user;
}

void acl_user_release(struct acl_user *user) {
    if (user == NULL || atomic_fetch_sub_explicit(&user->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < user->selector_count; i++) {
        acl_selector_free(user->selectors[i]);
    }
    free(user->selectors);
    free(user->hashes);
    free(user->name);
    free(user);
}

/* ---- Passwords ---- */

void acl_hash(const void *password, size_t length, uint8_t hash[ACL_HASH_BYTES]) { SHA256(password, length, hash); }

bool acl_user_password_right(const struct acl_user *user, const void *password, size_t length) {
    uint8_t hash[ACL_HASH_BYTES];
    bool right = false;

    acl_hash(password, length, hash);
    for (size_t i = 0; i < user->hash_count; i++) {
        unsigned different = 0;
        for (size_t j = 0; j < ACL_HASH_BYTES; j++) {
            different |= (unsigned)(hash[j] ^ user->hashes[i][j]);
        }
        right |= different == 0;
    }
    return right || user->nopass;
}

bool acl_random_hex(char *out, size_t digits) {
    for (size_t i = 0; i < digits; i++) {
        unsigned char byte;

        if (RAND_bytes(&byte, 1) != 1) {
            return false;
        }
        out[i] = "0123456789abcdef"[byte & 15];
    }
    return true;
}
