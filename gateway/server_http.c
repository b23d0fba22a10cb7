/* server_http.c: see server_http.h. HTTP is libevent's; requests have no body, short headers, and little time. */
#include "server_http.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "metrics.h"

#define HEADER_BYTES_MAX 8192
#define BODY_BYTES_MAX 0
#define TIMEOUT_S 5

struct server_http {
    struct server *server;
    struct evhttp *http;
};

static void on_metrics(struct evhttp_request *request, void *argument) {
    struct server_http *http = argument;
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    struct evbuffer *body = evhttp_request_get_output_buffer(request);
    size_t length = 0;
    char *text = metrics_text(http->server, &length);

    if (text == NULL || evbuffer_add(body, text, length) != 0) {
        evhttp_send_error(request, HTTP_INTERNAL, NULL);
    } else {
        evhttp_add_header(headers, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
        evhttp_send_reply(request, HTTP_OK, NULL, NULL);
    }
    free(text);
}

static void on_other(struct evhttp_request *request, void *argument) {
    (void)argument;
    evhttp_send_error(request, HTTP_NOTFOUND, NULL);
}

bool server_http_open(struct server *server, struct event_base *base, struct server_http **out, char *error,
                      size_t error_bytes) {
    const struct config *config = server->config;
    struct server_http *http;

    *out = NULL;
    if (config->metrics_port == 0) {
        return true;
    }
    http = calloc(1, sizeof *http);
    if (http != NULL) {
        http->server = server;
        http->http = evhttp_new(base);
    }
    if (http == NULL || http->http == NULL) {
        snprintf(error, error_bytes, "out of memory");
        free(http);
        return false;
    }
    evhttp_set_allowed_methods(http->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
    evhttp_set_max_headers_size(http->http, HEADER_BYTES_MAX);
    evhttp_set_max_body_size(http->http, BODY_BYTES_MAX);
    evhttp_set_timeout(http->http, TIMEOUT_S);
    evhttp_set_cb(http->http, "/metrics", on_metrics, http);
    evhttp_set_gencb(http->http, on_other, http);
    if (evhttp_bind_socket(http->http, config->metrics_bind, config->metrics_port) != 0) {
        snprintf(error, error_bytes, "cannot listen on %s port %u for metrics: %s", config->metrics_bind,
                 config->metrics_port, strerror(errno));
        server_http_close(http);
        return false;
    }
    log_write(DM_LOG_NOTICE, "metrics at http://%s:%u/metrics", config->metrics_bind, config->metrics_port);
    *out = http;
    return true;
}

void server_http_close(struct server_http *http) {
    evhttp_free(http->http);
    free(http);
}
