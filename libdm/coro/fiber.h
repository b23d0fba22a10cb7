/* fiber.h: tells address and thread sanitizer and valgrind about stacks and switches. Nothing in a plain build.
 *
 * coro.c calls fiber_leave immediately before dm_switch and fiber_arrive immediately after, on the same stack.
 */
#ifndef DM_FIBER_H
#define DM_FIBER_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define FIBER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FIBER_TSAN 1
#endif
#endif

#if defined(FIBER_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(FIBER_TSAN)
#include <sanitizer/tsan_interface.h>
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define FIBER_VALGRIND 1
#endif

/* Instrumented code needs more stack for the same calls. */
#if defined(FIBER_ASAN) || defined(FIBER_TSAN)
#define FIBER_STACK_FACTOR 4u
#else
#define FIBER_STACK_FACTOR 1u
#endif

/* One per stack: each coroutine's, and the one that the scheduler is driven from. */
struct fiber {
    const void *bottom;
    size_t bytes;
#if defined(FIBER_ASAN)
    void *fake_stack;
#endif
#if defined(FIBER_TSAN)
    void *tsan;
#endif
#if defined(FIBER_VALGRIND)
    unsigned valgrind_id;
#endif
};

static inline void fiber_create(struct fiber *fiber, const void *bottom, size_t bytes) {
    fiber->bottom = bottom;
    fiber->bytes = bytes;
#if defined(FIBER_TSAN)
    fiber->tsan = __tsan_create_fiber(0);
#endif
#if defined(FIBER_VALGRIND)
    fiber->valgrind_id = VALGRIND_STACK_REGISTER(bottom, (const char *)bottom + bytes);
#endif
}

static inline void fiber_destroy(struct fiber *fiber) {
#if defined(FIBER_ASAN)
    __asan_unpoison_memory_region(fiber->bottom, fiber->bytes);
#endif
#if defined(FIBER_TSAN)
    __tsan_destroy_fiber(fiber->tsan);
#endif
#if defined(FIBER_VALGRIND)
    VALGRIND_STACK_DEREGISTER(fiber->valgrind_id);
#endif
    fiber->bottom = NULL;
}

/* `ends`: nothing on the stack left will be used again but the frame that waits for reuse. */
static inline void fiber_leave(struct fiber *from, const struct fiber *to, bool ends) {
#if defined(FIBER_ASAN)
    __sanitizer_start_switch_fiber(ends ? NULL : &from->fake_stack, to->bottom, to->bytes);
    if (ends) {
        from->fake_stack = NULL;
    }
#endif
#if defined(FIBER_TSAN)
    if (from->bottom == NULL) { /* the driver's stack: whatever thread that is now */
        from->tsan = __tsan_get_current_fiber();
    }
    __tsan_switch_to_fiber(to->tsan, 0);
#endif
    (void)from;
    (void)to;
    (void)ends;
}

static inline void fiber_arrive(struct fiber *self, struct fiber *from) {
#if defined(FIBER_ASAN)
    __sanitizer_finish_switch_fiber(self->fake_stack, &from->bottom, &from->bytes);
#endif
    (void)self;
    (void)from;
}

#endif
