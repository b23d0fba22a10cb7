/* memory.h: the memory of one memory node: zeroed, page-aligned, on huge pages where there are any, bound to a NUMA
 * node by request. Used by fusegate-memserver (shared, by file descriptor) and by the embedded pool (private). */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory {
    void *base;
    uint64_t bytes;
    int fd;          /* memfd when shared; -1 */
    bool huge_pages; /* explicit (hugetlbfs) pages */
    uint64_t page_bytes;
    char note[192]; /* what was fallen back to and why; empty if nothing */
};

/* numa_node -1: any. Returns false with a message that names the cause and the remedy. */
bool memory_open(struct memory *memory, uint64_t bytes, int numa_node, bool shared, char *error, size_t error_bytes);
void memory_close(struct memory *memory);

#endif
