/* no_atomics.c: a library to be loaded before a program (LD_PRELOAD): adapters report that they have no atomic
 * operations, as siw (iWARP in software) does, which Debian's kernel does not have. Used by tests/rdma/refusals. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>

#include <infiniband/verbs.h>

#undef ibv_query_device_ex

int ibv_query_device(struct ibv_context *context, struct ibv_device_attr *attributes) {
    int (*next)(struct ibv_context *, struct ibv_device_attr *) =
        (int (*)(struct ibv_context *, struct ibv_device_attr *))dlsym(RTLD_NEXT, "ibv_query_device");
    const int status = next(context, attributes);
    attributes->atomic_cap = IBV_ATOMIC_NONE;
    return status;
}
