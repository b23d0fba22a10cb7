/* live.h: the settings that CONFIG SET changes while the gateway serves; they begin as the configuration says.
 *
 * Numbers are atomics that any thread reads; texts are read and replaced under the lock. CONFIG's commands are in
 * cmd_config.c, which knows no setting of these by name.
 */
#ifndef LIVE_H
#define LIVE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server;

#define LIVE_TEXT_BYTES 1024u /* longest value as text, with its end */

/* Which clients an output limit is for; replicas do not exist here, their limit is kept and shown. */
enum client_class { CLIENT_NORMAL, CLIENT_REPLICA, CLIENT_PUBSUB };
#define CLIENT_CLASSES 3

struct live_output_limit {
    _Atomic uint64_t hard_bytes, soft_bytes, soft_s; /* 0 = none */
};

struct live {
    _Atomic uint32_t maxclients, timeout_s, tcp_keepalive_s, acllog_max_len, slowlog_max_len, latency_threshold_ms;
    _Atomic uint32_t protected_mode, latency_tracking; /* 0 or 1 */
    _Atomic uint32_t notify_classes;                   /* of enum notify_class */
    _Atomic int64_t slowlog_slower_us;
    struct live_output_limit output[CLIENT_CLASSES];
    pthread_mutex_t lock; /* of the texts */
    char requirepass[256];
    char tls_cert_file[LIVE_TEXT_BYTES], tls_key_file[LIVE_TEXT_BYTES], tls_ca_cert_file[LIVE_TEXT_BYTES];
    char tls_auth_clients[16], tls_protocols[64];
    bool tls_changed; /* and not in effect yet */
};

enum live_result { LIVE_SET, LIVE_UNKNOWN /* no live setting of that name */, LIVE_REFUSED /* error says why */ };

/* Takes the values of server->config. False: error says which one is wrong. Main thread, before workers start. */
bool live_open(struct server *server, char *error, size_t error_bytes);

/* By Redis's name, in any case. Takes effect before it returns, but for settings of TLS, which belong together: see
 * live_settle. Any thread. */
enum live_result live_set(struct server *server, const char *name, const char *text, char *error, size_t error_bytes);

/* After the last one of some settings: what belongs together takes effect. False: error says why it cannot; the caller
 * sets back what it has set and settles again. */
bool live_settle(struct server *server, char *error, size_t error_bytes);

/* The value as CONFIG GET shows it; false: no live setting of that name. */
bool live_get(struct server *server, const char *name, char *out, size_t out_bytes);

#endif
