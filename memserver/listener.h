/* listener.h: the listening control socket of a memory node: takes the path, or says who has it; gives it back.
 * No messages, no connections. Used by control.c, on the main thread. */
#ifndef LISTENER_H
#define LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct listener {
    int fd;
    const char *path; /* the caller's, lives as long as the listener */
    dev_t device;     /* of our socket file: only that one is removed */
    ino_t inode;
};

/* Non-blocking SOCK_SEQPACKET socket, mode 0600. The socket file of a process that has died is replaced; false, with
 * a message, when somebody listens there, when it is another kind of file, or when the path cannot be used. */
bool listener_open(struct listener *listener, const char *path, char *error, size_t error_bytes);

/* Closes the socket and removes its file, unless somebody has replaced it. */
void listener_close(struct listener *listener);

#endif
