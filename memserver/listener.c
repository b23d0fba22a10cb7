/* listener.c: see listener.h. Two nodes that start at once on one path must not both find it stale and remove each
 * other's socket, so everything from the first look to listen() happens under a lock on the folder. */
#define _GNU_SOURCE
#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTEN_BACKLOG 128

struct opening {
    const char *path;
    struct sockaddr_un address;
    char *error;
    size_t error_bytes;
};

static bool fail(const struct opening *opening, const char *what, int cause) {
    snprintf(opening->error, opening->error_bytes, "cannot listen on %s: %s%s%s", opening->path, what,
             cause ? ": " : "", cause ? strerror(cause) : "");
    return false;
}

/* The folder of the path, locked; -1 with a message. */
static int folder_lock(const struct opening *opening) {
    char copy[sizeof opening->address.sun_path];
    memcpy(copy, opening->address.sun_path, sizeof copy);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        fail(opening, "cannot open its folder", errno);
        return -1;
    }
    while (flock(fd, LOCK_EX) != 0)
        if (errno != EINTR) {
            fail(opening, "cannot lock its folder", errno);
            close(fd);
            return -1;
        }
    return fd;
}

static bool fail_in_use(const struct opening *opening, int probe) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    char what[128] = "address in use by another process; stop it or choose another path";
    if (getsockopt(probe, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.pid > 0)
        snprintf(what, sizeof what, "address in use by pid %ld; stop it or choose another path", (long)peer.pid);
    return fail(opening, what, 0);
}

/* Removes what a dead process left at the path; false, with a message, if it is not that. */
static bool stale_remove(const struct opening *opening) {
    struct stat file;
    if (lstat(opening->path, &file) != 0)
        return errno == ENOENT || fail(opening, "cannot examine it", errno);
    if (!S_ISSOCK(file.st_mode))
        return fail(opening, "there is a file that is not a socket; remove it or choose another path", 0);
    int probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return fail(opening, "cannot make a socket", errno);
    int outcome = connect(probe, (const struct sockaddr *)&opening->address, sizeof opening->address);
    bool removed = false;
    if (outcome != 0 && errno == ECONNREFUSED)
        removed = unlink(opening->path) == 0 || fail(opening, "cannot remove the socket of a dead process", errno);
    else if (outcome != 0 && errno == ENOENT)
        removed = true;
    else if (outcome == 0)
        fail_in_use(opening, probe);
    else
        fail(opening, "address in use by another program", errno);
    close(probe);
    return removed;
}

static bool socket_listen(const struct opening *opening, struct listener *listener) {
    struct stat file;
    listener->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0)
        return fail(opening, "cannot make a socket", errno);
    mode_t mask = umask(0177);
    int outcome = bind(listener->fd, (const struct sockaddr *)&opening->address, sizeof opening->address);
    int cause = errno;
    umask(mask);
    if (outcome != 0) {
        fail(opening, "bind", cause);
        goto out_close;
    }
    if (lstat(opening->path, &file) != 0 || listen(listener->fd, LISTEN_BACKLOG) != 0) {
        fail(opening, "listen", errno);
        unlink(opening->path);
        goto out_close;
    }
    listener->path = opening->path;
    listener->device = file.st_dev;
    listener->inode = file.st_ino;
    return true;
out_close:
    close(listener->fd);
    listener->fd = -1;
    return false;
}

bool listener_open(struct listener *listener, const char *path, char *error, size_t error_bytes) {
    struct opening opening = {
        .path = path, .address = {.sun_family = AF_UNIX}, .error = error, .error_bytes = error_bytes};
    const size_t length = strlen(path);
    if (length == 0 || length >= sizeof opening.address.sun_path)
        return fail(&opening, "the path of a Unix socket has 1 to 107 bytes", 0);
    memcpy(opening.address.sun_path, path, length);
    int folder = folder_lock(&opening);
    if (folder < 0)
        return false;
    bool opened = stale_remove(&opening) && socket_listen(&opening, listener);
    close(folder);
    return opened;
}

void listener_close(struct listener *listener) {
    struct stat file;
    if (lstat(listener->path, &file) == 0 && file.st_dev == listener->device && file.st_ino == listener->inode)
        unlink(listener->path);
    close(listener->fd);
    listener->fd = -1;
}
