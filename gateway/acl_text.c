/* acl_text.c: ACL users as text, in the form that ACL SETUSER reads. Pure; any thread. */
#include "acl_user.h"

void acl_hash_print(FILE *out, const uint8_t hash[ACL_HASH_BYTES]) {
    for (size_t i = 0; i < ACL_HASH_BYTES; i++) {
        fprintf(out, "%02x", hash[i]);
    }
}

void acl_selector_print_commands(FILE *out, const struct acl_selector *selector) {
    fputs(selector->rules_from_all ? "+@all" : "-@all", out);
    for (size_t i = 0; i < selector->rules.count; i++) {
        fprintf(out, " %s", selector->rules.items[i].text);
    }
}

void acl_selector_print_keys(FILE *out, const struct acl_selector *selector) {
    if (selector->all_keys) {
        fputs("~*", out);
    }
    for (size_t i = 0; i < selector->keys.count; i++) {
        const struct acl_text *key = &selector->keys.items[i];
        const char *prefix = key->access == ACL_READ ? "%R" : key->access == ACL_WRITE ? "%W" : "";

        fprintf(out, "%s%s~%s", i > 0 ? " " : "", prefix, key->text);
    }
}

void acl_selector_print_channels(FILE *out, const struct acl_selector *selector) {
    if (selector->all_channels) {
        fputs("&*", out);
    }
    for (size_t i = 0; i < selector->channels.count; i++) {
        fprintf(out, "%s&%s", i > 0 ? " " : "", selector->channels.items[i].text);
    }
}

static void selector_print(FILE *out, const struct acl_selector *selector) {
    acl_selector_print_keys(out, selector);
    fputs(selector->all_keys || selector->keys.count > 0 ? " " : "", out);
    fputs(selector->all_channels ? "" : "resetchannels ", out);
    acl_selector_print_channels(out, selector);
    fputs(selector->all_channels || selector->channels.count > 0 ? " " : "", out);
    acl_selector_print_commands(out, selector);
}

void acl_user_print(FILE *out, const struct acl_user *user) {
    static const char *const payload[] = {"", "sanitize-payload ", "skip-sanitize-payload "};

    fprintf(out, "user %s %s%s%s", user->name, user->enabled ? "on " : "off ", user->nopass ? "nopass " : "",
            payload[user->payload]);
    for (size_t i = 0; i < user->hash_count; i++) {
        fputc('#', out);
        acl_hash_print(out, user->hashes[i]);
        fputc(' ', out);
    }
    selector_print(out, user->selectors[0]);
    for (size_t i = 1; i < user->selector_count; i++) {
        fputs(" (", out);
        selector_print(out, user->selectors[i]);
        fputc(')', out);
    }
}
