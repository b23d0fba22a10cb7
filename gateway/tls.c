/* tls.c: see tls.h. The context belongs to the process, links to their workers. */
#define _GNU_SOURCE
#include "tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct tls {
    pthread_mutex_t lock; /* of context */
    SSL_CTX *context;
};

struct tls_link {
    SSL *ssl;
    bool wants_write;
    bool broken; /* no orderly end may be sent any more */
    unsigned long error;
};

static bool refuse(const char *what, const char *value, char *error, size_t error_bytes) {
    unsigned long cause = ERR_get_error();
    const char *reason = cause != 0 ? ERR_reason_error_string(cause) : NULL;

    snprintf(error, error_bytes, "%s '%.200s': %s", what, value, reason != NULL ? reason : "not usable");
    ERR_clear_error();
    return false;
}

static bool context_set_protocols(SSL_CTX *context, const char *protocols, char *error, size_t error_bytes) {
    bool two = strcasestr(protocols, "TLSv1.2") != NULL, three = strcasestr(protocols, "TLSv1.3") != NULL;

    if (protocols[0] == '\0') {
        two = three = true;
    }
    if (!two && !three) {
        snprintf(error, error_bytes, "tls-protocols '%s': must be TLSv1.2, TLSv1.3 or both", protocols);
        return false;
    }
    return SSL_CTX_set_min_proto_version(context, two ? TLS1_2_VERSION : TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(context, three ? TLS1_3_VERSION : TLS1_2_VERSION) == 1;
}

static bool context_set_clients(SSL_CTX *context, const struct live *live, char *error, size_t error_bytes) {
    bool none = strcasecmp(live->tls_auth_clients, "no") == 0;
    bool optional = strcasecmp(live->tls_auth_clients, "optional") == 0;

    if (!none && !optional && strcasecmp(live->tls_auth_clients, "yes") != 0) {
        snprintf(error, error_bytes, "tls-auth-clients '%s': must be yes, no or optional", live->tls_auth_clients);
        return false;
    }
    if (none && live->tls_ca_cert_file[0] == '\0') {
        return true;
    }
    if (live->tls_ca_cert_file[0] == '\0') {
        snprintf(error, error_bytes, "tls-ca-cert-file must be given unless tls-auth-clients is no");
        return false;
    }
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(live->tls_ca_cert_file);

    if (names == NULL || SSL_CTX_load_verify_locations(context, live->tls_ca_cert_file, NULL) != 1) {
        return refuse("tls-ca-cert-file", live->tls_ca_cert_file, error, error_bytes);
    }
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context,
                       none       ? SSL_VERIFY_NONE
                       : optional ? SSL_VERIFY_PEER
                                  : SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                       NULL);
    return true;
}

static bool context_set_files(SSL_CTX *context, const struct live *live, char *error, size_t error_bytes) {
    if (SSL_CTX_use_certificate_chain_file(context, live->tls_cert_file) != 1) {
        return refuse("tls-cert-file", live->tls_cert_file, error, error_bytes);
    }
    if (SSL_CTX_use_PrivateKey_file(context, live->tls_key_file, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1) {
        return refuse("tls-key-file", live->tls_key_file, error, error_bytes);
    }
    return true;
}

static SSL_CTX *context_create(const struct live *live, char *error, size_t error_bytes) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    if (context == NULL) {
        snprintf(error, error_bytes, "TLS: out of memory");
        return NULL;
    }
    /* An idle connection keeps no buffers; a write may be tried again from another place in memory. */
    SSL_CTX_set_mode(context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 0);
    if (!context_set_protocols(context, live->tls_protocols, error, error_bytes) ||
        !context_set_files(context, live, error, error_bytes) ||
        !context_set_clients(context, live, error, error_bytes)) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

struct tls *tls_open(const struct live *live, char *error, size_t error_bytes) {
    struct tls *tls = calloc(1, sizeof *tls);

    if (tls == NULL) {
        snprintf(error, error_bytes, "out of memory");
        return NULL;
    }
    tls->context = context_create(live, error, error_bytes);
    if (tls->context == NULL) {
        free(tls);
        return NULL;
    }
    pthread_mutex_init(&tls->lock, NULL);
    return tls;
}

bool tls_reload(struct tls *tls, const struct live *live, char *error, size_t error_bytes) {
    SSL_CTX *context = context_create(live, error, error_bytes);

    if (context == NULL) {
        return false;
    }
    pthread_mutex_lock(&tls->lock);
    SSL_CTX *before = tls->context;
    tls->context = context;
    pthread_mutex_unlock(&tls->lock);
    SSL_CTX_free(before); /* links that began with it hold references */
    return true;
}

void tls_close(struct tls *tls) {
    SSL_CTX_free(tls->context);
    pthread_mutex_destroy(&tls->lock);
    free(tls);
}

/* ---- Links ---- */

struct tls_link *tls_link_open(struct tls *tls, int socket) {
    struct tls_link *link = calloc(1, sizeof *link);

    if (link == NULL) {
        return NULL;
    }
    pthread_mutex_lock(&tls->lock);
    link->ssl = SSL_new(tls->context);
    pthread_mutex_unlock(&tls->lock);
    if (link->ssl == NULL || SSL_set_fd(link->ssl, socket) != 1) {
        SSL_free(link->ssl);
        free(link);
        return NULL;
    }
    SSL_set_accept_state(link->ssl);
    return link;
}

void tls_link_close(struct tls_link *link) {
    if (!link->broken && SSL_is_init_finished(link->ssl)) {
        SSL_shutdown(link->ssl); /* says that this is the end; the answer is not waited for */
    }
    SSL_free(link->ssl);
    ERR_clear_error();
    free(link);
}

/* What a call that did not succeed means, in errno; 0: the other side has ended in order. */
static ssize_t failure(struct tls_link *link, int result) {
    int cause = errno;

    link->wants_write = false;
    switch (SSL_get_error(link->ssl, result)) {
    case SSL_ERROR_WANT_WRITE:
        link->wants_write = true;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_WANT_READ:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        link->broken = true;
        errno = cause != 0 ? cause : ECONNRESET;
        return -1;
    default:
        link->broken = true;
        link->error = ERR_peek_error();
        errno = EPROTO;
        return -1;
    }
}

ssize_t tls_link_read(struct tls_link *link, void *bytes, size_t length) {
    ERR_clear_error();
    errno = 0;
    int got = SSL_read(link->ssl, bytes, length > INT32_MAX ? INT32_MAX : (int)length);

    link->wants_write = false;
    return got > 0 ? got : failure(link, got);
}

ssize_t tls_link_write(void *context, const void *bytes, size_t length) {
    struct tls_link *link = context;

    ERR_clear_error();
    errno = 0;
    int sent = SSL_write(link->ssl, bytes, length > INT32_MAX ? INT32_MAX : (int)length);

    if (sent > 0) {
        return sent;
    }
    ssize_t result = failure(link, sent);

    if (result == 0) {
        errno = EPIPE;
    }
    return -1;
}

bool tls_link_pending(const struct tls_link *link) { return SSL_has_pending(link->ssl) == 1; }

bool tls_link_wants_write(const struct tls_link *link) { return link->wants_write; }

bool tls_link_established(const struct tls_link *link) { return SSL_is_init_finished(link->ssl) == 1; }

const char *tls_link_error(const struct tls_link *link) {
    const char *reason = link->error != 0 ? ERR_reason_error_string(link->error) : NULL;

    return reason != NULL ? reason : "protocol error";
}
