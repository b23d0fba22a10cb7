/* etcd_key.h: what stands where in etcd. Pure.
 *
 *   /fusegate/POOL/gateways/IDENTITY   a gateway lives: put under its lease before it joins the pool. POOL and IDENTITY
 *                                      in hex, as fusegate-ctl and logs show them
 *   /fusegate/POOL/coordinator         the coordinator that acts, put under its lease; the value is its own number
 */
#ifndef ETCD_KEY_H
#define ETCD_KEY_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#include "etcd_client.h"

static inline void etcd_key_gateways(char out[ETCD_KEY_BYTES_MAX], uint64_t pool_id) {
    snprintf(out, ETCD_KEY_BYTES_MAX, "/fusegate/%016" PRIx64 "/gateways/", pool_id);
}
static inline void etcd_key_gateway(char out[ETCD_KEY_BYTES_MAX], uint64_t pool_id, uint64_t identity) {
    snprintf(out, ETCD_KEY_BYTES_MAX, "/fusegate/%016" PRIx64 "/gateways/%016" PRIx64, pool_id, identity);
}
static inline void etcd_key_coordinator(char out[ETCD_KEY_BYTES_MAX], uint64_t pool_id) {
    snprintf(out, ETCD_KEY_BYTES_MAX, "/fusegate/%016" PRIx64 "/coordinator", pool_id);
}

#endif
