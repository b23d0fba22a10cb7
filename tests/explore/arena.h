/* arena.h: memory in which a whole world lies: nodes, pools, sessions, clients. After arena_mark it can be set back to
 * what it was then, in a few microseconds: the pages that are written for the first time fault, are copied, and from
 * then on are copied back at every reset. Not an allocator: what is released stays. One at a time, one thread.
 */
#ifndef EXPLORE_ARENA_H
#define EXPLORE_ARENA_H

#include <stddef.h>
#include <stdint.h>

void arena_open(void);
void arena_close(void);

/* Zeroed, 64-byte aligned. */
void *arena_allocate(size_t bytes);

/* From now on the memory can be set back to what it holds now. */
void arena_mark(void);
void arena_reset(void);

/* Pages that are copied at a reset. */
uint32_t arena_pages(void);

#endif
