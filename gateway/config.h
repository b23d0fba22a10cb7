/* config.h: the gateway's configuration: INI file (inih), each key also as --section.key=value. Unknown keys and
 * values out of range are errors that name file, line, key and what is allowed.
 *
 * Read once at start, on the main thread; constant afterwards. The keys are data: see struct config_key.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "dm.h"
#include "rdma_setting.h"

struct config {
    /* [gateway] */
    char bind[256]; /* addresses, separated by spaces */
    uint16_t port;
    uint32_t workers; /* 0 = by the number of CPUs */
    uint32_t maxclients;
    uint64_t proto_max_bulk_len;
    uint32_t timeout_s; /* idle clients; 0 = never */
    uint32_t tcp_backlog, tcp_keepalive_s;
    uint64_t output_soft_bytes, output_hard_bytes, query_buffer_limit_bytes;
    char requirepass[256];
    char log_level[16]; /* debug, verbose, notice, warning */
    char users[16384];  /* ACL users, a line each, as after the word "user" in Redis's configuration */
    char aclfile[1024];
    char protected_mode[8]; /* yes, no */
    uint32_t acllog_max_len, unauthenticated_timeout_s;
    char unixsocket[104], unixsocketperm[8];
    char output_buffer_limit[256]; /* client-output-buffer-limit */
    uint16_t tls_port;
    char tls_cert_file[1024], tls_key_file[1024], tls_ca_cert_file[1024];
    char tls_auth_clients[16], tls_protocols[64];
    int64_t slowlog_slower_us; /* -1 = off */
    uint32_t slowlog_max_len, latency_threshold_ms;
    char notify_events[32];
    uint16_t metrics_port; /* 0 = none */
    char metrics_bind[64];
    uint16_t bus_port; /* 0 = none */
    char bus_bind[64], peers[2048], peers_secret[256];
    /* [pool] */
    char fabric[16];       /* "local", "verbs" */
    char memservers[4096]; /* control sockets, comma separated; empty = embedded pool */
    uint32_t replicas;     /* 0 = the pool's */
    uint64_t region_bytes, block_bytes;
    uint32_t subtables;
    uint64_t cache_bytes, copy_bytes;
    uint32_t lease_ms;        /* 0 = none */
    uint32_t embedded_nodes;  /* 3 */
    struct rdma_setting rdma; /* [rdma] */
    /* [coordinator] */
    char coordinator_kind[16]; /* builtin, etcd */
    char coordinator_etcd[1024];
    uint32_t coordinator_ttl_s;
    /* [memserver], for the embedded pool */
    uint64_t memory_bytes;                               /* per node */
    int numa_node;                                       /* -1 = any */
    char memserver_listen[256], memserver_log_level[16]; /* a memory node's own: one file can serve both; ignored */
    /* about the file */
    char path[1024]; /* empty: none was given */
};

enum config_type {
    CONFIG_TEXT,
    CONFIG_LINES /* a text that grows by a line each time */,
    CONFIG_U16,
    CONFIG_I64,
    CONFIG_U32,
    CONFIG_I32,
    CONFIG_SIZE /* uint64_t, with kb, mb, gb */
};

/* One row a key. */
struct config_key {
    const char *section, *name;
    const char *redis_name; /* under which CONFIG GET knows it; NULL = not a setting of Redis */
    enum config_type type;
    size_t offset, bytes; /* of the member in struct config */
    int64_t minimum, maximum;
    const char *default_text;
    const char *choices; /* CONFIG_TEXT: allowed words, separated by spaces; NULL = any text */
    bool power_of_two;   /* or 0 */
    const char *help;
};

/* All rows, in the order of --help. */
const struct config_key *config_keys(size_t *count);

/* A key's value as text: numbers and sizes in decimal. Returns the length, as snprintf does. */
int config_value_format(const struct config *config, const struct config_key *key, char *out, size_t out_bytes);

void config_defaults(struct config *config);
/* argv: the arguments after the program's name: an optional path of a file, then --section.key=value.
 * Returns false with a message in error. */
bool config_load(struct config *config, int argc, char **argv, char *error, size_t error_bytes);

/* The text of --help. */
void config_help(FILE *out);

#endif
