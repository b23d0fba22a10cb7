/* config.c: the table of configuration keys, and what reads it. See config.h; main thread only.
 *
 * A value may come from a file or an argument; struct source says which, for messages like
 *   conf/my.conf:3: [gateway] port = 'x': must be a whole number from 0 to 65535
 */
#include "config.h"

#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "setting.h"

#define KB INT64_C(1024)
#define MB (KB * 1024)
#define GB (MB * 1024)
#define TB (GB * 1024)
#define AT(member) offsetof(struct config, member), sizeof(((struct config *)NULL)->member)

static const struct config_key keys[] = {
    {"gateway", "bind", "bind", CONFIG_TEXT, AT(bind), 1, 0, "127.0.0.1", NULL, false,
     "addresses to listen on, separated by spaces; * = all"},
    {"gateway", "port", "port", CONFIG_U16, AT(port), 0, 65535, "6379", NULL, false,
     "TCP port; 0 = any free one, which the log names"},
    {"gateway", "workers", "io-threads", CONFIG_U32, AT(workers), 0, 64, "0", NULL, false,
     "worker threads; 0 = number of CPUs - 1, at least 1 and at most 16"},
    {"gateway", "maxclients", "maxclients", CONFIG_U32, AT(maxclients), 1, 1000000, "10000", NULL, false,
     "most connections at a time"},
    {"gateway", "proto_max_bulk_len", "proto-max-bulk-len", CONFIG_SIZE, AT(proto_max_bulk_len), MB, 4 * GB, "512mb",
     NULL, false, "largest argument of a command"},
    {"gateway", "timeout", "timeout", CONFIG_U32, AT(timeout_s), 0, 31536000, "0", NULL, false,
     "seconds after which an idle client is disconnected; 0 = never"},
    {"gateway", "tcp_backlog", "tcp-backlog", CONFIG_U32, AT(tcp_backlog), 1, 65535, "511", NULL, false,
     "length of the queue of connections not accepted yet"},
    {"gateway", "tcp_keepalive", "tcp-keepalive", CONFIG_U32, AT(tcp_keepalive_s), 0, 32767, "300", NULL, false,
     "seconds between TCP keep-alive probes; 0 = none"},
    {"gateway", "output_soft_limit", NULL, CONFIG_SIZE, AT(output_soft_bytes), 16 * KB, TB, "1mb", NULL, false,
     "no further command of a client is run while more than this waits to be sent to it"},
    {"gateway", "output_hard_limit", NULL, CONFIG_SIZE, AT(output_hard_bytes), MB, TB, "256mb", NULL, false,
     "a client to which more than this waits to be sent is disconnected"},
    {"gateway", "query_buffer_limit", "client-query-buffer-limit", CONFIG_SIZE, AT(query_buffer_limit_bytes), MB, TB,
     "1gb", NULL, false, "a client whose half-sent command is longer than this is disconnected"},
    {"gateway", "requirepass", "requirepass", CONFIG_TEXT, AT(requirepass), 0, 0, "", NULL, false,
     "password that clients must send with AUTH; empty = none"},
    {"gateway", "log_level", "loglevel", CONFIG_TEXT, AT(log_level), 1, 0, "notice", "debug verbose notice warning",
     false, "messages below this level are not logged"},
    {"gateway", "user", NULL, CONFIG_LINES, AT(users), 0, 0, "", NULL, false,
     "an ACL user: name and rules as in Redis; may be given several times"},
    {"gateway", "aclfile", "aclfile", CONFIG_TEXT, AT(aclfile), 0, 0, "", NULL, false,
     "file of ACL users, which ACL LOAD reads and ACL SAVE writes; not together with user"},
    {"gateway", "protected_mode", "protected-mode", CONFIG_TEXT, AT(protected_mode), 1, 0, "yes", "yes no", false,
     "while there is no password, clients from other hosts are refused"},
    {"gateway", "acllog_max_len", "acllog-max-len", CONFIG_U32, AT(acllog_max_len), 0, 100000, "128", NULL, false,
     "entries of ACL LOG"},
    {"gateway", "unauthenticated_timeout", NULL, CONFIG_U32, AT(unauthenticated_timeout_s), 0, 86400, "60", NULL, false,
     "seconds in which a client must have sent its password; 0 = any time"},
    {"gateway", "unixsocket", "unixsocket", CONFIG_TEXT, AT(unixsocket), 0, 0, "", NULL, false,
     "path of a Unix socket to listen on, too; empty = none"},
    {"gateway", "unixsocketperm", "unixsocketperm", CONFIG_TEXT, AT(unixsocketperm), 0, 0, "", NULL, false,
     "its permissions in octal; empty = by umask"},
    {"gateway", "client_output_buffer_limit", "client-output-buffer-limit", CONFIG_TEXT, AT(output_buffer_limit), 0, 0,
     "normal 0 0 0 slave 0 0 0 pubsub 32mb 8mb 60", NULL, false,
     "class, hard limit, soft limit, seconds above the soft one, for each class; see output_hard_limit"},
    {"gateway", "tls_port", "tls-port", CONFIG_U16, AT(tls_port), 0, 65535, "0", NULL, false,
     "TCP port for TLS; 0 = none"},
    {"gateway", "tls_cert_file", "tls-cert-file", CONFIG_TEXT, AT(tls_cert_file), 0, 0, "", NULL, false,
     "certificate of the gateway with its chain, PEM"},
    {"gateway", "tls_key_file", "tls-key-file", CONFIG_TEXT, AT(tls_key_file), 0, 0, "", NULL, false,
     "its private key, PEM"},
    {"gateway", "tls_ca_cert_file", "tls-ca-cert-file", CONFIG_TEXT, AT(tls_ca_cert_file), 0, 0, "", NULL, false,
     "authorities whose client certificates are accepted, PEM"},
    {"gateway", "tls_auth_clients", "tls-auth-clients", CONFIG_TEXT, AT(tls_auth_clients), 1, 0, "yes",
     "yes no optional", false, "must clients have a certificate?"},
    {"gateway", "tls_protocols", "tls-protocols", CONFIG_TEXT, AT(tls_protocols), 0, 0, "", NULL, false,
     "TLSv1.2 TLSv1.3, or one of them; empty = both"},
    {"gateway", "slowlog_log_slower_than", "slowlog-log-slower-than", CONFIG_I64, AT(slowlog_slower_us), -1, INT64_MAX,
     "10000", NULL, false, "microseconds from which a command gets into SLOWLOG; -1 = none"},
    {"gateway", "slowlog_max_len", "slowlog-max-len", CONFIG_U32, AT(slowlog_max_len), 0, 1000000, "128", NULL, false,
     "entries of SLOWLOG"},
    {"gateway", "latency_monitor_threshold", "latency-monitor-threshold", CONFIG_U32, AT(latency_threshold_ms), 0,
     INT32_MAX, "0", NULL, false, "milliseconds from which LATENCY notes an event; 0 = never"},
    {"gateway", "notify_keyspace_events", "notify-keyspace-events", CONFIG_TEXT, AT(notify_events), 0, 0, "", NULL,
     false, "events that are published, in Redis's letters; empty = none"},
    {"gateway", "metrics_port", NULL, CONFIG_U16, AT(metrics_port), 0, 65535, "0", NULL, false,
     "TCP port of GET /metrics for Prometheus; 0 = none"},
    {"gateway", "metrics_bind", NULL, CONFIG_TEXT, AT(metrics_bind), 1, 0, "127.0.0.1", NULL, false,
     "address of metrics_port"},
    {"gateway", "bus_port", NULL, CONFIG_U16, AT(bus_port), 0, 65535, "0", NULL, false,
     "TCP port on which other gateways deliver published messages; 0 = none"},
    {"gateway", "bus_bind", NULL, CONFIG_TEXT, AT(bus_bind), 1, 0, "127.0.0.1", NULL, false, "address of bus_port"},
    {"gateway", "peers", NULL, CONFIG_TEXT, AT(peers), 0, 0, "", NULL, false,
     "bus addresses (host:port) of the other gateways, separated by commas: published messages go there, too"},
    {"gateway", "peers_secret", NULL, CONFIG_TEXT, AT(peers_secret), 0, 0, "", NULL, false,
     "what gateways prove to each other to know on the bus"},
    {"pool", "fabric", NULL, CONFIG_TEXT, AT(fabric), 1, 0, "local", "local verbs", false,
     "how memory nodes are reached: local = shared memory of this host, verbs = RDMA"},
    {"pool", "memservers", NULL, CONFIG_TEXT, AT(memservers), 0, 0, "", NULL, false,
     "control sockets of the memory nodes (verbs: rdma://host:port), separated by commas, in the pool's order; empty = "
     "embedded pool"},
    {"pool", "replicas", NULL, CONFIG_U32, AT(replicas), 0, 4, "0", NULL, false,
     "copies of all data; 0 = what the pool has, min(2, nodes) when it is formatted"},
    {"pool", "region_size", NULL, CONFIG_SIZE, AT(region_bytes), 0, TB, "0", NULL, true,
     "unit of placement; 0 = what the pool has, or by size of the nodes"},
    {"pool", "block_size", NULL, CONFIG_SIZE, AT(block_bytes), 0, GB, "0", NULL, true,
     "unit in which gateways are granted memory; 0 = what the pool has, or by size of the nodes"},
    {"pool", "subtables", NULL, CONFIG_U32, AT(subtables), 0, 1 << 24, "0", NULL, true,
     "index subtables of 1008 slots; 0 = what the pool has, or by size of the pool"},
    {"pool", "cache", NULL, CONFIG_SIZE, AT(cache_bytes), MB, TB, "64mb", NULL, false, "index cache of this gateway"},
    {"pool", "copies", NULL, CONFIG_SIZE, AT(copy_bytes), MB, TB, "64mb", NULL, false,
     "copies of small objects in this gateway, for writes in two round trips"},
    {"pool", "lease_ms", NULL, CONFIG_U32, AT(lease_ms), 0, 600000, "5000", NULL, false,
     "a gateway that has not shown for so long that it lives is ended by fusegate-coordinator; 0 = never"},
    {"pool", "embedded_nodes", NULL, CONFIG_U32, AT(embedded_nodes), 1, DM_NODES_MAX, "3", NULL, false,
     "memory nodes of the embedded pool"},
    {"coordinator", "kind", NULL, CONFIG_TEXT, AT(coordinator_kind), 1, 0, "builtin", "builtin etcd", false,
     "who knows which gateways live: builtin = the pool itself, for one fusegate-coordinator; etcd = an etcd cluster"},
    {"coordinator", "etcd", NULL, CONFIG_TEXT, AT(coordinator_etcd), 0, 0, "", NULL, false,
     "kind = etcd: its members, http://host:port, separated by commas"},
    {"coordinator", "ttl", NULL, CONFIG_U32, AT(coordinator_ttl_s), 2, 3600, "5", NULL, false,
     "kind = etcd: seconds without etcd after which a gateway refuses commands until it is back"},
    {"memserver", "memory", NULL, CONFIG_SIZE, AT(memory_bytes), 16 * MB, 64 * TB, "1gb", NULL, false,
     "memory of each node of the embedded pool; pages are used when they are first needed"},
    {"memserver", "numa_node", NULL, CONFIG_I32, AT(numa_node), -1, 1023, "-1", NULL, false,
     "NUMA node of that memory; -1 = any"},
    {"memserver", "listen", NULL, CONFIG_TEXT, AT(memserver_listen), 0, 0, "", NULL, false,
     "for fusegate-memserver; ignored here"},
    {"memserver", "log_level", NULL, CONFIG_TEXT, AT(memserver_log_level), 1, 0, "notice",
     "debug verbose notice warning", false, "for fusegate-memserver; ignored here"},
};

#define KEY_COUNT (sizeof keys / sizeof keys[0])

struct source { /* where a value comes from */
    struct config *config;
    const char *path; /* NULL: an argument */
    const char *argument;
    char message[640]; /* of the first error */
};

const struct config_key *config_keys(size_t *count) {
    *count = KEY_COUNT;
    return keys;
}

/* Dashes and underscores are the same in names. */
static bool name_equal(const char *a, const char *b) {
    for (; *a != '\0' && *b != '\0'; a++, b++) {
        if (*a != *b && !((*a == '-' || *a == '_') && (*b == '-' || *b == '_'))) {
            return false;
        }
    }
    return *a == *b;
}

static const struct config_key *key_find(const char *section, const char *name) {
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (name_equal(keys[i].section, section) && name_equal(keys[i].name, name)) {
            return &keys[i];
        }
    }
    return NULL;
}

static bool section_exists(const char *section) {
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (name_equal(keys[i].section, section)) {
            return true;
        }
    }
    return false;
}

static void size_format(int64_t bytes, char *out, size_t out_bytes) {
    static const char *const units[] = {"", "kb", "mb", "gb", "tb"};
    int unit = 0;

    while (unit < 4 && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    snprintf(out, out_bytes, "%" PRId64 "%s", bytes, units[unit]);
}

/* What a key may be, in words. */
static void key_allowed(const struct config_key *key, char *out, size_t out_bytes) {
    char low[32], high[32];
    const char *shape = key->power_of_two ? ", 0 or a power of two" : "";

    if (key->type == CONFIG_TEXT && key->choices != NULL) {
        snprintf(out, out_bytes, "one of: %s", key->choices);
    } else if (key->type == CONFIG_TEXT || key->type == CONFIG_LINES) {
        snprintf(out, out_bytes, "%sa text of at most %zu bytes", key->minimum > 0 ? "not empty, " : "",
                 key->bytes - 1);
    } else if (key->type == CONFIG_SIZE) {
        size_format(key->minimum, low, sizeof low);
        size_format(key->maximum, high, sizeof high);
        snprintf(out, out_bytes, "a size from %s to %s%s, in bytes or with kb, mb, gb", low, high, shape);
    } else {
        snprintf(out, out_bytes, "a whole number from %" PRId64 " to %" PRId64 "%s", key->minimum, key->maximum, shape);
    }
}

static bool text_allowed(const struct config_key *key, const char *text) {
    size_t length = strlen(text);
    const char *choice = key->choices;

    if (choice == NULL) {
        return length < key->bytes && (int64_t)length >= key->minimum;
    }
    if (length == 0 || strchr(text, ' ') != NULL) { /* one of the words, not several */
        return false;
    }
    while ((choice = strstr(choice, text)) != NULL) {
        if ((choice == key->choices || choice[-1] == ' ') && (choice[length] == ' ' || choice[length] == '\0')) {
            return true;
        }
        choice++;
    }
    return false;
}

static void number_store(struct config *config, const struct config_key *key, int64_t value) {
    char *member = (char *)config + key->offset;

    switch (key->type) {
    case CONFIG_U16:
        *(uint16_t *)(void *)member = (uint16_t)value;
        break;
    case CONFIG_U32:
        *(uint32_t *)(void *)member = (uint32_t)value;
        break;
    case CONFIG_I32:
        *(int32_t *)(void *)member = (int32_t)value;
        break;
    case CONFIG_I64:
        *(int64_t *)(void *)member = value;
        break;
    case CONFIG_SIZE:
        *(uint64_t *)(void *)member = (uint64_t)value;
        break;
    case CONFIG_TEXT:
    case CONFIG_LINES:
        break;
    }
}

/* One line more; false: no room. */
static bool line_store(char *lines, size_t bytes, const char *text) {
    size_t used = strlen(lines), length = strlen(text);

    if (length == 0) {
        return true;
    }
    if (used + length + 2 > bytes) {
        return false;
    }
    memcpy(lines + used, text, length);
    memcpy(lines + used + length, "\n", 2);
    return true;
}

/* False: the value is not allowed; nothing was stored. */
static bool key_store(struct config *config, const struct config_key *key, const char *text) {
    int64_t value;
    uint64_t bytes;

    if (key->type == CONFIG_LINES) {
        return line_store((char *)config + key->offset, key->bytes, text);
    }
    if (key->type == CONFIG_TEXT) {
        if (!text_allowed(key, text)) {
            return false;
        }
        strcpy((char *)config + key->offset, text);
        return true;
    }
    if (key->type != CONFIG_SIZE) {
        if (!setting_integer_parse(text, key->minimum, key->maximum, &value)) {
            return false;
        }
    } else if (!setting_size_parse(text, &bytes) || bytes > (uint64_t)key->maximum ||
               (value = (int64_t)bytes) < key->minimum) {
        return false;
    }
    if (key->power_of_two && (value & (value - 1)) != 0) {
        return false;
    }
    number_store(config, key, value);
    return true;
}

/* One assignment; false with source->message. */
static bool source_assign(struct source *source, const char *section, const char *name, const char *text) {
    const struct config_key *key = key_find(section, name);
    char allowed[256];

    if (name_equal(section, "rdma")) { /* the same for both programs */
        return rdma_setting_set(&source->config->rdma, name, text, source->message, sizeof source->message);
    }
    if (key == NULL && !section_exists(section)) {
        snprintf(source->message, sizeof source->message,
                 "[%.100s] %.100s: no such section; there are [gateway], [pool], [rdma], [coordinator] and [memserver]",
                 section, name);
        return false;
    }
    if (key == NULL) {
        snprintf(source->message, sizeof source->message, "[%.100s] %.100s: no such key; fusegate --help lists all",
                 section, name);
        return false;
    }
    if (key_store(source->config, key, text)) {
        return true;
    }
    key_allowed(key, allowed, sizeof allowed);
    snprintf(source->message, sizeof source->message, "[%s] %s = '%.100s': must be %s", key->section, key->name, text,
             allowed);
    return false;
}

/* inih's handler: 0 stops nothing, so only the first error is kept; ini_parse returns its line. */
static int file_assign(void *context, const char *section, const char *name, const char *text) {
    struct source *source = context;

    if (source->message[0] != '\0') {
        return 0;
    }
    return source_assign(source, section, name, text) ? 1 : 0;
}

struct line_source {
    FILE *file;
    int line, long_line; /* 1 = the first; 0 = none was too long */
};

/* inih's reader. Indentation is dropped, because inih takes an indented line for more of the value before. */
static char *line_read(char *text, int bytes, void *context) {
    struct line_source *lines = context;

    if (fgets(text, bytes, lines->file) == NULL) {
        return NULL;
    }
    lines->line++;
    if (strchr(text, '\n') == NULL && !feof(lines->file)) {
        lines->long_line = lines->long_line != 0 ? lines->long_line : lines->line;
        for (int c = fgetc(lines->file); c != '\n' && c != EOF; c = fgetc(lines->file)) {
        }
    }
    size_t indent = strspn(text, " \t");
    memmove(text, text + indent, strlen(text + indent) + 1);
    return text;
}

/* ini_parse's results: 0, a line number, or -1 when the file cannot be read (errno). */
static int file_parse(const char *path, struct source *source, int *long_line) {
    struct line_source lines = {.file = fopen(path, "re")};

    if (lines.file == NULL) {
        return -1;
    }
    int line = ini_parse_stream(line_read, &lines, file_assign, source);

    if (ferror(lines.file)) {
        line = -1;
    }
    *long_line = lines.long_line;
    int cause = errno;

    fclose(lines.file);
    errno = cause;
    return line;
}

static bool config_load_file(struct config *config, const char *path, char *error, size_t error_bytes) {
    struct source source = {.config = config, .path = path};
    int long_line = 0;

    if (strlen(path) >= sizeof config->path) {
        snprintf(error, error_bytes, "%s: the path is too long", path);
        return false;
    }
    errno = 0;
    int line = file_parse(path, &source, &long_line);

    if (long_line != 0) {
        snprintf(error, error_bytes, "%s:%d: the line is too long for a configuration file; give it as an argument",
                 path, long_line);
        return false;
    }
    if (line < 0) {
        snprintf(error, error_bytes, "%s: cannot be read: %s", path, strerror(errno));
        return false;
    }
    if (line > 0) {
        snprintf(error, error_bytes, "%s:%d: %s", path, line,
                 source.message[0] != '\0' ? source.message : "neither [section], nor key = value, nor ; comment");
        return false;
    }
    strcpy(config->path, path);
    return true;
}

/* --section.key=value */
static bool config_load_argument(struct config *config, const char *argument, char *error, size_t error_bytes) {
    struct source source = {.config = config, .argument = argument};
    char name[128];
    const char *equals = strchr(argument, '=');
    char *dot = NULL;

    if (strncmp(argument, "--", 2) == 0 && equals != NULL && (size_t)(equals - argument - 2) < sizeof name) {
        snprintf(name, sizeof name, "%.*s", (int)(equals - argument - 2), argument + 2);
        dot = strchr(name, '.');
    }
    if (dot == NULL) {
        snprintf(error, error_bytes, "argument '%s': must be --section.key=value (fusegate --help lists all)",
                 argument);
        return false;
    }
    *dot = '\0';
    if (!source_assign(&source, name, dot + 1, equals + 1)) {
        snprintf(error, error_bytes, "argument '%.200s': %s", argument, source.message);
        return false;
    }
    return true;
}

/* What no single key can see. */
static bool config_check(const struct config *config, char *error, size_t error_bytes) {
    if (config->output_hard_bytes < config->output_soft_bytes) {
        snprintf(error, error_bytes,
                 "[gateway] output_hard_limit (%" PRIu64 ") must not be below output_soft_limit (%" PRIu64 ")",
                 config->output_hard_bytes, config->output_soft_bytes);
        return false;
    }
    if (config->memservers[0] == '\0' && config->replicas > config->embedded_nodes) {
        snprintf(error, error_bytes, "[pool] replicas = %u: the embedded pool has only %u nodes (embedded_nodes)",
                 config->replicas, config->embedded_nodes);
        return false;
    }
    if (strcmp(config->coordinator_kind, "etcd") == 0 && config->coordinator_etcd[0] == '\0') {
        snprintf(error, error_bytes, "[coordinator] kind = etcd: etcd must name the members, http://host:port");
        return false;
    }
    if (config->memservers[0] == '\0' && strcmp(config->fabric, "local") != 0) {
        snprintf(error, error_bytes,
                 "[pool] fabric = %s needs memory nodes: set memservers, or use fabric = local for an embedded pool",
                 config->fabric);
        return false;
    }
    return true;
}

void config_defaults(struct config *config) {
    memset(config, 0, sizeof *config);
    rdma_setting_defaults(&config->rdma);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (!key_store(config, &keys[i], keys[i].default_text)) {
            abort(); /* a row of the table contradicts itself; test_config meets every one */
        }
    }
}

bool config_load(struct config *config, int argc, char **argv, char *error, size_t error_bytes) {
    int first = 0;

    config_defaults(config);
    if (argc > 0 && argv[0][0] != '-') {
        if (!config_load_file(config, argv[0], error, error_bytes)) {
            return false;
        }
        first = 1;
    }
    for (int i = first; i < argc; i++) {
        if (!config_load_argument(config, argv[i], error, error_bytes)) {
            return false;
        }
    }
    return config_check(config, error, error_bytes);
}

int config_value_format(const struct config *config, const struct config_key *key, char *out, size_t out_bytes) {
    const char *member = (const char *)config + key->offset;

    switch (key->type) {
    case CONFIG_U16:
        return snprintf(out, out_bytes, "%u", *(const uint16_t *)(const void *)member);
    case CONFIG_U32:
        return snprintf(out, out_bytes, "%u", *(const uint32_t *)(const void *)member);
    case CONFIG_I32:
        return snprintf(out, out_bytes, "%d", *(const int32_t *)(const void *)member);
    case CONFIG_SIZE:
        return snprintf(out, out_bytes, "%" PRIu64, *(const uint64_t *)(const void *)member);
    case CONFIG_I64:
        return snprintf(out, out_bytes, "%" PRId64, *(const int64_t *)(const void *)member);
    case CONFIG_TEXT:
    case CONFIG_LINES:
        break;
    }
    return snprintf(out, out_bytes, "%s", member);
}

void config_help(FILE *out) {
    const char *section = "";

    fprintf(out, "usage: fusegate [file.conf] [--section.key=value ...] | --help | --version\n\n"
                 "Without a file: an embedded pool, on 127.0.0.1:6379. Each key may stand in the file, under its\n"
                 "[section], or among the arguments, which come second.\n");
    for (size_t i = 0; i < KEY_COUNT; i++) {
        char allowed[256];
        if (strcmp(section, keys[i].section) != 0) {
            section = keys[i].section;
            fprintf(out, "\n[%s]\n", section);
        }
        key_allowed(&keys[i], allowed, sizeof allowed);
        fprintf(out, "  %-20s %s\n  %-20s %s; default %s\n", keys[i].name, keys[i].help, "", allowed,
                keys[i].default_text[0] != '\0' ? keys[i].default_text : "empty");
    }
    size_t rdma_count;
    const struct rdma_key *rdma = rdma_keys(&rdma_count);
    fprintf(out, "\n[rdma]  (fabric = verbs; the memory nodes have the same)\n");
    for (size_t i = 0; i < rdma_count; i++) {
        fprintf(out, "  %-20s %s; default %s\n", rdma[i].name, rdma[i].help,
                rdma[i].default_text[0] != '\0' ? rdma[i].default_text : "empty");
    }
}
