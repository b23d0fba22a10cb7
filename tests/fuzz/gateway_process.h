/* gateway_process.h: a whole gateway with an embedded pool inside the fuzzer's own process: all its threads, its
 * sockets, libdm and the local fabric, so that sanitizers and coverage see everything. Started once, never stopped. */
#ifndef FUZZ_GATEWAY_PROCESS_H
#define FUZZ_GATEWAY_PROCESS_H

#include "wire.h"

#define GATEWAY_SECRET "the secret of this fuzzer's peers"

/* Starts it, the first time, and connects to its Unix socket. */
void gateway_connect(struct wire *wire);
/* Sends all the bytes, says that no more will come, and reads until the gateway has closed; *reply is valid until
 * wire_close. Faults when it does not close within 20 s. */
void gateway_exchange(struct wire *wire, const void *bytes, size_t length, const char **reply, size_t *reply_length);
/* Connects to the port for other gateways, or to that for metrics; closing such a connection leaves nothing behind. */
void gateway_connect_bus(struct wire *wire);
void gateway_connect_metrics(struct wire *wire);
/* Faults when it does not answer a new client. */
void gateway_must_serve(void);

#endif
