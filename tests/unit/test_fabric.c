/* test_fabric.c: the suite that every provider of fabric.h must pass, over the provider that the environment chooses
 * (provider.h): in `make test` over local memory, in tests/rdma/run over verbs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "fabric_suite.h"
#include "provider.h"

int main(void) {
    struct dm_local_memory memory[SUITE_NODES];
    for (int n = 0; n < SUITE_NODES; n++) {
        memory[n] = (struct dm_local_memory){dm_env_system()->allocate(NULL, SUITE_NODE_BYTES), SUITE_NODE_BYTES};
        if (memory[n].base == NULL) {
            return 1;
        }
    }
    struct provider *provider = provider_open(memory, SUITE_NODES);
    const struct fabric_world world = {.fabric = provider_connect(provider, dm_env_system()),
                                       .other = provider_connect(provider, dm_env_system()),
                                       .slowness = provider_slowness(),
                                       .remote = provider_is_remote()};
    char group[64];
    snprintf(group, sizeof group, "every provider: %s", world.fabric->ops->name);
    const int failed = fabric_suite_run(group, &world);
    dm_fabric_close(world.other);
    dm_fabric_close(world.fabric);
    provider_close(provider);
    for (int n = 0; n < SUITE_NODES; n++) {
        dm_env_system()->release(NULL, memory[n].base);
    }
    return failed != 0;
}
