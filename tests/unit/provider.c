/* provider.c: see provider.h. */
#include "provider.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "memory.h"
#include "verbs_server.h"

#define REMOTE_SLOWNESS 50u
#define SECRET "a secret for unit tests"

struct server {
    struct memory memory;
    struct verbs_server *verbs;
    pthread_t thread;
    char address[64];
};

struct provider {
    uint32_t nodes;
    const struct dm_local_memory *memory;
    int stop; /* eventfd */
    struct dm_verbs_config config;
    struct server servers[DM_NODES_MAX];
};

bool provider_is_remote(void) {
    const char *name = getenv("FUSEGATE_TEST_FABRIC");
    if (name == NULL || strcmp(name, "local") == 0) {
        return false;
    }
    if (strcmp(name, "verbs") != 0) {
        fail_msg("FUSEGATE_TEST_FABRIC is local or verbs, not %s", name);
    }
    return true;
}

uint32_t provider_slowness(void) { return provider_is_remote() ? REMOTE_SLOWNESS : 1; }

static void *server_run(void *argument) {
    const struct provider *provider = ((void **)argument)[0];
    const struct server *server = ((void **)argument)[1];
    free(argument);
    if (!verbs_server_run(server->verbs, provider->stop)) {
        fprintf(stderr, "a memory node of the test has ended\n");
    }
    return NULL;
}

static void server_open(struct provider *provider, uint32_t n) {
    struct server *server = &provider->servers[n];
    char listen[64], error[512] = "";
    const char *host = getenv("FUSEGATE_TEST_RDMA");
    if (host == NULL) {
        fail_msg("FUSEGATE_TEST_RDMA must be the address of an RDMA adapter");
    }
    snprintf(listen, sizeof listen, "rdma://%s:0", host);
    server->memory = (struct memory){.base = provider->memory[n].base, .bytes = provider->memory[n].bytes, .fd = -1};
    const struct verbs_server_config config = {.listen = listen, .verbs = &provider->config};
    if (!verbs_server_open(&config, &server->memory, &server->verbs, error, sizeof error)) {
        fail_msg("memory node %u: %s", n, error);
    }
    snprintf(server->address, sizeof server->address, "rdma://%s:%u", host, verbs_server_port(server->verbs));
    void **argument = malloc(2 * sizeof *argument);
    assert_non_null(argument);
    argument[0] = provider;
    argument[1] = server;
    assert_int_equal(pthread_create(&server->thread, NULL, server_run, argument), 0);
}

struct provider *provider_open(const struct dm_local_memory *memory, uint32_t nodes) {
    struct provider *provider = calloc(1, sizeof *provider);
    assert_non_null(provider);
    provider->memory = memory;
    provider->nodes = nodes;
    if (provider_is_remote()) {
        dm_verbs_config_init(&provider->config);
        provider->config.secret = SECRET;
        provider->config.secret_bytes = sizeof SECRET - 1;
        provider->stop = eventfd(0, EFD_CLOEXEC);
        assert_true(provider->stop >= 0);
        for (uint32_t n = 0; n < nodes; n++) {
            server_open(provider, n);
        }
    }
    return provider;
}

struct dm_fabric *provider_connect(struct provider *provider, const struct dm_env *env) {
    struct dm_fabric *fabric = NULL;
    if (!provider_is_remote()) {
        assert_int_equal(dm_fabric_open_embedded(env, provider->memory, provider->nodes, &fabric), DM_OK);
        return fabric;
    }
    const char *addresses[DM_NODES_MAX];
    char error[512] = "";
    for (uint32_t n = 0; n < provider->nodes; n++) {
        addresses[n] = provider->servers[n].address;
    }
    if (dm_fabric_open_verbs(dm_env_system(), &provider->config, addresses, provider->nodes, &fabric, error,
                             sizeof error) != DM_OK) {
        fail_msg("dm_fabric_open_verbs: %s", error);
    }
    return fabric;
}

void provider_close(struct provider *provider) {
    if (provider_is_remote()) {
        assert_int_equal(eventfd_write(provider->stop, 1), 0);
        for (uint32_t n = 0; n < provider->nodes; n++) {
            pthread_join(provider->servers[n].thread, NULL);
            verbs_server_close(provider->servers[n].verbs);
        }
        close(provider->stop);
    }
    free(provider);
}
