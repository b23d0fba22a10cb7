/* acl_rule.c: applies ACL rules, as ACL SETUSER, ACL files and the configuration give them, to a user. Pure; the caller
 * has the user for itself.
 *
 * The rules for commands are kept as they were given, so that a user means the same after a new version of the gateway
 * has brought new commands: "+get +set" must not turn into a category that comes close.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "acl_user.h"
#include "cmd_command.h"

#define ERROR_SYNTAX_RULE "Syntax error"
#define ERROR_UNKNOWN "Unknown command or category name in ACL"
#define ERROR_MEMORY "Out of memory"
#define ERROR_SELECTORS "Too many selectors"
#define ERROR_PASSWORDS "Too many passwords"
#define ERROR_HASH "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"

static bool is(const char *rule, size_t length, const char *word) {
    return strlen(word) == length && strncasecmp(rule, word, length) == 0;
}

static bool has_space(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (isspace((unsigned char)text[i]) || text[i] == '\0') {
            return true;
        }
    }
    return false;
}

/* ---- Commands ---- */

static void command_bit(struct acl_selector *selector, const struct command *command, bool allow) {
    uint64_t bit = UINT64_C(1) << (command->index % 64);

    if (allow) {
        selector->commands[command->index / 64] |= bit;
    } else {
        selector->commands[command->index / 64] &= ~bit;
        selector->all_commands = false;
    }
    for (size_t i = selector->first_arguments.count; i > 0; i--) { /* a rule for all of it undoes those for parts */
        if (selector->first_arguments.items[i - 1].command == command->index) {
            acl_texts_remove(&selector->first_arguments, i - 1);
        }
    }
}

static void command_bits(struct acl_selector *selector, const struct command *command, bool allow) {
    command_bit(selector, command, allow);
    for (const struct command *sub = command->subcommands; sub != NULL && sub->name != NULL; sub++) {
        command_bit(selector, sub, allow);
    }
}

static void commands_all(struct acl_selector *selector, bool allow) {
    memset(selector->commands, allow ? 0xff : 0, sizeof selector->commands);
    selector->all_commands = allow;
    selector->rules_from_all = allow;
    acl_texts_clear(&selector->rules);
    acl_texts_clear(&selector->first_arguments);
}

/* Is the rule "[+-]name..." about `name`, or about a part of it ("name|part")? */
static bool rule_within(const char *rule, const char *name) {
    size_t length = strlen(name);

    return strncmp(rule + 1, name, length) == 0 && (rule[1 + length] == '\0' || rule[1 + length] == '|');
}

/* Notes a rule; what it undoes goes. */
static const char *rule_note(struct acl_selector *selector, const char *rule, size_t length) {
    char *text = strndup(rule, length);

    if (text == NULL) {
        return ERROR_MEMORY;
    }
    for (char *c = text; *c != '\0'; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    for (size_t i = selector->rules.count; i > 0; i--) {
        if (rule_within(selector->rules.items[i - 1].text, text + 1)) {
            acl_texts_remove(&selector->rules, i - 1);
        }
    }
    bool noted = acl_texts_add(&selector->rules, text, length, 0, 0);

    free(text);
    return noted ? NULL : ERROR_MEMORY;
}

static const char *category_apply(struct acl_selector *selector, const char *rule, size_t length) {
    const struct resp_arg name = {rule + 2, length - 2};
    const struct command *const *rows;
    size_t count = command_table_rows(&rows);
    bool allow = rule[0] == '+';

    if (is(name.bytes, name.length, "all")) {
        commands_all(selector, allow);
        return NULL;
    }
    uint32_t category = command_category_parse(&name);

    if (category == 0) {
        return ERROR_UNKNOWN;
    }
    for (size_t i = 0; i < count; i++) {
        if ((rows[i]->categories & category) != 0) {
            command_bit(selector, rows[i], allow);
        }
    }
    return rule_note(selector, rule, length);
}

/* "+select|0": a command without subcommands, with this first argument only. */
static const char *first_argument_apply(struct acl_selector *selector, const char *rule, size_t length,
                                        const struct command *command) {
    const char *bar = memchr(rule, '|', length);
    size_t argument_length = length - (size_t)(bar + 1 - rule);

    if (rule[0] == '+' && (argument_length == 0 || has_space(bar + 1, argument_length))) {
        return ERROR_SYNTAX_RULE;
    }
    if (command->subcommands != NULL || rule[0] == '-') {
        return ERROR_UNKNOWN;
    }
    if ((selector->commands[command->index / 64] >> command->index % 64 & 1) != 0) {
        return NULL; /* allowed with any */
    }
    if (!acl_texts_add(&selector->first_arguments, bar + 1, argument_length, 0, command->index)) {
        return ERROR_MEMORY;
    }
    return rule_note(selector, rule, length);
}

static const char *command_apply(struct acl_selector *selector, const char *rule, size_t length) {
    const char *name = rule + 1;
    size_t name_length = length - 1;
    const char *bar = memchr(name, '|', name_length);
    const struct command *command = command_full_name_lookup(name, name_length);

    if (command == NULL && bar != NULL) {
        const char *second = memchr(bar + 1, '|', length - (size_t)(bar + 1 - rule));

        command = command_lookup(name, (size_t)(bar - name));
        if (command != NULL && second != NULL &&
            command_subcommand_lookup(command, bar + 1, (size_t)(second - bar - 1)) != NULL) {
            return "Allowing first-arg of a subcommand is not supported";
        }
        return command == NULL ? ERROR_UNKNOWN : first_argument_apply(selector, rule, length, command);
    }
    if (command == NULL) {
        return ERROR_UNKNOWN;
    }
    command_bits(selector, command, rule[0] == '+');
    return rule_note(selector, rule, length);
}

/* ---- Keys and channels ---- */

static const char *pattern_add(struct acl_texts *patterns, const char *text, size_t length, uint32_t access) {
    if (has_space(text, length)) {
        return ERROR_SYNTAX_RULE;
    }
    for (size_t i = 0; i < patterns->count; i++) {
        if (strlen(patterns->items[i].text) == length && memcmp(patterns->items[i].text, text, length) == 0) {
            patterns->items[i].access |= access;
            return NULL;
        }
    }
    return acl_texts_add(patterns, text, length, access, 0) ? NULL : ERROR_MEMORY;
}

static const char *keys_all(struct acl_selector *selector) {
    selector->all_keys = true;
    acl_texts_clear(&selector->keys);
    return NULL;
}

/* "~pattern", "%R~pattern", "%W~pattern", "%RW~pattern" */
static const char *key_apply(struct acl_selector *selector, const char *rule, size_t length) {
    uint32_t access = rule[0] == '~' ? ACL_ALL : 0;
    size_t at = 1;

    for (; rule[0] == '%' && at < length && rule[at] != '~'; at++) {
        uint32_t bit = toupper((unsigned char)rule[at]) == 'R'   ? ACL_READ
                       : toupper((unsigned char)rule[at]) == 'W' ? ACL_WRITE
                                                                 : 0;
        if (bit == 0 || (access & bit) != 0) {
            return ERROR_SYNTAX_RULE;
        }
        access |= bit;
    }
    if (rule[0] == '%') {
        if (at >= length || access == 0) {
            return ERROR_SYNTAX_RULE;
        }
        at++; /* the '~' */
    }
    if (selector->all_keys) {
        return "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any "
               "effect. Try 'resetkeys' to start with an empty list of patterns";
    }
    if (access == ACL_ALL && is(rule + at, length - at, "*")) {
        return keys_all(selector);
    }
    return pattern_add(&selector->keys, rule + at, length - at, access);
}

static const char *channel_apply(struct acl_selector *selector, const char *rule, size_t length) {
    if (selector->all_channels) {
        return "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any "
               "effect. Try 'resetchannels' to start with an empty list of channels";
    }
    if (is(rule + 1, length - 1, "*")) {
        selector->all_channels = true;
        acl_texts_clear(&selector->channels);
        return NULL;
    }
    return pattern_add(&selector->channels, rule + 1, length - 1, ACL_ALL);
}

/* ---- Selectors and users ---- */

static const char *selector_apply(struct acl_selector *selector, const char *rule, size_t length) {
    if (is(rule, length, "allkeys") || is(rule, length, "~*")) {
        return keys_all(selector);
    }
    if (is(rule, length, "resetkeys")) {
        selector->all_keys = false;
        acl_texts_clear(&selector->keys);
    } else if (is(rule, length, "allchannels") || is(rule, length, "&*")) {
        selector->all_channels = true;
        acl_texts_clear(&selector->channels);
    } else if (is(rule, length, "resetchannels")) {
        selector->all_channels = false;
        acl_texts_clear(&selector->channels);
    } else if (is(rule, length, "allcommands")) {
        commands_all(selector, true);
    } else if (is(rule, length, "nocommands")) {
        commands_all(selector, false);
    } else if (rule[0] == '~' || rule[0] == '%') {
        return key_apply(selector, rule, length);
    } else if (rule[0] == '&') {
        return channel_apply(selector, rule, length);
    } else if (length > 2 && (rule[0] == '+' || rule[0] == '-') && rule[1] == '@') {
        return category_apply(selector, rule, length);
    } else if (rule[0] == '+' || rule[0] == '-') {
        return command_apply(selector, rule, length);
    } else {
        return ERROR_SYNTAX_RULE;
    }
    return NULL;
}

/* "(rule rule ...)" */
static const char *user_add_selector(struct acl_user *user, const char *rule, size_t length) {
    if (rule[length - 1] != ')' || length < 2) {
        return ERROR_SYNTAX_RULE;
    }
    struct acl_selector **selectors = realloc(user->selectors, (user->selector_count + 1) * sizeof *selectors);
    struct acl_selector *selector = acl_selector_create();
    const char *end = rule + length - 1, *error = NULL;

    if (selectors != NULL) {
        user->selectors = selectors;
    }
    if (selectors == NULL || selector == NULL || user->selector_count == ACL_SELECTORS_MAX) {
        free(selector);
        return user->selector_count == ACL_SELECTORS_MAX ? ERROR_SELECTORS : ERROR_MEMORY;
    }
    user->selectors[user->selector_count++] = selector;
    for (const char *at = rule + 1; at < end && error == NULL;) {
        const char *space = memchr(at, ' ', (size_t)(end - at));
        size_t word = (size_t)((space != NULL ? space : end) - at);

        if (word > 0 && at[word - 1] == ')') {
            error = ERROR_SYNTAX_RULE; /* written to a file it would end the selector when it is read */
        } else {
            error = word == 0 ? NULL : selector_apply(selector, at, word);
        }
        at += word + 1;
    }
    return error;
}

static void selectors_clear(struct acl_user *user) {
    while (user->selector_count > 1) {
        acl_selector_free(user->selectors[--user->selector_count]);
    }
}

static void passwords_clear(struct acl_user *user) {
    free(user->hashes);
    user->hashes = NULL;
    user->hash_count = 0;
    user->nopass = false;
}

static bool hash_parse(const char *text, size_t length, uint8_t hash[ACL_HASH_BYTES]) {
    if (length != ACL_HASH_TEXT) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) {
            return false;
        }
        hash[i / 2] = (uint8_t)(i % 2 == 0 ? digit << 4 : hash[i / 2] | digit);
    }
    return true;
}

/* ">password", "#hash", "<password", "!hash" */
static const char *password_apply(struct acl_user *user, const char *rule, size_t length) {
    uint8_t hash[ACL_HASH_BYTES];
    size_t i = 0;

    if (rule[0] == '>' || rule[0] == '<') {
        acl_hash(rule + 1, length - 1, hash);
    } else if (!hash_parse(rule + 1, length - 1, hash)) {
        return ERROR_HASH;
    }
    while (i < user->hash_count && memcmp(user->hashes[i], hash, sizeof hash) != 0) {
        i++;
    }
    if (rule[0] == '<' || rule[0] == '!') {
        if (i == user->hash_count) {
            return "The password you are trying to remove from the user does not exist";
        }
        user->hash_count--;
        memmove(user->hashes[i], user->hashes[i + 1], (user->hash_count - i) * sizeof hash);
        return NULL;
    }
    user->nopass = false;
    if (i < user->hash_count) {
        return NULL;
    }
    uint8_t(*hashes)[ACL_HASH_BYTES] = realloc(user->hashes, (i + 1) * sizeof hash);

    if (hashes == NULL || i == ACL_PASSWORDS_MAX) {
        user->hashes = hashes != NULL ? hashes : user->hashes;
        return hashes == NULL ? ERROR_MEMORY : ERROR_PASSWORDS;
    }
    user->hashes = hashes;
    memcpy(user->hashes[user->hash_count++], hash, sizeof hash);
    return NULL;
}

static const char *user_reset(struct acl_user *user) {
    passwords_clear(user);
    selectors_clear(user);
    user->enabled = false;
    user->payload = ACL_PAYLOAD_SANITIZE;
    struct acl_selector *empty = acl_selector_create();

    if (empty == NULL) {
        return ERROR_MEMORY;
    }
    acl_selector_free(user->selectors[0]);
    user->selectors[0] = empty;
    return NULL;
}

static const char *apply(struct acl_user *user, const char *rule, size_t length) {
    if (is(rule, length, "on") || is(rule, length, "off")) {
        user->enabled = length == 2;
    } else if (is(rule, length, "nopass")) {
        passwords_clear(user);
        user->nopass = true;
    } else if (is(rule, length, "resetpass")) {
        passwords_clear(user);
    } else if (is(rule, length, "skip-sanitize-payload")) {
        user->payload = ACL_PAYLOAD_SKIP;
    } else if (is(rule, length, "sanitize-payload")) {
        user->payload = ACL_PAYLOAD_SANITIZE;
    } else if (is(rule, length, "reset")) {
        return user_reset(user);
    } else if (is(rule, length, "clearselectors")) {
        selectors_clear(user);
    } else if (length > 0 && strchr("><#!", rule[0]) != NULL) {
        return password_apply(user, rule, length);
    } else if (length > 0 && rule[0] == '(') {
        return user_add_selector(user, rule, length);
    } else {
        return selector_apply(user->selectors[0], rule, length);
    }
    return NULL;
}

const char *acl_user_apply(struct acl_user *user, const char *rule, size_t length) {
    const char *error = length == 0 ? NULL : apply(user, rule, length);
    const struct acl_selector *own = user->selectors[0];

    user->unrestricted = own->all_commands && own->all_keys && own->all_channels;
    return error;
}

/* How many arguments a selector that begins with "(" takes up to its ")"; 0: it does not end. */
static size_t selector_span(const struct resp_arg *rules, size_t count, size_t *bytes) {
    *bytes = 0;
    for (size_t i = 0; i < count; i++) {
        *bytes += rules[i].length + 1;
        if (rules[i].length > 0 && rules[i].bytes[rules[i].length - 1] == ')') {
            return i + 1;
        }
    }
    return 0;
}

static const char *apply_spanning(struct acl_user *user, const struct resp_arg *rules, size_t span, size_t bytes) {
    char *whole = malloc(bytes);
    size_t length = 0;

    if (whole == NULL) {
        return ERROR_MEMORY;
    }
    for (size_t i = 0; i < span; i++) {
        memcpy(whole + length, rules[i].bytes, rules[i].length);
        length += rules[i].length;
        whole[length++] = ' ';
    }
    const char *error = acl_user_apply(user, whole, length - 1);

    free(whole);
    return error;
}

const char *acl_user_apply_all(struct acl_user *user, const struct resp_arg *rules, size_t count, char *culprit,
                               size_t culprit_bytes) {
    for (size_t i = 0, span; i < count; i += span) {
        size_t bytes = rules[i].length + 1;

        span = 1;
        if (rules[i].length > 0 && rules[i].bytes[0] == '(') {
            span = selector_span(rules + i, count - i, &bytes);
        }
        snprintf(culprit, culprit_bytes, "%.*s", (int)rules[i].length, rules[i].bytes);
        if (span == 0) {
            return ""; /* the caller says which selector does not end */
        }
        const char *error = span == 1 ? acl_user_apply(user, rules[i].bytes, rules[i].length)
                                      : apply_spanning(user, rules + i, span, bytes);
        if (error != NULL) {
            return error;
        }
    }
    return NULL;
}
