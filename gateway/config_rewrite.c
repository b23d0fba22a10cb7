/* config_rewrite.c: live settings into the configuration file; see config_rewrite.h. */
#include "config_rewrite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "live.h"
#include "server.h"

#define SECTION "gateway" /* all live settings are in it */
#define KEYS_MAX 128u

/* One pass through the file. */
struct rewrite {
    struct server *server;
    FILE *in, *out;
    bool in_section;
    bool written[KEYS_MAX]; /* by index of config_keys() */
    const char *unwritable; /* a key whose value the file's format cannot hold */
};

/* False: the key does not change while the gateway serves. */
static bool value_now(const struct rewrite *rewrite, const struct config_key *key, char text[LIVE_TEXT_BYTES]) {
    return strcmp(key->section, SECTION) == 0 && key->redis_name != NULL &&
           live_get(rewrite->server, key->redis_name, text, LIVE_TEXT_BYTES);
}

/* The file has one line a value, and " ;" begins a comment. */
static bool writable(const char *text) {
    size_t length = strlen(text);

    return strpbrk(text, "\r\n;") == NULL && (length == 0 || (text[0] != ' ' && text[length - 1] != ' '));
}

static void key_write(struct rewrite *rewrite, size_t index, const struct config_key *key, const char *text) {
    if (!writable(text)) {
        rewrite->unwritable = key->name;
    }
    fprintf(rewrite->out, "%s = %s\n", key->name, text);
    rewrite->written[index] = true;
}

/* What is not in the file and no longer as at the start. */
static void section_end(struct rewrite *rewrite) {
    size_t count;
    const struct config_key *keys = config_keys(&count);
    char now[LIVE_TEXT_BYTES], started[LIVE_TEXT_BYTES];

    for (size_t i = 0; i < count && i < KEYS_MAX; i++) {
        if (rewrite->written[i] || !value_now(rewrite, &keys[i], now)) {
            continue;
        }
        config_value_format(rewrite->server->config, &keys[i], started, sizeof started);
        if (strcmp(now, started) != 0) {
            key_write(rewrite, i, &keys[i], now);
        }
    }
}

static bool line_has_key(const char *line, const struct config_key *key) {
    size_t length = strlen(key->name);

    line += strspn(line, " \t");
    if (strncmp(line, key->name, length) != 0) {
        return false;
    }
    line += length;
    line += strspn(line, " \t");
    return *line == '=' || *line == ':';
}

static void line_rewrite(struct rewrite *rewrite, const char *line) {
    size_t count;
    const struct config_key *keys = config_keys(&count);
    char now[LIVE_TEXT_BYTES];

    if (*line == '[') {
        if (rewrite->in_section) {
            section_end(rewrite);
        }
        rewrite->in_section = strncmp(line, "[" SECTION "]", sizeof SECTION + 1) == 0;
    }
    for (size_t i = 0; i < count && i < KEYS_MAX && rewrite->in_section; i++) {
        if (line_has_key(line, &keys[i]) && value_now(rewrite, &keys[i], now)) {
            key_write(rewrite, i, &keys[i], now);
            return;
        }
    }
    fputs(line, rewrite->out);
    if (strchr(line, '\n') == NULL) {
        fputc('\n', rewrite->out);
    }
}

static void file_rewrite(struct rewrite *rewrite) {
    char *line = NULL;
    size_t capacity = 0;
    bool seen = false;

    while (getline(&line, &capacity, rewrite->in) > 0) {
        line_rewrite(rewrite, line);
        seen |= rewrite->in_section;
    }
    free(line);
    if (!seen) {
        fputs("[" SECTION "]\n", rewrite->out);
    }
    if (rewrite->in_section || !seen) {
        section_end(rewrite);
    }
}

/* Replaces the file only when all of the new one is on the disk. */
bool config_rewrite(struct server *server, char *error, size_t error_bytes) {
    const char *path = server->config->path;
    struct rewrite rewrite = {.server = server};
    char temporary[sizeof server->config->path + 8];
    struct stat status;
    int failure = 0;

    snprintf(temporary, sizeof temporary, "%s.new", path);
    rewrite.in = fopen(path, "re");
    if (rewrite.in == NULL || fstat(fileno(rewrite.in), &status) != 0) {
        failure = errno;
        goto out_close;
    }
    rewrite.out = fopen(temporary, "we");
    if (rewrite.out == NULL) {
        failure = errno;
        goto out_close;
    }
    file_rewrite(&rewrite);
    if (rewrite.unwritable == NULL && (fflush(rewrite.out) != 0 || fchmod(fileno(rewrite.out), status.st_mode) != 0 ||
                                       fsync(fileno(rewrite.out)) != 0 || rename(temporary, path) != 0)) {
        failure = errno;
    }
    if (failure != 0 || rewrite.unwritable != NULL) {
        unlink(temporary);
    }

out_close:
    if (rewrite.out != NULL) {
        fclose(rewrite.out);
    }
    if (rewrite.in != NULL) {
        fclose(rewrite.in);
    }
    if (failure != 0) {
        snprintf(error, error_bytes, "%s", strerror(failure));
    } else if (rewrite.unwritable != NULL) {
        snprintf(error, error_bytes, "the value of %s cannot be written to a file", rewrite.unwritable);
    }
    return failure == 0 && rewrite.unwritable == NULL;
}
