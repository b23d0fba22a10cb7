/* socket.c: see socket.h. Called by connection.c (worker threads) and listener.c (main thread). */
#include "socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DISCARD_BYTES_MAX (256u * 1024)

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
    struct sockaddr_storage storage;
};

void socket_prepare(int socket, uint32_t keepalive_s) {
    int on = 1, idle = (int)keepalive_s, interval = idle / 3 > 0 ? idle / 3 : 1, probes = 3;

    /* Only conveniences: a socket that refuses them still works. */
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (keepalive_s > 0) {
        setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
        setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
        setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    }
}

void socket_address_format(int socket, bool peer, char *out, size_t out_bytes) {
    union address address = {0};
    socklen_t length = sizeof address;
    char ip[INET6_ADDRSTRLEN] = "?";
    int result = peer ? getpeername(socket, &address.any, &length) : getsockname(socket, &address.any, &length);

    if (result == 0 && address.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address.in6.sin6_addr, ip, sizeof ip);
        snprintf(out, out_bytes, "[%s]:%d", ip, ntohs(address.in6.sin6_port));
    } else if (result == 0 && address.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address.in.sin_addr, ip, sizeof ip);
        snprintf(out, out_bytes, "%s:%d", ip, ntohs(address.in.sin_port));
    } else if (result == 0 && address.any.sa_family == AF_UNIX) {
        snprintf(out, out_bytes, "%.107s:0", address.un.sun_path);
    } else {
        snprintf(out, out_bytes, "?:0");
    }
}

bool socket_is_loopback(int socket) {
    union address address = {0};
    socklen_t length = sizeof address;

    if (getpeername(socket, &address.any, &length) != 0) {
        return false;
    }
    if (address.any.sa_family == AF_INET) {
        return ntohl(address.in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    return address.any.sa_family == AF_INET6 &&
           (IN6_IS_ADDR_LOOPBACK(&address.in6.sin6_addr) ||
            (IN6_IS_ADDR_V4MAPPED(&address.in6.sin6_addr) && address.in6.sin6_addr.s6_addr[12] == IN_LOOPBACKNET));
}

void socket_discard(int socket) {
    char scrap[4096];
    size_t total = 0;
    ssize_t got;

    shutdown(socket, SHUT_WR);
    while (total < DISCARD_BYTES_MAX && (got = read(socket, scrap, sizeof scrap)) > 0) {
        total += (size_t)got;
    }
}
