/* node_config.c: see node_config.h. inih splits the lines; the table of keys says what each may hold. */
#include "node_config.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "fabric/control.h"
#include "setting.h"

#define MEMORY_BYTES_MIN (UINT64_C(1) << 20)
#define MEMORY_BYTES_MAX (UINT64_C(64) << 40)
#define MEMORY_BYTES_DEFAULT (UINT64_C(1) << 30)
#define NUMA_NODE_MAX 1023
#define LISTEN_DEFAULT "/tmp/fusegate-memserver.sock"

/* ---- Keys ------------------------------------------------------------------------------------------------------- */

static bool listen_set(struct node_config *config, const char *value) {
    const size_t prefix = strlen(CONTROL_PATH_PREFIX);
    if (strncmp(value, CONTROL_PATH_PREFIX, prefix) == 0)
        value += prefix;
    const size_t length = strlen(value);
    if (length == 0 || length >= sizeof config->listen)
        return false;
    memcpy(config->listen, value, length + 1);
    return true;
}

static bool memory_set(struct node_config *config, const char *value) {
    uint64_t bytes;
    if (!setting_size_parse(value, &bytes) || bytes < MEMORY_BYTES_MIN || bytes > MEMORY_BYTES_MAX)
        return false;
    config->memory_bytes = bytes;
    return true;
}

static bool numa_node_set(struct node_config *config, const char *value) {
    int64_t number;
    if (!setting_integer_parse(value, -1, NUMA_NODE_MAX, &number))
        return false;
    config->numa_node = (int)number;
    return true;
}

static bool log_level_set(struct node_config *config, const char *value) {
    static const char *const names[] = {[DM_LOG_DEBUG] = "debug",
                                        [DM_LOG_VERBOSE] = "verbose",
                                        [DM_LOG_NOTICE] = "notice",
                                        [DM_LOG_WARNING] = "warning"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(value, names[i]) == 0) {
            config->log_level = (enum dm_log_level)i;
            return true;
        }
    return false;
}

static const struct {
    const char *name;
    bool (*set)(struct node_config *config, const char *value);
    const char *allowed;
} keys[] = {
    {"listen", listen_set, "path of a Unix socket, 1 to 107 bytes, optionally after unix:; or rdma://address:port"},
    {"memory", memory_set, "size from 1mb to 65536gb, as a number of bytes or with kb, mb, gb, tb"},
    {"numa_node", numa_node_set, "number of a NUMA node from 0 to 1023, or -1 for any"},
    {"log_level", log_level_set, "debug, verbose, notice or warning"},
};
#define KEY_COUNT (sizeof keys / sizeof keys[0])

/* Sets one key, or says in `cause` what is wrong with it. */
static bool key_set(struct node_config *config, const char *section, const char *key, const char *value,
                    char cause[static 512]) {
    if (strcmp(section, "gateway") == 0 || strcmp(section, "pool") == 0 || strcmp(section, "coordinator") == 0)
        return true; /* the gateway's; it checks them */
    if (strcmp(section, "rdma") == 0)
        return rdma_setting_set(&config->rdma, key, value, cause, 512);
    if (strcmp(section, "memserver") != 0) {
        snprintf(cause, 512, "unknown section [%.60s]; there are [memserver], [rdma], [gateway] and [pool]", section);
        return false;
    }
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (strcmp(key, keys[i].name) != 0)
            continue;
        if (keys[i].set(config, value))
            return true;
        snprintf(cause, 512, "memserver.%s: invalid value '%.120s'; allowed: %s", key, value, keys[i].allowed);
        return false;
    }
    snprintf(cause, 512, "unknown key memserver.%.60s; allowed: listen, memory, numa_node, log_level", key);
    return false;
}

/* ---- File ------------------------------------------------------------------------------------------------------- */

struct file_reader {
    struct node_config *config;
    FILE *file;
    int line;
    bool line_cut; /* the present line is longer than inih takes */
    int error_line;
    char cause[512];
};

/* fgets for inih: counts lines, drops what is too long for it, and takes indentation away (inih would read an indented
 * key as a continuation of the value before it). */
static char *line_read(char *buffer, int bytes, void *context) {
    struct file_reader *reader = context;
    if (!fgets(buffer, bytes, reader->file))
        return NULL;
    reader->line++;
    size_t length = strlen(buffer);
    reader->line_cut = false;
    if (length > 0 && buffer[length - 1] != '\n')
        for (int c; (c = fgetc(reader->file)) != EOF && c != '\n';)
            reader->line_cut = true;
    size_t indent = strspn(buffer, " \t");
    memmove(buffer, buffer + indent, length + 1 - indent);
    return buffer;
}

static int line_handle(void *context, const char *section, const char *key, const char *value) {
    struct file_reader *reader = context;
    if (reader->error_line != 0)
        return 1; /* inih goes on after an error; the first one counts */
    bool set = true;
    if (reader->line_cut && (strcmp(section, "memserver") == 0 || strcmp(section, "rdma") == 0)) {
        snprintf(reader->cause, sizeof reader->cause, "%s.%.60s: the line is too long", section, key);
        set = false;
    } else {
        set = key_set(reader->config, section, key, value, reader->cause);
    }
    if (!set)
        reader->error_line = reader->line;
    return set;
}

static bool file_load(struct node_config *config, const char *path, char *error, size_t error_bytes) {
    struct file_reader reader = {.config = config, .file = fopen(path, "re")};
    if (!reader.file) {
        snprintf(error, error_bytes, "%s: cannot read it: %s", path, strerror(errno));
        return false;
    }
    int line = ini_parse_stream(line_read, &reader, line_handle, &reader);
    bool unreadable = ferror(reader.file);
    fclose(reader.file);
    if (unreadable)
        snprintf(error, error_bytes, "%s: cannot read it", path);
    else if (line > 0 && line == reader.error_line)
        snprintf(error, error_bytes, "%s:%d: %s", path, line, reader.cause);
    else if (line != 0)
        snprintf(error, error_bytes, "%s:%d: neither a [section] nor key = value", path, line);
    return line == 0 && !unreadable;
}

/* ---- Arguments -------------------------------------------------------------------------------------------------- */

static bool argument_load(struct node_config *config, const char *argument, char *error, size_t error_bytes) {
    char section[64];
    char key[64];
    int used = 0;
    if (sscanf(argument, "--%63[a-z_].%63[a-z_]=%n", section, key, &used) != 2 || used == 0) {
        snprintf(error, error_bytes, "%.200s: not of the form --section.key=value; see --help", argument);
        return false;
    }
    char cause[512];
    if (key_set(config, section, key, argument + used, cause))
        return true;
    snprintf(error, error_bytes, "%.200s: %s", argument, cause);
    return false;
}

void node_config_defaults(struct node_config *config) {
    *config = (struct node_config){
        .listen = LISTEN_DEFAULT, .memory_bytes = MEMORY_BYTES_DEFAULT, .numa_node = -1, .log_level = DM_LOG_NOTICE};
    rdma_setting_defaults(&config->rdma);
}

bool node_config_load(struct node_config *config, int count, char **arguments, char *error, size_t error_bytes) {
    int next = 0;
    if (count > 0 && strncmp(arguments[0], "--", 2) != 0) {
        if (!file_load(config, arguments[0], error, error_bytes))
            return false;
        next = 1;
    }
    for (; next < count; next++)
        if (!argument_load(config, arguments[next], error, error_bytes))
            return false;
    return true;
}
