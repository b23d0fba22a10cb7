/* provider.h: the fabric that a unit test runs over, chosen by the environment, so that the same test runs over
 * every provider. FUSEGATE_TEST_FABRIC: "local" (default): memory of this process; "verbs": the same memory, served by
 * threads of this process through the RDMA adapter that has the address FUSEGATE_TEST_RDMA. Failures end the test. */
#ifndef PROVIDER_H
#define PROVIDER_H

#include <stdbool.h>

#include "dm.h"

struct provider;

/* Memory nodes over this memory, which is the caller's. */
struct provider *provider_open(const struct dm_local_memory *memory, uint32_t nodes);
/* A fabric of all nodes; to be closed before the provider. Endpoints opened without a scheduler wait inside
 * dm_fabric_execute. What it allocates is booked in `env`, but over
 * verbs, which has threads. */
struct dm_fabric *provider_connect(struct provider *provider, const struct dm_env *env);
void provider_close(struct provider *provider);

bool provider_is_remote(void);
/* How many times shorter loops are to be. */
uint32_t provider_slowness(void);

#endif
