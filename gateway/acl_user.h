/* acl_user.h: what one ACL user may do, in the language of Redis 7's ACL rules. Pure: no locks, no connections.
 *
 *   user -- password hashes
 *        -- selectors: the first is the user's own rules, the others are those in parentheses; a command is allowed
 *           if one of them allows all of it: the command, every key, every channel
 *
 * A user is built and changed by one thread (acl.c, under its lock), and never changed once it has been published:
 * every connection of any thread may hold a reference to it.
 */
#ifndef ACL_USER_H
#define ACL_USER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "command_table.h"

#define ACL_HASH_BYTES 32u /* SHA-256 */
#define ACL_HASH_TEXT 64u
#define ACL_SELECTORS_MAX 1024u
#define ACL_PASSWORDS_MAX 1024u
#define ACL_COMMAND_WORDS (FUSEGATE_COMMANDS_MAX / 64)

enum acl_access { ACL_READ = 1 << 0, ACL_WRITE = 1 << 1, ACL_ALL = ACL_READ | ACL_WRITE };

/* A key pattern, a channel pattern, a command rule ("+@read"), or a first argument ("select|0"). */
struct acl_text {
    char *text;
    uint32_t access;  /* of a key pattern */
    uint16_t command; /* of a first argument: the row's index */
};

struct acl_texts {
    struct acl_text *items;
    size_t count;
};

struct acl_selector {
    bool all_keys, all_channels;
    bool all_commands; /* also those of later versions: +@all and nothing else */
    uint64_t commands[ACL_COMMAND_WORDS];
    struct acl_texts keys, channels, first_arguments;
    struct acl_texts rules; /* how `commands` came about, in order; what later rules have undone is gone */
    bool rules_from_all;    /* the rules start from +@all rather than from -@all */
};

enum acl_payload { ACL_PAYLOAD_UNSAID, ACL_PAYLOAD_SANITIZE, ACL_PAYLOAD_SKIP };

struct acl_user {
    _Atomic uint32_t references;
    uint64_t id; /* stays when rules change; another one when the name is used again */
    char *name;
    bool enabled, nopass;
    enum acl_payload payload; /* kept and shown, without effect: RESTORE always checks */
    uint8_t (*hashes)[ACL_HASH_BYTES];
    size_t hash_count;
    struct acl_selector **selectors; /* at least one */
    size_t selector_count;
    bool unrestricted; /* allows everything: nothing needs to be looked at */
};

enum acl_verdict { ACL_ALLOWED, ACL_DENIED_COMMAND, ACL_DENIED_KEY, ACL_DENIED_AUTH, ACL_DENIED_CHANNEL };

/* ---- acl_user.c ---- */

/* A user as ACL SETUSER begins with: off, no password, nothing allowed. NULL: out of memory. */
struct acl_user *acl_user_create(const char *name, size_t length);
struct acl_user *acl_user_clone(const struct acl_user *user);
struct acl_user *acl_user_hold(struct acl_user *user);
void acl_user_release(struct acl_user *user); /* NULL is fine */

struct acl_selector *acl_selector_create(void);
struct acl_selector *acl_selector_clone(const struct acl_selector *selector);
void acl_selector_free(struct acl_selector *selector);
bool acl_texts_add(struct acl_texts *texts, const char *text, size_t length, uint32_t access, uint16_t command);
void acl_texts_remove(struct acl_texts *texts, size_t index);
void acl_texts_clear(struct acl_texts *texts);

void acl_hash(const void *password, size_t length, uint8_t hash[ACL_HASH_BYTES]);
/* Takes the same time whichever of the user's passwords it is, if any. */
bool acl_user_password_right(const struct acl_user *user, const void *password, size_t length);

/* Hexadecimal digits by the system's cryptographic generator, without a terminator; false: it failed. */
bool acl_random_hex(char *out, size_t digits);

/* ---- acl_rule.c ---- */

/* Applies one rule ("on", ">secret", "~key*", "+@read", "(+get ~x*)"). NULL, or why not, as Redis says it; the user may
 * then have been changed in part and is to be thrown away. */
const char *acl_user_apply(struct acl_user *user, const char *rule, size_t length);

/* Splits `text` at spaces into rules and applies them. NULL, or the reason, with the culprit in *at. */
const char *acl_user_apply_all(struct acl_user *user, const struct resp_arg *rules, size_t count, char *culprit,
                               size_t culprit_bytes);

/* ---- acl_check.c ---- */

/* *index: the argument that was refused (0: the command itself). */
enum acl_verdict acl_user_check(const struct acl_user *user, const struct command *command, const struct resp_arg *argv,
                                size_t argc, size_t *index);

/* Any channel that the user may not use any more: for what is subscribed to already. */
bool acl_user_channel_allowed(const struct acl_user *user, const char *channel, size_t length, bool pattern);

/* ---- acl_text.c ---- */

/* A line of ACL LIST, without line end: "user <name> on ... +@all". */
void acl_user_print(FILE *out, const struct acl_user *user);
void acl_selector_print_commands(FILE *out, const struct acl_selector *selector);
void acl_selector_print_keys(FILE *out, const struct acl_selector *selector);
void acl_selector_print_channels(FILE *out, const struct acl_selector *selector);
void acl_hash_print(FILE *out, const uint8_t hash[ACL_HASH_BYTES]);

#endif
