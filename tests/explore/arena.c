/* arena.c: see arena.h. */
#include "arena.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "assert.h"

#define ARENA_BYTES (UINT64_C(64) << 20)
#define PAGE_BYTES 4096u
#define PAGES (ARENA_BYTES / PAGE_BYTES)
#define ALIGNMENT 64u

/* The handler of a signal gets no argument of ours. */
static struct arena {
    uint8_t *base, *shadow; /* shadow: what the written pages held at the mark */
    uint64_t used;          /* lies outside of the arena, and is set back by hand */
    uint64_t used_at_mark;
    uint32_t written[PAGES];
    uint32_t written_count;
    bool marked;
    struct sigaction before;
} arena;

static void on_fault(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)context;
    uint8_t *at = info->si_addr;
    if (!arena.marked || at < arena.base || at >= arena.base + ARENA_BYTES) {
        sigaction(SIGSEGV, &arena.before, NULL); /* a fault of somebody else's: it comes again, and ends the process */
        return;
    }
    uint32_t page = (uint32_t)((uint64_t)(at - arena.base) / PAGE_BYTES);
    uint64_t offset = (uint64_t)page * PAGE_BYTES;
    memcpy(arena.shadow + offset, arena.base + offset, PAGE_BYTES);
    if (mprotect(arena.base + offset, PAGE_BYTES, PROT_READ | PROT_WRITE) != 0) {
        abort();
    }
    arena.written[arena.written_count++] = page;
}

static void *map(void) {
    void *mapped = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    dm_assert(mapped != MAP_FAILED);
    return mapped;
}

void arena_open(void) {
    dm_assert(arena.base == NULL);
    memset(&arena, 0, sizeof arena);
    arena.base = map();
    arena.shadow = map();
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    dm_assert(sigaction(SIGSEGV, &action, &arena.before) == 0);
}

void arena_close(void) {
    dm_assert(sigaction(SIGSEGV, &arena.before, NULL) == 0);
    munmap(arena.base, ARENA_BYTES);
    munmap(arena.shadow, ARENA_BYTES);
    arena.base = NULL;
}

void *arena_allocate(size_t bytes) {
    uint64_t at = arena.used;
    arena.used = (at + bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    dm_assert(arena.used <= ARENA_BYTES);
    /* Never handed out before, or handed out again after a reset: then it may lie in pages that are not set back. */
    if (arena.marked) {
        memset(arena.base + at, 0, bytes);
    }
    return arena.base + at;
}

void arena_mark(void) {
    arena.marked = true;
    arena.used_at_mark = arena.used;
    dm_assert(mprotect(arena.base, ARENA_BYTES, PROT_READ) == 0);
}

void arena_reset(void) {
    arena.used = arena.used_at_mark;
    for (uint32_t i = 0; i < arena.written_count; i++) {
        uint64_t offset = (uint64_t)arena.written[i] * PAGE_BYTES;
        memcpy(arena.base + offset, arena.shadow + offset, PAGE_BYTES);
    }
}

uint32_t arena_pages(void) { return arena.written_count; }
