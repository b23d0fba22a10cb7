/* control.h: the memory node's control server: answers HELLO (here is the memory) and STATUS on its Unix socket, and
 * knows who is connected. Messages: fabric/control.h. Asleep in epoll when nobody talks: no timers, no polling, and
 * never a touch of the memory itself. Main thread only. */
#ifndef CONTROL_H
#define CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory.h"

#define CONTROL_CONNECTIONS_MAX 1024u

struct control;

/* `memory` must be shared, and like `path` live until control_close. When it returns true clients can connect. */
bool control_open(const char *path, const struct memory *memory, struct control **out, char *error, size_t error_bytes);

/* Serves until the descriptor `stop` can be read. Returns false when waiting itself fails, which is logged. */
bool control_run(struct control *control, int stop);

/* Closes all connections and removes the socket's file. Mappings that clients have stay valid. */
void control_close(struct control *control);

#endif
