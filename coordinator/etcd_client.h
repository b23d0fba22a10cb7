/* etcd_client.h: the few calls of etcd's v3 API that membership needs, over its HTTP/JSON gateway, by libcurl and
 * json-c. Each call blocks for a bounded time and tries all endpoints, beginning with the one that answered last. Knows
 * nothing of gateways or pools. A client belongs to one thread. */
#ifndef ETCD_CLIENT_H
#define ETCD_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ETCD_ENDPOINTS_MAX 16u
#define ETCD_KEY_BYTES_MAX 200u
#define ETCD_VALUE_BYTES_MAX 200u

struct etcd_client;

/* Once in a process, before its threads; any number of times. */
bool etcd_library_open(void);

/* `endpoints`: http://host:port or https://host:port, separated by commas. NULL: error says why. */
struct etcd_client *etcd_open(const char *endpoints, char *error, size_t error_bytes);
void etcd_close(struct etcd_client *client);

/* Why the last call failed; one line. */
const char *etcd_error(const struct etcd_client *client);

enum etcd_result {
    ETCD_OK,
    ETCD_NO,     /* it was answered: not so (no such lease; the key is there already) */
    ETCD_FAILED, /* no endpoint has answered, or not in a way that is understood: it may have happened */
};

enum etcd_result etcd_lease_grant(struct etcd_client *client, uint32_t ttl_s, int64_t *lease);
/* ETCD_NO: it has run out. */
enum etcd_result etcd_lease_keep(struct etcd_client *client, int64_t lease);
enum etcd_result etcd_lease_revoke(struct etcd_client *client, int64_t lease);

/* Key and value are texts. The key goes with its lease. */
enum etcd_result etcd_put(struct etcd_client *client, const char *key, const char *value, int64_t lease);
/* Only if there is no such key: ETCD_NO. */
enum etcd_result etcd_create(struct etcd_client *client, const char *key, const char *value, int64_t lease);
/* The value of one key into `value`; ETCD_NO: there is none. */
enum etcd_result etcd_get(struct etcd_client *client, const char *key, char value[ETCD_VALUE_BYTES_MAX]);

typedef void etcd_each_fn(void *context, const char *key, const char *value);
/* Tells of all keys that begin with `prefix`. */
enum etcd_result etcd_list(struct etcd_client *client, const char *prefix, etcd_each_fn *each, void *context);

#endif
