/* socket.h: the few things about a client's TCP socket that are no business of connections. Any thread. */
#ifndef SOCKET_H
#define SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sets what a client's socket should have: no delay, keep-alive (0 = none). */
void socket_prepare(int socket, uint32_t keepalive_s);

/* "ip:port", "[ip]:port" of the peer or of this side, "path:0" of a Unix socket; "?:0" when it does not know. */
void socket_address_format(int socket, bool peer, char *out, size_t out_bytes);

/* Does the peer come from this host (127.0.0.0/8 or ::1)? */
bool socket_is_loopback(int socket);

/* Before closing: ends the sending side, and drops some of what was received and not read, for which the kernel would
 * send a reset that overtakes the last reply. */
void socket_discard(int socket);

#endif
