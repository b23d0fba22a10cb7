/* server_http.h: GET /metrics for Prometheus, on a port of its own. On the main thread, in its event_base. */
#ifndef SERVER_HTTP_H
#define SERVER_HTTP_H

#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct server;
struct server_http;

/* *out is NULL when no metrics_port is configured. False: error says why it cannot listen. */
bool server_http_open(struct server *server, struct event_base *base, struct server_http **out, char *error,
                      size_t error_bytes);
void server_http_close(struct server_http *http);

#endif
