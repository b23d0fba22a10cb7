/* config.c: fuzzes the configuration files of both programs (gateway/config.c, memserver/node_config.c) and their
 * arguments. A file that is accepted must give, with every value written out as CONFIG GET shows it, the same values.
 *
 * Input: 1 byte: how many of the last lines are arguments instead; then the file.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"
#include "fuzz.h"
#include "node_config.h"

#define ARGUMENTS_MAX 4
#define VALUE_BYTES_MAX 20000
#define KEYS_MAX 200

/* A file of these bytes, by its path; closed with its descriptor. */
static int file_make(const void *bytes, size_t length, char path[static 64]) {
    int file = memfd_create("config", MFD_CLOEXEC);

    if (file < 0 || write(file, bytes, length) != (ssize_t)length) {
        fuzz_fault("the file cannot be written");
    }
    snprintf(path, 64, "/proc/self/fd/%d", file);
    return file;
}

/* All values as arguments; text with line ends and lists of lines cannot be one. Loads them and compares. */
static void load_again(const struct config *config) {
    static struct config again;
    static char arguments[KEYS_MAX][VALUE_BYTES_MAX], value[VALUE_BYTES_MAX];
    char *argv[KEYS_MAX], error[1024] = "";
    size_t count, given = 0;
    const struct config_key *keys = config_keys(&count);

    for (size_t i = 0; i < count && i < KEYS_MAX; i++) {
        config_value_format(config, &keys[i], value, sizeof value);
        if (keys[i].type == CONFIG_TEXT && strlen(value) >= keys[i].bytes) {
            fuzz_fault("%s.%s has %zu bytes: '%s'", keys[i].section, keys[i].name, keys[i].bytes, value);
        }
        if (keys[i].type != CONFIG_LINES) {
            snprintf(arguments[given], sizeof arguments[given], "--%s.%s=%s", keys[i].section, keys[i].name, value);
            argv[given] = arguments[given];
            given++;
        }
    }
    if (!config_load(&again, (int)given, argv, error, sizeof error)) {
        fuzz_fault("values that were accepted are refused: %s", error);
    }
    for (size_t i = 0; i < count; i++) {
        if (keys[i].type == CONFIG_LINES) {
            continue;
        }
        config_value_format(config, &keys[i], arguments[0], VALUE_BYTES_MAX);
        config_value_format(&again, &keys[i], value, sizeof value);
        if (strcmp(arguments[0], value) != 0) {
            fuzz_fault("%s.%s was '%s', and is '%s'", keys[i].section, keys[i].name, arguments[0], value);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static struct config config;
    struct node_config node;
    struct fuzz_input input = {bytes, length};
    char path[64], error[256] = "", *argv[1 + ARGUMENTS_MAX] = {path}, *text;
    int argc = 1, arguments = fuzz_byte(&input) % (ARGUMENTS_MAX + 1);

    text = strndup((const char *)input.bytes, input.length);
    for (; arguments > 0 && strrchr(text, '\n') != NULL; arguments--) {
        argv[argc++] = strrchr(text, '\n') + 1;
        *strrchr(text, '\n') = '\0';
    }
    int file = argc == 1 ? file_make(input.bytes, input.length, path) : file_make(text, strlen(text), path);
    if (config_load(&config, argc, argv, error, sizeof error)) {
        load_again(&config);
    } else if (error[0] == '\0' || strlen(error) >= sizeof error) {
        fuzz_fault("refused without a reason");
    }
    error[0] = '\0';
    node_config_defaults(&node);
    if (!node_config_load(&node, argc, argv, error, sizeof error) && error[0] == '\0') {
        fuzz_fault("refused by the memory node without a reason");
    }
    close(file);
    free(text);
    return 0;
}
