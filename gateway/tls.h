/* tls.h: TLS by OpenSSL under a connected socket, for clients of tls_port.
 *
 * `struct tls` is the process's: certificates and rules, which can be replaced while connections go on with those that
 * they began with. Any thread. `struct tls_link` is one connection's, on its worker's thread; it reads and writes like
 * a non-blocking socket, and does the handshake by the way.
 */
#ifndef TLS_H
#define TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "live.h"

struct tls;
struct tls_link;

/* NULL: error says which file or setting is wrong. */
struct tls *tls_open(const struct live *live, char *error, size_t error_bytes);
/* New connections get the files as they are now. False: nothing has changed. live->lock is held. */
bool tls_reload(struct tls *tls, const struct live *live, char *error, size_t error_bytes);
void tls_close(struct tls *tls);

/* NULL: out of memory. The socket stays the caller's. */
struct tls_link *tls_link_open(struct tls *tls, int socket);
void tls_link_close(struct tls_link *link);

/* As read and write: -1 with EAGAIN when there is nothing or no room now, or with another errno when it is over. */
ssize_t tls_link_read(struct tls_link *link, void *bytes, size_t length);
ssize_t tls_link_write(void *link, const void *bytes, size_t length);

/* Received and decrypted bytes wait in the link, for which the socket will not become readable. */
bool tls_link_pending(const struct tls_link *link);
/* The last read stopped because the handshake must send something and the socket has no room. */
bool tls_link_wants_write(const struct tls_link *link);
bool tls_link_established(const struct tls_link *link);

/* Why the last call failed with EPROTO; static text. */
const char *tls_link_error(const struct tls_link *link);

#endif
