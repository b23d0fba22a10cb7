/* acl_check.c: may this user run this command? Pure; any thread, on users that do not change any more. */
#include <string.h>
#include <strings.h>

#include "acl_user.h"
#include "cmd_command.h"
#include "glob.h"

static bool command_allowed(const struct acl_selector *selector, const struct command *command,
                            const struct resp_arg *argv, size_t argc) {
    if ((command->flags & COMMAND_NO_AUTH) != 0 ||
        (selector->commands[command->index / 64] >> command->index % 64 & 1) != 0) {
        return true;
    }
    for (size_t i = 0; i < selector->first_arguments.count && argc > 1; i++) {
        const struct acl_text *argument = &selector->first_arguments.items[i];

        if (argument->command == command->index && strlen(argument->text) == argv[1].length &&
            strncasecmp(argument->text, argv[1].bytes, argv[1].length) == 0) {
            return true;
        }
    }
    return false;
}

static bool key_allowed(const struct acl_selector *selector, const struct resp_arg *key, uint32_t flags) {
    uint32_t needed = (flags & KEY_ACCESS) != 0 ? ACL_READ : 0;

    if ((flags & (KEY_INSERT | KEY_DELETE | KEY_UPDATE)) != 0) {
        needed |= ACL_WRITE;
    }
    for (size_t i = 0; i < selector->keys.count; i++) {
        const struct acl_text *pattern = &selector->keys.items[i];

        if ((pattern->access & needed) == needed &&
            glob_match_case(pattern->text, strlen(pattern->text), key->bytes, key->length)) {
            return true;
        }
    }
    return false;
}

/* One specification of keys; false: *index is the key that was refused. */
static bool keys_allowed(const struct acl_selector *selector, const struct command *command,
                         const struct command_key_spec *spec, const struct resp_arg *argv, size_t argc, size_t *index) {
    uint32_t flags = (spec->flags & KEY_VARIABLE_FLAGS) != 0 ? command_key_flags(command, argv, argc) : spec->flags;
    size_t first = (size_t)spec->begin_index, step = (size_t)spec->key_step;
    long last = spec->last_key >= 0 ? (long)first + spec->last_key : (long)argc + spec->last_key;

    for (size_t i = first; (long)i <= last && i < argc; i += step) {
        if (!key_allowed(selector, &argv[i], flags)) {
            *index = i;
            return false;
        }
    }
    return true;
}

/* A pattern that is subscribed to must be written in the rules just so; a channel must match one of them. */
static bool channel_allowed(const struct acl_selector *selector, const char *channel, size_t length, bool literal) {
    if (selector->all_channels) {
        return true;
    }
    for (size_t i = 0; i < selector->channels.count; i++) {
        const char *allowed = selector->channels.items[i].text;
        size_t allowed_length = strlen(allowed);

        if (literal ? allowed_length == length && memcmp(allowed, channel, length) == 0
                    : glob_match_case(allowed, allowed_length, channel, length)) {
            return true;
        }
    }
    return false;
}

static enum acl_verdict selector_check(const struct acl_selector *selector, const struct command *command,
                                       const struct resp_arg *argv, size_t argc, size_t *index) {
    *index = 0;
    if (!command_allowed(selector, command, argv, argc)) {
        return ACL_DENIED_COMMAND;
    }
    for (const struct command_key_spec *spec = command->key_specs;
         !selector->all_keys && spec != NULL && spec->flags != 0; spec++) {
        if ((spec->flags & KEY_NOT_KEY) == 0 && !keys_allowed(selector, command, spec, argv, argc, index)) {
            return ACL_DENIED_KEY;
        }
    }
    size_t last = command->channels == CHANNELS_NONE ? 0 : command->channels == CHANNELS_FIRST ? 1 : argc - 1;

    for (size_t i = 1; !selector->all_channels && i <= last && i < argc; i++) {
        if (!channel_allowed(selector, argv[i].bytes, argv[i].length, command->channels == CHANNELS_PATTERNS)) {
            *index = i;
            return ACL_DENIED_CHANNEL;
        }
    }
    return ACL_ALLOWED;
}

enum acl_verdict acl_user_check(const struct acl_user *user, const struct command *command, const struct resp_arg *argv,
                                size_t argc, size_t *index) {
    enum acl_verdict worst = ACL_DENIED_COMMAND;
    size_t at;

    *index = 0;
    if (user->unrestricted) {
        return ACL_ALLOWED;
    }
    for (size_t i = 0; i < user->selector_count; i++) {
        enum acl_verdict verdict = selector_check(user->selectors[i], command, argv, argc, &at);

        if (verdict == ACL_ALLOWED) {
            *index = 0;
            return ACL_ALLOWED;
        }
        if (verdict > worst || (verdict == worst && at > *index)) { /* whoever came further says why not */
            worst = verdict;
            *index = at;
        }
    }
    return worst;
}

bool acl_user_channel_allowed(const struct acl_user *user, const char *channel, size_t length, bool pattern) {
    for (size_t i = 0; i < user->selector_count; i++) {
        if (channel_allowed(user->selectors[i], channel, length, pattern)) {
            return true;
        }
    }
    return false;
}
