/* cmd_acl.c: the ACL command. In a coroutine of the connection's worker. Users are acl.c's, rules acl_rule.c's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "acl_connection.h"
#include "acl_log.h"
#include "cmd.h"
#include "cmd_command.h"
#include "number.h"

#define ERROR_ARGUMENT_BYTES 128
#define GENPASS_BITS_MAX 4096
#define GENPASS_BITS 256
#define LOG_ENTRIES 10 /* that ACL LOG shows unless told */
#define MS_PER_S 1000.0

static const char no_file[] =
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER "
    "command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store "
    "users in the Redis configuration.";

/* ---- Texts out of printing functions ---- */

struct text {
    char *bytes;
    size_t length;
    FILE *out;
};

static bool text_open(struct text *text) {
    *text = (struct text){0};
    text->out = open_memstream(&text->bytes, &text->length);
    return text->out != NULL;
}

/* As a bulk; the text is gone then. */
static void text_reply(struct call *call, struct text *text) {
    if (text->out != NULL && fclose(text->out) == 0) {
        reply_bulk(call->reply, text->bytes, text->length);
    } else {
        reply_bulk_text(call->reply, "");
    }
    free(text->bytes);
}

static void selector_field(struct call *call, const char *name, const struct acl_selector *selector,
                           void (*print)(FILE *, const struct acl_selector *)) {
    struct text text;

    reply_bulk_text(call->reply, name);
    if (text_open(&text)) {
        print(text.out, selector);
    }
    text_reply(call, &text);
}

static void subcommand_arity_error(struct call *call) {
    command_errorf(call, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try ACL HELP.",
                   command_text_length(&call->argv[1], ERROR_ARGUMENT_BYTES), call->argv[1].bytes);
}

/* ---- Users ---- */

void cmd_acl_setuser(struct call *call) {
    char error[512];

    if (acl_set(call->server->acl, &call->argv[2], call->argv + 3, call->argc - 3, error, sizeof error)) {
        acl_connections_sweep(call->server); /* subscribers may have lost their channels */
        reply_ok(call->reply);
    } else {
        command_error(call, error);
    }
}

void cmd_acl_deluser(struct call *call) {
    long long deleted = 0;

    for (size_t i = 2; i < call->argc; i++) {
        if (call->argv[i].length == 7 && memcmp(call->argv[i].bytes, "default", 7) == 0) {
            command_error(call, "ERR The 'default' user cannot be removed");
            return;
        }
    }
    for (size_t i = 2; i < call->argc; i++) {
        deleted += acl_delete(call->server->acl, &call->argv[i]);
    }
    if (deleted > 0) {
        acl_connections_sweep(call->server);
    }
    reply_integer(call->reply, deleted);
}

static void selector_reply(struct call *call, const struct acl_selector *selector) {
    selector_field(call, "commands", selector, acl_selector_print_commands);
    selector_field(call, "keys", selector, acl_selector_print_keys);
    selector_field(call, "channels", selector, acl_selector_print_channels);
}

static void user_flags_reply(struct call *call, const struct acl_user *user) {
    reply_bulk_text(call->reply, "flags");
    reply_set(call->reply, 1u + user->nopass + (user->payload != ACL_PAYLOAD_UNSAID));
    reply_bulk_text(call->reply, user->enabled ? "on" : "off");
    if (user->nopass) {
        reply_bulk_text(call->reply, "nopass");
    }
    if (user->payload != ACL_PAYLOAD_UNSAID) {
        reply_bulk_text(call->reply, user->payload == ACL_PAYLOAD_SKIP ? "skip-sanitize-payload" : "sanitize-payload");
    }
}

void cmd_acl_getuser(struct call *call) {
    struct acl_user *user = acl_find(call->server->acl, call->argv[2].bytes, call->argv[2].length);

    if (user == NULL) {
        reply_null(call->reply);
        return;
    }
    reply_map(call->reply, 6);
    user_flags_reply(call, user);
    reply_bulk_text(call->reply, "passwords");
    reply_array(call->reply, user->hash_count);
    for (size_t i = 0; i < user->hash_count; i++) {
        struct text text;
        if (text_open(&text)) {
            acl_hash_print(text.out, user->hashes[i]);
        }
        text_reply(call, &text);
    }
    selector_reply(call, user->selectors[0]);
    reply_bulk_text(call->reply, "selectors");
    reply_array(call->reply, user->selector_count - 1);
    for (size_t i = 1; i < user->selector_count; i++) {
        reply_map(call->reply, 3);
        selector_reply(call, user->selectors[i]);
    }
    acl_user_release(user);
}

static void users_reply(struct call *call, bool whole) {
    struct acl_user **users;
    size_t count;

    if (!acl_all(call->server->acl, &users, &count)) {
        command_status_error(call, DM_BUSY, 0);
        return;
    }
    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++) {
        struct text text;
        if (!whole) {
            reply_bulk_text(call->reply, users[i]->name);
            continue;
        }
        if (text_open(&text)) {
            acl_user_print(text.out, users[i]);
        }
        text_reply(call, &text);
    }
    acl_all_release(users, count);
}

void cmd_acl_list(struct call *call) { users_reply(call, true); }

void cmd_acl_users(struct call *call) { users_reply(call, false); }

void cmd_acl_whoami(struct call *call) { reply_bulk_text(call->reply, call->connection->user->name); }

/* ---- The file ---- */

void cmd_acl_load(struct call *call) {
    char error[1024];

    if (call->server->acl->file[0] == '\0') {
        command_error(call, no_file);
    } else if (!acl_load(call->server->acl, error, sizeof error)) {
        command_errorf(call, "ERR %s", error);
    } else {
        acl_connections_sweep(call->server);
        reply_ok(call->reply);
    }
}

void cmd_acl_save(struct call *call) {
    char error[1280];

    if (call->server->acl->file[0] == '\0') {
        command_error(call, no_file);
    } else if (!acl_save(call->server->acl, error, sizeof error)) {
        command_errorf(call, "ERR There was an error trying to save the ACLs. %s", error);
    } else {
        reply_ok(call->reply);
    }
}

/* ---- Questions ---- */

void cmd_acl_cat(struct call *call) {
    const struct command *const *rows;
    size_t count = command_table_rows(&rows), matching = 0;

    if (call->argc > 3) {
        subcommand_arity_error(call);
        return;
    }
    if (call->argc == 2) {
        reply_array(call->reply, COMMAND_CATEGORY_COUNT);
        for (size_t i = 0; i < COMMAND_CATEGORY_COUNT; i++) {
            reply_bulk_text(call->reply, command_category_name(i));
        }
        return;
    }
    uint32_t category = command_category_parse(&call->argv[2]);

    if (category == 0) {
        command_errorf(call, "ERR Unknown category '%.*s'", command_text_length(&call->argv[2], ERROR_ARGUMENT_BYTES),
                       call->argv[2].bytes);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        matching += (rows[i]->categories & category) != 0;
    }
    reply_array(call->reply, matching);
    for (size_t i = 0; i < count; i++) {
        if ((rows[i]->categories & category) != 0) {
            reply_bulk_text(call->reply, rows[i]->name);
        }
    }
}

static void dryrun_reply(struct call *call, const struct acl_user *user, const struct command *command,
                         const struct resp_arg *argv, size_t argc) {
    char text[512];
    size_t index;

    switch (acl_user_check(user, command, argv, argc, &index)) {
    case ACL_ALLOWED:
    case ACL_DENIED_AUTH:
        reply_ok(call->reply);
        return;
    case ACL_DENIED_COMMAND:
        snprintf(text, sizeof text, "This user has no permissions to run the '%s' command", command->name);
        break;
    case ACL_DENIED_KEY:
    case ACL_DENIED_CHANNEL:
        snprintf(text, sizeof text, "This user has no permissions to access the '%.*s' %s",
                 command_text_length(&argv[index], 256), argv[index].bytes,
                 command->channels == CHANNELS_NONE ? "key" : "channel");
        break;
    }
    reply_bulk_text(call->reply, text);
}

void cmd_acl_dryrun(struct call *call) {
    const struct resp_arg *name = &call->argv[2], *argv = call->argv + 3;
    size_t argc = call->argc - 3;
    struct acl_user *user = acl_find(call->server->acl, name->bytes, name->length);
    const struct command *command = command_lookup(argv[0].bytes, argv[0].length);

    if (user == NULL) {
        command_errorf(call, "ERR User '%.*s' not found", command_text_length(name, ERROR_ARGUMENT_BYTES), name->bytes);
        return;
    }
    if (command != NULL && command->subcommands != NULL && argc > 1) {
        command = command_subcommand_lookup(command, argv[1].bytes, argv[1].length);
    }
    if (command == NULL) {
        command_errorf(call, "ERR Command '%.*s' not found", command_text_length(&argv[0], ERROR_ARGUMENT_BYTES),
                       argv[0].bytes);
    } else if (!command_arity_ok(command, argc)) {
        command_errorf(call, "ERR wrong number of arguments for '%s' command", command->name);
    } else {
        dryrun_reply(call, user, command, argv, argc);
    }
    acl_user_release(user);
}

void cmd_acl_genpass(struct call *call) {
    char text[GENPASS_BITS_MAX / 4 + 1];
    int64_t bits = GENPASS_BITS;

    if (call->argc > 3) {
        subcommand_arity_error(call);
        return;
    }
    if (call->argc == 3 && !command_integer(call, 2, &bits)) {
        return;
    }
    if (bits <= 0 || bits > GENPASS_BITS_MAX) {
        command_errorf(call,
                       "ERR ACL GENPASS argument must be the number of bits for the output password, a positive "
                       "number up to %d",
                       GENPASS_BITS_MAX);
        return;
    }
    size_t digits = ((size_t)bits + 3) / 4;

    if (!acl_random_hex(text, digits)) {
        command_status_error(call, DM_BUSY, 0);
        return;
    }
    reply_bulk(call->reply, text, digits);
}

/* ---- ACL LOG ---- */

static void log_entry_reply(struct call *call, const struct acl_log_entry *entry, int64_t now_ms) {
    static const char *const reasons[] = {"INVALID-REASON", "command", "key", "auth", "channel"};
    struct reply *reply = call->reply;

    reply_map(reply, 7);
    reply_bulk_text(reply, "count");
    reply_integer(reply, (long long)entry->count);
    reply_bulk_text(reply, "reason");
    reply_bulk_text(reply, reasons[entry->reason]);
    reply_bulk_text(reply, "context");
    reply_bulk_text(reply, entry->in_transaction ? "multi" : "toplevel");
    reply_bulk_text(reply, "object");
    reply_bulk_text(reply, entry->object);
    reply_bulk_text(reply, "username");
    reply_bulk_text(reply, entry->user);
    reply_bulk_text(reply, "age-seconds");
    reply_double(reply, (double)(now_ms - entry->wall_ms) / MS_PER_S);
    reply_bulk_text(reply, "client-info");
    reply_bulk_text(reply, entry->client);
}

void cmd_acl_log(struct call *call) {
    struct acl_log *log = call->server->acl_log;
    int64_t count = LOG_ENTRIES, now_ms = command_now_ms(call);

    if (call->argc > 3) {
        subcommand_arity_error(call);
        return;
    }
    if (call->argc == 3 && call->argv[2].length == 5 && strncasecmp(call->argv[2].bytes, "reset", 5) == 0) {
        acl_log_reset(log);
        reply_ok(call->reply);
        return;
    }
    if (call->argc == 3 && !command_integer(call, 2, &count)) {
        return;
    }
    pthread_mutex_lock(&log->lock);
    if (count < 0 || (uint64_t)count > log->count) {
        count = count < 0 ? 0 : (int64_t)log->count;
    }
    reply_array(call->reply, (size_t)count);
    for (const struct acl_log_entry *entry = log->first; count > 0; entry = entry->next, count--) {
        log_entry_reply(call, entry, now_ms);
    }
    pthread_mutex_unlock(&log->lock);
}

void cmd_acl_help(struct call *call) {
    static const char *const lines[] = {
        "CAT [<category>]",
        "    The categories, or the commands of one.",
        "DELUSER <username> [<username> ...]",
        "    Delete users and close their connections.",
        "DRYRUN <username> <command> [<arg> ...]",
        "    May this user run this command? Nothing is run.",
        "GENPASS [<bits>]",
        "    A random password of 256 bits, or as many as given.",
        "GETUSER <username>",
        "    What this user may do.",
        "LIST",
        "    All users as lines of an ACL file.",
        "LOAD",
        "    Read the ACL file again.",
        "LOG [<count> | RESET]",
        "    What was refused lately.",
        "SAVE",
        "    Write the ACL file.",
        "SETUSER <username> <attribute> [<attribute> ...]",
        "    Create or change a user.",
        "USERS",
        "    The names of all users.",
        "WHOAMI",
        "    The name of this connection's user.",
    };
    command_help(call, lines, sizeof lines / sizeof lines[0]);
}
