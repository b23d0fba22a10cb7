/* memory.c: gets the memory of one memory node from the operating system, and tells what could not be had.
 *
 * Explicit huge pages are taken only when enough of them are free beforehand: a mapping that runs short of them later
 * would end in SIGBUS. Everything else is lazy: a page costs nothing before it is first written, and is zeroed by the
 * kernel. Nothing here reads or writes the memory itself. Called at start and end, on the main thread.
 */
#define _GNU_SOURCE
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <numa.h>
#include <numaif.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)
#define NUMA_NODES_MAX 1024

struct request {
    struct memory *memory;
    int numa_node;
    bool shared;
    char *error;
    size_t error_bytes;
};

static bool fail(const struct request *request, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool fail(const struct request *request, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(request->error, request->error_bytes, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- What the system has --------------------------------------------------------------------------------------- */

/* A line `key: number [kB]` of /proc/meminfo, as the plain number; 0 when there is none. */
static uint64_t meminfo_number(const char *key) {
    FILE *file = fopen("/proc/meminfo", "re");
    if (!file)
        return 0;
    char line[256];
    uint64_t number = 0;
    size_t key_length = strlen(key);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, key, key_length) == 0 && line[key_length] == ':') {
            sscanf(line + key_length + 1, "%" SCNu64, &number);
            break;
        }
    fclose(file);
    return number;
}

static uint64_t huge_page_bytes(void) { return meminfo_number("Hugepagesize") * 1024; }

/* Huge pages of the default size that nobody has or has reserved; of one NUMA node if asked. */
static uint64_t huge_pages_free(uint64_t page_bytes, int numa_node) {
    uint64_t available = meminfo_number("HugePages_Free");
    uint64_t reserved = meminfo_number("HugePages_Rsvd");
    available = available > reserved ? available - reserved : 0;
    if (numa_node < 0)
        return available;
    char path[128];
    snprintf(path, sizeof path, "/sys/devices/system/node/node%d/hugepages/hugepages-%" PRIu64 "kB/free_hugepages",
             numa_node, page_bytes / 1024);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    uint64_t on_node = 0;
    if (fscanf(file, "%" SCNu64, &on_node) != 1)
        on_node = 0;
    fclose(file);
    return on_node < available ? on_node : available;
}

/* ---- Checks before anything is taken ---------------------------------------------------------------------------- */

static bool numa_node_check(const struct request *request) {
    if (request->numa_node < 0)
        return true;
    if (numa_available() < 0)
        return fail(request, "NUMA node %d: this kernel has no NUMA support; set numa_node to -1", request->numa_node);
    long long unused;
    if (request->numa_node >= NUMA_NODES_MAX || request->numa_node > numa_max_node() ||
        numa_node_size64(request->numa_node, &unused) <= 0)
        return fail(request, "NUMA node %d does not exist or has no memory; nodes go from 0 to %d, -1 means any",
                    request->numa_node, numa_max_node());
    return true;
}

/* Shared memory is meant to be filled, so it must be there now; private memory may stay untouched for ever, so only
 * what cannot ever fit is refused. */
static bool size_check(const struct request *request, uint64_t bytes) {
    const char *key = request->shared ? "MemAvailable" : "MemTotal";
    uint64_t limit = meminfo_number(key) * 1024;
    if (limit != 0 && bytes > limit)
        return fail(request,
                    "memory of %" PRIu64 " MiB: this machine has %" PRIu64 " MiB (%s in /proc/meminfo); ask for less",
                    bytes / MIB, limit / MIB, key);
    if (request->numa_node < 0)
        return true;
    long long free_on_node = 0;
    long long total_on_node = numa_node_size64(request->numa_node, &free_on_node);
    if (total_on_node > 0 && bytes > (uint64_t)total_on_node)
        return fail(request,
                    "memory of %" PRIu64 " MiB: NUMA node %d has only %lld MiB; ask for less or set numa_node to -1",
                    bytes / MIB, request->numa_node, total_on_node / (long long)MIB);
    return true;
}

/* ---- Getting it ------------------------------------------------------------------------------------------------- */

static bool mapping_bind(const struct request *request) {
    if (request->numa_node < 0)
        return true;
    unsigned long mask[NUMA_NODES_MAX / (8 * sizeof(unsigned long))] = {0};
    const size_t bits = 8 * sizeof mask[0];
    mask[(size_t)request->numa_node / bits] |= 1UL << ((size_t)request->numa_node % bits);
    if (mbind(request->memory->base, request->memory->bytes, MPOL_BIND, mask, NUMA_NODES_MAX, 0) == 0)
        return true;
    return fail(request, "cannot bind memory to NUMA node %d: %s%s", request->numa_node, strerror(errno),
                errno == EPERM ? " (a container needs CAP_SYS_NICE for it); or set numa_node to -1" : "");
}

/* Maps memory->bytes, private or by a sealed memfd; errno tells why not. */
static bool mapping_create(struct memory *memory, bool shared, bool huge) {
    memory->fd = -1;
    int flags = huge ? MAP_HUGETLB : MAP_NORESERVE;
    if (shared) {
        memory->fd = memfd_create("fusegate-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING | (huge ? MFD_HUGETLB : 0u));
        if (memory->fd < 0)
            return false;
        /* Sealed: a client that could shrink it would kill all others by SIGBUS. */
        if (ftruncate(memory->fd, (off_t)memory->bytes) != 0 ||
            fcntl(memory->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
            goto out_close;
        flags = MAP_SHARED | (huge ? 0 : MAP_NORESERVE);
    } else {
        flags |= MAP_PRIVATE | MAP_ANONYMOUS;
    }
    memory->base = mmap(NULL, memory->bytes, PROT_READ | PROT_WRITE, flags, memory->fd, 0);
    if (memory->base != MAP_FAILED)
        return true;
out_close:
    memory->base = NULL;
    if (memory->fd >= 0) {
        int cause = errno;
        close(memory->fd);
        memory->fd = -1;
        errno = cause;
    }
    return false;
}

/* Explicit huge pages, when there are enough; otherwise says in the note what is missing. */
static bool huge_try(const struct request *request) {
    struct memory *memory = request->memory;
    const uint64_t page_bytes = huge_page_bytes();
    if (page_bytes == 0) {
        snprintf(memory->note, sizeof memory->note, "no huge pages: this kernel has none");
        return false;
    }
    const uint64_t needed = (memory->bytes + page_bytes - 1) / page_bytes;
    if (memory->bytes % page_bytes != 0) {
        snprintf(memory->note, sizeof memory->note, "no huge pages: size is not a multiple of %" PRIu64 " KiB",
                 page_bytes / 1024);
        return false;
    }
    const uint64_t available = huge_pages_free(page_bytes, request->numa_node);
    if (available >= needed && mapping_create(memory, request->shared, true)) {
        memory->huge_pages = true;
        memory->page_bytes = page_bytes;
        return true;
    }
    snprintf(memory->note, sizeof memory->note,
             "no huge pages: %" PRIu64 " of %" PRIu64 " KiB needed, %" PRIu64
             " free; to have them: sysctl vm.nr_hugepages=%" PRIu64,
             needed, page_bytes / 1024, available, meminfo_number("HugePages_Total") + needed);
    return false;
}

bool memory_open(struct memory *memory, uint64_t bytes, int numa_node, bool shared, char *error, size_t error_bytes) {
    const struct request request = {memory, numa_node, shared, error, error_bytes};
    const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    *memory = (struct memory){.fd = -1, .page_bytes = page_bytes};
    if (bytes == 0 || bytes > INT64_MAX - page_bytes)
        return fail(&request, "memory of %" PRIu64 " bytes: not a possible size", bytes);
    bytes = (bytes + page_bytes - 1) / page_bytes * page_bytes;
    if (!numa_node_check(&request) || !size_check(&request, bytes))
        return false;
    memory->bytes = bytes;
    if (!huge_try(&request)) {
        if (!mapping_create(memory, shared, false))
            return fail(&request, "cannot map memory of %" PRIu64 " MiB: %s", bytes / MIB, strerror(errno));
        /* Transparent ones, where the kernel offers them; a refusal changes only the speed. */
        (void)madvise(memory->base, memory->bytes, MADV_HUGEPAGE);
    }
    if (mapping_bind(&request))
        return true;
    memory_close(memory);
    return false;
}

void memory_close(struct memory *memory) {
    if (memory->base)
        munmap(memory->base, memory->bytes);
    if (memory->fd >= 0)
        close(memory->fd);
    memory->base = NULL;
    memory->bytes = 0;
    memory->fd = -1;
}
